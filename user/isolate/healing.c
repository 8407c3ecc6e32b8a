// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/healing.h"

bool healing_member_caught_up(const struct etcd_member *other_before,
			      const struct etcd_member *member, struct text *reason)
{
	if (member->learner)
		text_printf(reason, "it is a learner, expected a voting member");
	else if (*member->errors)
		text_printf(reason, "it reports: %s", member->errors);
	else if (!member->leader)
		text_printf(reason, "it has no leader");
	else if (member->leader != other_before->leader)
		text_printf(reason, "it follows another leader (%llx) than the others (%llx)",
			    (unsigned long long)member->leader,
			    (unsigned long long)other_before->leader);
	else if (member->raft_term != other_before->raft_term)
		text_printf(reason, "it is in term %llu, the others in %llu",
			    (unsigned long long)member->raft_term,
			    (unsigned long long)other_before->raft_term);
	else if (member->raft_applied_index < other_before->raft_index)
		text_printf(reason, "it has applied its log up to %llu, expected %llu or more",
			    (unsigned long long)member->raft_applied_index,
			    (unsigned long long)other_before->raft_index);
	else
		return true;
	return false;
}
