// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/kubernetes_api.h"

#include "base/clock.h"
#include "base/text.h"
#include "cluster/row.h"
#include "kubernetes/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABEL		      "app.kubernetes.io/name"
#define LABEL_VALUE	      "tocsin"
#define ISOLATIONS_ANNOTATION "tocsin.dev/isolations"

#define DURATION_S_MAX 600

/* ---- leases ---- */

void kubernetes_decode_lease(const json_t *object, struct kubernetes_lease *lease)
{
	const json_t *spec = json_object_get(object, "spec");
	json_int_t duration_s = json_integer_value(json_object_get(spec, "leaseDurationSeconds"));
	json_int_t transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));

	*lease = (struct kubernetes_lease){0};
	(void)text_copy(lease->holder, sizeof(lease->holder),
			kubernetes_text(spec, "holderIdentity"));
	(void)text_copy(lease->renewed, sizeof(lease->renewed), kubernetes_text(spec, "renewTime"));
	if (duration_s < 1)
		duration_s = 1;
	if (duration_s > DURATION_S_MAX)
		duration_s = DURATION_S_MAX;
	lease->duration_ns = (uint64_t)duration_s * NS_PER_S;
	lease->transitions = transitions > 0 ? (uint64_t)transitions : 0;
}

json_t *kubernetes_encode_lease(const char *name, const char *holder, unsigned int duration_s,
				uint64_t transitions, uint64_t realtime_ns)
{
	char now[KUBERNETES_TIME_MAX];

	kubernetes_format_micro_time(realtime_ns, now);
	return json_pack("{ss ss s{ss s{ss}} s{ss si sI ss ss}}", "apiVersion",
			 "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name", name,
			 "labels", LABEL, LABEL_VALUE, "spec", "holderIdentity", holder,
			 "leaseDurationSeconds", (int)duration_s, "leaseTransitions",
			 (json_int_t)transitions, "acquireTime", now, "renewTime", now);
}

json_t *kubernetes_encode_renewal(const char *holder, unsigned int duration_s, uint64_t realtime_ns)
{
	char now[KUBERNETES_TIME_MAX];

	kubernetes_format_micro_time(realtime_ns, now);
	/* The label, too: without it nobody would see the lease. */
	return json_pack("{s{s{ss}} s{ss si ss}}", "metadata", "labels", LABEL, LABEL_VALUE, "spec",
			 "holderIdentity", holder, "leaseDurationSeconds", (int)duration_s,
			 "renewTime", now);
}

/* The revision that a merge patch holds at: the server refuses it at any other (409). */
static json_t *encode_revision(uint64_t revision)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, revision);
	return json_string(text);
}

json_t *kubernetes_encode_release(uint64_t revision)
{
	return revision ? json_pack("{s{so} s{sn}}", "metadata", "resourceVersion",
				    encode_revision(revision), "spec", "holderIdentity")
			: json_pack("{s{sn}}", "spec", "holderIdentity");
}

json_t *kubernetes_encode_election(uint64_t revision, const char *holder, unsigned int duration_s,
				   uint64_t transitions, uint64_t realtime_ns)
{
	char now[KUBERNETES_TIME_MAX];

	kubernetes_format_micro_time(realtime_ns, now);
	return json_pack("{s{so} s{ss si sI ss ss}}", "metadata", "resourceVersion",
			 encode_revision(revision), "spec", "holderIdentity", holder,
			 "leaseDurationSeconds", (int)duration_s, "leaseTransitions",
			 (json_int_t)transitions, "acquireTime", now, "renewTime", now);
}

/* ---- isolation records ---- */

json_t *kubernetes_encode_isolations(uint64_t revision, const json_t *isolations)
{
	char *text = json_dumps(isolations, JSON_COMPACT);
	json_t *patch = NULL;

	if (text)
		patch = json_pack("{s{so s{ss}}}", "metadata", "resourceVersion",
				  encode_revision(revision), "annotations", ISOLATIONS_ANNOTATION,
				  text);
	free(text);
	return patch;
}

json_t *kubernetes_decode_isolations(const json_t *lease)
{
	const json_t *annotations =
		json_object_get(json_object_get(lease, "metadata"), "annotations");
	json_t *isolations = json_loads(kubernetes_text(annotations, ISOLATIONS_ANNOTATION),
					JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(isolations))
		return isolations;
	json_decref(isolations);
	return json_object();
}

/* ---- rows ---- */

/* From the least to the worst. */
static const enum row_word severity[] = {
	ROW_WORD_HEALTHY, ROW_WORD_NONE,       ROW_WORD_AGENT_SILENT, ROW_WORD_LOSSY,
	ROW_WORD_SUSPECT, ROW_WORD_EGRESS_CUT, ROW_WORD_INGRESS_CUT,  ROW_WORD_UNREACHABLE,
};

/* The last flag that is set, by this order, tells the state. */
static const char *const states[] = {"paused",	 "blind",   "alone", "carrier-down",
				     "stopping", "halting", "fenced"};

static const char *state_of(const json_t *row)
{
	const json_t *flags = json_object_get(row, "flags"), *flag;
	size_t best = 0, i;

	json_array_foreach(flags, i, flag)
	{
		for (size_t j = 0; j < sizeof(states) / sizeof(*states); j++)
			if (j >= best && !strcmp(json_string_value(flag) ?: "", states[j]))
				best = j + 1;
	}
	if (best)
		return states[best - 1];
	return json_array_size(json_object_get(row, "findings")) ? "impaired" : "healthy";
}

/* "n4 unreachable", "n4 and 2 others unreachable", "all lossy", or "". */
static void worst_peer(const json_t *row, struct text *text)
{
	const json_t *edges = json_object_get(row, "edges");
	const char *common = kubernetes_text(edges, "default");

	for (size_t i = sizeof(severity) / sizeof(*severity); i-- > 1;) {
		const char *word = row_word_name(severity[i]);
		const json_t *names = json_object_get(edges, word);
		size_t count = json_array_size(names);

		if (count)
			text_printf(text, "%s", json_string_value(json_array_get(names, 0)) ?: "?");
		if (count > 1)
			text_printf(text, " and %zu other%s", count - 1, count > 2 ? "s" : "");
		if (!count && !strcmp(common, word))
			text_printf(text, "most");
		if (count || !strcmp(common, word)) {
			text_printf(text, " %s", word);
			return;
		}
	}
}

static void list_findings(const json_t *row, struct text *text)
{
	const json_t *findings = json_object_get(row, "findings"), *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		const char *subject = kubernetes_text(finding, "subject");

		text_printf(text, "%s%s%s%s", i ? ", " : "", kubernetes_text(finding, "finding"),
			    *subject ? " " : "", subject);
	}
}

json_t *kubernetes_summarise_row(const json_t *row)
{
	char peer[256] = "", findings[512] = "";
	struct text peer_text = TEXT(peer), findings_text = TEXT(findings);

	worst_peer(row, &peer_text);
	list_findings(row, &findings_text);
	return json_pack("{ss ss ss}", "state", state_of(row), "worstPeer", peer, "findings",
			 findings);
}

json_t *kubernetes_encode_node(const char *node, const json_t *row)
{
	return json_pack("{ss ss s{ss s{ss}} sO so}", "apiVersion", "tocsin.dev/v1", "kind",
			 "TocsinNode", "metadata", "name", node, "labels", LABEL, LABEL_VALUE,
			 "row", row, "summary", kubernetes_summarise_row(row));
}

json_t *kubernetes_encode_row(const json_t *row)
{
	return json_pack("[{ss ss sO} {ss ss so}]", "op", "add", "path", "/row", "value", row, "op",
			 "add", "path", "/summary", "value", kubernetes_summarise_row(row));
}
