// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/pods.h"

#include "base/cgroup.h"
#include "base/log.h"
#include "config/config.h"
#include "kubernetes/pod.h"
#include "kubernetes/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SELECTOR "fieldSelector=spec.nodeName%3D"

struct known_pod {
	bool seen;		   /* in the list that is under way */
	bool gone;		   /* deleted: it keeps its name while there is room */
	uint64_t told;		   /* when it was told last; grows */
	struct kubernetes_pod pod; /* as long as it has containers */
};

struct pods {
	struct kubernetes_watch watch;
	char selector[sizeof(SELECTOR) + CONFIG_NAME_MAX];
	struct known_pod *known[PODS_MAX]; /* in the order of uids */
	unsigned int count, gone;
	uint64_t told, ignored;
	void (*on_told)(void *context);
	void *context;
};

/* ---- the table ---- */

static int compare(const void *uid, const void *entry)
{
	const struct known_pod *const *known = entry;

	return strcmp(uid, (*known)->pod.uid);
}

static struct known_pod **find_place(const struct pods *pods, const char *uid)
{
	return pods->count
		       ? bsearch(uid, pods->known, pods->count, sizeof(struct known_pod *), compare)
		       : NULL;
}

static void mark_gone(struct pods *pods, struct known_pod *known)
{
	pods->gone += !known->gone;
	known->gone = true;
}

static void remove_place(struct pods *pods, struct known_pod **place)
{
	size_t behind = (size_t)(pods->known + pods->count - (place + 1));

	pods->gone -= (*place)->gone;
	free(*place);
	memmove(place, place + 1, behind * sizeof(struct known_pod *));
	pods->count--;
}

/* Gives up the pod that has been gone for longest. Returns whether there was one. */
static bool make_room(struct pods *pods)
{
	struct known_pod **oldest = NULL;

	for (unsigned int i = 0; i < pods->count; i++)
		if (pods->known[i]->gone && (!oldest || pods->known[i]->told < (*oldest)->told))
			oldest = &pods->known[i];
	if (oldest)
		remove_place(pods, oldest);
	return oldest;
}

static void insert(struct pods *pods, struct known_pod *known)
{
	unsigned int place = 0;

	while (place < pods->count && strcmp(pods->known[place]->pod.uid, known->pod.uid) < 0)
		place++;
	memmove(&pods->known[place + 1], &pods->known[place],
		(pods->count - place) * sizeof(struct known_pod *));
	pods->known[place] = known;
	pods->count++;
}

static void put(struct pods *pods, const struct kubernetes_pod *pod)
{
	size_t size = offsetof(struct known_pod, pod.containers) +
		      pod->container_count * sizeof(*pod->containers);
	struct known_pod **place = find_place(pods, pod->uid);
	struct known_pod *known;

	if (place)
		remove_place(pods, place);
	known = pods->count < PODS_MAX || make_room(pods) ? malloc(size) : NULL;
	if (!known) {
		if (!pods->ignored++)
			log_warning("not all pods are known by name", log_string("pod", pod->name),
				    log_unsigned("most", PODS_MAX));
		return;
	}
	known->seen = true;
	known->gone = false;
	known->told = ++pods->told;
	memcpy(&known->pod, pod, size - offsetof(struct known_pod, pod));
	insert(pods, known);
}

/* ---- what the API tells ---- */

static void on_begin(void *context)
{
	struct pods *pods = context;

	for (unsigned int i = 0; i < pods->count; i++)
		pods->known[i]->seen = false;
}

static void on_object(void *context, const json_t *object, bool deleted)
{
	struct pods *pods = context;
	struct known_pod **place;
	struct kubernetes_pod pod;

	if (kubernetes_pod_decode(object, &pod))
		return;
	if (!deleted) {
		put(pods, &pod);
		pods->on_told(pods->context);
		return;
	}
	place = find_place(pods, pod.uid);
	if (place)
		mark_gone(pods, *place);
}

static void on_synced(void *context)
{
	struct pods *pods = context;

	for (unsigned int i = 0; i < pods->count; i++)
		if (!pods->known[i]->seen)
			mark_gone(pods, pods->known[i]);
}

/* ---- what is asked ---- */

void pods_find(const struct pods *pods, const struct cgroup_name *group, struct pod_name *ret_name)
{
	struct known_pod **place = pods && *group->pod ? find_place(pods, group->pod) : NULL;
	const struct kubernetes_pod *pod;

	*ret_name = (struct pod_name){0};
	if (!place)
		return;
	pod = &(*place)->pod;
	memcpy(ret_name->namespace, pod->namespace, sizeof(ret_name->namespace));
	memcpy(ret_name->pod, pod->name, sizeof(ret_name->pod));
	for (unsigned int i = 0; i < pod->container_count; i++)
		if (!strcmp(pod->containers[i].id, group->container))
			memcpy(ret_name->container, pod->containers[i].name,
			       sizeof(ret_name->container));
}

struct cgroup_owner pods_owner(const struct pods *pods, const char *path)
{
	struct cgroup_owner owner;

	cgroup_name_parse(path, &owner.group);
	pods_find(pods, &owner.group, &owner.pod);
	return owner;
}

struct cgroup_owner pods_owner_of_process(const struct pods *pods, uint32_t pid)
{
	struct cgroup_owner owner;

	/* One that is gone is nobody's. */
	(void)cgroup_name_of_process(pid, &owner.group);
	pods_find(pods, &owner.group, &owner.pod);
	return owner;
}

struct snapshot_pods pods_snapshot(const struct pods *pods)
{
	const struct kubernetes_watch *watch = &pods->watch;
	const char *reason = *watch->reason ? watch->reason : kubernetes_link_reason(watch->link);

	if (!*reason && !watch->synced)
		reason = "the API has not listed them yet";
	else if (!*reason && pods->ignored)
		reason = "there are too many pods";
	return (struct snapshot_pods){.count = pods->count - pods->gone, .reason = reason};
}

/* ---- opening and closing ---- */

void pods_work(struct pods *pods, uint64_t now_ns)
{
	kubernetes_watch_work(&pods->watch, now_ns);
}

uint64_t pods_due_ns(const struct pods *pods)
{
	return kubernetes_watch_due_ns(&pods->watch);
}

int pods_open(struct pods **ret_pods, struct kubernetes_link *link, const char *node,
	      void (*on_told)(void *context), void *context)
{
	struct pods *pods = calloc(1, sizeof(*pods));
	const struct kubernetes_watch_handlers handlers = {pods, on_begin, on_object, on_synced};

	*ret_pods = pods;
	if (!pods)
		return -ENOMEM;
	snprintf(pods->selector, sizeof(pods->selector), "%s%s", SELECTOR, node);
	kubernetes_watch_open(&pods->watch, link, KUBERNETES_PODS_PATH, pods->selector, &handlers);
	pods->watch.cached = true;
	pods->on_told = on_told;
	pods->context = context;
	return 0;
}

void pods_close(struct pods *pods)
{
	if (!pods)
		return;
	kubernetes_watch_close(&pods->watch);
	for (unsigned int i = 0; i < pods->count; i++)
		free(pods->known[i]);
	free(pods);
}
