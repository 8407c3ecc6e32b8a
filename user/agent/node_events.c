// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/node_events.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "kubernetes/link.h"
#include "kubernetes/object.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Events of what has no namespace lie in this one. */
#define EVENTS_PATH  "/api/v1/namespaces/default/events"
#define EVENTS_MAX   32
#define AGGREGATE_NS (600 * NS_PER_S)
#define REASON_MAX   80
#define MESSAGE_MAX  512
#define UID_MAX	     64

struct event {
	char name[CONFIG_NAME_MAX + 20]; /* of the object; "": free */
	char node[CONFIG_NAME_MAX], uid[UID_MAX];
	char reason[REASON_MAX], message[MESSAGE_MAX];
	bool warns;
	bool waits;   /* to be written */
	bool created; /* it was, once */
	uint64_t count;
	uint64_t first_ns, last_ns; /* wall clock */
};

struct node_events {
	struct kubernetes_link *link;
	struct kubernetes_call call;
	char reporter[CONFIG_NAME_MAX];
	struct event events[EVENTS_MAX];
	struct event *written; /* by the call */
	uint64_t left_out;
};

/* The same again, or a free place, or the oldest that is written; NULL: all wait. */
static struct event *choose(struct node_events *events, const char *node, const char *reason,
			    uint64_t now_ns)
{
	struct event *best = NULL;

	for (unsigned int i = 0; i < EVENTS_MAX; i++) {
		struct event *event = &events->events[i];

		if (!strcmp(event->node, node) && !strcmp(event->reason, reason) &&
		    now_ns < event->last_ns + AGGREGATE_NS)
			return event;
		if (!event->waits && event != events->written &&
		    (!best || event->last_ns < best->last_ns))
			best = event;
	}
	if (best)
		*best = (struct event){0};
	return best;
}

void node_events_add(struct node_events *events, const json_t *node, bool warns, const char *reason,
		     const char *message)
{
	const json_t *metadata = json_object_get(node, "metadata");
	const char *name = kubernetes_object_name(node);
	uint64_t now_ns = clock_realtime_ns(), random;
	struct event *event = choose(events, name, reason, now_ns);

	if (!event) {
		events->left_out++;
		log_warning("event left out", log_string("node", name),
			    log_string("reason", reason),
			    log_unsigned("left_out", events->left_out));
		return;
	}
	if (!*event->name) {
		randombytes_buf(&random, sizeof(random));
		(void)text_copy(event->node, sizeof(event->node), name);
		snprintf(event->name, sizeof(event->name), "%s.%016" PRIx64, event->node, random);
		snprintf(event->uid, sizeof(event->uid), "%s", kubernetes_text(metadata, "uid"));
		snprintf(event->reason, sizeof(event->reason), "%s", reason);
		event->first_ns = now_ns;
	}
	snprintf(event->message, sizeof(event->message), "%s", message);
	event->warns = warns;
	event->count++;
	event->last_ns = now_ns;
	event->waits = true;
}

static json_t *encode_whole(const struct node_events *events, const struct event *event)
{
	char first[KUBERNETES_TIME_MAX], last[KUBERNETES_TIME_MAX];

	kubernetes_format_time(event->first_ns, first);
	kubernetes_format_time(event->last_ns, last);
	return json_pack("{ss ss s{ss ss} s{ss ss ss ss} ss ss ss s{ss ss} ss ss ss ss sI}",
			 "apiVersion", "v1", "kind", "Event", "metadata", "name", event->name,
			 "namespace", "default", "involvedObject", "apiVersion", "v1", "kind",
			 "Node", "name", event->node, "uid", event->uid, "reason", event->reason,
			 "message", event->message, "type", event->warns ? "Warning" : "Normal",
			 "source", "component", "tocsin", "host", events->reporter,
			 "reportingComponent", "tocsin", "reportingInstance", events->reporter,
			 "firstTimestamp", first, "lastTimestamp", last, "count",
			 (json_int_t)event->count);
}

static json_t *encode_again(const struct event *event)
{
	char last[KUBERNETES_TIME_MAX];

	kubernetes_format_time(event->last_ns, last);
	return json_pack("{sI ss ss}", "count", (json_int_t)event->count, "lastTimestamp", last,
			 "message", event->message);
}

static void on_written(void *context, const struct kubernetes_answer *answer)
{
	struct node_events *events = context;
	struct event *event = events->written;

	events->written = NULL;
	switch (answer->outcome) {
	case KUBERNETES_OK:
	case KUBERNETES_EXISTS:
		event->created = true;
		break;
	case KUBERNETES_NOT_FOUND:
		/* Servers keep them for an hour. */
		event->waits = event->created;
		event->created = false;
		break;
	case KUBERNETES_UNAVAILABLE:
	case KUBERNETES_UNAUTHORIZED:
		event->waits = true;
		break;
	default:
		/* It would not be taken the next time, either. */
		break;
	}
}

void node_events_work(struct node_events *events)
{
	char path[256];
	struct kubernetes_request request = {.method = "POST", .path = path};
	struct event *event = NULL;

	if (events->call.http || !kubernetes_link_ready(events->link))
		return;
	for (unsigned int i = 0; i < EVENTS_MAX; i++)
		if (events->events[i].waits &&
		    (!event || events->events[i].last_ns < event->last_ns))
			event = &events->events[i];
	if (!event)
		return;
	snprintf(path, sizeof(path), EVENTS_PATH "%s%s", event->created ? "/" : "",
		 event->created ? event->name : "");
	if (event->created) {
		request.method = "PATCH";
		request.patch = "merge-patch";
		request.body = encode_again(event);
	} else {
		request.body = encode_whole(events, event);
	}
	event->waits = false;
	events->written = event;
	kubernetes_link_call(events->link, &events->call, &request);
	if (!events->call.http) {
		event->waits = true;
		events->written = NULL;
	}
}

int node_events_open(struct node_events **ret_events, const char *reporter,
		     struct kubernetes_link *link)
{
	struct node_events *events = calloc(1, sizeof(*events));

	*ret_events = events;
	if (!events)
		return -ENOMEM;
	events->link = link;
	events->call.context = events;
	events->call.answered = on_written;
	(void)text_copy(events->reporter, sizeof(events->reporter), reporter);
	return 0;
}

void node_events_close(struct node_events *events)
{
	if (!events)
		return;
	kubernetes_call_cancel(&events->call);
	free(events);
}
