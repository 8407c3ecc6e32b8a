// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/cluster.h"

#include "agent/acting.h"
#include "agent/agent.h"
#include "agent/cluster_members.h"
#include "agent/cluster_store.h"
#include "agent/findings.h"
#include "agent/journal.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* While all is quiet the view is judged so often, for what changes by time alone. */
#define JUDGE_QUIET_NS (500 * NS_PER_MS)
#define PAUSE_CHECK_NS NS_PER_S
/* One whose renewal has not been answered for so long may be the one who is cut off, before the
 * store counts as lost: it does not speak for the cluster. */
#define RENEWED_LATE_NS (300 * NS_PER_MS)
/* A row is not written again because of a little more or less distrust: only by steps of this. */
#define DISTRUST_STEP 0.25
/* Members that join or leave are taken in by all within this time: they wait for more for half a
 * second, are told by the store, and tell it. */
#define AGREE_NS (2 * NS_PER_S)

/* ---- this node's row ---- */

static void read_boot_id(char boot_id[static ROW_BOOT_ID_MAX])
{
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!stream || !fgets(boot_id, ROW_BOOT_ID_MAX, stream))
		(void)text_copy(boot_id, ROW_BOOT_ID_MAX, "unknown");
	boot_id[strcspn(boot_id, "\n")] = '\0';
	if (stream)
		fclose(stream);
}

static enum row_word word_of(const struct peer *peer)
{
	static const enum row_word words[EDGE_STATES] = {
		[EDGE_HEALTHY] = ROW_WORD_HEALTHY,	 [EDGE_LOSSY] = ROW_WORD_LOSSY,
		[EDGE_SUSPECT] = ROW_WORD_SUSPECT,	 [EDGE_UNREACHABLE] = ROW_WORD_UNREACHABLE,
		[EDGE_EGRESS_CUT] = ROW_WORD_EGRESS_CUT, [EDGE_INGRESS_CUT] = ROW_WORD_INGRESS_CUT,
	};

	if (!peer)
		return ROW_WORD_NONE;
	if (peer->edge.state <= EDGE_LOSSY && peer->edge.agent_silent)
		return ROW_WORD_AGENT_SILENT;
	/* A new edge is healthy until shown otherwise; to others it is said when it was heard. */
	if (peer->edge.state == EDGE_HEALTHY && !peer->evidence.heartbeat.heard_ns &&
	    !peer->evidence.tcp.heard_ns && !peer->evidence.connect.answer_ns)
		return ROW_WORD_NONE;
	return words[peer->edge.state];
}

/* Brings the row up to date; returns whether it says anything new. */
static bool compose_row(struct cluster *cluster)
{
	const struct agent *agent = cluster->agent;
	double distrust = (double)(int)(agent->self.distrust / DISTRUST_STEP) * DISTRUST_STEP;
	uint32_t flags = (agent->alone ? ROW_FLAG_ALONE : 0) |
			 (agent->carrier_down ? ROW_FLAG_CARRIER_DOWN : 0) |
			 (agent_is_blind(agent) ? ROW_FLAG_BLIND : 0) |
			 (cluster->paused ? ROW_FLAG_PAUSED : 0) |
			 (acting_is_fenced(cluster->acting) ? ROW_FLAG_FENCED : 0) |
			 cluster->leaving_flags;
	bool news = flags != cluster->row.flags || distrust != cluster->row.distrust_ratio ||
		    cluster->row.members != cluster->membership.hash;

	cluster->row.members = cluster->membership.hash;
	cluster->row.member = cluster->self;
	for (uint32_t slot = 0; slot < cluster_slots(cluster); slot++) {
		uint8_t word = (uint8_t)word_of(agent->peers.nodes[cluster->node_of_slot[slot]]);

		news |= word != cluster->words[slot];
		cluster->words[slot] = word;
	}
	news |= agent_findings_row(agent->findings, &cluster->row);
	cluster->row.flags = flags;
	cluster->row.distrust_ratio = distrust;
	return news;
}

static void publish_row(struct cluster *cluster, uint64_t now_ns)
{
	char data[STORE_ROW_BYTES_MAX];
	uint64_t period_ns = row_period_ns(cluster->membership.count);
	bool news = compose_row(cluster);
	int length;

	if (!news && cluster->put_ns && now_ns - cluster->put_ns < period_ns &&
	    !view_must_confirm(&cluster->view, cluster->self, now_ns))
		return;
	cluster->row.sequence++;
	cluster->row.considered_revision = view_considered(&cluster->view, cluster->self, now_ns);
	cluster->agent->decisions.row_writes++;
	cluster->put_ns = now_ns;
	length = row_encode(&cluster->row, &cluster->membership, data, sizeof(data));
	if (length < 0) {
		log_error("this node's row cannot be written", log_errno("error", length));
		return;
	}
	/* One's own word is known before the store brings it back. */
	cluster->dirty |= view_put(&cluster->view, &cluster->row, VIEW_REVISION_NONE, now_ns);
	store_put_row(cluster->store, data, (size_t)length);
}

uint32_t cluster_reach(const struct cluster *cluster)
{
	uint32_t reach = 1;

	for (uint32_t slot = 0; slot < cluster_slots(cluster); slot++) {
		enum row_word word = (enum row_word)cluster->words[slot];

		/* Suspicion is not loss yet; what is not known yet is not, either. */
		reach += word != ROW_WORD_UNREACHABLE && word != ROW_WORD_EGRESS_CUT &&
			 word != ROW_WORD_INGRESS_CUT;
	}
	/* Those that are not observed are as the observed ones are, for the most part. */
	if (cluster_slots(cluster) + 1 < cluster->membership.count)
		reach = (uint32_t)((uint64_t)reach * cluster->membership.count /
				   (cluster_slots(cluster) + 1));
	return reach;
}

bool cluster_leave(struct cluster *cluster, bool halting)
{
	if (!store_state(cluster->store)->connected || !cluster_slots(cluster))
		return false;
	cluster->leaving_flags = ROW_FLAG_STOPPING | (halting ? ROW_FLAG_HALTING : 0);
	cluster->leaving_sequence = cluster->row.sequence + 1;
	publish_row(cluster, clock_boottime_ns());
	return true;
}

/* ---- what the store tells ---- */

/*
 * What this node says is known here before it is there, also when the store has lost it (its lease
 * has ended, or somebody has deleted it: then the store writes it again by itself), and also when
 * an earlier agent of this node wrote it.
 */
static void on_own_row(struct cluster *cluster, const void *data, size_t size_bytes,
		       uint64_t revision)
{
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct row row = {.words = words};
	char reason[256] = "";
	struct text error = TEXT(reason);

	if (!data || row_decode(&row, &cluster->membership, data, size_bytes, &error) ||
	    row.member != cluster->self)
		return;
	view_written(&cluster->view, &row, revision);
	cluster->dirty = true;
	if (cluster->leaving_flags && row.epoch == cluster->row.epoch &&
	    row.sequence >= cluster->leaving_sequence)
		agent_left(cluster->agent);
}

static void on_row(void *context, const char *node, const void *data, size_t size_bytes,
		   uint64_t revision)
{
	struct cluster *cluster = context;
	uint8_t words[MEMBERSHIP_SLOTS_MAX];
	struct row row = {.words = words};
	int64_t member = membership_find(&cluster->membership, node);
	uint64_t now_ns = clock_boottime_ns();
	char reason[256] = "";
	struct text error = TEXT(reason);

	if (member < 0) {
		log_debug("row of a node that is not configured here", log_string("node", node));
		return;
	}
	if ((uint32_t)member == cluster->self) {
		on_own_row(cluster, data, size_bytes, revision);
		return;
	}
	if (!data) {
		view_drop(&cluster->view, (uint32_t)member, now_ns);
		cluster->dirty = true;
		return;
	}
	if (row_decode(&row, &cluster->membership, data, size_bytes, &error) ||
	    row.member != (uint32_t)member) {
		log_warning("row cannot be read", log_string("node", node),
			    log_string("reason", *reason ? reason : "it names another node"),
			    log_string("consequence", "this node counts as silent"));
		view_drop(&cluster->view, (uint32_t)member, now_ns);
		cluster->dirty = true;
		return;
	}
	/* Where the store knows them it is so for a moment whenever one joins or leaves. */
	if (row.members != cluster->membership.hash && !cluster->view.rows[member].other_members)
		log_fields(
			cluster->agent->config.kubernetes.has_members ? LOG_LEVEL_DEBUG
								      : LOG_LEVEL_WARNING,
			"a node has other members", log_string("node", node),
			log_string("consequence", "what it says is not counted until both agree"));
	cluster->dirty |= view_put(&cluster->view, &row, revision, now_ns);
}

static void on_isolation(void *context, const char *node, const void *data, size_t size_bytes,
			 uint64_t revision)
{
	struct cluster *cluster = context;
	int64_t member = membership_find(&cluster->membership, node);

	if (member >= 0)
		acting_take_record(cluster->acting, (uint32_t)member, data, size_bytes, revision);
	cluster->dirty = true;
}

static void on_reset(void *context)
{
	struct cluster *cluster = context;

	view_reset(&cluster->view);
	acting_reset(cluster->acting);
	cluster->synced = false;
	/* One's own row is not only known from there. */
	if (cluster->put_ns)
		view_unwritten(&cluster->view, cluster->self);
}

static void on_synced(void *context)
{
	struct cluster *cluster = context;

	cluster->synced = true;
	cluster->dirty = true;
	acting_synced(cluster->acting);
}

static void on_changed(void *context, const struct store_state *state)
{
	struct cluster *cluster = context;
	const char *actor = *state->actor_name ? state->actor_name : "none";
	bool was_connected = cluster->connected;

	cluster->dirty = true;
	cluster->agent->decisions.store_connects += state->connected && !was_connected;
	cluster->connected = state->connected;
	if (state->connected && was_connected)
		log_info("actor changed", log_string("actor", actor),
			 log_unsigned("monotonic_ns", clock_monotonic_ns()));
	else if (state->connected)
		log_info("store connected", log_unsigned("lease_ms", state->lease_ns / NS_PER_MS),
			 log_string("actor", actor),
			 log_unsigned("monotonic_ns", clock_monotonic_ns()));
	else if (was_connected)
		log_warning("store not connected", log_string("reason", state->reason),
			    log_string("consequence", "nothing is shared, and nobody is isolated"),
			    log_unsigned("monotonic_ns", clock_monotonic_ns()));
}

static void on_committed(void *context, const char *node, enum store_commit_result result)
{
	struct cluster *cluster = context;

	acting_committed(cluster->acting, node, result);
}

/* ---- verdicts ---- */

static void tell_verdict(struct cluster *cluster, const struct standing *standing,
			 const char *class, const char *sentence, const struct verdict *verdict)
{
	const char *names[VERDICT_WITNESSES_MAX * 2] = {NULL}, *witnesses[VERDICT_WITNESSES_MAX];
	uint32_t shown = 0, witness_count = 0;
	char subjects[512] = "";
	struct text text = TEXT(subjects);
	uint64_t now_ns = clock_boottime_ns();

	for (; shown < standing->subject_count && shown < VERDICT_WITNESSES_MAX * 2; shown++) {
		names[shown] = cluster->membership.members[standing->subjects[shown]].name;
		text_printf(&text, "%s%s", shown ? "," : "", names[shown]);
	}
	for (; verdict && witness_count < verdict->witness_count &&
	       witness_count < VERDICT_WITNESSES_MAX;
	     witness_count++)
		witnesses[witness_count] =
			cluster->membership.members[verdict->witnesses[witness_count]].name;
	log_fields(verdict ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
		   verdict ? "verdict" : "verdict cleared", log_string("class", class),
		   log_string("subjects", subjects), log_string("sentence", sentence),
		   log_unsigned("monotonic_ns", clock_monotonic_ns()));
	/* Not an incident of the node: one may stand beside it. */
	if (standing->class == VERDICT_SERVICE_DOWN) {
		agent_journal(cluster->agent, journal_finding(class, names[0], verdict, sentence,
							      now_ns - standing->evidence_ns));
		return;
	}
	agent_journal(cluster->agent,
		      journal_verdict(&(struct journal_verdict){
			      .subject = {names, shown},
			      .class = verdict ? class : "healthy",
			      .sentence = sentence,
			      .witnesses = {witnesses, witness_count},
			      .evidence_age_ns =
				      standing->evidence_ns ? now_ns - standing->evidence_ns : 0,
		      }));
}

static void on_raised(void *context, const struct standing *standing, const struct verdict *verdict)
{
	struct cluster *cluster = context;
	char sentence[512] = "";
	struct text text = TEXT(sentence);

	cluster->agent->decisions.verdicts[standing->class]++;
	verdict_explain(verdict, &cluster->judgement, &cluster->view, clock_boottime_ns(), &text);
	tell_verdict(cluster, standing, verdict_class_name(standing->class), sentence, verdict);
}

static void on_cleared(void *context, const struct standing *standing,
		       const struct verdict *verdict)
{
	struct cluster *cluster = context;
	char sentence[128] = "";
	struct text text = TEXT(sentence);

	(void)verdict;
	text_printf(&text, "stood for %llu ms",
		    (unsigned long long)((standing->last_ns - standing->first_ns) / NS_PER_MS));
	tell_verdict(cluster, standing, verdict_class_name(standing->class), sentence, NULL);
}

static void check_pause(struct cluster *cluster, uint64_t now_ns)
{
	char path[CONFIG_PATH_MAX + 8];
	bool paused;

	if (now_ns < cluster->pause_checked_ns + PAUSE_CHECK_NS)
		return;
	cluster->pause_checked_ns = now_ns;
	snprintf(path, sizeof(path), "%s/pause", cluster->agent->config.state_dir);
	paused = !access(path, F_OK);
	if (paused != cluster->paused)
		log_warning(paused ? "acting is paused" : "acting is not paused any more",
			    log_string("file", path));
	cluster->paused = paused;
}

static bool anybody_paused(const struct cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->membership.count; i++)
		if (cluster->view.rows[i].present && cluster->view.rows[i].flags & ROW_FLAG_PAUSED)
			return true;
	return cluster->paused || store_state(cluster->store)->paused;
}

/* While most have not taken in yet who has joined or left, what was raised stands: but not for
 * longer than that takes. */
static bool agree_on_members(struct cluster *cluster, uint64_t now_ns)
{
	if (!view_disagrees(&cluster->view, now_ns))
		cluster->disagrees_ns = 0;
	else if (!cluster->disagrees_ns)
		cluster->disagrees_ns = now_ns;
	return !cluster->disagrees_ns || now_ns >= cluster->disagrees_ns + AGREE_NS;
}

bool cluster_turn(struct cluster *cluster)
{
	const struct store_state *state = store_state(cluster->store);
	uint64_t now_ns = clock_boottime_ns();
	bool busy = cluster->verdicts.count || cluster->judgement.pending;

	check_pause(cluster, now_ns);
	publish_row(cluster, now_ns);
	acting_turn(cluster->acting, now_ns);
	if (!cluster->dirty && !busy && now_ns < cluster->judged_ns + JUDGE_QUIET_NS)
		return false;
	cluster->dirty = false;
	cluster->judged_ns = now_ns;
	/* Without the store the view is of the past: what was raised stands until it is back. */
	if (!state->connected || !cluster->synced ||
	    (state->renewed_ns &&
	     now_ns > state->renewed_ns + state->renew_interval_ns + RENEWED_LATE_NS)) {
		cluster->view.stalled_ns = now_ns;
		return false;
	}
	if (!agree_on_members(cluster, now_ns))
		return true;
	classify(&cluster->classifier, &cluster->view, now_ns, &cluster->judgement);
	verdicts_update(&cluster->verdicts, &cluster->judgement, now_ns, on_raised, on_cleared,
			cluster);
	acting_decide(cluster->acting, now_ns, anybody_paused(cluster));
	return cluster->judgement.pending || cluster->verdicts.count;
}

/* ---- opening and closing ---- */

int cluster_open(struct cluster **ret_cluster, struct agent *agent, struct text *error)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));
	const struct store_handlers handlers = {
		.context = cluster,
		.row = on_row,
		.isolation = on_isolation,
		.reset = on_reset,
		.synced = on_synced,
		.changed = on_changed,
		.committed = on_committed,
	};
	int r = -ENOMEM;

	*ret_cluster = NULL;
	if (!cluster)
		goto failed;
	cluster->agent = agent;
	r = cluster_init_members(cluster) ?: acting_open(&cluster->acting, cluster);
	if (r)
		goto failed;
	cluster->row = (struct row){.epoch = clock_realtime_ns(), .words = cluster->words};
	memcpy(cluster->row.node, agent->config.node, sizeof(cluster->row.node));
	read_boot_id(cluster->row.boot_id);
	r = cluster_open_store(cluster, &handlers, error);
	if (r)
		goto failed;
	store_campaign(cluster->store, agent->config.mode != CONFIG_MODE_OBSERVE);
	*ret_cluster = cluster;
	return 0;

failed:
	if (r == -ENOMEM)
		text_printf(error, "out of memory");
	cluster_close(cluster);
	return r;
}

enum cluster_change cluster_compare(const struct config *one, const struct config *other)
{
	if (strcmp(one->node, other->node) != 0 || !one->node_count != !other->node_count ||
	    cluster_stores_differ(one, other))
		return CLUSTER_OTHER;
	return cluster_members_differ(one, other) ? CLUSTER_MEMBERS : CLUSTER_SAME;
}

int cluster_reload(struct cluster *cluster, enum cluster_change change)
{
	int r = 0;

	if (change == CLUSTER_MEMBERS &&
	    !store_tell_again(cluster->store, cluster->agent->config.node_count))
		r = -EOPNOTSUPP;
	if (!r && change == CLUSTER_MEMBERS)
		r = cluster_renumber(cluster, on_cleared);
	if (r)
		return r;
	store_campaign(cluster->store, cluster->agent->config.mode != CONFIG_MODE_OBSERVE);
	acting_reload(cluster->acting);
	/* What follows from the verdicts may be something else now. */
	cluster->dirty = true;
	return 0;
}

void cluster_snapshot(const struct cluster *cluster, struct snapshot_cluster *ret)
{
	*ret = (struct snapshot_cluster){
		.membership = &cluster->membership,
		.view = &cluster->view,
		.judgement = &cluster->judgement,
		.verdicts = &cluster->verdicts,
		.actor = acting_actor(cluster->acting),
		.store = store_state(cluster->store),
		.store_kind = cluster->kind,
		.mode = cluster->agent->config.mode,
		.self = cluster->self,
		.synced = cluster->synced,
		.paused = anybody_paused(cluster),
		.fenced = acting_is_fenced(cluster->acting),
		.hold_down_ms = cluster->agent->config.isolation.hold_down_ms,
		.now_ns = clock_boottime_ns(),
	};
}

void cluster_close(struct cluster *cluster)
{
	if (!cluster)
		return;
	store_close(cluster->store);
	acting_close(cluster->acting);
	verdicts_free(&cluster->verdicts);
	cluster_free_members(cluster);
	free(cluster);
}
