/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_CLUSTER_H
#define TOCSIN_REPORT_CLUSTER_H

#include "report/snapshot.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * The cluster as the JSON object of /api/v1/cluster: store, nodes with what each says of the others
 * (only what is not healthy is named), verdicts, isolations. Returns a new reference, or NULL when
 * memory ran out.
 */
json_t *cluster_json(const char *node, const struct snapshot_cluster *cluster);

/* Its part about the store, which the status has, too. */
json_t *cluster_store_json(const struct snapshot_cluster *cluster);

/*
 * The same object for people: a matrix of up to CLUSTER_MATRIX_MAX nodes, beyond that (and with
 * 'list') a line for each node that is not well; then verdicts and isolations. Returns 0, -ENOMEM
 * or -EIO.
 */
#define CLUSTER_MATRIX_MAX 30
int cluster_print(FILE *stream, const json_t *cluster, bool colour);

#endif
