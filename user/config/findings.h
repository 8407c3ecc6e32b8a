/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_FINDINGS_H
#define TOCSIN_CONFIG_FINDINGS_H

/*
 * What a node can find of its own health, the numbers that the rules go by, and what follows from a
 * finding. docs/findings.md has the rules in words.
 */

#include <stdint.h>

/* The subject of what is about the node as a whole. */
#define FINDING_SUBJECT_NODE "node"

#define FINDING_HOOK_ARGUMENTS_MAX 8
#define FINDING_HOOK_ARGUMENT_MAX  256 /* bytes, NUL included */

enum finding_kind {
	FINDING_DISK_SLOW,
	FINDING_DISK_STALLED,
	FINDING_DISK_HUNG_REQUEST,
	FINDING_DISK_ERRORS,
	FINDING_CPU_OVERLOAD,
	FINDING_MEMORY_PRESSURE,
	FINDING_IO_PRESSURE,
	FINDING_ACCEPT_OVERFLOW,
	FINDING_RECEIVE_DROPS,
	FINDING_PEER_OVERLOADED,
	FINDING_CRASH_LOOP,
	FINDING_WATCHED_PROCESS_DIED,
	FINDING_TASK_HUNG,
	FINDING_CLOCK_SKEW,
	FINDING_CAPACITY,
	FINDING_FILESYSTEM,
	FINDING_KINDS,
};

/* "disk-slow", as in the configuration, the log, the metrics, the row and the journal. */
const char *finding_kind_name(enum finding_kind kind);

/* How far it goes: each includes all before it. No finding ever fences. */
enum finding_response {
	FINDING_RESPONSE_OFF,	 /* it is not looked for */
	FINDING_RESPONSE_LOG,	 /* log, journal, status */
	FINDING_RESPONSE_METRIC, /* and a series of its own */
	FINDING_RESPONSE_ROW,	 /* and the other nodes see it */
	FINDING_RESPONSE_HOOK,	 /* and its hook runs, when it is raised and when it is cleared */
	FINDING_RESPONSE_NO_SCHEDULE, /* and Kubernetes is told to start no pods on the node */
};

struct finding_settings {
	enum finding_response response; /* findings.KIND.response, default row */
	/* findings.KIND.hook: the command and its arguments; none below FINDING_RESPONSE_HOOK. */
	char hook[FINDING_HOOK_ARGUMENTS_MAX][FINDING_HOOK_ARGUMENT_MAX];
	unsigned int hook_argument_count;
};

struct finding_limits {
	struct {
		double ratio;		/* of p99 device time to its own baseline; default 5 */
		uint32_t min_ms;	/* and over this; 20 */
		uint32_t windows;	/* one after the other; 3 */
		uint32_t window_ms;	/* how long one is; 5000 */
		double sibling_ratio;	/* or: to the median of its siblings'; 2 */
		uint32_t sibling_for_s; /* for so long; 300 */
	} disk_slow;
	struct {
		uint32_t after_ms; /* I/O in flight and no completion; 2000 */
	} disk_stalled;
	struct {
		uint32_t after_ms; /* age of the oldest request while others complete; 5000 */
	} disk_hung_request;
	struct {
		uint32_t clear_after_s; /* no error for so long; 60 */
	} disk_errors;
	struct {
		double pressure_percent; /* PSI cpu some, of a window; 40 */
		uint32_t wait_ms;	 /* and p99 of the run queue's delay; 20 */
		uint32_t windows;	 /* of 5 s; 3 */
		double busy_percent;	 /* or: of all CPUs, on the average; 75 */
		uint32_t busy_for_s;	 /* for so long; 300 */
	} cpu_overload;
	struct {
		double pressure_percent; /* PSI memory full avg10; 10 */
	} memory_pressure;
	struct {
		double pressure_percent; /* PSI io full avg10; 40 */
	} io_pressure;
	struct {
		uint32_t delay_ms; /* p99 from established to accepted; 100 */
	} accept_overflow;
	struct {
		double deviations; /* over the median, in median absolute deviations; 4 */
		double ratio;	   /* and of the packets received; 0.01 */
	} receive_drops;
	struct {
		uint32_t after_ms; /* a window closed for so long; 1000 */
	} peer_overloaded;
	struct {
		uint32_t crashes;  /* of one unit, container or executable; 3 */
		uint32_t within_s; /* 60 */
	} crash_loop;
	struct {
		uint32_t after_s; /* without interruption in state D; 30 */
	} task_hung;
	struct {
		uint32_t offset_ms; /* to the majority of the peers; 500 */
	} clock_skew;
	struct {
		uint32_t horizon_s;	/* 1800 */
		double reserve_percent; /* of the limit, kept free; 20 */
	} capacity;
	struct {
		double used_percent; /* of space or inodes; 95 */
	} filesystem;
};

#endif
