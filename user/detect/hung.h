/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_HUNG_H
#define TOCSIN_DETECT_HUNG_H

/*
 * Tasks that sleep where they cannot be woken (state D), from looks at all of them some seconds
 * apart. One that has not been switched to between two looks has slept all the time: since when is
 * known from the first look that found it on. Tasks of programs of one name are told as one. Pure.
 */

#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

#define HUNG_TASKS_MAX	  1024
#define HUNG_SUBJECTS_MAX 8 /* names; tasks of all others are told as "others" */

struct hung_sighting {
	uint64_t start_ns; /* with the number: which task it is */
	uint64_t switches;
	uint32_t tid, pid;
	bool killable;	    /* a fatal signal would wake it */
	char comm[16];	    /* of its process */
	uint64_t cgroup_id; /* the caller's, as is the tree */
	uint32_t cgroup_tree;
};

struct hung_task {
	struct hung_sighting sighting;
	uint64_t since_ns; /* of the first look that found it in this sleep */
	bool present;
};

struct hung {
	struct hung_task tasks[HUNG_TASKS_MAX];
	unsigned int count;
	uint64_t lost; /* sightings without room */
};

/* What stands under one name. */
struct hung_subject {
	char name[16];
	unsigned int tasks; /* that have slept for long enough */
	const struct hung_task *longest;
};

void hung_begin_look(struct hung *hung);
void hung_see(struct hung *hung, const struct hung_sighting *sighting, uint64_t now_ns);
void hung_end_look(struct hung *hung);

/* Fills subjects[] with those who hang; returns how many. */
unsigned int hung_list(const struct hung *hung, uint64_t after_ns, uint64_t now_ns,
		       struct hung_subject subjects[static HUNG_SUBJECTS_MAX]);

/* 'place': where the longest one waits, in the kernel; "": not known. 'owner': whose it is, "group
 * /a.service"; "" likewise. */
void hung_explain(const struct hung_subject *subject, const char *place, const char *owner,
		  uint64_t after_ns, uint64_t now_ns, struct text *sentence);

#endif
