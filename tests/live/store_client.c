// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/store_client.h"

#include "base/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TICK_MS 5

static uv_loop_t loop;
static uv_timer_t tick;

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

void store_loop_open(void)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(uv_timer_init(&loop, &tick), 0);
	assert_int_equal(uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS), 0);
}

void store_loop_close(void)
{
	uv_close((uv_handle_t *)&tick, NULL);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
}

uv_loop_t *store_loop(void)
{
	return &loop;
}

void store_loop_turn(void)
{
	uv_run(&loop, UV_RUN_ONCE);
}

void store_loop_run_ms(unsigned int duration_ms)
{
	uint64_t end_ns = clock_monotonic_ns() + duration_ms * NS_PER_MS;

	while (clock_monotonic_ns() < end_ns)
		store_loop_turn();
}

static struct told *find(struct told *list, const char *node)
{
	for (unsigned int i = 0; i < STORE_CLIENT_ROWS; i++)
		if (!strcmp(list[i].node, node))
			return &list[i];
	return NULL;
}

static void note(struct told *list, const char *node, const void *data, size_t size,
		 uint64_t revision)
{
	struct told *told = find(list, node) ?: find(list, "");

	assert_non_null(told);
	memset(told, 0, sizeof(*told));
	if (!data)
		return;
	snprintf(told->node, sizeof(told->node), "%s", node);
	told->size = size;
	memcpy(told->data, data, size < sizeof(told->data) ? size : sizeof(told->data) - 1);
	told->revision = revision;
	told->at_ns = clock_monotonic_ns();
}

static void on_row(void *context, const char *node, const void *data, size_t size,
		   uint64_t revision)
{
	struct store_client *client = context;

	client->row_ends += !data;
	note(client->rows, node, data, size, revision);
}

static void on_isolation(void *context, const char *node, const void *data, size_t size,
			 uint64_t revision)
{
	struct store_client *client = context;

	note(client->isolations, node, data, size, revision);
}

static void on_reset(void *context)
{
	struct store_client *client = context;

	client->resets++;
	memset(client->rows, 0, sizeof(client->rows));
	memset(client->isolations, 0, sizeof(client->isolations));
}

static void on_synced(void *context)
{
	struct store_client *client = context;

	client->syncs++;
}

static void on_changed(void *context, const struct store_state *state)
{
	struct store_client *client = context;
	uint64_t now_ns = clock_monotonic_ns();

	client->changes++;
	/* What is told is a change, and whoever is not connected is told why. */
	assert_true(state->connected || *state->reason);
	assert_true(!state->connected || !*state->reason);
	if (state->connected && !client->connected)
		client->connected_ns = now_ns;
	if (!state->connected && client->connected) {
		client->lost_ns = now_ns;
		client->losses++;
	}
	if (state->actor && !client->actor)
		client->elected_ns = now_ns;
	client->connected = state->connected;
	client->actor = state->actor;
}

static void on_committed(void *context, const char *node, enum store_commit_result result)
{
	struct store_client *client = context;

	(void)node;
	client->commits[result]++;
	client->commit_count++;
}

struct etcd_settings store_client_settings(const struct etcd_cluster *cluster)
{
	struct etcd_settings settings = {
		.endpoint_count = cluster->count,
		.prefix = "/tocsin/",
		.lease_seconds = 1,
	};

	for (unsigned int i = 0; i < cluster->count; i++)
		settings.endpoints[i] = cluster->urls[i];
	return settings;
}

static struct store_handlers handlers_of(struct store_client *client)
{
	return (struct store_handlers){
		.context = client,
		.row = on_row,
		.isolation = on_isolation,
		.reset = on_reset,
		.synced = on_synced,
		.changed = on_changed,
		.committed = on_committed,
	};
}

void store_client_open(struct store_client *client, const char *node,
		       const struct etcd_settings *settings)
{
	const struct store_handlers handlers = handlers_of(client);
	char reason[256] = "";
	struct text error = TEXT(reason);

	*client = (struct store_client){.settings = *settings};
	if (store_open_etcd(&client->store, &loop, node, settings, &handlers, &error))
		fail_msg("%s", reason);
}

void store_client_open_kubernetes(struct store_client *client, const char *node,
				  const struct kubernetes_settings *settings)
{
	const struct store_handlers handlers = handlers_of(client);
	char reason[256] = "";
	struct text error = TEXT(reason);

	*client = (struct store_client){0};
	if (store_open_kubernetes(&client->store, &loop, node, settings, &handlers, &error))
		fail_msg("%s", reason);
}

void store_client_close(struct store_client *client)
{
	store_close(client->store);
	client->store = NULL;
}

void store_client_put(struct store_client *client, const char *row)
{
	store_put_row(client->store, row, strlen(row));
}

const struct told *store_client_row(const struct store_client *client, const char *node)
{
	return find((struct told *)client->rows, node);
}

const struct told *store_client_isolation(const struct store_client *client, const char *node)
{
	return find((struct told *)client->isolations, node);
}

bool store_client_has_row(const struct store_client *client, const char *node, const char *data)
{
	const struct told *told = store_client_row(client, node);

	return told && !strcmp(told->data, data);
}

enum store_commit_result store_client_commit(struct store_client *client, const char *node,
					     const char *text, uint64_t expected_revision)
{
	unsigned int before[4], count = client->commit_count;

	memcpy(before, client->commits, sizeof(before));
	assert_int_equal(
		store_commit(client->store, node, text, text ? strlen(text) : 0, expected_revision),
		0);
	/* The answer comes from the loop, and while it is awaited there is no second one. */
	assert_int_equal(client->commit_count, count);
	assert_int_equal(store_commit(client->store, node, "{}", 2, 0), -EBUSY);
	store_wait(client->commit_count > count);
	for (int result = 0; result < 4; result++)
		if (client->commits[result] != before[result])
			return (enum store_commit_result)result;
	return STORE_UNKNOWN;
}
