/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_PREPARE_H
#define TOCSIN_TRACE_PREPARE_H

#include "trace/options.h"

/* More than any trace has. */
#define PROGRAMS_MAX 16

/*
 * Loads and attaches a trace's programs with the filters of the options as their constants.
 * 'statuses' must live as long as the object. Returns 0, or a negative errno with a line in
 * 'error'.
 */
int trace_prepare(struct object **ret_object, const struct trace_options *options,
		  struct program_status statuses[static PROGRAMS_MAX], struct text *error);

#endif
