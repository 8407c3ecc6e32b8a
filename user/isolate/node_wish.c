// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/node_wish.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* CONDITION_NONE: it is none. */
static const enum condition_kind condition_of_finding[FINDING_KINDS] = {
	[FINDING_DISK_STALLED] = CONDITION_DISK_STALLED,
	[FINDING_DISK_HUNG_REQUEST] = CONDITION_DISK_STALLED,
	[FINDING_DISK_SLOW] = CONDITION_DISK_SLOW,
	[FINDING_CPU_OVERLOAD] = CONDITION_OVERLOADED,
	[FINDING_MEMORY_PRESSURE] = CONDITION_OVERLOADED,
	[FINDING_IO_PRESSURE] = CONDITION_OVERLOADED,
};

static const enum condition_kind condition_of_verdict[VERDICT_CLASSES] = {
	[VERDICT_NODE_ISOLATED] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_NODE_UNREACHABLE] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_ONE_WAY] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_COMPLETE_PARTITION] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_ZONE_CUT] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_PARTIAL_PARTITION] = CONDITION_NETWORK_PARTITIONED,
	[VERDICT_LOSSY_LINK] = CONDITION_NETWORK_DEGRADED,
};

/* 'subject': what of the node it is about, "": that is clear. */
static void hold(struct condition_wish *wish, const char *name, const char *subject,
		 const char *message)
{
	/* The first that is found is told. */
	if (wish->holds)
		return;
	wish->holds = true;
	condition_reason(name, wish->reason);
	snprintf(wish->message, sizeof(wish->message), "%s%s%s", subject, *subject ? ": " : "",
		 message);
}

void node_wish_findings(struct node_wish *wish, const struct findings *findings,
			const struct finding_settings settings[FINDING_KINDS])
{
	wish->taints_unhealthy = true;
	for (unsigned int kind = CONDITION_DISK_STALLED; kind <= CONDITION_OVERLOADED; kind++)
		wish->conditions[kind].mine = true;
	for (unsigned int i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->standing[i];
		enum condition_kind condition = condition_of_finding[finding->kind];
		bool of_node = !strcmp(finding->subject, FINDING_SUBJECT_NODE);
		const char *name = finding_kind_name(finding->kind);

		if (settings[finding->kind].response == FINDING_RESPONSE_NO_SCHEDULE &&
		    !wish->unhealthy.parts) {
			wish->unhealthy.parts = TAINT_NO_SCHEDULE;
			wish->unhealthy.value = name;
		}
		/* One container that has no room left within its own limit does not overload its
		 * node. */
		if (condition == CONDITION_OVERLOADED && !of_node)
			continue;
		if (condition != CONDITION_NONE &&
		    settings[finding->kind].response >= FINDING_RESPONSE_ROW)
			hold(&wish->conditions[condition], name, of_node ? "" : finding->subject,
			     finding->sentence);
	}
}

/* A standing verdict in words, also one that the last judgement did not say again. */
static void explain(const struct verdicts *verdicts, const struct standing *standing,
		    const struct judgement *judgement, const struct view *view, uint64_t now_ns,
		    struct text *text)
{
	for (unsigned int i = 0; i < judgement->verdict_count; i++)
		if (verdicts_find(verdicts, &judgement->verdicts[i]) == standing)
			verdict_explain(&judgement->verdicts[i], judgement, view, now_ns, text);
	if (!text->length)
		verdict_explain_past(standing->class, standing->subjects, standing->subject_count,
				     view, text);
}

void node_wish_verdicts(struct node_wish *wish, const struct verdicts *verdicts,
			const struct judgement *judgement, const struct view *view, uint32_t member,
			uint64_t now_ns)
{
	for (unsigned int i = 0; i < verdicts->count; i++) {
		const struct standing *standing = &verdicts->standing[i];
		enum condition_kind condition = condition_of_verdict[standing->class];
		char message[512] = "";
		struct text text = TEXT(message);
		bool is_subject = false;

		for (uint32_t j = 0; j < standing->subject_count; j++)
			is_subject |= standing->subjects[j] == member;
		if (!standing->raised || condition == CONDITION_NONE || !is_subject)
			continue;
		explain(verdicts, standing, judgement, view, now_ns, &text);
		hold(&wish->conditions[condition], verdict_class_name(standing->class), "",
		     message);
	}
}

void node_wish_claim_network(struct node_wish *wish, const json_t *node)
{
	for (unsigned int kind = CONDITION_NETWORK_PARTITIONED; kind <= CONDITION_NETWORK_DEGRADED;
	     kind++)
		wish->conditions[kind].mine =
			wish->conditions[kind].holds || condition_is_shown(node, kind);
}
