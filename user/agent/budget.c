// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/budget.h"

#include "agent/agent.h"
#include "base/capability.h"
#include "base/clock.h"
#include "base/log.h"
#include "detect/budget.h"
#include "probe/run_time.h"
#include "probe/run_time_helper.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* To switch the measuring on and off has the kernel patch its code on all CPUs: not for less. */
#define WINDOW_NS	  (100 * NS_PER_MS)
#define INTERVAL_NS	  (10 * NS_PER_S)
#define INTERVAL_FIRST_NS NS_PER_S
/* From a window that is over the limit to the next. */
#define INTERVAL_OVER_NS NS_PER_S

/* Of all probes: twice as many as there are. */
#define PROGRAMS_MAX 48

/* What can be shed: the later, the sooner. */
enum part { PART_BLOCK, PART_TASK, PART_RTT, PART_DROP, PART_LISTENER, PART_SCHED, PARTS };

/* The family that each is; PROBE_KINDS: it is a part of the TCP probe. */
static const enum probe_kind kinds[PARTS] = {
	[PART_BLOCK] = PROBE_BLOCK, [PART_TASK] = PROBE_TASK,	      [PART_RTT] = PROBE_KINDS,
	[PART_DROP] = PROBE_DROP,   [PART_LISTENER] = PROBE_LISTENER, [PART_SCHED] = PROBE_SCHED,
};

static const char *name_of(unsigned int part)
{
	return part == PART_RTT ? "rtt" : probe_families[kinds[part]].name;
}

static const char *lost_without(unsigned int part)
{
	return part == PART_RTT ? "round-trip times of TCP" : probe_families[kinds[part]].lost;
}

_Static_assert(PARTS == SNAPSHOT_BUDGET_PARTS, "each part is told of");
_Static_assert(PARTS <= BUDGET_PARTS_MAX, "each part is judged");

/* One program's. */
struct cost {
	const struct program_status *program;
	struct program_runs before; /* as of the begin of the window */
	struct program_runs sum;    /* of all windows */
	uint64_t window_ns;	    /* in the last one */
};

struct agent_budget {
	struct agent *agent;
	struct budget rule;
	struct cost costs[PROGRAMS_MAX];
	unsigned int cost_count;
	struct run_time_helper helper;
	bool asked;    /* it, for the next descriptor */
	int measuring; /* descriptor, or -1 between windows */
	int empty;     /* a program that does nothing, or -1 */
	int error;     /* why it cannot be measured; negative errno, or 0 */
	uint64_t begun_ns, next_ns;
	uint64_t measured_ns; /* all windows together */
	double share;	      /* of the last window; negative: there was none */
	uint64_t sheds[PARTS];
};

static struct cost *cost_of(struct agent_budget *budget, const struct program_status *program)
{
	for (unsigned int i = 0; i < budget->cost_count; i++)
		if (budget->costs[i].program == program)
			return &budget->costs[i];
	if (budget->cost_count == PROGRAMS_MAX)
		return NULL;
	budget->costs[budget->cost_count] = (struct cost){.program = program};
	return &budget->costs[budget->cost_count++];
}

/* Those of a family, or with PROBE_KINDS of the TCP probe. */
static const struct program_status *programs_of(const struct agent *agent, unsigned int kind,
						size_t *ret_count)
{
	*ret_count = 0;
	if (kind < PROBE_KINDS)
		return probes_programs(&agent->probes, kind, ret_count);
	return agent->probe ? tcp_probe_programs(agent->probe, ret_count) : NULL;
}

static void fail_window(struct agent_budget *budget, int error, uint64_t now_ns)
{
	if (error != budget->error)
		log_warning("what the probes cost is not known", log_errno("reason", error),
			    log_string("consequence", "budget.cpu_percent is not kept"));
	budget->error = error;
	budget->next_ns = now_ns + INTERVAL_NS;
}

static void begin_window(struct agent_budget *budget, int fd)
{
	size_t count;

	budget->error = 0;
	budget->measuring = fd;
	for (unsigned int kind = 0; kind <= PROBE_KINDS; kind++) {
		const struct program_status *programs = programs_of(budget->agent, kind, &count);

		for (size_t i = 0; i < count; i++) {
			struct cost *cost = cost_of(budget, &programs[i]);

			if (cost)
				cost->before = program_runs(&programs[i]);
		}
	}
	budget->begun_ns = clock_monotonic_ns();
}

/* Returns how long the programs of a probe ran in the window that ends, without the 'added_ns' that
 * measuring adds to each run. */
static uint64_t take_costs(struct agent_budget *budget, unsigned int kind, uint64_t added_ns)
{
	uint64_t sum_ns = 0;
	size_t count;
	const struct program_status *programs = programs_of(budget->agent, kind, &count);

	for (size_t i = 0; i < count; i++) {
		struct cost *cost = cost_of(budget, &programs[i]);
		struct program_runs runs = program_runs(&programs[i]);
		uint64_t count_of_runs, all_added_ns;

		if (!cost || !programs[i].attached)
			continue;
		count_of_runs = runs.count - cost->before.count;
		all_added_ns = count_of_runs * added_ns;
		cost->window_ns = runs.time_ns - cost->before.time_ns;
		cost->window_ns -= all_added_ns < cost->window_ns ? all_added_ns : cost->window_ns;
		cost->sum.count += count_of_runs;
		cost->sum.time_ns += cost->window_ns;
		sum_ns += cost->window_ns;
	}
	return sum_ns;
}

static uint64_t window_of_program(struct agent_budget *budget, const char *name)
{
	for (unsigned int i = 0; i < budget->cost_count; i++)
		if (!strcmp(budget->costs[i].program->program->name, name))
			return budget->costs[i].window_ns;
	return 0;
}

static struct budget_window end_window(struct agent_budget *budget)
{
	struct budget_window window = {.now_ns = clock_monotonic_ns()};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t length_ns = window.now_ns - budget->begun_ns, kinds_ns[PROBE_KINDS + 1];
	uint64_t added_ns = budget->empty < 0 ? 0 : run_time_of_empty_ns(budget->empty);
	double all_ns = (double)length_ns * (double)(cpus > 0 ? cpus : 1);

	for (unsigned int kind = 0; kind <= PROBE_KINDS; kind++) {
		kinds_ns[kind] = take_costs(budget, kind, added_ns);
		window.share += (double)kinds_ns[kind] / all_ns;
	}
	close(budget->measuring);
	budget->measuring = -1;
	budget->measured_ns += length_ns;
	budget->share = window.share;
	/* Of the TCP probe only what each segment runs: how much of it are the samples, nobody
	 * measures. */
	kinds_ns[PROBE_KINDS] = window_of_program(budget, TCP_PROBE_SEGMENTS);
	for (unsigned int i = 0; i < PARTS; i++) {
		window.parts[i] = (double)kinds_ns[kinds[i]] / all_ns;
		window.open[i] = i == PART_RTT ? budget->agent->probe != NULL
					       : budget->agent->probes.open[kinds[i]] != NULL;
	}
	return window;
}

static void shed(struct agent_budget *budget, unsigned int part)
{
	struct agent *agent = budget->agent;
	char reason[PROGRAM_REASON_MAX];

	snprintf(reason, sizeof(reason),
		 "given up for now: all programs together took %.3g %% of the machine's CPU time, "
		 "budget.cpu_percent is %.3g",
		 budget->share * 100, agent->config.budget.cpu_percent);
	budget->sheds[part]++;
	if (part == PART_RTT)
		tcp_probe_shed_rtt(agent->probe, true);
	else
		probes_shed(&agent->probes, kinds[part], reason);
	log_warning("probe shed", log_string("probe", name_of(part)),
		    log_string("lost", lost_without(part)), log_string("reason", reason),
		    log_unsigned("for_s_at_least", budget->rule.parts[part].hold_ns / NS_PER_S));
}

static void restore(struct agent_budget *budget, unsigned int part)
{
	struct agent *agent = budget->agent;
	int r = 0;

	if (part == PART_RTT)
		tcp_probe_shed_rtt(agent->probe, false);
	else
		r = probes_restore(&agent->probes, kinds[part]);
	if (r)
		log_error("a probe cannot be taken back", log_string("probe", name_of(part)),
			  log_string("reason", probes_obstacle(&agent->probes, kinds[part])));
	else
		log_info("probe taken back", log_string("probe", name_of(part)));
}

static void judge(struct agent_budget *budget, const struct budget_window *window)
{
	const struct config *config = &budget->agent->config;
	const struct budget_limits limits = {
		.share = config->budget.cpu_percent / 100,
		.hold_ns = config->budget.restore_after_s * NS_PER_S,
	};
	bool was_exhausted = budget->rule.exhausted;
	struct budget_decision decision = budget_judge(&budget->rule, window, &limits);

	if (decision.action == BUDGET_SHED)
		shed(budget, decision.part);
	if (decision.action == BUDGET_RESTORE)
		restore(budget, decision.part);
	if (budget->rule.exhausted && !was_exhausted)
		log_warning("the probes cost more than their budget",
			    log_decimal("cpu_percent", budget->share * 100),
			    log_decimal("budget_percent", config->budget.cpu_percent),
			    log_string("consequence",
				       "what is left is needed, or costs next to nothing"));
}

/* From a window's end to the begin of the next. */
static uint64_t interval_ns(const struct agent_budget *budget)
{
	uint64_t hold_ns = budget->agent->config.budget.restore_after_s * NS_PER_S;

	if (budget->rule.windows_over && !budget->rule.exhausted)
		return INTERVAL_OVER_NS;
	return hold_ns < INTERVAL_NS ? hold_ns : INTERVAL_NS;
}

/* Between two windows: asks the helper, and has its answer at a later turn. */
static void await_window(struct agent_budget *budget, uint64_t now_ns)
{
	int r;

	if (!budget->asked && now_ns < budget->next_ns)
		return;
	if (!budget->asked) {
		r = budget->helper.pid ? run_time_helper_ask(&budget->helper) : -EPERM;
		budget->asked = !r;
	} else {
		r = run_time_helper_take(&budget->helper);
		if (r == -EAGAIN)
			return;
		budget->asked = false;
		if (r >= 0)
			begin_window(budget, r);
	}
	if (r < 0)
		fail_window(budget, r, now_ns);
}

void agent_budget_turn(struct agent_budget *budget, uint64_t now_ns)
{
	struct budget_window window;

	if (budget->measuring < 0) {
		await_window(budget, now_ns);
		return;
	}
	if (now_ns < budget->begun_ns + WINDOW_NS)
		return;
	window = end_window(budget);
	judge(budget, &window);
	budget->next_ns = window.now_ns + interval_ns(budget);
}

void agent_budget_snapshot(const struct agent_budget *budget, struct snapshot_budget *ret)
{
	*ret = (struct snapshot_budget){
		.known = budget->share >= 0,
		.share_ratio = budget->share,
		.limit_ratio = budget->agent->config.budget.cpu_percent / 100,
		.measured_ns = budget->measured_ns,
		.error = budget->error ? strerror(-budget->error) : NULL,
	};
	for (unsigned int i = 0; i < PARTS; i++)
		ret->parts[i] = (struct snapshot_budget_part){
			name_of(i), budget->rule.parts[i].shed, budget->sheds[i]};
}

struct program_runs agent_budget_runs(const struct agent_budget *budget,
				      const struct program_status *program)
{
	for (unsigned int i = 0; i < budget->cost_count; i++)
		if (budget->costs[i].program == program)
			return budget->costs[i].sum;
	return (struct program_runs){0};
}

int agent_budget_open(struct agent_budget **ret_budget, struct agent *agent)
{
	struct agent_budget *budget = calloc(1, sizeof(*budget));
	int r = 0;

	*ret_budget = budget;
	if (!budget)
		return -ENOMEM;
	budget->agent = agent;
	budget->rule.part_count = PARTS;
	budget->measuring = -1;
	budget->empty = run_time_load_empty();
	if (capability_held(CAP_SYS_ADMIN))
		r = run_time_helper_start(&budget->helper);
	budget->share = -1;
	budget->next_ns = clock_monotonic_ns() + INTERVAL_FIRST_NS;
	return r;
}

void agent_budget_close(struct agent_budget *budget)
{
	if (!budget)
		return;
	if (budget->measuring >= 0)
		close(budget->measuring);
	if (budget->empty >= 0)
		close(budget->empty);
	run_time_helper_stop(&budget->helper);
	free(budget);
}
