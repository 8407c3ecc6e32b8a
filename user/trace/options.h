/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_OPTIONS_H
#define TOCSIN_TRACE_OPTIONS_H

/* The command line of `tocsin trace`: one meaning a letter for every trace. */

#include "base/address.h"
#include "base/cgroup.h"
#include "trace/trace.h"

#include <stdbool.h>
#include <stdint.h>

enum trace_format { TRACE_FORMAT_TABLE, TRACE_FORMAT_JSON, TRACE_FORMAT_CSV };

struct trace_options {
	const struct trace *trace; /* NULL with 'list' */
	bool list;
	bool verbose;
	bool timestamps;
	enum trace_format format;
	enum trace_mode mode;
	const struct grouping *grouping; /* of TRACE_MODE_HISTOGRAM */
	uint64_t interval_ns;		 /* 0: none */
	uint64_t count;	      /* intervals, or events where there is no interval; 0: no end */
	uint64_t duration_ns; /* 0: no end */

	uint32_t pid;		    /* 0: all, and so on */
	struct cgroup_place cgroup; /* id 0: all */
	uint32_t netns_inode;
	uint32_t device;    /* as the kernel numbers it: major << 20 | minor */
	struct cidr remote; /* prefix 0: all */
	uint16_t port;
	uint16_t family; /* AF_INET, AF_INET6 or 0 */
	uint64_t min_ns;
};

/*
 * Reads the words after `tocsin trace`. Returns 0, or -EINVAL after one line on stderr that names
 * what is wrong (-ECANCELED: help was asked for and given).
 */
int trace_options_parse(int argc, char **argv, struct trace_options *ret_options);

#endif
