// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/disk.h"

#include "base/clock.h"

#include <inttypes.h>

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static enum finding_level level_of(uint64_t age_ns, uint64_t after_ns)
{
	if (age_ns >= after_ns)
		return FINDING_ACTIVE;
	return age_ns >= after_ns / 2 ? FINDING_NEAR : FINDING_QUIET;
}

enum finding_level disk_stalled(const struct disk_evidence *evidence, uint64_t after_ns,
				uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence)
{
	uint64_t since_ns = later(evidence->oldest_ns, evidence->completed_ns);
	enum finding_level level;

	if (!evidence->oldest_ns || now_ns < since_ns)
		return FINDING_QUIET;
	level = level_of(now_ns - since_ns, after_ns);
	if (level != FINDING_ACTIVE)
		return level;
	*ret_since_ns = since_ns;
	text_printf(sentence,
		    "I/O is in flight and none was completed for %" PRIu64
		    " ms, expected one within %" PRIu64 " ms; the oldest request is %" PRIu64
		    " ms old",
		    (now_ns - since_ns) / NS_PER_MS, after_ns / NS_PER_MS,
		    (now_ns - evidence->oldest_ns) / NS_PER_MS);
	return level;
}

enum finding_level disk_hung_request(const struct disk_evidence *evidence, uint64_t after_ns,
				     uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence)
{
	enum finding_level level;

	if (!evidence->oldest_ns || now_ns < evidence->oldest_ns)
		return FINDING_QUIET;
	level = level_of(now_ns - evidence->oldest_ns, after_ns);
	/* When nothing is completed at all, the disk is stalled: that says more. */
	if (level == FINDING_ACTIVE && (evidence->completed_ns <= evidence->oldest_ns ||
					now_ns - evidence->completed_ns >= after_ns))
		return FINDING_NEAR;
	if (level != FINDING_ACTIVE)
		return level;
	*ret_since_ns = evidence->oldest_ns;
	text_printf(sentence,
		    "a request has been in flight for %" PRIu64 " ms, expected at most %" PRIu64
		    " ms; others are completed, the last one %" PRIu64 " ms ago",
		    (now_ns - evidence->oldest_ns) / NS_PER_MS, after_ns / NS_PER_MS,
		    (now_ns - evidence->completed_ns) / NS_PER_MS);
	return level;
}

enum finding_level disk_errors(const struct disk_evidence *evidence, uint64_t errors_before,
			       uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence)
{
	if (evidence->errors <= errors_before)
		return FINDING_QUIET;
	*ret_since_ns = evidence->completed_ns && evidence->completed_ns < now_ns
				? evidence->completed_ns
				: now_ns;
	text_printf(sentence,
		    "%" PRIu64 " I/O failed, expected none; %" PRIu64 " since the agent started",
		    evidence->errors - errors_before, evidence->errors);
	return FINDING_ACTIVE;
}
