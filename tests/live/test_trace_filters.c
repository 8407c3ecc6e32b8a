// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Every filter of every trace of sockets: what it lets through is shown to the last row, what it
 * keeps out is not.
 *
 * Each run makes the same happen once over IPv4 and once over IPv6. The first is done in a cgroup
 * of its own, so that a run tells by its rows which of the two came through.
 */
#include "live/cgroup_rig.h"
#include "live/rig.h"
#include "live/tcp_bench.h"
#include "live/trace_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define EXCHANGES     5
#define SEGMENT_BYTES 100

enum { V4, V6, FAMILIES };

static const int families[FAMILIES] = {AF_INET, AF_INET6};

struct bench {
	struct rig rig;
	struct trace_run run;
	struct cgroup_rig inside, elsewhere;
	int listeners[FAMILIES], pairs[FAMILIES][2];
	uint16_t ports[FAMILIES];
	char inodes[2][16], pid[16], port[16], other_port[16];
};

/* ---- what happens ---- */

static void establish(struct bench *bench, int which)
{
	struct address address = rig_address(SIDE_B, families[which]);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, bench->ports[which], &target);
	const int on = 1;
	int *pair = bench->pairs[which];

	pair[SIDE_A] = rig_socket(&bench->rig, SIDE_A, families[which], SOCK_STREAM);
	assert_int_equal(connect(pair[SIDE_A], (struct sockaddr *)&target, length), 0);
	pair[SIDE_B] = accept4(bench->listeners[which], NULL, NULL, SOCK_CLOEXEC);
	assert_true(pair[SIDE_B] >= 0);
	for (int side = 0; side < 2; side++)
		assert_int_equal(setsockopt(pair[side], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)),
				 0);
	tcp_bench_exchange(pair, 1);
}

/* Each end has read the other's last word. */
static void finish(struct bench *bench, int which)
{
	const int *pair = bench->pairs[which];
	char byte;

	shutdown(pair[SIDE_A], SHUT_WR);
	assert_int_equal(recv(pair[SIDE_B], &byte, 1, 0), 0);
	close(pair[SIDE_B]);
	assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), 0);
	close(pair[SIDE_A]);
}

static void live(struct bench *bench, int which)
{
	establish(bench, which);
	finish(bench, which);
}

static void reset(struct bench *bench, int which)
{
	const struct linger now = {.l_onoff = 1};
	const int *pair = bench->pairs[which];
	char byte;

	establish(bench, which);
	assert_int_equal(setsockopt(pair[SIDE_B], SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	close(pair[SIDE_B]);
	assert_int_equal(recv(pair[SIDE_A], &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(pair[SIDE_A]);
}

static void exchange(struct bench *bench, int which)
{
	tcp_bench_exchange(bench->pairs[which], EXCHANGES);
}

/* The first of some segments is lost, and missed at once. */
static void lose(struct bench *bench, int which)
{
	static const char segment[SEGMENT_BYTES];
	char buffer[10 * SEGMENT_BYTES];
	const int *pair = bench->pairs[which];

	rig_drop(&bench->rig, SIDE_B, "meta l4proto tcp meta length > 100", 1);
	for (size_t i = 0; i < sizeof(buffer) / sizeof(segment); i++)
		assert_int_equal(send(pair[SIDE_A], segment, sizeof(segment), 0), sizeof(segment));
	assert_int_equal(recv(pair[SIDE_B], buffer, sizeof(buffer), MSG_WAITALL), sizeof(buffer));
}

/* A packet that a rule of host b drops. */
static void send_packet(struct bench *bench, int which)
{
	struct address address = rig_address(SIDE_B, families[which]);
	struct sockaddr_storage target;
	socklen_t length = address_to_sockaddr(&address, bench->ports[which], &target);
	int fd = rig_socket(&bench->rig, SIDE_A, families[which], SOCK_DGRAM);

	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&target, length), 1);
	close(fd);
}

/* ---- what is to be seen of it ---- */

struct subject {
	const char *words[3]; /* of the command line */
	const char *options;  /* that are tried */
	enum side side;	      /* whose namespace is watched */
	bool older;	      /* the connections are there before the trace is */
	void (*act)(struct bench *bench, int which);
	const char *address; /* the key that tells the families apart */
	const char *sum;     /* the key that is added up; NULL: lines are counted */
	int64_t rows;	     /* of each family */
	/* Of lines that say something else under this key, nothing is counted. */
	const char *key, *value;
};

static const struct subject subjects[] = {
	{{"connect"}, "pgnrP46", SIDE_A, false, live, "remote_address", NULL, 1, NULL, NULL},
	{{"tcplife"}, "pgnrP46", SIDE_A, false, live, "remote_address", NULL, 1, NULL, NULL},
	{{"reset"}, "pgnrP46", SIDE_A, false, reset, "remote_address", NULL, 1, NULL, NULL},
	{{"rtt", "--by", "remote"},
	 "pgnrP46",
	 SIDE_A,
	 true,
	 exchange,
	 "remote_address",
	 "count",
	 EXCHANGES,
	 NULL,
	 NULL},
	{{"retrans"}, "pgnrP46", SIDE_A, true, lose, "remote_address", NULL, 1, NULL, NULL},
	{{"drop", "--events"},
	 "nrP46",
	 SIDE_B,
	 false,
	 send_packet,
	 "destination_address",
	 NULL,
	 1,
	 "reason",
	 "netfilter_drop"},
	{{"accept"}, "pgnP46", SIDE_B, false, live, "local_address", NULL, 1, "event", "accepted"},
};

/* Whether IPv4 and IPv6 come through. */
struct filter {
	const char *option, *value;
	bool through[FAMILIES];
};

static void count_rows(struct bench *bench, const struct subject *subject,
		       int64_t ret_rows[FAMILIES])
{
	json_t *lines = trace_run_lines(&bench->run), *line;
	size_t index;

	ret_rows[V4] = ret_rows[V6] = 0;
	json_array_foreach(lines, index, line)
	{
		int which = strchr(trace_run_string(line, subject->address), ':') ? V6 : V4;

		if (subject->key && strcmp(trace_run_string(line, subject->key), subject->value))
			continue;
		ret_rows[which] += subject->sum ? trace_run_number(line, subject->sum) : 1;
	}
	json_decref(lines);
}

static void try_filter(struct bench *bench, const struct subject *subject,
		       const struct filter *filter)
{
	/* Of two -n the last holds. */
	const char *arguments[12] = {"", "-n", bench->inodes[subject->side], "-o", "json"};
	int64_t rows[FAMILIES];
	size_t count = 5;

	arguments[0] = subject->words[0];
	for (size_t i = 1; i < 3 && subject->words[i]; i++)
		arguments[count++] = subject->words[i];
	arguments[count++] = filter->option;
	arguments[count++] = filter->value;
	trace_run_start(&bench->run, arguments);
	for (int which = V4; which < FAMILIES; which++) {
		if (which == V4)
			cgroup_rig_enter(&bench->inside);
		subject->act(bench, which);
		cgroup_rig_leave(&bench->inside);
	}
	trace_run_stop(&bench->run, SIGTERM);
	count_rows(bench, subject, rows);
	for (int which = V4; which < FAMILIES; which++)
		if (rows[which] != filter->through[which] * subject->rows) {
			char *text = trace_run_text(&bench->run);

			fail_msg("%s %s %s: %d rows of IPv%d instead of %d:\n%s", subject->words[0],
				 filter->option, filter->value ? filter->value : "",
				 (int)rows[which], which == V4 ? 4 : 6,
				 (int)(filter->through[which] * subject->rows), text);
		}
	assert_int_equal(bench->run.events_lost, 0);
	trace_run_discard(&bench->run);
}

static void try_subject(struct bench *bench, const struct subject *subject)
{
	const struct filter filters[] = {
		{"-p", bench->pid, {true, true}},
		{"-p", "1", {false, false}},
		{"-g", "/", {true, true}},
		{"-g", bench->inside.path, {true, false}},
		{"-g", bench->elsewhere.path, {false, false}},
		{"-n", bench->rig.names[subject->side], {true, true}},
		{"-n", "1", {false, false}},
		{"-r", "10.99.0.2", {true, false}},
		{"-r", "fd99::/64", {false, true}},
		{"-r", "10.99.0.64/26", {false, false}},
		{"-P", bench->port, {true, false}},
		{"-P", bench->other_port, {false, false}},
		{"-4", NULL, {true, false}},
		{"-6", NULL, {false, true}},
	};

	for (int which = V4; subject->older && which < FAMILIES; which++) {
		if (which == V4)
			cgroup_rig_enter(&bench->inside);
		establish(bench, which);
		cgroup_rig_leave(&bench->inside);
	}
	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		if (strchr(subject->options, filters[i].option[1]))
			try_filter(bench, subject, &filters[i]);
	}
	for (int which = V4; subject->older && which < FAMILIES; which++)
		finish(bench, which);
	rig_pass(&bench->rig, SIDE_B);
}

static void test_filters(void **state)
{
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
		if (!strcmp(subjects[i].words[0], "drop"))
			rig_run(&bench->rig, SIDE_B,
				"nft 'add table inet rig; add chain inet rig in { type filter hook "
				"input priority 0; }; add rule inet rig in meta l4proto udp drop'");
		try_subject(bench, &subjects[i]);
	}
}

static int set_up(void **state)
{
	static struct bench bench;

	bench = (struct bench){0};
	rig_up(&bench.rig);
	cgroup_rig_up(&bench.inside, "inside");
	cgroup_rig_up(&bench.elsewhere, "elsewhere");
	for (int side = 0; side < 2; side++)
		snprintf(bench.inodes[side], sizeof(bench.inodes[side]), "%u",
			 bench.rig.inodes[side]);
	for (int which = V4; which < FAMILIES; which++)
		bench.listeners[which] =
			rig_listen(&bench.rig, SIDE_B, families[which], &bench.ports[which]);
	snprintf(bench.pid, sizeof(bench.pid), "%d", getpid());
	snprintf(bench.port, sizeof(bench.port), "%u", bench.ports[V4]);
	snprintf(bench.other_port, sizeof(bench.other_port), "%u", bench.ports[V4] - 1U);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	trace_run_discard(&bench->run);
	for (int which = V4; which < FAMILIES; which++)
		close(bench->listeners[which]);
	cgroup_rig_down(&bench->elsewhere);
	cgroup_rig_down(&bench->inside);
	rig_down(&bench->rig);
	return 0;
}

static void test_no_cgroups(void **state)
{
	(void)state;
	print_message("%s\n", cgroup_rig_obstacle());
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_filters, set_up, tear_down),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(test_no_cgroups)};

	if (cgroup_rig_obstacle())
		return cmocka_run_group_tests_name("trace_filters", none, NULL, NULL);
	return tcp_bench_run_tests("trace_filters", tests);
}
