// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/condition.h"

#include "base/clock.h"
#include "kubernetes/object.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	const char *name;
	const char *reason, *message; /* while it does not hold */
} kinds[CONDITION_KINDS] = {
	[CONDITION_NETWORK_PARTITIONED] = {"NetworkPartitioned", "NodeIsReached",
					   "no cut of the network concerns this node"},
	[CONDITION_NETWORK_DEGRADED] = {"NetworkDegraded", "LinksAreClean",
					"no link of this node loses packets"},
	[CONDITION_DISK_STALLED] = {"DiskStalled", "DisksAnswer", "no disk holds its I/O back"},
	[CONDITION_DISK_SLOW] = {"DiskSlow", "DisksAreAsUsual", "no disk is slower than usual"},
	[CONDITION_OVERLOADED] = {"NodeOverloaded", "NodeKeepsUp",
				  "the node keeps up with its work"},
};

const char *condition_name(enum condition_kind kind)
{
	return kinds[kind].name;
}

const char *condition_good_message(enum condition_kind kind)
{
	return kinds[kind].message;
}

static const json_t *find(const json_t *node, enum condition_kind kind)
{
	const json_t *status = json_object_get(node, "status");
	const json_t *list = json_object_get(status, "conditions"), *condition;
	size_t at;

	json_array_foreach(list, at, condition)
	{
		if (!strcmp(kubernetes_text(condition, "type"), kinds[kind].name))
			return condition;
	}
	return NULL;
}

bool condition_is_shown(const json_t *node, enum condition_kind kind)
{
	return find(node, kind) != NULL;
}

void condition_reason(const char *name, char reason[static 64])
{
	bool begins = true;
	size_t length = 0;

	for (; *name && length < 63; name++) {
		if (isalnum((unsigned char)*name))
			reason[length++] = (char)(begins ? toupper((unsigned char)*name) : *name);
		begins = !isalnum((unsigned char)*name);
	}
	reason[length] = '\0';
}

/* When it was written last; 0 when that cannot be told. */
static uint64_t written_ns(const json_t *condition)
{
	struct tm utc = {0};
	const char *end = strptime(kubernetes_text(condition, "lastHeartbeatTime"),
				   "%Y-%m-%dT%H:%M:%SZ", &utc);
	time_t seconds = end && !*end ? timegm(&utc) : 0;

	return seconds > 0 ? (uint64_t)seconds * NS_PER_S : 0;
}

static bool is_due(const json_t *condition, uint64_t realtime_ns)
{
	uint64_t ns = written_ns(condition);

	return realtime_ns > ns + CONDITION_HEARTBEAT_NS ||
	       ns > realtime_ns + CONDITION_HEARTBEAT_NS;
}

int condition_plan(const json_t *node, const struct condition_wish wishes[CONDITION_KINDS],
		   uint64_t realtime_ns, json_t **ret_patch, unsigned int *ret_changed)
{
	json_t *list = json_array();
	char now[KUBERNETES_TIME_MAX];
	bool needed = false;
	int err = 0;

	*ret_patch = NULL;
	*ret_changed = 0;
	kubernetes_format_time(realtime_ns, now);
	for (unsigned int kind = CONDITION_NONE + 1; kind < CONDITION_KINDS; kind++) {
		const struct condition_wish *wish = &wishes[kind];
		const json_t *condition = find(node, kind);
		const char *status = wish->holds ? "True" : "False";
		const char *reason = wish->holds ? wish->reason : kinds[kind].reason;
		const char *message = wish->holds ? wish->message : kinds[kind].message;
		const char *since = kubernetes_text(condition, "lastTransitionTime");
		bool turns = strcmp(kubernetes_text(condition, "status"), status) != 0;

		if (!wish->mine)
			continue;
		needed |= turns || strcmp(kubernetes_text(condition, "reason"), reason) != 0 ||
			  is_due(condition, realtime_ns);
		if (turns && (condition || wish->holds))
			*ret_changed |= 1U << kind;
		err |= json_array_append_new(
			list,
			json_pack("{ss ss ss ss ss ss}", "type", kinds[kind].name, "status", status,
				  "reason", reason, "message", message, "lastHeartbeatTime", now,
				  "lastTransitionTime", turns || !*since ? now : since));
	}
	if (needed && !err)
		*ret_patch = json_pack("{s{sO}}", "status", "conditions", list);
	err |= needed && !*ret_patch;
	json_decref(list);
	return err ? -ENOMEM : 0;
}
