// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What a journal told before its present writer came. */
#include "report/journal_past.h"

#include "base/clock.h"
#include "report/journal_record.h"
#include "unit/journal_rig.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_NS (30 * NS_PER_S)
#define INCIDENTS   200
#define GIVEN_UP    40

struct past {
	int result;
	struct incidents *incidents;
	uint64_t last_time_ns;
	char reason[512];
};

static struct past read_past(const char *directory, uint64_t last_sequence)
{
	uint64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
	struct journal_past *reading = NULL;
	struct past past = {0};
	struct text error = TEXT(past.reason);

	assert_int_equal(journal_past_start(&reading, directory, last_sequence), 0);
	while (!(past.result =
			 journal_past_take(reading, &past.incidents, &past.last_time_ns, &error))) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(1000);
	}
	journal_past_close(reading);
	return past;
}

static void append_edge(struct journal *journal, enum edge_state from, enum edge_state to)
{
	assert_int_equal(journal_append(journal, journal_edge("n3", from, to, "so it is", 0)), 0);
}

/* Several that are over, and one that is open. */
static void test_incidents(void **state)
{
	const struct journal_options options = {
		.directory = *state, .node = "n1", .limits = {.file_bytes = 16384, .files = 64}};
	struct journal *journal = rig_open(&options);
	uint64_t before_ns = clock_realtime_ns(), sequence;
	struct incident_totals totals;
	struct past past;

	for (int i = 0; i < INCIDENTS; i++) {
		append_edge(journal, EDGE_HEALTHY, EDGE_UNREACHABLE);
		append_edge(journal, EDGE_UNREACHABLE, EDGE_HEALTHY);
	}
	append_edge(journal, EDGE_HEALTHY, EDGE_EGRESS_CUT);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	/* The next writer is at it already: what it says is not the past's. */
	journal = rig_open(&options);
	sequence = journal_state(journal).appended;
	append_edge(journal, EDGE_EGRESS_CUT, EDGE_HEALTHY);
	rig_wait(journal);
	past = read_past(*state, sequence);
	assert_int_equal(past.result, 1);
	assert_in_range(past.last_time_ns, before_ns, clock_realtime_ns());
	assert_int_equal(incidents_waits_for(past.incidents, "n3"), INCIDENT_WAITS_FOR_EDGE);
	incidents_totals(past.incidents, true, &totals);
	assert_int_equal(totals.records, 2 * INCIDENTS + 1);
	incidents_free(past.incidents);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
}

static void test_empty(void **state)
{
	struct past past = read_past(*state, 0);

	assert_int_equal(past.result, 1);
	assert_int_equal(past.last_time_ns, 0);
	assert_null(incidents_open_at(past.incidents, 0));
	incidents_free(past.incidents);
}

/* Less than was said to be there: files that were rotated away meanwhile. */
static void test_shorter(void **state)
{
	struct journal *journal = rig_open_in(*state);
	struct past past;

	append_edge(journal, EDGE_HEALTHY, EDGE_UNREACHABLE);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	past = read_past(*state, 1000);
	assert_int_equal(past.result, 1);
	assert_int_equal(incidents_waits_for(past.incidents, "n3"), INCIDENT_WAITS_FOR_EDGE);
	incidents_free(past.incidents);
}

static void test_cannot_be_read(void **state)
{
	struct past past;
	char path[128];

	snprintf(path, sizeof(path), "%s/none", (const char *)*state);
	past = read_past(path, 1);
	assert_int_equal(past.result, -ENOENT);
	assert_non_null(strstr(past.reason, "/none cannot be opened: No such file or directory"));
	rig_store(*state, "journal-00000001.log", "this is something else\n", 23);
	past = read_past(*state, 1);
	assert_int_equal(past.result, -EPROTONOSUPPORT);
}

static unsigned int count_threads(void)
{
	DIR *stream = opendir("/proc/self/task");
	unsigned int threads = 0;
	const struct dirent *entry;

	assert_non_null(stream);
	while ((entry = readdir(stream)))
		threads += *entry->d_name != '.';
	closedir(stream);
	return threads;
}

/* Whoever gives up waits for nothing, and what is still reading ends by itself. */
static void test_given_up(void **state)
{
	uint64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
	unsigned int threads = count_threads();
	struct journal *journal = rig_open_in(*state);

	for (int i = 0; i < INCIDENTS; i++)
		append_edge(journal, EDGE_HEALTHY, EDGE_UNREACHABLE);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	for (int i = 0; i < GIVEN_UP; i++) {
		struct journal_past *reading = NULL;

		assert_int_equal(journal_past_start(&reading, *state, INCIDENTS), 0);
		usleep((useconds_t)i * 50);
		journal_past_close(reading);
	}
	while (count_threads() > threads) {
		assert_true(clock_monotonic_ns() < deadline_ns);
		usleep(1000);
	}
	journal_past_close(NULL);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, rig_make_directory, rig_remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_incidents),	   TEST(test_empty),	TEST(test_shorter),
		TEST(test_cannot_be_read), TEST(test_given_up),
	};

	return cmocka_run_group_tests_name("journal's past", tests, NULL, NULL);
}
