// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is remembered of a disk, how near its times are to slow ones, and which disks it is compared
 * with. */
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
	fixture->history = disk_history_new(&fixture->disk, "", fixture->now_ns);
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

/* ---- siblings ---- */

#define RIVALS 3 /* as many as it takes */
#define DISKS  (RIVALS + 1)
/* They fill sibling_for_s. */
#define WINDOWS 60
/* Not so slow that the disk's own past would say so. */
#define USUAL_US 4000
#define SLOW_US	 16000

/* A disk, and what it does in each window. */
struct rival {
	const char *model;
	unsigned int busy_windows; /* 0: all of them */
	uint64_t request_bytes;	   /* 0: 4096 */
	bool missing;
};

/* How slow the first disk is found after so many windows, of which it has been slow in each. */
static enum finding_level compare(const struct rival rivals[static DISKS], char *sentence)
{
	struct block_disk disks[DISKS] = {0};
	struct disk_history *histories[DISKS] = {NULL};
	enum finding_level level = FINDING_QUIET;
	uint64_t now_ns = 100 * NS_PER_S, since_ns = 0;

	for (size_t i = 0; i < DISKS; i++)
		if (!rivals[i].missing)
			histories[i] = disk_history_new(&disks[i], rivals[i].model, now_ns);
	for (unsigned int round = 0; round < WINDOWS; round++) {
		struct text text = {.data = sentence, .size = FINDING_SENTENCE_MAX};

		now_ns += WINDOW_NS;
		for (size_t i = 0; i < DISKS; i++) {
			struct block_record *record = &disks[i].operations[BLOCK_READ].record;
			unsigned int busy_windows = rivals[i].busy_windows ?: WINDOWS;
			uint32_t completions = round < busy_windows ? COMPLETIONS : 0;

			record->device[histogram_bucket(i ? USUAL_US : SLOW_US)] += completions;
			record->bytes += completions * (rivals[i].request_bytes ?: 4096);
			if (histories[i])
				disk_history_take(histories[i], &disks[i], WINDOW_NS, now_ns);
		}
		level = disk_history_judge(histories[0], histories, DISKS, &limits, now_ns,
					   &since_ns, &text);
		/* Those that it is compared with are well. */
		for (size_t i = 1; i < DISKS; i++) {
			char ignored[FINDING_SENTENCE_MAX] = "";
			struct text other = TEXT(ignored);
			uint64_t other_since_ns = 0;

			if (histories[i])
				assert_int_equal(disk_history_judge(histories[i], histories, DISKS,
								    &limits, now_ns,
								    &other_since_ns, &other),
						 FINDING_QUIET);
		}
		if (round < WINDOWS - 1)
			assert_true(level < FINDING_ACTIVE);
	}
	if (level == FINDING_ACTIVE)
		assert_int_equal(since_ns, 100 * NS_PER_S);
	for (size_t i = 0; i < DISKS; i++)
		free(histories[i]);
	return level;
}

static void test_siblings(void **state)
{
	static const struct {
		const char *name;
		const char *model; /* of all but the last */
		struct rival last;
		enum finding_level level;
	} cases[] = {
		{"three of its model", "M", {.model = "M"}, FINDING_ACTIVE},
		{"one of another model", "M", {.model = "N"}, FINDING_QUIET},
		{"one rotates", "M", {.model = "M, rotational"}, FINDING_QUIET},
		{"none has a model", "", {.model = ""}, FINDING_QUIET},
		{"one is not remembered", "M", {.model = "M", .missing = true}, FINDING_QUIET},
		/* Each band of throughput is four times the one before. */
		{"next band", "M", {.model = "M", .request_bytes = 16384}, FINDING_ACTIVE},
		{"band before", "M", {.model = "M", .request_bytes = 1024}, FINDING_ACTIVE},
		{"much busier", "M", {.model = "M", .request_bytes = 65536}, FINDING_QUIET},
		{"much less busy", "M", {.model = "M", .request_bytes = 256}, FINDING_QUIET},
		/* What it did a while ago is no comparison. */
		{"it rests", "M", {.model = "M", .busy_windows = 5}, FINDING_QUIET},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char sentence[FINDING_SENTENCE_MAX] = "";
		const struct rival other = {.model = cases[i].model};
		const struct rival disks[DISKS] = {other, other, other, cases[i].last};
		enum finding_level level = compare(disks, sentence);

		if (level != cases[i].level)
			fail_msg("%s: level %d, expected %d", cases[i].name, level, cases[i].level);
		assert_int_equal(strstr(sentence, "the median of 3 disks of the same model") !=
					 NULL,
				 level == FINDING_ACTIVE);
	}
}

/* What is read and written is compared for itself. */
static void test_siblings_by_operation(void **state)
{
	struct block_disk disks[DISKS] = {0};
	struct disk_history *histories[DISKS];
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	uint64_t now_ns = 100 * NS_PER_S, since_ns = 0;

	(void)state;
	for (size_t i = 0; i < DISKS; i++)
		histories[i] = disk_history_new(&disks[i], "M", now_ns);
	for (unsigned int round = 0; round < WINDOWS; round++) {
		now_ns += WINDOW_NS;
		for (size_t i = 0; i < DISKS; i++) {
			/* The first writes alone, the others read alone. */
			struct block_record *record =
				&disks[i].operations[i ? BLOCK_READ : BLOCK_WRITE].record;

			record->device[histogram_bucket(i ? USUAL_US : SLOW_US)] += COMPLETIONS;
			record->bytes += COMPLETIONS * 4096ULL;
			disk_history_take(histories[i], &disks[i], WINDOW_NS, now_ns);
		}
		assert_int_equal(disk_history_judge(histories[0], histories, DISKS, &limits, now_ns,
						    &since_ns, &text),
				 FINDING_QUIET);
	}
	for (size_t i = 0; i < DISKS; i++)
		free(histories[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_latency, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_least_limit, set_up, tear_down),
		cmocka_unit_test(test_siblings),
		cmocka_unit_test(test_siblings_by_operation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
