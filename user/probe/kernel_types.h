/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_KERNEL_TYPES_H
#define TOCSIN_PROBE_KERNEL_TYPES_H

/*
 * What the running kernel's own type information (BTF) says of it: which tracepoints, members and
 * functions it has. It is read once, some 6 MB, and kept until it is given up; the next question
 * reads it again.
 */

struct btf;

/* NULL when the kernel has none. Valid until kernel_types_release(). */
const struct btf *kernel_types(void);

void kernel_types_release(void);

/* How many arguments a tracepoint has, or -ENOENT when it does not exist, -ENOTSUP without types.
 */
int kernel_tracepoint_arguments(const char *tracepoint);

/* Whether one of them (counted from 0) is a pointer: 1, 0 or a negative errno as above, -ENOENT
 * when there are not so many. */
int kernel_tracepoint_is_pointer(const char *tracepoint, unsigned int argument);

/* Whether a struct has a member: 1, 0 or -ENOTSUP. */
int kernel_has_member(const char *type, const char *member);

/* Whether there is a function of this name that was not inlined away, likewise. */
int kernel_has_function(const char *name);

#endif
