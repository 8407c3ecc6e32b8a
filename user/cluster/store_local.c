// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store of a single node: what is written is told back, from the loop, and kept nowhere else.
 */
#include "base/clock.h"
#include "cluster/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#define RECORDS_MAX 256

/* An isolation record, or what is left of one: 'present' is false while its end was not told. */
struct record {
	LIST_ENTRY(record) list;
	char node[STORE_NAME_MAX];
	uint64_t revision;
	bool present;
	bool pending; /* committed and not told yet */
	enum store_commit_result result;
	size_t size;
	uint8_t data[STORE_RECORD_BYTES_MAX];
};

struct local_store {
	struct store store;
	uv_timer_t timer; /* runs at once when there is something to tell */
	char node[STORE_NAME_MAX];
	bool opened; /* the start was told */
	bool closing;
	uint64_t revision; /* of the last change */
	bool row_pending;
	size_t row_size;
	uint8_t row[STORE_ROW_BYTES_MAX];
	unsigned int record_count;
	LIST_HEAD(, record) records;
};

static struct local_store *of(struct store *store)
{
	_Static_assert(offsetof(struct local_store, store) == 0, "one is the head of the other");
	return (struct local_store *)store;
}

static void free_record(struct local_store *store, struct record *record)
{
	LIST_REMOVE(record, list);
	store->record_count--;
	free(record);
}

static void tell_start(struct local_store *store)
{
	const struct store_handlers *handlers = &store->store.handlers;

	store->opened = true;
	handlers->reset(handlers->context);
	if (!store->closing)
		handlers->synced(handlers->context);
	if (!store->closing)
		handlers->changed(handlers->context, &store->store.state);
}

static void tell_record(struct local_store *store, struct record *record)
{
	const struct store_handlers *handlers = &store->store.handlers;
	enum store_commit_result result = record->result;
	char node[STORE_NAME_MAX];

	memcpy(node, record->node, sizeof(node));
	record->pending = false;
	if (result == STORE_COMMITTED)
		handlers->isolation(handlers->context, node, record->present ? record->data : NULL,
				    record->present ? record->size : 0, record->revision);
	if (store->closing)
		return;
	if (!record->present)
		free_record(store, record);
	handlers->committed(handlers->context, node, result);
}

static struct record *next_pending(struct local_store *store)
{
	struct record *record;

	LIST_FOREACH(record, &store->records, list)
	if (record->pending)
		return record;
	return NULL;
}

static void on_timer(uv_timer_t *timer)
{
	struct local_store *store = timer->data;
	const struct store_handlers *handlers = &store->store.handlers;
	struct record *record;

	if (!store->opened)
		tell_start(store);
	if (!store->closing && store->row_pending) {
		store->row_pending = false;
		handlers->row(handlers->context, store->node, store->row, store->row_size,
			      ++store->revision);
	}
	while (!store->closing && (record = next_pending(store)))
		tell_record(store, record);
}

static void wake(struct local_store *store)
{
	/* Only fails for a timer that is being closed. */
	(void)uv_timer_start(&store->timer, on_timer, 0, 0);
}

static void put_row(struct store *head, const void *data, size_t size)
{
	struct local_store *store = of(head);

	if (size > sizeof(store->row))
		return;
	memcpy(store->row, data, size);
	store->row_size = size;
	store->row_pending = true;
	wake(store);
}

/* There is nobody else. */
static void depose(struct store *head)
{
	(void)head;
}

static void campaign(struct store *head, bool wanted)
{
	/* There is nobody else. */
	(void)head;
	(void)wanted;
}

static struct record *find_record(struct local_store *store, const char *node)
{
	struct record *record;

	LIST_FOREACH(record, &store->records, list)
	if (!strcmp(record->node, node))
		return record;
	return NULL;
}

static struct record *add_record(struct local_store *store, const char *node)
{
	struct record *record = calloc(1, sizeof(*record));

	if (!record)
		return NULL;
	snprintf(record->node, sizeof(record->node), "%s", node);
	LIST_INSERT_HEAD(&store->records, record, list);
	store->record_count++;
	return record;
}

static int commit(struct store *head, const char *node, const void *data, size_t size,
		  uint64_t expected_revision)
{
	struct local_store *store = of(head);
	struct record *record = find_record(store, node);

	if (!*node || strlen(node) >= STORE_NAME_MAX || size > STORE_RECORD_BYTES_MAX)
		return -EINVAL;
	if (record && record->pending)
		return -EBUSY;
	if (!record && store->record_count >= RECORDS_MAX)
		return -EBUSY;
	if (!record)
		record = add_record(store, node);
	if (!record)
		return -ENOMEM;
	record->pending = true;
	wake(store);
	if ((record->present ? record->revision : 0) != expected_revision) {
		record->result = STORE_CONFLICT;
		return 0;
	}
	record->result = STORE_COMMITTED;
	record->present = !!data;
	record->revision = ++store->revision;
	if (data) {
		memcpy(record->data, data, size);
		record->size = size;
	}
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct local_store *store = handle->data;
	struct record *record, *next;

	for (record = LIST_FIRST(&store->records); record; record = next) {
		next = LIST_NEXT(record, list);
		free(record);
	}
	free(store);
}

static void close_store(struct store *head)
{
	struct local_store *store = of(head);

	if (store->closing)
		return;
	store->closing = true;
	uv_close((uv_handle_t *)&store->timer, on_closed);
}

static const struct store_operations operations = {
	.put_row = put_row,
	.campaign = campaign,
	.depose = depose,
	.commit = commit,
	.close = close_store,
};

int store_open_local(struct store **ret_store, struct uv_loop_s *loop, const char *node,
		     const struct store_handlers *handlers)
{
	struct local_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->store.operations = &operations;
	store->store.handlers = *handlers;
	/* Its lease has no end. */
	store->store.state = (struct store_state){
		.connected = true,
		.renewed_ns = clock_boottime_ns(),
		.lease_ns = INT64_MAX,
		.actor = true,
		.actor_revision = 1,
	};
	snprintf(store->node, sizeof(store->node), "%s", node);
	snprintf(store->store.state.actor_name, sizeof(store->store.state.actor_name), "%s", node);
	LIST_INIT(&store->records);
	(void)uv_timer_init(loop, &store->timer);
	store->timer.data = store;
	wake(store);
	*ret_store = &store->store;
	return 0;
}
