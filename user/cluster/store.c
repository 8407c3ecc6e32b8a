// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/store.h"

#include "base/log.h"

#include <string.h>

void store_tell_state(struct store *store, const struct store_state *before, const char *endpoint,
		      uint64_t election_revision)
{
	const struct store_state *state = &store->state;

	if (state->connected && !before->connected)
		log_info("store connected", log_string("endpoint", endpoint));
	if (state->actor != before->actor)
		log_info(state->actor ? "elected to act" : "not acting any more",
			 log_unsigned("revision", election_revision));
	if (state->connected != before->connected || state->actor != before->actor ||
	    state->actor_revision != before->actor_revision ||
	    strcmp(state->actor_name, before->actor_name) != 0)
		store->handlers.changed(store->handlers.context, state);
}
