/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_VERDICTS_H
#define TOCSIN_CLUSTER_VERDICTS_H

/*
 * Judgements come many times a second, and while a cut is being noticed they change: some see it a
 * moment before others. A verdict is raised when it has stood for a while, and cleared when it has
 * been gone for a while. Pure.
 */

#include "cluster/classify.h"

#include <stdbool.h>
#include <stdint.h>

/* A verdict that has stood for so long is raised; while more is about to be known of it, longer. */
#define VERDICTS_STEADY_NS  (150 * 1000000ULL)
#define VERDICTS_PENDING_NS (3000 * 1000000ULL)
/* That an agent is silent, and that rows are missing. */
#define VERDICTS_AGENT_NS      (300 * 1000000ULL)
#define VERDICTS_INCOMPLETE_NS (2000 * 1000000ULL)
/* Another class of what is raised already takes longer: a node that comes back is first seen by the
 * store, and by its peers a second later. */
#define VERDICTS_CHANGE_NS (1500 * 1000000ULL)

struct standing {
	enum verdict_class class;
	uint32_t *subjects; /* its own */
	uint32_t subject_count;
	uint64_t evidence_ns; /* first word of it: when the first accuser's row came */
	uint64_t first_ns;    /* when a judgement said it first, unbroken since */
	uint64_t last_ns;     /* when one said it last */
	bool raised;
	bool present; /* in the last judgement */
};

struct verdicts {
	struct standing standing[VERDICTS_MAX];
	unsigned int count;
};

/* What happened to one verdict. Of a cleared one, 'verdict' is NULL. */
typedef void verdicts_function(void *context, const struct standing *standing,
			       const struct verdict *verdict);

/*
 * Takes in a judgement; tells what was raised or cleared by it. A verdict whose subjects are the
 * same but whose class changed is cleared when its successor is raised, and not before.
 */
void verdicts_update(struct verdicts *verdicts, const struct judgement *judgement, uint64_t now_ns,
		     verdicts_function *raised, verdicts_function *cleared, void *context);

/* The standing of a verdict of the last judgement, or NULL (when there was no memory for it). */
const struct standing *verdicts_find(const struct verdicts *verdicts,
				     const struct verdict *verdict);

/*
 * The members have other places now: 'places', by the former ones, rising. A verdict on one who is
 * none any more ends, and is told as cleared, with the former places, if it was raised.
 */
void verdicts_renumber(struct verdicts *verdicts, const uint32_t *places,
		       verdicts_function *cleared, void *context);

/* Forgets all, without telling. */
void verdicts_free(struct verdicts *verdicts);

#endif
