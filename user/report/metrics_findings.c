// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/metrics_value.h"

static const char *kind_label(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	return finding_kind_name(index);
}

static struct metric_value stands(const struct metric_subject *subject, unsigned int index)
{
	(void)subject;
	(void)index;
	return number(1);
}

/* What has no sample while there are no findings: COUNT(name, value). */
#define COUNT(name, value)                                                                        \
	static struct metric_value name(const struct metric_subject *subject, unsigned int index) \
	{                                                                                         \
		(void)index;                                                                      \
		return subject->snapshot->findings ? number(subject->snapshot->findings->value)   \
						   : absent();                                    \
	}

COUNT(raised, raised[index])
COUNT(blind, blind[index][0] != 0)
COUNT(lost, lost)

#define KINDS .label = "finding", .label_value = kind_label, .label_count = FINDING_KINDS

/* clang-format off */
static const struct metric findings_table[] = {
	{"tocsin_finding", METRIC_GAUGE, "1 for each finding of the node's own health that stands.",
	 "", METRIC_OF_FINDING, .value = stands},
	{"tocsin_findings_raised", METRIC_COUNTER, "How often a finding of this kind was raised.",
	 "", METRIC_OF_AGENT, .value = raised, KINDS},
	{"tocsin_finding_blind", METRIC_GAUGE,
	 "1 when what the finding rests on is missing, so that it cannot be known.",
	 "", METRIC_OF_AGENT, .value = blind, KINDS},
	{"tocsin_findings_lost", METRIC_COUNTER, "Findings not raised because too many stood.",
	 "", METRIC_OF_AGENT, .value = lost},
};
/* clang-format on */

const struct metrics_list metrics_of_findings = {findings_table,
						 sizeof(findings_table) / sizeof(*findings_table)};
