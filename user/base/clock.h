/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_CLOCK_H
#define TOCSIN_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* CLOCK_MONOTONIC in ns: the clock of every age and deadline, the same that bpf_ktime_get_ns()
 * reads. */
uint64_t clock_monotonic_ns(void);

/* CLOCK_REALTIME in ns since the epoch: for people and for stamps that leave the machine, never for
 * ages. */
uint64_t clock_realtime_ns(void);

/* CLOCK_BOOTTIME in ns: like the monotonic clock, and time asleep counts. */
uint64_t clock_boottime_ns(void);

/* Of two times of one clock; UINT64_MAX is never. */
static inline uint64_t clock_earlier(uint64_t one_ns, uint64_t other_ns)
{
	return one_ns < other_ns ? one_ns : other_ns;
}

/* One moment by both clocks. */
struct clock_pair {
	uint64_t monotonic_ns, realtime_ns;
};

struct clock_pair clock_pair(void);

/* What the wall clock had, or would have had if it has been set since, at a moment before 'now'. */
static inline uint64_t clock_realtime_of(uint64_t monotonic_ns, const struct clock_pair *now)
{
	return now->realtime_ns - (now->monotonic_ns - monotonic_ns);
}

/*
 * When something was that the kernel stamped by its wall clock, as CLOCK_MONOTONIC has it. It is
 * known to lie between earliest_ns and 'now': the wall clock may have been set since.
 */
uint64_t clock_of_stamp_ns(uint64_t stamp_realtime_ns, uint64_t earliest_ns,
			   const struct clock_pair *now);

#define CLOCK_TEXT_MAX 64

/* A time since the epoch as RFC 3339 has it, in UTC: 2026-11-23T07:12:46.123Z. */
void clock_format_utc(uint64_t time_ns, char buffer[static CLOCK_TEXT_MAX]);

#endif
