/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_FEATURE_H
#define TOCSIN_PROBE_FEATURE_H

/* What this kernel and these privileges allow, found out by asking or trying, never by version. */

#include <stdbool.h>
#include <stddef.h>

enum feature_verdict {
	FEATURE_YES,
	FEATURE_NO,
	FEATURE_UNKNOWN, /* cannot be found out from here */
};

struct feature {
	const char *name;
	enum feature_verdict verdict;
	bool required;	  /* the main job cannot run without it */
	char detail[256]; /* what was found; when missing, what is lost and what to do */
};

#define FEATURES_MAX 24

/* Which of the capabilities that programs need are not held: "CAP_BPF and CAP_PERFMON", or NULL. */
const char *feature_missing_capabilities(void);

/* Fills the table and returns how many rows there are (at most FEATURES_MAX). */
size_t feature_check(struct feature features[static FEATURES_MAX]);

#endif
