// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/family.h"

#include "probe/block.h"
#include "probe/drop.h"
#include "probe/listener.h"
#include "probe/sched.h"
#include "probe/task.h"

#include <string.h>

/* The typed functions of a probe behind those of the table. */
#define FAMILY_WITH(kind, open_call)                                                              \
	static int kind##_open(void **ret_probe, const struct probe_settings *settings,           \
			       struct text *error)                                                \
	{                                                                                         \
		struct kind##_probe *probe = NULL;                                                \
		int r = open_call;                                                                \
                                                                                                  \
		(void)settings;                                                                   \
		*ret_probe = probe;                                                               \
		return r;                                                                         \
	}                                                                                         \
	static void kind##_close(void *probe)                                                     \
	{                                                                                         \
		kind##_probe_close(probe);                                                        \
	}                                                                                         \
	static const struct program_status *kind##_programs(const void *probe, size_t *ret_count) \
	{                                                                                         \
		return kind##_probe_programs(probe, ret_count);                                   \
	}                                                                                         \
	static void kind##_shed(void *probe, const char *reason)                                  \
	{                                                                                         \
		kind##_probe_shed(probe, reason);                                                 \
	}                                                                                         \
	static int kind##_restore(void *probe)                                                    \
	{                                                                                         \
		return kind##_probe_restore(probe);                                               \
	}

#define FAMILY(kind) FAMILY_WITH(kind, kind##_probe_open(&probe, error))
#define ROW(kind, without)                                                                    \
	{                                                                                     \
		.name = #kind, .lost = (without), .open = kind##_open, .close = kind##_close, \
		.programs = kind##_programs, .shed = kind##_shed, .restore = kind##_restore   \
	}

FAMILY(block)
FAMILY_WITH(sched, sched_probe_open(&probe, 0, error))
FAMILY_WITH(drop, drop_probe_open(&probe, settings->netns_inode, error))
FAMILY_WITH(listener, listener_probe_open(&probe, settings->netns_inode, error))
FAMILY_WITH(task, task_probe_open(&probe, settings->max_groups, error))

const struct probe_family probe_families[PROBE_KINDS] = {
	[PROBE_BLOCK] = ROW(block, "metrics of disks"),
	[PROBE_TASK] = ROW(task, "crashes of processes and OOM kills"),
	[PROBE_DROP] = ROW(drop, "dropped packets by reason"),
	[PROBE_LISTENER] = ROW(listener, "overflows and delays of accept queues"),
	[PROBE_SCHED] = ROW(sched, "run-queue delay"),
};

void probes_open(struct probes *probes, const struct probe_settings *settings)
{
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		struct text error = TEXT(probes->errors[kind]);

		if (probe_families[kind].open(&probes->open[kind], settings, &error))
			probes->open[kind] = NULL;
	}
}

void probes_close(struct probes *probes)
{
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		probe_families[kind].close(probes->open[kind]);
		probes->open[kind] = NULL;
	}
}

const struct program_status *probes_programs(const struct probes *probes, enum probe_kind kind,
					     size_t *ret_count)
{
	*ret_count = 0;
	if (!probes->open[kind])
		return NULL;
	return probe_families[kind].programs(probes->open[kind], ret_count);
}

void probes_shed(struct probes *probes, enum probe_kind kind, const char *reason)
{
	probe_families[kind].shed(probes->open[kind], reason);
}

int probes_restore(struct probes *probes, enum probe_kind kind)
{
	return probe_families[kind].restore(probes->open[kind]);
}

const char *probes_obstacle(const struct probes *probes, enum probe_kind kind)
{
	size_t count = 0;
	const struct program_status *programs = probes_programs(probes, kind, &count);

	if (!programs)
		return probes->errors[kind];
	for (size_t i = 0; i < count; i++)
		if (!programs[i].attached && programs[i].program->required)
			return programs[i].reason;
	return "";
}

const char *probes_program_obstacle(const struct probes *probes, enum probe_kind kind,
				    const char *program)
{
	size_t count = 0;
	const struct program_status *programs = probes_programs(probes, kind, &count);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(programs[i].program->name, program))
			return programs[i].reason;
	return probes->errors[kind];
}
