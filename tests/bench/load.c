// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One kind of work, done as often as it can be for a time; prints how often it was, a second.
 *
 *	load echo SECONDS	a byte there and one back, over a TCP connection of 127.0.0.1
 *	load bulk SECONDS	64 KiB there, over one
 *	load switch SECONDS	a token there and back between two processes on one CPU
 *	load exit SECONDS	a process begins and ends
 */
#include "base/clock.h"
#include "bench/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MAX 600
#define BULK_BYTES  65536

/* A way there and a way back to another process, which answers. */
struct pair {
	int to, from;
	pid_t other;
};

static char buffer[BULK_BYTES];

static void answer_bytes(int from, int to)
{
	char byte;

	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		continue;
}

static void take_all(int from, int to)
{
	(void)to;
	while (read(from, buffer, sizeof(buffer)) > 0)
		continue;
}

/* In a process of its own, with the other end. */
static struct pair answered(int to, int from, int their_from, int their_to,
			    void (*answer)(int from, int to))
{
	struct pair pair = {.to = to, .from = from, .other = fork()};

	if (pair.other < 0)
		die("fork");
	if (!pair.other) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to);
		close(from);
		answer(their_from, their_to);
		_exit(0);
	}
	close(their_from);
	close(their_to);
	return pair;
}

static struct pair connected(void (*answer)(int from, int to))
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), near = socket(AF_INET, SOCK_STREAM, 0), far;

	if (listener < 0 || near < 0 || bind(listener, (struct sockaddr *)&address, length) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(near, (struct sockaddr *)&address, length))
		die("connecting to 127.0.0.1");
	far = accept(listener, NULL, NULL);
	if (far < 0)
		die("accepting");
	close(listener);
	return answered(near, dup(near), far, dup(far), answer);
}

static struct pair begin_echo(void)
{
	return connected(answer_bytes);
}

static struct pair begin_bulk(void)
{
	return connected(take_all);
}

static struct pair begin_switch(void)
{
	int there[2], back[2];
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("staying on CPU 0");
	if (pipe(there) || pipe(back))
		die("pipe");
	return answered(there[1], back[0], there[0], back[1], answer_bytes);
}

static struct pair begin_alone(void)
{
	return (struct pair){.to = -1, .from = -1};
}

static void pass_byte(const struct pair *pair)
{
	char byte = 'x';

	if (write(pair->to, &byte, 1) != 1 || read(pair->from, &byte, 1) != 1)
		die("passing a byte");
}

static void send_much(const struct pair *pair)
{
	if (write(pair->to, buffer, sizeof(buffer)) <= 0)
		die("sending");
}

static void end_another(const struct pair *pair)
{
	(void)pair;
	end_process();
}

static const struct {
	const char *name;
	struct pair (*begin)(void);
	void (*once)(const struct pair *pair);
} kinds[] = {
	{"echo", begin_echo, pass_byte},
	{"bulk", begin_bulk, send_much},
	{"switch", begin_switch, pass_byte},
	{"exit", begin_alone, end_another},
};

int main(int argc, char **argv)
{
	char *end = NULL;
	unsigned long seconds = argc == 3 ? strtoul(argv[2], &end, 10) : 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		uint64_t begin_ns, now_ns, count = 0;
		struct pair pair;

		if (!end || *end || !seconds || seconds > SECONDS_MAX ||
		    strcmp(argv[1], kinds[i].name))
			continue;
		pair = kinds[i].begin();
		begin_ns = clock_monotonic_ns();
		do {
			kinds[i].once(&pair);
			count++;
			now_ns = clock_monotonic_ns();
		} while (now_ns - begin_ns < seconds * NS_PER_S);
		printf("%.1f\n", (double)count * 1e9 / (double)(now_ns - begin_ns));
		if (pair.other) {
			close(pair.to);
			close(pair.from);
			waitpid(pair.other, NULL, 0);
		}
		return 0;
	}
	fprintf(stderr, "usage: load echo|bulk|switch|exit SECONDS (1 to %d)\n", SECONDS_MAX);
	return 2;
}
