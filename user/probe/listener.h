/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_LISTENER_H
#define TOCSIN_PROBE_LISTENER_H

/* The listener probe: what waits in the queues of TCP listeners. It costs nothing but a look. */

#include "base/text.h"
#include "probe/program_status.h"

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/listener.h"

struct listener_probe;

/*
 * 'netns_inode': only listeners of that network namespace; 0: of all. Goes through all open files
 * of the machine once. Returns 0, also when programs are missing, or a negative errno with one line
 * in 'error'.
 */
int listener_probe_open(struct listener_probe **ret_probe, uint32_t netns_inode,
			struct text *error);

/* Detaches and frees; NULL is fine. */
void listener_probe_close(struct listener_probe *probe);

const struct program_status *listener_probe_programs(const struct listener_probe *probe,
						     size_t *ret_count);

/* Detaches the programs, with a reason, and attaches them again: what they have counted stays, and
 * what happens between is not seen. Returns 0 or a negative errno; then some are not attached. */
void listener_probe_shed(struct listener_probe *probe, const char *reason);
int listener_probe_restore(struct listener_probe *probe);

/* Listeners that are not looked at because there are too many. Only grows. */
uint64_t listener_probe_lost(const struct listener_probe *probe);

/* Hands on each listener that has connections waiting or has ever dropped any, as of now. Returns 0
 * or a negative errno. */
int listener_probe_read(const struct listener_probe *probe,
			void (*found)(void *context, const struct listener_record *record),
			void *context);

#endif
