/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_FINDINGS_H
#define TOCSIN_AGENT_FINDINGS_H

/*
 * What follows from the findings of the node's own health: log, journal, row, hook. The rules are
 * in user/detect, their evidence is gathered by the families of health.h.
 */

#include "cluster/row.h"
#include "detect/findings.h"

struct agent;
struct agent_findings;

/* Returns 0 or -ENOMEM. */
int agent_findings_open(struct agent_findings **ret_findings, struct agent *agent);

/* What the families say it to. */
struct findings *agent_findings_list(struct agent_findings *findings);

/* Fills the row's findings: those that other nodes are to see, the oldest first. Returns whether
 * they are others than before. */
bool agent_findings_row(const struct agent_findings *findings, struct row *row);

/* NULL is allowed. Its hooks are ended. */
void agent_findings_close(struct agent_findings *findings);

#endif
