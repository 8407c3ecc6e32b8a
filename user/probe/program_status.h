/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_PROGRAM_STATUS_H
#define TOCSIN_PROBE_PROGRAM_STATUS_H

#include <stdbool.h>
#include <stdint.h>

struct bpf_link;

#define PROGRAM_REASON_MAX 256

/* What there is to know of one program of an object before it is loaded: a row of a probe's table.
 */
struct program {
	const char *name; /* of the BPF function */
	/* Section: "tp_btf/" and the tracepoint that it hangs on, or another kind. Of an iterator
	 * over a map's items: " " and the map follow. */
	const char *hook;
	const char *purpose; /* what is lost without it, in a few words */
	bool required;	     /* the probe is useless without it */
};

struct program_status {
	const struct program *program;
	struct bpf_link *link;
	int fd; /* of the program, while it is attached */
	bool attached;
	char reason[PROGRAM_REASON_MAX]; /* why not; "" when attached */
};

/* How often the kernel has left out an attached program because it interrupted itself: what
 * happened then, it has not seen. Since 5.12; always 0 before. */
uint64_t program_runs_missed(const struct program_status *status);

#endif
