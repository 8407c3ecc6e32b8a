// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/task.h"

#include "probe/group_records.h"
#include "probe/kernel_types.h"
#include "probe/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/task.skel.h"

static const struct program programs[] = {
	{"process_crashes", "tp_btf/sched_process_exit", "crashes of processes", true},
	{"victim_is_killed", "tp_btf/mark_victim", "OOM kills", false},
	{TASK_PROBE_SLEEPERS, "iter/task", "tasks that hang", false},
};

#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

struct task_probe {
	uint32_t max_groups;
	struct task_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
	struct ring_buffer *events;
	void (*ended)(void *context, const struct task_event *event);
	void *ended_context;
};

static int configure(struct task_bpf *skeleton, const struct task_probe *probe)
{
	bool has_group_dead = kernel_tracepoint_arguments("sched_process_exit") >= 2;

	skeleton->rodata->exit_has_group_dead = has_group_dead;
	skeleton->rodata->oom_has_task = kernel_tracepoint_arguments("mark_victim") >= 2;
	/* Nobody looks into it then. */
	if (has_group_dead && bpf_map__set_max_entries(skeleton->maps.ended, 1))
		return -EINVAL;
	return bpf_map__set_max_entries(skeleton->maps.task_records, probe->max_groups);
}

static void close_skeleton(void *context)
{
	struct task_probe *probe = context;

	task_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct task_probe *probe = context;
	int r;

	probe->skeleton = task_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	r = configure(probe->skeleton, probe);
	if (r) {
		close_skeleton(probe);
		return r;
	}
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

static int on_event(void *context, void *data, size_t size)
{
	struct task_probe *probe = context;

	if (size >= sizeof(struct task_event) && probe->ended)
		probe->ended(probe->ended_context, data);
	return 0;
}

int task_probe_open(struct task_probe **ret_probe, uint32_t max_groups, struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	struct bpf_object_skeleton *skeleton;
	struct task_probe *probe;
	const char *doing = "loading the task programs";
	int r;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	probe->max_groups = max_groups;
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		probe->statuses[i].program = &programs[i];
	object.context = probe;
	r = program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r)
		goto failed;
	doing = "opening the ring of ends";
	probe->events = ring_buffer__new(bpf_map__fd(probe->skeleton->maps.task_events), on_event,
					 probe, NULL);
	if (!probe->events) {
		r = -errno;
		goto failed;
	}
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	*ret_probe = probe;
	return 0;

failed:
	text_printf(error, "%s: %s", doing,
		    probe->statuses[0].reason[0] ? probe->statuses[0].reason : strerror(-r));
	task_probe_close(probe);
	return r;
}

void task_probe_close(struct task_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	ring_buffer__free(probe->events);
	task_bpf__destroy(probe->skeleton);
	free(probe);
}

const struct program_status *task_probe_programs(const struct task_probe *probe, size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

void task_probe_shed(struct task_probe *probe, const char *reason)
{
	program_shed(probe->statuses, PROGRAM_COUNT, reason);
}

int task_probe_restore(struct task_probe *probe)
{
	return program_restore(probe->skeleton->skeleton, probe->statuses, PROGRAM_COUNT);
}

static int records_of(const struct task_probe *probe)
{
	return bpf_map__fd(probe->skeleton->maps.task_records);
}

int task_probe_read(const struct task_probe *probe, struct task_record *record,
		    void (*found)(void *context, const struct group_key *group), void *context)
{
	return group_records_read(records_of(probe), probe->max_groups, record, found, context);
}

bool task_probe_take(struct task_probe *probe, const struct group_key *group,
		     struct task_record *ret_record)
{
	return group_records_take(records_of(probe), group, ret_record);
}

struct task_record task_probe_other(const struct task_probe *probe)
{
	return probe->skeleton->bss->task_other;
}

struct task_counters task_probe_counters(const struct task_probe *probe)
{
	return probe->skeleton->bss->task_counters;
}

int task_probe_events_fd(const struct task_probe *probe)
{
	return ring_buffer__epoll_fd(probe->events);
}

int task_probe_watch(struct task_probe *probe, uint32_t pid)
{
	const uint8_t watched = 1;

	if (bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.task_watched), &pid, &watched,
				BPF_NOEXIST))
		return errno == EEXIST ? 0 : -errno;
	probe->skeleton->bss->task_watching++;
	return 0;
}

void task_probe_unwatch(struct task_probe *probe, uint32_t pid)
{
	if (!bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.task_watched), &pid))
		probe->skeleton->bss->task_watching--;
}

struct sleepers_reader {
	void (*found)(void *context, const struct task_sleeper *sleeper);
	void *context;
};

static void read_sleeper(void *context, const void *record)
{
	const struct sleepers_reader *reader = context;
	struct task_sleeper sleeper;

	memcpy(&sleeper, record, sizeof(sleeper));
	reader->found(reader->context, &sleeper);
}

int task_probe_sleepers(const struct task_probe *probe,
			void (*found)(void *context, const struct task_sleeper *sleeper),
			void *context)
{
	struct sleepers_reader reader = {found, context};

	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		if (!strcmp(programs[i].name, TASK_PROBE_SLEEPERS))
			return program_iterate_records(&probe->statuses[i],
						       sizeof(struct task_sleeper), read_sleeper,
						       &reader);
	return -ENOENT;
}

int task_probe_drain(struct task_probe *probe,
		     void (*ended)(void *context, const struct task_event *event), void *context)
{
	probe->ended = ended;
	probe->ended_context = context;
	return ring_buffer__consume(probe->events);
}
