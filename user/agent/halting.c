// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/halting.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <utmp.h>

/*
 * systemd writes this when it stops systemd-user-sessions.service, and up to 5 minutes before a
 * shutdown that is scheduled. At boot, and when a person keeps others from logging in, the file
 * says something else.
 */
static bool no_login(const char *path)
{
	static const char words[] = "System is going down";
	char found[sizeof(words)] = "";
	FILE *stream = fopen(path, "re");
	size_t bytes;

	if (!stream)
		return false;
	bytes = fread(found, 1, sizeof(words) - 1, stream);
	fclose(stream);
	return bytes == sizeof(words) - 1 && !strcmp(found, words);
}

/* The inits that have runlevels go to 0 to halt and to 6 to reboot, and note it before they stop
 * anything. */
static bool last_runlevel(const char *path)
{
	const struct utmp wanted = {.ut_type = RUN_LVL};
	const struct utmp *found;
	int runlevel;

	/* Without the file the C library would look for one of another name. */
	if (access(path, R_OK) || utmpname(path))
		return false;
	setutent();
	found = getutid(&wanted);
	/* Its second byte is the runlevel before. */
	runlevel = found ? found->ut_pid & 0xff : 0;
	endutent();
	return runlevel == '0' || runlevel == '6';
}

static const struct {
	const char *path;
	bool (*tells)(const char *path);
} signs[] = {
	{"/run/nologin", no_login},
	{"/run/utmp", last_runlevel},
};

bool halting_is_told(const char *root)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (snprintf(path, sizeof(path), "%s%s", root, signs[i].path) < (int)sizeof(path) &&
		    signs[i].tells(path))
			return true;
	return false;
}

bool halting_is_machine(void)
{
	return halting_is_told("") || halting_is_told("/proc/1/root");
}
