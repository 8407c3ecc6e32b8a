/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_NETNS_POD_H
#define TOCSIN_TRACE_NETNS_POD_H

/*
 * Whose a network namespace is: for packets that no socket owns, such as one that is dropped or
 * reset because nobody listens.
 */

#include "base/cgroup_name.h"

#include <stdint.h>

/*
 * The uid of the pod that has a network namespace, by the control groups of the processes in it: ""
 * unless all are of the same pod. In the host's own there may be pods, too, and always others.
 * Looks through all processes.
 */
void netns_pod_find(uint32_t netns_inode, char uid[static CGROUP_POD_BYTES]);

#endif
