/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_STATE_DIR_H
#define TOCSIN_AGENT_STATE_DIR_H

#include "base/text.h"

/*
 * Makes the directory when it is missing and locks it: one agent a directory. Returns a descriptor
 * that holds the lock until it is closed or the process ends, or a negative errno with a line in
 * 'error'.
 */
int state_dir_lock(const char *path, struct text *error);

#endif
