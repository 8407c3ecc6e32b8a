/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_RECORD_H
#define TOCSIN_ISOLATE_RECORD_H

/*
 * The record of a node's isolation, as it stands in the store, and when it ends. Other software may
 * watch it (docs/store.md):
 *
 *	{"version": 1, "node": "n5", "state": "isolated", "class": "node-unreachable",
 *	 "sentence": "…", "by": "n1", "by_hand": false, "single": true, "since_ms": 1764…,
 *	 "relapses_ms": [1764…]}
 *
 * A released node's record stays for an hour, because it remembers the relapses. Pure.
 */

#include "base/text.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many isolations within this time, and a person decides about the release. */
#define RECORD_RELAPSES_MAX 3
#define RECORD_MEMORY_MS    UINT64_C(3600000)

enum record_state { RECORD_ISOLATED, RECORD_RELEASED, RECORD_STATES };

struct isolation_record {
	char node[CONFIG_NAME_MAX];
	enum record_state state;
	char class[32];
	char sentence[512];
	char by[CONFIG_NAME_MAX]; /* who wrote it */
	bool by_hand;		  /* a person did it, and a person releases it */
	bool single;		  /* not with a whole minority */
	uint64_t since_ms;	  /* of the state: wall clock of its writer */
	/* When it was isolated lately, the oldest first. */
	uint64_t isolated_ms[RECORD_RELAPSES_MAX];
	unsigned int isolated_count;
};

/* Returns the length, -ENOSPC or -ENOMEM. */
int record_encode(const struct isolation_record *record, char *data, size_t size_bytes);

/* Returns 0, or -EINVAL with the reason. */
int record_decode(struct isolation_record *record, const void *data, size_t size_bytes,
		  struct text *error);

/* Makes the record one that isolates its node; 'record' may be that of an earlier time or zero. */
void record_isolate(struct isolation_record *record, const char *node, const char *class,
		    const char *sentence, const char *by, bool single, bool by_hand,
		    uint64_t now_ms);

void record_release(struct isolation_record *record, const char *sentence, const char *by,
		    uint64_t now_ms);

/* How long the node must be healthy before it is released: doubled with each relapse. */
uint64_t record_hold_down_ms(const struct isolation_record *record, uint64_t hold_down_ms);

/* It came back too often, or a person isolated it: only a person releases it. */
bool record_waits_for_person(const struct isolation_record *record);

/* A released node's record that nothing needs any more. */
bool record_is_forgotten(const struct isolation_record *record, uint64_t now_ms);

#endif
