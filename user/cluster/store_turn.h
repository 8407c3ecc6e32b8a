/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_STORE_TURN_H
#define TOCSIN_CLUSTER_STORE_TURN_H

/*
 * When a store looks again at what is wanted and what is so: at once, when something has happened,
 * or when the time has come. It tells by how much the loop came late: what has come meanwhile is
 * unread.
 */

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct store_turn {
	uv_timer_t timer;
	bool awake;	 /* it is set to run at once */
	uint64_t due_ns; /* when it is to run, CLOCK_MONOTONIC */
	void *context;
	/* 'late_ns': the loop stood still for so long; 0: it did not. */
	void (*run)(void *context, uint64_t now_ns, uint64_t late_ns);
	void (*closed)(void *context);
};

/* 'closed' is called when the loop has let go of it, after store_turn_close(). */
void store_turn_open(struct store_turn *turn, uv_loop_t *loop, void *context,
		     void (*run)(void *context, uint64_t now_ns, uint64_t late_ns),
		     void (*closed)(void *context));

/* Runs it at once, from the loop. Not after store_turn_close(). */
void store_turn_wake(struct store_turn *turn);

/* Runs it at the earlier of two times, of CLOCK_MONOTONIC and of CLOCK_BOOTTIME; UINT64_MAX: never.
 * Not after store_turn_close(). */
void store_turn_arm(struct store_turn *turn, uint64_t due_ns, uint64_t boot_due_ns);

void store_turn_close(struct store_turn *turn);

#endif
