// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The store in a real etcd that asks for certificates, or for a user. */
#include "base/clock.h"
#include "live/store_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PASSWORD_FILE ETCD_CLUSTER_DIR "/password"

/* For how long a store must go on saying that it is not connected. */
#define REFUSED_MS 250

struct bench {
	struct etcd_cluster cluster;
	struct store_client a, b;
};

static const char *obstacle;

static int setup_group(void **state)
{
	struct bench *bench;

	obstacle = etcd_cluster_obstacle();
	if (obstacle)
		return 0;
	bench = calloc(1, sizeof(*bench));
	assert_non_null(bench);
	etcd_cluster_isolate();
	*state = bench;
	return 0;
}

static int teardown_group(void **state)
{
	free(*state);
	return 0;
}

static int setup(void **state)
{
	struct bench *bench = *state;

	if (obstacle)
		return 0;
	memset(bench, 0, sizeof(*bench));
	store_loop_open();
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	if (obstacle)
		return 0;
	store_close(bench->a.store);
	store_close(bench->b.store);
	store_loop_close();
	etcd_cluster_stop(&bench->cluster);
	return 0;
}

static struct bench *begin(void **state)
{
	if (obstacle) {
		print_message("%s\n", obstacle);
		skip();
	}
	return *state;
}

static void expect_reason(struct store_client *client, const char *words)
{
	const struct store_state *state = store_state(client->store);
	uint64_t limit_ns = clock_monotonic_ns() + 5 * NS_PER_S;

	while (!strstr(state->reason, words)) {
		if (clock_monotonic_ns() > limit_ns)
			fail_msg("expected '%s', not '%s'", words, state->reason);
		store_loop_turn();
	}
	assert_non_null(strstr(state->reason, etcd_endpoint(client->store)));
	assert_false(client->connected);
}

/* A store with these settings says so, and goes on trying. */
static void expect_refused(struct bench *bench, const struct etcd_settings *settings,
			   const char *words)
{
	store_client_open(&bench->b, "b", settings);
	store_client_put(&bench->b, "b's");
	expect_reason(&bench->b, words);
	store_loop_run_ms(REFUSED_MS);
	expect_reason(&bench->b, words);
	assert_int_equal(bench->b.losses, 0);
	store_client_close(&bench->b);
}

static void test_tls(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings right, wrong;
	char plain[64];

	etcd_cluster_make_certificates();
	etcd_cluster_start(&bench->cluster, 1, true);
	right = store_client_settings(&bench->cluster);
	right.ca_file = ETCD_CLUSTER_DIR "/ca.pem";
	right.cert_file = ETCD_CLUSTER_DIR "/client.pem";
	right.key_file = ETCD_CLUSTER_DIR "/client.key";
	store_client_open(&bench->a, "a", &right);
	store_client_put(&bench->a, "by TLS");
	store_wait(bench->a.connected && store_client_has_row(&bench->a, "a", "by TLS"));

	wrong = right;
	wrong.ca_file = ETCD_CLUSTER_DIR "/other-ca.pem";
	expect_refused(bench, &wrong, "check etcd.ca_file");
	wrong.ca_file = ETCD_CLUSTER_DIR "/nothing.pem";
	expect_refused(bench, &wrong, "check etcd.ca_file");
	wrong = right;
	wrong.cert_file = wrong.key_file = NULL;
	expect_refused(bench, &wrong, "or a certificate (etcd.cert_file)?");
	wrong = right;
	snprintf(plain, sizeof(plain), "http://%s", bench->cluster.urls[0] + strlen("https://"));
	wrong.endpoints[0] = plain;
	expect_refused(bench, &wrong, "does it want https");
	assert_true(bench->a.connected);
	assert_int_equal(bench->a.losses, 0);
}

static void write_password(const char *password)
{
	FILE *file = fopen(PASSWORD_FILE, "w");

	assert_non_null(file);
	assert_true(fprintf(file, "%s\n", password) > 0);
	assert_int_equal(fclose(file), 0);
}

/* Users root, tocsin (may use /tocsin/) and other (may not). */
static void enable_authentication(struct etcd_cluster *cluster)
{
	static const char *const steps[][2] = {
		{"role/add", "{\"name\":\"root\"}"},
		{"role/add", "{\"name\":\"tocsin\"}"},
		/* "/tocsin/" to "/tocsin0" */
		{"role/grant", "{\"name\":\"tocsin\",\"perm\":{\"permType\":\"READWRITE\",\"key\":"
			       "\"L3RvY3Npbi8=\",\"range_end\":\"L3RvY3NpbjA=\"}}"},
		{"user/add", "{\"name\":\"root\",\"password\":\"root's\"}"},
		{"user/add", "{\"name\":\"tocsin\",\"password\":\"secret\"}"},
		{"user/add", "{\"name\":\"other\",\"password\":\"secret\"}"},
		{"user/grant", "{\"user\":\"root\",\"role\":\"root\"}"},
		{"user/grant", "{\"user\":\"tocsin\",\"role\":\"tocsin\"}"},
		{"enable", "{}"},
	};
	char path[64];

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		snprintf(path, sizeof(path), "/v3/auth/%s", steps[i][0]);
		json_decref(etcd_cluster_post(cluster, 0, path, steps[i][1]));
	}
}

static void log_in_as_root(struct etcd_cluster *cluster)
{
	json_t *answer = etcd_cluster_post(cluster, 0, "/v3/auth/authenticate",
					   "{\"name\":\"root\",\"password\":\"root's\"}");

	snprintf(cluster->token, sizeof(cluster->token), "%s",
		 json_string_value(json_object_get(answer, "token")));
	json_decref(answer);
}

static void change_password(struct etcd_cluster *cluster, const char *password)
{
	char body[128];

	log_in_as_root(cluster);
	snprintf(body, sizeof(body), "{\"name\":\"tocsin\",\"password\":\"%s\"}", password);
	json_decref(etcd_cluster_post(cluster, 0, "/v3/auth/user/changepw", body));
}

static void test_user(void **state)
{
	struct bench *bench = begin(state);
	struct etcd_settings right, wrong;

	etcd_cluster_start(&bench->cluster, 1, false);
	write_password("secret");
	right = store_client_settings(&bench->cluster);
	right.user = "tocsin";
	right.password_file = PASSWORD_FILE;
	/* A user who is configured before etcd asks for one does not hurt. */
	store_client_open(&bench->a, "a", &right);
	store_client_put(&bench->a, "first");
	store_wait(bench->a.connected && store_client_has_row(&bench->a, "a", "first"));
	enable_authentication(&bench->cluster);
	store_client_put(&bench->a, "second");
	store_wait(bench->a.connected && store_client_has_row(&bench->a, "a", "second"));

	/* The token ends, as it does after some minutes. */
	bench->a.losses = 0;
	change_password(&bench->cluster, "secret");
	store_client_put(&bench->a, "third");
	store_wait(store_client_has_row(&bench->a, "a", "third"));
	assert_int_equal(bench->a.losses, 0);

	wrong = right;
	wrong.user = NULL;
	expect_refused(bench, &wrong, "it wants a user: check etcd.user");
	wrong = right;
	wrong.user = "other";
	expect_refused(bench, &wrong, "grant its role readwrite on etcd.prefix");
	wrong.user = "nobody";
	expect_refused(bench, &wrong, "check etcd.user and etcd.password_file");
	wrong = right;
	wrong.password_file = ETCD_CLUSTER_DIR "/nothing";
	expect_refused(bench, &wrong, ETCD_CLUSTER_DIR "/nothing");

	/* A wrong password, until someone writes the right one. */
	write_password("wrong");
	store_client_open(&bench->b, "b", &right);
	expect_reason(&bench->b, "check etcd.user and etcd.password_file");
	write_password("secret");
	store_wait(bench->b.connected);
	assert_int_equal(bench->a.losses, 0);

	/* etcd forgets all tokens when it is started again. */
	etcd_cluster_kill(&bench->cluster, 0);
	store_wait(!bench->a.connected);
	etcd_cluster_start_member(&bench->cluster, 0);
	store_wait(bench->a.connected && bench->b.connected);
	store_client_put(&bench->b, "fourth");
	store_wait(store_client_has_row(&bench->a, "b", "fourth"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user, setup, teardown),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
