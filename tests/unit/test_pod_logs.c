// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The names under which the kubelet has the logs of pods and containers. */
#include "trace/pod_logs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define UID	     "7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
#define STATIC	     "5f1ab0c9d8e7f6a5b4c3d2e1f0a9b8c7"
#define ID	     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_pods(void **state)
{
	static const struct {
		const char *directory, *namespace, *pod, *uid; /* NULL: it is none */
	} cases[] = {
		{"shop_web-1_" UID, "shop", "web-1", UID},
		{"kube-system_etcd-n1_" STATIC, "kube-system", "etcd-n1", STATIC},
		{"shop_web.example.com_" UID, "shop", "web.example.com", UID},
		/* Before 1.14. */
		{UID, NULL, NULL, NULL},
		{"shop_" UID, NULL, NULL, NULL},
		{"_web-1_" UID, NULL, NULL, NULL},
		{"shop__" UID, NULL, NULL, NULL},
		{"shop_web-1_", NULL, NULL, NULL},
		{"shop_web-1_a_" UID, NULL, NULL, NULL},
		{"shop_web-1_" UID UID, NULL, NULL, NULL},
		{"", NULL, NULL, NULL},
		{".", NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char uid[CGROUP_POD_BYTES] = "";
		struct pod_name name;
		bool found = pod_logs_parse_pod(cases[i].directory, &name, uid);

		if (found != (cases[i].uid != NULL))
			fail_msg("%s", cases[i].directory);
		if (!found)
			continue;
		assert_string_equal(name.namespace, cases[i].namespace);
		assert_string_equal(name.pod, cases[i].pod);
		assert_string_equal(name.container, "");
		assert_string_equal(uid, cases[i].uid);
	}
}

static void test_containers(void **state)
{
	static const struct {
		const char *link, *container; /* NULL: it is not this one's */
	} cases[] = {
		{"web-1_shop_app-" ID ".log", "app"},
		{"web-1_shop_a-b-c-" ID ".log", "a-b-c"},
		{"web-1_market_app-" ID ".log", NULL},
		{"web-12_shop_app-" ID ".log", NULL},
		{"xweb-1_shop_app-" ID ".log", NULL},
		{"web-1_shop_app-a" ID ".log", NULL},
		{"web-1_shop_-" ID ".log", NULL},
		{"web-1_shop_app-" ID, NULL},
		/* Too long for the kubelet, which cuts it. */
		{"web-1_shop_app-0123456789ab.log", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct pod_name name = {.namespace = "shop", .pod = "web-1"};
		bool found = pod_logs_parse_container(cases[i].link, ID, &name);

		if (found != (cases[i].container != NULL))
			fail_msg("%s", cases[i].link);
		if (found)
			assert_string_equal(name.container, cases[i].container);
	}
	/* A pod's own group is of no container. */
	assert_false(pod_logs_parse_container("web-1_shop_app-.log", "",
					      &(struct pod_name){"shop", "web-1", ""}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_containers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
