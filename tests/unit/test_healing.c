// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When a healed node's member of etcd has caught up. */
#include "isolate/healing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void expect(const struct etcd_member *others, size_t count, const struct etcd_member *member,
		   const char *reason)
{
	char words[256] = "";
	struct text text = TEXT(words);

	assert_int_equal(healing_member_caught_up(others, count, member, &text), !*reason);
	assert_string_equal(words, reason);
}

#define BEHIND "it has not applied all that the others had committed before"

static void test_member(void **state)
{
	static const struct etcd_member leader = {
		.member_id = 2, .leader = 2, .raft_term = 7, .raft_index = 100};
	static const struct {
		struct etcd_member member;
		const char *reason;
	} cases[] = {
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 100}, ""},
		{{.leader = 2, .raft_term = 7, .raft_applied_index = 140}, ""},
		{{.leader = 2, .raft_term = 7, .raft_index = 130, .raft_applied_index = 99},
		 BEHIND},
		{{.leader = 2, .raft_term = 6, .raft_applied_index = 100},
		 "it is in term 6, the others in 7"},
		{{.leader = 2, .raft_term = 8, .raft_applied_index = 100},
		 "it is in term 8, the others in 7"},
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
		struct etcd_member member = cases[i].member;

		member.member_id = 1;
		expect(&leader, 1, &member, cases[i].reason);
	}
}

/* Which of the others' answers it is compared with. */
static void test_others(void **state)
{
	static const struct etcd_member
		/* the healed one, and itself by another address */
		healed = {.member_id = 1, .leader = 2, .raft_term = 7, .raft_applied_index = 100},
		itself = {.member_id = 1, .leader = 2, .raft_term = 7, .raft_index = 900},
		leader = {.member_id = 2, .leader = 2, .raft_term = 7, .raft_index = 100},
		leader_ahead = {.member_id = 2, .leader = 2, .raft_term = 7, .raft_index = 101},
		follower = {.member_id = 3, .leader = 2, .raft_term = 7, .raft_index = 90},
		follower_ahead = {.member_id = 4, .leader = 2, .raft_term = 7, .raft_index = 101},
		stale_leader = {.member_id = 5, .leader = 5, .raft_term = 6, .raft_index = 990},
		leaderless = {.member_id = 6, .raft_term = 9, .raft_index = 990};
	static const struct {
		const struct etcd_member *others[3];
		const char *reason;
	} cases[] = {
		{{&leader, &follower}, ""},
		{{&follower, &leader_ahead}, BEHIND},
		{{&leader_ahead, &follower}, BEHIND},
		/* The leader knows what counts. */
		{{&follower_ahead, &leader}, ""},
		{{&leader, &follower_ahead}, ""},
		/* Without its answer the furthest counts. */
		{{&follower}, ""},
		{{&follower, &follower_ahead}, BEHIND},
		{{&follower_ahead, &follower}, BEHIND},
		{{&stale_leader, &leader}, ""},
		{{&follower, &stale_leader}, ""},
		{{&stale_leader}, "it is in term 7, the others in 6"},
		{{&leaderless, &leader}, ""},
		{{&itself, &leader}, ""},
		{{&leaderless, &itself}, "no other member that has a leader answers"},
		{{NULL}, "no other member that has a leader answers"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct etcd_member others[3];
		size_t count = 0;

		while (count < 3 && cases[i].others[count]) {
			others[count] = *cases[i].others[count];
			count++;
		}
		expect(others, count, &healed, cases[i].reason);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_member),
		cmocka_unit_test(test_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
