// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/metrics.h"
#include "report/metrics_table.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "unit/sample_snapshot.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const enum metrics_format formats[] = {METRICS_PROMETHEUS, METRICS_OPENMETRICS};

static void fill_peers(struct snapshot_peer peers[static 2])
{
	peers[0] = (struct snapshot_peer){
		.name = "n2",
		.configured = true,
		.state = EDGE_LOSSY,
		.heard = true,
		.heard_age_ns = 12345678,
		.loss_out_ratio = 0.25,
		.loss_in_ratio = NAN,
		.heartbeats_sent = 1001,
		.heartbeats_received = 1000,
		.heartbeat_rtt_us = 210,
		.clock_offset_s = -0.25,
		.heartbeats_blocked = true,
		.state_changes = {[EDGE_HEALTHY] = 2, [EDGE_LOSSY] = 1},
		.tcp = {.segments = 18446744073709551615ULL,
			.acked_bytes = 9007199254740993ULL,
			.retransmits = {11, 12, 13, 14, 15, 16},
			.connects = 17,
			.connect_failures = {21, 22, 23, 24, 25, 26, 27},
			.connection_errors = {31, 32, 33, 34, 35, 36, 37},
			.resets_sent = 41,
			.resets_received = 42,
			.zero_window_episodes = 43,
			.zero_window_sockets = 44,
			.stalled_sockets = 45,
			.rtt_sum_us = 2000001},
		.oldest_stall_ns = 2500 * NS_PER_MS,
	};
	/* Never heard, no heartbeats, and a name that must be escaped. */
	peers[1] = (struct snapshot_peer){
		.name = "a\\b\"c\nd",
		.state = EDGE_HEALTHY,
		.loss_out_ratio = NAN,
		.loss_in_ratio = NAN,
	};
}

static struct snapshot make_snapshot(const struct snapshot_peer *peers, size_t count)
{
	struct snapshot snapshot = sample_snapshot(peers, count);

	snapshot.uptime_ns = 61 * NS_PER_S + 5;
	snapshot.blind = true;
	snapshot.blind_reason = "starved";
	snapshot.carrier_down = true;
	snapshot.other =
		(struct snapshot_peer){.name = "other", .tcp = {.segments = 7, .rtt = {[95] = 1}}};
	snapshot.other_count = 5;
	return snapshot;
}

static char *render(const struct snapshot *snapshot, enum metrics_format format)
{
	char *data = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&data, &size);

	assert_non_null(stream);
	assert_int_equal(metrics_write(stream, snapshot, format), 0);
	assert_int_equal(fclose(stream), 0);
	return data;
}

static char *render_all(enum metrics_format format)
{
	struct snapshot_peer peers[2];
	struct snapshot snapshot;

	fill_peers(peers);
	snapshot = make_snapshot(peers, 2);
	return render(&snapshot, format);
}

/* Whether 'line' is a whole line of 'text'. */
static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = strstr(text, line); at; at = strstr(at + 1, line))
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

#define SHOP	  "{cgroup=\"/kubepods/shop/" CONTAINER "\",pod=\"shop\",container=\"" CONTAINER "\""
#define CONTAINER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define N2	  "{peer=\"n2\""

static void test_samples(void **state)
{
	static const char *const lines[] = {
		"tocsin_build_info{version=\"0.1.0\"} 1",
		"tocsin_agent_uptime_seconds 61.000000005",
		"tocsin_agent_blind 1",
		"tocsin_agent_alone 0",
		"tocsin_agent_carrier_down 1",
		"tocsin_agent_late_ticks_total 3",
		"tocsin_agent_late_seconds_total 1.500000000",
		"tocsin_other_peers 5",
		"tocsin_peer_state" N2 ",state=\"healthy\"} 0",
		"tocsin_peer_state" N2 ",state=\"lossy\"} 1",
		"tocsin_peer_state" N2 ",state=\"ingress-cut\"} 0",
		"tocsin_peer_state{peer=\"a\\\\b\\\"c\\nd\",state=\"healthy\"} 1",
		"tocsin_peer_state_changes_total" N2 ",state=\"healthy\"} 2",
		"tocsin_peer_state_changes_total" N2 ",state=\"lossy\"} 1",
		"tocsin_peer_last_heard_seconds" N2 "} 0.012345678",
		"tocsin_peer_loss_ratio" N2 ",direction=\"out\"} 0.25",
		"tocsin_peer_heartbeats_sent_total" N2 "} 1001",
		"tocsin_peer_heartbeats_received_total" N2 "} 1000",
		"tocsin_peer_agent_silent" N2 "} 0",
		"tocsin_peer_heartbeats_blocked" N2 "} 1",
		"tocsin_heartbeat_rtt_seconds" N2 "} 0.000210",
		"tocsin_peer_clock_offset_seconds" N2 "} -0.25",
		"tocsin_heartbeats_rejected_total{reason=\"malformed\"} 1",
		"tocsin_heartbeats_rejected_total{reason=\"version\"} 2",
		"tocsin_heartbeats_rejected_total{reason=\"unauthenticated\"} 3",
		"tocsin_heartbeats_rejected_total{reason=\"unknown_sender\"} 4",
		"tocsin_heartbeats_rejected_total{reason=\"replayed\"} 5",
		"tocsin_heartbeats_rejected_total{reason=\"unobserved\"} 6",
		/* Counters beyond 2^53 stay exact on the wire. */
		"tocsin_peer_segments_received_total" N2 "} 18446744073709551615",
		"tocsin_peer_segments_received_total{peer=\"other\"} 7",
		"tocsin_peer_acknowledged_bytes_total" N2 "} 9007199254740993",
		"tocsin_peer_retransmits_total" N2 ",kind=\"rto\"} 11",
		"tocsin_peer_retransmits_total" N2 ",kind=\"tlp\"} 12",
		"tocsin_peer_retransmits_total" N2 ",kind=\"fast\"} 13",
		"tocsin_peer_retransmits_total" N2 ",kind=\"syn\"} 14",
		"tocsin_peer_retransmits_total" N2 ",kind=\"synack\"} 15",
		"tocsin_peer_retransmits_total" N2 ",kind=\"failed\"} 16",
		"tocsin_peer_connects_total" N2 "} 17",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"refused\"} 21",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"reset\"} 22",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"timed_out\"} 23",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"host_unreachable\"} 24",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"net_unreachable\"} 25",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"abandoned\"} 26",
		"tocsin_peer_connect_failures_total" N2 ",reason=\"other\"} 27",
		"tocsin_peer_connection_errors_total" N2 ",reason=\"refused\"} 31",
		"tocsin_peer_connection_errors_total" N2 ",reason=\"other\"} 37",
		"tocsin_peer_resets_total" N2 ",direction=\"in\"} 42",
		"tocsin_peer_resets_total" N2 ",direction=\"out\"} 41",
		"tocsin_peer_zero_window_episodes_total" N2 "} 43",
		"tocsin_peer_zero_window_sockets" N2 "} 44",
		"tocsin_peer_stalled_sockets" N2 "} 45",
		"tocsin_peer_oldest_stall_seconds" N2 "} 2.500000000",
		"tocsin_peer_rtt_seconds_sum" N2 "} 2.000001",
		"tocsin_probe_attached{probe=\"tcp_probe\",hook=\"tp_btf/tcp_probe\"} 1",
		"tocsin_probe_attached{probe=\"tcp_reset\",hook=\"tp_btf/tcp_send_reset\"} 0",
		"tocsin_probe_runs_missed_total{probe=\"tcp_probe\",hook=\"tp_btf/tcp_probe\"} 6",
		"tocsin_probe_run_seconds_sum{probe=\"tcp_probe\",hook=\"tp_btf/tcp_probe\"} "
		"0.000060000",
		"tocsin_probe_run_seconds_count{probe=\"tcp_probe\",hook=\"tp_btf/tcp_probe\"} "
		"1000",
		"tocsin_budget_measured_seconds_total 0.300000000",
		"tocsin_budget_cpu_ratio 0.0125",
		"tocsin_budget_limit_ratio 0.01",
		"tocsin_probe_shed{family=\"drop\"} 0",
		"tocsin_probe_shed{family=\"sched\"} 1",
		"tocsin_probe_sheds_total{family=\"sched\"} 2",
		"tocsin_task_crashes_total" SHOP ",signal=\"SIGSEGV\"} 3",
		"tocsin_task_crashes_total" SHOP ",signal=\"SIGRT\"} 4",
		"tocsin_task_crashes_total{cgroup=\"/kubepods/named\",namespace=\"market\","
		"pod=\"stall-1\",container=\"till\",signal=\"SIGSEGV\"} 5",
		"tocsin_task_crashes_total{cgroup=\"other\",signal=\"SIGABRT\"} 7",
		"tocsin_pods 3",
		"tocsin_task_oom_kills_total" SHOP "} 2",
		"tocsin_tcp_cgroup_retransmits_total{cgroup=\"/kubepods/"
		"named\",namespace=\"market\","
		"pod=\"stall-1\",container=\"till\"} 21",
		"tocsin_tcp_cgroup_retransmits_total{cgroup=\"other\"} 23",
		"tocsin_tcp_cgroup_connect_failures_total{cgroup=\"/kubepods/named\","
		"namespace=\"market\",pod=\"stall-1\",container=\"till\"} 22",
		"tocsin_tcp_cgroup_records_lost_total 6",
		"tocsin_task_events_lost_total 1",
		"tocsin_task_records_lost_total 2",
		"tocsin_task_repeats_unsure_total 3",
		"tocsin_drop_packets_total{reason=\"netfilter_drop\"} 12",
		"tocsin_drop_packets_total{reason=\"other\"} 13",
		"tocsin_sched_delay_seconds_count 100",
		"tocsin_sched_delay_seconds_sum 1.000000007",
		"tocsin_sched_delay_seconds_bucket{le=\"7.62939453125e-06\"} 99",
		"tocsin_sched_delay_seconds_bucket{le=\"+Inf\"} 100",
		"tocsin_sched_unknown_total 5",
		"tocsin_peer_table_slots 4096",
		"tocsin_peer_table_used 17",
		"tocsin_peer_table_insertions_total 1",
		"tocsin_peer_table_evictions_total 2",
		"tocsin_peer_table_failures_total 3",
		"tocsin_flow_failures_total 4",
		"tocsin_wakeups_lost_total 5",
		"tocsin_cluster_verdicts{class=\"node-isolated\"} 2",
		"tocsin_cluster_verdicts{class=\"zone-cut\"} 0",
		"tocsin_cluster_verdicts_raised_total{class=\"node-down\"} 1",
		"tocsin_cluster_verdicts_raised_total{class=\"node-unreachable\"} 3",
		"tocsin_cluster_isolated_nodes 1",
		"tocsin_cluster_isolations_total 4",
		"tocsin_cluster_refusals_total{rail=\"store\"} 5",
		"tocsin_cluster_refusals_total{rail=\"interval\"} 6",
		"tocsin_cluster_actor 1",
		"tocsin_cluster_paused 0",
		"tocsin_cluster_fenced 1",
		"tocsin_store_connected 1",
		"tocsin_store_connects_total 7",
		"tocsin_store_renewal_age_seconds 0.150000000",
		"tocsin_store_row_writes_total 8",
		"tocsin_incidents_open{class=\"node-isolated\"} 1",
		"tocsin_incidents_closed_total{class=\"node-isolated\"} 3",
		"tocsin_incidents_closed_total{class=\"a\\\"b\"} 9",
		"tocsin_incident_detect_seconds_sum{class=\"node-isolated\"} 0.900000000",
		"tocsin_incident_detect_seconds_count{class=\"node-isolated\"} 3",
		"tocsin_incident_isolate_seconds_sum{class=\"node-isolated\"} 2.500000000",
		"tocsin_incident_isolate_seconds_count{class=\"node-isolated\"} 2",
		"tocsin_incident_recover_seconds_sum{class=\"node-isolated\"} 90.000000001",
		"tocsin_incident_recover_seconds_count{class=\"node-isolated\"} 1",
		"tocsin_suspicions_total 10",
		"tocsin_journal_records_total 11",
		"tocsin_journal_written_bytes_total 12",
		"tocsin_journal_lost_records_total 13",
		"tocsin_journal_write_failures_total 14",
		"tocsin_journal_failing 1",
		"tocsin_journal_queued_records 15",
		"tocsin_journal_queued_bytes 16",
		"tocsin_journal_oldest_queued_seconds 1.700000000",
		"tocsin_journal_write_seconds_sum 0.018000000",
		"tocsin_journal_write_seconds_count 19",
	};

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		char *text = render_all(formats[f]);

		for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
			if (!has_line(text, lines[i]))
				fail_msg("missing: %s\nin:\n%s", lines[i], text);
		free(text);
	}
}

/* What is not known has no sample; what does not add up has none for the rest of the peers. */
static void test_absent(void **state)
{
	static const char *const starts[] = {
		"tocsin_peer_last_heard_seconds{peer=\"a",
		"tocsin_peer_loss_ratio{peer=\"n2\",direction=\"in\"}",
		"tocsin_peer_loss_ratio{peer=\"a",
		"tocsin_heartbeat_rtt_seconds{peer=\"a",
		"tocsin_peer_heartbeats_sent_total{peer=\"a",
		"tocsin_peer_heartbeats_blocked{peer=\"a",
		"tocsin_peer_state{peer=\"other\"",
		"tocsin_peer_last_heard_seconds{peer=\"other\"",
		"tocsin_heartbeats_rejected_total{reason=\"accepted\"",
		"tocsin_task_oom_kills_total{cgroup=\"other\"",
		"tocsin_task_crashes_total{cgroup=\"other\",signal=\"SIGSEGV\"",
		"tocsin_tcp_cgroup_retransmits_total" SHOP,
		"tocsin_tcp_cgroup_connect_failures_total{cgroup=\"other\"",
		"tocsin_cluster_refusals_total{rail=\"none\"",
	};
	/* Before the agent joined, and without a journal. */
	static const char *const families[] = {
		"\ntocsin_cluster_verdicts{",
		"\ntocsin_cluster_actor ",
		"\ntocsin_cluster_fenced ",
		"\ntocsin_cluster_isolated_nodes ",
		"\ntocsin_store_connected ",
		"\ntocsin_store_renewal_age_seconds ",
		"\ntocsin_incidents_",
		"\ntocsin_incident_",
		"\ntocsin_suspicions_total ",
		"\ntocsin_journal_records_total ",
		"\ntocsin_journal_write_seconds_",
	};
	struct snapshot_cluster cluster;
	char *text = render_all(METRICS_PROMETHEUS);
	struct snapshot snapshot = make_snapshot(NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (strstr(text, starts[i]))
			fail_msg("not expected: %s", starts[i]);
	free(text);
	snapshot.other_count = 0;
	text = render(&snapshot, METRICS_PROMETHEUS);
	assert_null(strstr(text, "peer=\"other\","));
	assert_null(strstr(text, "{peer=\"other\"}"));
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		assert_non_null(strstr(text, families[i]));
	free(text);
	cluster = *snapshot.cluster;
	cluster.store_kind = CONFIG_STORE_LOCAL;
	snapshot.cluster = &cluster;
	text = render(&snapshot, METRICS_PROMETHEUS);
	assert_null(strstr(text, "\ntocsin_store_renewal_age_seconds "));
	free(text);
	snapshot.cluster = NULL;
	snapshot.incidents = NULL;
	snapshot.journal_known = false;
	text = render(&snapshot, METRICS_PROMETHEUS);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (strstr(text, families[i]))
			fail_msg("not expected: %s", families[i]);
	free(text);
}

static void test_families(void **state)
{
	static const struct {
		enum metrics_format format;
		const char *line;
	} cases[] = {
		{METRICS_PROMETHEUS, "# TYPE tocsin_peer_connects_total counter"},
		{METRICS_PROMETHEUS, "# TYPE tocsin_build_info gauge"},
		{METRICS_PROMETHEUS, "# TYPE tocsin_peer_rtt_seconds histogram"},
		{METRICS_PROMETHEUS, "# TYPE tocsin_peer_state gauge"},
		{METRICS_PROMETHEUS, "# TYPE tocsin_incident_detect_seconds summary"},
		{METRICS_OPENMETRICS, "# TYPE tocsin_incident_detect_seconds summary"},
		{METRICS_OPENMETRICS, "# UNIT tocsin_incident_detect_seconds seconds"},
		{METRICS_PROMETHEUS,
		 "# HELP tocsin_other_peers Peers beyond metrics.max_peers, which "
		 "share the series of peer=\"other\"."},
		{METRICS_OPENMETRICS, "# TYPE tocsin_peer_connects counter"},
		{METRICS_OPENMETRICS, "# TYPE tocsin_build info"},
		{METRICS_OPENMETRICS, "# TYPE tocsin_peer_rtt_seconds histogram"},
		{METRICS_OPENMETRICS, "# UNIT tocsin_peer_rtt_seconds seconds"},
		{METRICS_OPENMETRICS, "# UNIT tocsin_peer_acknowledged_bytes bytes"},
		{METRICS_OPENMETRICS, "# UNIT process_cpu_seconds seconds"},
		{METRICS_OPENMETRICS,
		 "# HELP tocsin_other_peers Peers beyond metrics.max_peers, which "
		 "share the series of peer=\\\"other\\\"."},
	};
	char *texts[2] = {render_all(METRICS_PROMETHEUS), render_all(METRICS_OPENMETRICS)};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (!has_line(texts[cases[i].format], cases[i].line))
			fail_msg("missing: %s", cases[i].line);
	assert_null(strstr(texts[METRICS_PROMETHEUS], "# UNIT"));
	assert_null(strstr(texts[METRICS_PROMETHEUS], "# EOF"));
	assert_non_null(strstr(texts[METRICS_OPENMETRICS], "\n# EOF\n"));
	assert_string_equal(strstr(texts[METRICS_OPENMETRICS], "# EOF"), "# EOF\n");
	free(texts[0]);
	free(texts[1]);
}

/* Each that stands, unless its response is less than that; and of each kind whether it is blind. */
static void test_findings(void **state)
{
	static const struct findings findings = {
		.standing = {{.kind = FINDING_DISK_STALLED, .subject = "sda"},
			     {.kind = FINDING_DISK_STALLED, .subject = "a\"b"},
			     {.kind = FINDING_DISK_ERRORS, .subject = "sda"},
			     {.kind = FINDING_CRASH_LOOP, .subject = "shop.service"}},
		.count = 4,
		.raised = {[FINDING_DISK_STALLED] = 7, [FINDING_DISK_ERRORS] = 1},
		.blind = {[FINDING_CPU_OVERLOAD] = "there is no /proc/pressure"},
		.lost = 3,
	};
	static const struct finding_settings settings[FINDING_KINDS] = {
		[FINDING_DISK_STALLED].response = FINDING_RESPONSE_METRIC,
		[FINDING_DISK_ERRORS].response = FINDING_RESPONSE_LOG,
		[FINDING_CRASH_LOOP].response = FINDING_RESPONSE_NO_SCHEDULE,
	};
	static const char *const lines[] = {
		"tocsin_finding{finding=\"disk-stalled\",subject=\"sda\"} 1",
		"tocsin_finding{finding=\"disk-stalled\",subject=\"a\\\"b\"} 1",
		"tocsin_finding{finding=\"crash-loop\",subject=\"shop.service\"} 1",
		"tocsin_findings_raised_total{finding=\"disk-stalled\"} 7",
		/* Counted all the same. */
		"tocsin_findings_raised_total{finding=\"disk-errors\"} 1",
		"tocsin_finding_blind{finding=\"cpu-overload\"} 1",
		"tocsin_finding_blind{finding=\"disk-errors\"} 0",
		"tocsin_findings_lost_total 3",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct snapshot snapshot = sample_snapshot(NULL, 0);
		unsigned int standing = 0;
		char *text;

		snapshot.findings = &findings;
		snapshot.finding_settings = settings;
		text = render(&snapshot, formats[i]);
		for (size_t j = 0; j < sizeof(lines) / sizeof(*lines); j++)
			if (!has_line(text, lines[j]))
				fail_msg("'%s' is missing in:\n%s", lines[j], text);
		for (const char *at = text; (at = strstr(at, "\ntocsin_finding{")); at++)
			standing++;
		assert_int_equal(standing, 3);
		free(text);
	}
}

/* Each sample is of the family announced last, which has one at least; no series comes twice. */
static void test_grouping(void **state)
{
	(void)state;
	for (size_t f = 0; f < 2; f++) {
		char *text = render_all(formats[f]);
		char *rest = NULL, family[128] = "";
		unsigned int samples = 0, before = 0;

		for (char *line = strtok_r(text, "\n", &rest); line;
		     line = strtok_r(NULL, "\n", &rest)) {
			if (!strncmp(line, "# TYPE ", 7)) {
				size_t length = strcspn(line + 7, " ");

				if (*family && samples == before)
					fail_msg("no sample: %s", family);
				before = samples;
				assert_true(length < sizeof(family));
				memcpy(family, line + 7, length);
				family[length] = '\0';
			} else if (*line != '#') {
				char *end = strrchr(line, ' ');

				samples++;
				assert_memory_equal(line, family, strlen(family));
				*end = '\0';
				/* 'rest' is the untouched remainder. */
				if (rest && strstr(rest, line))
					for (char *at = strstr(rest, line); at;
					     at = strstr(at + 1, line))
						if (at[-1] == '\n' && at[strlen(line)] == ' ')
							fail_msg("twice: %s", line);
			}
		}
		assert_true(samples > 100);
		free(text);
	}
}

/*
 * A time on the edge is inside the bucket, one beyond it is not, and no sample gets lost: with the
 * kernel's own function for the bucket of a time.
 */
static void test_histogram(void **state)
{
	/* In us: 2^-17 s is 7.63, 2^-16 s 15.26, 2^-10 s 976.56; 2^-6 s = 15625 and 2^4 s are
	 * whole. */
	static const uint32_t times_us[] = {0, 7, 8, 15625, 15627, 16000000, 16100000, 40000000};
	static const struct {
		const char *prometheus, *openmetrics;
		unsigned int count;
	} buckets[] = {
		{"7.62939453125e-06", "7.62939453125e-06", 2},
		{"1.52587890625e-05", "1.52587890625e-05", 3},
		{"0.0009765625", "0.0009765625", 3},
		{"0.0078125", "0.0078125", 3},
		{"0.015625", "0.015625", 4},
		{"0.03125", "0.03125", 5},
		{"0.5", "0.5", 5},
		{"1", "1.0", 5},
		{"8", "8.0", 5},
		{"16", "16.0", 6},
		{"+Inf", "+Inf", 8},
	};
	struct snapshot_peer peer = {.name = "p"};
	struct snapshot snapshot = make_snapshot(&peer, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(times_us) / sizeof(*times_us); i++)
		peer.tcp.rtt[histogram_bucket(times_us[i])]++;
	for (size_t f = 0; f < 2; f++) {
		char *text = render(&snapshot, formats[f]);

		for (size_t i = 0; i < sizeof(buckets) / sizeof(*buckets); i++) {
			const char *edge = f ? buckets[i].openmetrics : buckets[i].prometheus;
			char line[128];

			snprintf(line, sizeof(line),
				 "tocsin_peer_rtt_seconds_bucket{peer=\"p\",le=\"%s\"} %u", edge,
				 buckets[i].count);
			if (!has_line(text, line))
				fail_msg("missing: %s in:\n%s", line, text);
		}
		assert_true(has_line(text, "tocsin_peer_rtt_seconds_count{peer=\"p\"} 8"));
		free(text);
	}
}

static void test_negotiate(void **state)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} cases[] = {
		{NULL, METRICS_PROMETHEUS},
		{"", METRICS_PROMETHEUS},
		{"*/*", METRICS_PROMETHEUS},
		{"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", METRICS_PROMETHEUS},
		{"application/openmetrics-text", METRICS_OPENMETRICS},
		{"Application/OpenMetrics-Text ; Version=1.0.0", METRICS_OPENMETRICS},
		{"application/openmetrics-text2", METRICS_PROMETHEUS},
		{"application/openmetrics", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=2", METRICS_PROMETHEUS},
		{"application/openmetrics-text;q=0.2,text/plain;q=0.8", METRICS_PROMETHEUS},
		{"text/plain;version=0.0.4, application/openmetrics-text", METRICS_OPENMETRICS},
		/* Prometheus 2 and 3. */
		{"application/openmetrics-text;version=1.0.0,"
		 "application/openmetrics-text;version=0.0.1;q=0.75,"
		 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 METRICS_OPENMETRICS},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		 "application/openmetrics-text;version=0.0.1;q=0.5,"
		 "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/"
		 "plain;version=0.0.4;q=0.3,"
		 "*/*;q=0.2",
		 METRICS_OPENMETRICS},
		{",;,;q=,q=1;;", METRICS_PROMETHEUS},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (metrics_negotiate(cases[i].accept) != cases[i].format)
			fail_msg("Accept: %s", cases[i].accept);
}

/* The reference names every series. */
static void test_documented(void **state)
{
	FILE *stream = fopen("docs/metrics.md", "r");
	char *text = calloc(1, 65536);

	(void)state;
	assert_non_null(text);
	if (!stream)
		fail_msg("docs/metrics.md: run this test from the root of the tree");
	assert_in_range(fread(text, 1, 65535, stream), 1, 65534);
	assert_int_equal(fclose(stream), 0);
	for (size_t i = 0; i < metrics_of_node.count + metrics_of_decisions.count; i++) {
		const struct metric *metric =
			i < metrics_of_node.count
				? &metrics_of_node.metrics[i]
				: &metrics_of_decisions.metrics[i - metrics_of_node.count];
		char name[128];
		bool found = false;
		int length = snprintf(name, sizeof(name), "`%s%s", metric->name,
				      metric->type == METRIC_COUNTER ? "_total"
				      : metric->type == METRIC_INFO  ? "_info"
								     : "");

		for (const char *at = strstr(text, name); at && !found; at = strstr(at + 1, name))
			found = at[length] == '`' || at[length] == '{';
		if (!found)
			fail_msg("docs/metrics.md does not tell of %s", name + 1);
	}
	free(text);
}

static void test_stream_error(void **state)
{
	FILE *full = fopen("/dev/full", "we");
	struct snapshot snapshot = make_snapshot(NULL, 0);

	(void)state;
	assert_non_null(full);
	assert_true(metrics_write(full, &snapshot, METRICS_PROMETHEUS) < 0);
	fclose(full);
}

/* Returns what promtool says; *ret_status is its exit code. */
static char *run_promtool(const char *metrics, int *ret_status)
{
	char input[] = "/tmp/tocsin-metrics-XXXXXX";
	char command[128], *output = calloc(1, 65536);
	int fd = mkstemp(input);
	FILE *pipe;
	int status;

	assert_non_null(output);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, metrics, strlen(metrics)), strlen(metrics));
	close(fd);
	snprintf(command, sizeof(command), "promtool check metrics <%s 2>&1", input);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_true(fread(output, 1, 65535, pipe) < 65535);
	status = pclose(pipe);
	unlink(input);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	return output;
}

static void test_promtool(void **state)
{
	char *text, *output;
	int status;

	(void)state;
	if (system("command -v promtool >/dev/null")) {
		print_message("skipped: promtool is not installed (package prometheus)\n");
		skip();
	}
	text = render_all(METRICS_PROMETHEUS);
	output = run_promtool(text, &status);
	if (status || *output)
		fail_msg("promtool: exit %d\n%s", status, output);
	free(output);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),	  cmocka_unit_test(test_absent),
		cmocka_unit_test(test_families),  cmocka_unit_test(test_findings),
		cmocka_unit_test(test_grouping),  cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_negotiate), cmocka_unit_test(test_documented),
		cmocka_unit_test(test_promtool),  cmocka_unit_test(test_stream_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
