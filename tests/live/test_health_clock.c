// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Three agents, of which one has a clock that goes wrong: that one says so, and no other. */
#include "base/clock.h"
#include "base/text.h"
#include "live/agents.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define NODES	 3
#define WRONG	 1 /* whose clock it is */
#define SHIFT_MS 1200
#define NEAR_MS	 20 /* of a measurement on one busy machine */
#define WORDS	 "this node's clock is "
#define FIND_NS	 (3 * NS_PER_S)

static int64_t *shift_ns;

/* From here on what is started has a clock that is as wrong as *shift_ns. */
static void shift_clocks(const struct agents *agents)
{
	char path[96], library[PATH_MAX];
	const char *build = getenv("BUILD");
	int fd;

	snprintf(path, sizeof(path), "%s/shift", agents->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*shift_ns)), 0);
	shift_ns = mmap(NULL, sizeof(*shift_ns), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(shift_ns != MAP_FAILED);
	close(fd);
	snprintf(library, sizeof(library), "%s/tests/live/preload/clock_shift.so",
		 build ? build : "build");
	assert_int_equal(access(library, R_OK), 0);
	assert_int_equal(setenv("TOCSIN_CLOCK_SHIFT", path, 1), 0);
	assert_int_equal(setenv("LD_PRELOAD", library, 1), 0);
}

static void unshift_clocks(void)
{
	unsetenv("LD_PRELOAD");
	unsetenv("TOCSIN_CLOCK_SHIFT");
}

static int tear_down(void **state)
{
	unshift_clocks();
	if (shift_ns)
		munmap(shift_ns, sizeof(*shift_ns));
	shift_ns = NULL;
	return agents_tear_down(state);
}

static void start(struct agents *agents, unsigned int index, unsigned int nodes)
{
	const struct process_options options = agents_options(agents, index);
	char list[256] = "";
	struct text text = TEXT(list);

	for (unsigned int i = 0; i < nodes; i++)
		text_printf(&text, " - {name: n%u, addresses: [127.0.1.%u]}\n", i, i + 1);
	agents_configure(agents, index,
			 "node: n%u\nnetns: own\nhttp: {listen: '127.0.1.%u:9479'}\n"
			 "heartbeat: {listen: '127.0.1.%u:9480', authenticate: false}\n"
			 "nodes:\n%s",
			 index, index + 1, index + 1, list);
	agents_start(agents, index, &options);
}

static void expect_nobody_else(struct agents *agents)
{
	for (unsigned int i = 0; i < NODES; i++)
		if (i != WRONG && process_logged(&agents->agent[i], WORDS))
			fail_msg("n%u found a clock wrong", i);
}

static void test_wrong_clock(void **state)
{
	struct agents *agents = *state;
	uint64_t shifted_ns;
	const char *line;
	double off_ms;

	for (unsigned int i = 0; i < NODES; i++) {
		if (i == WRONG)
			shift_clocks(agents);
		start(agents, i, NODES);
		unshift_clocks();
	}
	/* Ahead, right again, and behind. */
	for (int sign = 1; sign >= -1; sign -= 2) {
		*shift_ns = sign * (int64_t)(SHIFT_MS * NS_PER_MS);
		shifted_ns = clock_monotonic_ns();
		line = process_expect_log(&agents->agent[WRONG], WORDS);
		assert_true(clock_monotonic_ns() - shifted_ns < FIND_NS);
		off_ms = strtod(strstr(line, WORDS) + strlen(WORDS), NULL);
		if (off_ms < SHIFT_MS - NEAR_MS || off_ms > SHIFT_MS + NEAR_MS)
			fail_msg("%s", line);
		assert_non_null(strstr(line, sign > 0 ? "ms ahead of" : "ms behind"));
		assert_non_null(strstr(line, "2 of 2 peers agree"));
		*shift_ns = 0;
		line = process_expect_log(&agents->agent[WRONG], "finding cleared");
		assert_non_null(strstr(line, "clock-skew"));
	}
	expect_nobody_else(agents);
	for (unsigned int i = 0; i < NODES; i++)
		agents_stop(agents, i);
}

/* Of two nodes nobody knows which one is right. */
static void test_two_nodes(void **state)
{
	struct agents *agents = *state;

	start(agents, 0, 2);
	assert_non_null(strstr(process_expect_log(&agents->agent[0], "clock-skew"),
			       "fewer than 2 other nodes are heard"));
	agents_stop(agents, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wrong_clock, agents_set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_nodes, agents_set_up, tear_down),
	};

	return agents_run_tests("health_clock", tests);
}
