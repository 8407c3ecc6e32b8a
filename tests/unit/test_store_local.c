// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/store.h"

#include "unit/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bench {
	uv_loop_t loop;
	struct store *store;
	char told[1024]; /* each thing that was told, with a '|' */
	bool close_in_row, commit_in_committed;
};

static void note(struct bench *bench, const char *what, const char *node, const void *data,
		 size_t size)
{
	size_t used = strlen(bench->told);

	snprintf(bench->told + used, sizeof(bench->told) - used, "%s%s%s%s%.*s|", what,
		 *node ? " " : "", node, data ? "=" : "", (int)size,
		 data ? (const char *)data : "");
}

static void on_row(void *context, const char *node, const void *data, size_t size,
		   uint64_t revision)
{
	(void)revision;
	struct bench *bench = context;

	note(bench, "row", node, data, size);
	if (bench->close_in_row) {
		store_close(bench->store);
		bench->store = NULL;
	}
}

static void on_isolation(void *context, const char *node, const void *data, size_t size,
			 uint64_t revision)
{
	char what[32];

	snprintf(what, sizeof(what), "isolation@%u", (unsigned int)revision);
	note(context, what, node, data, size);
}

static void on_reset(void *context)
{
	note(context, "reset", "", NULL, 0);
}

static void on_synced(void *context)
{
	note(context, "synced", "", NULL, 0);
}

static void on_changed(void *context, const struct store_state *state)
{
	assert_true(state->connected && state->actor && state->actor_revision);
	assert_string_equal(state->reason, "");
	note(context, "changed", "", NULL, 0);
}

static void on_committed(void *context, const char *node, enum store_commit_result result)
{
	struct bench *bench = context;

	note(bench, result == STORE_COMMITTED ? "committed" : "conflict", node, NULL, 0);
	if (bench->commit_in_committed) {
		bench->commit_in_committed = false;
		assert_int_equal(store_commit(bench->store, node, NULL, 0, 1), 0);
	}
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	const struct store_handlers handlers = {
		.context = bench,
		.row = on_row,
		.isolation = on_isolation,
		.reset = on_reset,
		.synced = on_synced,
		.changed = on_changed,
		.committed = on_committed,
	};

	assert_non_null(bench);
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	assert_int_equal(store_open_local(&bench->store, &bench->loop, "n1", &handlers), 0);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	store_close(bench->store);
	loop_end(&bench->loop);
	free(bench);
	return 0;
}

/* Nothing was told since the last time but this, and only from the loop. */
static void assert_told(struct bench *bench, const char *expected)
{
	assert_string_equal(bench->told, "");
	loop_turn_for(&bench->loop, 5 * NS_PER_MS);
	assert_string_equal(bench->told, expected);
	*bench->told = '\0';
}

static void test_rows(void **state)
{
	struct bench *bench = *state;
	char large[STORE_ROW_BYTES_MAX + 1] = "";

	assert_true(store_state(bench->store)->connected);
	assert_true(store_state(bench->store)->actor);
	store_put_row(bench->store, "a", 1);
	store_put_row(bench->store, "bc", 2);
	assert_told(bench, "reset|synced|changed|row n1=bc|");
	store_put_row(bench->store, "", 0);
	assert_told(bench, "row n1=|");
	store_put_row(bench->store, large, sizeof(large));
	store_campaign(bench->store, false);
	assert_told(bench, "");
}

static void test_commits(void **state)
{
	struct bench *bench = *state;
	const char long_name[STORE_NAME_MAX + 1] = {[0 ... STORE_NAME_MAX - 1] = 'x'};

	assert_told(bench, "reset|synced|changed|");
	assert_int_equal(store_commit(bench->store, "n2", "x", 1, 0), 0);
	assert_int_equal(store_commit(bench->store, "n2", "y", 1, 1), -EBUSY);
	assert_int_equal(store_commit(bench->store, long_name, "y", 1, 0), -EINVAL);
	assert_int_equal(store_commit(bench->store, "n3", "y", STORE_RECORD_BYTES_MAX + 1, 0),
			 -EINVAL);
	assert_told(bench, "isolation@1 n2=x|committed n2|");
	assert_int_equal(store_commit(bench->store, "n2", "y", 1, 0), 0);
	assert_told(bench, "conflict n2|");
	assert_int_equal(store_commit(bench->store, "n2", "yy", 2, 1), 0);
	assert_told(bench, "isolation@2 n2=yy|committed n2|");
	assert_int_equal(store_commit(bench->store, "n2", NULL, 0, 1), 0);
	assert_told(bench, "conflict n2|");
	assert_int_equal(store_commit(bench->store, "n2", NULL, 0, 2), 0);
	assert_told(bench, "isolation@3 n2|committed n2|");
	/* It is gone. */
	assert_int_equal(store_commit(bench->store, "n2", NULL, 0, 3), 0);
	assert_told(bench, "conflict n2|");
	assert_int_equal(store_commit(bench->store, "n2", NULL, 0, 0), 0);
	assert_told(bench, "isolation@4 n2|committed n2|");
}

static void test_from_handlers(void **state)
{
	struct bench *bench = *state;

	bench->commit_in_committed = true;
	assert_int_equal(store_commit(bench->store, "n2", "x", 1, 0), 0);
	assert_told(bench, "reset|synced|changed|isolation@1 n2=x|committed n2|isolation@2 n2|"
			   "committed n2|");
	bench->close_in_row = true;
	store_put_row(bench->store, "a", 1);
	assert_int_equal(store_commit(bench->store, "n2", "x", 1, 0), 0);
	assert_told(bench, "row n1=a|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_from_handlers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
