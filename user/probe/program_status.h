/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_PROGRAM_STATUS_H
#define TOCSIN_PROBE_PROGRAM_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_link;
struct text;

#define PROGRAM_REASON_MAX 256

/* What there is to know of one program of an object before it is loaded: a row of a probe's table.
 */
struct program {
	const char *name; /* of the BPF function */
	/* Section: "tp_btf/" and the tracepoint that it hangs on, or another kind. "raw_tp" alone:
	 * it hangs on nothing and is run when asked. */
	const char *hook;
	const char *purpose; /* what is lost without it, in a few words */
	bool required;	     /* the probe is useless without it */
};

struct program_status {
	const struct program *program;
	struct bpf_link *link;
	int fd; /* of the program, while it is attached */
	bool attached;
	bool shed;			 /* it could be attached, but costs too much now */
	char reason[PROGRAM_REASON_MAX]; /* why not; "" when attached */
	const char *untold;		 /* what this kernel's tracepoint does not tell; or NULL */
};

/* What the kernel tells of an attached program; all only grow. */
struct program_runs {
	/* While somebody has the kernel take the time (run_time.h): runs, and how long they took,
	 * with what taking the time adds. */
	uint64_t count, time_ns;
	/* How often it was left out because it interrupted itself: what happened then, it has not
	 * seen. Since 5.12; always 0 before. */
	uint64_t missed;
};

/* All 0 of one that is not attached. */
struct program_runs program_runs(const struct program_status *status);

/* Of an attached program what it sees, and what not on this kernel; of another one what is lost
 * without it, and why. */
void program_describe(const struct program_status *status, struct text *text);

/* Detaches what is attached, and keeps why. What it has counted stays. */
void program_shed(struct program_status *statuses, size_t count, const char *reason);

#endif
