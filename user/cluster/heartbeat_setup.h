/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_HEARTBEAT_SETUP_H
#define TOCSIN_CLUSTER_HEARTBEAT_SETUP_H

/* What heartbeats need from the system before the first one: boot id, key, bound socket. */

#include "base/text.h"
#include "cluster/heartbeat_codec.h"
#include "config/config.h"

/* The kernel's id of this boot. Returns 0, or -errno with a line in 'error'. */
int heartbeat_read_boot_id(uint8_t boot_id[static HEARTBEAT_BOOT_BYTES], struct text *error);

/*
 * Reads heartbeat.key_file: a regular file of exactly HEARTBEAT_KEY_BYTES; logs a warning when
 * group or others may read it. With authenticate: false the key is all zeros. Returns 0, or -errno
 * with a line in 'error'.
 */
int heartbeat_read_key(const struct config *config, struct heartbeat_key *key, struct text *error);

/*
 * A bound, non-blocking UDP socket. old_fd is the one that it takes over from, or -1: their
 * addresses may overlap. Returns the descriptor, or -errno with a line in 'error'.
 */
int heartbeat_bind(const struct config_listen *listen, int old_fd, struct text *error);

/* The address means 'all interfaces, both families'. */
bool heartbeat_listens_to_all(const struct config_listen *listen);

#endif
