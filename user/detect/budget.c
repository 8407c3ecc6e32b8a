// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/budget.h"

/* The last part that is worth it; part_count: there is none. */
static unsigned int find_worthwhile(const struct budget *budget, const struct budget_window *window,
				    double limit)
{
	for (unsigned int i = budget->part_count; i-- > 0;)
		if (window->open[i] && !budget->parts[i].shed &&
		    window->parts[i] >= limit * BUDGET_WORTH_RATIO)
			return i;
	return budget->part_count;
}

/* Of those whose time has come the first, which is wanted most; part_count: there is none. */
static unsigned int find_returning(const struct budget *budget, uint64_t now_ns)
{
	for (unsigned int i = 0; i < budget->part_count; i++) {
		const struct budget_part *part = &budget->parts[i];

		if (part->shed && now_ns - part->changed_ns >= part->hold_ns)
			return i;
	}
	return budget->part_count;
}

static void shed(struct budget_part *part, uint64_t first_hold_ns, uint64_t now_ns)
{
	bool soon = part->hold_ns && now_ns - part->changed_ns < part->hold_ns;

	part->hold_ns = soon ? 2 * part->hold_ns : first_hold_ns;
	if (part->hold_ns > BUDGET_HOLD_MAX_NS)
		part->hold_ns = BUDGET_HOLD_MAX_NS;
	part->shed = true;
	part->changed_ns = now_ns;
}

struct budget_decision budget_judge(struct budget *budget, const struct budget_window *window,
				    const struct budget_limits *limits)
{
	struct budget_decision decision = {.action = BUDGET_KEEP};

	if (window->share <= limits->share) {
		budget->windows_over = 0;
		budget->exhausted = false;
		if (window->share > limits->share * BUDGET_RESTORE_RATIO)
			return decision;
		decision.part = find_returning(budget, window->now_ns);
		if (decision.part == budget->part_count)
			return decision;
		decision.action = BUDGET_RESTORE;
		budget->parts[decision.part].shed = false;
		budget->parts[decision.part].changed_ns = window->now_ns;
		return decision;
	}
	if (++budget->windows_over < BUDGET_WINDOWS)
		return decision;
	decision.part = find_worthwhile(budget, window, limits->share);
	budget->exhausted = decision.part == budget->part_count;
	if (budget->exhausted)
		return decision;
	decision.action = BUDGET_SHED;
	budget->windows_over = 0;
	shed(&budget->parts[decision.part], limits->hold_ns, window->now_ns);
	return decision;
}
