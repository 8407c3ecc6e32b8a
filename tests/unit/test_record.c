// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE_MS UINT64_C(60000)

static void isolate(struct isolation_record *record, uint64_t now_ms)
{
	record_isolate(record, "n5", "node-unreachable", "n5 is unreachable", "n1", true, false,
		       now_ms);
}

static void test_round_trip(void **state)
{
	struct isolation_record record = {0}, read;
	char data[1024] = "", reason[128] = "";
	struct text error = TEXT(reason);
	int length;

	(void)state;
	isolate(&record, 1000);
	length = record_encode(&record, data, sizeof(data));
	assert_true(length > 0);
	data[length] = '\0';
	assert_string_equal(
		data,
		"{\"version\":1,\"node\":\"n5\",\"state\":\"isolated\",\"class\":"
		"\"node-unreachable\",\"sentence\":\"n5 is unreachable\",\"by\":\"n1\","
		"\"by_hand\":false,\"single\":true,\"since_ms\":1000,\"isolated_ms\":[1000]}");
	assert_int_equal(record_decode(&read, data, (size_t)length, &error), 0);
	assert_memory_equal(&read, &record, sizeof(record));
	assert_int_equal(record_encode(&record, data, (size_t)length - 1), -ENOSPC);
}

/* Of a writer that has more to say, what fits is kept, in whole characters: such a record can still
 * be written again when its node is released. */
static void test_longer_texts(void **state)
{
	static const char longer[] =
		"{\"version\":1,\"node\":\"n5\",\"state\":\"isolated\",\"class\":"
		"\"a-class-that-has-thirty-letters\xc3\xb6\",\"sentence\":\"\",\"by\":\"n1\","
		"\"by_hand\":false,\"single\":true,\"since_ms\":1,\"isolated_ms\":[1]}";
	struct isolation_record record, read;
	char data[1024], reason[128] = "";
	struct text error = TEXT(reason);
	int length;

	(void)state;
	assert_int_equal(record_decode(&record, longer, strlen(longer), &error), 0);
	assert_string_equal(record.class, "a-class-that-has-thirty-letters");
	record_release(&record, "healthy", "n1", 2);
	length = record_encode(&record, data, sizeof(data));
	assert_true(length > 0);
	assert_int_equal(record_decode(&read, data, (size_t)length, &error), 0);
	assert_memory_equal(&read, &record, sizeof(record));
}

static void test_garbage(void **state)
{
	static const char *const garbage[] = {
		"",
		"[]",
		"{}",
		"{\"version\":1}",
		"{\"version\":1,\"node\":\"n5\",\"state\":\"gone\",\"class\":\"\",\"sentence\":"
		"\"\","
		"\"by\":\"\",\"by_hand\":false,\"single\":true,\"since_ms\":1,\"isolated_ms\":[]}",
		"{\"version\":2,\"node\":\"n5\",\"state\":\"released\",\"class\":\"\",\"sentence\":"
		"\"\",\"by\":\"\",\"by_hand\":false,\"single\":true,\"since_ms\":1,\"isolated_ms\":"
		"[]"
		"}",
	};
	struct isolation_record record;

	(void)state;
	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
		char reason[256] = "";
		struct text error = TEXT(reason);

		assert_int_equal(record_decode(&record, garbage[i], strlen(garbage[i]), &error),
				 -EINVAL);
		assert_true(*reason);
	}
}

/* The hold-down doubles with each relapse within an hour; the third time a person decides. */
static void test_relapses(void **state)
{
	struct isolation_record record = {0};

	(void)state;
	isolate(&record, 10 * MINUTE_MS);
	assert_int_equal(record_hold_down_ms(&record, 30000), 30000);
	assert_false(record_waits_for_person(&record));
	record_release(&record, "healthy", "n1", 11 * MINUTE_MS);
	assert_int_equal(record.state, RECORD_RELEASED);
	isolate(&record, 20 * MINUTE_MS);
	assert_int_equal(record_hold_down_ms(&record, 30000), 60000);
	assert_false(record_waits_for_person(&record));
	isolate(&record, 30 * MINUTE_MS);
	assert_int_equal(record_hold_down_ms(&record, 30000), 120000);
	assert_true(record_waits_for_person(&record));
	/* The first is an hour back at minute 70, and is forgotten after that. */
	isolate(&record, 70 * MINUTE_MS);
	assert_true(record_waits_for_person(&record));
	isolate(&record, 95 * MINUTE_MS);
	assert_int_equal(record.isolated_count, 2);
	assert_int_equal(record.isolated_ms[0], 70 * MINUTE_MS);
	assert_false(record_waits_for_person(&record));
}

static void test_forgotten(void **state)
{
	struct isolation_record record = {0};

	(void)state;
	isolate(&record, 0);
	assert_false(record_is_forgotten(&record, 1000 * MINUTE_MS));
	record_release(&record, "healthy", "n1", 10 * MINUTE_MS);
	assert_false(record_is_forgotten(&record, 70 * MINUTE_MS));
	assert_true(record_is_forgotten(&record, 70 * MINUTE_MS + 1));
}

static void test_by_hand(void **state)
{
	struct isolation_record record = {0};

	(void)state;
	record_isolate(&record, "n5", "by-hand", "", "n1", true, true, 0);
	assert_true(record_waits_for_person(&record));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_relapses),   cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_by_hand),	   cmocka_unit_test(test_longer_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
