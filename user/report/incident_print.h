/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_INCIDENT_PRINT_H
#define TOCSIN_REPORT_INCIDENT_PRINT_H

/* Incidents for people and for machines. What a stream refuses is found by ferror(), at the end. */

#include "report/incident.h"

#include <stdio.h>

/* A table of them, and under each what was said and done. */
void incidents_print_table(FILE *stream, const struct incident *const *incidents, size_t count);

/* The totals in words. */
void incident_totals_print(FILE *stream, const struct incident_totals *totals);

/* New references: one object each; NULL when memory ran out. Times are integers in ns, null when
 * they have not come about. */
json_t *incident_json(const struct incident *incident);
json_t *incident_totals_json(const struct incident_totals *totals);

#endif
