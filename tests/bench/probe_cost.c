// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the TCP probe costs a received segment, over an empty program on the same tracepoint in the
 * same run. Prints one markdown table; exit 1 when the target is missed.
 *
 * A chain of programs shares its cache misses: the first pays for all. So an empty one always comes
 * first, and the measured one and its empty twin change places from round to round. The kernel's
 * own accounting (BPF_ENABLE_STATS) adds the same to both.
 */
#include "base/clock.h"
#include "bench/program.h"
#include "probe/tcp.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUNDS	     10
#define ROUND_NS     (1500 * NS_PER_MS)
#define TARGET_NS    60.0
#define SOCKETS_MAX  1000
#define BUFFER_BYTES 65536

/* ---- load: pairs of connected sockets in a network namespace of its own ---- */

enum shape { SHAPE_BULK, SHAPE_REQUEST, SHAPE_MANY };

static const struct {
	const char *name;
	enum shape shape;
	unsigned int pairs, peers;
} loads[] = {
	{"bulk, 1 connection", SHAPE_BULK, 1, 1},
	{"1-byte request/response, 1 connection", SHAPE_REQUEST, 1, 1},
	{"1-byte request/response, 1,000 connections in turn", SHAPE_MANY, SOCKETS_MAX, 1},
	{"the same, each from an address of its own", SHAPE_MANY, SOCKETS_MAX, SOCKETS_MAX},
};

struct load {
	enum shape shape;
	unsigned int pairs, peers;
	int near[SOCKETS_MAX], far[SOCKETS_MAX];
	atomic_bool stop;
	pthread_t threads[2];
};

static void own_namespace(void)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd;

	if (unshare(CLONE_NEWNET))
		die("a network namespace of its own (needs root)");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo))
		die("bringing up loopback");
	close(fd);
}

/* Pair number 'index' comes from one of 'peers' loopback addresses. */
static void connect_pair(int listener, const struct sockaddr_in *address, unsigned int index,
			 unsigned int peers, int *near, int *far)
{
	const struct sockaddr_in source = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + index % peers)};

	*near = socket(AF_INET, SOCK_STREAM, 0);
	if (*near < 0 || bind(*near, (const struct sockaddr *)&source, sizeof(source)) ||
	    connect(*near, (const struct sockaddr *)address, sizeof(*address)))
		die("connecting");
	*far = accept(listener, NULL, NULL);
	if (*far < 0)
		die("accepting");
}

static bool echo(int near, int far)
{
	char byte = 'x';

	return send(near, &byte, 1, MSG_NOSIGNAL) == 1 && recv(far, &byte, 1, 0) == 1 &&
	       send(far, &byte, 1, MSG_NOSIGNAL) == 1 && recv(near, &byte, 1, 0) == 1;
}

static void *drive(void *argument)
{
	static char buffer[BUFFER_BYTES];
	struct load *load = argument;

	for (unsigned int i = 0; !load->stop; i++) {
		unsigned int pair = i % load->pairs;
		bool fine = load->shape == SHAPE_BULK
				    ? send(load->near[0], buffer, sizeof(buffer), MSG_NOSIGNAL) > 0
				    : echo(load->near[pair], load->far[pair]);
		if (!fine)
			break;
	}
	return NULL;
}

static void *sink(void *argument)
{
	static char buffer[BUFFER_BYTES];
	struct load *load = argument;

	while (!load->stop && recv(load->far[0], buffer, sizeof(buffer), 0) > 0)
		continue;
	return NULL;
}

static void load_start(struct load *load)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) ||
	    listen(listener, 128) || getsockname(listener, (struct sockaddr *)&address, &length))
		die("listening");
	for (unsigned int i = 0; i < load->pairs; i++)
		connect_pair(listener, &address, i, load->peers, &load->near[i], &load->far[i]);
	close(listener);
	load->stop = false;
	if (pthread_create(&load->threads[0], NULL, drive, load))
		die("a thread");
	if (load->shape == SHAPE_BULK && pthread_create(&load->threads[1], NULL, sink, load))
		die("a thread");
}

static void load_stop(struct load *load)
{
	load->stop = true;
	for (unsigned int i = 0; i < load->pairs; i++) {
		shutdown(load->near[i], SHUT_RDWR);
		shutdown(load->far[i], SHUT_RDWR);
	}
	pthread_join(load->threads[0], NULL);
	if (load->shape == SHAPE_BULK)
		pthread_join(load->threads[1], NULL);
	for (unsigned int i = 0; i < load->pairs; i++) {
		close(load->near[i]);
		close(load->far[i]);
	}
}

/* ---- programs ---- */

/* The descriptor of the probe's own program of a name; other agents may run on this machine. */
static int program_of(const struct tcp_probe *probe, const char *name)
{
	const struct program_status *programs;
	size_t count;

	programs = tcp_probe_programs(probe, &count);
	for (size_t i = 0; i < count; i++) {
		struct bpf_link_info info = {0};
		__u32 length = sizeof(info);
		int fd;

		if (strcmp(programs[i].program->name, name))
			continue;
		if (!programs[i].attached ||
		    bpf_obj_get_info_by_fd(bpf_link__fd(programs[i].link), &info, &length))
			break;
		fd = bpf_prog_get_fd_by_id(info.prog_id);
		if (fd >= 0)
			return fd;
	}
	die("finding the probe's program");
	return -1;
}

struct tally {
	__u64 runs, time_ns;
};

static struct tally tally(int program)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &length))
		die("reading a program's run time");
	return (struct tally){info.run_cnt, info.run_time_ns};
}

static double per_run(struct tally before, struct tally after)
{
	return after.runs == before.runs ? 0
					 : (double)(after.time_ns - before.time_ns) /
						   (double)(after.runs - before.runs);
}

static struct tcp_probe *probe_attach(void)
{
	const struct tcp_probe_settings settings = {
		.max_peers = 4096, .max_groups = 16, .loopback = true};
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	struct tcp_probe *probe;

	if (tcp_probe_open(&probe, &settings, &error)) {
		fprintf(stderr, "probe_cost: %s\n", buffer);
		exit(1);
	}
	return probe;
}

struct result {
	double empty_ns, probe_ns, difference_ns, segments_per_s;
};

static struct result round_of(struct load *load, bool probe_last)
{
	struct empty first = empty_attach("tcp_probe"), twin;
	struct tcp_probe *probe;
	struct tally empty_before, probe_before, empty_after, probe_after;
	struct result result;
	int program;

	if (probe_last)
		twin = empty_attach("tcp_probe");
	probe = probe_attach();
	if (!probe_last)
		twin = empty_attach("tcp_probe");
	program = program_of(probe, "tcp_probe");
	load_start(load);
	usleep(200000);
	empty_before = tally(twin.program);
	probe_before = tally(program);
	usleep(ROUND_NS / NS_PER_US);
	empty_after = tally(twin.program);
	probe_after = tally(program);
	load_stop(load);
	result.empty_ns = per_run(empty_before, empty_after);
	result.probe_ns = per_run(probe_before, probe_after);
	result.difference_ns = result.probe_ns - result.empty_ns;
	result.segments_per_s = (double)(probe_after.runs - probe_before.runs) * 1e9 / ROUND_NS;
	close(program);
	tcp_probe_close(probe);
	empty_detach(&twin);
	empty_detach(&first);
	return result;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static bool measure(size_t which)
{
	static struct load load;
	double empty_ns[ROUNDS], probe_ns[ROUNDS], difference_ns[ROUNDS], rate[ROUNDS];
	double middle;

	load = (struct load){.shape = loads[which].shape,
			     .pairs = loads[which].pairs,
			     .peers = loads[which].peers};
	for (int i = 0; i < ROUNDS; i++) {
		struct result result = round_of(&load, i % 2);

		empty_ns[i] = result.empty_ns;
		probe_ns[i] = result.probe_ns;
		difference_ns[i] = result.difference_ns;
		rate[i] = result.segments_per_s;
	}
	middle = median(difference_ns, ROUNDS);
	printf("| %s | %.0f | %.0f | %.0f | **%.0f** | %.0f to %.0f | %s |\n", loads[which].name,
	       median(rate, ROUNDS), median(empty_ns, ROUNDS), median(probe_ns, ROUNDS), middle,
	       difference_ns[0], difference_ns[ROUNDS - 1], middle <= TARGET_NS ? "met" : "MISSED");
	fflush(stdout);
	return middle <= TARGET_NS;
}

int main(void)
{
	struct rlimit files = {8192, 8192};
	bool met = true;
	int statistics;

	libbpf_set_print(NULL);
	if (setrlimit(RLIMIT_NOFILE, &files))
		die("raising the limit of open files");
	own_namespace();
	statistics = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (statistics < 0)
		die("switching on BPF statistics (needs CAP_SYS_ADMIN)");
	printf("| load | segments/s | empty program, ns | tcp_probe, ns | difference, ns | min to "
	       "max "
	       "| target %.0f ns |\n|---|---|---|---|---|---|---|\n",
	       TARGET_NS);
	for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++)
		met &= measure(i);
	close(statistics);
	return met ? 0 : 1;
}
