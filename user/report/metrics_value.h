/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_METRICS_VALUE_H
#define TOCSIN_REPORT_METRICS_VALUE_H

/* What the tables of metrics make their values with. */

#include "report/metrics_table.h"

static inline struct metric_value absent(void)
{
	return (struct metric_value){.kind = METRIC_VALUE_ABSENT};
}

static inline struct metric_value number(uint64_t value)
{
	return (struct metric_value){.kind = METRIC_VALUE_UNSIGNED, .number = value};
}

static inline struct metric_value decimal(double value)
{
	return (struct metric_value){.kind = METRIC_VALUE_DECIMAL, .decimal = value};
}

static inline struct metric_value microseconds(uint64_t value)
{
	return (struct metric_value){.kind = METRIC_VALUE_MICROSECONDS, .number = value};
}

static inline struct metric_value nanoseconds(uint64_t value)
{
	return (struct metric_value){.kind = METRIC_VALUE_NANOSECONDS, .number = value};
}

/* A value function for each plain field: VALUE(name, how to print it, field). */
#define VALUE(name, print, field)                                                                 \
	static struct metric_value name(const struct metric_subject *subject, unsigned int index) \
	{                                                                                         \
		(void)index;                                                                      \
		return print(subject->field);                                                     \
	}
/* And for each array of fields. */
#define VALUES(name, print, field, first)                                                         \
	static struct metric_value name(const struct metric_subject *subject, unsigned int index) \
	{                                                                                         \
		return print(subject->field[(first) + index]);                                    \
	}

#endif
