/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_RUNNER_H
#define TOCSIN_TRACE_RUNNER_H

#include "trace/options.h"

/* Runs a trace until it is told to end, with data on stdout and all else on stderr. Returns an exit
 * code. */
int trace_run(const struct trace_options *options);

/*
 * Whether a probe is usable now: loads and attaches it, and takes it off again. 'detail' says why
 * not, or what is lost without programs that this kernel does not take ("" when nothing is).
 */
bool trace_usable(const struct trace *trace, struct text *detail);

/* Says of each probe whether it is usable now, by loading and attaching it. Returns an exit code.
 */
int trace_list(const struct trace_options *options);

#endif
