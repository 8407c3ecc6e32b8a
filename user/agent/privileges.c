// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/privileges.h"

#include "base/capability.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

static int keep(bool starting, struct text *error)
{
	uint64_t held;
	int r = capability_read(&held);

	if (!r)
		r = capability_keep(capability_wanted(held, starting));
	if (r)
		text_printf(error, "capabilities cannot be given up: %s", strerror(-r));
	return r;
}

int privileges_begin(const struct config *config, struct text *error)
{
	int r = keep(true, error);

	if (!r && !config_has_commands(config) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		r = -errno;
		text_printf(error, "no_new_privs cannot be set: %s", strerror(-r));
	}
	privileges_check(config);
	return r;
}

int privileges_drop(struct text *error)
{
	return keep(false, error);
}

void privileges_check(const struct config *config)
{
	if (config_has_commands(config) && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		log_warning("hooks run without privileges",
			    log_string("reason", "no_new_privs is set: by the service manager, or "
						 "because the agent was started without hooks"),
			    log_string("advice", "what they may do then: docs/security.md"));
}
