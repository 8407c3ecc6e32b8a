/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_NETWORK_H
#define TOCSIN_PROBE_NETWORK_H

/* What the kernel counts of this process's network namespace, read from /proc. It never blocks. */

#include <stdint.h>

/* Packets received by all interfaces, the loopback too: what is dropped there counts as well.
 * Returns 0 or a negative errno. */
int network_received(uint64_t *ret_packets);

/* How often the queue of a listener had no room. Returns 0 or a negative errno: -ENOENT where this
 * kernel does not count it. */
int network_listen_overflows(uint64_t *ret_overflows);

#endif
