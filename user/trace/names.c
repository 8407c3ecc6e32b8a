// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/names.h"

#include "base/block_device.h"
#include "base/clock.h"
#include "trace/netns_pod.h"
#include "trace/pod_logs.h"
#include "trace/symbols.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_SIZE     256
#define NAME_MAX_BYTES 512
/* Whose a cgroup is, when that was not known. */
#define LOOK_AGAIN_NS NS_PER_S

/* Direct-mapped: what was looked up last under a hash. A device number that is given to another
 * device meanwhile is found out after as many others. */
struct entry {
	uint64_t id;
	bool used;
	char name[NAME_MAX_BYTES];
};

struct owner_entry {
	uint64_t id;
	uint64_t looked_ns; /* when it was looked up, CLOCK_MONOTONIC; 0: never */
	struct cgroup_owner owner;
};

struct names {
	struct symbols *symbols;
	int tree; /* of cgroups; negative when there is none */
	struct entry cgroups[CACHE_SIZE], devices[CACHE_SIZE];
	struct owner_entry owners[CACHE_SIZE], namespaces[CACHE_SIZE];
};

struct names *names_open(void)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->symbols = symbols_open();
	if (!names->symbols) {
		free(names);
		return NULL;
	}
	names->tree = cgroup_open_tree();
	return names;
}

void names_close(struct names *names)
{
	if (!names)
		return;
	if (names->tree >= 0)
		close(names->tree);
	symbols_close(names->symbols);
	free(names);
}

static void find_cgroup(const struct names *names, struct entry *entry)
{
	char path[CGROUP_PATH_MAX];

	if (names->tree >= 0 && !cgroup_path(names->tree, entry->id, path, sizeof(path)))
		snprintf(entry->name, sizeof(entry->name), "%.*s", NAME_MAX_BYTES - 1, path);
	else
		snprintf(entry->name, sizeof(entry->name), "id:%" PRIu64, entry->id);
}

static void find_device(const struct names *names, struct entry *entry)
{
	uint32_t device = (uint32_t)entry->id;

	(void)names;
	if (block_device_name(device, entry->name, sizeof(entry->name)))
		block_device_number(device, entry->name, sizeof(entry->name));
}

static const char *look_up(struct names *names, struct entry cache[static CACHE_SIZE], uint64_t id,
			   void (*find)(const struct names *names, struct entry *entry))
{
	struct entry *entry = &cache[id % CACHE_SIZE];

	if (!entry->used || entry->id != id) {
		entry->used = true;
		entry->id = id;
		find(names, entry);
	}
	return entry->name;
}

const char *names_cgroup(struct names *names, uint64_t id)
{
	return look_up(names, names->cgroups, id, find_cgroup);
}

/* Its kubelet makes a container's link only when that has been started. */
static bool may_be_named_later(const struct cgroup_owner *owner)
{
	return *owner->group.pod &&
	       (!*owner->pod.pod || (*owner->group.container && !*owner->pod.container));
}

/* Whether an entry must be filled; it then counts as looked up for this id. */
static bool must_look(struct owner_entry *entry, uint64_t id, bool complete)
{
	uint64_t now_ns;

	if (entry->looked_ns && entry->id == id && complete)
		return false;
	now_ns = clock_monotonic_ns();
	if (entry->looked_ns && entry->id == id && now_ns < entry->looked_ns + LOOK_AGAIN_NS)
		return false;
	entry->id = id;
	entry->looked_ns = now_ns;
	return true;
}

const struct cgroup_owner *names_cgroup_owner(struct names *names, uint64_t id)
{
	struct owner_entry *entry = &names->owners[id % CACHE_SIZE];
	struct cgroup_owner *owner = &entry->owner;

	if (must_look(entry, id, !may_be_named_later(owner))) {
		cgroup_name_parse(names_cgroup(names, id), &owner->group);
		pod_logs_find(&owner->group, &owner->pod);
	}
	return owner;
}

const struct cgroup_owner *names_netns_owner(struct names *names, uint32_t inode)
{
	struct owner_entry *entry = &names->namespaces[inode % CACHE_SIZE];
	struct cgroup_owner *owner = &entry->owner;

	/* A pod's first process may come later than its namespace. */
	if (must_look(entry, inode, *owner->pod.pod)) {
		memset(owner, 0, sizeof(*owner));
		netns_pod_find(inode, owner->group.pod);
		pod_logs_find(&owner->group, &owner->pod);
	}
	return owner;
}

bool names_pod_shown(const struct cgroup_owner *owner, char *text, size_t size)
{
	struct text shown = {.data = text, .size = size};

	if (!*owner->pod.pod)
		return false;
	text_printf(&shown, "pod:%s/%s%s", owner->pod.namespace, owner->pod.pod,
		    *cgroup_owner_container(owner) ? " " : "");
	cgroup_owner_print_container(owner, &shown);
	return true;
}

const char *names_device(struct names *names, uint32_t device)
{
	return look_up(names, names->devices, device, find_device);
}

void names_place(struct names *names, uint64_t address, char *name, size_t size)
{
	symbols_name(names->symbols, address, name, size);
}
