/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_FAMILY_H
#define TOCSIN_PROBE_FAMILY_H

/*
 * The probes that the agent can do without, as rows of one table: each is opened, and fails, for
 * itself. The TCP probe, which the verdicts rest on, is not among them. The later in the
 * table, the sooner it is to be given up where they cost too much.
 */

#include "base/text.h"
#include "probe/program_status.h"

#include <stddef.h>
#include <stdint.h>

enum probe_kind {
	PROBE_BLOCK,
	PROBE_TASK,
	PROBE_DROP,
	PROBE_LISTENER,
	PROBE_SCHED,
	PROBE_KINDS,
};

struct probe_settings {
	uint32_t max_groups; /* of the task probe */
	/* Of the drop and listener probes: only this namespace's; 0: all. */
	uint32_t netns_inode;
};

struct probe_family {
	const char *name;
	const char *lost; /* without it */
	/* Returns 0, or a negative errno with one line in 'error'. */
	int (*open)(void **ret_probe, const struct probe_settings *settings, struct text *error);
	void (*close)(void *probe);
	const struct program_status *(*programs)(const void *probe, size_t *ret_count);
	void (*shed)(void *probe, const char *reason);
	int (*restore)(void *probe);
};

extern const struct probe_family probe_families[PROBE_KINDS];

/* Those that are open, of their own types (probe/block.h and so on); NULL where 'errors' says why
 * not. */
struct probes {
	void *open[PROBE_KINDS];
	char errors[PROBE_KINDS][PROGRAM_REASON_MAX];
};

void probes_open(struct probes *probes, const struct probe_settings *settings);
void probes_close(struct probes *probes);

/* An open probe stops counting, and its programs say why; and goes on from where it was. Returns 0
 * or a negative errno: then some of its programs are not attached, and say why. */
void probes_shed(struct probes *probes, enum probe_kind kind, const char *reason);
int probes_restore(struct probes *probes, enum probe_kind kind);

/* Why a probe tells nothing: it is not open, or a program that it needs is missing or shed. "" when
 * it does. */
const char *probes_obstacle(const struct probes *probes, enum probe_kind kind);

/* The same of one program alone. */
const char *probes_program_obstacle(const struct probes *probes, enum probe_kind kind,
				    const char *program);

/* NULL when the probe is not open. */
const struct program_status *probes_programs(const struct probes *probes, enum probe_kind kind,
					     size_t *ret_count);

#endif
