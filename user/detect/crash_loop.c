// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/crash_loop.h"

#include "base/clock.h"
#include "base/signal_name.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* So many different signals are named. */
#define SIGNALS_NAMED_MAX 4

bool crash_loop_counts(uint32_t signal, bool oom_killed)
{
	switch (signal) {
	/* What the kernel or the process itself does on an error. */
	case SIGILL:
	case SIGTRAP:
	case SIGABRT:
	case SIGBUS:
	case SIGFPE:
	case SIGSEGV:
	case SIGSYS:
	/* It has used up what it was allowed to. */
	case SIGXCPU:
	case SIGXFSZ:
		return true;
	default:
		/* TERM, INT, HUP, KILL: somebody has stopped it. PIPE, ALRM: so it was written. */
		return oom_killed;
	}
}

void crash_loop_name(const struct cgroup_owner *owner, const char *comm,
		     char name[static FINDING_SUBJECT_MAX])
{
	const struct cgroup_name *group = &owner->group;
	struct text text = {.data = name, .size = FINDING_SUBJECT_MAX};
	size_t length = strlen(group->unit);

	if (cgroup_owner_subject(owner, name, FINDING_SUBJECT_MAX)) {
		/* Its containers are others at each start. */
	} else if (*group->container) {
		text_printf(&text, "container ");
		cgroup_owner_print_container(owner, &text);
	} else if (length > 8 && !strcmp(group->unit + length - 8, ".service")) {
		snprintf(name, FINDING_SUBJECT_MAX, "unit %.*s",
			 FINDING_SUBJECT_MAX - (int)sizeof("unit "), group->unit);
	} else {
		/* In a scope, as of a login, programs have nothing to do with each other. */
		snprintf(name, FINDING_SUBJECT_MAX, "program %s", comm);
	}
	/* As it stands in the finding. */
	text_make_printable(name);
}

static const struct crash *last_crash(const struct crash_subject *subject)
{
	return &subject->crashes[(subject->count - 1) % CRASH_LOOP_CRASHES_MAX];
}

const struct crash_subject *crash_loop_find(const struct crash_loop *loop, const char *name)
{
	for (unsigned int i = 0; i < loop->subject_count; i++)
		if (!strcmp(loop->subjects[i].name, name))
			return &loop->subjects[i];
	return NULL;
}

static struct crash_subject *make_subject(struct crash_loop *loop, const char *name)
{
	struct crash_subject *oldest = &loop->subjects[0];

	for (unsigned int i = 1; i < loop->subject_count; i++)
		if (last_crash(&loop->subjects[i])->time_ns < last_crash(oldest)->time_ns)
			oldest = &loop->subjects[i];
	if (loop->subject_count < CRASH_LOOP_SUBJECTS_MAX)
		oldest = &loop->subjects[loop->subject_count++];
	*oldest = (struct crash_subject){0};
	snprintf(oldest->name, sizeof(oldest->name), "%s", name);
	return oldest;
}

const struct crash_subject *crash_loop_note(struct crash_loop *loop, const char *name,
					    const struct crash *crash)
{
	struct crash_subject *subject = (struct crash_subject *)crash_loop_find(loop, name);

	if (!subject)
		subject = make_subject(loop, name);

	subject->crashes[subject->count++ % CRASH_LOOP_CRASHES_MAX] = *crash;
	return subject;
}

/* The signals of the last crashes, each once. */
static void name_signals(const struct crash_subject *subject, uint64_t count, struct text *text)
{
	uint64_t named = 0; /* a bit a signal: those that count are below 64 */
	unsigned int shown = 0;

	for (uint64_t i = subject->count - count; i < subject->count; i++) {
		uint8_t signal = subject->crashes[i % CRASH_LOOP_CRASHES_MAX].signal;

		if (named & UINT64_C(1) << (signal & 63))
			continue;
		named |= UINT64_C(1) << (signal & 63);
		if (++shown <= SIGNALS_NAMED_MAX)
			text_printf(text, "%s%s", shown == 1 ? "" : ", ", signal_name(signal));
	}
	if (shown > SIGNALS_NAMED_MAX)
		text_printf(text, " and %u more", shown - SIGNALS_NAMED_MAX);
}

enum finding_level crash_loop_judge(const struct crash_subject *subject, uint32_t crashes,
				    uint64_t within_ns, uint64_t now_ns, uint64_t *ret_since_ns,
				    struct text *sentence)
{
	const struct crash *last = last_crash(subject), *first = last;
	uint64_t count = 0;

	if (now_ns > last->time_ns && now_ns - last->time_ns >= within_ns)
		return FINDING_QUIET;
	while (count < subject->count && count < CRASH_LOOP_CRASHES_MAX) {
		const struct crash *crash =
			&subject->crashes[(subject->count - 1 - count) % CRASH_LOOP_CRASHES_MAX];

		if (last->time_ns - crash->time_ns > within_ns)
			break;
		first = crash;
		count++;
	}
	if (count < crashes)
		return FINDING_NEAR;
	*ret_since_ns = first->time_ns;
	text_printf(sentence, "%" PRIu64 " crashes by ", count);
	name_signals(subject, count, sentence);
	text_printf(sentence,
		    " in %.1f s, expected fewer than %" PRIu32 " in %" PRIu64
		    " s; the last was %s, pid %" PRIu32 "%s",
		    (double)(last->time_ns - first->time_ns) / 1e9, crashes, within_ns / NS_PER_S,
		    last->comm, last->pid, last->oom_killed ? ", by the OOM killer" : "");
	return FINDING_ACTIVE;
}
