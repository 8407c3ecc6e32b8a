// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/membership.h"

#include "base/text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static uint64_t hash_of(const void *data, size_t size_bytes, uint64_t key_number)
{
	unsigned char key[crypto_shorthash_KEYBYTES] = {0};
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t hash;

	memcpy(key, &key_number, sizeof(key_number));
	crypto_shorthash(out, data, size_bytes, key);
	memcpy(&hash, out, sizeof(hash));
	return hash;
}

/* A pair that observes each other, the lower member first. */
struct pair {
	uint32_t low, high;
};

static int compare_pairs(const void *a, const void *b)
{
	const struct pair *one = a, *other = b;

	if (one->low != other->low)
		return one->low < other->low ? -1 : 1;
	return (one->high > other->high) - (one->high < other->high);
}

/* A member's place on a ring. */
struct place {
	uint64_t hash;
	uint32_t member;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *one = a, *other = b;

	if (one->hash != other->hash)
		return one->hash < other->hash ? -1 : 1;
	return (one->member > other->member) - (one->member < other->member);
}

/*
 * Rings as in Rapid (ATC'18): on each, in the order of a hash, one's neighbours observe one. Who
 * comes or goes changes only its neighbours' places, and what lies together in one zone does not
 * lie together here. Who is a neighbour already is passed over on later rings, so that nobody ends
 * with only a few.
 */
static uint32_t make_rings(const struct membership *membership, struct place *places,
			   struct pair *pairs)
{
	uint32_t count = membership->count, made = 0;

	for (uint64_t ring = 0; ring < MEMBERSHIP_RINGS; ring++) {
		uint32_t before = made;

		for (uint32_t i = 0; i < count; i++)
			places[i] =
				(struct place){hash_of(membership->members[i].name,
						       strlen(membership->members[i].name), ring),
					       i};
		qsort(places, count, sizeof(*places), compare_places);
		for (uint32_t i = 0; i < count; i++) {
			struct pair pair;

			for (uint32_t step = 1; step <= MEMBERSHIP_RINGS * 2; step++) {
				uint32_t a = places[i].member,
					 b = places[(i + step) % count].member;

				pair = (struct pair){a < b ? a : b, a < b ? b : a};
				if (!bsearch(&pair, pairs, before, sizeof(*pairs), compare_pairs))
					break;
			}
			pairs[made++] = pair;
		}
		qsort(pairs, made, sizeof(*pairs), compare_pairs);
	}
	return made;
}

static uint32_t make_mesh(const struct membership *membership, struct pair *pairs)
{
	uint32_t made = 0;

	for (uint32_t i = 0; i < membership->count; i++)
		for (uint32_t j = i + 1; j < membership->count; j++)
			pairs[made++] = (struct pair){i, j};
	return made;
}

/* Pairs, sorted and perhaps double, become lists by member. */
static int index_pairs(struct membership *membership, struct pair *pairs, uint32_t pair_count)
{
	uint32_t count = membership->count, unique = 0;
	uint32_t *fill = calloc(count + 1, sizeof(*fill));

	if (!fill)
		return -ENOMEM;
	for (uint32_t i = 0; i < pair_count; i++)
		if (!i || compare_pairs(&pairs[i], &pairs[unique - 1]))
			pairs[unique++] = pairs[i];
	membership->start = calloc(count + 1, sizeof(*membership->start));
	membership->observers = calloc(unique ? unique * 2 : 1, sizeof(*membership->observers));
	if (!membership->start || !membership->observers) {
		free(fill);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < unique; i++) {
		membership->start[pairs[i].low + 1]++;
		membership->start[pairs[i].high + 1]++;
	}
	for (uint32_t i = 0; i < count; i++) {
		membership->start[i + 1] += membership->start[i];
		fill[i] = membership->start[i];
	}
	/* A member's lower partners come before its higher ones, each in rising order: two passes
	 * over the sorted pairs leave every list sorted. */
	for (uint32_t i = 0; i < unique; i++)
		membership->observers[fill[pairs[i].high]++] = pairs[i].low;
	for (uint32_t i = 0; i < unique; i++)
		membership->observers[fill[pairs[i].low]++] = pairs[i].high;
	free(fill);
	return 0;
}

static int compare_zones(const void *a, const void *b)
{
	const struct member *const *one = a, *const *other = b;

	return strcmp((*one)->zone, (*other)->zone) ?: strcmp((*one)->name, (*other)->name);
}

static int index_zones(struct membership *membership)
{
	struct member **order = calloc(membership->count + 1, sizeof(*order));
	uint32_t first = 0;

	if (!order)
		return -ENOMEM;
	for (uint32_t i = 0; i < membership->count; i++)
		order[i] = &membership->members[i];
	qsort(order, membership->count, sizeof(*order), compare_zones);
	for (uint32_t end = 1; end <= membership->count; end++) {
		if (end < membership->count && *order[end]->zone &&
		    !strcmp(order[end]->zone, order[first]->zone))
			continue;
		for (uint32_t i = first; i < end; i++) {
			order[i]->zone_lowest = (uint32_t)(order[first] - membership->members);
			order[i]->zone_size = end - first;
		}
		first = end;
	}
	free(order);
	return 0;
}

int membership_init(struct membership *membership, const struct config_node *nodes,
		    unsigned int count)
{
	bool mesh = count <= MEMBERSHIP_MESH_MAX;
	size_t pairs_max = mesh ? (size_t)count * count : (size_t)count * MEMBERSHIP_RINGS;
	struct pair *pairs = calloc(pairs_max + 1, sizeof(*pairs));
	struct place *places = calloc(count + 1, sizeof(*places));
	uint32_t made;
	int error = -ENOMEM;

	*membership = (struct membership){.count = count};
	membership->members = calloc(count + 1, sizeof(*membership->members));
	if (!pairs || !places || !membership->members)
		goto out;
	for (unsigned int i = 0; i < count; i++) {
		memcpy(membership->members[i].name, nodes[i].name, sizeof(nodes[i].name));
		memcpy(membership->members[i].zone, nodes[i].zone, sizeof(nodes[i].zone));
	}
	qsort(membership->members, count, sizeof(*membership->members), compare_members);
	for (unsigned int i = 0; i < count; i++) {
		/* What lies behind the end of a string is not the same everywhere. */
		struct member member = {0};

		(void)text_copy(member.name, sizeof(member.name), membership->members[i].name);
		(void)text_copy(member.zone, sizeof(member.zone), membership->members[i].zone);
		membership->hash = hash_of(&member, sizeof(member), membership->hash + 1);
	}
	made = mesh ? make_mesh(membership, pairs) : make_rings(membership, places, pairs);
	error = index_pairs(membership, pairs, made) ?: index_zones(membership);
out:
	free(pairs);
	free(places);
	return error;
}

int64_t membership_find(const struct membership *membership, const char *name)
{
	uint32_t low = 0, high = membership->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, membership->members[middle].name);

		if (!order)
			return middle;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

int64_t membership_slot(const struct membership *membership, uint32_t subject, uint32_t observer)
{
	uint32_t low = membership->start[subject], high = membership->start[subject + 1];

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (membership->observers[middle] == observer)
			return middle;
		if (membership->observers[middle] > observer)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

uint32_t *membership_places(const struct membership *from, const struct membership *to)
{
	uint32_t *places = calloc(from->count + 1, sizeof(*places));

	for (uint32_t i = 0; places && i < from->count; i++) {
		int64_t place = membership_find(to, from->members[i].name);

		places[i] = place < 0 ? MEMBERSHIP_NONE : (uint32_t)place;
	}
	return places;
}

void membership_free(struct membership *membership)
{
	free(membership->members);
	free(membership->start);
	free(membership->observers);
	*membership = (struct membership){0};
}
