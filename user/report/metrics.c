// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/metrics.h"

#include "base/histogram.h"
#include "report/http_accept.h"
#include "report/metrics_table.h"
#include "report/names.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* Buckets end at 2^-17 s (8 us), 2^-16 s, ... 2^4 s; longer times are in +Inf alone. */
#define FIRST_EXPONENT (-17)
#define LAST_EXPONENT  4

struct label {
	const char *name, *value;
};

/* Longest list of labels that any sample has: cgroup, container, pod, unit and one more. */
#define LABELS_MAX 5

struct labels {
	struct label list[LABELS_MAX];
	unsigned int count;
};

struct exposition {
	FILE *stream;
	enum metrics_format format;
	const struct metric *metric;
	bool begun; /* it has a sample: of a family that has none nothing is said */
};

const char *metrics_content_type(enum metrics_format format)
{
	if (format == METRICS_OPENMETRICS)
		return "application/openmetrics-text; version=1.0.0; charset=utf-8";
	return "text/plain; version=0.0.4; charset=utf-8";
}

enum metrics_format metrics_negotiate(const char *accept)
{
	double openmetrics = http_accept_weight(accept, "application/openmetrics-text");

	return openmetrics > 0 && openmetrics >= http_accept_weight(accept, "text/plain")
		       ? METRICS_OPENMETRICS
		       : METRICS_PROMETHEUS;
}

/* Most of the time goes into these two: a table of bytes for each call of strcspn() would double
 * it. */
static void write_escaped(FILE *stream, const char *string, bool quotes)
{
	for (; *string; string++) {
		if (*string == '\\' || *string == '\n' || (*string == '"' && quotes))
			putc_unlocked('\\', stream);
		putc_unlocked(*string == '\n' ? 'n' : *string, stream);
	}
}

/* At least 'digits' of them, with leading zeros. */
static void write_unsigned(FILE *stream, uint64_t number, unsigned int digits)
{
	char buffer[20]; /* UINT64_MAX has that many */
	char *start = buffer + sizeof(buffer);

	do {
		*--start = (char)('0' + number % 10);
		number /= 10;
	} while (number || buffer + sizeof(buffer) - start < (ptrdiff_t)digits);
	fwrite_unlocked(start, 1, (size_t)(buffer + sizeof(buffer) - start), stream);
}

static const char *type_name(const struct exposition *exposition)
{
	switch (exposition->metric->type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_HISTOGRAM:
		return "histogram";
	case METRIC_SUMMARY:
		return "summary";
	case METRIC_INFO:
		/* The older format has no such type. */
		if (exposition->format == METRICS_OPENMETRICS)
			return "info";
		break;
	case METRIC_GAUGE:
		break;
	}
	return "gauge";
}

/* What a plain sample's name has that its family's has not. */
static const char *sample_suffix(const struct metric *metric)
{
	if (metric->type == METRIC_COUNTER)
		return "_total";
	if (metric->type == METRIC_INFO)
		return "_info";
	return "";
}

static void write_family(const struct exposition *exposition)
{
	const struct metric *metric = exposition->metric;
	bool openmetrics = exposition->format == METRICS_OPENMETRICS;
	const char *suffix = openmetrics ? "" : sample_suffix(metric);
	FILE *stream = exposition->stream;

	fprintf(stream, "# HELP %s%s ", metric->name, suffix);
	/* OpenMetrics escapes quotes in help, too; the older format must not. */
	write_escaped(stream, metric->help, openmetrics);
	fprintf(stream, "\n# TYPE %s%s %s\n", metric->name, suffix, type_name(exposition));
	if (openmetrics && *metric->unit)
		fprintf(stream, "# UNIT %s %s\n", metric->name, metric->unit);
}

static void begin_sample(struct exposition *exposition, const char *suffix,
			 const struct labels *labels)
{
	FILE *stream = exposition->stream;

	if (!exposition->begun)
		write_family(exposition);
	exposition->begun = true;
	fputs_unlocked(exposition->metric->name, stream);
	fputs_unlocked(suffix, stream);
	for (unsigned int i = 0; i < labels->count; i++) {
		putc_unlocked(i ? ',' : '{', stream);
		fputs_unlocked(labels->list[i].name, stream);
		fputs_unlocked("=\"", stream);
		write_escaped(stream, labels->list[i].value, true);
		putc_unlocked('"', stream);
	}
	fputs_unlocked(labels->count ? "} " : " ", stream);
}

/* Also ends the line. Seconds are written without a detour over binary fractions. */
static void end_sample(const struct exposition *exposition, const struct metric_value *value)
{
	FILE *stream = exposition->stream;

	switch (value->kind) {
	case METRIC_VALUE_ABSENT:
		break;
	case METRIC_VALUE_UNSIGNED:
		write_unsigned(stream, value->number, 1);
		break;
	case METRIC_VALUE_DECIMAL:
		fprintf(stream, "%.15g", value->decimal);
		break;
	case METRIC_VALUE_MICROSECONDS:
		write_unsigned(stream, value->number / 1000000, 1);
		putc_unlocked('.', stream);
		write_unsigned(stream, value->number % 1000000, 6);
		break;
	case METRIC_VALUE_NANOSECONDS:
		write_unsigned(stream, value->number / 1000000000, 1);
		putc_unlocked('.', stream);
		write_unsigned(stream, value->number % 1000000000, 9);
		break;
	}
	putc_unlocked('\n', stream);
}

static void write_sample(struct exposition *exposition, const char *suffix,
			 const struct labels *labels, struct metric_value value)
{
	if (value.kind != METRIC_VALUE_ABSENT) {
		begin_sample(exposition, suffix, labels);
		end_sample(exposition, &value);
	}
}

static void add_label(struct labels *labels, const char *name, const char *value)
{
	if (labels->count < LABELS_MAX)
		labels->list[labels->count++] = (struct label){name, value ?: ""};
}

/*
 * Of the four kernel buckets in an octave the last ends at a power of two; those that end at or
 * below it add up to the cumulative count.
 */
static void write_histogram(struct exposition *exposition, const struct labels *labels,
			    const struct metric_histogram *histogram)
{
	struct labels infinite = *labels;
	struct metric_value count = {.kind = METRIC_VALUE_UNSIGNED};
	uint32_t bucket = 0;

	for (int exponent = FIRST_EXPONENT; exponent <= LAST_EXPONENT; exponent++) {
		uint64_t edge_units = (uint64_t)ldexp(HISTOGRAM_UNITS_PER_S, exponent);
		struct labels with_edge = *labels;
		char edge[32];

		while (bucket < HISTOGRAM_BUCKETS && histogram_upper_units(bucket) <= edge_units)
			count.number += histogram->counts[bucket++];
		/* At most 12 digits: exact. OpenMetrics wants a point in whole numbers. */
		snprintf(edge, sizeof(edge), "%.17g%s", ldexp(1, exponent),
			 exposition->format == METRICS_OPENMETRICS && exponent >= 0 ? ".0" : "");
		add_label(&with_edge, "le", edge);
		write_sample(exposition, "_bucket", &with_edge, count);
	}
	while (bucket < HISTOGRAM_BUCKETS)
		count.number += histogram->counts[bucket++];
	add_label(&infinite, "le", "+Inf");
	write_sample(exposition, "_bucket", &infinite, count);
	write_sample(exposition, "_sum", labels, histogram->sum);
	write_sample(exposition, "_count", labels, count);
}

static void write_summary(struct exposition *exposition, const struct labels *labels,
			  const struct metric_summary *summary)
{
	const struct metric_value count = {.kind = METRIC_VALUE_UNSIGNED, .number = summary->count};

	write_sample(exposition, "_sum", labels, summary->sum);
	write_sample(exposition, "_count", labels, count);
}

static void add_group_labels(struct labels *labels, const struct snapshot_group *group)
{
	const struct label known[] = {{"namespace", group->namespace},
				      {"pod", group->pod},
				      {"container", group->container},
				      {"unit", group->unit}};

	add_label(labels, "cgroup", group->cgroup);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (*known[i].value)
			add_label(labels, known[i].name, known[i].value);
}

static void write_subject(struct exposition *exposition, const struct metric_subject *subject)
{
	const struct metric *metric = exposition->metric;
	struct labels labels = {0};

	if (subject->peer)
		add_label(&labels, "peer", subject->peer->name);
	if (subject->probe) {
		add_label(&labels, "probe", subject->probe->name);
		add_label(&labels, "hook", subject->probe->hook);
	}
	if (subject->disk) {
		add_label(&labels, "device", subject->disk->name);
		add_label(&labels, "operation", report_block_operation(subject->disk->operation));
	}
	if (subject->finding) {
		add_label(&labels, "finding", finding_kind_name(subject->finding->kind));
		add_label(&labels, "subject", subject->finding->subject);
	}
	if (subject->drop)
		add_label(&labels, "reason", subject->drop->reason);
	if (subject->group)
		add_group_labels(&labels, subject->group);
	if (subject->class)
		add_label(&labels, "class", subject->class->name);
	if (metric->type == METRIC_HISTOGRAM) {
		struct metric_histogram histogram = {0};

		if (metric->histogram(subject, &histogram))
			write_histogram(exposition, &labels, &histogram);
	} else if (metric->type == METRIC_SUMMARY) {
		struct metric_summary summary = {0};

		if (metric->summary(subject, &summary))
			write_summary(exposition, &labels, &summary);
	} else if (!metric->label) {
		write_sample(exposition, sample_suffix(metric), &labels, metric->value(subject, 0));
	} else {
		for (unsigned int i = 0; i < metric->label_count; i++) {
			struct labels with_index = labels;

			add_label(&with_index, metric->label, metric->label_value(subject, i));
			write_sample(exposition, sample_suffix(metric), &with_index,
				     metric->value(subject, i));
		}
	}
}

static void write_peers(struct exposition *exposition, struct metric_subject subject)
{
	const struct snapshot *snapshot = subject.snapshot;

	for (size_t i = 0; i < snapshot->peer_count; i++) {
		subject.peer = &snapshot->peers[i];
		if (exposition->metric->scope != METRIC_OF_NODE || subject.peer->configured)
			write_subject(exposition, &subject);
	}
	if (exposition->metric->scope == METRIC_OF_ANY_PEER && snapshot->other_count) {
		subject.peer = &snapshot->other;
		write_subject(exposition, &subject);
	}
}

static void write_metric(struct exposition *exposition, struct metric_subject subject)
{
	const struct snapshot *snapshot = subject.snapshot;

	if (exposition->metric->scope == METRIC_OF_PROCESS && !subject.process)
		return;
	switch (exposition->metric->scope) {
	case METRIC_OF_AGENT:
	case METRIC_OF_PROCESS:
		write_subject(exposition, &subject);
		break;
	case METRIC_OF_NODE:
	case METRIC_OF_PEER:
	case METRIC_OF_ANY_PEER:
		write_peers(exposition, subject);
		break;
	case METRIC_OF_PROBE:
		for (size_t i = 0; i < snapshot->probe_count; i++) {
			subject.probe = &snapshot->probes[i];
			write_subject(exposition, &subject);
		}
		break;
	case METRIC_OF_DISK:
		for (size_t i = 0; i < snapshot->disk_count; i++) {
			subject.disk = &snapshot->disks[i];
			write_subject(exposition, &subject);
		}
		break;
	case METRIC_OF_DROP:
		for (size_t i = 0; i < snapshot->drop_count; i++) {
			subject.drop = &snapshot->drops[i];
			write_subject(exposition, &subject);
		}
		break;
	case METRIC_OF_CLASS:
		for (size_t i = 0; snapshot->incidents && i < snapshot->incidents->class_count;
		     i++) {
			subject.class = &snapshot->incidents->classes[i];
			write_subject(exposition, &subject);
		}
		break;
	case METRIC_OF_FINDING:
		for (unsigned int i = 0; snapshot->findings && i < snapshot->findings->count; i++) {
			subject.finding = &snapshot->findings->standing[i];
			if (snapshot->finding_settings[subject.finding->kind].response >=
			    FINDING_RESPONSE_METRIC)
				write_subject(exposition, &subject);
		}
		break;
	case METRIC_OF_GROUP:
		for (size_t i = 0; i < snapshot->group_count; i++) {
			subject.group = &snapshot->groups[i];
			write_subject(exposition, &subject);
		}
		break;
	}
}

int metrics_write(FILE *stream, const struct snapshot *snapshot, enum metrics_format format)
{
	static const struct metrics_list *const lists[] = {&metrics_of_node, &metrics_of_findings,
							   &metrics_of_decisions};
	struct process_usage usage = {0};
	struct metric_subject subject = {.snapshot = snapshot};

	if (!process_usage_read(&usage))
		subject.process = &usage;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		for (size_t j = 0; j < lists[i]->count; j++) {
			struct exposition exposition = {stream, format, &lists[i]->metrics[j],
							false};

			write_metric(&exposition, subject);
		}
	}
	if (format == METRICS_OPENMETRICS)
		fputs("# EOF\n", stream);
	if (fflush(stream) || ferror(stream))
		return -EIO;
	return 0;
}
