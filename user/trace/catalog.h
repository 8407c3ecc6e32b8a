/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_CATALOG_H
#define TOCSIN_TRACE_CATALOG_H

/* The rows of the traces, each in a file of its name. */

#include "trace/trace.h"

extern const struct trace trace_retrans;
extern const struct trace trace_rtt;
extern const struct trace trace_tcplife;
extern const struct trace trace_connect;
extern const struct trace trace_reset;
extern const struct trace trace_drop;
extern const struct trace trace_accept;
extern const struct trace trace_crash;
extern const struct trace trace_exit;
extern const struct trace trace_exec;
extern const struct trace trace_oom;
extern const struct trace trace_runq;
extern const struct trace trace_hang;
extern const struct trace trace_io;
extern const struct trace trace_iotop;

#endif
