// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/healing.h"

static bool is_leader(const struct etcd_member *member)
{
	return member->leader == member->member_id;
}

/* A leader that was cut off takes itself for one, in an older term. */
static bool tells_more(const struct etcd_member *a, const struct etcd_member *b)
{
	if (a->raft_term != b->raft_term)
		return a->raft_term > b->raft_term;
	if (is_leader(a) != is_leader(b))
		return is_leader(a);
	return a->raft_index > b->raft_index;
}

static const struct etcd_member *choose_other(const struct etcd_member *others, size_t count,
					      const struct etcd_member *member)
{
	const struct etcd_member *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (others[i].leader && others[i].member_id != member->member_id &&
		    (!best || tells_more(&others[i], best)))
			best = &others[i];
	return best;
}

bool healing_member_caught_up(const struct etcd_member *others, size_t count,
			      const struct etcd_member *member, struct text *reason)
{
	const struct etcd_member *other = choose_other(others, count, member);

	if (member->learner)
		text_printf(reason, "it is a learner, expected a voting member");
	else if (*member->errors)
		text_printf(reason, "it reports: %s", member->errors);
	else if (!member->leader)
		text_printf(reason, "it has no leader");
	else if (!other)
		text_printf(reason, "no other member that has a leader answers");
	else if (member->raft_term != other->raft_term)
		text_printf(reason, "it is in term %llu, the others in %llu",
			    (unsigned long long)member->raft_term,
			    (unsigned long long)other->raft_term);
	else if (member->leader != other->leader)
		text_printf(reason, "it follows another leader (%llx) than the others (%llx)",
			    (unsigned long long)member->leader, (unsigned long long)other->leader);
	else if (member->raft_applied_index < other->raft_index)
		/* No numbers: while it catches up they change with each answer, and this is told
		 * once. */
		text_printf(reason, "it has not applied all that the others had committed before");
	else
		return true;
	return false;
}
