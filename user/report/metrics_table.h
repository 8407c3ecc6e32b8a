/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_METRICS_TABLE_H
#define TOCSIN_REPORT_METRICS_TABLE_H

/* Which metrics there are and where each value comes from; metrics.c writes them. */

#include "report/process.h"
#include "report/snapshot.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_INFO,	  /* one sample of 1 whose labels say it all */
	METRIC_HISTOGRAM, /* of times, with .histogram instead of .value */
	METRIC_SUMMARY,	  /* of times: how many and their sum, with .summary */
};

/* What there is one sample (or one a label value) of, and the label that names it. */
enum metric_scope {
	METRIC_OF_AGENT,
	METRIC_OF_PROCESS,  /* left out when /proc could not be read */
	METRIC_OF_NODE,	    /* configured peers: label peer */
	METRIC_OF_PEER,	    /* all peers with series of their own: label peer */
	METRIC_OF_ANY_PEER, /* these and the sum of the rest, peer="other" */
	METRIC_OF_PROBE,    /* labels probe and hook */
	METRIC_OF_DISK,	    /* labels device and operation */
	METRIC_OF_DROP,	    /* label reason */
	METRIC_OF_CLASS,    /* of incidents: label class */
	METRIC_OF_FINDING,  /* those with series of their own: labels finding and subject */
	METRIC_OF_GROUP,    /* labels cgroup, and namespace, pod, container, unit where known */
};

/* Where a value function looks: 'snapshot' always, the others as the scope says. */
struct metric_subject {
	const struct snapshot *snapshot;
	const struct process_usage *process;
	const struct snapshot_peer *peer;
	const struct snapshot_probe *probe;
	const struct snapshot_disk *disk;
	const struct snapshot_group *group;
	const struct snapshot_drop *drop;
	const struct finding *finding;
	const struct incident_class *class;
};

/* Times keep their integer resolution: they are printed as decimal seconds without rounding. */
struct metric_value {
	enum {
		METRIC_VALUE_ABSENT, /* not known: no sample */
		METRIC_VALUE_UNSIGNED,
		METRIC_VALUE_DECIMAL,
		METRIC_VALUE_MICROSECONDS,
		METRIC_VALUE_NANOSECONDS,
	} kind;
	union {
		uint64_t number;
		double decimal;
	};
};

/* The kernel's buckets, and the sum of all times. */
struct metric_histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	struct metric_value sum;
};

struct metric_summary {
	uint64_t count;
	struct metric_value sum;
};

struct metric {
	const char *name; /* of the family: a counter's without _total, an info's without _info */
	enum metric_type type;
	const char *help;
	const char *unit; /* the end of the name and OpenMetrics' UNIT; "" for a mere number */
	enum metric_scope scope;
	struct metric_value (*value)(const struct metric_subject *subject, unsigned int index);
	/* False: no samples. */
	bool (*histogram)(const struct metric_subject *subject, struct metric_histogram *ret);
	bool (*summary)(const struct metric_subject *subject, struct metric_summary *ret);
	/* One more label, with a value for each index from 0 to label_count - 1; NULL: index is 0.
	 */
	const char *label;
	const char *(*label_value)(const struct metric_subject *subject, unsigned int index);
	unsigned int label_count;
};

struct metrics_list {
	const struct metric *metrics;
	size_t count;
};

/* What this node and its kernel see. */
extern const struct metrics_list metrics_of_node;
/* What is made of it: verdicts, isolations, incidents; and what that rests on. */
extern const struct metrics_list metrics_of_decisions;
extern const struct metrics_list metrics_of_findings;

#endif
