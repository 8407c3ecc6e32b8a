/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_FINDINGS_H
#define TOCSIN_DETECT_FINDINGS_H

/*
 * What this node finds of its own health, and since when. The rules (disk.h and others) say at
 * each look how bad a thing is; here is remembered what stands, and told what begins and what ends.
 * Pure: no I/O, no clock.
 */

#include "config/findings.h"

#include <stdbool.h>
#include <stdint.h>

#define FINDING_SUBJECT_MAX  128 /* bytes, NUL included */
#define FINDING_SENTENCE_MAX 256
#define FINDINGS_MAX	     64 /* that stand at a time */

/* How bad it is. NEAR is the gap between the limit that raises and the one that clears: it neither
 * raises nor clears. */
enum finding_level { FINDING_QUIET, FINDING_NEAR, FINDING_ACTIVE };

struct finding {
	enum finding_kind kind;
	char subject[FINDING_SUBJECT_MAX]; /* "sda"; FINDING_SUBJECT_NODE */
	/* What was seen, against what expectation; as of the last look that found it active. */
	char sentence[FINDING_SENTENCE_MAX];
	uint64_t since_ns;  /* the first evidence; CLOCK_MONOTONIC */
	uint64_t raised_ns; /* when it was raised */
	uint64_t quiet_ns;  /* since when it is quiet; 0: it is not */
};

struct findings_handlers {
	void *context;
	void (*raised)(void *context, const struct finding *finding);
	/* 'why': "quiet for 30 s", "the device is gone". */
	void (*cleared)(void *context, const struct finding *finding, const char *why,
			uint64_t now_ns);
	/* A rule cannot be judged any more, or (reason "") again. */
	void (*blinded)(void *context, enum finding_kind kind, const char *reason);
};

struct findings {
	struct findings_handlers handlers;
	struct finding standing[FINDINGS_MAX]; /* in the order in which they were raised */
	unsigned int count;
	uint64_t raised[FINDING_KINDS], cleared[FINDING_KINDS]; /* since the start */
	uint64_t lost; /* not raised, because FINDINGS_MAX stood */
	char blind[FINDING_KINDS][FINDING_SENTENCE_MAX]; /* why a rule cannot be judged; "" */
};

/*
 * How bad one thing is now. ACTIVE raises at once (to wait for several windows is the rule's part);
 * what stands is cleared when it has been QUIET for clear_after_ns without a break. 'since_ns' and
 * 'sentence' count with ACTIVE only.
 */
void findings_say(struct findings *findings, enum finding_kind kind, const char *subject,
		  enum finding_level level, uint64_t since_ns, uint64_t clear_after_ns,
		  uint64_t now_ns, const char *sentence);

/* The subject is gone, or is known to be well: ends at once what stands of it. */
void findings_end(struct findings *findings, enum finding_kind kind, const char *subject,
		  const char *why, uint64_t now_ns);

/* The rule has no evidence, and why; "" when it has. What stands keeps standing. */
void findings_set_blind(struct findings *findings, enum finding_kind kind, const char *reason);

const struct finding *findings_find(const struct findings *findings, enum finding_kind kind,
				    const char *subject);

#endif
