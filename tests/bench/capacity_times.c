// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When it is foreseen that something will be used up: the rule itself, in simulated time, because
 * what it looks for takes hours. Use is steady with noise, and from some moment on (at a random
 * phase of the rule's steps) grows evenly. Prints one markdown table.
 */
#include "base/clock.h"
#include "detect/forecast.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED	 1
#define ROUNDS	 21
#define SAMPLE_S 5
#define STEADY_S (2 * 3600)
#define PHASE_S	 600 /* the growth begins up to so much later */
#define BEGIN_S	 1234567
/* Of configuration.md: the defaults of findings.capacity. */
#define HORIZON_S	1800
#define RESERVE_PERCENT 20
#define LIMIT_PERCENT	(100.0 - RESERVE_PERCENT)

static const struct {
	double from_percent, noise_percent, per_hour;
} cases[] = {
	{40, 0.2, 10}, {40, 0.2, 40}, {40, 2, 40}, {70, 0.2, 10}, {70, 0.2, 40},
};

struct times {
	double injected_s; /* from when the growth began to the finding */
	double horizon_s;  /* from when the limit had come into the horizon, if that was later */
	double ahead_s;	   /* from the finding to the limit */
};

static double noise(double width)
{
	return width * (2 * drand48() - 1);
}

/* False: the limit was passed first. */
static bool one_run(size_t which, struct times *ret)
{
	const struct forecast_settings settings = {.horizon_ns = HORIZON_S * NS_PER_S,
						   .reserve_percent = RESERVE_PERCENT};
	double grows_s = STEADY_S + drand48() * PHASE_S;
	double passed_s = grows_s + (LIMIT_PERCENT - cases[which].from_percent) * 3600 /
					    cases[which].per_hour;
	double seen_s = passed_s - HORIZON_S;
	struct forecast forecast = {0};

	for (unsigned int second = 0; second < passed_s; second += SAMPLE_S) {
		double grown_s = second > grows_s ? second - grows_s : 0;
		double used = cases[which].from_percent + grown_s * cases[which].per_hour / 3600;

		if (forecast_observe(&forecast, &settings, used + noise(cases[which].noise_percent),
				     (BEGIN_S + second) * NS_PER_S) != FINDING_ACTIVE)
			continue;
		*ret = (struct times){
			.injected_s = second - grows_s,
			.horizon_s = second - (seen_s > grows_s ? seen_s : grows_s),
			.ahead_s = passed_s - second,
		};
		return true;
	}
	return false;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Median (least to most), in minutes. */
static void print_spread(double *seconds, size_t count)
{
	qsort(seconds, count, sizeof(*seconds), compare);
	if (count)
		printf(" %.1f (%.1f to %.1f) |", seconds[count / 2] / 60, seconds[0] / 60,
		       seconds[count - 1] / 60);
	else
		printf(" - |");
}

int main(void)
{
	srand48(SEED);
	printf("Simulated time, the default rule (%d %% within %d min), a sample each %d s, %d "
	       "times each; "
	       "minutes:\n\n"
	       "| capacity: use grows | n | from the growth's begin to the finding | from when the "
	       "limit is "
	       "within the horizon | ahead of the limit | passed unforeseen "
	       "|\n|---|---|---|---|---|---|\n",
	       (int)LIMIT_PERCENT, HORIZON_S / 60, SAMPLE_S, ROUNDS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		double injected[ROUNDS], horizon[ROUNDS], ahead[ROUNDS];
		struct times times;
		size_t count = 0;

		for (int round = 0; round < ROUNDS; round++) {
			if (!one_run(i, &times))
				continue;
			injected[count] = times.injected_s;
			horizon[count] = times.horizon_s;
			ahead[count++] = times.ahead_s;
		}
		printf("| from %.0f %% by %.0f %% an hour, noise of %.1f %% | %zu |",
		       cases[i].from_percent, cases[i].per_hour, cases[i].noise_percent, count);
		print_spread(injected, count);
		print_spread(horizon, count);
		print_spread(ahead, count);
		printf(" %zu |\n", ROUNDS - count);
	}
	return 0;
}
