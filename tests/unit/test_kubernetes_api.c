// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/kubernetes_api.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

/* 2026-11-26T22:34:14.000001Z, and a moment in the same microsecond. */
#define NOW_NS (1795732454 * NS_PER_S + 1999)

static json_t *parse(const char *text)
{
	json_error_t error;
	json_t *root = json_loads(text, JSON_DECODE_ANY, &error);

	if (!root)
		fail_msg("%s in %s", error.text, text);
	return root;
}

/* Compares, and releases the first. */
static void assert_json(json_t *found, const char *expected)
{
	json_t *other = parse(expected);

	assert_non_null(found);
	if (!json_equal(found, other))
		fail_msg("expected %s, not %s", expected,
			 json_dumps(found, JSON_COMPACT | JSON_ENCODE_ANY));
	json_decref(found);
	json_decref(other);
}

static void test_leases(void **state)
{
	(void)state;
	assert_json(kubernetes_encode_lease("node-n1", "n1", 5, 0, NOW_NS),
		    "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":"
		    "{\"name\":\"node-n1\",\"labels\":{\"app.kubernetes.io/name\":\"tocsin\"}},"
		    "\"spec\":{\"holderIdentity\":\"n1\",\"leaseDurationSeconds\":5,"
		    "\"leaseTransitions\":0,\"acquireTime\":\"2026-11-26T22:34:14.000001Z\","
		    "\"renewTime\":\"2026-11-26T22:34:14.000001Z\"}}");
	assert_json(kubernetes_encode_renewal("n1", 5, NOW_NS),
		    "{\"metadata\":{\"labels\":{\"app.kubernetes.io/name\":\"tocsin\"}},\"spec\":"
		    "{\"holderIdentity\":\"n1\",\"leaseDurationSeconds\":5,"
		    "\"renewTime\":\"2026-11-26T22:34:14.000001Z\"}}");
	assert_json(kubernetes_encode_release(0), "{\"spec\":{\"holderIdentity\":null}}");
	assert_json(kubernetes_encode_release(18446744073709551615ULL),
		    "{\"metadata\":{\"resourceVersion\":\"18446744073709551615\"},"
		    "\"spec\":{\"holderIdentity\":null}}");
	assert_json(kubernetes_encode_election(17, "n2", 5, 3, NOW_NS),
		    "{\"metadata\":{\"resourceVersion\":\"17\"},\"spec\":{\"holderIdentity\":"
		    "\"n2\",\"leaseDurationSeconds\":5,\"leaseTransitions\":3,\"acquireTime\":"
		    "\"2026-11-26T22:34:14.000001Z\",\"renewTime\":"
		    "\"2026-11-26T22:34:14.000001Z\"}}");
}

static void test_lease_decoded(void **state)
{
	static const struct {
		const char *object, *holder, *renewed;
		uint64_t duration_s, transitions;
	} cases[] = {
		{"{\"spec\":{\"holderIdentity\":\"n1\",\"leaseDurationSeconds\":5,"
		 "\"renewTime\":\"x\",\"leaseTransitions\":7}}",
		 "n1", "x", 5, 7},
		{"{}", "", "", 1, 0},
		{"[]", "", "", 1, 0},
		{"{\"spec\":7}", "", "", 1, 0},
		{"{\"spec\":{\"holderIdentity\":7,\"leaseDurationSeconds\":\"5\","
		 "\"renewTime\":null,\"leaseTransitions\":-1}}",
		 "", "", 1, 0},
		{"{\"spec\":{\"leaseDurationSeconds\":100000}}", "", "", 600, 0},
		{"{\"spec\":{\"leaseDurationSeconds\":-3}}", "", "", 1, 0},
		/* Longer than a node's name may be. */
		{"{\"spec\":{\"holderIdentity\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "aaaaaaaaaaaaaaaa\"}}",
		 "", "", 1, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *object = parse(cases[i].object);
		struct kubernetes_lease lease;

		kubernetes_decode_lease(object, &lease);
		assert_string_equal(lease.holder, cases[i].holder);
		assert_string_equal(lease.renewed, cases[i].renewed);
		assert_int_equal(lease.duration_ns, cases[i].duration_s * NS_PER_S);
		assert_int_equal(lease.transitions, cases[i].transitions);
		json_decref(object);
	}
}

static void test_isolations(void **state)
{
	static const char *const none[] = {
		"{}",
		"[]",
		"{\"metadata\":{\"annotations\":{}}}",
		"{\"metadata\":{\"annotations\":{\"tocsin.dev/isolations\":7}}}",
		"{\"metadata\":{\"annotations\":{\"tocsin.dev/isolations\":\"\"}}}",
		"{\"metadata\":{\"annotations\":{\"tocsin.dev/isolations\":\"[1]\"}}}",
		"{\"metadata\":{\"annotations\":{\"tocsin.dev/isolations\":\"{\\\"a\\\":\"}}}",
	};
	json_t *isolations =
		parse("{\"n5\":{\"revision\":17,\"record\":{\"state\":\"isolated\"}}}");
	json_t *patch = kubernetes_encode_isolations(18, isolations);

	(void)state;
	assert_string_equal(json_string_value(json_object_get(json_object_get(patch, "metadata"),
							      "resourceVersion")),
			    "18");
	/* What was encoded is read again from the object that comes of it. */
	assert_json(kubernetes_decode_isolations(patch),
		    "{\"n5\":{\"revision\":17,\"record\":{\"state\":\"isolated\"}}}");
	json_decref(patch);
	json_decref(isolations);
	for (size_t i = 0; i < COUNT(none); i++) {
		json_t *object = parse(none[i]);

		assert_json(kubernetes_decode_isolations(object), "{}");
		json_decref(object);
	}
}

static void test_summary(void **state)
{
	static const struct {
		const char *row, *summary;
	} cases[] = {
		{"{\"edges\":{\"default\":\"healthy\"},\"flags\":[],\"findings\":[]}",
		 "{\"state\":\"healthy\",\"worstPeer\":\"\",\"findings\":\"\"}"},
		{"{}", "{\"state\":\"healthy\",\"worstPeer\":\"\",\"findings\":\"\"}"},
		{"{\"edges\":{\"default\":\"healthy\",\"lossy\":[\"n2\"],\"unreachable\":[\"n4\"]},"
		 "\"findings\":[{\"finding\":\"disk-stalled\",\"subject\":\"sda\"},"
		 "{\"finding\":\"cpu-overload\",\"subject\":\"\"}]}",
		 "{\"state\":\"impaired\",\"worstPeer\":\"n4 unreachable\","
		 "\"findings\":\"disk-stalled sda, cpu-overload\"}"},
		{"{\"edges\":{\"default\":\"healthy\",\"lossy\":[\"n2\",\"n3\"]},\"flags\":["
		 "\"paused\"]}",
		 "{\"state\":\"paused\",\"worstPeer\":\"n2 and 1 other lossy\",\"findings\":\"\"}"},
		{"{\"edges\":{\"default\":\"healthy\",\"lossy\":[\"n2\",\"n3\",\"n4\"]}}",
		 "{\"state\":\"healthy\",\"worstPeer\":\"n2 and 2 others "
		 "lossy\",\"findings\":\"\"}"},
		/* Whoever sees nobody is worst off, whatever it sees of the last one. */
		{"{\"edges\":{\"default\":\"unreachable\",\"lossy\":[\"n2\"]},"
		 "\"flags\":[\"fenced\",\"alone\"]}",
		 "{\"state\":\"fenced\",\"worstPeer\":\"most unreachable\",\"findings\":\"\"}"},
		{"{\"edges\":[],\"flags\":{},\"findings\":{\"a\":1}}",
		 "{\"state\":\"healthy\",\"worstPeer\":\"\",\"findings\":\"\"}"},
		{"{\"flags\":[7,\"unheard-of\",\"blind\"],\"findings\":[7]}",
		 "{\"state\":\"blind\",\"worstPeer\":\"\",\"findings\":\"\"}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		json_t *row = parse(cases[i].row);

		assert_json(kubernetes_summarise_row(row), cases[i].summary);
		json_decref(row);
	}
}

static void test_rows(void **state)
{
	json_t *row = parse("{\"edges\":{\"default\":\"lossy\"}}");

	(void)state;
	assert_json(kubernetes_encode_node("n1", row),
		    "{\"apiVersion\":\"tocsin.dev/v1\",\"kind\":\"TocsinNode\",\"metadata\":"
		    "{\"name\":\"n1\",\"labels\":{\"app.kubernetes.io/name\":\"tocsin\"}},"
		    "\"row\":{\"edges\":{\"default\":\"lossy\"}},\"summary\":{\"state\":"
		    "\"healthy\",\"worstPeer\":\"most lossy\",\"findings\":\"\"}}");
	assert_json(kubernetes_encode_row(row),
		    "[{\"op\":\"add\",\"path\":\"/row\",\"value\":{\"edges\":{\"default\":"
		    "\"lossy\"}}},{\"op\":\"add\",\"path\":\"/summary\",\"value\":{\"state\":"
		    "\"healthy\",\"worstPeer\":\"most lossy\",\"findings\":\"\"}}]");
	json_decref(row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leases),	   cmocka_unit_test(test_lease_decoded),
		cmocka_unit_test(test_isolations), cmocka_unit_test(test_summary),
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
