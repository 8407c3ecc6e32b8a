// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a Node makes of itself as a member: its addresses, its pods' networks, its zone. */
#include "kubernetes/node.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define NAME	     "'metadata': {'name': 'n1'}"
#define INTERNAL     "'status': {'addresses': [{'type': 'InternalIP', 'address': '10.0.0.1'}]}"

static json_t *parse(const char *text)
{
	char buffer[4096];
	json_t *object;

	snprintf(buffer, sizeof(buffer), "%s", text);
	for (char *c = buffer; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	object = json_loads(buffer, 0, NULL);
	if (!object)
		fail_msg("no JSON: %s", buffer);
	return object;
}

/* "10.0.0.1/32 10.244.1.0/24" */
static void print_addresses(const struct config_node *node, struct text *text)
{
	for (unsigned int i = 0; i < node->address_count; i++) {
		char address[ADDRESS_TEXT_MAX];

		cidr_format(&node->addresses[i], address);
		text_printf(text, "%s%s", i ? " " : "", address);
	}
}

static void test_members(void **state)
{
	static const struct {
		const char *text, *zone, *addresses; /* NULL: no member */
	} cases[] = {
		{"{" NAME ", " INTERNAL "}", "", "10.0.0.1"},
		{"{'metadata': {'name': 'n1', 'labels': {'topology.kubernetes.io/zone': "
		 "'east'}}, " INTERNAL "}",
		 "east", "10.0.0.1"},
		/* Its pods' traffic counts for it, in both families; its own address is the first.
		 */
		{"{" NAME ", 'spec': {'podCIDR': '10.244.1.0/24', 'podCIDRs': ['10.244.1.0/24', "
		 "'fd00:1::/64']}, " INTERNAL "}",
		 "", "10.0.0.1 10.244.1.0/24 fd00:1::/64"},
		/* Heartbeats go to the internal ones. */
		{"{" NAME ", 'status': {'addresses': [{'type': 'Hostname', 'address': 'n1'}, "
		 "{'type': 'ExternalIP', 'address': '192.0.2.1'}, "
		 "{'type': 'InternalIP', 'address': '10.0.0.1'}, "
		 "{'type': 'InternalIP', 'address': 'fd00::1'}]}}",
		 "", "10.0.0.1 fd00::1"},
		/* What is nonsense is left out. */
		{"{" NAME ", 'spec': {'podCIDRs': ['10.244.1.0/33', 7, '10.244.2.0/24']}, " INTERNAL
		 "}",
		 "", "10.0.0.1 10.244.2.0/24"},
		{"{" NAME ", 'spec': 7, " INTERNAL "}", "", "10.0.0.1"},
		{"{" NAME "}", NULL, NULL},
		{"{" NAME ", 'status': {'addresses': [{'type': 'InternalIP', 'address': 'n1'}]}}",
		 NULL, NULL},
		{"{" INTERNAL "}", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char words[256] = "", reason[256] = "";
		struct text found = TEXT(words), why = TEXT(reason);
		struct config_node node;
		json_t *object = parse(cases[i].text);
		int r = kubernetes_node_decode(object, &node, &why);

		json_decref(object);
		assert_int_equal(r, cases[i].zone ? 0 : -EINVAL);
		assert_int_equal(*reason != '\0', r != 0);
		if (r)
			continue;
		print_addresses(&node, &found);
		assert_string_equal(words, cases[i].addresses);
		assert_string_equal(node.zone, cases[i].zone);
		assert_string_equal(node.name, "n1");
	}
}

static void test_many_networks(void **state)
{
	char text[4096] = "", words[64] = "";
	struct text networks = TEXT(text), reason = TEXT(words);
	struct config_node node;
	json_t *object;

	(void)state;
	text_printf(&networks, "{" NAME ", 'spec': {'podCIDRs': ['10.1.0.0/24'");
	for (unsigned int i = 0; i < 2 * CONFIG_ADDRESSES_MAX; i++)
		text_printf(&networks, ", '10.2.%u.0/24'", i);
	text_printf(&networks, "]}, " INTERNAL "}");
	object = parse(text);
	assert_int_equal(kubernetes_node_decode(object, &node, &reason), 0);
	json_decref(object);
	assert_int_equal(node.address_count, CONFIG_ADDRESSES_MAX);
}

static void test_words(void **state)
{
	static const struct {
		const char *text;
		bool control_plane, paused;
	} cases[] = {
		{"{}", false, false},
		{"{'metadata': {'labels': {'node-role.kubernetes.io/control-plane': ''}}}", true,
		 false},
		{"{'metadata': {'labels': {'node-role.kubernetes.io/worker': ''}}}", false, false},
		{"{'metadata': {'annotations': {'tocsin.dev/pause': ''}}}", false, true},
		{"{'metadata': {'annotations': {'tocsin.dev/pause': 'maintenance'}}}", false, true},
		{"{'metadata': {'annotations': {'tocsin.dev/pause': 'false'}}}", false, false},
		{"{'metadata': {'labels': {'tocsin.dev/pause': 'true'}}}", false, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *object = parse(cases[i].text);

		assert_int_equal(kubernetes_node_is_control_plane(object), cases[i].control_plane);
		assert_int_equal(kubernetes_is_paused(object), cases[i].paused);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_many_networks),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("kubernetes_node", tests, NULL, NULL);
}
