// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/overload.h"

#include "base/clock.h"

#include <inttypes.h>

/* What stands is quiet below this share of its limit. */
#define QUIET_RATIO 0.75
/* So many windows of calm end a time of busy CPUs, however busy it was before. */
#define CALM_WINDOWS 3

static bool is_quiet(double value, double limit)
{
	return value < QUIET_RATIO * limit;
}

/* ---- waits ---- */

static enum finding_level judge_waits(struct cpu_overload *overload,
				      const struct cpu_window *window,
				      const struct finding_limits *limits)
{
	const double limit_percent = limits->cpu_overload.pressure_percent;
	const double limit_us = limits->cpu_overload.wait_ms * 1000.0;

	if (!window->waits_known) {
		overload->pressed_windows = 0;
		return overload->pressed ? FINDING_NEAR : FINDING_QUIET;
	}
	if (window->pressure_percent > limit_percent && window->wait_us > limit_us) {
		if (!overload->pressed_windows++)
			overload->pressed_ns = window->begin_ns;
	} else {
		overload->pressed_windows = 0;
	}
	if (overload->pressed_windows >= limits->cpu_overload.windows) {
		overload->pressed = true;
		return FINDING_ACTIVE;
	}
	if (is_quiet(window->pressure_percent, limit_percent) ||
	    is_quiet(window->wait_us, limit_us))
		overload->pressed = false;
	return overload->pressed ? FINDING_NEAR : FINDING_QUIET;
}

/* ---- busy time ---- */

static void sum_busy(struct cpu_overload *overload, const struct cpu_window *window,
		     double limit_percent)
{
	double length_ns = (double)(window->end_ns - window->begin_ns);

	overload->calm_windows =
		is_quiet(window->busy_percent, limit_percent) ? overload->calm_windows + 1 : 0;
	if (!overload->busy_ns) {
		if (window->busy_percent <= limit_percent)
			return;
		overload->busy_ns = window->begin_ns;
		overload->busy_sum_ns = overload->stolen_sum_ns = 0;
	}
	overload->busy_sum_ns += window->busy_percent / 100 * length_ns;
	overload->stolen_sum_ns += window->stolen_percent / 100 * length_ns;
	/* A mean, and not each window: a load of 90 % has windows of 70 %, and one of 70 % has
	 * windows of 90 %. */
	if (overload->busy_sum_ns * 100 <=
		    limit_percent * (double)(window->end_ns - overload->busy_ns) ||
	    overload->calm_windows >= CALM_WINDOWS)
		overload->busy_ns = 0;
}

static enum finding_level judge_busy(struct cpu_overload *overload, const struct cpu_window *window,
				     const struct finding_limits *limits)
{
	sum_busy(overload, window, limits->cpu_overload.busy_percent);
	if (overload->calm_windows) {
		overload->busy = false;
		return FINDING_QUIET;
	}
	if (overload->busy_ns &&
	    window->end_ns - overload->busy_ns >= limits->cpu_overload.busy_for_s * NS_PER_S) {
		overload->busy = true;
		return FINDING_ACTIVE;
	}
	return overload->busy ? FINDING_NEAR : FINDING_QUIET;
}

enum finding_level cpu_overload(struct cpu_overload *overload, const struct cpu_window *window,
				const struct finding_limits *limits, uint64_t *ret_since_ns,
				struct text *sentence)
{
	enum finding_level waits = judge_waits(overload, window, limits);
	enum finding_level busy = judge_busy(overload, window, limits);

	if (waits == FINDING_ACTIVE) {
		*ret_since_ns = overload->pressed_ns;
		text_printf(sentence,
			    "for %" PRIu64 " s something waits for a CPU, in the last window "
			    "%.0f %% of the time and 1 of 100 waits for more than %.1f ms, "
			    "expected at most %g %% or %" PRIu32 " ms; CPUs busy %.0f %%, stolen "
			    "by the hypervisor %.0f %%",
			    (window->end_ns - overload->pressed_ns) / NS_PER_S,
			    window->pressure_percent, window->wait_us / 1000.0,
			    limits->cpu_overload.pressure_percent, limits->cpu_overload.wait_ms,
			    window->busy_percent, window->stolen_percent);
		return FINDING_ACTIVE;
	}
	if (busy == FINDING_ACTIVE) {
		double length_ns = (double)(window->end_ns - overload->busy_ns);

		*ret_since_ns = overload->busy_ns;
		text_printf(sentence,
			    "the CPUs have been busy %.0f %% of the last %.0f s, expected at most "
			    "%g %% for %" PRIu32 " s; the hypervisor stole another %.0f %%",
			    overload->busy_sum_ns * 100 / length_ns, length_ns / NS_PER_S,
			    limits->cpu_overload.busy_percent, limits->cpu_overload.busy_for_s,
			    overload->stolen_sum_ns * 100 / length_ns);
		return FINDING_ACTIVE;
	}
	return waits == FINDING_NEAR || busy == FINDING_NEAR ? FINDING_NEAR : FINDING_QUIET;
}

enum finding_level pressure_level(double avg10_percent, double limit_percent, const char *what,
				  struct text *sentence)
{
	if (avg10_percent > limit_percent) {
		text_printf(sentence,
			    "everything waited for %s %.1f %% of the last 10 s, expected at most "
			    "%g %%",
			    what, avg10_percent, limit_percent);
		return FINDING_ACTIVE;
	}
	return is_quiet(avg10_percent, limit_percent) ? FINDING_QUIET : FINDING_NEAR;
}
