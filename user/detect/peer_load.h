/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_PEER_LOAD_H
#define TOCSIN_DETECT_PEER_LOAD_H

/*
 * Whether a peer is overloaded, as its kernel tells: it answers, and its programs do not read or do
 * not accept. Pure.
 */

#include "base/text.h"
#include "detect/edge.h"
#include "detect/findings.h"

#include <stdint.h>

/* Connects are counted in windows of so long. */
#define PEER_LOAD_WINDOW_NS UINT64_C(5000000000)

/* Of one peer, from look to look; zero-initialise. */
struct peer_load {
	uint64_t closed_since_ns; /* a window of its has been closed at each look since; 0: none */
	uint64_t window_ns;	  /* when the window of connects began; 0: there is none */
	uint64_t connects, connects_late;  /* then */
	unsigned int late_windows;	   /* one after the other in which too many were late */
	uint64_t late_since_ns;		   /* when the first of these began */
	uint64_t last_connects, last_late; /* of the last window, for the sentence */
};

/*
 * Takes in the evidence of this moment. A peer that is not reached is not overloaded, and while it
 * is suspected nothing is said. Where connects are answered only when they are tried again, though
 * little is lost on the way, its accept queue overflows; a firewall would never answer.
 */
enum finding_level peer_load_update(struct peer_load *load, enum edge_state state,
				    const struct edge_evidence *evidence, uint64_t after_ns,
				    uint64_t now_ns, uint64_t *ret_since_ns, struct text *sentence);

#endif
