/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_OBJECT_H
#define TOCSIN_PROBE_OBJECT_H

/*
 * A family of programs and their maps, handled by name: what `tocsin trace` needs of any of them.
 * An object is opened, its constants set and its maps sized, then loaded and attached.
 */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/trace.h"

/* How to make and unmake the skeleton of a family; written by OBJECT_SOURCE() where its skeleton is
 * included. */
struct object_source {
	const char *name;
	void *(*open)(void);
	void (*destroy)(void *skeleton);
};

#define OBJECT_SOURCE(family)                                 \
	static void *family##_open(void)                      \
	{                                                     \
		return family##_bpf__open();                  \
	}                                                     \
	static void family##_destroy(void *skeleton)          \
	{                                                     \
		family##_bpf__destroy(skeleton);              \
	}                                                     \
	static const struct object_source family##_source = { \
		.name = #family, .open = family##_open, .destroy = family##_destroy}

/* What is to be set before loading. */
struct object_constant {
	const char *name; /* of the variable */
	const void *value;
	size_t size;
};

struct object_size {
	const char *map;
	uint32_t entries;
};

struct object_settings {
	const struct object_constant *constants;
	size_t constant_count;
	const struct object_size *sizes;
	size_t size_count;
};

struct object;

/*
 * Loads and attaches those of the programs that this kernel takes; 'statuses' (one for each, its
 * 'program' set, kept as long as the object) tells which. Returns 0, or a negative errno with one
 * line in 'error': nothing could be loaded at all, a constant or map does not exist (-ENOENT), or a
 * required program is missing (-ENOTSUP).
 */
int object_open(struct object **ret_object, const struct object_source *source,
		const struct object_settings *settings, struct program_status *statuses,
		size_t count, struct text *error);

/* Has the iterators among the programs go through all items once more; the first time is when the
 * object is opened. Returns 0 or a negative errno. */
int object_iterate(struct object *object);

/* Detaches the programs: nothing is added to the maps from here on. */
void object_detach(struct object *object);

/* Detaches and frees; NULL is fine. */
void object_close(struct object *object);

/* Readable while records wait in the ring "events", or -1 when the object has none. */
int object_events_fd(const struct object *object);

/* Hands on each record that waits. The callback returns 0, or a negative errno to stop early.
 * Returns the number of records, or that errno. */
int object_events_consume(struct object *object,
			  int (*record)(void *context, const void *data, size_t size),
			  void *context);

/*
 * Takes all of the aggregates of the time since the last call out of the map "aggregates" and hands
 * each on, in no order. Updates made meanwhile are of the next interval; none is lost. Returns 0 or
 * a negative errno.
 */
int object_aggregates_drain(struct object *object,
			    void (*aggregate)(void *context, const void *key, const void *value),
			    void *context);

/* Hands on each value of a map. Returns 0 or a negative errno: -ENOENT when there is no such map.
 */
int object_map_read(const struct object *object, const char *map,
		    void (*take)(void *context, const void *value), void *context);

struct trace_counters object_counters(const struct object *object);

/* How often the kernel left out a program because it interrupted itself: what happened then is not
 * seen. */
uint64_t object_runs_missed(const struct object *object);

#endif
