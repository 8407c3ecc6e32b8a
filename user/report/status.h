/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_STATUS_H
#define TOCSIN_REPORT_STATUS_H

#include "report/snapshot.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/*
 * The snapshot as the JSON object of /api/v1/status. What is not known is null: the RTT of a peer
 * without samples, a loss that was not measured, 'last_heard_ms' of one never heard.
 * Returns a new reference, or NULL when memory ran out.
 */
json_t *status_json(const struct snapshot *snapshot);

/*
 * The same object as a table for people: the node, its peers with the worst state first, the
 * evidence under each that is not healthy, and the probes that are not attached. Fields that are
 * absent (an agent of another version) show as "-". Returns 0, -ENOMEM, or -EIO when the stream
 * refuses to take it.
 */
int status_print(FILE *stream, const json_t *status, bool colour);

#endif
