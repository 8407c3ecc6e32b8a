// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t clock_read_ns(clockid_t id)
{
	struct timespec now = {0};

	/* Fails only for a clock that the kernel does not know; these exist since 2.6.39. */
	(void)clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

uint64_t clock_boottime_ns(void)
{
	return clock_read_ns(CLOCK_BOOTTIME);
}

struct clock_pair clock_pair(void)
{
	return (struct clock_pair){.monotonic_ns = clock_monotonic_ns(),
				   .realtime_ns = clock_realtime_ns()};
}

uint64_t clock_of_stamp_ns(uint64_t stamp_realtime_ns, uint64_t earliest_ns,
			   const struct clock_pair *now)
{
	uint64_t age_ns =
		now->realtime_ns > stamp_realtime_ns ? now->realtime_ns - stamp_realtime_ns : 0;

	return age_ns < now->monotonic_ns - earliest_ns ? now->monotonic_ns - age_ns : earliest_ns;
}

void clock_format_utc(uint64_t time_ns, char buffer[static CLOCK_TEXT_MAX])
{
	time_t seconds = (time_t)(time_ns / NS_PER_S);
	struct tm utc = {0};
	char date[32];

	gmtime_r(&seconds, &utc);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(buffer, CLOCK_TEXT_MAX, "%s.%03uZ", date,
		 (unsigned int)(time_ns / NS_PER_MS % 1000));
}
