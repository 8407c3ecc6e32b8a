/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_WATCHED_H
#define TOCSIN_DETECT_WATCHED_H

/*
 * Whether anything is left of what is watched: a program, a unit, the listeners on a port. It may
 * be several processes; it has died when the last of them has ended, and a look for others finds
 * none. Pure.
 */

#include "base/cgroup_name.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define WATCHED_EXE_MAX 128 /* bytes, NUL included; a longer path is cut */

/* How a process ended. CLOCK_BOOTTIME. */
struct watched_end {
	uint32_t pid; /* 0: none has */
	uint64_t start_ns;
	uint64_t end_ns;
	bool explained;	 /* the kernel has told how: */
	uint32_t status; /* as wait() has it */
	bool oom_killed;
	char exe[WATCHED_EXE_MAX]; /* "": not known */
	struct cgroup_name group;  /* as it was when it was found */
};

struct watched {
	unsigned int running; /* processes that are known to run */
	bool seen;	      /* any since the agent started: what never ran cannot die */
	bool died;	      /* and has not returned */
	bool restarted;	      /* what runs was started after all others had ended */
	struct watched_end end;
	uint32_t newest_pid; /* of those that run: the last one found */
	uint64_t newest_start_ns;
};

enum watched_news {
	WATCHED_NO_NEWS,
	WATCHED_DIED,
	WATCHED_RETURNED,
	WATCHED_RESTARTED, /* it had died, and runs again already */
};

void watched_begins(struct watched *watched, uint32_t pid, uint64_t start_ns);

/* Of several that end together, that of the oldest process is remembered: it is the main one. */
void watched_ends(struct watched *watched, const struct watched_end *end);

/* The last known process has ended: a look for others must tell. */
bool watched_is_in_doubt(const struct watched *watched);

/* Worth a look each second: it has died, or was never seen. */
bool watched_is_missing(const struct watched *watched);

/* All processes have been looked through, and those found told. */
enum watched_news watched_looked(struct watched *watched);

/* "pid 17 (/usr/bin/etcd) was killed by SIGKILL; …"; 'what' is what is watched. */
void watched_explain_death(const struct watched *watched, const char *what, struct text *sentence);

/* "runs again as pid 18 after 3.2 s" */
void watched_explain_return(const struct watched *watched, struct text *sentence);

#endif
