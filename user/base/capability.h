/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_CAPABILITY_H
#define TOCSIN_BASE_CAPABILITY_H

/* Which of root's powers (capabilities(7)) the agent uses, how long, and for what. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CAP_PERFMON and CAP_BPF came with Linux 5.8; before, CAP_SYS_ADMIN stood for both. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

/* How long the agent holds a capability that it was started with. */
enum capability_use {
	CAPABILITY_START, /* until the probes are attached */
	CAPABILITY_KEPT,  /* as long as it runs */
	/*
	 * The same, and then only a helper process does, which does nothing else. Older libbpf (1.1
	 * of Debian 12) asks for the types of modules where a kernel function is missing, as
	 * bpf_rdonly_cast() is before Linux 6.2, and loads nothing when it may not (CAP_SYS_ADMIN).
	 */
	CAPABILITY_HELPER,
};

struct capability {
	unsigned int number;
	const char *name;
	enum capability_use use;
	bool required;	  /* the main job cannot run without it */
	const char *lost; /* without it */
};

#define CAPABILITIES_MAX 8
extern const struct capability capabilities[];
extern const size_t capability_count; /* at most CAPABILITIES_MAX */

/* Whether this thread may use it now. CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON. */
bool capability_held(unsigned int number);

/*
 * Those of the held that are held from now on, as a bit mask: with 'starting' also those that are
 * used until the probes are attached. CAP_SYS_ADMIN stays where it is what stands for CAP_BPF or
 * CAP_PERFMON. Pure.
 */
uint64_t capability_wanted(uint64_t held, bool starting);

/* The effective capabilities of this thread as a bit mask. Returns 0 or a negative errno. */
int capability_read(uint64_t *ret_held);

/*
 * Gives up all capabilities of this thread but these, for good: also what a program that it
 * executes would inherit (a program that root executes still gets those of the bounding set,
 * unless no_new_privs is set). Threads and processes that it starts have no more than that.
 * Returns 0 or a negative errno.
 */
int capability_keep(uint64_t wanted);

#endif
