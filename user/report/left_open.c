// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/left_open.h"

#include "base/clock.h"
#include "report/journal_record.h"

#include <inttypes.h>
#include <string.h>

/* A cut is found within 3 s, also when the store has to find another leader meanwhile. */
#define CUT_NS (10 * NS_PER_S)
/* Loss of 1 % shows in a few hundred heartbeats, and the rules of a finding look at windows. */
#define SLOW_NS (60 * NS_PER_S)

static void add(struct left_open *left, enum left_kind kind, const struct incident *incident,
		const struct incident_member *member)
{
	struct left *one = &left->list[left->count];

	if (left->count == LEFT_OPEN_MAX) {
		left->left_out++;
		return;
	}
	*one = (struct left){.kind = kind, .edge_state = member->edge_state};
	incident_copy_name(one->name, member->name);
	incident_copy_name(one->class, incident->class);
	left->count++;
}

static void on_wait(void *context, const struct incident *incident,
		    const struct incident_member *member, unsigned int waits)
{
	struct left_open *left = context;

	if (!waits)
		add(left, LEFT_FINDING, incident, member);
	if (waits & INCIDENT_WAITS_FOR_EDGE)
		add(left, LEFT_EDGE, incident, member);
	if (waits & INCIDENT_WAITS_FOR_VERDICT)
		add(left, LEFT_VERDICT, incident, member);
	if (waits & INCIDENT_WAITS_FOR_RELEASE)
		add(left, LEFT_ISOLATION, incident, member);
}

void left_open_add(struct left_open *left, const struct incidents *incidents)
{
	incidents_each_wait(incidents, on_wait, left);
}

bool left_is_open(const struct left *left, const struct incidents *incidents)
{
	static const unsigned int bits[LEFT_KINDS] = {
		[LEFT_EDGE] = INCIDENT_WAITS_FOR_EDGE,
		[LEFT_VERDICT] = INCIDENT_WAITS_FOR_VERDICT,
		[LEFT_ISOLATION] = INCIDENT_WAITS_FOR_RELEASE,
	};

	if (left->kind == LEFT_FINDING)
		return incidents_has_finding(incidents, left->class, left->name);
	return incidents_waits_for(incidents, left->name) & bits[left->kind];
}

/* How long it takes at most to find that it is not over. */
static uint64_t needed_ns(const struct left *left)
{
	if (left->word == LEFT_GONE || left->kind == LEFT_FINDING)
		return SLOW_NS;
	/* The store's word is all there is to know. */
	if (left->kind == LEFT_ISOLATION)
		return 0;
	if (left->kind == LEFT_EDGE ? left->edge_state == EDGE_LOSSY
				    : !strcmp(left->class, "lossy-link"))
		return SLOW_NS;
	return CUT_NS;
}

enum left_end left_judge(struct left *left, enum left_word word, uint64_t now_ns)
{
	if (word == LEFT_BAD)
		return LEFT_DROPPED;
	if (word != left->word) {
		left->word = word;
		left->since_ns = now_ns;
	}
	return word != LEFT_UNKNOWN && now_ns - left->since_ns >= needed_ns(left) ? LEFT_ENDED
										  : LEFT_STAYS;
}

void left_explain(const struct left *left, uint64_t last_time_ns, uint64_t now_ns,
		  struct text *sentence)
{
	static const char *const words[LEFT_KINDS][2] = {
		[LEFT_EDGE] = {"heard and healthy", "no peer of this node"},
		[LEFT_VERDICT] = {"no verdict of the cluster about it", "no member of the cluster"},
		[LEFT_ISOLATION] = {"not isolated by the store's word", "no member of the cluster"},
		[LEFT_FINDING] = {"not found again", "not looked for"},
	};
	char time[CLOCK_TEXT_MAX];

	clock_format_utc(last_time_ns, time);
	text_printf(
		sentence,
		"%s while the agent was away, some time after %s: %s for the last %" PRIu64 " s",
		left->word == LEFT_GONE ? "went out of sight" : "recovered", time,
		words[left->kind][left->word == LEFT_GONE], (now_ns - left->since_ns) / NS_PER_S);
}

json_t *left_record(const struct left *left, const char *sentence, uint64_t last_time_ns)
{
	const char *const name = left->name;
	json_t *record = NULL;

	switch (left->kind) {
	case LEFT_EDGE:
		record = journal_edge(name, left->edge_state, EDGE_HEALTHY, sentence, 0);
		break;
	case LEFT_VERDICT:
		record = journal_verdict(&(struct journal_verdict){
			.subject = {&name, 1}, .class = "healthy", .sentence = sentence});
		break;
	case LEFT_ISOLATION:
		record = journal_release(name, sentence);
		break;
	case LEFT_FINDING:
		record = journal_finding(left->class, name, false, sentence, 0);
		break;
	case LEFT_KINDS:
		break;
	}
	return journal_unseen(record, last_time_ns);
}
