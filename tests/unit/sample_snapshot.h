/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_SAMPLE_SNAPSHOT_H
#define TOCSIN_TESTS_UNIT_SAMPLE_SNAPSHOT_H

#include "report/snapshot.h"

#include <stddef.h>

/*
 * Node n1 as the tests of several reports tell of it: one probe is attached and one is not, and
 * no counter is zero. Uptime, what it says of itself and the other peers are left to the test.
 */
struct snapshot sample_snapshot(const struct snapshot_peer *peers, size_t count);

#endif
