/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_KEYS_H
#define TOCSIN_CONFIG_KEYS_H

/*
 * The table of every key: its path, type, range and the field that it fills. Private to user/config
 * (and to the test that compares it with the documentation).
 */

#include "base/text.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_KEY_COUNT    141
#define CONFIG_KEY_PATH_MAX 64 /* of a path in the table, NUL included */

struct config_key;

struct config_type {
	/*
	 * Reads 'value' into the key's field. Returns 0, -EINVAL (not a value of this type),
	 * -ERANGE or -ENAMETOOLONG; the field is then untouched. NULL for keys that hold keys.
	 */
	int (*set)(const struct config_key *key, const char *value, void *field);
	/* What is expected, in words: "a whole number from 20 to 10000". */
	void (*describe)(const struct config_key *key, struct text *text);
	/* Text in quotes is not such a value. */
	bool unquoted;
};

/* Holds keys: those of "log" are "log.*". */
extern const struct config_type config_type_section;
/* A list of holders of keys: those of "nodes" are "nodes[].*". */
extern const struct config_type config_type_records;
/* A list of single values: those of key->element. */
extern const struct config_type config_type_list;
/* A list of addresses: config_type_cidr reads its elements. */
extern const struct config_type config_type_addresses;
extern const struct config_type config_type_cidr;

struct config_key {
	const char *path; /* "heartbeat.interval_ms", "nodes[].name" */
	const struct config_type *type;
	/* Its field, in struct config_node for "nodes[].*", in struct config_watch for "watch[].*",
	 * else in struct config. */
	size_t offset;
	size_t size;
	double minimum, maximum;  /* inclusive, of numbers; of a list of mappings: how many */
	const char *const *words; /* NULL-terminated, in the order of the enumeration */
	/* Of a list: the type and size of its elements, and where their number is kept (unsigned
	 * int). 'size' is that of all of them. */
	const struct config_type *element;
	size_t element_size;
	size_t count_offset;
	const char *example; /* of a list of mappings: what one looks like */
};

extern const struct config_key config_keys[CONFIG_KEY_COUNT];

/* The index of the key named 'name' below 'prefix' ("", "log.", "nodes[]."), or -1. */
int config_key_find(const char *prefix, const char *name);

/* An element of a list, as a key by itself. */
struct config_key config_key_element(const struct config_key *list);

/* The key is directly below 'prefix'. */
bool config_key_below(const struct config_key *key, const char *prefix);

/*
 * The key that was probably meant by an unknown 'name' below 'prefix': one of nearly that name
 * there, else one of exactly that name elsewhere, else NULL.
 */
const struct config_key *config_key_nearest(const char *prefix, const char *name);

#endif
