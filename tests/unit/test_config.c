// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is read: the defaults, every key, and the words that they take. */
#include "config/config.h"

#include "config/keys.h"
#include "unit/config_expect.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Files that say nothing, or nothing else than the defaults. */
static void test_nothing_is_the_defaults(void **state)
{
	static const char *const files[] = {
		"",
		"\n\n",
		"# only a comment\n",
		"---\n",
		"---\n...\n",
		"{}",
		"~",
		("log:\nhttp:\nheartbeat:\nnodes:\ntcp:\nedge:\nmetrics:\nstore:\netcd:\n"
		 "isolation: {hook: }\n"),
		"nodes: []\nlog: {}\n",
		"mode:\nheartbeat: {interval_ms: , key_file: ~, authenticate: null}\nnetns:",
		"node: ~",
	};
	struct config expected = {0};

	(void)state;
	assert_int_equal(config_defaults(&expected), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct config config = {0};

		config_expect_good(files[i], &config);
		assert_string_equal(config.node, expected.node);
		assert_memory_equal(&config, &expected, sizeof(config));
		config_free(&config);
	}
}

static void test_defaults(void **state)
{
	char host[CONFIG_NAME_MAX] = "", listen[ADDRESS_TEXT_MAX];
	struct config config = {0};

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	assert_int_equal(config_defaults(&config), 0);
	assert_string_equal(config.node, host);
	assert_int_equal(config.mode, CONFIG_MODE_OBSERVE);
	assert_string_equal(config.state_dir, "/var/lib/tocsin");
	assert_int_equal(config.netns.kind, CONFIG_NETNS_ALL);
	assert_int_equal(config.log.format, LOG_FORMAT_LOGFMT);
	assert_int_equal(config.log.level, LOG_LEVEL_INFO);
	assert_string_equal(address_format(&config.http.listen.address, listen), "127.0.0.1");
	assert_int_equal(config.http.listen.port, 9479);
	assert_string_equal(address_format(&config.heartbeat.listen.address, listen), "0.0.0.0");
	assert_int_equal(config.heartbeat.listen.port, 9480);
	assert_int_equal(config.heartbeat.interval_ms, 100);
	assert_string_equal(config.heartbeat.key_file, "");
	assert_true(config.heartbeat.authenticate);
	assert_int_equal(config.tcp.max_peers, 4096);
	assert_int_equal(config.tcp.remote.prefix, 0);
	assert_int_equal(config.tcp.port, 0);
	assert_false(config.tcp.loopback);
	assert_int_equal(config.edge.certainty, 6);
	assert_int_equal(config.edge.min_silence_ms, 250);
	assert_true(config.edge.lossy_ratio == 0.01);
	assert_int_equal(config.metrics.max_peers, 100);
	assert_int_equal(config.metrics.max_cgroups, 256);
	assert_true(config.budget.cpu_percent == 1);
	assert_int_equal(config.budget.restore_after_s, 60);
	assert_int_equal(config.store.kind, CONFIG_STORE_LOCAL);
	assert_int_equal(config.etcd.endpoint_count, 0);
	assert_string_equal(config.etcd.prefix, "/tocsin/");
	assert_int_equal(config.etcd.lease_seconds, 2);
	assert_int_equal(config.isolation.action_count, 1);
	assert_int_equal(config.isolation.actions[0], CONFIG_ACTION_FENCE);
	assert_int_equal(config.isolation.allow_count, 0);
	assert_int_equal(config.isolation.hook.argument_count, 0);
	assert_int_equal(config.isolation.hook.timeout_ms, 5000);
	assert_int_equal(config.isolation.after_heal_count, 0);
	assert_true(config.isolation.max_ratio == 0.1);
	assert_int_equal(config.isolation.settle_ms, 500);
	assert_int_equal(config.isolation.hold_down_ms, 30000);
	assert_int_equal(config.isolation.interval_ms, 10000);
	assert_int_equal(config.isolation.lease_grace_ms, 700);
	assert_null(config.nodes);
	assert_int_equal(config.node_count, 0);
	config_free(&config);
}

static bool is_limit(const struct config_key *key)
{
	size_t begin = offsetof(struct config, findings.limits);

	return key->size && !strncmp(key->path, "findings.", strlen("findings.")) &&
	       key->offset >= begin && key->offset < begin + sizeof(struct finding_limits);
}

static size_t count_limits(void)
{
	size_t count = 0;

	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++)
		count += is_limit(&config_keys[i]);
	return count;
}

/* The limits are whole numbers of 32 bits and decimals of 64. */
static double default_limit(const struct config *config, const char *name)
{
	for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
		const struct config_key *key = &config_keys[i];
		const char *field = (const char *)config + key->offset;

		if (!is_limit(key) || strcmp(key->path + strlen("findings."), name) != 0)
			continue;
		return key->size == sizeof(double) ? *(const double *)field
						   : *(const uint32_t *)field;
	}
	fail_msg("findings.%s is no key", name);
	return 0;
}

/* When a node finds something of its own health, and what follows, as docs/findings.md says it. */
static void test_default_findings(void **state)
{
	static const struct {
		const char *key; /* below findings */
		double expected;
	} limits[] = {
		{"disk-slow.ratio", 5},
		{"disk-slow.min_ms", 20},
		{"disk-slow.windows", 3},
		{"disk-slow.window_ms", 5000},
		{"disk-slow.sibling_ratio", 2},
		{"disk-slow.sibling_for_s", 300},
		{"disk-stalled.after_ms", 2000},
		{"disk-hung-request.after_ms", 5000},
		{"disk-errors.clear_after_s", 60},
		{"cpu-overload.pressure_percent", 40},
		{"cpu-overload.wait_ms", 20},
		{"cpu-overload.windows", 3},
		{"cpu-overload.busy_percent", 75},
		{"cpu-overload.busy_for_s", 300},
		{"memory-pressure.pressure_percent", 10},
		{"io-pressure.pressure_percent", 40},
		{"accept-overflow.delay_ms", 100},
		{"receive-drops.deviations", 4},
		{"receive-drops.ratio", 0.01},
		{"peer-overloaded.after_ms", 1000},
		{"crash-loop.crashes", 3},
		{"crash-loop.within_s", 60},
		{"task-hung.after_s", 30},
		{"clock-skew.offset_ms", 500},
		{"capacity.horizon_s", 1800},
		{"capacity.reserve_percent", 20},
		{"filesystem.used_percent", 95},
	};
	struct config config = {0};

	(void)state;
	assert_int_equal(config_defaults(&config), 0);
	for (size_t i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		double value = default_limit(&config, limits[i].key);

		if (value != limits[i].expected)
			fail_msg("findings.%s is %g by default, expected %g", limits[i].key, value,
				 limits[i].expected);
	}
	/* There are no others. */
	assert_int_equal(count_limits(), sizeof(limits) / sizeof(*limits));
	for (int kind = 0; kind < FINDING_KINDS; kind++) {
		assert_int_equal(config.findings.settings[kind].response, FINDING_RESPONSE_ROW);
		assert_int_equal(config.findings.settings[kind].hook_argument_count, 0);
	}
	assert_int_equal(config.findings.hook_timeout_ms, 5000);
	config_free(&config);
}

static void test_every_key(void **state)
{
	static const char yaml[] =
		"node: n2\n"
		"mode: enforce\n"
		"state_dir: /srv/tocsin\n"
		"netns: 4026531840\n"
		"log: {format: json, level: debug}\n"
		"http: {listen: \"[::1]:80\"}\n"
		"heartbeat:\n"
		"  listen: 10.0.0.2:1234\n"
		"  interval_ms: 20\n"
		"  key_file: /etc/key\n"
		"  authenticate: true\n"
		"nodes:\n"
		"  - name: n1\n"
		"    addresses: [10.0.0.1, 10.244.1.0/24, 10.244.1.7]\n"
		"    zone: a\n"
		"  - {name: n2, addresses: [\"fd00::2\", \"fd00:1::/64\"]}\n"
		"tcp: {max_peers: 65536, remote: 10.0.0.0/8, port: 65535, "
		"loopback: true}\n"
		"edge: {certainty: 12, min_silence_ms: 60000, lossy_ratio: 5e-1}\n"
		"metrics: {max_peers: 0, max_cgroups: 1000}\n"
		"budget: {cpu_percent: 0.01, restore_after_s: 86400}\n"
		"store: {kind: etcd}\n"
		"etcd:\n"
		"  endpoints: [\"http://10.0.0.1:2379\", \"https://[fd00::1]:2379\"]\n"
		"  prefix: /a/b/\n"
		"  ca_file: /ca\n"
		"  cert_file: /cert\n"
		"  key_file: /key\n"
		"  user: u\n"
		"  password_file: /p\n"
		"  lease_seconds: 60\n"
		"isolation:\n"
		"  actions: [hook, fence]\n"
		"  allow: [10.9.0.0/16, \"fd00::9\"]\n"
		"  hook: {argv: [/bin/true, \"\", a b], timeout_ms: 100}\n"
		"  after_heal: [/etc/flush, /bin/true]\n"
		"  max_ratio: 0.5\n"
		"  settle_ms: 100\n"
		"  hold_down_ms: 1000\n"
		"  interval_ms: 0\n"
		"  lease_grace_ms: 200\n"
		"watch: [{exe: /usr/bin/etcd}, {unit: 'getty@tty1.service'}, {port: 6443}]\n";
	char buffer[ADDRESS_TEXT_MAX];
	struct config config = {0};
	const struct config_node *node;

	(void)state;
	config_expect_good(yaml, &config);
	assert_string_equal(config.node, "n2");
	assert_int_equal(config.mode, CONFIG_MODE_ENFORCE);
	assert_string_equal(config.state_dir, "/srv/tocsin");
	assert_int_equal(config.netns.kind, CONFIG_NETNS_INODE);
	assert_int_equal(config.netns.inode, 4026531840U);
	assert_int_equal(config.log.format, LOG_FORMAT_JSON);
	assert_int_equal(config.log.level, LOG_LEVEL_DEBUG);
	assert_string_equal(address_format(&config.http.listen.address, buffer), "::1");
	assert_int_equal(config.http.listen.port, 80);
	assert_string_equal(address_format(&config.heartbeat.listen.address, buffer), "10.0.0.2");
	assert_int_equal(config.heartbeat.listen.port, 1234);
	assert_int_equal(config.heartbeat.interval_ms, 20);
	assert_string_equal(config.heartbeat.key_file, "/etc/key");
	assert_int_equal(config.tcp.max_peers, 65536);
	assert_string_equal(cidr_format(&config.tcp.remote, buffer), "10.0.0.0/8");
	assert_int_equal(config.tcp.port, 65535);
	assert_true(config.tcp.loopback);
	assert_int_equal(config.edge.certainty, 12);
	assert_int_equal(config.edge.min_silence_ms, 60000);
	assert_true(config.edge.lossy_ratio == 0.5);
	assert_int_equal(config.metrics.max_peers, 0);
	assert_int_equal(config.metrics.max_cgroups, 1000);
	assert_true(config.budget.cpu_percent == 0.01);
	assert_int_equal(config.budget.restore_after_s, 86400);
	assert_int_equal(config.store.kind, CONFIG_STORE_ETCD);
	assert_int_equal(config.etcd.endpoint_count, 2);
	assert_string_equal(config.etcd.endpoints[0], "http://10.0.0.1:2379");
	assert_string_equal(config.etcd.endpoints[1], "https://[fd00::1]:2379");
	assert_string_equal(config.etcd.prefix, "/a/b/");
	assert_string_equal(config.etcd.ca_file, "/ca");
	assert_string_equal(config.etcd.cert_file, "/cert");
	assert_string_equal(config.etcd.key_file, "/key");
	assert_string_equal(config.etcd.user, "u");
	assert_string_equal(config.etcd.password_file, "/p");
	assert_int_equal(config.etcd.lease_seconds, 60);
	assert_int_equal(config.isolation.action_count, 2);
	assert_int_equal(config.isolation.actions[0], CONFIG_ACTION_HOOK);
	assert_int_equal(config.isolation.actions[1], CONFIG_ACTION_FENCE);
	assert_int_equal(config.isolation.allow_count, 2);
	assert_string_equal(cidr_format(&config.isolation.allow[1], buffer), "fd00::9");
	assert_int_equal(config.isolation.hook.argument_count, 3);
	assert_string_equal(config.isolation.hook.argv[0], "/bin/true");
	assert_string_equal(config.isolation.hook.argv[1], "");
	assert_string_equal(config.isolation.hook.argv[2], "a b");
	assert_int_equal(config.isolation.hook.timeout_ms, 100);
	assert_int_equal(config.isolation.after_heal_count, 2);
	assert_string_equal(config.isolation.after_heal[0], "/etc/flush");
	assert_string_equal(config.isolation.after_heal[1], "/bin/true");
	assert_true(config.isolation.max_ratio == 0.5);
	assert_int_equal(config.isolation.settle_ms, 100);
	assert_int_equal(config.isolation.hold_down_ms, 1000);
	assert_int_equal(config.isolation.interval_ms, 0);
	assert_int_equal(config.isolation.lease_grace_ms, 200);
	assert_int_equal(config.watch_count, 3);
	assert_string_equal(config.watches[0].exe, "/usr/bin/etcd");
	assert_string_equal(config.watches[1].unit, "getty@tty1.service");
	assert_string_equal(config.watches[1].exe, "");
	assert_int_equal(config.watches[2].port, 6443);
	assert_int_equal(config.node_count, 2);

	node = config_find_node(&config, "n1");
	assert_ptr_equal(node, &config.nodes[0]);
	assert_string_equal(node->zone, "a");
	assert_int_equal(node->address_count, 3);
	assert_string_equal(cidr_format(&node->addresses[0], buffer), "10.0.0.1");
	assert_string_equal(cidr_format(&node->addresses[1], buffer), "10.244.1.0/24");
	assert_string_equal(cidr_format(&node->addresses[2], buffer), "10.244.1.7");
	node = config_find_node(&config, "n2");
	assert_ptr_equal(node, &config.nodes[1]);
	assert_string_equal(node->zone, "");
	assert_string_equal(cidr_format(&node->addresses[1], buffer), "fd00:1::/64");
	assert_null(config_find_node(&config, "n3"));
	assert_null(config_find_node(&config, "n"));
	config_free(&config);
	assert_null(config.nodes);
}

static void test_words(void **state)
{
	struct config config = {0};

	(void)state;
	config_expect_good(
		"mode: advise\nlog: {level: error, format: \"logfmt\"}\nnetns: own\n"
		"heartbeat: {authenticate: false, key_file: /k}\nedge: {lossy_ratio: 0.001}",
		&config);
	assert_int_equal(config.mode, CONFIG_MODE_ADVISE);
	assert_int_equal(config.log.level, LOG_LEVEL_ERROR);
	assert_int_equal(config.log.format, LOG_FORMAT_LOGFMT);
	assert_int_equal(config.netns.kind, CONFIG_NETNS_OWN);
	assert_int_equal(config.netns.inode, 0);
	assert_false(config.heartbeat.authenticate);
	/* Contract of config.h: no key file where none is used. */
	assert_string_equal(config.heartbeat.key_file, "");
	assert_true(config.edge.lossy_ratio == 0.001);
	config_free(&config);
}

/* The host name is the default, and the error names it. */
static void test_host_name_looked_for(void **state)
{
	char host[CONFIG_NAME_MAX] = "", yaml[512], expected[512], message[1024] = "";
	struct text error = TEXT(message);
	struct config config = {0};

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	snprintf(yaml, sizeof(yaml),
		 "heartbeat: {key_file: /k}\nnodes: [{name: x%.40s, addresses: [10.0.0.1]}]", host);
	snprintf(expected, sizeof(expected),
		 "F:2:1: node: not given, and this host's name, \"%s\", is not the name of any of "
		 "the "
		 "nodes, expected one of their names",
		 host);
	assert_int_equal(config_parse("F", yaml, strlen(yaml), &config, &error), -EINVAL);
	assert_string_equal(message, expected);

	snprintf(yaml, sizeof(yaml),
		 "heartbeat: {key_file: /k}\nnodes: [{name: %.63s, addresses: [10.0.0.1]}]", host);
	config_expect_good(yaml, &config);
	assert_string_equal(config.node, host);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_the_defaults),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_default_findings),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_host_name_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
