// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is refused, and the one line that says so. */
#include "config/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

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
	 "http, heartbeat, nodes, tcp, edge, metrics, budget, store, etcd, kubernetes, isolation"},
	/* Lists of single values. */
	{"etcd: {endpoints: http://a}", "F:1:19: etcd.endpoints: found \"http://a\", expected a "
					"list of at most 8, each a URL like"},
	{"etcd: {endpoints: [http://a, ftp://b]}",
	 "F:1:30: etcd.endpoints[1]: found \"ftp://b\", expected a URL like"},
	{"etcd: {endpoints: [[http://a]]}",
	 "F:1:20: etcd.endpoints[0]: found a list, expected a URL like"},
	{"etcd: {endpoints: [\"http://a b\"]}",
	 "F:1:20: etcd.endpoints[0]: found \"http://a b\", expected a URL like"},
	{"isolation: {actions: [fence, hook, taint, cordon, evict, fence]}",
	 "F:1:58: isolation.actions[5]: found one more, expected at most 5"},
	{"isolation: {actions: [taint]}",
	 "F:1:13: isolation.actions: taint, cordon and evict need Kubernetes"},
	{"store: {kind: kubernetes}\nheartbeat: {authenticate: false}\n"
	 "isolation: {actions: [taint, evict]}",
	 "F:3:13: isolation.actions: evict waits until the node says that its fence is up, "
	 "expected "
	 "fence, too"},
	{"findings: {disk-slow: {response: no-schedule}}",
	 "F:1:24: findings.disk-slow.response: no-schedule needs Kubernetes"},
	{"store: {kind: kubernetes}",
	 "F:1:9: heartbeat.key_file: missing, expected the path of a file with the 32-byte key"},
	{"store: {kind: kubernetes}\nheartbeat: {authenticate: false}\n"
	 "kubernetes: {lease_seconds: 1, renew_interval_ms: 501}",
	 "F:3:32: kubernetes.renew_interval_ms: leaves no time for a second try"},
	{"isolation: {actions: [reboot]}",
	 "F:1:23: isolation.actions[0]: found \"reboot\", expected fence, hook, taint, "
	 "cordon or evict"},
	{"isolation: {allow: [10.0.0.1/24]}",
	 "F:1:21: isolation.allow[0]: found \"10.0.0.1/24\", expected an address"},
	{"isolation: {after_heal: [/a, flush]}",
	 "F:1:30: isolation.after_heal[1]: found \"flush\", expected an absolute path"},
	{"isolation: {hook: {argv: [a], time: 5}}",
	 "F:1:31: isolation.hook.time: unknown key, expected one of argv, timeout_ms"},
	{"etcd: {prefix: /tocsin}", "F:1:16: etcd.prefix: found \"/tocsin\", expected a path"},
	/* What one needs of another. */
	{MEMBERS("- {name: n1, addresses: [10.0.0.1]}\nstore: {kind: etcd}"),
	 "F:5:9: store.kind: etcd has no endpoints, expected etcd.endpoints"},
	{"store: {kind: etcd}\netcd: {endpoints: [http://a]}",
	 "F:1:9: store.kind: etcd has nothing to share, expected the members"},
	{"etcd: {key_file: /k}", "F:1:8: etcd.key_file: is of no use without etcd.cert_file"},
	{"etcd: {cert_file: /k}", "F:1:8: etcd.cert_file: is of no use without etcd.key_file"},
	{"etcd: {user: u}", "F:1:8: etcd.user: has no password, expected etcd.password_file"},
	{"isolation: {actions: [hook]}",
	 "F:1:13: isolation.actions: hook has no command, expected isolation.hook.argv"},
	{"isolation: {hook: {argv: [true]}}",
	 "F:1:20: isolation.hook.argv: names no program, expected an absolute path first"},
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
	{"watch: etcd", "F:1:8: watch: found \"etcd\", expected a list of at most 32 mappings like "
			"{exe: /usr/bin/etcd}"},
	{"watch: [etcd]", "F:1:9: watch[0]: found \"etcd\", expected a mapping like {exe: "},
	/* A process is watched by one thing. */
	{"watch: [{}]", "F:1:9: watch[0]: expected exactly one of exe, unit and port"},
	{"watch: [{exe: }]", "F:1:9: watch[0]: expected exactly one of exe, unit and port"},
	{"watch: [{port: 1}, {exe: /a, port: 1}]",
	 "F:1:20: watch[1]: expected exactly one of exe, unit and port"},
	{"watch: [{pid: 1}]", "F:1:10: watch[0].pid: unknown key, expected one of exe, unit, port"},
	{"watch: [{exe: etcd}]", "F:1:15: watch[0].exe: found \"etcd\", expected an absolute path"},
	{"watch: [{port: 0}]", "F:1:16: watch[0].port: 0 is out of range, expected a whole number"},
	{"watch: [{port: 1, port: 2}]", "F:1:19: watch[0].port: given a second time"},
	{"watch: [{unit: kubelet}]",
	 "F:1:16: watch[0].unit: found \"kubelet\", expected the name of a systemd unit of at most "
	 "127 bytes, like kubelet.service"},
	{"watch: [{unit: .service}]",
	 "F:1:16: watch[0].unit: found \".service\", expected the name"},
	{"watch: [{unit: a/b.service}]", "F:1:16: watch[0].unit: found \"a/b.service\", expected"},
	{"watch: [{unit: a.socket}]",
	 "F:1:16: watch[0].unit: found \"a.socket\", expected the name"},
	{"watch: [{port: 1}, {port: 2}, {port: 1}]",
	 "F:1:31: watch[2]: is the same as watch[0] (line 1), expected each once"},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
