/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_CLASSIFY_BENCH_H
#define TOCSIN_TESTS_UNIT_CLASSIFY_BENCH_H

/* A cluster that says this and that in the course of time, and what is made of it each time. */

#include "cluster/classify.h"
#include "unit/cluster_view.h"

struct bench {
	struct cluster cluster;
	struct classifier classifier;
	struct judgement judgement; /* the last */
};

/* Five nodes that find each other well. */
extern const char *const bench_well[5];

/* Each line is said at 500 ms. */
void bench_make(struct bench *bench, const char *const *lines, unsigned int count);
void bench_free(struct bench *bench);

/* The verdicts in order, as "class:subjects[!]": "!" for one that isolates. */
void bench_expect(struct bench *bench, uint64_t now_ms, const char *expected);
void bench_describe(const struct judgement *judgement, struct text *text);

#endif
