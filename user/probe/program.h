/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_PROGRAM_H
#define TOCSIN_PROBE_PROGRAM_H

/*
 * Programs one by one: which of an object's programs this kernel can run, and why not the others.
 * A program that cannot be loaded or attached never takes the others down.
 */

#include "probe/program_status.h"

#include <bpf/libbpf.h>
#include <stddef.h>

/* How to make and unmake a probe's skeleton; loading may need several, one after the other. */
struct program_object {
	/* Opens a fresh one, sizes and constants set. Returns 0 or a negative errno. */
	int (*open)(void *context, struct bpf_object_skeleton **ret_skeleton);
	void (*close)(void *context);
	void *context;
};

/*
 * Loads the object with every program that the kernel takes. Programs whose tracepoint does not
 * exist are left out; when the rest is refused as a whole, each is tried alone to find the
 * culprits. Fills 'reason' of those left out. Returns 0 with the object open and loaded (maybe with
 * no program at all), or a negative errno with it closed when not even the maps can be made: then
 * 'reason' says why.
 */
int program_load(const struct program_object *object, struct program_status *statuses, size_t count,
		 struct bpf_object_skeleton **ret_skeleton);

/* Attaches each loaded program that is not; a failure is noted in its reason. Returns how many it
 * attached. */
size_t program_attach(struct bpf_object_skeleton *skeleton, struct program_status *statuses,
		      size_t count);

void program_detach(struct program_status *statuses, size_t count);

/* Attaches what program_shed() has detached. Returns 0, or -EIO when a program is not attached
 * again: its reason says why. */
int program_restore(struct bpf_object_skeleton *skeleton, struct program_status *statuses,
		    size_t count);

/* Whether tracing programs may use the storage of sockets (bpf/socket_record.bpf.h). */
bool program_sockets_have_storage(void);

/* Runs an attached program of kind "raw_tp", which hangs on nothing, once. Returns 0 or a negative
 * errno (-ENOENT when it is not attached). */
int program_run(const struct program_status *status);

/* Has an attached program of kind "iter/" see all of its items, now. Returns 0 or a negative errno
 * (-ENOENT when it is not attached). */
int program_iterate(const struct program_status *status);

/* The same of one that writes a record of so many bytes (at most 256) for some items. */
int program_iterate_records(const struct program_status *status, size_t record_bytes,
			    void (*found)(void *context, const void *record), void *context);

#endif
