/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_CLUSTER_VIEW_H
#define TOCSIN_TESTS_UNIT_CLUSTER_VIEW_H

/*
 * Views written as matrices: a line a node, a letter for what it says of each node in turn:
 * h(ealthy), l(ossy), s(uspect), u(nreachable), e(gress-cut), i(ngress-cut), a(gent-silent),
 * a comma for nothing, - for itself. A line "." is a node without a row.
 */

#include "cluster/view.h"

#define CLUSTER_NODES_MAX 50
#define CLUSTER_MS	  UINT64_C(1000000)

struct cluster {
	struct membership membership;
	struct view view;
	uint64_t sequence;
};

/* Nodes n1, n2, ...; zones: a letter for each node, or NULL for none. */
void cluster_make(struct cluster *cluster, unsigned int count, const char *zones);

/* Node 'index' says this at this time: that is its revision, too. */
void cluster_say(struct cluster *cluster, unsigned int index, const char *line, uint32_t flags,
		 double distrust_ratio, uint64_t now_ns);

/* What it wrote at one time comes at another, as after a gap; VIEW_REVISION_NONE: it is this node's
 * own, and not written yet. */
void cluster_say_late(struct cluster *cluster, unsigned int index, const char *line,
		      uint64_t written_ns, uint64_t now_ns);

/* The same as cluster_say(), with a finding: its name and, after a space, its subject (else
 * SUBJECT); SENTENCE. */
void cluster_find(struct cluster *cluster, unsigned int index, const char *line,
		  const char *finding, uint64_t now_ns);

/*
 * All lines: what is not good is said at 1,000 ms, and rows without it were written at 500 ms
 * (nothing new, so they were not written again).
 */
void cluster_say_all(struct cluster *cluster, const char *const *lines);

void cluster_free(struct cluster *cluster);

#endif
