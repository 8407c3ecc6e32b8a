/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_INCIDENT_CLOCK_H
#define TOCSIN_REPORT_INCIDENT_CLOCK_H

/* What the journal's records tell of time. Pure. */

#include <jansson.h>
#include <stdint.h>

/* The axis of all moments: CLOCK_BOOTTIME, and over a reboot what the wall clock says. */
struct incident_clock {
	uint64_t now_ns;
	char boot_id[64];
	uint64_t last_boottime_ns, last_time_ns;
};

/* A whole number of a record; 0 when it is missing, negative or none. */
uint64_t incident_number(const json_t *record, const char *key);

/* Moves on to a record, which was written at this time of the wall clock. */
void incident_clock_advance(struct incident_clock *clock, const json_t *record, uint64_t time_ns);

/* How long before its record the first sign was. */
uint64_t incident_evidence_age_ns(const json_t *record, uint64_t time_ns);

/* For how long before it nobody watched; 0: somebody did. */
uint64_t incident_unseen_ns(const json_t *record, uint64_t time_ns);

#endif
