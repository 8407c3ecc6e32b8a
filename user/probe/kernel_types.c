// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/kernel_types.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Reading it takes longer than all that is asked of it. */
static struct btf *kept;

const struct btf *kernel_types(void)
{
	libbpf_print_fn_t print;

	if (kept)
		return kept;
	/* That there is none is for the caller to say. */
	print = libbpf_set_print(NULL);
	kept = btf__load_vmlinux_btf();
	libbpf_set_print(print);
	return kept;
}

void kernel_types_release(void)
{
	btf__free(kept);
	kept = NULL;
}

/* The type of the functions that are attached to a tracepoint, or NULL when it does not exist. */
static const struct btf_type *tracepoint_type(const struct btf *btf, const char *tracepoint)
{
	const struct btf_type *type;
	char name[128];
	int id;

	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);
	if (id < 0)
		return NULL;
	type = btf__type_by_id(btf, (__u32)id);
	type = type ? btf__type_by_id(btf, type->type) : NULL;
	if (!type || !btf_is_ptr(type))
		return NULL;
	type = btf__type_by_id(btf, type->type);
	return type && btf_is_func_proto(type) ? type : NULL;
}

int kernel_tracepoint_arguments(const char *tracepoint)
{
	const struct btf *btf = kernel_types();
	const struct btf_type *type;

	if (!btf)
		return -ENOTSUP;
	type = tracepoint_type(btf, tracepoint);
	/* The first is the tracepoint's private data. */
	return type ? btf_vlen(type) - 1 : -ENOENT;
}

int kernel_tracepoint_is_pointer(const char *tracepoint, unsigned int argument)
{
	const struct btf *btf = kernel_types();
	const struct btf_type *type;

	if (!btf)
		return -ENOTSUP;
	type = tracepoint_type(btf, tracepoint);
	if (!type || argument + 1 >= btf_vlen(type))
		return -ENOENT;
	type = btf__type_by_id(btf, btf_params(type)[argument + 1].type);
	return type && btf_is_ptr(type);
}

int kernel_has_member(const char *type, const char *member)
{
	const struct btf *btf = kernel_types();
	const struct btf_type *found;
	bool has = false;
	int id;

	if (!btf)
		return -ENOTSUP;
	id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);
	found = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	for (__u16 i = 0; found && i < btf_vlen(found); i++)
		has |= !strcmp(btf__name_by_offset(btf, btf_members(found)[i].name_off) ?: "",
			       member);
	return has;
}

int kernel_has_function(const char *name)
{
	const struct btf *btf = kernel_types();

	if (!btf)
		return -ENOTSUP;
	return btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}
