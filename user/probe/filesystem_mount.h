/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_FILESYSTEM_MOUNT_H
#define TOCSIN_PROBE_FILESYSTEM_MOUNT_H

/* A line of /proc/PID/mountinfo. Pure. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define FILESYSTEM_TYPE_BYTES 24 /* NUL included */

struct filesystem_mount {
	uint64_t id;	 /* of the mount, as statx() has it */
	uint64_t device; /* of the file system: major << 32 | minor */
	bool read_only;	 /* the file system as a whole */
	bool remounts_on_error;
	bool shut; /* it says that it has shut itself after an error */
	char type[FILESYSTEM_TYPE_BYTES];
	char path[PATH_MAX];
};

/* Reads a line, which it changes. False when it is none, or its path is too long to be asked. */
bool filesystem_mount_parse(char *line, struct filesystem_mount *ret_mount);

/* Whether it can be full or become read-only: it keeps files, and not those of another mount. */
bool filesystem_mount_counts(const struct filesystem_mount *mount);

#endif
