/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_CRASH_LOOP_H
#define TOCSIN_DETECT_CRASH_LOOP_H

/* Whether something crashes again and again: a pod, a container, a unit, else a program. Pure. */

#include "base/cgroup_owner.h"
#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

#define CRASH_LOOP_SUBJECTS_MAX 64 /* the one that has not crashed for longest makes room */
#define CRASH_LOOP_CRASHES_MAX                                            \
	100 /* remembered of each; findings.crash-loop.crashes is no more \
	     */

struct crash {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint32_t pid;
	uint8_t signal;
	bool oom_killed;
	char comm[16];
};

struct crash_subject {
	char name[FINDING_SUBJECT_MAX];
	struct crash crashes[CRASH_LOOP_CRASHES_MAX]; /* a ring */
	uint64_t count;				      /* that were ever noted in it */
};

struct crash_loop {
	struct crash_subject subjects[CRASH_LOOP_SUBJECTS_MAX];
	unsigned int subject_count;
};

/* Whether the end of a process by this signal is a crash: not when somebody wanted it to end. */
bool crash_loop_counts(uint32_t signal, bool oom_killed);

/* What the loop is told of: "pod shop/web-1", "container 0123456789ab", "unit nginx.service", else
 * "program make". */
void crash_loop_name(const struct cgroup_owner *owner, const char *comm,
		     char name[static FINDING_SUBJECT_MAX]);

/* Takes in a crash. Crashes of a subject come in the order of time. */
const struct crash_subject *crash_loop_note(struct crash_loop *loop, const char *name,
					    const struct crash *crash);

/* NULL: it has not crashed, or made room for others. */
const struct crash_subject *crash_loop_find(const struct crash_loop *loop, const char *name);

/* ACTIVE: at least so many within so long, up to the last one; QUIET: none for so long; else NEAR.
 */
enum finding_level crash_loop_judge(const struct crash_subject *subject, uint32_t crashes,
				    uint64_t within_ns, uint64_t now_ns, uint64_t *ret_since_ns,
				    struct text *sentence);

#endif
