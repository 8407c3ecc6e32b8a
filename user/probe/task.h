/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_TASK_H
#define TOCSIN_PROBE_TASK_H

/* The task probe: crashes and OOM kills by control group, each crash at once, ends of processes
 * that are watched, and tasks that hang. */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/task.h"

struct task_probe;

/* At most 'max_groups' have records of their own. Returns 0 even when single programs are missing,
 * or a negative errno with one line in 'error'. */
int task_probe_open(struct task_probe **ret_probe, uint32_t max_groups, struct text *error);

/* Detaches and frees; NULL is fine. */
void task_probe_close(struct task_probe *probe);

const struct program_status *task_probe_programs(const struct task_probe *probe, size_t *ret_count);

/* Detaches the programs, with a reason, and attaches them again: what they have counted stays, and
 * what happens between is not seen. Returns 0 or a negative errno; then some are not attached. */
void task_probe_shed(struct task_probe *probe, const char *reason);
int task_probe_restore(struct task_probe *probe);

/* Hands on each group that had a crash or an OOM kill, with its record in 'record' meanwhile.
 * Returns 0 or a negative errno. */
int task_probe_read(const struct task_probe *probe, struct task_record *record,
		    void (*found)(void *context, const struct group_key *group), void *context);

/* Makes room by taking over the record of a group that has been removed: it cannot change any more.
 * Returns whether there was one. */
bool task_probe_take(struct task_probe *probe, const struct group_key *group,
		     struct task_record *ret_record);

/* What happened in groups that found no room for a record. */
struct task_record task_probe_other(const struct task_probe *probe);

struct task_counters task_probe_counters(const struct task_probe *probe);

/* From now on the end of this process is told, also when it is none by a signal. Returns 0 or a
 * negative errno. */
int task_probe_watch(struct task_probe *probe, uint32_t pid);
void task_probe_unwatch(struct task_probe *probe, uint32_t pid);

/* The program that the next rests on. */
#define TASK_PROBE_SLEEPERS "sleeping_tasks"

/* Hands on each task that sleeps where it cannot be woken, now. Returns 0 or a negative errno
 * (-ENOENT when that program is not attached). */
int task_probe_sleepers(const struct task_probe *probe,
			void (*found)(void *context, const struct task_sleeper *sleeper),
			void *context);

/* Readable when there is an end to be told: a crash, or that of a watched process. */
int task_probe_events_fd(const struct task_probe *probe);

/* Hands on each end that has not been told. Returns how many, or a negative errno. */
int task_probe_drain(struct task_probe *probe,
		     void (*ended)(void *context, const struct task_event *event), void *context);

#endif
