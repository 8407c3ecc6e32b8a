// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/acting.h"

#include "agent/agent.h"
#include "agent/cluster.h"
#include "agent/fencing.h"
#include "agent/healing.h"
#include "agent/journal.h"
#include "agent/member_check.h"
#include "agent/node_objects.h"
#include "base/clock.h"
#include "base/log.h"
#include "isolate/self_fence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct acting {
	struct cluster *cluster;
	struct actor actor;
	struct actor_case last_case; /* of the last decision: what a person's wish is judged by */
	bool *hosts_store;	     /* by member */
	bool *left_alone;	     /* likewise */
	uint32_t store_members;
	bool withdrawn; /* from the election */
	struct self_fence self_fence;
	struct fencing *fencing;
	struct member_check *member_check;
	struct healing *healing;
	bool known;  /* the records were told as a whole at least once */
	bool closed; /* this node is isolated, or has fenced itself; until its fence is down */
};

static const char *name_of(const struct acting *acting, uint32_t member)
{
	return acting->cluster->membership.members[member].name;
}

static const struct config *config_of(const struct acting *acting)
{
	return &acting->cluster->agent->config;
}

/* ---- writing records ---- */

/* Asks the store to write a member's record. */
static int commit_record(struct acting *acting, uint32_t member,
			 const struct isolation_record *record)
{
	const struct actor_record *known = actor_find_record(&acting->actor, member);
	char data[STORE_RECORD_BYTES_MAX];
	int length = record_encode(record, data, sizeof(data));

	if (length < 0)
		return length;
	return store_commit(acting->cluster->store, name_of(acting, member), data, (size_t)length,
			    known ? known->revision : 0);
}

static int isolate_member(struct acting *acting, uint32_t member, const char *class,
			  const char *sentence, bool single, bool by_hand)
{
	const struct actor_record *known = actor_find_record(&acting->actor, member);
	struct isolation_record record = known ? known->record : (struct isolation_record){0};

	record_isolate(&record, name_of(acting, member), class, sentence, config_of(acting)->node,
		       single, by_hand, clock_realtime_ns() / NS_PER_MS);
	return commit_record(acting, member, &record);
}

static int release_member(struct acting *acting, uint32_t member, const char *sentence)
{
	const struct actor_record *known = actor_find_record(&acting->actor, member);
	struct isolation_record record;

	if (!known)
		return -ENOENT;
	record = known->record;
	record_release(&record, sentence, config_of(acting)->node, clock_realtime_ns() / NS_PER_MS);
	return commit_record(acting, member, &record);
}

static void tell_failure(struct acting *acting, uint32_t member, int error)
{
	/* -EBUSY: it is being written already. */
	if (!error || error == -EBUSY)
		return;
	log_error("isolation record not written", log_string("node", name_of(acting, member)),
		  log_errno("error", error));
	agent_journal(acting->cluster->agent, journal_action(name_of(acting, member), "record",
							     JOURNAL_FAILED, strerror(-error)));
}

void acting_committed(struct acting *acting, const char *node, enum store_commit_result result)
{
	static const char *const words[] = {
		[STORE_COMMITTED] = "written",
		[STORE_CONFLICT] = "somebody else has written it since",
		[STORE_FENCED] = "this node is not the actor any more",
		[STORE_UNKNOWN] = "the store has not answered",
	};
	bool written = result == STORE_COMMITTED;

	log_fields(written ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "isolation record",
		   log_string("node", node), log_string("outcome", words[result]),
		   log_unsigned("monotonic_ns", clock_monotonic_ns()));
	agent_journal(acting->cluster->agent,
		      journal_action(node, "record", written ? JOURNAL_DONE : JOURNAL_FAILED,
				     words[result]));
}

/* ---- what the actor decides ---- */

static void on_isolate(void *context, const struct verdict *verdict, const uint32_t *members,
		       uint32_t count, bool single)
{
	struct acting *acting = context;
	struct cluster *cluster = acting->cluster;
	bool acts = config_of(acting)->mode == CONFIG_MODE_ENFORCE;
	char sentence[512] = "";
	struct text text = TEXT(sentence);

	verdict_explain(verdict, &cluster->judgement, &cluster->view, acting->last_case.now_ns,
			&text);
	for (uint32_t i = 0; i < count; i++) {
		log_warning(acts ? "isolating" : "would isolate",
			    log_string("node", name_of(acting, members[i])),
			    log_string("class", verdict_class_name(verdict->class)),
			    log_string("sentence", sentence));
		agent_journal(cluster->agent,
			      journal_decision(name_of(acting, members[i]), acts, sentence));
		if (!acts)
			continue;
		tell_failure(acting, members[i],
			     isolate_member(acting, members[i], verdict_class_name(verdict->class),
					    sentence, single, false));
	}
}

static void on_refuse(void *context, const struct verdict *verdict, enum rail rail,
		      const char *reason)
{
	struct acting *acting = context;

	acting->cluster->agent->decisions.refusals[rail]++;
	for (uint32_t i = 0; i < verdict->subject_count && i < VERDICT_WITNESSES_MAX; i++) {
		const char *node = name_of(acting, verdict->subjects[i]);

		log_warning("not isolated", log_string("node", node),
			    log_string("class", verdict_class_name(verdict->class)),
			    log_string("rule", rail_name(rail)), log_string("reason", reason));
		agent_journal(acting->cluster->agent,
			      journal_refusal(node, rail_name(rail), reason));
	}
}

/* It is healed, and nothing else is waited for. */
static void release_healed(struct acting *acting, uint32_t member, uint64_t healthy_ms,
			   const char *more)
{
	char sentence[160] = "";
	struct text text = TEXT(sentence);

	text_printf(&text, "healthy both ways and its lease renewed for %llu ms%s",
		    (unsigned long long)healthy_ms, more);
	tell_failure(acting, member, release_member(acting, member, sentence));
}

/* Its member of the store has been asked; until it has caught up it is asked again. */
static void on_checked(void *context, uint32_t member, const char *reason)
{
	struct acting *acting = context;
	struct actor_record *known = actor_find_record(&acting->actor, member);
	const char *node = name_of(acting, member);
	char kept[sizeof(known->kept)] = "";
	struct text text = TEXT(kept);

	/* It may have been lost again meanwhile, or another may act now. */
	if (!known || !actor_may_release(known, &acting->last_case))
		return;
	text_printf(&text, "%s", reason);
	if (!*kept) {
		release_healed(acting, member,
			       (acting->last_case.now_ns - known->healthy_ns) / NS_PER_MS,
			       "; its member of etcd has caught up");
	} else if (strcmp(known->kept, kept)) {
		log_warning("not released yet", log_string("node", node),
			    log_string("rule", "etcd-member"), log_string("reason", kept));
		agent_journal(acting->cluster->agent, journal_refusal(node, "etcd-member", kept));
	}
	memcpy(known->kept, kept, sizeof(kept));
}

static void on_release(void *context, const struct actor_record *record, uint64_t healthy_ms)
{
	struct acting *acting = context;

	if (config_of(acting)->mode != CONFIG_MODE_ENFORCE ||
	    member_check_ask(acting->member_check, acting->cluster->store, record->member))
		return;
	release_healed(acting, record->member, healthy_ms, "");
}

static void on_forget(void *context, const struct actor_record *record)
{
	struct acting *acting = context;

	tell_failure(acting, record->member,
		     store_commit(acting->cluster->store, name_of(acting, record->member), NULL, 0,
				  record->revision));
}

/*
 * Who is lost to the majority cannot act for it. It withdraws, if it still can; and the others do
 * not wait for its lease to end, which may take longer than all the rest.
 */
static void choose_actor(struct acting *acting)
{
	const struct actor_case *now = &acting->last_case;
	struct store *store = acting->cluster->store;
	const struct store_state *state = store_state(store);
	int64_t actor = membership_find(&acting->cluster->membership, state->actor_name);
	bool withdraws = actor_has_lost(now, now->self);

	if (withdraws != acting->withdrawn)
		store_campaign(store, !withdraws);
	acting->withdrawn = withdraws;
	if (actor >= 0 && actor != now->self && now->store_connected && !withdraws && !now->blind &&
	    now->distrust_ratio <= VIEW_DISTRUST_MAX && actor_has_lost(now, (uint32_t)actor))
		store_depose(store);
}

/* What the Nodes say. The control plane's host the etcd behind the API, as a rule. */
static void read_nodes(struct acting *acting)
{
	const struct membership *membership = &acting->cluster->membership;
	const struct node_objects *objects = acting->cluster->agent->node_objects;

	acting->store_members = 0;
	for (uint32_t i = 0; objects && i < membership->count; i++) {
		const struct node_object *object =
			node_objects_find(objects, membership->members[i].name);

		acting->hosts_store[i] = object && object->control_plane;
		acting->store_members += acting->hosts_store[i];
		acting->left_alone[i] = object && object->paused;
	}
}

void acting_decide(struct acting *acting, uint64_t now_ns, bool paused)
{
	const struct actor_handlers handlers = {acting, on_isolate, on_refuse, on_release,
						on_forget};
	const struct config *config = config_of(acting);
	const struct cluster *cluster = acting->cluster;
	const struct store_state *state = store_state(cluster->store);

	if (cluster->kind == CONFIG_STORE_KUBERNETES)
		read_nodes(acting);
	acting->last_case = (struct actor_case){
		.judgement = &cluster->judgement,
		.view = &cluster->view,
		.verdicts = &cluster->verdicts,
		.self = cluster->self,
		.store_connected = state->connected && cluster->synced,
		.actor = state->actor,
		.blind = agent_is_blind(cluster->agent),
		.distrust_ratio = cluster->agent->self.distrust,
		.paused = paused,
		.advises = config->mode == CONFIG_MODE_ADVISE,
		.hosts_store = acting->hosts_store,
		.left_alone = acting->left_alone,
		.store_members = acting->store_members,
		.store_singly = cluster->kind == CONFIG_STORE_KUBERNETES,
		.max_ratio = config->isolation.max_ratio,
		.settle_ns = config->isolation.settle_ms * NS_PER_MS,
		.interval_ns = config->isolation.interval_ms * NS_PER_MS,
		.hold_down_ms = config->isolation.hold_down_ms,
		.now_ns = now_ns,
		.now_ms = clock_realtime_ns() / NS_PER_MS,
	};
	if (config->mode == CONFIG_MODE_OBSERVE)
		return;
	choose_actor(acting);
	actor_update(&acting->actor, &acting->last_case, &handlers);
}

/* ---- what the store tells ---- */

void acting_take_record(struct acting *acting, uint32_t member, const void *data, size_t size_bytes,
			uint64_t revision)
{
	bool was = actor_is_isolated(&acting->actor, member), is;
	struct isolation_record record;
	char reason[256] = "";
	struct text error = TEXT(reason);

	if (data && record_decode(&record, data, size_bytes, &error)) {
		log_warning("isolation record cannot be read",
			    log_string("node", name_of(acting, member)),
			    log_string("reason", reason));
		return;
	}
	if (actor_take_record(&acting->actor, member, data ? &record : NULL, revision,
			      clock_boottime_ns())) {
		log_error("out of memory for an isolation record",
			  log_string("node", name_of(acting, member)));
		return;
	}
	is = actor_is_isolated(&acting->actor, member);
	if (was == is)
		return;
	/* What is there at the agent's start is no isolation of now. */
	acting->cluster->agent->decisions.isolations += is && acting->known;
	log_warning(is ? "node isolated" : "node released",
		    log_string("node", name_of(acting, member)),
		    log_string("by", data ? record.by : ""),
		    log_string("sentence", data ? record.sentence : ""),
		    log_unsigned("monotonic_ns", clock_monotonic_ns()));
	agent_journal(acting->cluster->agent,
		      is ? journal_action(name_of(acting, member), JOURNAL_ISOLATION, JOURNAL_DONE,
					  record.sentence)
			 : journal_release(name_of(acting, member), data ? record.sentence : ""));
	if (store_state(acting->cluster->store)->actor)
		fencing_run_hook(acting->fencing, is ? "isolate" : "release",
				 name_of(acting, member), data ? record.class : "",
				 data ? record.sentence : "");
	/* Its own record: do not wait for the next turn. */
	if (member == acting->cluster->self)
		acting_turn(acting, clock_boottime_ns());
}

void acting_reset(struct acting *acting)
{
	actor_doubt(&acting->actor);
}

void acting_synced(struct acting *acting)
{
	int64_t member;

	acting->known = true;
	while ((member = actor_find_doubted(&acting->actor)) >= 0)
		acting_take_record(acting, (uint32_t)member, NULL, 0, 0);
}

/* ---- this node's own fence ---- */

bool acting_is_fenced(const struct acting *acting)
{
	return fencing_is_on(acting->fencing);
}

/* Where leases are renewed seldom, silence between two renewals is no loss: as many may fail as of
 * etcd's in the configured time. */
static uint64_t lease_grace_ns(const struct config *config, const struct store_state *state)
{
	uint64_t least_ns = state->renew_interval_ns * 7 / 2;
	uint64_t grace_ns = config->isolation.lease_grace_ms * NS_PER_MS;

	return grace_ns > least_ns ? grace_ns : least_ns;
}

void acting_turn(struct acting *acting, uint64_t now_ns)
{
	struct cluster *cluster = acting->cluster;
	const struct config *config = config_of(acting);
	const struct store_state *state = store_state(cluster->store);
	bool recorded = actor_is_isolated(&acting->actor, cluster->self);
	const struct self_fence_case now = {
		.now_ns = now_ns,
		.nodes = cluster->membership.count,
		.reach = cluster_reach(cluster),
		.renewed_ns = state->renewed_ns,
		.store_connected = state->connected && cluster->synced,
		.blind = agent_is_blind(cluster->agent),
		.distrust_ratio = cluster->agent->self.distrust,
		.paused = cluster->paused,
		.recorded = recorded,
		.lease_grace_ns = lease_grace_ns(config, state),
		.settle_ns = config->isolation.settle_ms * NS_PER_MS,
		.hold_down_ns = config->isolation.hold_down_ms * NS_PER_MS,
	};
	char sentence[256] = "";
	struct text text = TEXT(sentence);
	enum self_fence_step step;
	bool closed;

	if (config->mode == CONFIG_MODE_OBSERVE)
		return;
	step = self_fence_update(&acting->self_fence, &now, &text);
	if (step != SELF_FENCE_STAY) {
		bool closes = step == SELF_FENCE_CLOSE;

		log_warning(closes ? "this node is in the minority"
				   : "this node is back with the majority",
			    log_string("sentence", sentence),
			    log_unsigned("monotonic_ns", clock_monotonic_ns()));
		agent_journal(cluster->agent,
			      journal_decision(config->node, config->mode == CONFIG_MODE_ENFORCE,
					       sentence));
	}
	closed = acting->self_fence.fenced || recorded;
	fencing_set(acting->fencing, closed,
		    recorded ? "isolated by a record in the store" : sentence);
	if (acting->closed && !closed && fencing_is_settled(acting->fencing, false)) {
		acting->closed = false;
		if (config->mode == CONFIG_MODE_ENFORCE)
			healing_run_commands(acting->healing);
	}
	acting->closed |= closed;
}

/* ---- by hand ---- */

int acting_by_hand(struct acting *acting, const char *node, bool isolate, bool force,
		   struct text *answer)
{
	int64_t member = membership_find(&acting->cluster->membership, node);
	struct agent *agent = acting->cluster->agent;
	char reason[256] = "";
	struct text text = TEXT(reason);
	const char *actor_name = store_state(acting->cluster->store)->actor_name;
	struct rails_case wish;
	enum rail rail;
	int r;

	if (member < 0) {
		text_printf(answer, "no node '%s' is configured", node);
		return -ENOENT;
	}
	if (actor_is_isolated(&acting->actor, (uint32_t)member) == isolate) {
		text_printf(answer, "%s is %s", node,
			    isolate ? "isolated already" : "not isolated");
		return -EALREADY;
	}
	if (config_of(acting)->mode != CONFIG_MODE_ENFORCE) {
		text_printf(answer,
			    "refused by the rail 'mode': this agent only observes or advises, "
			    "expected mode: enforce");
		return -EPERM;
	}
	if (!isolate && acting->last_case.judgement &&
	    actor_would_isolate(&acting->last_case, (uint32_t)member)) {
		text_printf(answer,
			    "%s is still cut off and would be isolated again at once; heal it, "
			    "or pause acting (the file 'pause' in state_dir)",
			    node);
		return -EPERM;
	}
	wish = actor_case_by_hand(&acting->actor, &acting->last_case, (uint32_t)member, force);
	/* To release takes only what writing the record takes. */
	wish.force |= !isolate;
	rail = acting->last_case.view ? rails_check(&wish, &text) : RAIL_STORE;
	if (rail != RAIL_NONE) {
		agent->decisions.refusals[rail]++;
		agent_journal(agent, journal_refusal(node, rail_name(rail), reason));
		text_printf(answer, "refused by the rail '%s': %s", rail_name(rail), reason);
		if (rail == RAIL_ACTOR && *actor_name)
			text_printf(answer, "; run this on %s, which is", actor_name);
		else if (rail == RAIL_ACTOR)
			text_printf(answer, "; no node is at the moment, try again");
		return -EPERM;
	}
	log_warning(isolate ? "isolating by hand" : "releasing by hand", log_string("node", node),
		    log_string("force", force ? "yes" : "no"));
	agent_journal(agent, journal_decision(node, true,
					      !isolate ? "released by hand"
					      : force  ? "isolated by hand, rails overridden"
						       : "isolated by hand"));
	r = isolate ? isolate_member(acting, (uint32_t)member, "by-hand", "isolated by hand", true,
				     true)
		    : release_member(acting, (uint32_t)member, "released by hand");
	if (r)
		text_printf(answer, "the record cannot be written: %s", strerror(-r));
	else
		text_printf(answer, "%s is being %s", node, isolate ? "isolated" : "released");
	return r;
}

/* ---- opening and closing ---- */

/* Which members host one of etcd's own: an endpoint with an address of theirs. */
static void find_etcd_hosts(struct acting *acting)
{
	const struct config *config = config_of(acting);
	const struct membership *membership = &acting->cluster->membership;

	for (unsigned int i = 0; i < config->etcd.endpoint_count; i++) {
		struct fence_endpoint endpoint;

		if (fencing_endpoint(config->etcd.endpoints[i], &endpoint))
			continue;
		for (unsigned int j = 0; j < config->node_count; j++) {
			int64_t member = membership_find(membership, config->nodes[j].name);

			for (unsigned int k = 0; k < config->nodes[j].address_count; k++) {
				if (member < 0 || !cidr_contains(&config->nodes[j].addresses[k],
								 &endpoint.address))
					continue;
				acting->store_members += !acting->hosts_store[member];
				acting->hosts_store[member] = true;
				member_check_add_host(acting->member_check, i, (uint32_t)member);
			}
		}
	}
}

/* Filled at each decision, in Kubernetes. */
static int make_room(struct acting *acting, const struct membership *membership)
{
	bool *hosts_store = calloc(membership->count + 1, sizeof(*hosts_store));
	bool *left_alone = calloc(membership->count + 1, sizeof(*left_alone));

	if (!hosts_store || !left_alone) {
		free(hosts_store);
		free(left_alone);
		return -ENOMEM;
	}
	free(acting->hosts_store);
	free(acting->left_alone);
	acting->hosts_store = hosts_store;
	acting->left_alone = left_alone;
	return 0;
}

int acting_open(struct acting **ret_acting, struct cluster *cluster)
{
	struct acting *acting = calloc(1, sizeof(*acting));
	int r;

	*ret_acting = acting;
	if (!acting)
		return -ENOMEM;
	acting->cluster = cluster;
	r = make_room(acting, &cluster->membership);
	if (r)
		return r;
	r = member_check_open(&acting->member_check, config_of(acting), on_checked, acting)
		    ?: fencing_open(&acting->fencing, cluster->agent)
		    ?: healing_open(&acting->healing, cluster->agent);
	if (!r && cluster->kind == CONFIG_STORE_ETCD)
		find_etcd_hosts(acting);
	if (!r)
		/* An agent before this one may have left a fence: it stands until all is well. */
		acting->closed = acting->self_fence.fenced = fencing_is_on(acting->fencing);
	return r;
}

void acting_reload(struct acting *acting)
{
	/* The election has been entered anew, if at all. */
	acting->withdrawn = false;
	if (fencing_reload(acting->fencing))
		log_error("no hook will be run", log_string("reason", "out of memory"));
}

int acting_renumber(struct acting *acting, const struct membership *membership,
		    const uint32_t *places)
{
	int r = make_room(acting, membership);

	if (r)
		return r;
	acting->last_case = (struct actor_case){0};
	actor_renumber(&acting->actor, places);
	return 0;
}

const struct actor *acting_actor(const struct acting *acting)
{
	return &acting->actor;
}

void acting_close(struct acting *acting)
{
	if (!acting)
		return;
	fencing_close(acting->fencing);
	healing_close(acting->healing);
	member_check_close(acting->member_check);
	actor_free(&acting->actor);
	free(acting->hosts_store);
	free(acting->left_alone);
	free(acting);
}
