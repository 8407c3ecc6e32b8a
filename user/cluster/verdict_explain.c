// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A verdict in plain words: what, who says so, and what follows. */
#include "cluster/classify.h"

#include <inttypes.h>
#include <string.h>

/* So many names of a list are written out. */
#define NAMES_MAX 8

static void print_names(const struct view *view, const uint32_t *members, uint32_t count,
			uint32_t listed, struct text *sentence)
{
	uint32_t shown = listed < NAMES_MAX ? listed : NAMES_MAX;

	for (uint32_t i = 0; i < shown; i++)
		text_printf(sentence, "%s%s", i ? ", " : "",
			    view->membership->members[members[i]].name);
	if (count > shown)
		text_printf(sentence, " and %" PRIu32 " more", count - shown);
}

static void print_subjects(const struct verdict *verdict, const struct view *view,
			   struct text *sentence)
{
	print_names(view, verdict->subjects, verdict->subject_count, verdict->subject_count,
		    sentence);
}

static void print_witnesses(const struct verdict *verdict, const struct view *view,
			    struct text *sentence)
{
	uint32_t listed = verdict->witness_count < VERDICT_WITNESSES_MAX ? verdict->witness_count
									 : VERDICT_WITNESSES_MAX;

	text_printf(sentence, "%" PRIu32 " %s so (", verdict->witness_count,
		    verdict->witness_count == 1 ? "node says" : "nodes say");
	print_names(view, verdict->witnesses, verdict->witness_count, listed, sentence);
	text_printf(sentence, ")");
}

/* What is known of the one node that was lost. */
static void print_row_state(const struct verdict *verdict, const struct view *view, uint64_t now_ns,
			    struct text *sentence)
{
	const struct view_row *row = &view->rows[*verdict->subjects];

	if (row->flags & ROW_FLAG_HALTING)
		text_printf(sentence, "; its last row said that the machine is shutting down");
	if (!row->arrived_ns)
		text_printf(sentence, "; it has no row");
	else if (!row->present)
		text_printf(sentence, "; its lease ended %" PRIu64 " ms ago",
			    (now_ns - row->ended_ns) / 1000000);
	else if (verdict->class == VERDICT_NODE_ISOLATED)
		text_printf(sentence, "; it is alive and sees the cut, too");
	else
		text_printf(sentence,
			    "; it has not contradicted, its last row is %" PRIu64 " ms old",
			    (now_ns - row->arrived_ns) / 1000000);
}

static void print_majority(const struct judgement *judgement, const struct view *view,
			   struct text *sentence)
{
	if (judgement->majority_proven)
		text_printf(sentence, "; the majority is %" PRIu32 " of %" PRIu32 " nodes",
			    judgement->majority, view->membership->count);
	else
		text_printf(sentence,
			    "; no majority: the largest side has %" PRIu32 " of %" PRIu32
			    " nodes, %" PRIu32 " are needed",
			    judgement->majority, view->membership->count,
			    membership_quorum(view->membership));
}

static void explain_lost(const struct verdict *verdict, const struct judgement *judgement,
			 const struct view *view, uint64_t now_ns, struct text *sentence)
{
	static const char *const words[VERDICT_CLASSES] = {
		[VERDICT_NODE_DOWN] = " is down",
		[VERDICT_NODE_ISOLATED] = " is cut off",
		[VERDICT_NODE_UNREACHABLE] = " is unreachable, cause unknown",
		[VERDICT_COMPLETE_PARTITION] = " are cut off",
		[VERDICT_ZONE_CUT] = ", all of their zone, are cut off",
	};

	print_subjects(verdict, view, sentence);
	if (verdict->class == VERDICT_ONE_WAY)
		text_printf(sentence, verdict->deaf ? " does not hear the others, they hear it"
						    : " is not heard, but hears the others");
	else
		text_printf(sentence, "%s", words[verdict->class]);
	text_printf(sentence, ": ");
	print_witnesses(verdict, view, sentence);
	if (verdict->subject_count == 1)
		print_row_state(verdict, view, now_ns, sentence);
	print_majority(judgement, view, sentence);
}

static void explain_links(const struct verdict *verdict, const struct view *view,
			  struct text *sentence)
{
	static const char *const words[VERDICT_CLASSES] = {
		[VERDICT_ONE_WAY] = "cut in one direction",
		[VERDICT_PARTIAL_PARTITION] = "cut",
		[VERDICT_LOSSY_LINK] = "lossy",
	};

	text_printf(sentence, "%" PRIu32 " %s %s ", verdict->links,
		    verdict->links == 1 ? "link is" : "links are", words[verdict->class]);
	text_printf(sentence, verdict->class == VERDICT_LOSSY_LINK && verdict->subject_count == 1
				      ? "at "
				      : "between ");
	print_subjects(verdict, view, sentence);
	if (verdict->class == VERDICT_LOSSY_LINK)
		return;
	if (verdict->bridge_count) {
		text_printf(sentence, "; ");
		print_names(view, verdict->bridges, verdict->bridge_count, verdict->bridge_count,
			    sentence);
		text_printf(sentence, " %s both ends",
			    verdict->bridge_count == 1 ? "reaches" : "reach");
	}
	text_printf(sentence, "; no single node explains it, so nobody is isolated");
}

/* What the node's own row said of its load. */
static void print_load(const struct view *view, uint32_t member, uint64_t now_ns,
		       struct text *sentence)
{
	const struct view_row *row = &view->rows[member];
	const struct row_finding *finding = view_load(view, member);

	if (finding)
		text_printf(sentence, "; %s says: %s, %s", view->membership->members[member].name,
			    finding->name, finding->sentence);
	else
		text_printf(
			sentence,
			"; %s says that its agent was not scheduled in time for %.0f %% of late",
			view->membership->members[member].name, row->distrust_ratio * 100);
	if (row->ended_ns)
		text_printf(sentence, " (its lease ended %" PRIu64 " ms ago)",
			    (now_ns - row->ended_ns) / 1000000);
}

static void explain_overload(const struct verdict *verdict, const struct view *view,
			     uint64_t now_ns, struct text *sentence)
{
	print_subjects(verdict, view, sentence);
	text_printf(sentence, " %s too busy to be heard in time, and not cut off: ",
		    verdict->subject_count == 1 ? "is" : "are");
	print_witnesses(verdict, view, sentence);
	print_load(view, *verdict->subjects, now_ns, sentence);
}

static void explain_service(const struct verdict *verdict, const struct view *view,
			    struct text *sentence)
{
	const char *name = finding_kind_name(FINDING_WATCHED_PROCESS_DIED);
	const struct view_row *row = &view->rows[*verdict->subjects];
	unsigned int shown = 0;

	text_printf(sentence, "%s is up, but ", view->membership->members[row - view->rows].name);
	for (unsigned int i = 0; i < row->finding_count; i++) {
		const struct row_finding *finding = &row->findings[i];

		if (strcmp(finding->name, name) != 0)
			continue;
		text_printf(sentence, "%s%s there is down: %s", shown++ ? "; " : "",
			    finding->subject, finding->sentence);
	}
}

void verdict_explain(const struct verdict *verdict, const struct judgement *judgement,
		     const struct view *view, uint64_t now_ns, struct text *sentence)
{
	switch (verdict->class) {
	case VERDICT_VIEW_INCOMPLETE:
		text_printf(sentence,
			    "only %" PRIu32 " of %" PRIu32 " nodes have a row here, %" PRIu32
			    " are needed to judge; missing: ",
			    judgement->current_rows, view->membership->count,
			    membership_quorum(view->membership));
		print_subjects(verdict, view, sentence);
		break;
	case VERDICT_AGENT_DOWN:
		text_printf(sentence, "no agent is heard on ");
		print_subjects(verdict, view, sentence);
		text_printf(sentence, ", but %s: ",
			    verdict->subject_count == 1 ? "its kernel answers"
							: "their kernels answer");
		print_witnesses(verdict, view, sentence);
		break;
	case VERDICT_NODE_OVERLOADED:
		explain_overload(verdict, view, now_ns, sentence);
		break;
	case VERDICT_SERVICE_DOWN:
		explain_service(verdict, view, sentence);
		break;
	case VERDICT_PARTIAL_PARTITION:
	case VERDICT_LOSSY_LINK:
		explain_links(verdict, view, sentence);
		break;
	case VERDICT_ONE_WAY:
		if (verdict->subject_count > 1) {
			explain_links(verdict, view, sentence);
			break;
		}
		__attribute__((fallthrough));
	default:
		explain_lost(verdict, judgement, view, now_ns, sentence);
	}
}

void verdict_explain_past(enum verdict_class class, const uint32_t *subjects,
			  uint32_t subject_count, const struct view *view, struct text *sentence)
{
	text_printf(sentence, "%s of ", verdict_class_name(class));
	print_names(view, subjects, subject_count, subject_count, sentence);
	text_printf(sentence, ", which the last look did not find");
}
