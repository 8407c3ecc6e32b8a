/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_FILESYSTEM_H
#define TOCSIN_PROBE_FILESYSTEM_H

/*
 * What the mounted file systems say of themselves, asked by a helper: a process of its own, because
 * one that hangs holds whoever asks it. Nothing here waits for the helper.
 */

#include "base/text.h"
#include "probe/filesystem_mount.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FILESYSTEMS_MAX	    256 /* that are asked in one look; the rest is counted */
#define FILESYSTEM_SKIP_MAX 64
#define FILESYSTEM_NAME_MAX                                                   \
	256 /* bytes of a path that are told; a longer one's beginning is cut \
	     */

/* Begins a look. */
struct filesystem_request {
	uint32_t skip_count;
	uint64_t skip[FILESYSTEM_SKIP_MAX]; /* devices that are not to be asked */
};

enum filesystem_event_kind {
	FILESYSTEM_ASKED,    /* is now; what follows is its answer, or it hangs */
	FILESYSTEM_ANSWERED, /* with 'error', or else the numbers */
	FILESYSTEM_HIDDEN,   /* another mount lies over it: nothing is known of it */
	FILESYSTEM_SKIPPED,
	FILESYSTEM_END, /* of the look */
};

/* Of one file system, however often it is mounted: the first mount that is no hidden one. */
struct filesystem_event {
	uint32_t kind;
	int32_t error;	   /* positive errno; of FILESYSTEM_END: the mounts could not be read */
	uint32_t left_out; /* of FILESYSTEM_END: mounts that found no room */
	bool read_only, remounts_on_error, shut;
	uint64_t device;
	uint64_t used_bytes, free_bytes, used_inodes, free_inodes; /* as filesystem_judge() wants */
	char type[FILESYSTEM_TYPE_BYTES];
	char path[FILESYSTEM_NAME_MAX];
};

/*
 * Whose mounts are looked at: those of process 1, which are the node's. A unit that is hardened, or
 * a container that sees the node's processes, has a mount namespace of its own, with mounts that
 * are read-only or hide others. Where process 1 may not be looked into (CAP_SYS_PTRACE) it is the
 * agent's own.
 */
struct filesystem_view {
	const char *mounts; /* the path of their list */
	const char *root;   /* stands before each path in it */
};

struct filesystem_view filesystem_node_view(void);

struct filesystem_helper {
	pid_t pid; /* 0: there is none */
	int requests, events;
};

/* Returns 0 or a negative errno. */
int filesystem_helper_start(struct filesystem_helper *helper);

/* Returns 0 or a negative errno: the helper has ended. */
int filesystem_helper_ask(struct filesystem_helper *helper,
			  const struct filesystem_request *request);

/* Returns 1, 0 when there is none yet, or a negative errno: the helper has ended. */
int filesystem_helper_read(struct filesystem_helper *helper, struct filesystem_event *ret_event);

/* Kills it, without waiting. Returns its number, which is to be given to waitpid() until that has
 * it: one that hangs in the kernel may not end for long. 0 when there was none. */
pid_t filesystem_helper_kill(struct filesystem_helper *helper);

#endif
