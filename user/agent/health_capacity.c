// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_capacity.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "base/clock.h"
#include "base/log.h"
#include "detect/forecast.h"
#include "probe/pressure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_NS	   (5 * NS_PER_S)
#define CLEAR_NS   (300 * NS_PER_S)
#define FORGET_NS  (600 * NS_PER_S)
#define SERIES_MAX 128

/* The first series, which are read here. They keep their places. */
enum { SERIES_CPU, SERIES_MEMORY, OWN_SERIES };

static const char *const own_names[OWN_SERIES] = {
	[SERIES_CPU] = "cpu",
	[SERIES_MEMORY] = "memory",
};

struct capacity_series {
	char name[FINDING_SUBJECT_MAX];
	struct forecast forecast;
};

struct capacity {
	struct agent *agent;
	int cpu_fd, memory_fd; /* negative: cannot be read, and the finding is blind for it */
	uint64_t looked_ns;
	bool times_known;
	struct pressure_cpu_time times; /* at the last look */
	struct capacity_series series[SERIES_MAX];
	size_t count;
	bool full_told;
};

static bool is_off(const struct capacity *capacity)
{
	return capacity->agent->config.findings.settings[FINDING_CAPACITY].response ==
	       FINDING_RESPONSE_OFF;
}

static struct capacity_series *series_of(struct capacity *capacity, const char *name)
{
	struct capacity_series *series;

	for (size_t i = 0; i < capacity->count; i++)
		if (!strncmp(capacity->series[i].name, name, FINDING_SUBJECT_MAX - 1))
			return &capacity->series[i];
	if (capacity->count == SERIES_MAX) {
		if (!capacity->full_told)
			log_warning("capacity is not foreseen of all", log_string("first", name),
				    log_unsigned("foreseen", SERIES_MAX));
		capacity->full_told = true;
		return NULL;
	}
	series = &capacity->series[capacity->count++];
	*series = (struct capacity_series){0};
	snprintf(series->name, sizeof(series->name), "%s", name);
	return series;
}

void capacity_observe(struct agent *agent, const char *name, const char *whole, double used,
		      double limit, uint64_t now_ns)
{
	const struct finding_limits *limits = &agent->config.findings.limits;
	const struct forecast_settings settings = {
		.horizon_ns = limits->capacity.horizon_s * NS_PER_S,
		.reserve_percent = limits->capacity.reserve_percent,
	};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	struct capacity_series *series;
	enum finding_level level;

	if (!agent->capacity || is_off(agent->capacity) || limit <= 0)
		return;
	series = series_of(agent->capacity, name);
	if (!series)
		return;
	level = forecast_observe(&series->forecast, &settings, used * 100 / limit, now_ns);
	if (level == FINDING_ACTIVE)
		forecast_explain(&series->forecast, &settings, whole, now_ns, &text);
	findings_say(agent_findings_list(agent->findings), FINDING_CAPACITY, series->name, level,
		     series->forecast.since_ns, CLEAR_NS, now_ns, sentence);
}

/* Those that were not told since then. */
static void forget_silent(struct capacity *capacity, uint64_t since_ns, const char *why,
			  uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < capacity->count; i++) {
		struct capacity_series *series = &capacity->series[i];
		bool silent = series->forecast.last_ns <= since_ns;

		if (silent)
			findings_end(agent_findings_list(capacity->agent->findings),
				     FINDING_CAPACITY, series->name, why, now_ns);
		if (silent && i < OWN_SERIES)
			series->forecast = (struct forecast){0};
		else if (silent)
			continue;
		if (kept != i)
			capacity->series[kept] = *series;
		kept++;
	}
	capacity->count = kept;
}

static void look_at_cpu(struct capacity *capacity, uint64_t now_ns)
{
	struct pressure_cpu_time before = capacity->times, *now = &capacity->times;
	double busy, all;
	bool known = capacity->times_known;

	capacity->times_known = !pressure_read_cpu_time(capacity->cpu_fd, now);
	if (!known || !capacity->times_known)
		return;
	/* Differences of what wraps around; the kernel's idle time goes back at times. */
	busy = (double)(int64_t)(now->busy - before.busy);
	all = busy + (double)(int64_t)(now->idle - before.idle) +
	      (double)(int64_t)(now->stolen - before.stolen);
	if (busy >= 0 && all > 0)
		capacity_observe(capacity->agent, own_names[SERIES_CPU], "the time", busy, all,
				 now_ns);
}

static void turn(void *context, uint64_t now_ns)
{
	struct capacity *capacity = context;
	struct pressure_memory_use use;

	if (now_ns < capacity->looked_ns + LOOK_NS)
		return;
	capacity->looked_ns = now_ns;
	if (is_off(capacity)) {
		forget_silent(capacity, now_ns, "it is not looked for any more", now_ns);
		return;
	}
	look_at_cpu(capacity, now_ns);
	if (!pressure_read_memory_use(capacity->memory_fd, &use))
		capacity_observe(capacity->agent, own_names[SERIES_MEMORY], "the memory",
				 (double)use.total_bytes - (double)use.available_bytes,
				 (double)use.total_bytes, now_ns);
	if (now_ns > FORGET_NS)
		forget_silent(capacity, now_ns - FORGET_NS, "its use is not told any more", now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct capacity *capacity = calloc(1, sizeof(*capacity));
	char buffer[FINDING_SENTENCE_MAX] = "";
	struct text reason = TEXT(buffer);

	*ret_family = capacity;
	if (!capacity)
		return -ENOMEM;
	capacity->agent = agent;
	capacity->cpu_fd = pressure_open(PRESSURE_CPU_TIME, &reason);
	if (capacity->cpu_fd < 0)
		text_printf(&reason, "; ");
	capacity->memory_fd = pressure_open(PRESSURE_MEMORY_USE, &reason);
	findings_set_blind(agent_findings_list(agent->findings), FINDING_CAPACITY, buffer);
	for (size_t i = 0; i < OWN_SERIES; i++)
		(void)series_of(capacity, own_names[i]);
	agent->capacity = capacity;
	return 0;
}

static void close_family(void *context)
{
	struct capacity *capacity = context;

	capacity->agent->capacity = NULL;
	if (capacity->cpu_fd >= 0)
		close(capacity->cpu_fd);
	if (capacity->memory_fd >= 0)
		close(capacity->memory_fd);
	free(capacity);
}

const struct health_family health_capacity = {
	.name = "capacity",
	.open = open_family,
	.turn = turn,
	.close = close_family,
};
