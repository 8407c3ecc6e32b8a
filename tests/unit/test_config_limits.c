// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The longest values, the most nodes and the largest files, and how long they take. */
#include "config/config.h"

#include "base/clock.h"
#include "unit/slowdown.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
		assert_true(took_ns < slowdown() * 1000 * NS_PER_MS);
		config_free(&config);
		free(yaml);
	}
}

static void test_most_watches(void **state)
{
	(void)state;
	for (unsigned int count = CONFIG_WATCHES_MAX; count <= CONFIG_WATCHES_MAX + 1; count++) {
		char yaml[2048], message[1024] = "";
		struct text text = TEXT(yaml), error = TEXT(message);
		struct config config = {0};

		text_printf(&text, "watch:\n");
		for (unsigned int i = 1; i <= count; i++)
			text_printf(&text, "- {port: %u}\n", i);
		if (config_parse("F", yaml, text.length, &config, &error)) {
			assert_int_equal(count, CONFIG_WATCHES_MAX + 1);
			assert_string_equal(message, "F:34:3: watch[32]: found one more, expected "
						     "at most 32");
			continue;
		}
		assert_int_equal(count, CONFIG_WATCHES_MAX);
		assert_int_equal(config.watch_count, CONFIG_WATCHES_MAX);
		assert_int_equal(config.watches[31].port, 32);
		config_free(&config);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_ten_thousand_nodes),
		cmocka_unit_test(test_most_watches),
		cmocka_unit_test(test_hostile_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
