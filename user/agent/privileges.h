/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_PRIVILEGES_H
#define TOCSIN_AGENT_PRIVILEGES_H

/* The agent gives up what it does not need (base/capability.h has the table). */

#include "base/text.h"
#include "config/config.h"

/*
 * At the start, before there is any thread: what is never used. When no command is configured,
 * nothing that this process may ever execute gains privileges either (no_new_privs). Returns 0 or a
 * negative errno.
 */
int privileges_begin(const struct config *config, struct text *error);

/* Once the probes are attached: what was needed for that. Returns 0 or a negative errno. */
int privileges_drop(struct text *error);

/* After a reload: says so when commands came too late to have privileges. */
void privileges_check(const struct config *config);

#endif
