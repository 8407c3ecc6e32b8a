// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void loop_turn(uv_loop_t *loop)
{
	uv_run(loop, UV_RUN_NOWAIT);
	poll(NULL, 0, 1);
}

void loop_turn_for(uv_loop_t *loop, uint64_t duration_ns)
{
	uint64_t end_ns = clock_monotonic_ns() + duration_ns;

	while (clock_monotonic_ns() < end_ns)
		loop_turn(loop);
}

void loop_end(uv_loop_t *loop)
{
	assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(loop), 0);
}
