/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_HALTING_H
#define TOCSIN_AGENT_HALTING_H

#include <stdbool.h>

/*
 * Whether the machine is shutting down, and not this agent alone being stopped: as init tells it in
 * files, here or, from a container that may see it, at process 1. Nothing is run and nobody asked.
 * Where no file tells, false.
 */
bool halting_is_machine(void);

/* The same below one root: "" or a directory. */
bool halting_is_told(const char *root);

#endif
