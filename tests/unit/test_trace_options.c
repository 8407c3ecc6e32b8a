// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command line of `tocsin trace`: what is taken, and the one line that names what is not. */
#include "trace/options.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 24

/* Parses a command line given as one string; what went to stderr (or stdout) is in 'said'. */
static int parse(const char *line, struct trace_options *options, char said[static 4096])
{
	char copy[256], *words[WORDS_MAX + 1] = {NULL}, *rest = copy;
	char *word;
	int count = 0, saved, r;
	FILE *file = tmpfile();
	size_t length;

	assert_non_null(file);
	snprintf(copy, sizeof(copy), "trace %s", line);
	while ((word = strsep(&rest, " ")) && count < WORDS_MAX)
		if (*word)
			words[count++] = word;
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	r = trace_options_parse(count, words, options);
	fflush(stderr);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(file);
	length = fread(said, 1, 4095, file);
	said[length] = '\0';
	fclose(file);
	return r;
}

static struct trace_options accept_line(const char *line)
{
	struct trace_options options;
	char said[4096];

	if (parse(line, &options, said))
		fail_msg("'%s' was refused: %s", line, said);
	assert_string_equal(said, "");
	return options;
}

static void test_plain(void **state)
{
	struct trace_options options = accept_line("retrans");

	(void)state;
	assert_string_equal(options.trace->name, "retrans");
	assert_int_equal(options.mode, TRACE_MODE_EVENTS);
	assert_int_equal(options.format, TRACE_FORMAT_TABLE);
	assert_int_equal(options.interval_ns, 0);
	assert_int_equal(options.pid, 0);
	assert_int_equal(options.remote.prefix, 0);
}

static void test_filters(void **state)
{
	struct trace_options options =
		accept_line("retrans -p 42 -n 4026531840 -r 10.0.0.0/8 -P 443 -4 -o json -t -v");
	struct stat own;

	(void)state;
	assert_int_equal(options.pid, 42);
	assert_int_equal(options.netns_inode, 4026531840U);
	assert_int_equal(options.remote.prefix, 104);
	assert_int_equal(options.port, 443);
	assert_int_equal(options.family, AF_INET);
	assert_int_equal(options.format, TRACE_FORMAT_JSON);
	assert_true(options.timestamps);
	assert_true(options.verbose);
	assert_int_equal(stat("/proc/self/ns/net", &own), 0);
	assert_int_equal(accept_line("retrans -n own").netns_inode, own.st_ino);
	assert_int_equal(accept_line("retrans -n all").netns_inode, 0);
	assert_int_equal(accept_line("retrans -n /proc/self/ns/net").netns_inode, own.st_ino);
	assert_int_equal(accept_line("retrans -6").family, AF_INET6);
}

static void test_times(void **state)
{
	struct trace_options options = accept_line("retrans -D 1.5 0.5 3");

	(void)state;
	assert_int_equal(options.duration_ns, 1500 * NS_PER_MS);
	assert_int_equal(options.interval_ns, 500 * NS_PER_MS);
	assert_int_equal(options.count, 3);
	/* With an interval, retransmits are counted by connection. */
	assert_int_equal(options.mode, TRACE_MODE_COUNTS);
}

static void test_list(void **state)
{
	(void)state;
	assert_true(accept_line("--list").list);
	assert_int_equal(accept_line("--list -o json").format, TRACE_FORMAT_JSON);
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *said;
	} cases[] = {
		{"", "tocsin trace: which PROBE? `tocsin trace --list` names them\n"},
		{"nosuch",
		 "tocsin trace: unknown probe 'nosuch'; `tocsin trace --list` names them\n"},
		{"-p 3 retrans", "tocsin trace: '3' comes after the PROBE\n"},
		{"retrans -p x", "tocsin trace retrans: -p: 'x' is no process id\n"},
		{"retrans -p 0", "tocsin trace retrans: -p: '0' is no process id\n"},
		{"retrans -p -5", "tocsin trace retrans: -p: '-5' is no process id\n"},
		{"retrans -p", "tocsin trace retrans: '-p' needs an argument\n"},
		{"retrans -x", "tocsin trace retrans: '-x' is no option\n"},
		{"retrans -r 10.0.0.1/8",
		 "tocsin trace retrans: -r: '10.0.0.1/8' is no address and no network in CIDR "
		 "notation (host bits must be 0)\n"},
		{"retrans -P 65536", "tocsin trace retrans: -P: '65536' is no port (1 to 65535)\n"},
		{"retrans -P 0", "tocsin trace retrans: -P: '0' is no port (1 to 65535)\n"},
		{"retrans -n nosuch",
		 "tocsin trace retrans: -n: no network namespace 'nosuch': No such file or "
		 "directory\n"},
		{"io -d nosuch",
		 "tocsin trace io: -d: no block device 'nosuch': No such file or directory\n"},
		{"retrans -d sda", "tocsin trace retrans: it takes no -d; it shows each TCP "
				   "retransmit, or counts by connection\n"},
		{"retrans -H", "tocsin trace retrans: it has no histogram, and so no -H\n"},
		{"retrans --by remote",
		 "tocsin trace retrans: it has no histogram, and so no --by\n"},
		{"retrans -o xml", "tocsin trace retrans: -o: 'xml' is none of table, json, csv\n"},
		{"retrans -D 0",
		 "tocsin trace retrans: -D: '0' is no time in seconds (0.01 to 86400)\n"},
		{"retrans -D nan",
		 "tocsin trace retrans: -D: 'nan' is no time in seconds (0.01 to 86400)\n"},
		{"retrans 0",
		 "tocsin trace retrans: '0' is no INTERVAL in seconds (0.01 to 86400)\n"},
		{"retrans 1 0", "tocsin trace retrans: '0' is no COUNT\n"},
		{"retrans 1 2 3",
		 "tocsin trace retrans: '3' is too much: INTERVAL and COUNT are the last\n"},
		{"retrans --events 1", "tocsin trace retrans: events are shown as they happen, "
				       "without INTERVAL\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct trace_options options;
		char said[4096];

		assert_int_equal(parse(cases[i].line, &options, said), -EINVAL);
		assert_string_equal(said, cases[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_filters),
		cmocka_unit_test(test_times),	cmocka_unit_test(test_list),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("trace_options", tests, NULL, NULL);
}
