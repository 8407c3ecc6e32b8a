/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_LOOP_H
#define TOCSIN_TESTS_UNIT_LOOP_H

#include "base/clock.h"

#include <stdint.h>
#include <uv.h>

/* No condition is waited for longer. */
#define LOOP_LIMIT_NS (10 * NS_PER_S)

/* One turn, of about a millisecond, that comes back although nothing happens. */
void loop_turn(uv_loop_t *loop);

void loop_turn_for(uv_loop_t *loop, uint64_t duration_ns);

/* Lets what is being closed end, and closes the loop; fails the test when something stays open. */
void loop_end(uv_loop_t *loop);

#endif
