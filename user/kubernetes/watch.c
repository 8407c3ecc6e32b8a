// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/watch.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_OBJECTS 500
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 10000
/* How long what was written may take to be told. Servers send it within milliseconds; one that has
 * to find its watch cache again, within a second or two. */
#define EXPECT_NS (3 * NS_PER_S)
/* Watches do not all end at the same time. */
#define WATCH_S_MIN 240
#define WATCH_S_MAX 300
/* One that ends sooner was not what it should be. */
#define WATCH_NS_MIN NS_PER_S

/* Goes on from this object's revision. Returns whether it has one. */
static bool take_revision(struct kubernetes_watch *watch, const json_t *object)
{
	const char *text = kubernetes_text(json_object_get(object, "metadata"), "resourceVersion");
	uint64_t revision = kubernetes_object_revision(object);

	if (!*text || text_copy(watch->revision, sizeof(watch->revision), text))
		return false;
	if (revision > watch->newest)
		watch->newest = revision;
	if (watch->newest >= watch->expected)
		watch->expected = 0;
	return true;
}

/* Waits before the next call of its own, longer with each failure: a server that never likes what
 * it has just said must not be asked on end. */
static void back_off(struct kubernetes_watch *watch, const char *reason)
{
	uint64_t pause_ms = PAUSE_MIN_MS << (watch->failures < 10 ? watch->failures : 10);
	struct text text = TEXT(watch->reason);

	watch->failures++;
	watch->proven = false;
	if (pause_ms > PAUSE_MAX_MS)
		pause_ms = PAUSE_MAX_MS;
	pause_ms = pause_ms / 2 + randombytes_uniform((uint32_t)pause_ms);
	watch->retry_ns = clock_monotonic_ns() + pause_ms * NS_PER_MS;
	if (!*watch->reason || strcmp(watch->reason, reason) != 0)
		log_warning("Kubernetes watch", log_string("path", watch->path),
			    log_string("reason", reason));
	text_printf(&text, "%s", reason);
}

static void list_again(struct kubernetes_watch *watch, const char *reason)
{
	back_off(watch, reason);
	watch->listing = false;
	watch->revision[0] = '\0';
	watch->next_page[0] = '\0';
	watch->expected = 0;
	watch->newest = 0;
}

static void all_is_well(struct kubernetes_watch *watch)
{
	watch->proven = true;
	watch->failures = 0;
	watch->retry_ns = 0;
	watch->reason[0] = '\0';
}

/* ---- the list ---- */

static bool is_query_safe(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789-_.~=")] == '\0';
}

static void on_listed(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_watch *watch = context;
	const json_t *items = json_object_get(answer->root, "items");
	const char *next = kubernetes_text(json_object_get(answer->root, "metadata"), "continue");
	const json_t *item;
	size_t i;

	if (answer->outcome) {
		/* When nobody answered, the same page is asked for again. */
		if (answer->outcome != KUBERNETES_UNAVAILABLE &&
		    answer->outcome != KUBERNETES_UNAUTHORIZED)
			list_again(watch, answer->message);
		return;
	}
	if (!take_revision(watch, answer->root) || !is_query_safe(next) ||
	    text_copy(watch->next_page, sizeof(watch->next_page), next)) {
		list_again(watch, "what the API server lists is no list");
		return;
	}
	if (!watch->listing)
		watch->handlers.begin(watch->handlers.context);
	watch->listing = true;
	json_array_foreach(items, i, item)
	{
		if (watch->closed)
			return;
		watch->handlers.object(watch->handlers.context, item, false);
	}
	if (*watch->next_page || watch->closed)
		return;
	watch->listing = false;
	watch->synced = true;
	all_is_well(watch);
	watch->handlers.synced(watch->handlers.context);
}

static void list(struct kubernetes_watch *watch)
{
	char path[KUBERNETES_PATH_MAX];
	const struct kubernetes_request request = {.method = "GET", .path = path};

	watch->synced = false;
	watch->call.line = NULL;
	watch->call.answered = on_listed;
	snprintf(path, sizeof(path), "%s?limit=%d%s%s%s%s%s", watch->path, PAGE_OBJECTS,
		 *watch->selector ? "&" : "", watch->selector,
		 watch->cached && !*watch->next_page ? "&resourceVersion=0" : "",
		 *watch->next_page ? "&continue=" : "", watch->next_page);
	kubernetes_link_call(watch->link, &watch->call, &request);
}

/* ---- the watch ---- */

static void on_event(void *context, const char *line, size_t length)
{
	struct kubernetes_watch *watch = context;
	json_t *event = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	const char *type = kubernetes_text(event, "type");
	const json_t *object = json_object_get(event, "object");

	/* An error is a Status, of 410 Gone nearly always: what came so far still holds, but what
	 * comes next cannot be had. So is whatever is no event. */
	if (!strcmp(type, "ERROR") || !take_revision(watch, object)) {
		kubernetes_call_cancel(&watch->call);
		list_again(watch, "the watch ended with an error");
		/* What is dropped ends without a word to its owner. */
		kubernetes_link_wake(watch->link);
	} else {
		all_is_well(watch);
		if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED") || !strcmp(type, "DELETED"))
			watch->handlers.object(watch->handlers.context, object, *type == 'D');
	}
	json_decref(event);
}

static void on_ended(void *context, const struct kubernetes_answer *answer)
{
	struct kubernetes_watch *watch = context;

	watch->expected = 0;
	switch (answer->outcome) {
	case KUBERNETES_OK:
		if (clock_boottime_ns() - answer->sent_ns < WATCH_NS_MIN)
			back_off(watch, "the watch ends as soon as it is opened");
		break;
	case KUBERNETES_UNAVAILABLE:
	case KUBERNETES_UNAUTHORIZED:
		watch->proven = false;
		break;
	default:
		list_again(watch, answer->message);
		break;
	}
}

static void watch_on(struct kubernetes_watch *watch)
{
	char path[KUBERNETES_PATH_MAX];
	const struct kubernetes_request request = {.method = "GET", .path = path};
	unsigned int seconds = WATCH_S_MIN + randombytes_uniform(WATCH_S_MAX - WATCH_S_MIN + 1);

	watch->call.line = on_event;
	watch->call.answered = on_ended;
	snprintf(path, sizeof(path),
		 "%s?watch=1&allowWatchBookmarks=true&resourceVersion=%s&timeoutSeconds=%u%s%s",
		 watch->path, watch->revision, seconds, *watch->selector ? "&" : "",
		 watch->selector);
	kubernetes_link_call(watch->link, &watch->call, &request);
}

/* ---- both ---- */

void kubernetes_watch_work(struct kubernetes_watch *watch, uint64_t now_ns)
{
	if (watch->call.http && watch->expected && now_ns >= watch->expected_since_ns + EXPECT_NS) {
		kubernetes_call_cancel(&watch->call);
		watch->expected = 0;
		back_off(watch, "it does not tell what was written, and was given up");
	}
	if (watch->call.http || now_ns < watch->retry_ns || !kubernetes_link_ready(watch->link))
		return;
	if (!*watch->revision || *watch->next_page)
		list(watch);
	else
		watch_on(watch);
}

uint64_t kubernetes_watch_due_ns(const struct kubernetes_watch *watch)
{
	if (watch->call.http)
		return watch->expected ? watch->expected_since_ns + EXPECT_NS : UINT64_MAX;
	return watch->retry_ns && kubernetes_link_ready(watch->link) ? watch->retry_ns : UINT64_MAX;
}

void kubernetes_watch_expect(struct kubernetes_watch *watch, uint64_t revision)
{
	/* The oldest that is missing counts. */
	if (!watch->call.line || !watch->synced || watch->expected || revision <= watch->newest)
		return;
	watch->expected = revision;
	watch->expected_since_ns = clock_monotonic_ns();
}

void kubernetes_watch_forgive(struct kubernetes_watch *watch, uint64_t late_ns)
{
	watch->expected_since_ns += late_ns;
}

bool kubernetes_watch_is_live(const struct kubernetes_watch *watch)
{
	return watch->synced && watch->proven && watch->call.line && watch->call.http;
}

void kubernetes_watch_open(struct kubernetes_watch *watch, struct kubernetes_link *link,
			   const char *path, const char *selector,
			   const struct kubernetes_watch_handlers *handlers)
{
	*watch = (struct kubernetes_watch){
		.link = link,
		.path = path,
		.selector = selector,
		.handlers = *handlers,
	};
	watch->call.context = watch;
}

void kubernetes_watch_close(struct kubernetes_watch *watch)
{
	kubernetes_call_cancel(&watch->call);
	watch->closed = true;
}
