/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_ROW_H
#define TOCSIN_CLUSTER_ROW_H

/*
 * What a node publishes of itself: its edges, how far it trusts itself, its findings. JSON in the
 * store, so that people and other software can read it:
 *
 *	{"version": 1, "node": "n1", "boot_id": "…", "epoch": 1764…, "sequence": 17,
 *	 "members": "5d41…", "considered": 4711, "distrust_ratio": 0, "flags": ["alone"],
 *	 "edges": {"default": "healthy", "unreachable": ["n4", "n5"]}, "findings": [{…}]}
 *
 * Edges are those to the members that this node observes; the most common state is the default, and
 * the others are named. So a row stays below 4 KiB with a hundred peers.
 */

#include "base/text.h"
#include "cluster/membership.h"

#include <stdbool.h>
#include <stdint.h>

#define ROW_BYTES_MAX	 4096
#define ROW_BOOT_ID_MAX	 37 /* a UUID, NUL included */
#define ROW_FINDINGS_MAX 16
#define ROW_FINDING_MAX	 160 /* bytes of each text, NUL included */
/* How often the nodes of a cluster of 'count' write a row again that does not change: every 5 s,
 * and less often where all of them together would write more than 50 a second. Each of those goes
 * to all. */
uint64_t row_period_ns(uint32_t count);

/* What one node says of an edge. */
enum row_word {
	ROW_WORD_NONE, /* nothing: not judged yet */
	ROW_WORD_HEALTHY,
	ROW_WORD_LOSSY,
	ROW_WORD_SUSPECT,
	ROW_WORD_UNREACHABLE,
	ROW_WORD_EGRESS_CUT,   /* it does not hear me */
	ROW_WORD_INGRESS_CUT,  /* I do not hear it */
	ROW_WORD_AGENT_SILENT, /* its kernel answers, its agent does not */
	ROW_WORDS,
};

const char *row_word_name(enum row_word word);

#define ROW_FLAG_ALONE	      (1U << 0) /* hears nobody at all */
#define ROW_FLAG_CARRIER_DOWN (1U << 1) /* none of its interfaces is up */
#define ROW_FLAG_BLIND	      (1U << 2) /* a probe of the main job is missing */
#define ROW_FLAG_PAUSED	      (1U << 3) /* a person has paused all acting (state_dir/pause) */
#define ROW_FLAG_HALTING      (1U << 4) /* the machine is shutting down */
#define ROW_FLAG_FENCED	      (1U << 5) /* it has fenced itself off */
#define ROW_FLAG_STOPPING     (1U << 6) /* its agent ends because it was told to */
#define ROW_FLAGS	      7

const char *row_flag_name(unsigned int index);

struct row_finding {
	char name[32];	   /* "disk-stalled" */
	char subject[128]; /* "sda"; "" for the node */
	char sentence[ROW_FINDING_MAX];
};

struct row {
	char node[CONFIG_NAME_MAX];
	char boot_id[ROW_BOOT_ID_MAX];
	uint64_t epoch;	   /* when its agent started, ns of the wall clock: grows with each start */
	uint64_t sequence; /* grows with each write */
	uint64_t members;  /* membership.hash of its writer */
	/* The newest revision of others' words that it has had time to see for itself what they
	 * say; see VIEW_CONFIRM_AFTER_NS. */
	uint64_t considered_revision;
	uint32_t flags;
	double distrust_ratio;
	uint32_t member; /* which member the node is */
	/* By slot of that member; the caller's, at least as long as it has slots. */
	uint8_t *words;
	struct row_finding findings[ROW_FINDINGS_MAX];
	unsigned int finding_count;
};

/*
 * Writes the row as JSON. Returns its length, -ENOSPC when it would be longer than size_bytes (then
 * first findings, then the named edges would have to go: with names of 63 bytes that takes more
 * than 60 of each of two states), or -ENOMEM.
 */
int row_encode(const struct row *row, const struct membership *membership, char *data,
	       size_t size_bytes);

/*
 * Reads a row; row->words must have room for MEMBERSHIP_SLOTS_MAX. Of a writer with other members
 * the edges are all ROW_WORD_NONE. Returns 0, -ENOENT when the node is no member, or -EINVAL with
 * the reason in 'error': the row is then not to be used.
 */
int row_decode(struct row *row, const struct membership *membership, const void *data,
	       size_t size_bytes, struct text *error);

#endif
