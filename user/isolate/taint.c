// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/taint.h"

#include "kubernetes/node.h"
#include "kubernetes/object.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ANNOTATION_MAX 64

/* In the order of the bits; the first two are effects of taints. */
static const char *const part_names[] = {"NoSchedule", "NoExecute", "cordon"};
#define PARTS	(sizeof(part_names) / sizeof(*part_names))
#define EFFECTS 2

/* "tocsin.dev/isolated-added": "NoSchedule,cordon". */
static const char *annotation_of(const char *key, char name[static ANNOTATION_MAX])
{
	snprintf(name, ANNOTATION_MAX, "%s-added", key);
	return name;
}

unsigned int taint_added(const json_t *node, const char *key)
{
	const json_t *metadata = json_object_get(node, "metadata");
	char name[ANNOTATION_MAX];
	const char *list =
		kubernetes_text(json_object_get(metadata, "annotations"), annotation_of(key, name));
	unsigned int parts = 0;

	while (*list) {
		size_t length = strcspn(list, ",");

		for (unsigned int i = 0; i < PARTS; i++)
			if (strlen(part_names[i]) == length &&
			    !strncmp(list, part_names[i], length))
				parts |= 1U << i;
		list += length + (list[length] == ',');
	}
	return parts;
}

static bool is_taint(const json_t *taint, const char *key, const char *effect)
{
	return !strcmp(kubernetes_text(taint, "key"), key) &&
	       !strcmp(kubernetes_text(taint, "effect"), effect);
}

/* What of it there is, whoever added it. */
static unsigned int present(const json_t *node, const char *key)
{
	const json_t *spec = json_object_get(node, "spec");
	const json_t *taints = json_object_get(spec, "taints"), *taint;
	unsigned int parts =
		json_is_true(json_object_get(spec, "unschedulable")) ? TAINT_CORDON : 0;
	size_t at;

	json_array_foreach(taints, at, taint)
	{
		for (unsigned int i = 0; i < EFFECTS; i++)
			if (is_taint(taint, key, part_names[i]))
				parts |= 1U << i;
	}
	return parts;
}

/* The list without those to be removed, and with those to be added. */
static json_t *change_taints(const json_t *node, const struct taint_wish *wish, unsigned int add,
			     unsigned int remove)
{
	const json_t *taints = json_object_get(json_object_get(node, "spec"), "taints"), *taint;
	json_t *changed = json_array();
	int err = 0;
	size_t at;

	json_array_foreach(taints, at, taint)
	{
		bool stays = true;

		for (unsigned int i = 0; i < EFFECTS; i++)
			if (remove & 1U << i && is_taint(taint, wish->key, part_names[i]))
				stays = false;
		if (stays)
			err |= json_array_append_new(changed, json_copy((json_t *)taint));
	}
	for (unsigned int i = 0; i < EFFECTS; i++)
		if (add & 1U << i)
			err |= json_array_append_new(
				changed, json_pack("{ss ss ss}", "key", wish->key, "value",
						   wish->value, "effect", part_names[i]));
	if (!err)
		return changed;
	json_decref(changed);
	return NULL;
}

static json_t *remember(unsigned int parts)
{
	char list[64] = "";
	struct text text = TEXT(list);

	for (unsigned int i = 0; i < PARTS; i++)
		if (parts & 1U << i)
			text_printf(&text, "%s%s", text.length ? "," : "", part_names[i]);
	/* In a merge patch: is removed. */
	return parts ? json_string(list) : json_null();
}

int taint_plan(const json_t *node, const struct taint_wish *wish, json_t **ret_patch)
{
	unsigned int there = present(node, wish->key), added = taint_added(node, wish->key);
	unsigned int add = wish->parts & ~there;
	unsigned int remove = added & there & ~wish->parts;
	/* What somebody has taken away meanwhile is not ours to remove any more. */
	unsigned int remembered = (added & there & wish->parts) | add;
	const json_t *metadata = json_object_get(node, "metadata");
	char name[ANNOTATION_MAX];
	json_t *patch, *spec;
	int err = 0;

	*ret_patch = NULL;
	if (!add && !remove && remembered == added)
		return 0;
	if (kubernetes_is_paused(node))
		return -EPERM;
	spec = json_object();
	if ((add | remove) & (TAINT_NO_SCHEDULE | TAINT_NO_EXECUTE))
		err |= json_object_set_new(spec, "taints", change_taints(node, wish, add, remove));
	if (add & TAINT_CORDON)
		err |= json_object_set_new(spec, "unschedulable", json_true());
	if (remove & TAINT_CORDON)
		err |= json_object_set_new(spec, "unschedulable", json_null());
	patch = json_pack("{s{ss s{so}} so}", "metadata", "resourceVersion",
			  kubernetes_text(metadata, "resourceVersion"), "annotations",
			  annotation_of(wish->key, name), remember(remembered), "spec", spec);
	if (patch && !err) {
		*ret_patch = patch;
		return 0;
	}
	json_decref(patch);
	return -ENOMEM;
}
