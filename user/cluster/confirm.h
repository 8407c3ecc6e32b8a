/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_CONFIRM_H
#define TOCSIN_CLUSTER_CONFIRM_H

/*
 * TCP connects that confirm a suspicion. A peer's kernel answers them (SYN-ACK or RST) with no help
 * from its user space: a starved agent is not a partition. No data is sent, and an answered
 * connection is reset at once, so that neither side keeps anything of it.
 *
 * What our own firewall drops on its way out looks like silence here: the kernel retries such a SYN
 * and tells nobody. (For heartbeats it is a send error.)
 */

#include "base/address.h"
#include "detect/edge.h"

#include <stdint.h>
#include <uv.h>

#define CONFIRM_TARGETS_MAX	 131072 /* ids are 0 to this, exclusive */
#define CONFIRM_TRIES_MAX	 256	/* in flight */
#define CONFIRM_TRIES_PER_TARGET 16

struct confirm;

/* Called with each new socket before it connects, so that it can be exempted from the probes. */
typedef void (*confirm_mark)(int fd, void *context);

/* mark may be NULL. Returns 0 or -errno. *ret is closed by confirm_close(). */
int confirm_open(struct confirm **ret, uv_loop_t *loop, confirm_mark mark, void *context);

/*
 * Says where the target 'id' is. Setting the same again changes nothing; another address or port
 * ends the tries in flight and starts its counts at zero (a rest is kept, and so is a want).
 * Returns 0, -ERANGE for an id of CONFIRM_TARGETS_MAX and more, -EINVAL for port 0, or -ENOMEM.
 */
int confirm_set_target(struct confirm *confirm, unsigned int id, const struct address *address,
		       uint16_t port);

/* Forgets a target; its tries end uncounted. An unknown id is fine. */
void confirm_clear_target(struct confirm *confirm, unsigned int id);

/*
 * Starts tries: one at once, then one every interval_ns, each given up after timeout_ns (both 1 ms
 * to 60 s). Again on a target that is being tried: takes the new times; the next try comes
 * interval_ns after the last. Returns 0, -ENOENT for a target that is not set, or -EINVAL for times
 * out of range.
 */
int confirm_want(struct confirm *confirm, unsigned int id, uint64_t interval_ns,
		 uint64_t timeout_ns);

/* Stops; tries in flight end uncounted. An unknown id is fine. */
void confirm_rest(struct confirm *confirm, unsigned int id);

/*
 * Takes in the answers that are there, then gives up the tries whose time is over, without
 * blocking. Returns how many tries ended. To be called before judging: an answer that nobody has
 * looked at is not silence.
 */
unsigned int confirm_drain(struct confirm *confirm);

/* Fills evidence->connect of a target and leaves the rest alone. An unknown id is 'not possible'.
 */
void confirm_evidence(const struct confirm *confirm, unsigned int id,
		      struct edge_evidence *evidence);

/* Tries in flight, of all targets. */
unsigned int confirm_in_flight(const struct confirm *confirm);

/* Stops at once; memory is given back by the loop, which must run until then. NULL is fine. */
void confirm_close(struct confirm *confirm);

#endif
