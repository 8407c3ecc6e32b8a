// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/run_time_helper.h"

#include "base/capability.h"
#include "probe/run_time.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELPER_NAME "tocsin-measure"

/* An answer: the errno, negative or 0, and then the descriptor beside it. */
struct message {
	struct msghdr header;
	struct iovec part;
	int32_t error;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr aligned;
	} control;
};

static void prepare(struct message *message)
{
	*message = (struct message){.error = 0};
	message->part =
		(struct iovec){.iov_base = &message->error, .iov_len = sizeof(message->error)};
	message->header = (struct msghdr){
		.msg_iov = &message->part,
		.msg_iovlen = 1,
		.msg_control = message->control.bytes,
		.msg_controllen = sizeof(message->control.bytes),
	};
}

/* ---- the helper's side ---- */

static void answer(int socket)
{
	struct message message;
	struct cmsghdr *control;
	int fd = run_time_measure();

	prepare(&message);
	if (fd < 0) {
		message.error = fd;
		message.header.msg_controllen = 0;
	} else {
		control = CMSG_FIRSTHDR(&message.header);
		control->cmsg_level = SOL_SOCKET;
		control->cmsg_type = SCM_RIGHTS;
		control->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(control), &fd, sizeof(fd));
	}
	if (sendmsg(socket, &message.header, MSG_NOSIGNAL) < 0)
		_exit(0);
	if (fd >= 0)
		close(fd);
}

/* Nothing of the agent's is kept but its user. */
static void __attribute__((noreturn)) run_helper(int socket)
{
	int null = open("/dev/null", O_RDWR);
	char question;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, HELPER_NAME);
	/* The socket lies above 2, which the agent keeps open. */
	if (null < 0 || dup2(socket, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || capability_keep(UINT64_C(1) << CAP_SYS_ADMIN))
		_exit(1);
	while (read(STDIN_FILENO, &question, sizeof(question)) == sizeof(question))
		answer(STDIN_FILENO);
	_exit(0);
}

/* ---- the agent's side ---- */

int run_time_helper_start(struct run_time_helper *helper)
{
	sigset_t all, before;
	int ends[2], r = 0;
	pid_t pid;

	*helper = (struct run_time_helper){0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	/* The agent's handlers must not run in the child: they would write to the agent's loop. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		run_helper(ends[1]);
	if (pid < 0)
		r = -errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (r)
		close(ends[0]);
	else
		*helper = (struct run_time_helper){.pid = pid, .socket = ends[0]};
	return r;
}

int run_time_helper_ask(const struct run_time_helper *helper)
{
	static const char question = '?';

	if (send(helper->socket, &question, sizeof(question), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int run_time_helper_take(const struct run_time_helper *helper)
{
	struct message message;
	struct cmsghdr *control;
	ssize_t count;
	int fd;

	prepare(&message);
	count = recvmsg(helper->socket, &message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (count < 0)
		return -errno;
	if (count != sizeof(message.error))
		return -EPIPE;
	if (message.error)
		return message.error;
	control = CMSG_FIRSTHDR(&message.header);
	/* Not passed on: no descriptor was free. */
	if (!control || control->cmsg_type != SCM_RIGHTS ||
	    control->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	return fd;
}

void run_time_helper_stop(struct run_time_helper *helper)
{
	if (!helper->pid)
		return;
	close(helper->socket);
	/* Patching the kernel's code does not hang. */
	(void)kill(helper->pid, SIGKILL);
	(void)waitpid(helper->pid, NULL, 0);
	*helper = (struct run_time_helper){0};
}
