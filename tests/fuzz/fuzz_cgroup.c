// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Paths of control groups, which whoever may make one names. What must hold, besides memory safety:
 * container and unit stand in the path as they are told, a pod's uid is one, and only a name that
 * is too long is cut.
 */
#include "base/cgroup_name.h"
#include "fuzz/fuzz.h"

#include <string.h>

static bool consists_of(const char *text, const char *characters)
{
	return text[strspn(text, characters)] == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *path = make_string(data, size);
	struct cgroup_name name;
	size_t length;

	cgroup_name_parse(path, &name);

	require(strnlen(name.container, sizeof(name.container)) < sizeof(name.container));
	require(strstr(path, name.container) && consists_of(name.container, "0123456789abcdef-"));
	length = strlen(name.container);
	require(!length || length == 64 || (length >= 34 && name.container[32] == '-'));

	length = strnlen(name.pod, sizeof(name.pod));
	require(!length || length == 32 || length == 36);
	require(consists_of(name.pod, "0123456789abcdef-"));

	require(strnlen(name.unit, sizeof(name.unit)) < sizeof(name.unit));
	require(strstr(path, name.unit) && !strchr(name.unit, '/'));
	length = strlen(name.unit);
	require(!length || length == sizeof(name.unit) - 1 || strchr(name.unit, '.'));
	free(path);
	return 0;
}
