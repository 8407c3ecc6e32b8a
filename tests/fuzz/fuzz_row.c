// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows of other nodes, as the store has them, to one of 5 members and to one of 60, who do not all
 * observe each other. What must hold, besides memory safety: a refused row has a reason; an
 * accepted one is of a member, and can be written again and then says the same.
 */
#include "cluster/row.h"
#include "fuzz/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MEMBERS_MAX 60
/* Escaped, each byte of the findings may take six. */
#define AGAIN_BYTES_MAX (8 * ROW_BYTES_MAX)

static void make_members(struct membership *membership, unsigned int count)
{
	struct config_node *nodes = calloc(count, sizeof(*nodes));

	require(nodes != NULL);
	for (unsigned int i = 0; i < count; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), "n%u", i);
	require(!membership_init(membership, nodes, count));
	/* A hash that does not depend on the code, so that the corpus can have it. */
	membership->hash = count;
	free(nodes);
}

static void check_findings(const struct row *row)
{
	require(row->finding_count <= ROW_FINDINGS_MAX);
	for (unsigned int i = 0; i < row->finding_count; i++) {
		const struct row_finding *finding = &row->findings[i];

		require(strnlen(finding->name, sizeof(finding->name)) < sizeof(finding->name));
		require(strnlen(finding->subject, sizeof(finding->subject)) <
			sizeof(finding->subject));
		require(strnlen(finding->sentence, sizeof(finding->sentence)) <
			sizeof(finding->sentence));
	}
}

static void check_again(const struct row *row, const struct membership *membership)
{
	static char data[AGAIN_BYTES_MAX];
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct row again = {.words = words};
	char message[512] = "";
	struct text error = TEXT(message);
	uint32_t slots = membership->start[row->member + 1] - membership->start[row->member];
	int length = row_encode(row, membership, data, sizeof(data));

	require(length > 0);
	if (length > ROW_BYTES_MAX)
		return;
	require(!row_decode(&again, membership, data, (size_t)length, &error));
	require(!strcmp(row->node, again.node) && !strcmp(row->boot_id, again.boot_id));
	require(row->epoch == again.epoch && row->sequence == again.sequence);
	require(row->considered_revision == again.considered_revision);
	require(row->flags == again.flags && row->member == again.member);
	require(row->finding_count == again.finding_count);
	require(!memcmp(row->findings, again.findings,
			row->finding_count * sizeof(*row->findings)));
	require(!memcmp(words, row->words, slots));
}

static void check(const struct membership *membership, const uint8_t *data, size_t size)
{
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct row row = {.words = words};
	char message[512] = "";
	struct text error = TEXT(message);
	int err = row_decode(&row, membership, data, size, &error);

	if (err) {
		require((err == -EINVAL || err == -ENOENT) && *message);
		return;
	}
	require(!*message && row.words == words);
	require(row.member < membership->count);
	require(!strcmp(membership->members[row.member].name, row.node));
	require(row.distrust_ratio >= 0 && row.distrust_ratio <= 1);
	require(row.flags < 1U << ROW_FLAGS);
	for (uint32_t i = membership->start[row.member]; i < membership->start[row.member + 1]; i++)
		require(words[i - membership->start[row.member]] < ROW_WORDS);
	check_findings(&row);
	check_again(&row, membership);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct membership few, many;

	if (!few.count) {
		make_members(&few, 5);
		make_members(&many, MEMBERS_MAX);
	}
	check(&few, data, size);
	check(&many, data, size);
	return 0;
}
