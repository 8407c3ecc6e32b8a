// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/store_turn.h"

#include "base/clock.h"

/* Whoever is called so late did not run in between. */
#define LATE_NS	 (20 * NS_PER_MS)
#define GRACE_NS (20 * NS_PER_MS) /* to read what came meanwhile */

static void on_timer(uv_timer_t *timer)
{
	struct store_turn *turn = timer->data;
	uint64_t now_ns = clock_monotonic_ns(), late_ns = 0;

	turn->awake = false;
	if (now_ns > turn->due_ns + LATE_NS)
		late_ns = now_ns - turn->due_ns + GRACE_NS;
	turn->run(turn->context, now_ns, late_ns);
}

/* Starting and stopping a timer fail only for one that is being closed. */

void store_turn_wake(struct store_turn *turn)
{
	if (turn->awake)
		return;
	turn->awake = true;
	turn->due_ns = clock_monotonic_ns();
	(void)uv_timer_start(&turn->timer, on_timer, 0, 0);
}

void store_turn_arm(struct store_turn *turn, uint64_t due_ns, uint64_t boot_due_ns)
{
	uint64_t boot_ns = clock_boottime_ns(), now_ns = clock_monotonic_ns();
	uint64_t wait_ns = UINT64_MAX, boot_wait_ns = UINT64_MAX;

	if (turn->awake)
		return;
	if (due_ns != UINT64_MAX)
		wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	if (boot_due_ns != UINT64_MAX)
		boot_wait_ns = boot_due_ns > boot_ns ? boot_due_ns - boot_ns : 0;
	if (boot_wait_ns < wait_ns)
		wait_ns = boot_wait_ns;
	if (wait_ns == UINT64_MAX) {
		(void)uv_timer_stop(&turn->timer);
		return;
	}
	turn->due_ns = now_ns + wait_ns;
	uv_update_time(turn->timer.loop);
	(void)uv_timer_start(&turn->timer, on_timer, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
}

void store_turn_open(struct store_turn *turn, uv_loop_t *loop, void *context,
		     void (*run)(void *context, uint64_t now_ns, uint64_t late_ns),
		     void (*closed)(void *context))
{
	*turn = (struct store_turn){.context = context, .run = run, .closed = closed};
	/* Cannot fail. */
	(void)uv_timer_init(loop, &turn->timer);
	turn->timer.data = turn;
}

static void on_closed(uv_handle_t *handle)
{
	struct store_turn *turn = handle->data;

	turn->closed(turn->context);
}

void store_turn_close(struct store_turn *turn)
{
	uv_close((uv_handle_t *)&turn->timer, on_closed);
}
