// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/row.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UUID "6a8f9f0e-0000-4000-8000-000000000001"

static void make_members(struct membership *membership, unsigned int count, const char *format)
{
	struct config_node *nodes = calloc(count, sizeof(*nodes));

	assert_non_null(nodes);
	for (unsigned int i = 0; i < count; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), format, i);
	assert_int_equal(membership_init(membership, nodes, count), 0);
	free(nodes);
}

static struct row make_row(const struct membership *membership, uint8_t *words)
{
	struct row row = {.boot_id = UUID,
			  .epoch = UINT64_C(1764112345678901234),
			  .sequence = 17,
			  .members = membership->hash,
			  .flags = ROW_FLAG_ALONE | ROW_FLAG_PAUSED,
			  .considered_revision = 4711,
			  .distrust_ratio = 0.25,
			  .words = words};

	strcpy(row.node, membership->members[0].name);
	return row;
}

/* All nodes together write no more than 50 rows a second that say nothing new. */
static void test_period(void **state)
{
	(void)state;
	assert_int_equal(row_period_ns(1), UINT64_C(5000000000));
	assert_int_equal(row_period_ns(250), UINT64_C(5000000000));
	assert_int_equal(row_period_ns(251), UINT64_C(5020000000));
	assert_int_equal(row_period_ns(10000), UINT64_C(200000000000));
}

static void test_round_trip(void **state)
{
	uint8_t words[] = {ROW_WORD_HEALTHY, ROW_WORD_UNREACHABLE, ROW_WORD_HEALTHY,
			   ROW_WORD_EGRESS_CUT};
	uint8_t read_words[MEMBERSHIP_SLOTS_MAX];
	struct membership membership;
	struct row row, read = {.words = read_words};
	char data[ROW_BYTES_MAX + 1] = "", reason[128] = "";
	struct text error = TEXT(reason);
	int length;

	(void)state;
	make_members(&membership, 5, "n%u");
	row = make_row(&membership, words);
	row.finding_count = 1;
	strcpy(row.findings[0].name, "disk-stalled");
	strcpy(row.findings[0].subject, "sda");
	strcpy(row.findings[0].sentence, "no completion for 2.1 s");
	length = row_encode(&row, &membership, data, ROW_BYTES_MAX);
	assert_true(length > 0);
	/* What other software reads is what docs/store.md says. */
	assert_string_equal(
		strstr(data, "\"considered\""),
		"\"considered\":4711,\"distrust_ratio\":0.25,\"flags\":[\"alone\",\"paused\"],"
		"\"edges\":{\"default\":"
		"\"healthy\",\"unreachable\":[\"n2\"],\"egress-cut\":[\"n4\"]},\"findings\":[{"
		"\"finding\":\"disk-stalled\",\"subject\":\"sda\",\"sentence\":\"no completion for "
		"2.1 s\"}]}");
	assert_int_equal(row_decode(&read, &membership, data, (size_t)length, &error), 0);
	assert_string_equal(read.node, "n0");
	assert_string_equal(read.boot_id, UUID);
	assert_true(read.epoch == row.epoch && read.sequence == 17);
	assert_true(read.members == membership.hash);
	assert_true(read.considered_revision == 4711);
	assert_int_equal(read.flags, row.flags);
	assert_true(read.distrust_ratio == 0.25);
	assert_memory_equal(read.words, words, sizeof(words));
	assert_int_equal(read.finding_count, 1);
	assert_string_equal(read.findings[0].sentence, "no completion for 2.1 s");
	membership_free(&membership);
}

/* Findings of a writer with longer texts are cut, in whole characters: they go on into JSON. */
static void test_longer_texts(void **state)
{
	uint8_t words[MEMBERSHIP_SLOTS_MAX] = {0}, read_words[MEMBERSHIP_SLOTS_MAX];
	char text[ROW_FINDING_MAX + 2], data[ROW_BYTES_MAX], other[2 * ROW_BYTES_MAX];
	char reason[128] = "";
	struct row row, read = {.words = read_words};
	struct membership membership;
	struct text error = TEXT(reason);
	int length;

	(void)state;
	make_members(&membership, 3, "n%u");
	row = make_row(&membership, words);
	row.finding_count = 1;
	strcpy(row.findings[0].name, "NAME");
	length = row_encode(&row, &membership, data, sizeof(data) - 1);
	assert_true(length > 0);
	data[length] = '\0';
	memset(text, 'a', sizeof(text));
	memcpy(text + ROW_FINDING_MAX - 2, "\xc3\xb6", sizeof("\xc3\xb6"));
	snprintf(other, sizeof(other), "%.*s%s%s", (int)(strstr(data, "NAME") - data), data, text,
		 strstr(data, "NAME") + strlen("NAME"));
	assert_int_equal(row_decode(&read, &membership, other, strlen(other), &error), 0);
	assert_int_equal(strlen(read.findings[0].name), sizeof(read.findings[0].name) - 1);

	snprintf(other, sizeof(other), "%.*s%s%s",
		 (int)(strstr(data, "sentence\":\"") - data + strlen("sentence\":\"")), data, text,
		 strstr(data, "sentence\":\"") + strlen("sentence\":\""));
	assert_int_equal(row_decode(&read, &membership, other, strlen(other), &error), 0);
	assert_int_equal(strlen(read.findings[0].sentence), ROW_FINDING_MAX - 2);
	assert_true(row_encode(&read, &membership, data, sizeof(data)) > 0);
	membership_free(&membership);
}

/* Names as a cloud gives them; half of the peers in one state, half in another. */
static void test_fits(void **state)
{
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	char data[ROW_BYTES_MAX];
	struct membership membership;
	struct row row;

	(void)state;
	make_members(&membership, 50, "ip-10-0-%03u-45.eu-west-1.compute.internal");
	row = make_row(&membership, words);
	for (unsigned int i = 0; i < 49; i++)
		words[i] = i % 2 ? ROW_WORD_UNREACHABLE : ROW_WORD_HEALTHY;
	row.flags = (1U << ROW_FLAGS) - 1;
	assert_in_range(row_encode(&row, &membership, data, sizeof(data)), 1000, 2048);
	assert_int_equal(row_encode(&row, &membership, data, 1000), -ENOSPC);
	membership_free(&membership);
}

static void test_other_members(void **state)
{
	uint8_t words[MEMBERSHIP_SLOTS_MAX] = {ROW_WORD_UNREACHABLE, ROW_WORD_UNREACHABLE};
	uint8_t read_words[MEMBERSHIP_SLOTS_MAX];
	struct membership three, five;
	struct row row, read = {.words = read_words};
	char data[ROW_BYTES_MAX], reason[128] = "";
	struct text error = TEXT(reason);
	int length;

	(void)state;
	make_members(&three, 3, "n%u");
	make_members(&five, 5, "n%u");
	row = make_row(&three, words);
	length = row_encode(&row, &three, data, sizeof(data));
	assert_true(length > 0);
	assert_int_equal(row_decode(&read, &five, data, (size_t)length, &error), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(read.words[i], ROW_WORD_NONE);
	membership_free(&three);
	make_members(&three, 3, "m%u");
	assert_int_equal(row_decode(&read, &three, data, (size_t)length, &error), -ENOENT);
	membership_free(&three);
	membership_free(&five);
}

#define GOOD                                                                                      \
	"\"version\":1,\"node\":\"n1\",\"boot_id\":\"b\",\"epoch\":1,\"sequence\":2,\"members\":" \
	"\"0\",\"distrust_ratio\":0,\"flags\":[],\"findings\":[]"

static void test_garbage(void **state)
{
	static const struct {
		const char *data;
		const char *reason; /* how it begins */
	} cases[] = {
		{"", "not JSON"},
		{"x", "not JSON"},
		{"[]", "Expected object"},
		{"{}", "Object item not found: version"},
		{"{\"version\":2,\"node\":\"n1\",\"boot_id\":\"b\",\"epoch\":1,\"sequence\":2,"
		 "\"members\":\"0\",\"distrust_ratio\":0,\"flags\":[],\"findings\":[],\"edges\":{}"
		 "}",
		 "version 2"},
		{"{" GOOD ",\"edges\":{},\"edges\":{}}", "not JSON"},
		{"{\"version\":1,\"node\":\"n1\",\"boot_id\":\"b\",\"epoch\":-1,\"sequence\":2,"
		 "\"members\":\"0\",\"distrust_ratio\":0,\"flags\":[],\"findings\":[],\"edges\":{}"
		 "}",
		 "epoch"},
		{"{\"version\":1,\"node\":\"n1\",\"boot_id\":\"b\",\"epoch\":1,\"sequence\":2,"
		 "\"members\":\"0\",\"distrust_ratio\":1.5,\"flags\":[],\"findings\":[],\"edges\":{"
		 "}}",
		 "epoch, sequence, considered or distrust_ratio"},
		{"{\"version\":1,\"node\":\"n1\",\"boot_id\":"
		 "\"0123456789012345678901234567890123456789"
		 "\",\"epoch\":1,\"sequence\":2,\"members\":\"0\",\"distrust_ratio\":0,\"flags\":[]"
		 ","
		 "\"findings\":[],\"edges\":{}}",
		 "node or boot_id is too long"},
	};
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct membership membership;

	(void)state;
	make_members(&membership, 3, "n%u");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct row row = {.words = words};
		char reason[256] = "";
		struct text error = TEXT(reason);

		assert_int_equal(
			row_decode(&row, &membership, cases[i].data, strlen(cases[i].data), &error),
			-EINVAL);
		if (strncmp(reason, cases[i].reason, strlen(cases[i].reason)))
			fail_msg("case %zu: \"%s\"", i, reason);
	}
	membership_free(&membership);
}

/* Edges are read only of a writer with the same members. */
static void test_garbage_edges(void **state)
{
	static const struct {
		const char *edges;
		int result;
	} cases[] = {
		{"{\"default\":\"healthy\"}", 0},
		{"{\"default\":\"healthy\",\"a-later-state\":[\"n0\"]}", 0},
		{"{}", -EINVAL},
		{"[]", -EINVAL},
		{"{\"default\":\"nonsense\"}", -EINVAL},
		{"{\"default\":\"healthy\",\"lossy\":\"n0\"}", -EINVAL},
		{"{\"default\":\"healthy\",\"lossy\":[5]}", -EINVAL},
		{"{\"default\":\"healthy\",\"lossy\":[\"n7\"]}", -EINVAL},
		{"{\"default\":\"healthy\",\"lossy\":[\"n1\"]}", -EINVAL}, /* itself */
	};
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct membership membership;

	(void)state;
	make_members(&membership, 3, "n%u");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct row row = {.words = words};
		char reason[256] = "", data[512];
		struct text error = TEXT(reason);

		snprintf(data, sizeof(data),
			 "{\"version\":1,\"node\":\"n1\",\"boot_id\":\"b\",\"epoch\":1,"
			 "\"sequence\":2,"
			 "\"members\":\"%016llx\",\"distrust_ratio\":0,\"flags\":[\"a-later-flag\","
			 "3],"
			 "\"findings\":[],\"edges\":%s}",
			 (unsigned long long)membership.hash, cases[i].edges);
		if (row_decode(&row, &membership, data, strlen(data), &error) != cases[i].result)
			fail_msg("case %zu: \"%s\"", i, reason);
	}
	membership_free(&membership);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_period),	     cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_fits),	     cmocka_unit_test(test_other_members),
		cmocka_unit_test(test_garbage),	     cmocka_unit_test(test_garbage_edges),
		cmocka_unit_test(test_longer_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
