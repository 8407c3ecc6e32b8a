/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_LIVE_MEMORY_RIG_H
#define TOCSIN_TESTS_LIVE_MEMORY_RIG_H

/* A memory group of the test's own, with a limit: where memory runs out and hurts nobody else. */

#define MEMORY_RIG_LIMIT_BYTES (64UL << 20)

struct memory_rig {
	char name[64];	/* of its topmost group, below the root of the tree */
	char path[224]; /* of its directory; "": not up */
};

/* Why no group can be made, or NULL. */
const char *memory_rig_obstacle(void);

/* All of these abort when they cannot do their job: some run in children. */
void memory_rig_up(struct memory_rig *memory);
/* The same, below groups that are made on the way: "kubepods/podUID/ID". */
void memory_rig_up_below(struct memory_rig *memory, const char *below);
/* Moves the calling process into it. */
void memory_rig_enter(const struct memory_rig *memory);
/* Uses so many bytes, for as long as the process lives. */
void memory_rig_fill(unsigned long bytes);
/* Writes a text into a file of a directory. */
void memory_rig_write(const char *directory, const char *name, const char *text);

/* Removes it; its processes must have ended. One that is not up is fine. */
void memory_rig_down(struct memory_rig *memory);

#endif
