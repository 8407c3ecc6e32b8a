// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When a healed node's member of etcd has caught up. */
#include "isolate/healing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_caught_up(void **state)
{
	static const struct etcd_member before = {
		.member_id = 1, .leader = 2, .raft_term = 7, .raft_index = 100};
	static const struct {
		struct etcd_member member;
		const char *reason;
	} cases[] = {
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 100}, ""},
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 140}, ""},
		{{.leader = 2, .raft_term = 7, .raft_index = 130, .raft_applied_index = 99},
		 "it has applied its log up to 99, expected 100 or more"},
		{{.leader = 2, .raft_term = 6, .raft_applied_index = 100},
		 "it is in term 6, the others in 7"},
		{{.leader = 3, .raft_term = 7, .raft_applied_index = 100},
		 "it follows another leader (3) than the others (2)"},
		{{.raft_term = 8, .raft_applied_index = 100}, "it has no leader"},
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 100, .learner = true},
		 "it is a learner, expected a voting member"},
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 100, .errors = "CORRUPT"},
		 "it reports: CORRUPT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char words[256] = "";
		struct text reason = TEXT(words);

		assert_int_equal(healing_member_caught_up(&before, &cases[i].member, &reason),
				 !*cases[i].reason);
		assert_string_equal(words, cases[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_caught_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
