// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/drop.h"

#include "probe/drop_reason.h"
#include "probe/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/drop_reasons.skel.h"

static const struct program programs[] = {
	{"packet_is_dropped", "tp_btf/kfree_skb", "dropped packets", true},
};

#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

struct drop_probe {
	struct drop_reasons_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
	uint32_t netns_inode, cpus;
	bool has_reason;
	uint32_t consumed;
	char *subsystems[DROP_SUBSYSTEMS + 1];
	char *names[DROP_SLOTS]; /* of those that have one, and of all that were ever shown */
};

/* Only the names that there are, packed: the tables that they come from are large. */
static int load_names(struct drop_probe *probe)
{
	struct enum_names *names = calloc(1, sizeof(*names));
	int r = 0;

	if (!names)
		return -ENOMEM;
	probe->has_reason = drop_reasons_load(names, &probe->consumed);
	for (size_t i = 0; !r && i < names->count; i++) {
		uint32_t slot = drop_slot(names->entries[i].value);

		if (slot == DROP_SLOT_OTHER || probe->names[slot])
			continue;
		probe->names[slot] = strdup(names->entries[i].name);
		r = probe->names[slot] ? 0 : -ENOMEM;
	}
	if (!r && !enum_names_load(names, "skb_drop_reason_subsys", "SKB_DROP_REASON_SUBSYS_"))
		for (uint32_t i = 1; i <= DROP_SUBSYSTEMS; i++) {
			const char *name = enum_names_find(names, i);

			/* The last value of the enumeration is no subsystem. */
			if (name && strcmp(name, "num"))
				probe->subsystems[i] = strdup(name);
		}
	free(names);
	return r;
}

static void close_skeleton(void *context)
{
	struct drop_probe *probe = context;

	drop_reasons_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct drop_probe *probe = context;
	int r;

	probe->skeleton = drop_reasons_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	probe->skeleton->rodata->drop_has_reason = probe->has_reason;
	probe->skeleton->rodata->filter_netns_inode = probe->netns_inode;
	probe->skeleton->rodata->drop_reason_consumed = probe->consumed;
	r = bpf_map__set_max_entries(probe->skeleton->maps.drop_records, probe->cpus);
	if (r) {
		close_skeleton(probe);
		return r;
	}
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

int drop_probe_open(struct drop_probe **ret_probe, uint32_t netns_inode, struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	int r, cpus = libbpf_num_possible_cpus();
	struct bpf_object_skeleton *skeleton;
	struct drop_probe *probe;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	probe->statuses[0].program = &programs[0];
	probe->netns_inode = netns_inode;
	probe->cpus = cpus > 0 ? (uint32_t)cpus : 1;
	object.context = probe;
	r = cpus < 0 ? cpus : load_names(probe);
	if (!r)
		r = program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r) {
		text_printf(error, "loading the drop program: %s",
			    probe->statuses[0].reason[0] ? probe->statuses[0].reason
							 : strerror(-r));
		drop_probe_close(probe);
		return r;
	}
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	*ret_probe = probe;
	return 0;
}

void drop_probe_close(struct drop_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	drop_reasons_bpf__destroy(probe->skeleton);
	for (size_t i = 0; i < DROP_SLOTS; i++)
		free(probe->names[i]);
	for (size_t i = 0; i <= DROP_SUBSYSTEMS; i++)
		free(probe->subsystems[i]);
	free(probe);
}

const struct program_status *drop_probe_programs(const struct drop_probe *probe, size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

void drop_probe_shed(struct drop_probe *probe, const char *reason)
{
	program_shed(probe->statuses, PROGRAM_COUNT, reason);
}

int drop_probe_restore(struct drop_probe *probe)
{
	return program_restore(probe->skeleton->skeleton, probe->statuses, PROGRAM_COUNT);
}

/* For a reason that the kernel's core has no name of: "openvswitch_3", "subsystem4_3", "200". */
static char *make_name(const struct drop_probe *probe, uint32_t slot)
{
	uint32_t number = (slot - DROP_CORE_REASONS) % DROP_SUBSYSTEM_REASONS;
	uint32_t subsystem = (slot - DROP_CORE_REASONS) / DROP_SUBSYSTEM_REASONS + 1;
	char *name = NULL;
	int r;

	if (slot == DROP_SLOT_OTHER)
		return strdup("other");
	if (slot < DROP_CORE_REASONS)
		r = asprintf(&name, "%u", slot);
	else if (probe->subsystems[subsystem])
		r = asprintf(&name, "%s_%u", probe->subsystems[subsystem], number);
	else
		r = asprintf(&name, "subsystem%u_%u", subsystem, number);
	return r < 0 ? NULL : name;
}

static const char *name_of(struct drop_probe *probe, uint32_t slot)
{
	if (!probe->has_reason)
		return "unknown";
	if (!probe->names[slot])
		probe->names[slot] = make_name(probe, slot);
	return probe->names[slot];
}

int drop_probe_read(struct drop_probe *probe,
		    void (*found)(void *context, const char *reason, uint64_t packets),
		    void *context)
{
	int records = bpf_map__fd(probe->skeleton->maps.drop_records);
	struct drop_reasons sum = {{0}}, record;

	for (uint32_t cpu = 0; cpu < probe->cpus; cpu++) {
		if (bpf_map_lookup_elem(records, &cpu, &record))
			return -errno;
		for (uint32_t slot = 0; slot < DROP_SLOTS; slot++)
			sum.packets[slot] += record.packets[slot];
	}
	for (uint32_t slot = 0; slot < DROP_SLOTS; slot++) {
		const char *name = sum.packets[slot] ? name_of(probe, slot) : NULL;

		/* Without memory for its name it is told the next time. */
		if (name)
			found(context, name, sum.packets[slot]);
	}
	return 0;
}
