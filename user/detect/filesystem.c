// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/filesystem.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* What is used clears again below this share of the limit. */
#define NEAR_SHARE 0.95

/* A file system that answers like this is broken or has lost its server; other errors tell of the
 * agent's rights, or of a mount that has just gone. */
static const int failures[] = {EIO, ENOTCONN, ECONNABORTED, ESTALE, ESHUTDOWN, EHOSTDOWN, EUCLEAN};

static bool is_failure(int error)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(*failures); i++)
		if (failures[i] == error)
			return true;
	return false;
}

static void begin_part(struct text *sentence)
{
	if (sentence->length)
		text_printf(sentence, "; ");
}

static enum finding_level judge_writing(const struct filesystem_evidence *evidence,
					struct text *sentence)
{
	const char *reason;

	if (evidence->shut)
		reason = "it has shut itself off after an error, expected writable";
	else if (!evidence->read_only)
		return FINDING_QUIET;
	else if (evidence->was_writable)
		reason = "it is read-only, and was writable before";
	else if (evidence->remounts_on_error)
		reason = "it is read-only and mounted with errors=remount-ro, expected writable";
	else
		return FINDING_QUIET;
	begin_part(sentence);
	text_printf(sentence, "%s", reason);
	return FINDING_ACTIVE;
}

/* *ret_percent: of what can be used, as df has it. */
static enum finding_level judge_use(uint64_t used, uint64_t left, double limit_percent,
				    double *ret_percent)
{
	double all = (double)used + (double)left;

	if (!(all > 0))
		return FINDING_QUIET;
	*ret_percent = 100 * (double)used / all;
	if (*ret_percent >= limit_percent)
		return FINDING_ACTIVE;
	return *ret_percent >= limit_percent * NEAR_SHARE ? FINDING_NEAR : FINDING_QUIET;
}

static enum finding_level worse(enum finding_level a, enum finding_level b)
{
	return a > b ? a : b;
}

enum finding_level filesystem_judge(const struct filesystem_evidence *evidence, double used_percent,
				    struct text *sentence)
{
	enum finding_level writing, space, inodes;
	double percent = 0;

	if (evidence->error) {
		if (!is_failure(evidence->error))
			return FINDING_QUIET;
		text_printf(sentence, "it answers with an error, expected none: %s",
			    strerror(evidence->error));
		return FINDING_ACTIVE;
	}
	writing = judge_writing(evidence, sentence);
	/* Nobody can fill what nobody can write. */
	if (evidence->read_only && writing == FINDING_QUIET)
		return FINDING_QUIET;
	space = judge_use(evidence->used_bytes, evidence->free_bytes, used_percent, &percent);
	if (space == FINDING_ACTIVE) {
		begin_part(sentence);
		text_printf(sentence,
			    "%.1f %% of its space is used, expected below %g %%; %" PRIu64
			    " MiB are free",
			    percent, used_percent, evidence->free_bytes >> 20);
	}
	inodes = judge_use(evidence->used_inodes, evidence->free_inodes, used_percent, &percent);
	if (inodes == FINDING_ACTIVE) {
		begin_part(sentence);
		text_printf(sentence,
			    "%.1f %% of its inodes are used, expected below %g %%; %" PRIu64
			    " are free",
			    percent, used_percent, evidence->free_inodes);
	}
	return worse(writing, worse(space, inodes));
}
