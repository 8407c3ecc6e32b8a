// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/peer_load.h"

#include "base/clock.h"

#include <inttypes.h>

/* Of a window: so many connects answered late, and of all that were answered. */
#define LATE_MIN     3
#define LATE_RATIO   0.05
#define LATE_WINDOWS 2

static enum finding_level judge_windows(struct peer_load *load,
					const struct edge_evidence *evidence, uint64_t after_ns,
					uint64_t now_ns)
{
	if (!evidence->tcp.zero_window_sockets)
		load->closed_since_ns = 0;
	else if (!load->closed_since_ns)
		load->closed_since_ns = now_ns;
	if (!load->closed_since_ns)
		return FINDING_QUIET;
	if (now_ns - load->closed_since_ns >= after_ns)
		return FINDING_ACTIVE;
	return now_ns - load->closed_since_ns >= after_ns / 2 ? FINDING_NEAR : FINDING_QUIET;
}

static void end_window(struct peer_load *load, uint64_t connects, uint64_t late)
{
	bool many = late >= LATE_MIN && (double)late > LATE_RATIO * (double)connects;

	if (!many) {
		load->late_windows = 0;
		return;
	}
	if (!load->late_windows++)
		load->late_since_ns = load->window_ns;
	load->last_connects = connects;
	load->last_late = late;
}

static enum finding_level judge_connects(struct peer_load *load,
					 const struct edge_evidence *evidence, bool lossy,
					 uint64_t now_ns)
{
	uint64_t connects = evidence->tcp.connects, late = evidence->tcp.connects_late;
	/* A record that changed hands begins anew. */
	bool anew = !load->window_ns || connects < load->connects || late < load->connects_late;

	if (!anew && now_ns - load->window_ns < PEER_LOAD_WINDOW_NS)
		goto out;
	if (!anew)
		/* What is lost on a lossy link is no overload. */
		end_window(load, connects - load->connects, lossy ? 0 : late - load->connects_late);
	load->window_ns = now_ns;
	load->connects = connects;
	load->connects_late = late;
out:
	if (load->late_windows >= LATE_WINDOWS)
		return FINDING_ACTIVE;
	return load->late_windows ? FINDING_NEAR : FINDING_QUIET;
}

enum finding_level peer_load_update(struct peer_load *load, enum edge_state state,
				    const struct edge_evidence *evidence, uint64_t after_ns,
				    uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence)
{
	enum finding_level windows = judge_windows(load, evidence, after_ns, now_ns);
	enum finding_level connects = judge_connects(load, evidence, state != EDGE_HEALTHY, now_ns);

	if (state == EDGE_SUSPECT)
		return FINDING_NEAR;
	if (state > EDGE_SUSPECT) {
		/* What its kernel said before counts no more. */
		load->closed_since_ns = 0;
		return FINDING_QUIET;
	}
	if (windows == FINDING_ACTIVE) {
		*ret_since_ns = load->closed_since_ns;
		text_printf(sentence,
			    "its programs do not read: its window is closed for %" PRIu32
			    " connections, and has been for %" PRIu64
			    " ms, expected at most %" PRIu64 " ms; its kernel answers",
			    evidence->tcp.zero_window_sockets,
			    (now_ns - load->closed_since_ns) / NS_PER_MS, after_ns / NS_PER_MS);
	} else if (connects == FINDING_ACTIVE) {
		*ret_since_ns = load->late_since_ns;
		text_printf(sentence,
			    "its programs do not accept in time: %" PRIu64 " of %" PRIu64
			    " connects were answered only when they were tried again, expected at "
			    "most %.0f %%; little is lost on the way",
			    load->last_late, load->last_connects, LATE_RATIO * 100);
	}
	return windows > connects ? windows : connects;
}
