// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/hung.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char others[] = "others";

void hung_begin_look(struct hung *hung)
{
	for (unsigned int i = 0; i < hung->count; i++)
		hung->tasks[i].present = false;
}

static struct hung_task *find(struct hung *hung, const struct hung_sighting *sighting)
{
	for (unsigned int i = 0; i < hung->count; i++)
		if (hung->tasks[i].sighting.tid == sighting->tid &&
		    hung->tasks[i].sighting.start_ns == sighting->start_ns)
			return &hung->tasks[i];
	return NULL;
}

void hung_see(struct hung *hung, const struct hung_sighting *sighting, uint64_t now_ns)
{
	struct hung_task *task = find(hung, sighting);

	if (!task && hung->count == HUNG_TASKS_MAX) {
		hung->lost++;
		return;
	}
	if (!task)
		task = &hung->tasks[hung->count++];
	/* It ran in between: this is another sleep. */
	else if (task->sighting.switches == sighting->switches)
		now_ns = task->since_ns;
	*task = (struct hung_task){.sighting = *sighting, .since_ns = now_ns, .present = true};
	/* As it stands in the finding. */
	text_make_printable(task->sighting.comm);
}

void hung_end_look(struct hung *hung)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < hung->count; i++)
		if (hung->tasks[i].present)
			hung->tasks[kept++] = hung->tasks[i];
	hung->count = kept;
}

/* The subject of this name; the last place is for all that find no other. */
static struct hung_subject *subject_of(struct hung_subject *subjects, unsigned int *count,
				       const char *name)
{
	for (unsigned int i = 0; i < *count; i++)
		if (!strcmp(subjects[i].name, name))
			return &subjects[i];
	if (*count == HUNG_SUBJECTS_MAX)
		return &subjects[HUNG_SUBJECTS_MAX - 1];
	if (*count == HUNG_SUBJECTS_MAX - 1)
		name = others;
	subjects[*count] = (struct hung_subject){0};
	snprintf(subjects[*count].name, sizeof(subjects[*count].name), "%s", name);
	return &subjects[(*count)++];
}

unsigned int hung_list(const struct hung *hung, uint64_t after_ns, uint64_t now_ns,
		       struct hung_subject subjects[static HUNG_SUBJECTS_MAX])
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < hung->count; i++) {
		const struct hung_task *task = &hung->tasks[i];
		struct hung_subject *subject;

		if (now_ns - task->since_ns < after_ns)
			continue;
		subject = subject_of(subjects, &count, task->sighting.comm);
		subject->tasks++;
		if (!subject->longest || task->since_ns < subject->longest->since_ns)
			subject->longest = task;
	}
	return count;
}

void hung_explain(const struct hung_subject *subject, const char *place, const char *owner,
		  uint64_t after_ns, uint64_t now_ns, struct text *sentence)
{
	const struct hung_sighting *longest = &subject->longest->sighting;

	text_printf(sentence, "%u task%s in uninterruptible sleep without a break; %s%" PRIu32,
		    subject->tasks, subject->tasks == 1 ? " is" : "s are",
		    subject->tasks == 1 ? "pid " : "the longest, pid ", longest->pid);
	if (longest->tid != longest->pid)
		text_printf(sentence, " thread %" PRIu32, longest->tid);
	if (!strcmp(subject->name, others))
		text_printf(sentence, " of %s", longest->comm);
	text_printf(sentence, ", for at least %" PRIu64 " s",
		    (now_ns - subject->longest->since_ns) / NS_PER_S);
	if (*place)
		text_printf(sentence, " in %s", place);
	text_printf(sentence, ", expected less than %" PRIu64 " s%s", after_ns / NS_PER_S,
		    longest->killable ? "; it can be killed" : "");
	if (*owner)
		text_printf(sentence, "; %s", owner);
}
