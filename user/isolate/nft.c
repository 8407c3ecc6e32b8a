// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * libnftables runs in a child of its own and is loaded there. It ends its process when it gets no
 * memory or no socket; what it allocates for 10,000 nodes would stay with the agent; and merely
 * linked, it and the four libraries that it needs cost an agent at rest 0.7 MB.
 */
#include "isolate/nft.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARY	 "libnftables.so.1"
#define LIMIT_NS (5 * NS_PER_S)
#define LIMIT_S	 5

/* Exit codes of the child; its output says more. */
enum { CHILD_DONE, CHILD_REFUSED, CHILD_NO_LIBRARY };

struct table_request {
	struct nlmsghdr header;
	struct nfgenmsg family;
	struct nlattr attribute;
	char name[64];
};

static int ask_table(int fd, const char *name)
{
	struct table_request request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
			   .nlmsg_flags = NLM_F_REQUEST},
		.family = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0},
		.attribute = {.nla_type = NFTA_TABLE_NAME,
			      .nla_len = sizeof(request.attribute) + sizeof(request.name)},
	};
	const struct timeval limit = {.tv_sec = LIMIT_S};
	union {
		struct nlmsghdr header;
		char bytes[8192];
	} answer;
	const struct nlmsgerr *refusal = NLMSG_DATA(&answer.header);
	ssize_t count;

	if (text_copy(request.name, sizeof(request.name), name))
		return -ENAMETOOLONG;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ||
	    send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	count = recv(fd, &answer, sizeof(answer), 0);
	if (count < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if ((size_t)count < NLMSG_LENGTH(sizeof(*refusal)))
		return -EPROTO;
	if (answer.header.nlmsg_type != NLMSG_ERROR)
		return 1;
	return refusal->error == -ENOENT ? 0 : refusal->error;
}

int nft_table_exists(const char *name, struct text *error)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int r = fd < 0 ? -errno : ask_table(fd, name);

	if (fd >= 0)
		close(fd);
	switch (r) {
	case 0:
	case 1:
		break;
	case -EPERM:
	case -EACCES:
		r = -EPERM;
		text_printf(error, "CAP_NET_ADMIN is not held; run as root or add the capability");
		break;
	case -EPROTONOSUPPORT: /* no nfnetlink */
	case -EINVAL:	       /* nfnetlink without nf_tables */
	case -EOPNOTSUPP:
		r = -EOPNOTSUPP;
		text_printf(error, "this kernel has no nf_tables; load the module nf_tables, or "
				   "use a kernel built with CONFIG_NF_TABLES and "
				   "CONFIG_NF_TABLES_INET");
		break;
	default:
		text_printf(error, "nf_tables cannot be asked: %s", strerror(-r));
	}
	return r;
}

struct library {
	__typeof__(&nft_ctx_new) ctx_new;
	__typeof__(&nft_ctx_set_dry_run) ctx_set_dry_run;
	__typeof__(&nft_run_cmd_from_buffer) run_cmd_from_buffer;
};

static bool load(struct library *library)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return false;
	*library = (struct library){
		.ctx_new = dlsym(handle, "nft_ctx_new"),
		.ctx_set_dry_run = dlsym(handle, "nft_ctx_set_dry_run"),
		.run_cmd_from_buffer = dlsym(handle, "nft_run_cmd_from_buffer"),
	};
	return library->ctx_new && library->ctx_set_dry_run && library->run_cmd_from_buffer;
}

/* Does not return. What the library has to say goes through stderr into the pipe. */
static void __attribute__((noreturn)) run_child(int output, const char *commands, bool check)
{
	struct library library;
	struct nft_ctx *context;
	int r;

	if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
		_exit(CHILD_REFUSED);
	if (!load(&library)) {
		dprintf(output, "%s", dlerror() ?: LIBRARY);
		_exit(CHILD_NO_LIBRARY);
	}
	context = library.ctx_new(NFT_CTX_DEFAULT);
	library.ctx_set_dry_run(context, check);
	r = library.run_cmd_from_buffer(context, commands);
	(void)fflush(stderr);
	_exit(r ? CHILD_REFUSED : CHILD_DONE);
}

/* Keeps the beginning, which names the first error, and takes the rest so that nobody waits. */
static int read_all(int fd, uint64_t end_ns, char *buffer, size_t size)
{
	size_t kept = 0;

	for (;;) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		uint64_t now_ns = clock_monotonic_ns();
		char rest[1024];
		bool full = kept == size - 1;
		ssize_t count;

		buffer[kept] = '\0';
		if (now_ns >= end_ns)
			return -ETIMEDOUT;
		if (poll(&ready, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) <= 0)
			continue;
		count = read(fd, full ? rest : buffer + kept,
			     full ? sizeof(rest) : size - 1 - kept);
		if (count == 0)
			return 0;
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0 && !full)
			kept += (size_t)count;
	}
}

static int explain(int r, int status, char *said, struct text *error)
{
	/* nft shows the place in the command on lines of its own. */
	said[strcspn(said, "\n")] = '\0';
	if (r == -ETIMEDOUT) {
		text_printf(error, "the kernel has not answered for %d s", LIMIT_S);
	} else if (r) {
		text_printf(error, "cannot hear from libnftables: %s", strerror(-r));
	} else if (WIFSIGNALED(status)) {
		text_printf(error, "libnftables ended by signal %d", WTERMSIG(status));
		r = -EIO;
	} else if (WEXITSTATUS(status) == CHILD_NO_LIBRARY) {
		text_printf(error, "%s cannot be loaded; install it (Debian: libnftables1): %s",
			    LIBRARY, said);
		r = -ENOENT;
	} else if (WEXITSTATUS(status) != CHILD_DONE) {
		text_printf(error, "libnftables: %s", *said ? said : "no reason given");
		r = -EIO;
	}
	return r;
}

int nft_begin(struct nft_run *ret_run, const char *commands, bool check, struct text *error)
{
	sigset_t all, before;
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC)) {
		r = -errno;
		text_printf(error, "no pipe: %s", strerror(errno));
		return r;
	}
	/* The agent's handlers must not run in the child: they would write to the agent's loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		run_child(ends[1], commands, check);
	r = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (r) {
		text_printf(error, "no process for libnftables: %s", strerror(-r));
		close(ends[0]);
		return r;
	}
	*ret_run = (struct nft_run){pid, ends[0], clock_monotonic_ns() + LIMIT_NS};
	return 0;
}

int nft_finish(struct nft_run *run, struct text *error)
{
	char said[512] = "";
	int status = 0, r;

	if (!run->pid)
		return 0;
	r = read_all(run->fd, run->end_ns, said, sizeof(said));
	if (r)
		(void)kill(run->pid, SIGKILL);
	while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
		;
	close(run->fd);
	run->pid = 0;
	return explain(r, status, said, error);
}
