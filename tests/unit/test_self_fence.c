// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/self_fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

/* A cut at 100 s: one of five is left, the last renewal was sent just before. */
static const struct self_fence_case cut = {
	.now_ns = 101000 * MS,
	.nodes = 5,
	.reach = 1,
	.renewed_ns = 99900 * MS,
	.lease_grace_ns = 700 * MS,
	.settle_ns = 500 * MS,
	.hold_down_ns = 30000 * MS,
};

/* The step at the case's time, when the majority was lost at 100.3 s. */
static enum self_fence_step step_of(struct self_fence_case now, char *sentence, size_t size)
{
	struct self_fence fence = {.lost_ns = 100300 * MS};
	struct text text = {.data = sentence, .size = size};

	*sentence = '\0';
	return self_fence_update(&fence, &now, &text);
}

#define CUT(...)                                    \
	({                                          \
		struct self_fence_case case_ = cut; \
		struct self_fence_case *c = &case_; \
		__VA_ARGS__;                        \
		case_;                              \
	})

static void test_closes(void **state)
{
	char sentence[256];

	(void)state;
	assert_int_equal(step_of(cut, sentence, sizeof(sentence)), SELF_FENCE_CLOSE);
	assert_string_equal(
		sentence, "only 1 of 5 nodes are reached both ways, 3 are needed, for 700 ms; the "
			  "lease was renewed last 1100 ms ago");
}

/* All of the conditions must hold: each alone is taken away. */
static void test_refuses(void **state)
{
	const struct {
		const char *name;
		struct self_fence_case now;
		enum self_fence_step expected;
	} rows[] = {
		{"the store is down, but a majority is reached", CUT(c->reach = 3),
		 SELF_FENCE_STAY},
		{"two of five are a minority", CUT(c->reach = 2), SELF_FENCE_CLOSE},
		{"the lease was renewed 700 ms ago", CUT(c->renewed_ns = 100300 * MS),
		 SELF_FENCE_CLOSE},
		{"the lease was renewed 699 ms ago", CUT(c->renewed_ns = 100301 * MS),
		 SELF_FENCE_STAY},
		{"it never held a lease", CUT(c->renewed_ns = 0), SELF_FENCE_STAY},
		{"lost for 500 ms", CUT(c->now_ns = 100800 * MS), SELF_FENCE_CLOSE},
		{"lost for 499 ms", CUT(c->now_ns = 100799 * MS), SELF_FENCE_STAY},
		{"two nodes have no minority", CUT(c->nodes = 2), SELF_FENCE_STAY},
		{"half of four is no majority", CUT(c->nodes = 4; c->reach = 2), SELF_FENCE_CLOSE},
		{"blind", CUT(c->blind = true), SELF_FENCE_STAY},
		{"starved", CUT(c->distrust_ratio = 0.51), SELF_FENCE_STAY},
		{"paused", CUT(c->paused = true), SELF_FENCE_STAY},
	};
	char sentence[256];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (step_of(rows[i].now, sentence, sizeof(sentence)) != rows[i].expected)
			fail_msg("%s", rows[i].name);
}

/* From the cut to the end, in turns of 50 ms: when it closes, and when it opens. */
static void test_a_cut_and_its_end(void **state)
{
	struct self_fence fence = {0};
	uint64_t closed_ms = 0, opened_ms = 0;

	(void)state;
	for (uint64_t ms = 100000; ms < 150000; ms += 50) {
		/* Cut at 100.0 s, seen at 100.3 s; healed at 110 s, a relapse at 120 s for 1 s. */
		bool cut_now = (ms >= 100000 && ms < 110000) || (ms >= 120000 && ms < 121000);
		bool seen = (ms >= 100300 && ms < 110000) || (ms >= 120300 && ms < 121000);
		struct self_fence_case now = cut;
		char sentence[256] = "";
		struct text text = TEXT(sentence);

		now.now_ns = ms * MS;
		now.reach = seen ? 2 : 5;
		now.renewed_ns = !cut_now ? ms * MS : ms < 110000 ? 100000 * MS : 120000 * MS;
		now.store_connected = !cut_now;
		now.hold_down_ns = 20000 * MS;
		switch (self_fence_update(&fence, &now, &text)) {
		case SELF_FENCE_CLOSE:
			assert_int_equal(closed_ms, 0);
			closed_ms = ms;
			break;
		case SELF_FENCE_OPEN:
			assert_int_equal(opened_ms, 0);
			opened_ms = ms;
			break;
		default:
			break;
		}
	}
	assert_int_equal(closed_ms, 100800);
	/* The relapse began the hold-down anew. */
	assert_int_equal(opened_ms, 141000);
}

/* A record that isolates this node keeps it shut: whoever wrote it releases it. */
static void test_recorded(void **state)
{
	struct self_fence fence = {.fenced = true};
	struct self_fence_case now = cut;
	char sentence[256] = "";
	struct text text = TEXT(sentence);

	(void)state;
	now.reach = 5;
	now.store_connected = true;
	now.recorded = true;
	for (uint64_t ms = 200000; ms < 300000; ms += 1000) {
		now.now_ns = now.renewed_ns = ms * MS;
		assert_int_equal(self_fence_update(&fence, &now, &text), SELF_FENCE_STAY);
	}
	now.recorded = false;
	now.now_ns = now.renewed_ns = 300000 * MS;
	assert_int_equal(self_fence_update(&fence, &now, &text), SELF_FENCE_STAY);
	now.now_ns = now.renewed_ns = 330000 * MS;
	assert_int_equal(self_fence_update(&fence, &now, &text), SELF_FENCE_OPEN);
	assert_false(fence.fenced);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_a_cut_and_its_end),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
