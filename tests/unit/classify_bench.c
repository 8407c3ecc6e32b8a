// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/classify_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

const char *const bench_well[5] = {"-hhhh", "h-hhh", "hh-hh", "hhh-h", "hhhh-"};

void bench_describe(const struct judgement *judgement, struct text *text)
{
	for (unsigned int i = 0; i < judgement->verdict_count; i++) {
		const struct verdict *verdict = &judgement->verdicts[i];

		text_printf(text, "%s%s:", i ? " " : "", verdict_class_name(verdict->class));
		for (uint32_t j = 0; j < verdict->subject_count; j++)
			text_printf(text, "%s%u", j ? "," : "", verdict->subjects[j] + 1);
		if (verdict->isolates)
			text_printf(text, "!");
	}
}

void bench_make(struct bench *bench, const char *const *lines, unsigned int count)
{
	cluster_make(&bench->cluster, count, NULL);
	for (unsigned int i = 0; i < count; i++)
		cluster_say(&bench->cluster, i, lines[i], 0, 0, 500 * CLUSTER_MS);
	assert_int_equal(classifier_init(&bench->classifier, &bench->cluster.membership), 0);
}

void bench_free(struct bench *bench)
{
	classifier_free(&bench->classifier);
	cluster_free(&bench->cluster);
}

void bench_expect(struct bench *bench, uint64_t now_ms, const char *expected)
{
	char found[512] = "";
	struct text text = TEXT(found);

	classify(&bench->classifier, &bench->cluster.view, now_ms * CLUSTER_MS, &bench->judgement);
	bench_describe(&bench->judgement, &text);
	assert_string_equal(found, expected);
}
