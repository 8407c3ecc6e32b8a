// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"
#include "config/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMBERS(list) "node: n1\nheartbeat: {authenticate: false}\nnodes:\n" list

/* Every malformed file, and the beginning of the one line that says so. */
static const struct {
	const char *yaml;
	const char *error;
} refused[] = {
	/* Syntax, and what YAML allows but a configuration must not hold. */
	{"nodes: [", "F:2:1: not valid YAML: did not find expected node content"},
	{"node: a: b", "F:1:8: not valid YAML: mapping values are not allowed in this context"},
	{"node: a\n\tmode: b", "F:2:1: not valid YAML: found a tab character"},
	{"node: \"abc", "F:1:11: not valid YAML: found unexpected end of stream"},
	{"node: n1\n\001",
	 "F:2:1: not a text file (control characters are not allowed), expected YAML"},
	{"node: n1 \xff", "F:1:10: not a text file (invalid leading UTF-8 octet), expected YAML"},
	{"# \xc3\xb6 \xff", "F:1:5: not a text file (invalid leading UTF-8 octet)"},
	{"node: &a n1", "F:1:7: found an anchor (&), expected a value without one"},
	{"nodes: &a []", "F:1:8: found an anchor (&), expected a value without one"},
	{"log: &a {}", "F:1:6: found an anchor (&), expected a value without one"},
	{"node: *a", "F:1:7: found an alias (*), expected the value itself"},
	{"node: !!str n1", "F:1:7: found a tag (!), expected a value without one"},
	{"nodes: !!seq []", "F:1:8: found a tag (!), expected a value without one"},
	{"mode: observe\n---\nmode: observe", "F:2:1: found a second document (---), expected one"},
	{"- mode", "F:1:1: found a list, expected keys with values"},
	{"observe", "F:1:1: found \"observe\", expected keys with values"},
	{"? [a]\n: b", "F:1:3: found a list as a key, expected a name"},
	{"? {a: b}\n: b", "F:1:3: found a mapping as a key, expected a name"},
	/* Unknown and repeated keys. */
	{"colour: red",
	 "F:1:1: colour: unknown key, expected one of node, mode, state_dir, netns, log, "
	 "http, heartbeat, nodes, tcp, edge, metrics"},
	{"heartbeats: {}", "F:1:1: heartbeats: unknown key, did you mean heartbeat?"},
	{"heartbeat:\n  intervall_ms: 5",
	 "F:2:3: heartbeat.intervall_ms: unknown key, did you mean "
	 "heartbeat.interval_ms?"},
	{"interval_ms: 5", "F:1:1: interval_ms: unknown key, did you mean heartbeat.interval_ms?"},
	{"tcp: {ports: 5}", "F:1:7: tcp.ports: unknown key, did you mean tcp.port?"},
	{"log: {zzzzzz: 5}", "F:1:7: log.zzzzzz: unknown key, expected one of format, level"},
	{MEMBERS("- {nam: n1}"), "F:4:4: nodes[0].nam: unknown key, did you mean nodes[].name?"},
	{"<<: {mode: observe}", "F:1:1: <<: unknown key, expected one of"},
	{"\"\": 1", "F:1:1: \"\": unknown key, expected one of"},
	{"\"mode\\0\": observe", "F:1:1: \"mode\\x00\": unknown key"},
	{"\"a b\\e[31m\": 1", "F:1:1: \"a b\\x1b[31m\": unknown key"},
	{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: 1",
	 "F:1:1: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\": unknown key, expected"},
	{"mode: observe\nnode: n1\nmode: advise",
	 "F:3:1: mode: given a second time, expected once (the "
	 "first is at line 1, column 1)"},
	{"tcp: {port: 1, port: 1}", "F:1:16: tcp.port: given a second time"},
	{"log: {}\nlog: {}", "F:2:1: log: given a second time"},
	{"log:\nlog:", "F:2:1: log: given a second time"},
	{MEMBERS("- {name: n1, name: n1}"), "F:4:14: nodes[0].name: given a second time"},
	/* Values of another shape than the key's. */
	{"mode: [observe]", "F:1:7: mode: found a list, expected observe, advise or enforce"},
	{"mode: {a: b}", "F:1:7: mode: found a mapping, expected observe, advise or enforce"},
	{"log: json", "F:1:6: log: found \"json\", expected a mapping with the keys format, level"},
	{"log: [json]", "F:1:6: log: found a list, expected a mapping with the keys format, level"},
	{"nodes: n1", "F:1:8: nodes: found \"n1\", expected a list of at most 10000 mappings"},
	{"nodes: {name: n1}", "F:1:8: nodes: found a mapping, expected a list of at most"},
	{"nodes: [n1]", "F:1:9: nodes[0]: found \"n1\", expected a mapping like {name: n1"},
	{"nodes: [[]]", "F:1:9: nodes[0]: found a list, expected a mapping like {name: n1"},
	{"nodes: [~]", "F:1:9: nodes[0]: found nothing, expected a mapping like {name: n1"},
	/* Each type's own rules. */
	{"node: \"\"",
	 "F:1:7: node: found \"\", expected 1 to 63 letters, digits, '.', '-' or '_'"},
	{"node: n 1", "F:1:7: node: found \"n 1\", expected 1 to 63 letters"},
	{"node: n\xc3\xb6rd", "F:1:7: node: found \"n\\xc3\\xb6rd\", expected 1 to 63 letters"},
	{"node: \"n1\\0\"", "F:1:7: node: found \"n1\\x00\", expected 1 to 63 letters"},
	{"node: abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij1234",
	 "F:1:7: node: \"abcdefghijabcdefghijabcdefghijabcdefghijabcdefgh...\" is too long with 64 "
	 "bytes, expected 1 to 63 letters"},
	{"mode: observer", "F:1:7: mode: found \"observer\", expected observe, advise or enforce"},
	{"mode: Observe", "F:1:7: mode: found \"Observe\", expected observe, advise or enforce"},
	{"mode: \"\"", "F:1:7: mode: found \"\", expected observe, advise or enforce"},
	{"log: {format: xml}", "F:1:15: log.format: found \"xml\", expected logfmt or json"},
	{"log: {level: warn}",
	 "F:1:14: log.level: found \"warn\", expected error, warning, info or debug"},
	{"state_dir: lib",
	 "F:1:12: state_dir: found \"lib\", expected an absolute path of at most 255"},
	{"state_dir: \"/a\\nb\"", "F:1:12: state_dir: found \"/a\\nb\", expected an absolute path"},
	{"netns: both", "F:1:8: netns: found \"both\", expected all, own or the inode number"},
	{"netns: 0", "F:1:8: netns: 0 is out of range, expected all, own or the inode number"},
	{"netns: 4294967296", "F:1:8: netns: 4294967296 is out of range, expected all, own"},
	{"http: {listen: \"localhost:80\"}",
	 "F:1:16: http.listen: found \"localhost:80\", expected "
	 "\"ADDRESS:PORT\" or \"[V6 ADDRESS]:PORT\""},
	{"http: {listen: 9479}", "F:1:16: http.listen: found \"9479\", expected \"ADDRESS:PORT\""},
	{"http: {listen: \"1.2.3.4:0\"}", "F:1:16: http.listen: found \"1.2.3.4:0\", expected"},
	{"heartbeat: {listen: \"::1:80\"}", "F:1:21: heartbeat.listen: found \"::1:80\", expected"},
	{"heartbeat:\n  interval_ms: 5",
	 "F:2:16: heartbeat.interval_ms: 5 is out of range, expected a "
	 "whole number from 20 to 10000"},
	{"heartbeat: {interval_ms: 19}", "F:1:26: heartbeat.interval_ms: 19 is out of range"},
	{"heartbeat: {interval_ms: 10001}", "F:1:26: heartbeat.interval_ms: 10001 is out of range"},
	{"heartbeat: {interval_ms: -100}", "F:1:26: heartbeat.interval_ms: -100 is out of range"},
	{"heartbeat: {interval_ms: 4294967396}",
	 "F:1:26: heartbeat.interval_ms: 4294967396 is out of"},
	{"heartbeat: {interval_ms: 18446744073709551716}",
	 "F:1:26: heartbeat.interval_ms: 18446744073709551716 is out of range"},
	{"heartbeat: {interval_ms: \"100\"}",
	 "F:1:26: heartbeat.interval_ms: found \"100\" in quotes, "
	 "expected a whole number from 20 to 10000"},
	{"heartbeat: {interval_ms: 0100}",
	 "F:1:26: heartbeat.interval_ms: found \"0100\", expected a"},
	{"heartbeat: {interval_ms: 100ms}",
	 "F:1:26: heartbeat.interval_ms: found \"100ms\", expected"},
	{"heartbeat: {interval_ms: 1e2}", "F:1:26: heartbeat.interval_ms: found \"1e2\", expected"},
	{"heartbeat: {interval_ms: 0x64}",
	 "F:1:26: heartbeat.interval_ms: found \"0x64\", expected"},
	{"heartbeat: {interval_ms: 100.0}",
	 "F:1:26: heartbeat.interval_ms: found \"100.0\", expected"},
	{"heartbeat: {key_file: key}",
	 "F:1:23: heartbeat.key_file: found \"key\", expected an absolute"},
	{"heartbeat: {authenticate: no}",
	 "F:1:27: heartbeat.authenticate: found \"no\", expected true or "
	 "false"},
	{"tcp: {max_peers: 15}",
	 "F:1:18: tcp.max_peers: 15 is out of range, expected a whole number from "
	 "16 to 65536"},
	{"tcp: {max_peers: 65537}", "F:1:18: tcp.max_peers: 65537 is out of range"},
	{"tcp: {remote: 10.0.0.1/24}",
	 "F:1:15: tcp.remote: found \"10.0.0.1/24\", expected an address "
	 "like 10.0.0.1 or fd00::1, or a network without host bits"},
	{"tcp: {port: 65536}",
	 "F:1:13: tcp.port: 65536 is out of range, expected a whole number from 0 to"},
	{"tcp: {loopback: 1}", "F:1:17: tcp.loopback: found \"1\", expected true or false"},
	{"edge: {certainty: 2}",
	 "F:1:19: edge.certainty: 2 is out of range, expected a whole number from 3 "
	 "to 12"},
	{"edge: {certainty: 13}", "F:1:19: edge.certainty: 13 is out of range"},
	{"edge: {min_silence_ms: 49}",
	 "F:1:24: edge.min_silence_ms: 49 is out of range, expected a whole "
	 "number from 50 to 60000"},
	{"edge: {min_silence_ms: 60001}", "F:1:24: edge.min_silence_ms: 60001 is out of range"},
	{"edge: {lossy_ratio: 0.0009}",
	 "F:1:21: edge.lossy_ratio: 0.0009 is out of range, expected a "
	 "number from 0.001 to 0.5"},
	{"edge: {lossy_ratio: 0.51}", "F:1:21: edge.lossy_ratio: 0.51 is out of range"},
	{"edge: {lossy_ratio: 1%}", "F:1:21: edge.lossy_ratio: found \"1%\", expected a number"},
	{"edge: {lossy_ratio: .nan}",
	 "F:1:21: edge.lossy_ratio: found \".nan\", expected a number"},
	{"edge: {lossy_ratio: inf}", "F:1:21: edge.lossy_ratio: found \"inf\", expected a number"},
	{"edge: {lossy_ratio: -}", "F:1:21: edge.lossy_ratio: found \"-\", expected a number"},
	{"edge: {lossy_ratio: 0x1p-4}",
	 "F:1:21: edge.lossy_ratio: found \"0x1p-4\", expected a number"},
	{"metrics: {max_peers: 10001}",
	 "F:1:22: metrics.max_peers: 10001 is out of range, expected a whole "
	 "number from 0 to 10000"},
	/* Nodes. */
	{MEMBERS("- {addresses: [10.0.0.1]}"),
	 "F:4:3: nodes[0].name: missing, expected the node's name"},
	{MEMBERS("- {name: n1}"),
	 "F:4:3: nodes[0].addresses: missing or empty, expected at least the"},
	{MEMBERS("- {name: n1, addresses: []}"), "F:4:3: nodes[0].addresses: missing or empty"},
	{MEMBERS("- {name: n1, addresses: }"), "F:4:3: nodes[0].addresses: missing or empty"},
	{MEMBERS("- {name: n1, addresses: 10.0.0.1}"),
	 "F:4:25: nodes[0].addresses: found \"10.0.0.1\", "
	 "expected a list of 1 to 8 addresses"},
	{MEMBERS("- {name: n1, addresses: [[10.0.0.1]]}"),
	 "F:4:26: nodes[0].addresses[0]: found a list, expected an address"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.0/24]}"),
	 "F:4:26: nodes[0].addresses[0]: found \"10.0.0.0/24\", a network, expected the node's own "
	 "address"},
	{MEMBERS("- {name: n1, addresses: [0.0.0.0]}"),
	 "F:4:26: nodes[0].addresses[0]: found \"0.0.0.0\", the unspecified address, expected"},
	{MEMBERS("- {name: n1, addresses: [\"::\"]}"),
	 "F:4:26: nodes[0].addresses[0]: found \"::\", the unspecified address, expected"},
	{MEMBERS("- {name: n1, addresses: [224.0.0.1]}"),
	 "F:4:26: nodes[0].addresses[0]: found \"224.0.0.1\", a multicast address, expected"},
	{MEMBERS("- {name: n1, addresses: [ff02::1]}"),
	 "F:4:26: nodes[0].addresses[0]: found \"ff02::1\", a multicast address, expected"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1, 10.0.0.300]}"),
	 "F:4:36: nodes[0].addresses[1]: found \"10.0.0.300\", expected an address"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, "
		 "10.0.0.6, "
		 "10.0.0.7, 10.0.0.8,\n   10.0.0.9]}"),
	 "F:5:4: nodes[0].addresses[8]: found one more address, expected at most 8"},
	{MEMBERS("- {name: n1, zone: a b}"),
	 "F:4:20: nodes[0].zone: found \"a b\", expected 1 to 63"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\n- {name: n2, addresses: [10.0.0.2]}\n"
		 "- {addresses: [10.0.0.3], name: n1}"),
	 "F:6:33: nodes[2].name: \"n1\" is also the name of nodes[0] (line 4), expected a name of "
	 "its own"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\n- {name: n2, addresses: [10.0.0.2]}\n"
		 "- {name: n2, addresses: [10.0.0.3]}"),
	 "F:6:10: nodes[2].name: \"n2\" is also the name of nodes[1] (line 5)"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\n- {name: n2, addresses: [10.0.0.1]}"),
	 "F:5:26: nodes[1].addresses[0]: 10.0.0.1 overlaps 10.0.0.1 of node \"n1\" (line 4), "
	 "expected "
	 "addresses that belong to one node only"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\n- {name: n2, addresses: "
		 "[\"::ffff:10.0.0.1\"]}"),
	 "F:5:26: nodes[1].addresses[0]: 10.0.0.1 overlaps 10.0.0.1 of node \"n1\" (line 4)"},
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\n- {name: n2, addresses: [10.1.0.1, "
		 "10.0.0.0/24]}"),
	 "F:5:36: nodes[1].addresses[1]: 10.0.0.0/24 overlaps 10.0.0.1 of node \"n1\" (line 4)"},
	/* The network around both is neither's neighbour in the order of addresses. */
	{MEMBERS("- {name: n1, addresses: [10.9.0.1, 10.0.0.0/16, 10.0.1.0/24, 10.0.2.0/24]}\n"
		 "- {name: n2, addresses: [10.8.0.1,\n  10.0.3.0/24]}"),
	 "F:6:3: nodes[1].addresses[1]: 10.0.3.0/24 overlaps 10.0.0.0/16 of node \"n1\" (line 4)"},
	/* This node, and the key. */
	{"node: n2\nheartbeat: {key_file: /k}\nnodes: [{name: n1, addresses: [10.0.0.1]}]",
	 "F:1:1: node: \"n2\" is not the name of any of the nodes, expected one of their names"},
	{"node: n1\nnodes: [{name: n1, addresses: [10.0.0.1]}]",
	 "F:2:1: heartbeat.key_file: missing, expected the path of a file with the 32-byte key "
	 "that all "
	 "nodes share (one makes it with: head -c 32 /dev/urandom > /etc/tocsin/key), or "
	 "heartbeat.authenticate: false"},
	{"node: n1\nheartbeat:\n  key_file:\nnodes: [{name: n1, addresses: [10.0.0.1]}]",
	 "F:3:3: heartbeat.key_file: missing"},
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		struct config config = {.node_count = 77};
		char message[1024] = "";
		struct text error = TEXT(message);
		int result = config_parse("F", refused[i].yaml, strlen(refused[i].yaml), &config,
					  &error);

		if (result != -EINVAL ||
		    strncmp(message, refused[i].error, strlen(refused[i].error)))
			fail_msg("case %zu, %s:\nexpected %s\n   found %s", i, refused[i].yaml,
				 refused[i].error, message);
		assert_null(strchr(message, '\n'));
		assert_false(error.truncated);
		assert_int_equal(config.node_count, 77); /* untouched */
	}
}

static void load(const char *yaml, struct config *config)
{
	char message[1024] = "";
	struct text error = TEXT(message);

	if (config_parse("F", yaml, strlen(yaml), config, &error))
		fail_msg("%s: %s", yaml, message);
	assert_string_equal(message, "");
}

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
		"log:\nhttp:\nheartbeat:\nnodes:\ntcp:\nedge:\nmetrics:\n",
		"nodes: []\nlog: {}\n",
		"mode:\nheartbeat: {interval_ms: , key_file: ~, authenticate: null}\nnetns:",
		"node: ~",
	};
	struct config expected = {0};

	(void)state;
	assert_int_equal(config_defaults(&expected), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		struct config config = {0};

		load(files[i], &config);
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
	assert_null(config.nodes);
	assert_int_equal(config.node_count, 0);
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
		"metrics: {max_peers: 0}\n";
	char buffer[ADDRESS_TEXT_MAX];
	struct config config = {0};
	const struct config_node *node;

	(void)state;
	load(yaml, &config);
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
	load("mode: advise\nlog: {level: error, format: \"logfmt\"}\nnetns: own\n"
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
	load(yaml, &config);
	assert_string_equal(config.node, host);
	config_free(&config);
}

/* Longest values that fit, one byte more that does not. */
static void test_path_length(void **state)
{
	for (size_t length = CONFIG_PATH_MAX - 1; length <= CONFIG_PATH_MAX; length++) {
		char path[CONFIG_PATH_MAX + 1], yaml[CONFIG_PATH_MAX + 64], message[1024] = "";
		struct text error = TEXT(message);
		struct config config = {0};
		bool fits = length < CONFIG_PATH_MAX;
		int result;

		memset(path, 'a', sizeof(path));
		path[0] = '/';
		path[length] = '\0';
		snprintf(yaml, sizeof(yaml), "state_dir: %s\n", path);
		result = config_parse("F", yaml, strlen(yaml), &config, &error);
		assert_int_equal(result, fits ? 0 : -EINVAL);
		if (fits)
			assert_string_equal(config.state_dir, path);
		else
			assert_non_null(strstr(message, "is too long with 256 bytes, expected an "
							"absolute path of at most 255 bytes"));
		config_free(&config);
	}
	(void)state;
}

static char *many_nodes(unsigned int count, const char *last)
{
	char *yaml = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&yaml, &size);

	assert_non_null(stream);
	fprintf(stream, "node: n0\nheartbeat: {key_file: /k}\nnodes:\n");
	for (unsigned int i = 0; i < count; i++)
		fprintf(stream,
			"- {name: n%u, addresses: [10.0.%u.%u, 11.%u.%u.0/24], zone: z%u}\n", i,
			i / 256, i % 256, i / 256, i % 256, i % 3);
	fprintf(stream, "%s", last);
	assert_int_equal(fclose(stream), 0);
	return yaml;
}

static void test_ten_thousand_nodes(void **state)
{
	static const struct {
		unsigned int count;
		const char *last;
		const char *error;
	} cases[] = {
		{CONFIG_NODES_MAX, "", ""},
		{CONFIG_NODES_MAX, "- {name: m, addresses: [12.0.0.1]}\n",
		 "F:10004:3: nodes[10000]: found one more node, expected at most 10000"},
		{CONFIG_NODES_MAX - 1, "- {name: n0, addresses: [12.0.0.1]}\n",
		 "F:10003:10: nodes[9999].name: \"n0\" is also the name of nodes[0] (line 4), "
		 "expected a "
		 "name of its own"},
		{CONFIG_NODES_MAX - 1, "- {name: m, addresses: [12.0.0.1, 11.20.0.128/25]}\n",
		 "F:10003:35: nodes[9999].addresses[1]: 11.20.0.128/25 overlaps 11.20.0.0/24 of "
		 "node "
		 "\"n5120\" (line 5124), expected addresses that belong to one node only"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *yaml = many_nodes(cases[i].count, cases[i].last);
		char message[1024] = "";
		struct text error = TEXT(message);
		struct config config = {0};
		uint64_t begin_ns = clock_monotonic_ns(), took_ns;

		(void)config_parse("F", yaml, strlen(yaml), &config, &error);
		took_ns = clock_monotonic_ns() - begin_ns;
		assert_string_equal(message, cases[i].error);
		if (!*cases[i].error) {
			assert_int_equal(config.node_count, CONFIG_NODES_MAX);
			assert_string_equal(config.nodes[9999].name, "n9999");
		}
		print_message("%u nodes: %.1f ms\n", cases[i].count, (double)took_ns / 1e6);
		/* 200 ms without sanitizers; a quadratic check takes seconds with and without. */
		assert_true(took_ns < 1000 * NS_PER_MS);
		config_free(&config);
		free(yaml);
	}
}

/* Nothing that fits into a file makes the reader slow. */
static void test_hostile_files(void **state)
{
	static const char *const patterns[] = {
		"[", "{",   "- ", "? ",	    "a: ", "[[],", "\"",   "'",		  "#",
		"!", "&a ", "%",  "- - \n", "a\n", "{a,",  "|\n ", "\xef\xbb\xbf"};
	char *data = malloc(CONFIG_FILE_BYTES_MAX);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		size_t length = strlen(patterns[i]), used = 0;
		uint64_t begin_ns = clock_monotonic_ns();
		char message[1024] = "";
		struct text error = TEXT(message);
		struct config config = {0};

		while (used + length <= CONFIG_FILE_BYTES_MAX) {
			memcpy(data + used, patterns[i], length);
			used += length;
		}
		if (!config_parse("F", data, used, &config, &error))
			config_free(&config);
		else
			assert_string_not_equal(message, "");
		if (clock_monotonic_ns() - begin_ns > 2 * NS_PER_S)
			fail_msg("a file full of '%s' took too long", patterns[i]);
	}
	free(data);
}

struct directory {
	char path[64];
	char file[96];
};

static int make_directory(void **state)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return -1;
	snprintf(directory->path, sizeof(directory->path), "/tmp/test_config.XXXXXX");
	if (!mkdtemp(directory->path)) {
		free(directory);
		return -1;
	}
	snprintf(directory->file, sizeof(directory->file), "%s/tocsin.yaml", directory->path);
	*state = directory;
	return 0;
}

static int remove_directory(void **state)
{
	struct directory *directory = *state;

	unlink(directory->file);
	rmdir(directory->path);
	free(directory);
	return 0;
}

static void assert_load_fails(const char *path, int expected, const char *reason)
{
	struct config config = {.node_count = 77};
	char message[1024] = "", line[512];
	struct text error = TEXT(message);

	snprintf(line, sizeof(line), "%s: %s", path, reason);
	assert_int_equal(config_load(path, &config, &error), expected);
	assert_string_equal(message, line);
	assert_int_equal(config.node_count, 77);
}

static void write_file(const char *path, const char *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, length), length);
	assert_int_equal(close(fd), 0);
}

static void test_load(void **state)
{
	struct directory *directory = *state;
	char message[1024] = "";
	struct text error = TEXT(message);
	struct config config = {0};

	write_file(directory->file, "node: abc\n", 10);
	assert_int_equal(config_load(directory->file, &config, &error), 0);
	assert_string_equal(message, "");
	assert_string_equal(config.node, "abc");
	config_free(&config);
}

static void test_load_errors(void **state)
{
	struct directory *directory = *state;

	assert_load_fails(directory->file, -ENOENT, "cannot be opened: No such file or directory");
	assert_load_fails(directory->path, -EISDIR, "found a directory, expected a regular file");
	assert_load_fails("/dev/null", -EINVAL, "found a device, expected a regular file");
	/* Would wait for ever for a writer if it were opened plainly; the alarm ends the test then.
	 */
	assert_int_equal(mkfifo(directory->file, 0600), 0);
	alarm(10);
	assert_load_fails(directory->file, -EINVAL, "found a pipe (FIFO), expected a regular file");
	alarm(0);
}

static void test_load_size(void **state)
{
	struct directory *directory = *state;
	size_t size = CONFIG_FILE_BYTES_MAX + 1;
	char *data = malloc(size);
	char message[1024] = "";
	struct text error = TEXT(message);
	struct config config = {0};

	assert_non_null(data);
	memset(data, '#', size);
	write_file(directory->file, data, size - 1);
	assert_int_equal(config_load(directory->file, &config, &error), 0);
	config_free(&config);
	write_file(directory->file, data, size);
	assert_load_fails(directory->file, -EFBIG, "is too long, expected at most 1048576 bytes");
	free(data);
}

static char *read_file(const char *path)
{
	FILE *stream = fopen(path, "r");
	char *data = calloc(1, 65536);

	if (!stream)
		fail_msg("cannot open %s: run this test from the root of the tree", path);
	assert_non_null(data);
	assert_true(fread(data, 1, 65535, stream) > 0);
	assert_int_equal(fclose(stream), 0);
	return data;
}

/* The reference names every key. */
static void test_documented(void **state)
{
	char *text = read_file("docs/configuration.md");

	(void)state;
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		char quoted[CONFIG_KEY_PATH_MAX + 2];

		snprintf(quoted, sizeof(quoted), "`%s`", config_keys[i].path);
		if (config_keys[i].type != &config_type_section && !strstr(text, quoted))
			fail_msg("docs/configuration.md does not tell of %s", quoted);
	}
	free(text);
}

/*
 * The example is good as it is delivered, and also with every setting that it shows switched on:
 * their lines begin with '#' and not with '#' and one blank.
 */
static void test_example(void **state)
{
	char *text = read_file("deploy/tocsin.yaml");
	struct config config = {0}, expected = {0};
	char *to = text;

	(void)state;
	assert_int_equal(config_defaults(&expected), 0);
	load(text, &config);
	assert_memory_equal(&config, &expected, sizeof(config));
	config_free(&config);

	for (const char *from = text; *from; from++) {
		bool first = from == text || from[-1] == '\n';

		bool remark = from[1] == '\n' || (from[1] == ' ' && from[2] != ' ');

		if (!first || *from != '#' || remark)
			*to++ = *from;
	}
	*to = '\0';
	load(text, &config);
	assert_true(config.node_count > 0);
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		const char *dot = strrchr(config_keys[i].path, '.');
		char setting[CONFIG_KEY_PATH_MAX + 1];

		snprintf(setting, sizeof(setting), "%s:", dot ? dot + 1 : config_keys[i].path);
		if (!strstr(text, setting))
			fail_msg("deploy/tocsin.yaml does not show %s", config_keys[i].path);
	}
	config_free(&config);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_nothing_is_the_defaults),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_host_name_looked_for),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_ten_thousand_nodes),
		cmocka_unit_test(test_hostile_files),
		cmocka_unit_test_setup_teardown(test_load, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_load_errors, make_directory, remove_directory),
		cmocka_unit_test_setup_teardown(test_load_size, make_directory, remove_directory),
		cmocka_unit_test(test_documented),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
