/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_ISOLATE_HOOK_H
#define TOCSIN_ISOLATE_HOOK_H

/*
 * Commands of the user's that are told of an action. No shell: the arguments arrive as they are
 * given. The document stands on standard input, of which it is all; standard output and error are
 * kept together. Each runs in a session of its own, in "/", with nothing but PATH in its
 * environment. docs/isolation.md is the contract.
 */

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define HOOK_RUNNING_MAX      8
#define HOOK_OUTPUT_BYTES_MAX 4096
#define HOOK_GRACE_MS	      500 /* between SIGTERM and SIGKILL, and after that */

enum hook_end { HOOK_EXITED, HOOK_SIGNALLED, HOOK_TIMED_OUT, HOOK_NOT_STARTED };

struct hook_result {
	enum hook_end end;
	int code; /* exit status, signal or -errno */
	/* The beginning of what it wrote: any bytes, not NUL-terminated, valid during the call. */
	const char *output;
	size_t output_bytes;
	bool output_truncated;
	uint32_t timeout_ms; /* as it was given */
	uint64_t duration_ms;
};

/* Called once for each hook_run() that returned 0, from the loop, never from hook_run() itself. */
typedef void (*hook_done)(void *context, const struct hook_result *result);

struct hook_runner;

/* Returns 0 or -ENOMEM. *ret is given back by hook_cancel(). */
int hook_open(struct hook_runner **ret, uv_loop_t *loop);

/*
 * Starts a command: argv ends with NULL, and a name without a slash is looked for in PATH. When
 * timeout_ms are over its process group gets SIGTERM, and SIGKILL later; 'done' is called at the
 * latest 2 * HOOK_GRACE_MS after the limit, also when something still holds its output open.
 * Returns 0, -EBUSY when HOOK_RUNNING_MAX are running, -EINVAL without argv[0], or another errno
 * when there are no means to start anything.
 */
int hook_run(struct hook_runner *runner, const char *const *argv, uint32_t timeout_ms,
	     const char *document, hook_done done, void *context);

unsigned int hook_running(const struct hook_runner *runner);

/*
 * Ends all that run, as their time limit would; 'done' is not called any more. The loop must run
 * until nothing is left, at most 2 * HOOK_GRACE_MS. NULL is fine.
 */
void hook_cancel(struct hook_runner *runner);

/* "ended with status 3", and so on, for people. */
void hook_describe(const struct hook_result *result, struct text *text);

#endif
