// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/sched.h"

#include "probe/kernel_types.h"
#include "probe/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/sched.skel.h"

static const struct program programs[] = {
	{"task_leaves", "tp_btf/sched_switch", "run-queue delay", true},
};

#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

struct sched_probe {
	struct sched_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
	uint32_t pid, cpus;
};

static void close_skeleton(void *context)
{
	struct sched_probe *probe = context;

	sched_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct sched_probe *probe = context;
	int r;

	probe->skeleton = sched_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	probe->skeleton->rodata->switch_state_is_second =
		kernel_tracepoint_is_pointer("sched_switch", 1) == 0;
	probe->skeleton->rodata->filter_pid = probe->pid;
	r = bpf_map__set_max_entries(probe->skeleton->maps.sched_records, probe->cpus);
	if (r) {
		close_skeleton(probe);
		return r;
	}
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

int sched_probe_open(struct sched_probe **ret_probe, uint32_t pid, struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	int r, cpus = libbpf_num_possible_cpus();
	struct bpf_object_skeleton *skeleton;
	struct sched_probe *probe;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	probe->statuses[0].program = &programs[0];
	probe->pid = pid;
	probe->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	object.context = probe;
	if (kernel_has_member("sched_info", "run_delay") == 0) {
		struct text reason = TEXT(probe->statuses[0].reason);

		text_printf(&reason, "this kernel keeps no account of run-queue delays; use one "
				     "built with CONFIG_SCHED_INFO=y");
	}
	r = cpus < 0 ? cpus : program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r) {
		text_printf(error, "loading the sched program: %s",
			    probe->statuses[0].reason[0] ? probe->statuses[0].reason
							 : strerror(-r));
		sched_probe_close(probe);
		return r;
	}
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	*ret_probe = probe;
	return 0;
}

void sched_probe_close(struct sched_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	sched_bpf__destroy(probe->skeleton);
	free(probe);
}

const struct program_status *sched_probe_programs(const struct sched_probe *probe,
						  size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

void sched_probe_shed(struct sched_probe *probe, const char *reason)
{
	program_shed(probe->statuses, PROGRAM_COUNT, reason);
}

/* The sum at a task's last switch is long past: the difference would be no single wait. */
static int forget_waits(const struct sched_probe *probe)
{
	static const struct sched_set none = {{0}};
	int waited = bpf_map__fd(probe->skeleton->maps.sched_waited);

	for (uint32_t i = 0; i < SCHED_SETS; i++)
		if (bpf_map_update_elem(waited, &i, &none, BPF_ANY))
			return -errno;
	return 0;
}

int sched_probe_restore(struct sched_probe *probe)
{
	int r = forget_waits(probe);

	if (r)
		return r;
	return program_restore(probe->skeleton->skeleton, probe->statuses, PROGRAM_COUNT);
}

int sched_probe_read(const struct sched_probe *probe, struct sched_record *ret_sum)
{
	int records = bpf_map__fd(probe->skeleton->maps.sched_records);
	struct sched_record record;

	*ret_sum = (struct sched_record){0};
	for (uint32_t cpu = 0; cpu < probe->cpus; cpu++) {
		if (bpf_map_lookup_elem(records, &cpu, &record))
			return -errno;
		ret_sum->sum_ns += record.sum_ns;
		ret_sum->unknown += record.unknown;
		for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
			ret_sum->counts[i] += record.counts[i];
	}
	return 0;
}
