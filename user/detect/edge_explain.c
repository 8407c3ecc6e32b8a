// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/edge.h"

#include "base/clock.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Joins clauses: nothing before the first, ", " before the others. */
static void clause(struct text *sentence, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void clause(struct text *sentence, const char *format, ...)
{
	va_list arguments;

	if (sentence->length && sentence->data[sentence->length - 1] != ' ')
		text_printf(sentence, ", ");
	va_start(arguments, format);
	text_vprintf(sentence, format, arguments);
	va_end(arguments);
}

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void duration(struct text *sentence, uint64_t duration_ns)
{
	if (duration_ns < 10 * NS_PER_S)
		text_printf(sentence, "%" PRIu64 " ms", duration_ns / NS_PER_MS);
	else
		text_printf(sentence, "%" PRIu64 " s", duration_ns / NS_PER_S);
}

static void explain_refusal(const struct edge_evidence *evidence, struct text *sentence)
{
	if (evidence->heartbeat.send_errno)
		clause(sentence, "this node's own stack refuses to send heartbeats (%s)",
		       strerror(evidence->heartbeat.send_errno));
}

static void explain_tries(const struct edge *edge, const struct edge_evidence *evidence,
			  struct text *sentence)
{
	if (edge->rto_in_vain)
		clause(sentence, "%" PRIu64 " RTO%s on %" PRIu32 " socket%s", edge->rto_in_vain,
		       plural(edge->rto_in_vain), evidence->tcp.stalled_sockets,
		       plural(evidence->tcp.stalled_sockets));
	if (edge->syn_in_vain)
		clause(sentence, "%" PRIu64 " connect retr%s of programs unanswered",
		       edge->syn_in_vain, edge->syn_in_vain == 1 ? "y" : "ies");
	if (edge->connects_in_vain)
		clause(sentence, "%u of %u connects timed out", edge->connects_in_vain,
		       edge->connects_in_vain);
	if (edge->refusals_in_vain)
		clause(sentence, "this node's own stack refused %u connect%s",
		       edge->refusals_in_vain, plural(edge->refusals_in_vain));
	explain_refusal(evidence, sentence);
}

static void explain_silence(const struct edge *edge, const struct edge_evidence *evidence,
			    struct text *sentence)
{
	uint64_t interval_ns = evidence->heartbeat.interval_ns;
	uint64_t missing = interval_ns ? edge->agent_silence_ns / interval_ns : 0;

	text_printf(sentence, "nothing heard for ");
	duration(sentence, edge->silence_ns);
	if (evidence->heartbeat.expected && !edge->agent_silent && missing)
		clause(sentence, "%" PRIu64 " heartbeat%s missing", missing, plural(missing));
	explain_tries(edge, evidence, sentence);
	if (evidence->heartbeat.expected) {
		double loss = fmax(evidence->heartbeat.loss_in_pessimistic, LOSS_FLOOR);
		double tries = ceil(edge->certainty / -log10(fmin(loss, LOSS_CEILING)));

		text_printf(sentence, "; expected within %.0f ms at %.1f %% loss",
			    tries * 1.1 * (double)interval_ns / NS_PER_MS,
			    evidence->heartbeat.loss_in * 100);
	}
}

static void explain_egress(const struct edge *edge, const struct edge_evidence *evidence,
			   struct text *sentence)
{
	text_printf(sentence, "heard ");
	duration(sentence, edge->silence_ns);
	text_printf(sentence, " ago, but nothing of ours has arrived for ");
	duration(sentence, edge->unreached_ns);
	if (evidence->heartbeat.unheard)
		clause(sentence, "it reports %" PRIu64 " of our heartbeats missing",
		       evidence->heartbeat.unheard);
	explain_tries(edge, evidence, sentence);
}

static void explain_health(const struct edge *edge, const struct edge_evidence *evidence,
			   struct text *sentence)
{
	double in = edge_loss_in(edge, evidence).ratio;
	double out = edge_loss_out(edge, evidence).ratio;

	if (edge->agent_silent) {
		text_printf(sentence, "its agent has been silent for ");
		duration(sentence, edge->agent_silence_ns);
		text_printf(sentence, ", but its kernel answers");
	} else if (edge->heartbeats_blocked) {
		text_printf(sentence, "our heartbeats do not arrive there (UDP blocked?), "
				      "but its kernel answers");
		explain_refusal(evidence, sentence);
	} else {
		text_printf(sentence, "heard ");
		duration(sentence, edge->silence_ns);
		text_printf(sentence, " ago");
	}
	clause(sentence, "%.1f %% lost outwards, %.1f %% inwards", out * 100, in * 100);
}

void edge_explain(const struct edge *edge, const struct edge_evidence *evidence,
		  const struct edge_self *self, const struct edge_settings *settings,
		  struct text *sentence)
{
	(void)settings;
	switch (edge->state) {
	case EDGE_HEALTHY:
	case EDGE_LOSSY:
		explain_health(edge, evidence, sentence);
		break;
	case EDGE_EGRESS_CUT:
		explain_egress(edge, evidence, sentence);
		break;
	case EDGE_SUSPECT:
		if (edge->silence_decades < edge->egress_decades)
			explain_egress(edge, evidence, sentence);
		else
			explain_silence(edge, evidence, sentence);
		break;
	default:
		explain_silence(edge, evidence, sentence);
		if (edge->state == EDGE_INGRESS_CUT)
			text_printf(sentence, "; a third node passes on its word that it hears us");
		break;
	}
	if (evidence->tcp.zero_window_sockets)
		text_printf(sentence, "; its application does not read on %" PRIu32 " socket%s",
			    evidence->tcp.zero_window_sockets,
			    plural(evidence->tcp.zero_window_sockets));
	if (edge->state < EDGE_SUSPECT)
		return;
	if (self->carrier_down)
		text_printf(sentence, "; this node's own link is down");
	else if (self->alone)
		text_printf(sentence, "; no other peer is heard: this node itself may be cut off");
}
