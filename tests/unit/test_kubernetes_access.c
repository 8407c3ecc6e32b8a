// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/access.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

#define HEAD                                                                   \
	"apiVersion: v1\nkind: Config\ncurrent-context: here\n"                \
	"contexts:\n- name: there\n  context: {cluster: other, user: other}\n" \
	"- name: here\n  context: {cluster: c, user: u, namespace: tocsin}\n"
#define CLUSTER "clusters:\n- name: c\n  cluster: {server: 'https://10.0.0.1:6443/'}\n"
#define USER	"users:\n- name: u\n  user: {token: secret}\n"

static char directory[] = "/tmp/tocsin-kubeconfig-XXXXXX";
static char path[PATH_MAX], reason[1024];

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/config", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(path);
	return rmdir(directory);
}

static int open_text(struct kubernetes_access *access, const char *text)
{
	FILE *stream = fopen(path, "we");
	struct text error = TEXT(reason);

	reason[0] = '\0';
	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
	return kubernetes_access_open(access, path, &error);
}

static void assert_contents(const char *file, const char *expected)
{
	char data[64] = "";
	FILE *stream = fopen(file, "re");

	assert_non_null(stream);
	data[fread(data, 1, sizeof(data) - 1, stream)] = '\0';
	fclose(stream);
	assert_string_equal(data, expected);
}

static void test_token(void **state)
{
	struct kubernetes_access access;
	char token[KUBERNETES_TOKEN_MAX];
	struct text error = TEXT(reason);

	(void)state;
	assert_int_equal(open_text(&access, HEAD CLUSTER USER), 0);
	assert_string_equal(access.server, "https://10.0.0.1:6443");
	assert_string_equal(access.namespace, "tocsin");
	assert_string_equal(access.cert_file, "");
	assert_int_equal(kubernetes_access_read_token(&access, token, &error), 0);
	assert_string_equal(token, "secret");
	/* As often as wanted. */
	assert_int_equal(kubernetes_access_read_token(&access, token, &error), 0);
	assert_string_equal(token, "secret");
	kubernetes_access_close(&access);
}

/* A file counts more than what stands beside it, relative to the kubeconfig. */
static void test_token_file(void **state)
{
	struct kubernetes_access access;
	char token[KUBERNETES_TOKEN_MAX], file[PATH_MAX];
	struct text error = TEXT(reason);
	FILE *stream;

	(void)state;
	assert_int_equal(open_text(&access, HEAD CLUSTER "users:\n- name: u\n  user: "
							 "{token: secret, tokenFile: token}\n"),
			 0);
	assert_int_equal(kubernetes_access_read_token(&access, token, &error), -ENOENT);
	assert_non_null(strstr(reason, "token cannot be read"));
	snprintf(file, sizeof(file), "%s/token", directory);
	stream = fopen(file, "we");
	assert_non_null(stream);
	fputs("rotated\n", stream);
	fclose(stream);
	assert_int_equal(kubernetes_access_read_token(&access, token, &error), 0);
	assert_string_equal(token, "rotated");
	kubernetes_access_close(&access);
	assert_int_equal(unlink(file), 0);
}

static void test_certificates(void **state)
{
	struct kubernetes_access access;
	char token[KUBERNETES_TOKEN_MAX];
	struct text error = TEXT(reason);

	(void)state;
	assert_int_equal(
		open_text(&access,
			  HEAD "clusters:\n- name: c\n  cluster:\n    server: https://[::1]:6443\n"
			       "    certificate-authority-data: Y2E=\n"
			       "users:\n- name: u\n  user:\n    client-certificate-data: Y2Vy\n"
			       "      dA==\n    client-key: /some/key\n"),
		0);
	assert_string_equal(access.server, "https://[::1]:6443");
	assert_contents(access.ca_file, "ca");
	assert_contents(access.cert_file, "cert");
	assert_string_equal(access.key_file, "/some/key");
	assert_int_equal(kubernetes_access_read_token(&access, token, &error), 0);
	assert_string_equal(token, "");
	kubernetes_access_close(&access);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
		const char *reason;
	} cases[] = {
		{"", -EINVAL, "current-context"},
		{"current-context: [", -EINVAL, "expected a kubeconfig"},
		{"- a\n", -EINVAL, "current-context"},
		{"current-context: nobody\n" CLUSTER USER, -EINVAL, "current-context"},
		{HEAD CLUSTER, -EINVAL, "no user that is there"},
		{HEAD USER, -EINVAL, "no cluster"},
		{HEAD USER "clusters:\n- name: c\n  cluster: {server: 'http://10.0.0.1'}\n",
		 -EINVAL, "https://HOST:PORT"},
		{HEAD USER "clusters:\n- name: c\n  cluster: {server: 'https://a', "
			   "insecure-skip-tls-verify: true}\n",
		 -ENOTSUP, "certificate-authority"},
		{HEAD USER "clusters:\n- name: c\n  cluster: {server: 'https://a', "
			   "proxy-url: 'http://b'}\n",
		 -ENOTSUP, "proxy-url"},
		{HEAD USER "clusters:\n- name: c\n  cluster: {server: 'https://a', "
			   "certificate-authority-data: '%'}\n",
		 -EINVAL, "base64"},
		{HEAD CLUSTER "users:\n- name: u\n  user: {exec: {command: aws}}\n", -ENOTSUP,
		 "exec plugins"},
		{HEAD CLUSTER "users:\n- name: u\n  user: {username: a, password: b}\n", -EINVAL,
		 "tokenFile"},
		{HEAD CLUSTER "users:\n- name: u\n  user: {client-certificate: /a}\n", -EINVAL,
		 "half of a certificate"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kubernetes_access access;
		int result = open_text(&access, cases[i].text);

		if (result != cases[i].error || !strstr(reason, cases[i].reason))
			fail_msg("case %zu: %d, %s", i, result, reason);
		assert_int_equal(strncmp(reason, path, strlen(path)), 0);
		kubernetes_access_close(&access);
	}
}

static void test_no_file(void **state)
{
	struct kubernetes_access access;
	struct text error = TEXT(reason);

	(void)state;
	reason[0] = '\0';
	assert_int_equal(kubernetes_access_open(&access, "/nowhere/config", &error), -ENOENT);
	assert_non_null(strstr(reason, "/nowhere/config cannot be read"));
	kubernetes_access_close(&access);
}

static void test_no_pod(void **state)
{
	struct kubernetes_access access;
	struct text error = TEXT(reason);

	(void)state;
	reason[0] = '\0';
	assert_int_equal(unsetenv("KUBERNETES_SERVICE_HOST"), 0);
	assert_int_equal(kubernetes_access_open(&access, "", &error), -ENOENT);
	assert_non_null(strstr(reason, "kubernetes.kubeconfig"));
	kubernetes_access_close(&access);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_token),	     cmocka_unit_test(test_token_file),
		cmocka_unit_test(test_certificates), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_file),	     cmocka_unit_test(test_no_pod),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
