/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_WATCH_FIND_H
#define TOCSIN_PROBE_WATCH_FIND_H

/* What a look (watch.h) asks of the cgroup trees and the socket tables. */

#include <stddef.h>
#include <stdint.h>

/*
 * Hands on each process in the control group of a systemd unit, and in the groups below it, in the
 * v2 tree and in that of v1 which systemd uses. 'found' may be called twice for one.
 */
void watch_find_unit(const char *unit, void (*found)(void *context, uint32_t pid), void *context);

/* Fills inodes[] with sockets of the own network namespace that listen on a TCP port, of both
 * families. Returns how many. */
size_t watch_find_listeners(uint16_t port, uint64_t *inodes, size_t max);

#endif
