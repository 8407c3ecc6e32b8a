// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The agent under a storm of events: it gives up the probe that costs too much, says what it is
 * blind to, and takes the probe back when the storm is over.
 */
#include "base/clock.h"
#include "live/agents.h"
#include "live/child.h"
#include "live/loop_disk.h"
#include "live/switch_storm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define STORMS_MAX 2

#define ATTACHED "tocsin_probe_attached{probe=\"task_leaves\",hook=\"tp_btf/sched_switch\"}"
#define RUNS	 "tocsin_probe_run_seconds_count{probe=\"task_leaves\",hook=\"tp_btf/sched_switch\"}"
#define SHED	 "tocsin_probe_shed{family=\"sched\"}"
#define SHEDS	 "tocsin_probe_sheds_total{family=\"sched\"}"
#define BLIND	 "tocsin_finding_blind{finding=\"cpu-overload\"}"
#define DELAYS	 "tocsin_sched_delay_seconds_count"

static double metric(struct agents *agents, const char *sample)
{
	return agents_metric(agents, SIDE_A, AGENTS_URL, sample);
}

static bool is_shed(void *agents)
{
	return metric(agents, SHED) == 1;
}

static bool is_back(void *agents)
{
	return metric(agents, SHED) == 0;
}

static bool is_blind(void *agents)
{
	return metric(agents, BLIND) == 1;
}

static bool sees_again(void *agents)
{
	return metric(agents, BLIND) == 0;
}

static void expect_status(struct agents *agents, const char *const shed[2])
{
	json_t *status = process_get_status(&agents->rig, SIDE_A, AGENTS_URL);
	const json_t *budget = json_object_get(status, "budget");
	const json_t *parts = json_object_get(budget, "shed");
	size_t count = 0;

	while (count < 2 && shed[count])
		count++;
	assert_int_equal(json_array_size(parts), count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(json_string_value(json_array_get(parts, i)), shed[i]);
	assert_true(json_is_number(json_object_get(budget, "cpu_ratio")));
	assert_true(json_is_null(json_object_get(budget, "error")));
	json_decref(status);
}

static void test_storm(void **state)
{
	static const struct process_options status = {.arguments = {"status"}};
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct switch_storm storms[STORMS_MAX] = {{0}};
	const char *line;
	double delays;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	agents_configure(agents, 0,
			 "netns: own\n"
			 "budget: {cpu_percent: 0.1, restore_after_s: 8}\n");
	for (int i = 0; i < STORMS_MAX && i < cpus; i++)
		switch_storm_start(&storms[i], i);
	agents_start(agents, 0, &options);
	line = process_expect_log(&agents->agent[0], "probe shed");
	assert_non_null(strstr(line, "\"probe\":\"sched\""));
	assert_non_null(strstr(line, "\"lost\":\"run-queue delay\""));
	assert_non_null(strstr(line, "budget.cpu_percent is 0.1"));
	rig_wait(is_shed, agents, "the shed probe in the metrics");
	rig_wait(is_blind, agents, "the blind finding in the metrics");
	assert_int_equal(metric(agents, SHEDS), 1);
	assert_int_equal(metric(agents, ATTACHED), 0);
	assert_true(metric(agents, RUNS) > 1000);
	delays = metric(agents, DELAYS);
	assert_true(delays > 1000);
	expect_status(agents, (const char *const[2]){"sched"});
	assert_int_equal(process_run(&agents->other, &agents->rig, &status), 0);
	assert_non_null(strstr(agents->other.output, ", SHED sched"));
	assert_non_null(strstr(agents->other.output, "cpu-overload cannot be judged: given up"));

	for (int i = 0; i < STORMS_MAX && i < cpus; i++)
		switch_storm_end(&storms[i]);
	line = process_expect_log(&agents->agent[0], "probe taken back");
	assert_non_null(strstr(line, "\"probe\":\"sched\""));
	rig_wait(is_back, agents, "the probe that came back in the metrics");
	rig_wait(sees_again, agents, "the finding that is not blind any more");
	assert_int_equal(metric(agents, ATTACHED), 1);
	/* What it had counted is still there. */
	assert_true(metric(agents, DELAYS) >= delays);
	expect_status(agents, (const char *const[2]){NULL});
	agents_stop(agents, 0);
}

/* ---- all that can be given up ---- */

#define DISK_BYTES     (1 << 20)
#define TRANSFER_BYTES (64 << 10)
#define CLOSED_PORT    4001
#define WORK_PAUSE_US  500
#define ALL_SHED_IN_NS (60 * NS_PER_S)
#define LOOK_US	       100000
/* From a probe's end to its findings' blindness: two are looked for every 5 s. The next probe
 * follows later than that. */
#define TOLD_IN_NS (6 * NS_PER_S)

/* In the order in which they are given up, with the findings that rest on each. */
static const struct part {
	const char *name;
	const char *findings[5];
} parts[] = {
	{"sched", {"cpu-overload"}},
	{"listener", {"accept-overflow"}},
	{"drop", {"receive-drops"}},
	{"rtt", {NULL}},
	{"task", {"crash-loop", "memory-pressure", "task-hung"}},
	{"block", {"disk-slow", "disk-stalled", "disk-hung-request", "disk-errors"}},
};

#define PARTS (sizeof(parts) / sizeof(*parts))

/* These rest on none of them. */
static const char *const independent[] = {"io-pressure", "peer-overloaded", "watched-process-died",
					  "capacity", "filesystem"};

static struct loop_disk disk;
static pid_t worker;

static void end(void *unused)
{
	(void)unused;
	_exit(0);
}

/* Some of all that is measured, and little of each: processes that end, packets for nobody,
 * connects that are refused, segments, disk I/O; with what the scheduler has of that. */
static void work(void *context)
{
	const struct rig *rig = context;
	struct sockaddr_in nobody = {.sin_family = AF_INET,
				     .sin_port = htons(CLOSED_PORT),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int datagrams = rig_socket(rig, SIDE_A, AF_INET, SOCK_DGRAM), pair[2];
	uint16_t port;

	rig_connect(rig, AF_INET, pair, &port);
	for (;;) {
		int connecting = rig_socket(rig, SIDE_A, AF_INET, SOCK_STREAM);

		(void)connect(connecting, (struct sockaddr *)&nobody, sizeof(nobody));
		close(connecting);
		(void)sendto(datagrams, "", 1, 0, (struct sockaddr *)&nobody, sizeof(nobody));
		rig_transfer(pair[0], pair[1], TRANSFER_BYTES);
		(void)child_wait(child_start(end, NULL));
		disk_write(disk.path, 1);
		usleep(WORK_PAUSE_US);
	}
}

static double labelled(const struct agents *agents, const char *format, const char *value)
{
	char sample[128];

	snprintf(sample, sizeof(sample), format, value);
	return agents_sample(agents, sample);
}

static bool part_is_shed(const struct agents *agents, const struct part *part)
{
	double shed = labelled(agents, "tocsin_probe_shed{family=\"%s\"}", part->name);

	assert_true(shed >= 0);
	return shed == 1;
}

static bool finding_is_blind(const struct agents *agents, const char *finding)
{
	double blind = labelled(agents, "tocsin_finding_blind{finding=\"%s\"}", finding);

	if (blind < 0)
		fail_msg("nothing says whether %s is blind", finding);
	return blind == 1;
}

/* In one answer. Returns how many parts are shed. */
static unsigned int check_blindness(struct agents *agents, uint64_t shed_ns[static PARTS])
{
	uint64_t now_ns = clock_monotonic_ns();
	unsigned int count = 0;

	(void)metric(agents, SHED);
	for (size_t i = 0; i < PARTS; i++) {
		bool shed = part_is_shed(agents, &parts[i]);

		if (shed && !shed_ns[i])
			shed_ns[i] = now_ns;
		count += shed;
		for (const char *const *finding = parts[i].findings; *finding; finding++) {
			bool blind = finding_is_blind(agents, *finding);

			if (blind && !shed)
				fail_msg("%s is blind while %s is not shed", *finding,
					 parts[i].name);
			if (!blind && shed && now_ns - shed_ns[i] > TOLD_IN_NS)
				fail_msg("%s is not blind without %s", *finding, parts[i].name);
		}
	}
	for (size_t i = 0; i < sizeof(independent) / sizeof(*independent); i++)
		if (finding_is_blind(agents, independent[i]))
			fail_msg("%s is blind", independent[i]);
	return count;
}

static void test_each_in_its_turn(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	uint64_t shed_ns[PARTS] = {0}, deadline_ns, all_ns = 0;

	if (loop_disk_obstacle()) {
		print_message("%s\n", loop_disk_obstacle());
		skip();
	}
	/* The least that can be set: what little is done costs more, also that which is left at the
	 * end, so that nothing comes back. */
	agents_configure(agents, 0,
			 "netns: own\n"
			 "budget: {cpu_percent: 0.01, restore_after_s: 4}\n");
	loop_disk_up(&disk, DISK_BYTES);
	worker = child_start(work, &agents->rig);
	agents_start(agents, 0, &options);
	deadline_ns = clock_monotonic_ns() + ALL_SHED_IN_NS;
	while (!all_ns || clock_monotonic_ns() < all_ns + TOLD_IN_NS + NS_PER_S) {
		if (check_blindness(agents, shed_ns) == PARTS && !all_ns)
			all_ns = clock_monotonic_ns();
		process_read(&agents->agent[0]);
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("not all is shed:\n%s", agents->agent[0].log);
		usleep(LOOK_US);
	}
	for (size_t i = 0; i < PARTS; i++) {
		char expected[64];

		snprintf(expected, sizeof(expected), "\"probe\":\"%s\"", parts[i].name);
		if (!strstr(process_expect_log(&agents->agent[0], "probe shed"), expected))
			fail_msg("%s is not number %zu that is shed:\n%s", parts[i].name, i + 1,
				 agents->agent[0].log);
	}
	agents_stop(agents, 0);
}

static int tear_down(void **state)
{
	child_kill(&worker);
	agents_tear_down(state);
	loop_disk_down(&disk);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_storm),
		cmocka_unit_test_setup_teardown(test_each_in_its_turn, agents_set_up, tear_down),
	};

	return agents_run_tests("budget", tests);
}
