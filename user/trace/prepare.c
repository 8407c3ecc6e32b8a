// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/prepare.h"

#include <string.h>

#define CONSTANTS_MAX 24

static struct object_constant constant_of(const char *name, const void *value, size_t size)
{
	return (struct object_constant){.name = name, .value = value, .size = size};
}

#define CONSTANT(name, variable) constant_of((name), &(variable), sizeof(variable))

int trace_prepare(struct object **ret_object, const struct trace_options *options,
		  struct program_status statuses[static PROGRAMS_MAX], struct text *error)
{
	const struct trace *trace = options->trace;
	const uint32_t mode = options->mode;
	const uint32_t grouping = options->grouping ? options->grouping->value : 0;
	const bool by_remote = options->remote.prefix > 0;
	uint32_t mask[4];
	/* A constant is set only when its option was given: the programs of a trace that does not
	 * take the option have no such constant. */
	const struct {
		bool given;
		struct object_constant constant;
	} candidates[] = {
		{true, CONSTANT("trace_mode", mode)},
		{trace->groupings[0].name, CONSTANT("trace_grouping", grouping)},
		{options->min_ns, CONSTANT("filter_min_ns", options->min_ns)},
		{options->pid, CONSTANT("filter_pid", options->pid)},
		{options->cgroup.id, CONSTANT("filter_cgroup_id", options->cgroup.id)},
		{options->cgroup.id, CONSTANT("filter_cgroup_level", options->cgroup.level)},
		{options->netns_inode, CONSTANT("filter_netns_inode", options->netns_inode)},
		{options->device, CONSTANT("filter_device", options->device)},
		{options->port, CONSTANT("filter_port", options->port)},
		{options->family, CONSTANT("filter_family", options->family)},
		{by_remote, CONSTANT("filter_remote", by_remote)},
		{by_remote,
		 constant_of("filter_remote_network", options->remote.address.bytes, 16)},
		{by_remote, CONSTANT("filter_remote_mask", mask)},
	};
	struct object_constant constants[CONSTANTS_MAX];
	struct object_settings settings = {.constants = constants};
	int r;

	for (unsigned int i = 0; i < 4; i++)
		mask[i] = cidr_mask_word(&options->remote, i);
	for (size_t i = 0; i < sizeof(candidates) / sizeof(*candidates); i++)
		if (candidates[i].given)
			constants[settings.constant_count++] = candidates[i].constant;
	if (trace->configure) {
		r = trace->configure(options, constants, &settings.constant_count, error);
		if (r)
			return r;
	}
	memset(statuses, 0, PROGRAMS_MAX * sizeof(*statuses));
	for (size_t i = 0; i < trace->program_count; i++)
		statuses[i].program = &trace->programs[i];
	return object_open(ret_object, trace->source, &settings, statuses, trace->program_count,
			   error);
}
