/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_PROCESS_H
#define TOCSIN_TESTS_LIVE_PROCESS_H

/*
 * The real program, $BUILD/tocsin, run as its user would: started, asked over HTTP, signalled and
 * waited for. All functions fail the running test when they cannot do their job.
 */

#include "live/rig.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_OUTPUT_BYTES  (1 << 20)
#define PROCESS_ARGUMENTS_MAX 8
#define PROCESS_PROGRAMS_MAX  64
#define PROCESS_HTTP_BODY_MAX (1 << 18)
#define PROCESS_UNPRIVILEGED  65534

/* What the program finds in place of a directory. */
enum process_mount {
	PROCESS_MOUNT_NONE,	 /* what is there */
	PROCESS_MOUNT_READ_ONLY, /* the same, mounted read-only */
	PROCESS_MOUNT_FULL,	 /* a file system without room for one byte */
};

/* How to start it; zero is: as root, in host a, all streams piped to the test, stdin /dev/null. */
struct process_options {
	const char *arguments[PROCESS_ARGUMENTS_MAX]; /* without argv[0]; up to the first NULL */
	enum side side;
	uid_t user;	       /* 0: stay root */
	uint64_t capabilities; /* of that user, as a bit mask: ambient, and no more than these */
	bool no_streams;       /* 0, 1 and 2 are closed */
	bool broken_output;    /* stdout is a pipe whose reader is gone */
	bool broken_log;       /* stderr is */
	bool full_output;      /* stdout is /dev/full */
	bool no_btf;	       /* /sys/kernel/btf is empty for it */
	bool no_cgroups;       /* no tree of control groups is mounted for it */
	unsigned int files;    /* RLIMIT_NOFILE; 0: as it is */
	bool no_memlock;       /* RLIMIT_MEMLOCK 0 */
	enum process_mount mount;
	const char *directory; /* where that mount is */
};

struct process {
	pid_t pid;	       /* 0: not running */
	int output_fd, log_fd; /* the reading ends of stdout and stderr, -1 when there are none */
	char *output, *log;    /* all that came so far, NUL-terminated */
	size_t output_bytes, log_bytes;
	size_t log_seen; /* process_expect_log() looks from here on */
};

/* Why the program cannot be run, or NULL. */
const char *process_obstacle(void);

void process_start(struct process *process, const struct rig *rig,
		   const struct process_options *options);

/* Waits for a line of the log with these words, after the last one waited for. Returns the line. */
const char *process_expect_log(struct process *process, const char *words);

/* Whether a line with these words has come so far, seen or not. */
bool process_logged(struct process *process, const char *words);

/* How many lines stderr has so far. */
unsigned int process_log_lines(struct process *process);

/* Takes in what has been written so far, so that the program never waits for its reader. */
void process_read(struct process *process);

void process_signal(const struct process *process, int number);

/* Waits for the end. Returns the exit code, or 128 and the number of the signal that ended it. */
int process_wait(struct process *process);

/* Starts, and waits for the end. */
int process_run(struct process *process, const struct rig *rig,
		const struct process_options *options);

/* Ends it, if it runs, and frees everything; a process that was never started is fine. */
void process_discard(struct process *process);

/* The ids of the BPF programs that it holds. Returns how many. */
size_t process_bpf_programs(const struct process *process, uint32_t ids[PROCESS_PROGRAMS_MAX]);

/* Waits until the kernel has none of these BPF programs any more. */
void process_expect_unloaded(const uint32_t *ids, size_t count);

/* A line of /proc/PID/status, in its unit (kB for memory): process_status(process, "VmRSS"). */
uint64_t process_status(const struct process *process, const char *key);

unsigned int process_open_files(const struct process *process);

/* User and system time of all its threads so far. */
uint64_t process_cpu_ms(const struct process *process);

/* GET from within a host. Returns the HTTP status, 0 when nobody answers; the body is in 'body'. */
long process_get(const struct rig *rig, enum side side, const char *url,
		 char body[static PROCESS_HTTP_BODY_MAX]);

/* GET of /api/v1/status below this URL. A new reference. */
json_t *process_get_status(const struct rig *rig, enum side side, const char *url);

/* The peer of this name in a status, borrowed; NULL when there is none. */
const json_t *process_find_peer(const json_t *status, const char *name);

#endif
