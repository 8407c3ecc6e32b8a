/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_ENUM_NAMES_H
#define TOCSIN_PROBE_ENUM_NAMES_H

/* The running kernel's own names of an enumeration's values, read from its BTF: they differ from
 * kernel to kernel, so that no list of ours could be right. */

#include <stddef.h>
#include <stdint.h>

#define ENUM_NAMES_MAX	512
#define ENUM_NAME_BYTES 48

struct enum_names {
	size_t count;
	struct {
		uint32_t value;
		char name[ENUM_NAME_BYTES];
	} entries[ENUM_NAMES_MAX];
};

/*
 * Reads an enumeration's names in lower case, without 'prefix' where they have it. Returns 0,
 * -ENOENT when the kernel has no such enumeration, or -ENOTSUP without BTF.
 */
int enum_names_load(struct enum_names *names, const char *type, const char *prefix);

/* NULL when the value has no name. */
const char *enum_names_find(const struct enum_names *names, uint64_t value);

#endif
