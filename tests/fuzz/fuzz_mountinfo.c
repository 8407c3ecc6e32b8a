// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lines of /proc/PID/mountinfo, whose paths and options are those of whoever mounts. What must
 * hold, besides memory safety: a line that is taken has a type and a path, which undoing the
 * escapes has not made longer.
 */
#include "fuzz/fuzz.h"
#include "probe/filesystem_mount.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = make_string(data, size);
	struct filesystem_mount mount;

	size = strlen(line);
	if (filesystem_mount_parse(line, &mount)) {
		require(*mount.type && *mount.path);
		require(strnlen(mount.type, sizeof(mount.type)) < sizeof(mount.type));
		require(strnlen(mount.path, sizeof(mount.path)) < sizeof(mount.path));
		require(strlen(mount.type) + strlen(mount.path) < size);
		filesystem_mount_counts(&mount);
	}
	free(line);
	return 0;
}
