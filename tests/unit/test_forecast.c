// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When a limit is foreseen, and above all when not: in simulated time, a sample each 5 s. */
#include "detect/forecast.h"

#include "base/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLE_S 5
/* Not a multiple of a quarter of an hour, as of no agent's start. */
#define BEGIN_S	   1234567
#define SEEDS	   20
#define NEVER	   (-1)
#define HOUR_MIN   60
#define DAY_MIN	   (24 * HOUR_MIN)
#define HORIZON_NS (1800 * NS_PER_S)

/* What is used, in percent, by the minute. */
struct course {
	double base;
	double noise; /* standard deviation from minute to minute */
	/* From one minute to another it grows, and stays there. */
	int grow_from_min, grow_to_min;
	double grow_per_hour;
	/* At once. */
	int step_min;
	double step;
	/* Each day, from the mean: a sine, or high for hours with an hour of rise before and after.
	 */
	double sine, plateau;
	/* For a third of each period. */
	int square_period_min;
	double square;
	/* Once. */
	int pulse_from_min, pulse_to_min;
	double pulse;
	/* No samples in between. */
	int gap_from_min, gap_to_min;
};

/* Standard normal, nearly: twelve uniform numbers, of the minute and the seed alone. */
static double normal(unsigned int seed, int minute)
{
	uint64_t number = ((uint64_t)seed << 32) + (uint64_t)minute + 1;
	double sum = -6;

	for (int i = 0; i < 12; i++) {
		number ^= number >> 31;
		number *= 0x9e3779b97f4a7c15ULL;
		number ^= number >> 29;
		sum += (double)(number >> 11) / 9007199254740992.0;
	}
	return sum;
}

static double plateau(double hour)
{
	if (hour < 8 || hour > 18)
		return 0;
	if (hour < 9)
		return hour - 8;
	return hour > 17 ? 18 - hour : 1;
}

static double use(const struct course *course, unsigned int seed, int minute)
{
	int grown = minute < course->grow_to_min ? minute : course->grow_to_min;
	double value = course->base + course->noise * normal(seed, minute);

	if (grown > course->grow_from_min)
		value += course->grow_per_hour * (grown - course->grow_from_min) / HOUR_MIN;
	if (minute >= course->step_min)
		value += course->step;
	value += course->sine * sin(2 * M_PI * minute / DAY_MIN);
	value += course->plateau * plateau(minute % DAY_MIN / 60.0);
	if (course->square_period_min &&
	    minute % course->square_period_min < course->square_period_min / 3)
		value += course->square;
	if (minute >= course->pulse_from_min && minute < course->pulse_to_min)
		value += course->pulse;
	return value;
}

/* The last one that was run. */
static struct forecast forecast;

struct outcome {
	int raised[32]; /* minutes */
	int count;
	enum finding_level last;
};

static struct outcome run(const struct course *course, const struct forecast_settings *settings,
			  unsigned int seed, int minutes)
{
	struct outcome outcome = {.last = FINDING_QUIET};
	bool stands = false;

	forecast = (struct forecast){0};
	for (int second = 0; second < minutes * 60; second += SAMPLE_S) {
		uint64_t now_ns = (uint64_t)(BEGIN_S + second) * NS_PER_S;
		int minute = second / 60;

		if (minute >= course->gap_from_min && minute < course->gap_to_min)
			continue;
		outcome.last =
			forecast_observe(&forecast, settings, use(course, seed, minute), now_ns);
		if (outcome.last == FINDING_ACTIVE && !stands && outcome.count < 32)
			outcome.raised[outcome.count++] = minute;
		if (outcome.last != FINDING_NEAR)
			stands = outcome.last == FINDING_ACTIVE;
	}
	return outcome;
}

/* Nothing is foreseen, whatever the noise. */
static void test_never(void **state)
{
	static const struct {
		const char *name;
		int hours;
		struct course course;
	} cases[] = {
		{"flat", 48, {.base = 70}},
		{"quiet noise", 48, {.base = 70, .noise = 1}},
		{"noise", 48, {.base = 70, .noise = 3}},
		{"loud noise", 48, {.base = 70, .noise = 8}},
		{"just below", 48, {.base = 79.5, .noise = 0.1}},
		{"high and stable", 48, {.base = 88, .noise = 1}},
		{"step", 6, {.base = 30, .noise = 0.3, .step_min = 120, .step = 30}},
		{"large step", 6, {.base = 20, .noise = 0.3, .step_min = 120, .step = 58}},
		{"clean step", 6, {.base = 40, .step_min = 120, .step = 35}},
		{"step down", 6, {.base = 75, .noise = 1, .step_min = 120, .step = -40}},
		{"falls", 2, {.base = 79, .noise = 1, .grow_to_min = 120, .grow_per_hour = -30}},
		{"above and falls",
		 2,
		 {.base = 95, .noise = 0.5, .grow_to_min = 120, .grow_per_hour = -10}},
		{"rises and stops",
		 6,
		 {.base = 40, .noise = 0.5, .grow_to_min = 40, .grow_per_hour = 30}},
		{"rises slowly",
		 24,
		 {.base = 40, .noise = 0.5, .grow_to_min = DAY_MIN, .grow_per_hour = 1}},
		{"jobs", 72, {.base = 10, .noise = 1, .square_period_min = 30, .square = 85}},
		{"long jobs", 72, {.base = 10, .noise = 1, .square_period_min = 100, .square = 60}},
		{"short jobs", 72, {.base = 10, .noise = 1, .square_period_min = 7, .square = 85}},
		/* Nor does the next day expect it. */
		{"one busy hour",
		 120,
		 {.base = 50,
		  .noise = 0.5,
		  .pulse = 45,
		  .pulse_from_min = 2 * DAY_MIN + 600,
		  .pulse_to_min = 2 * DAY_MIN + 660}},
		{"one busy hour at first",
		 120,
		 {.base = 50,
		  .noise = 0.5,
		  .pulse = 25,
		  .pulse_from_min = 600,
		  .pulse_to_min = 660}},
		{"daily course up to the limit", 120, {.base = 50, .noise = 2, .sine = 29.5}},
		{"daily course", 120, {.base = 50, .noise = 0.5, .sine = 22}},
	};
	static const struct forecast_settings settings = {HORIZON_NS, 20};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			struct outcome outcome =
				run(&cases[i].course, &settings, seed, cases[i].hours * HOUR_MIN);

			if (outcome.count)
				fail_msg("%s, seed %u: after %d min", cases[i].name, seed,
					 outcome.raised[0]);
		}
}

/* Foreseen once, at a time between two, and what stands at the end. */
static void test_foreseen(void **state)
{
	static const struct {
		const char *name;
		int minutes, first, last;
		bool stands;
		struct course course;
		struct forecast_settings settings;
	} cases[] = {
		/* 80 % after 80 minutes: to be foreseen after 50, and to hold for some. */
		{"ramp",
		 80,
		 51,
		 57,
		 true,
		 {.base = 40, .grow_to_min = 200, .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		{"ramp with noise",
		 80,
		 50,
		 66,
		 true,
		 {.base = 40, .noise = 0.8, .grow_to_min = 200, .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		{"ramp after hours",
		 260,
		 231,
		 246,
		 true,
		 {.base = 40,
		  .noise = 0.5,
		  .grow_from_min = 180,
		  .grow_to_min = 400,
		  .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		{"another reserve",
		 50,
		 29,
		 40,
		 true,
		 {.base = 40, .noise = 0.3, .grow_to_min = 200, .grow_per_hour = 30},
		 {HORIZON_NS, 30}},
		/* The first quarter of an hour tells nothing. */
		{"at once",
		 40,
		 17,
		 24,
		 true,
		 {.base = 70, .noise = 0.2, .grow_to_min = 200, .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		{"soon, short horizon",
		 20,
		 16,
		 19,
		 true,
		 {.base = 70, .noise = 0.2, .grow_to_min = 200, .grow_per_hour = 45},
		 {HORIZON_NS / 6, 20}},
		/* Stands while it is over the limit, and ends when it is not. */
		{"passes and stays",
		 300,
		 50,
		 66,
		 true,
		 {.base = 40, .noise = 0.5, .grow_to_min = 100, .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		{"passes and falls",
		 300,
		 50,
		 66,
		 false,
		 {.base = 40,
		  .noise = 0.5,
		  .grow_to_min = 100,
		  .grow_per_hour = 30,
		  .step_min = 150,
		  .step = -40},
		 {HORIZON_NS, 20}},
		{"stops in time",
		 240,
		 50,
		 66,
		 false,
		 {.base = 40, .noise = 0.3, .grow_to_min = 66, .grow_per_hour = 30},
		 {HORIZON_NS, 20}},
		/* After a gap it begins anew. */
		{"gap",
		 80,
		 66,
		 72,
		 true,
		 {.base = 40,
		  .noise = 0.2,
		  .grow_to_min = 200,
		  .grow_per_hour = 30,
		  .gap_from_min = 45,
		  .gap_to_min = 49},
		 {HORIZON_NS, 20}},
		/* A day ahead: 80 % after 40 hours. */
		{"slow ramp, far horizon",
		 DAY_MIN,
		 16 * HOUR_MIN,
		 23 * HOUR_MIN,
		 true,
		 {.base = 40, .noise = 0.5, .grow_to_min = 2 * DAY_MIN, .grow_per_hour = 1},
		 {24 * 2 * HORIZON_NS, 20}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (unsigned int seed = 0; seed < SEEDS; seed++) {
			struct outcome outcome =
				run(&cases[i].course, &cases[i].settings, seed, cases[i].minutes);

			if (outcome.count != 1 || outcome.raised[0] < cases[i].first ||
			    outcome.raised[0] > cases[i].last)
				fail_msg("%s, seed %u: %d times, after %d min", cases[i].name, seed,
					 outcome.count, outcome.raised[0]);
			if ((outcome.last != FINDING_QUIET) != cases[i].stands)
				fail_msg("%s, seed %u: %d at the end", cases[i].name, seed,
					 outcome.last);
		}
}

/* Whether, and when, it is foreseen within a day that begins then; NEVER. */
static int raised_on_day(const struct outcome *outcome, int day)
{
	for (int i = 0; i < outcome->count; i++)
		if (outcome->raised[i] / DAY_MIN == day)
			return outcome->raised[i] % DAY_MIN;
	return NEVER;
}

/* A steep morning that ends below the limit is foreseen wrongly on the first day at most. */
static void test_season_below(void **state)
{
	static const struct course course = {.base = 20, .noise = 0.5, .plateau = 54};
	static const struct forecast_settings settings = {HORIZON_NS, 20};

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		struct outcome outcome = run(&course, &settings, seed, 6 * DAY_MIN);

		/* Or the season would prove nothing. */
		assert_int_not_equal(raised_on_day(&outcome, 0), NEVER);
		for (int day = 1; day < 6; day++)
			if (raised_on_day(&outcome, day) != NEVER)
				fail_msg("seed %u: on day %d", seed, day);
	}
}

/* One that ends above it is foreseen each morning, before it rises steeply. */
static void test_season_above(void **state)
{
	static const struct course course = {.base = 20, .noise = 0.5, .plateau = 70};
	static const struct forecast_settings settings = {HORIZON_NS, 20};
	/* From 8:00 on it rises, at 8:51 it is above. */
	const int passes_min = 8 * HOUR_MIN + 51;

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		struct outcome outcome = run(&course, &settings, seed, 5 * DAY_MIN);

		for (int day = 2; day < 5; day++) {
			int raised = raised_on_day(&outcome, day);

			if (raised < passes_min - 45 || raised > passes_min - 15)
				fail_msg("seed %u, day %d: after %d min", seed, day, raised);
		}
		assert_int_equal(outcome.last, FINDING_QUIET);
	}
}

/* Growth that is no part of the season is seen through it. */
static void test_growth_over_season(void **state)
{
	static const struct course course = {.base = 40,
					     .noise = 0.3,
					     .sine = 10,
					     .grow_from_min = 3 * DAY_MIN + 14 * HOUR_MIN,
					     .grow_to_min = 3 * DAY_MIN + 18 * HOUR_MIN,
					     .grow_per_hour = 30};
	static const struct forecast_settings settings = {HORIZON_NS, 20};

	(void)state;
	for (unsigned int seed = 0; seed < SEEDS; seed++) {
		struct outcome outcome = run(&course, &settings, seed, 3 * DAY_MIN + 16 * HOUR_MIN);

		assert_int_equal(outcome.count, 1);
		assert_in_range(outcome.raised[0], course.grow_from_min + 60,
				course.grow_from_min + 80);
	}
}

/* What a day has grown by is not its season, and one exceptional hour is hardly of it. */
static void test_what_is_no_season(void **state)
{
	static const struct course growing = {
		.base = 10, .grow_to_min = 2 * DAY_MIN, .grow_per_hour = 2};
	static const struct course usual = {.base = 30, .sine = 20};
	static const struct course exceptional = {.base = 30,
						  .sine = 20,
						  .pulse_from_min = 2 * DAY_MIN + 600,
						  .pulse_to_min = 2 * DAY_MIN + 660,
						  .pulse = 40};
	static const struct forecast_settings settings = {HORIZON_NS, 20};
	double season[FORECAST_SLOTS], changed = 0;

	(void)state;
	run(&growing, &settings, 0, DAY_MIN + 20);
	assert_true(forecast.season_known);
	for (size_t i = 0; i < FORECAST_SLOTS; i++)
		assert_float_equal(forecast.season[i], 0, 1);
	run(&usual, &settings, 0, 3 * DAY_MIN);
	assert_true(forecast.seasonal);
	memcpy(season, forecast.season, sizeof(season));
	run(&exceptional, &settings, 0, 3 * DAY_MIN);
	assert_true(forecast.seasonal);
	for (size_t i = 0; i < FORECAST_SLOTS; i++)
		changed = fmax(changed, fabs(forecast.season[i] - season[i]));
	/* It may be the beginning of a new one. */
	assert_true(changed > 1 && changed < 4);
}

static void test_sentence(void **state)
{
	struct forecast sample = {.reached_ns = 5000 * NS_PER_S + 27 * 60 * NS_PER_S,
				  .level = 60.94,
				  .trend = 0.7,
				  .error = 0.315,
				  .step_ns = 60 * NS_PER_S};
	static const struct forecast_settings settings = {HORIZON_NS, 20};
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);

	(void)state;
	forecast_explain(&sample, &settings, "the memory", 5000 * NS_PER_S, &text);
	assert_string_equal(
		sentence,
		"60.9 % of the memory, 80 % will be passed in 27 min, expected not within "
		"30 min; it grows by 42.0 % an hour, and forecasts of 60 s have erred "
		"by 0.32 %");
	sample.reached_ns = 0;
	sample.seasonal = true;
	text = (struct text)TEXT(sentence);
	forecast_explain(&sample, &settings, "the memory", 5000 * NS_PER_S, &text);
	assert_string_equal(
		sentence,
		"60.9 % of the memory, 80 % has been passed, expected not within 30 min; it "
		"grows by 42.0 % an hour beside its daily course, and forecasts of 60 "
		"s have erred by 0.32 %");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_foreseen),
		cmocka_unit_test(test_season_below),
		cmocka_unit_test(test_season_above),
		cmocka_unit_test(test_growth_over_season),
		cmocka_unit_test(test_what_is_no_season),
		cmocka_unit_test(test_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
