// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/status.h"

#include "base/clock.h"
#include "unit/sample_snapshot.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct address address(const char *string)
{
	struct address result = {0};

	assert_int_equal(address_parse(string, &result), 0);
	return result;
}

/* A node with all it can have, an unconfigured peer with next to nothing, and one only heartbeats
 * know. */
static void fill_peers(struct snapshot_peer peers[static 3])
{
	peers[0] = (struct snapshot_peer){
		.name = "n10",
		.address = address("10.0.0.2"),
		.configured = true,
		.state = EDGE_HEALTHY,
		.since_ns = 3723 * NS_PER_S,
		.heard = true,
		.heard_age_ns = 37999999,
		.loss_out_ratio = 0.004,
		.heartbeat_rtt_us = 210,
		.tcp = {.retransmits = {1, 2, 3, 4, 5, 6},
			.connect_failures = {7, 8, 9, 10, 11, 12, 13},
			.zero_window_sockets = 14,
			.stalled_sockets = 15},
		.oldest_stall_ns = 1250 * NS_PER_MS,
		.heartbeats_blocked = true,
		.evidence = "all is well",
	};
	/* 1024 samples in the bucket that ends at 2^10 units (977 us): 896 < units <= 1024. */
	peers[0].tcp.rtt[35] = 1024;
	peers[1] = (struct snapshot_peer){
		.name = "fd00:1111:2222:3333:4444:5555:6666:7777",
		.address = address("fd00:1111:2222:3333:4444:5555:6666:7777"),
		.state = EDGE_UNREACHABLE,
		.since_ns = 412 * NS_PER_MS,
		.loss_out_ratio = NAN,
		.loss_in_ratio = NAN,
		.evidence = "no segment heard for 412 ms\033[2J",
	};
	peers[2] = (struct snapshot_peer){
		.name = "n2",
		.address = address("10.0.0.3"),
		.configured = true,
		.state = EDGE_HEALTHY,
		.heard = true,
		.loss_in_ratio = INFINITY,
		.heartbeat_rtt_us = 321,
		.agent_silent = true,
		.evidence = "its kernel refuses connects",
	};
}

static const struct findings findings = {
	.standing = {{.kind = FINDING_DISK_STALLED,
		      .subject = "sda",
		      .sentence = "no\033 answer",
		      .since_ns = 7 * NS_PER_S}},
	.count = 1,
	.blind = {[FINDING_CPU_OVERLOAD] = "there is no /proc/pressure"},
};

static struct snapshot make_snapshot(const struct snapshot_peer *peers, size_t count)
{
	struct snapshot snapshot = sample_snapshot(peers, count);

	snapshot.findings = &findings;
	snapshot.findings_now_ns = 9500 * NS_PER_MS;
	snapshot.uptime_ns = 3661 * NS_PER_S + 999999;
	return snapshot;
}

#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char expected_json[] =
	"{'node': 'n1', 'version': '0.1.0', 'uptime_ms': 3661000, 'alone': false, 'blind': null,"
	"'fenced': true,"
	"'findings': [{'finding': 'disk-stalled', 'subject': 'sda', 'sentence': 'no\\u001b answer',"
	" 'since_ms': 2500}],"
	"'findings_blind': [{'finding': 'cpu-overload', 'reason': 'there is no /proc/pressure'}],"
	"'store': {'kind': 'etcd', 'connected': true, 'reason': '', 'actor': true,"
	" 'actor_name': 'n1', 'lease_renewed_ms': 150, 'lease_ms': 3000},"
	"'journal': {'records': 11, 'queued_records': 15, 'oldest_queued_ms': 1700,"
	" 'lost_records': 13, 'error': 'No space left on device', 'open_incidents': 1},"
	"'peers': ["
	"{'name': 'n10', 'address': '10.0.0.2', 'configured': true, 'state': 'healthy',"
	" 'since_ms': 3723000, 'agent_silent': false, 'heartbeats_blocked': true,"
	" 'rtt_p50_us': 916, 'rtt_p99_us': 975,"
	" 'heartbeat_rtt_us': 210, 'loss_out_ratio': 0.004, 'loss_in_ratio': 0.0, 'last_heard_ms': "
	"37,"
	" 'retransmits': {'rto': 1, 'tlp': 2, 'fast': 3, 'syn': 4, 'synack': 5, 'failed': 6},"
	" 'connect_failures': {'refused': 7, 'reset': 8, 'timed_out': 9, 'host_unreachable': 10,"
	"  'net_unreachable': 11, 'abandoned': 12, 'other': 13},"
	" 'zero_window_sockets': 14, 'stalled_sockets': 15, 'oldest_stall_ms': 1250,"
	" 'evidence': 'all is well'},"
	"{'name': 'fd00:1111:2222:3333:4444:5555:6666:7777',"
	" 'address': 'fd00:1111:2222:3333:4444:5555:6666:7777', 'configured': false,"
	" 'state': 'unreachable', 'since_ms': 412, 'agent_silent': false,"
	" 'heartbeats_blocked': false, 'rtt_p50_us': null,"
	" 'rtt_p99_us': null, 'heartbeat_rtt_us': null, 'loss_out_ratio': null, 'loss_in_ratio': "
	"null,"
	" 'last_heard_ms': null,"
	" 'retransmits': {'rto': 0, 'tlp': 0, 'fast': 0, 'syn': 0, 'synack': 0, 'failed': 0},"
	" 'connect_failures': {'refused': 0, 'reset': 0, 'timed_out': 0, 'host_unreachable': 0,"
	"  'net_unreachable': 0, 'abandoned': 0, 'other': 0},"
	" 'zero_window_sockets': 0, 'stalled_sockets': 0, 'oldest_stall_ms': 0,"
	" 'evidence': 'no segment heard for 412 ms\\u001b[2J'},"
	"{'name': 'n2', 'address': '10.0.0.3', 'configured': true, 'state': 'healthy',"
	" 'since_ms': 0, 'agent_silent': true, 'heartbeats_blocked': false,"
	" 'rtt_p50_us': 321, 'rtt_p99_us': 321,"
	" 'heartbeat_rtt_us': 321, 'loss_out_ratio': 0.0, 'loss_in_ratio': null, 'last_heard_ms': "
	"0,"
	" 'retransmits': {'rto': 0, 'tlp': 0, 'fast': 0, 'syn': 0, 'synack': 0, 'failed': 0},"
	" 'connect_failures': {'refused': 0, 'reset': 0, 'timed_out': 0, 'host_unreachable': 0,"
	"  'net_unreachable': 0, 'abandoned': 0, 'other': 0},"
	" 'zero_window_sockets': 0, 'stalled_sockets': 0, 'oldest_stall_ms': 0,"
	" 'evidence': 'its kernel refuses connects'}],"
	"'probes': ["
	"{'name': 'tcp_probe', 'hook': 'tp_btf/tcp_probe', 'attached': true, 'shed': false,"
	" 'reason': '', 'runs_missed': 6},"
	"{'name': 'tcp_reset', 'hook': 'tp_btf/tcp_send_reset', 'attached': false,"
	" 'shed': false, 'reason': 'this kernel has no BTF', 'runs_missed': 0}],"
	"'budget': {'cpu_ratio': 0.0125, 'limit_ratio': 0.01, 'shed': ['listener', 'sched'],"
	" 'error': null},"
	"'disks': [], 'disks_error': null,"
	"'cgroups': ["
	"{'cgroup': '/kubepods/shop/" CONTAINER "', 'namespace': null, 'pod': 'shop',"
	" 'container': '" CONTAINER "',"
	" 'unit': null, 'crashes': {'SIGSEGV': 3, 'SIGRT': 4}, 'oom_kills': 2,"
	" 'retransmits': 0, 'connect_failures': 0},"
	"{'cgroup': '/kubepods/named', 'namespace': 'market', 'pod': 'stall-1',"
	" 'container': 'till', 'unit': null, 'crashes': {'SIGSEGV': 5}, 'oom_kills': 0,"
	" 'retransmits': 21, 'connect_failures': 22},"
	"{'cgroup': 'other', 'namespace': null, 'pod': null, 'container': null, 'unit': null,"
	" 'crashes': {'SIGABRT': 7}, 'oom_kills': 0,"
	" 'retransmits': 23, 'connect_failures': 0}],"
	"'pods': {'count': 3, 'reason': 'the API is away'},"
	"'dropped_packets': {'netfilter_drop': 12, 'other': 13},"
	"'run_queue_delay': {'count': 100, 'p50_us': 3, 'p99_us': 4},"
	"'counters': {'peer_table_slots': 4096, 'peer_table_used': 17, 'peers_created': 1,"
	" 'peers_evicted': 2, 'peer_failures': 3, 'flow_failures': 4, 'wakeups_lost': 5,"
	" 'group_records_lost': 6,"
	" 'block_records_lost': 0, 'block_in_flight_lost': 0, 'block_start_unknown': 0,"
	" 'block_issue_unknown': 0, 'block_issue_clocked': 0,"
	" 'block_completions_unseen': 0,"
	" 'task_events_lost': 1, 'task_records_lost': 2, 'task_repeats_unsure': 3,"
	" 'late_ticks': 3, 'late_ms': 1500,"
	" 'heartbeats_rejected': {'malformed': 1, 'version': 2, 'unauthenticated': 3,"
	"  'unknown_sender': 4, 'replayed': 5, 'unobserved': 6}}}";

/* The expectation is easier to read with single quotes. */
static json_t *load_expected(void)
{
	char text[sizeof(expected_json)];
	json_error_t error;
	json_t *expected;

	memcpy(text, expected_json, sizeof(text));
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	expected = json_loads(text, 0, &error);
	if (!expected)
		fail_msg("the expectation is not JSON: %s at %d", error.text, error.position);
	return expected;
}

static void assert_json_equal(const json_t *actual, const json_t *expected)
{
	char *actual_text, *expected_text;

	assert_non_null(actual);
	if (json_equal(actual, expected))
		return;
	actual_text = json_dumps(actual, JSON_SORT_KEYS | JSON_INDENT(1));
	expected_text = json_dumps(expected, JSON_SORT_KEYS | JSON_INDENT(1));
	assert_non_null(actual_text);
	assert_non_null(expected_text);
	assert_string_equal(actual_text, expected_text);
	fail();
}

static void test_json(void **state)
{
	struct snapshot_peer peers[3];
	struct snapshot snapshot;
	json_t *actual, *expected = load_expected();

	(void)state;
	fill_peers(peers);
	snapshot = make_snapshot(peers, 3);
	actual = status_json(&snapshot);
	assert_json_equal(actual, expected);
	json_decref(actual);
	json_decref(expected);
}

static void test_json_blind_and_alone(void **state)
{
	struct snapshot snapshot = make_snapshot(NULL, 0);
	json_t *actual;

	(void)state;
	snapshot.blind = true;
	snapshot.blind_reason = "tcp_probe is not attached";
	snapshot.alone = true;
	actual = status_json(&snapshot);
	assert_string_equal(json_string_value(json_object_get(actual, "blind")),
			    "tcp_probe is not attached");
	assert_true(json_is_true(json_object_get(actual, "alone")));
	assert_int_equal(json_array_size(json_object_get(actual, "peers")), 0);
	assert_true(json_is_array(json_object_get(actual, "peers")));
	json_decref(actual);
}

/* One string that is not UTF-8 does not cost the rest. */
static void test_json_not_utf8(void **state)
{
	struct snapshot_peer peers[3];
	struct snapshot snapshot;
	json_t *actual, *first;

	(void)state;
	fill_peers(peers);
	peers[0].name = "n\xff";
	snapshot = make_snapshot(peers, 3);
	actual = status_json(&snapshot);
	assert_non_null(actual);
	first = json_array_get(json_object_get(actual, "peers"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "name")), "(not UTF-8)");
	json_decref(actual);
}

static char *print(const json_t *status, bool colour)
{
	char *data = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&data, &size);

	assert_non_null(stream);
	assert_int_equal(status_print(stream, status, colour), 0);
	assert_int_equal(fclose(stream), 0);
	return data;
}

static char *print_snapshot(bool colour)
{
	struct snapshot_peer peers[3];
	struct snapshot snapshot;
	json_t *status;
	char *text;

	fill_peers(peers);
	snapshot = make_snapshot(peers, 3);
	status = status_json(&snapshot);
	assert_non_null(status);
	text = print(status, colour);
	json_decref(status);
	return text;
}

#define LONG_V6 "fd00:1111:2222:3333:4444:5555:6666:7777"

static void test_table(void **state)
{
	char *text = print_snapshot(false);
	char expected[2048];

	(void)state;
	snprintf(
		expected, sizeof(expected),
		"NODE n1  VERSION 0.1.0  UP 1h1m  PEERS 3  PROBES 1.2%% of the CPUs, SHED listener "
		"sched\n"
		"STORE etcd, renewed 150ms ago  ACTOR this node  JOURNAL 11 records, 1 open "
		"incident, 15 queued for 1.7s, 13 LOST, NOT WRITTEN: No space left on device  "
		"THIS NODE IS FENCED\n"
		"finding disk-stalled sda for 2.5s: no? answer\n"
		"finding cpu-overload cannot be judged: there is no /proc/pressure\n"
		"\n"
		"%-39s  %-39s  STATE        SINCE  RTT-p50  RTT-p99  LOSS-out  LOSS-in  HEARD  RTO"
		"  TLP  FAST  SYN  SYNACK\n"
		"%-39s  %-39s  unreachable  412ms        -        -         -        -      -    0"
		"    0     0    0       0\n"
		"    no segment heard for 412 ms?[2J\n"
		"%-39s  %-39s  healthy        0ms   0.32ms   0.32ms        0%%        -    0ms    0"
		"    0     0    0       0\n"
		"    its kernel answers, its agent does not\n"
		"    its kernel refuses connects\n"
		"%-39s  %-39s  healthy       1h2m   0.92ms   0.97ms     0.40%%       0%%   37ms    "
		"1"
		"    2     3    4       5\n"
		"    its kernel answers, our heartbeats do not get there\n"
		"    all is well\n"
		"probe tcp_reset (tp_btf/tcp_send_reset) is not attached: this kernel has no BTF\n"
		"names of pods may not be known: the API is away\n",
		"PEER", "ADDRESS", LONG_V6, LONG_V6, "n2", "10.0.0.3", "n10", "10.0.0.2");
	assert_string_equal(text, expected);
	free(text);
}

static void test_findings(void **state)
{
	char *text = print_snapshot(false);
	char *coloured = print_snapshot(true);

	(void)state;
	assert_non_null(strstr(text, "\nfinding disk-stalled sda for 2.5s: no? answer\n"
				     "finding cpu-overload cannot be judged: there is no "
				     "/proc/pressure\n"));
	assert_non_null(strstr(coloured, "finding \033[31mdisk-stalled\033[0m sda"));
	free(text);
	free(coloured);
}

/* What stands in the second line. */
static void test_cluster_line(void **state)
{
	static const struct {
		const char *status, *line;
	} cases[] = {
		{"{'store': {'kind': 'local', 'connected': true, 'actor': true,"
		 " 'lease_renewed_ms': 5}, 'journal': {'records': 3, 'error': ''}}",
		 "\nSTORE local  ACTOR this node  JOURNAL 3 records\n"},
		{"{'store': {'kind': 'etcd', 'connected': true, 'actor': false, 'actor_name': 'n3',"
		 " 'lease_renewed_ms': 120}, 'journal': {'records': 0, 'open_incidents': 2}}",
		 "\nSTORE etcd, renewed 120ms ago  ACTOR n3  JOURNAL 0 records, 2 open "
		 "incidents\n"},
		{"{'store': {'kind': 'etcd', 'connected': false, 'reason': 'no\\u001b endpoint',"
		 " 'actor': true, 'actor_name': 'n1'}, 'journal': null, 'fenced': true}",
		 "\nSTORE etcd NOT CONNECTED: no? endpoint  JOURNAL none  THIS NODE IS FENCED\n"},
		{"{'store': {'kind': 'etcd', 'connected': true, 'actor': false, 'actor_name': '',"
		 " 'lease_renewed_ms': 120}, 'journal': {'records': 1}}",
		 "\nSTORE etcd, renewed 120ms ago  ACTOR none  JOURNAL 1 records\n"},
		{"{'store': null, 'journal': null, 'fenced': false}", "\nSTORE -  JOURNAL none\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char document[512];
		json_t *status;
		char *text;

		snprintf(document, sizeof(document), "%s", cases[i].status);
		for (char *c = document; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		status = json_loads(document, 0, NULL);
		assert_non_null(status);
		text = print(status, false);
		if (!strstr(text, cases[i].line))
			fail_msg("missing: %s in: %s", cases[i].line, text);
		free(text);
		json_decref(status);
	}
}

/* Only the word of the state, and the blanks around it stay outside. */
static void test_table_colour(void **state)
{
	char *text = print_snapshot(true);

	(void)state;
	assert_non_null(strstr(text, "  \033[31munreachable\033[0m  "));
	assert_non_null(strstr(text, "  \033[32mhealthy\033[0m      "));
	free(text);
	text = print_snapshot(false);
	assert_null(strchr(text, '\033'));
	free(text);
}

static void test_table_order(void **state)
{
	static const enum edge_state order[] = {EDGE_UNREACHABLE, EDGE_EGRESS_CUT, EDGE_INGRESS_CUT,
						EDGE_SUSPECT,	  EDGE_LOSSY,	   EDGE_HEALTHY};
	struct snapshot_peer peers[EDGE_STATES] = {0};
	struct snapshot snapshot;
	const char *last;
	json_t *status;
	char *text;

	(void)state;
	/* Healthy first, as the enumeration has them. */
	for (unsigned int i = 0; i < EDGE_STATES; i++)
		peers[i] = (struct snapshot_peer){.name = "n", .state = i};
	snapshot = make_snapshot(peers, EDGE_STATES);
	status = status_json(&snapshot);
	text = print(status, false);
	last = text;
	for (unsigned int i = 0; i < EDGE_STATES; i++) {
		const char *word = strstr(last, edge_state_name(order[i]));

		if (!word)
			fail_msg("%s is missing or too early", edge_state_name(order[i]));
		last = word;
	}
	json_decref(status);
	free(text);
}

/* An agent of another version: fields may be missing, of another type, or unknown. */
static void test_table_foreign(void **state)
{
	static const char *const documents[] = {
		"{}",
		"{\"node\": 1, \"peers\": {}, \"probes\": 3, \"uptime_ms\": -1}",
		"{\"peers\": [1, null, {}, {\"state\": \"on-fire\", \"since_ms\": \"x\"}]}",
		"{\"peers\": [{\"retransmits\": [], \"evidence\": 1, \"rtt_p50_us\": {}}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
		json_t *status = json_loads(documents[i], 0, NULL);
		char *text;

		assert_non_null(status);
		text = print(status, false);
		assert_non_null(strstr(text, "NODE -  VERSION -  UP -"));
		free(text);
		json_decref(status);
	}
}

static void test_table_durations(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{0, " UP 0ms "},	 {999, " UP 999ms "},
		{1000, " UP 1.0s "},	 {59999, " UP 59.9s "},
		{60000, " UP 1m0s "},	 {3599999, " UP 59m59s "},
		{3600000, " UP 1h0m "},	 {86399999, " UP 23h59m "},
		{86400000, " UP 1d0h "}, {1051200000, " UP 12d4h "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *status = json_pack("{s:I}", "uptime_ms", (json_int_t)cases[i].ms);
		char *text = print(status, false);

		if (!strstr(text, cases[i].text))
			fail_msg("%lu ms: expected '%s' in %s", (unsigned long)cases[i].ms,
				 cases[i].text, text);
		free(text);
		json_decref(status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),	      cmocka_unit_test(test_json_blind_and_alone),
		cmocka_unit_test(test_json_not_utf8), cmocka_unit_test(test_table),
		cmocka_unit_test(test_findings),      cmocka_unit_test(test_cluster_line),
		cmocka_unit_test(test_table_colour),  cmocka_unit_test(test_table_order),
		cmocka_unit_test(test_table_foreign), cmocka_unit_test(test_table_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
