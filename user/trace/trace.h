/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_TRACE_H
#define TOCSIN_TRACE_TRACE_H

/*
 * What a trace is: a row of data. Its programs live in bpf/, its records in maps/; the row says
 * which programs to load, which options make sense, and how a record is laid out. The runner does
 * the rest.
 */

#include "probe/object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the bytes of a record become a value. */
enum column_kind {
	COLUMN_UNSIGNED, /* of 1, 2, 4 or 8 bytes */
	COLUMN_SIGNED,	 /* of 4 or 8 bytes */
	COLUMN_BOOLEAN,	 /* of 1 byte */
	COLUMN_DURATION, /* ns of 8 bytes; tables show microseconds */
	COLUMN_STRING,	 /* NUL-terminated within its size */
	COLUMN_ADDRESS,	 /* struct peer_key */
	COLUMN_CGROUP,	 /* id of 8 bytes; shown as its path, in tables as its pod where known */
	COLUMN_NAMESPACE,
	COLUMN_POD,
	COLUMN_CONTAINER,
	COLUMN_UNIT, /* the same, or a network namespace of 4; by name where known, or else by id */
	COLUMN_DEVICE, /* number of 4 bytes, as the kernel's programs see it; shown by name */
	COLUMN_SYMBOL, /* address in the kernel of 8 bytes; shown by symbol */
	COLUMN_NAMED,  /* unsigned, shown by the column's names */
	COLUMN_STACK,  /* addresses of 8 bytes, up to a 0, in the kernel's code; in JSON an array */
	COLUMN_WORDS,  /* struct trace_words; in JSON an array, and null when unreadable */
};

struct column {
	const char *title; /* in tables: with the unit, "LAT(us)"; NULL: not in tables */
	const char *key;   /* in JSON and CSV: with the unit, "latency_ns" */
	enum column_kind kind;
	uint16_t offset, size; /* in the record, or in the key or value of an aggregate */
	uint8_t width;	       /* least, in tables; numbers are aligned to the right */
	bool zero_is_unknown;  /* "-" in tables, null in JSON, empty in CSV */
	/* Of a cgroup: where the network namespace is that tells the pod when the cgroup is 0; 0:
	 * there is none. */
	uint16_t netns_offset;
	/* COLUMN_NAMED: the word for a value, or NULL where it has none and the number is shown. */
	const char *(*name)(uint64_t value);
};

/* COLUMN("RADDR", "remote_address", COLUMN_ADDRESS, struct retrans_event, remote, 39) */
#define COLUMN(column_title, column_key, column_kind, record, member, least, ...)          \
	{                                                                                  \
		.title = (column_title), .key = (column_key), .kind = (column_kind),       \
		.offset = offsetof(record, member), .size = sizeof(((record *)0)->member), \
		.width = (least), __VA_ARGS__                                              \
	}

/* The columns of a member that is a cgroup's id. A path may be long, so that it is for the end of a
 * line; tables show it alone. More may be said of all of them. */
#define CGROUP_COLUMNS(record, member, ...)                                                     \
	COLUMN(NULL, "namespace", COLUMN_NAMESPACE, record, member, 1, .zero_is_unknown = true, \
	       __VA_ARGS__),                                                                    \
		COLUMN(NULL, "pod", COLUMN_POD, record, member, 1, .zero_is_unknown = true,     \
		       __VA_ARGS__),                                                            \
		COLUMN(NULL, "container", COLUMN_CONTAINER, record, member, 1,                  \
		       .zero_is_unknown = true, __VA_ARGS__),                                   \
		COLUMN(NULL, "unit", COLUMN_UNIT, record, member, 1, .zero_is_unknown = true,   \
		       __VA_ARGS__),                                                            \
		COLUMN("CGROUP", "cgroup", COLUMN_CGROUP, record, member, 1,                    \
		       .zero_is_unknown = true, __VA_ARGS__)

/* The columns of struct owner as member 'owner' of a record. */
#define OWNER_COLUMNS(record)                                                                  \
	COLUMN("PID", "pid", COLUMN_UNSIGNED, record, owner.pid, 7, .zero_is_unknown = true),  \
		COLUMN("COMM", "comm", COLUMN_STRING, record, owner.comm, 15,                  \
		       .zero_is_unknown = true),                                               \
		COLUMN("NETNS", "netns_inode", COLUMN_UNSIGNED, record, owner.netns_inode, 10, \
		       .zero_is_unknown = true),                                               \
		CGROUP_COLUMNS(record, owner.cgroup_id,                                        \
			       .netns_offset = offsetof(record, owner.netns_inode))

struct layout {
	const struct column *columns;
	size_t count;
};

#define LAYOUT(array)                                                         \
	{                                                                     \
		.columns = (array), .count = sizeof(array) / sizeof(*(array)) \
	}

/* One way of grouping aggregates: `--by NAME`. */
struct grouping {
	const char *name;  /* "remote" */
	uint32_t value;	   /* of the programs' constant trace_grouping */
	struct layout key; /* of the aggregate's key; none: one histogram of all */
};

#define GROUPINGS_MAX 5

struct trace_options;

/* Options that not every trace takes, as letters: -p -g -n -d -r -P -4 -6 -m. */
struct trace {
	const char *name;
	const char *summary; /* for --list and --help: "each TCP retransmit" */
	const char *options; /* "pgnrP46" */
	const struct object_source *source;
	const struct program *programs;
	size_t program_count;

	/* Events, when there are columns; a record is at least this long. */
	struct layout event;
	size_t event_bytes;

	/* Histograms in the map "aggregates", when there are groupings; the first is the default.
	 */
	struct grouping groupings[GROUPINGS_MAX];

	/* Counters in the map "aggregates", when there are columns: a key's, and a value's, of
	 * which the first is the order of lines (largest first). */
	struct layout count_key, count_value;
	size_t count_value_bytes;
	/* Adds up values whose keys differ in nothing that is shown (the CPU, so that CPUs do not
	 * write to the same place); NULL where there are none. */
	void (*count_add)(void *into, const void *more);
	/* Fills in what follows from the rest of a value; may be NULL. */
	void (*count_finish)(void *value);

	enum trace_mode mode;	       /* without an option that asks for another */
	enum trace_mode interval_mode; /* when an interval is given */
	uint32_t default_interval_s;   /* of the mode above; 0: once, at the end */
	/* Its iterators are read once an interval, and at the end. */
	bool polls;

	/* How many of what it shows had begun and not ended when the programs were taken off; NULL
	 * where nothing has a length. */
	uint64_t (*count_pending)(const struct object *object);

	/* More constants of the programs than the common ones; may be NULL. Returns 0, or a
	 * negative errno with a line in 'error'. */
	int (*configure)(const struct trace_options *options, struct object_constant *constants,
			 size_t *count, struct text *error);
};

/* All traces, in the order of --list. */
extern const struct trace *const traces[];
extern const size_t trace_count;

/* NULL when there is none of that name. */
const struct trace *trace_find(const char *name);

/* Whether a trace can show something in a mode. */
bool trace_has_mode(const struct trace *trace, enum trace_mode mode);

#endif
