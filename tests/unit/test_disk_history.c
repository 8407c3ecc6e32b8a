// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is remembered of a disk, and how near its times are to slow ones. */
#include "agent/health_disk_slow.h"

#include "base/clock.h"
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WINDOW_NS   (5 * NS_PER_S)
#define COMPLETIONS 1000

static const struct finding_limits limits = {
	.disk_slow = {.ratio = 5,
		      .min_ms = 20,
		      .windows = 3,
		      .window_ms = 5000,
		      .sibling_ratio = 2,
		      .sibling_for_s = 300},
};

struct fixture {
	struct block_disk disk;
	struct disk_history *history;
	uint64_t now_ns;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	strcpy(fixture->disk.name, "sdx");
	fixture->now_ns = 100 * NS_PER_S;
	fixture->history = disk_history_new(&fixture->disk, fixture->now_ns);
	assert_non_null(fixture->history);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	free(fixture->history);
	free(fixture);
	return 0;
}

static void window(struct fixture *fixture, uint32_t duration_us, uint32_t completions)
{
	struct block_record *record = &fixture->disk.operations[BLOCK_READ].record;
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t since_ns = 0;

	record->device[histogram_bucket(duration_us)] += completions;
	record->bytes += completions * 4096ULL;
	fixture->now_ns += WINDOW_NS;
	disk_history_take(fixture->history, &fixture->disk, WINDOW_NS, fixture->now_ns);
	(void)disk_history_judge(fixture->history, &fixture->history, 1, &limits, fixture->now_ns,
				 &since_ns, &text);
}

static void test_latency(void **state)
{
	struct fixture *fixture = *state;
	struct disk_latency latency;

	/* What is usual is not known yet. */
	for (unsigned int i = 0; i < DISK_SLOW_WARM_UP_WINDOWS - 1; i++) {
		window(fixture, 8000, COMPLETIONS);
		assert_false(disk_history_latency(fixture->history, BLOCK_READ, &limits, &latency));
	}
	window(fixture, 8000, COMPLETIONS);
	assert_true(disk_history_latency(fixture->history, BLOCK_READ, &limits, &latency));
	assert_string_equal(latency.operation, "reads");
	/* Buckets are up to 25 % wide; five times what is usual. */
	assert_true(latency.p99_us > 6000 && latency.p99_us < 10000);
	assert_true(latency.limit_us > 30000 && latency.limit_us < 50000);
	/* Nothing of what did not run. */
	assert_false(disk_history_latency(fixture->history, BLOCK_WRITE, &limits, &latency));
	/* A window that goes on tells nothing new. */
	window(fixture, 8000, DISK_SLOW_COMPLETIONS_MIN - 1);
	assert_false(disk_history_latency(fixture->history, BLOCK_READ, &limits, &latency));
	/* Times grow: the limit stays near what is usual. */
	window(fixture, 16000, COMPLETIONS);
	assert_true(disk_history_latency(fixture->history, BLOCK_READ, &limits, &latency));
	assert_true(latency.p99_us > 12000 && latency.p99_us < 20000);
	assert_true(latency.limit_us > 30000 && latency.limit_us < 60000);
}

/* A fast disk is slow from min_ms on. */
static void test_least_limit(void **state)
{
	struct fixture *fixture = *state;
	struct disk_latency latency;

	for (unsigned int i = 0; i < DISK_SLOW_WARM_UP_WINDOWS; i++)
		window(fixture, 100, COMPLETIONS);
	assert_true(disk_history_latency(fixture->history, BLOCK_READ, &limits, &latency));
	assert_true(latency.limit_us == limits.disk_slow.min_ms * 1000.0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_latency, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_least_limit, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
