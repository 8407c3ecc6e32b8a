// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/pod.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define HALF	     "0123456789abcdef0123456789abcdef"
#define UID	     "7d3f1c62-9a4e-4d1b-8f0a-2b6c5d4e3f21"
#define METADATA     "'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': '" UID "'}"

static int decode(const char *text, struct kubernetes_pod *ret_pod)
{
	char buffer[1024];
	json_t *object;
	int r;

	snprintf(buffer, sizeof(buffer), "%s", text);
	for (char *c = buffer; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	object = json_loads(buffer, JSON_DECODE_ANY, NULL);
	if (!object)
		fail_msg("no JSON: %s", buffer);
	r = kubernetes_pod_decode(object, ret_pod);
	json_decref(object);
	return r;
}

static void test_names(void **state)
{
	static const struct {
		const char *text, *uid; /* NULL: no pod */
	} cases[] = {
		{"{" METADATA "}", UID},
		{"{" METADATA ", 'status': 7}", UID},
		/* A static pod runs under the uid that its mirror tells. */
		{"{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': '" UID "',"
		 " 'annotations': {'kubernetes.io/config.mirror': '" HALF "'}}}",
		 HALF},
		/* Anybody may set the other one. */
		{"{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': '" UID "',"
		 " 'annotations': {'kubernetes.io/config.hash': '" HALF "'}}}",
		 UID},
		{"{'metadata': {'namespace': 'shop', 'name': 'web-1'}}", NULL},
		{"{'metadata': {'namespace': 'shop', 'uid': '" UID "'}}", NULL},
		{"{'metadata': {'name': 'web-1', 'uid': '" UID "'}}", NULL},
		{"{'metadata': {'namespace': 'shop', 'name': 'web-1', 'uid': '" UID UID "'}}",
		 NULL},
		{"{'metadata': {'namespace': '" HALF HALF "', 'name': 'a', 'uid': 'b'}}", NULL},
		{"{'metadata': {'namespace': 7, 'name': [], 'uid': {}}}", NULL},
		{"[]", NULL},
		{"7", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct kubernetes_pod pod;
		int r = decode(cases[i].text, &pod);

		if (r != (cases[i].uid ? 0 : -EINVAL))
			fail_msg("%s: %d", cases[i].text, r);
		if (!cases[i].uid)
			continue;
		assert_string_equal(pod.uid, cases[i].uid);
		assert_string_equal(pod.namespace, "shop");
		assert_string_equal(pod.name, "web-1");
		assert_int_equal(pod.container_count, 0);
	}
}

static void test_containers(void **state)
{
	static const struct {
		const char *statuses;
		const char *told; /* "name=id," of each */
	} cases[] = {
		{"'containerStatuses': []", ""},
		{"'containerStatuses': [{'name': 'app', 'containerID': 'containerd://1a'},"
		 " {'name': 'side', 'containerID': 'cri-o://2b'}]",
		 "app=1a,side=2b,"},
		{"'containerStatuses': [{'name': 'app', 'containerID': 'docker://1a',"
		 " 'lastState': {'terminated': {'containerID': 'docker://0f'}}}],"
		 " 'initContainerStatuses': [{'name': 'init', 'containerID': 'docker://3c'}],"
		 " 'ephemeralContainerStatuses': [{'name': 'debug', 'containerID': '4d'}]",
		 "app=1a,app=0f,init=3c,debug=4d,"},
		/* Not started yet, and what makes no sense. */
		{"'containerStatuses': [{'name': 'app'}, {'name': 'app', 'containerID': ''},"
		 " {'name': 'app', 'containerID': 'containerd://'}, {'containerID': 'x://1a'},"
		 " {'name': 'app', 'containerID': 7, 'lastState': []}, null, 'app']",
		 ""},
		{"'containerStatuses': [{'name': 'app', 'containerID': 'x://" HALF HALF HALF
		 "'}, {'name': '" HALF HALF "', 'containerID': 'x://1a'}]",
		 ""},
		{"'containerStatuses': {'name': 'app', 'containerID': 'x://1a'}", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char buffer[1024], told[256] = "";
		struct text text = TEXT(told);
		struct kubernetes_pod pod;

		snprintf(buffer, sizeof(buffer), "{" METADATA ", 'status': {%s}}",
			 cases[i].statuses);
		assert_int_equal(decode(buffer, &pod), 0);
		for (unsigned int j = 0; j < pod.container_count; j++)
			text_printf(&text, "%s=%s,", pod.containers[j].name, pod.containers[j].id);
		assert_string_equal(told, cases[i].told);
	}
}

static void test_many_containers(void **state)
{
	json_t *object = json_pack("{s:{s:s, s:s, s:s}, s:{s:[]}}", "metadata", "namespace", "shop",
				   "name", "web-1", "uid", UID, "status", "containerStatuses");
	json_t *list = json_object_get(json_object_get(object, "status"), "containerStatuses");
	struct kubernetes_pod pod;

	(void)state;
	for (unsigned int i = 0; i < KUBERNETES_CONTAINERS_MAX + 3; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "name", "app", "containerID",
						      "containerd://1a"));
	assert_int_equal(kubernetes_pod_decode(object, &pod), 0);
	assert_int_equal(pod.container_count, KUBERNETES_CONTAINERS_MAX);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_many_containers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
