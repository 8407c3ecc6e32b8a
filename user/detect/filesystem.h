/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_FILESYSTEM_H
#define TOCSIN_DETECT_FILESYSTEM_H

/* Whether a file system is full, has become read-only, or fails. Pure. */

#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

/* What was seen at a look. */
struct filesystem_evidence {
	int error;			   /* positive errno of statvfs(); 0: what follows counts */
	uint64_t used_bytes;		   /* by anybody */
	uint64_t free_bytes;		   /* for anybody but root */
	uint64_t used_inodes, free_inodes; /* both 0: it has no fixed number of them */
	bool read_only;			   /* as a whole: no bind mount's flag */
	bool was_writable;		   /* at an earlier look */
	bool remounts_on_error;		   /* mounted with errors=remount-ro */
	bool shut;			   /* it says that it has shut itself after an error */
};

/* All that is wrong stands in the sentence. */
enum finding_level filesystem_judge(const struct filesystem_evidence *evidence, double used_percent,
				    struct text *sentence);

#endif
