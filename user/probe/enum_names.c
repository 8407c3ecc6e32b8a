// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/enum_names.h"

#include "probe/kernel_types.h"

#include <bpf/btf.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

static void add(struct enum_names *names, uint32_t value, const char *name, const char *prefix)
{
	size_t prefix_bytes = strlen(prefix), i = 0;
	char *copy;

	if (names->count == ENUM_NAMES_MAX)
		return;
	if (!strncmp(name, prefix, prefix_bytes))
		name += prefix_bytes;
	names->entries[names->count].value = value;
	copy = names->entries[names->count].name;
	for (; name[i] && i < ENUM_NAME_BYTES - 1; i++)
		copy[i] = (char)tolower((unsigned char)name[i]);
	copy[i] = '\0';
	names->count++;
}

int enum_names_load(struct enum_names *names, const char *type, const char *prefix)
{
	const struct btf *btf = kernel_types();
	const struct btf_type *found;
	int id, r = 0;

	names->count = 0;
	if (!btf)
		return -ENOTSUP;
	id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	found = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	if (found) {
		const struct btf_enum *value = btf_enum(found);

		for (int i = 0; i < btf_vlen(found); i++, value++)
			add(names, (uint32_t)value->val, btf__name_by_offset(btf, value->name_off),
			    prefix);
	} else {
		r = -ENOENT;
	}
	return r;
}

const char *enum_names_find(const struct enum_names *names, uint64_t value)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->entries[i].value == value)
			return names->entries[i].name;
	return NULL;
}
