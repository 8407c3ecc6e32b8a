// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/incident_clock.h"

#include <string.h>

/* The most that one record may add to the axis, and what that may be added to: their sum is still
 * in range. Some 146 years; a clock that is set to behind 2116 is wrong. */
#define CLOCK_NS_MAX ((uint64_t)INT64_MAX / 2)

uint64_t incident_number(const json_t *record, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(record, key));

	return value > 0 ? (uint64_t)value : 0;
}

/*
 * Moves to the moment of a record. Within a boot the wall clock is not asked: it may have been set.
 * Over a reboot there is nothing else, but at least the new boot's age has passed.
 */
void incident_clock_advance(struct incident_clock *clock, const json_t *record, uint64_t time_ns)
{
	uint64_t boottime_ns = incident_number(record, "boottime_ns");
	const char *boot_id = json_string_value(json_object_get(record, "boot_id")) ?: "";

	/* No number of a damaged record may bend the axis back. */
	if (boottime_ns > CLOCK_NS_MAX || clock->now_ns > CLOCK_NS_MAX)
		return;
	if (!strncmp(boot_id, clock->boot_id, sizeof(clock->boot_id) - 1)) {
		if (boottime_ns > clock->last_boottime_ns)
			clock->now_ns += boottime_ns - clock->last_boottime_ns;
	} else {
		uint64_t passed_ns = 0;

		if (*clock->boot_id && time_ns > clock->last_time_ns && time_ns <= CLOCK_NS_MAX)
			passed_ns = time_ns - clock->last_time_ns;
		clock->now_ns += passed_ns > boottime_ns ? passed_ns : boottime_ns;
		strncpy(clock->boot_id, boot_id, sizeof(clock->boot_id) - 1);
		clock->last_boottime_ns = 0;
	}
	if (boottime_ns > clock->last_boottime_ns)
		clock->last_boottime_ns = boottime_ns;
	clock->last_time_ns = time_ns;
}

/* How long before its record the first sign was. Nothing is older than the boot of the node that
 * saw it: such a number means that the clock was set in between. */
uint64_t incident_evidence_age_ns(const json_t *record, uint64_t time_ns)
{
	uint64_t first_ns = incident_number(record, "first_evidence_ns");
	uint64_t boottime_ns = incident_number(record, "boottime_ns");

	return first_ns && first_ns < time_ns && time_ns - first_ns <= boottime_ns
		       ? time_ns - first_ns
		       : 0;
}

/* At least 1 when nobody watched, whatever the clock was set to since. */
uint64_t incident_unseen_ns(const json_t *record, uint64_t time_ns)
{
	uint64_t since_ns = incident_number(record, "unseen_since_ns");

	if (!since_ns)
		return 0;
	return since_ns < time_ns ? time_ns - since_ns : 1;
}
