// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long a judgement of a large cluster takes. Prints one markdown table; exit 1 when the target
 * is missed.
 */
#include "base/clock.h"
#include "cluster/classify.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS	     21
#define TARGET_MS    50.0
#define NODES	     10000
#define NOW_NS	     (10 * NS_PER_S)
#define LOST_SINGLES 100

static bool half_lost(uint32_t member)
{
	return member % 5 < 2;
}

static bool singles_lost(uint32_t member)
{
	return member % (NODES / LOST_SINGLES) == 0;
}

static bool nobody_lost(uint32_t member)
{
	(void)member;
	return false;
}

static const struct {
	const char *name;
	bool (*lost)(uint32_t member);
	bool together; /* the lost reach each other */
} cases[] = {
	{"all is well", nobody_lost, true},
	{"100 nodes are lost", singles_lost, false},
	{"two fifths are cut off", half_lost, true},
};

static void fill(struct view *view, size_t which)
{
	const struct membership *membership = view->membership;
	static uint64_t sequence;

	for (uint32_t i = 0; i < membership->count; i++) {
		uint8_t words[MEMBERSHIP_SLOTS_MAX];
		struct row row = {.boot_id = "b",
				  .sequence = ++sequence,
				  .members = membership->hash,
				  .member = i,
				  .words = words};

		for (uint32_t at = membership->start[i]; at < membership->start[i + 1]; at++) {
			uint32_t peer = membership->observers[at];
			bool good = cases[which].lost(i) == cases[which].lost(peer) &&
				    (!cases[which].lost(i) || cases[which].together);

			words[at - membership->start[i]] =
				good ? ROW_WORD_HEALTHY : ROW_WORD_UNREACHABLE;
		}
		(void)view_put(view, &row, i + 1, NOW_NS - NS_PER_S);
	}
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static bool measure(struct classifier *classifier, const struct view *view, size_t which)
{
	static struct judgement judgement;
	double ms[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before_ns = clock_monotonic_ns();

		classify(classifier, view, NOW_NS, &judgement);
		ms[i] = (double)(clock_monotonic_ns() - before_ns) / NS_PER_MS;
	}
	qsort(ms, ROUNDS, sizeof(*ms), compare);
	printf("| %s | %u | %.1f | %.1f to %.1f | %s |\n", cases[which].name,
	       judgement.verdict_count + judgement.verdicts_left_out, ms[ROUNDS / 2], ms[0],
	       ms[ROUNDS - 1], ms[ROUNDS / 2] <= TARGET_MS ? "met" : "MISSED");
	return ms[ROUNDS / 2] <= TARGET_MS;
}

int main(void)
{
	struct config_node *nodes = calloc(NODES, sizeof(*nodes));
	struct classifier classifier;
	struct membership membership;
	struct view view;
	bool met = true;

	if (!nodes)
		return 1;
	for (unsigned int i = 0; i < NODES; i++)
		snprintf(nodes[i].name, sizeof(nodes[i].name), "node-%u.example", i);
	if (membership_init(&membership, nodes, NODES) || view_init(&view, &membership) ||
	    classifier_init(&classifier, &membership)) {
		fprintf(stderr, "classify_cost: out of memory\n");
		return 1;
	}
	printf("| %u nodes | verdicts | median, ms | min to max | target %.0f ms |\n"
	       "|---|---|---|---|---|\n",
	       NODES, TARGET_MS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		fill(&view, i);
		met &= measure(&classifier, &view, i);
	}
	classifier_free(&classifier);
	view_free(&view);
	membership_free(&membership);
	free(nodes);
	return met ? 0 : 1;
}
