/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_MEMBERSHIP_H
#define TOCSIN_CLUSTER_MEMBERSHIP_H

/*
 * Who belongs to the cluster, and who observes whom: the same on every node that has the same
 * configuration, whatever order it names the nodes in.
 */

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

/* Up to so many nodes each observes each; above, about ten others. */
#define MEMBERSHIP_MESH_MAX 50
#define MEMBERSHIP_RINGS    5
/* The most observers that a member can have: on each ring a neighbour, and some that passed others
 * over (MEMBERSHIP_RINGS * (1 + 2 * MEMBERSHIP_RINGS) at most). */
#define MEMBERSHIP_SLOTS_MAX 64

/* The place of one who is no member. */
#define MEMBERSHIP_NONE UINT32_MAX

struct member {
	char name[CONFIG_NAME_MAX];
	char zone[CONFIG_NAME_MAX]; /* "" when it has none */
	uint32_t zone_lowest;	    /* the first member of its zone; itself when it has none */
	uint32_t zone_size;	    /* members of its zone, of each of them; 1 when it has none */
};

/* Members are known by their place in the order of names. */
struct membership {
	struct member *members;
	uint32_t count;
	/* The observers of member i, who also are those that it observes: observers[start[i]] up to
	 * observers[start[i + 1]], in rising order. Such a place is a 'slot' of member i. */
	uint32_t *start; /* count + 1 */
	uint32_t *observers;
	uint64_t hash; /* of names, zones and their order */
};

/*
 * Takes the nodes of a configuration; nothing of it is kept. Returns 0 or -ENOMEM; in either case
 * membership_free() is right.
 */
int membership_init(struct membership *membership, const struct config_node *nodes,
		    unsigned int count);

/* The member of this name, or -1. */
int64_t membership_find(const struct membership *membership, const char *name);

/* The place in membership->observers where 'observer' stands as an observer of 'subject', or -1. */
int64_t membership_slot(const struct membership *membership, uint32_t subject, uint32_t observer);

/*
 * Where the members of one membership stand in another, MEMBERSHIP_NONE where they do not: by the
 * place in the first, rising. To be freed; NULL: no memory.
 */
uint32_t *membership_places(const struct membership *from, const struct membership *to);

/* N/2+1. */
static inline uint32_t membership_quorum(const struct membership *membership)
{
	return membership->count / 2 + 1;
}

void membership_free(struct membership *membership);

#endif
