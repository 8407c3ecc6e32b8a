// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/forecast.h"

#include "base/clock.h"

#include <inttypes.h>
#include <math.h>

#define HOUR_NS (3600 * NS_PER_S)
#define SLOT_NS (900 * NS_PER_S)

/* The horizon has so many steps, each of which is at least so long. */
#define HORIZON_STEPS 30
#define STEP_MIN_NS   (30 * NS_PER_S)
/* Samples so many steps apart are none of one course. */
#define GAP_STEPS 3
/* However short the steps are, nothing is foreseen before. */
#define BEGIN_NS (900 * NS_PER_S)

/*
 * How fast the parts follow what is seen. Found by simulation (tests/unit/test_forecast.c has the
 * cases): a ramp is followed within 10 steps, and white noise of any size makes no trend that is
 * over a fifth of its error and grows in all spans.
 */
#define LEVEL_GAIN  0.2
#define TREND_GAIN  0.1
#define ERROR_GAIN  0.05
#define SEASON_GAIN 0.3
/* Percent: one exceptional day must not make the next one's season. */
#define SEASON_ERROR_MAX 10
/* The season is trusted when its errors are below this share of those without it, over so many
 * slots or more; and until they are above the other share. What they were is forgotten within a
 * day. */
#define TRUST_RATIO    0.5
#define DISTRUST_RATIO 0.8
#define TRUST_SLOTS    8
#define TRUST_MEMORY   0.98

/* A trend counts that is over this share of the error, with each span growing by so much of it. */
#define TREND_ERRORS 0.2
#define SPAN_RATIO   0.4
/* A rise that the season alone brings, in errors. */
#define SEASON_ERRORS 3
/* So many steps in a row must foresee it. */
#define HELD_STEPS 5
/* What has been raised stands until the limit is farther away than so many horizons. */
#define NEAR_HORIZONS (4.0 / 3)

/* ---- the season ---- */

static double mean_of_day(const struct forecast *forecast)
{
	double sum = 0;

	for (unsigned int i = 0; i < FORECAST_SLOTS; i++)
		sum += forecast->day[i];
	return sum / FORECAST_SLOTS;
}

/* Between the middles of two slots on a straight line. */
static double season_at(const struct forecast *forecast, uint64_t time_ns)
{
	uint64_t middle_ns = time_ns + FORECAST_SLOTS * SLOT_NS - SLOT_NS / 2;
	uint64_t slot = middle_ns / SLOT_NS;
	double share = (double)(middle_ns % SLOT_NS) / (double)SLOT_NS;

	if (!forecast->seasonal)
		return 0;
	return (1 - share) * forecast->season[slot % FORECAST_SLOTS] +
	       share * forecast->season[(slot + 1) % FORECAST_SLOTS];
}

static void restart_steps(struct forecast *forecast, uint64_t step_ns, uint64_t now_ns)
{
	forecast->step_ns = step_ns;
	forecast->begun_ns = forecast->step_begun_ns = now_ns;
	forecast->step_sum = 0;
	forecast->step_samples = forecast->steps = forecast->held = 0;
}

/*
 * A day is known, and the first slot of the next. What these two of the same time differ by is no
 * season, but what the day has grown by.
 */
static void learn_season(struct forecast *forecast, unsigned int at, double mean)
{
	double growth = mean - forecast->day[at], middle = mean_of_day(forecast);

	for (unsigned int i = 0; i < FORECAST_SLOTS; i++) {
		unsigned int slot = (at + i) % FORECAST_SLOTS;

		forecast->season[slot] =
			forecast->day[slot] - middle - growth * ((i + 0.5) / FORECAST_SLOTS - 0.5);
	}
	forecast->season_known = true;
}

/* Level and trend begin anew when what they are taken from changes. */
static void trust_season(struct forecast *forecast, bool trusted, uint64_t now_ns)
{
	if (forecast->seasonal == trusted)
		return;
	forecast->seasonal = trusted;
	restart_steps(forecast, forecast->step_ns, now_ns);
}

static void try_season(struct forecast *forecast, unsigned int at, double mean, uint64_t now_ns)
{
	double plain = mean - mean_of_day(forecast);

	forecast->plain_error = TRUST_MEMORY * forecast->plain_error + fabs(plain);
	forecast->season_error =
		TRUST_MEMORY * forecast->season_error + fabs(plain - forecast->season[at]);
	if (forecast->season_slots < TRUST_SLOTS)
		forecast->season_slots++;
	else if (forecast->season_error < TRUST_RATIO * forecast->plain_error)
		trust_season(forecast, true, now_ns);
	else if (forecast->season_error > DISTRUST_RATIO * forecast->plain_error)
		trust_season(forecast, false, now_ns);
}

static void adapt_season(struct forecast *forecast, unsigned int at, double mean)
{
	double error = mean - mean_of_day(forecast) - forecast->season[at];

	error = fmax(-SEASON_ERROR_MAX, fmin(SEASON_ERROR_MAX, error));
	forecast->season[at] += SEASON_GAIN * error;
}

static void end_slot(struct forecast *forecast, uint64_t now_ns)
{
	unsigned int at = forecast->slot % FORECAST_SLOTS;
	double mean = forecast->slot_sum / forecast->slot_samples;

	if (forecast->season_known) {
		try_season(forecast, at, mean, now_ns);
		adapt_season(forecast, at, mean);
	} else if (forecast->slots == FORECAST_SLOTS) {
		learn_season(forecast, at, mean);
	} else {
		forecast->slots++;
	}
	forecast->day[at] = mean;
}

static void observe_season(struct forecast *forecast, double percent, uint64_t now_ns)
{
	uint64_t slot = now_ns / SLOT_NS;

	if (slot != forecast->slot || !forecast->last_ns) {
		bool next = forecast->last_ns && slot == forecast->slot + 1;

		if (next && forecast->slot_whole)
			end_slot(forecast, now_ns);
		/* A day with a gap is learned anew; a season that is known stays as it is. */
		else if (!next)
			forecast->slots = 0;
		forecast->slot = slot;
		forecast->slot_whole = next;
		forecast->slot_sum = 0;
		forecast->slot_samples = 0;
	}
	forecast->slot_sum += percent;
	forecast->slot_samples++;
}

/* ---- level and trend ---- */

static void smooth(struct forecast *forecast, double value)
{
	uint32_t at = forecast->steps++;
	double error, gain;

	forecast->past[at % FORECAST_PAST] = value;
	if (!at) {
		forecast->level = value;
		forecast->trend = forecast->error = 0;
		return;
	}
	error = value - forecast->level - forecast->trend;
	/* The mean of all at first. */
	gain = at * ERROR_GAIN < 1 ? 1.0 / at : ERROR_GAIN;
	forecast->error += gain * (fabs(error) - forecast->error);
	forecast->level += forecast->trend + LEVEL_GAIN * error;
	forecast->trend += LEVEL_GAIN * TREND_GAIN * error;
}

/* The mean of a span of the past; 0 is the oldest one. */
static double mean_of_span(const struct forecast *forecast, unsigned int span)
{
	double sum = 0;

	for (unsigned int i = 0; i < FORECAST_SPAN_STEPS; i++)
		sum += forecast->past[(forecast->steps + span * FORECAST_SPAN_STEPS + i) %
				      FORECAST_PAST];
	return sum / FORECAST_SPAN_STEPS;
}

static bool trend_is_sure(const struct forecast *forecast)
{
	double least = SPAN_RATIO * forecast->trend * FORECAST_SPAN_STEPS;

	if (forecast->trend <= 0 || forecast->trend <= TREND_ERRORS * forecast->error)
		return false;
	for (unsigned int i = 1; i < FORECAST_SPANS; i++)
		if (mean_of_span(forecast, i) - mean_of_span(forecast, i - 1) < least)
			return false;
	return true;
}

/* ---- the outlook ---- */

/* How long it takes to reach the limit with this trend; UINT64_MAX: longer than 'until_ns'. */
static uint64_t time_to(const struct forecast *forecast, double trend, double limit_percent,
			uint64_t until_ns, uint64_t now_ns, double *ret_percent)
{
	uint64_t stride_ns = forecast->step_ns < SLOT_NS ? forecast->step_ns : SLOT_NS;

	for (uint64_t ahead_ns = 0; ahead_ns <= until_ns; ahead_ns += stride_ns) {
		double steps = (double)ahead_ns / (double)forecast->step_ns;

		*ret_percent =
			forecast->level + trend * steps + season_at(forecast, now_ns + ahead_ns);
		if (*ret_percent > limit_percent)
			return ahead_ns;
	}
	return UINT64_MAX;
}

static enum finding_level judge(struct forecast *forecast, const struct forecast_settings *settings,
				uint64_t now_ns)
{
	const uint64_t near_ns = (uint64_t)((double)settings->horizon_ns * NEAR_HORIZONS);
	const double limit_percent = 100 - settings->reserve_percent;
	const double current = forecast->level + season_at(forecast, now_ns);
	bool sure = trend_is_sure(forecast), foreseen;
	double trend = sure || forecast->trend < 0 ? forecast->trend : 0, reached_percent;
	uint64_t time_ns;

	if (forecast->steps < FORECAST_PAST || now_ns < forecast->begun_ns + BEGIN_NS)
		return forecast->verdict == FINDING_QUIET ? FINDING_QUIET : FINDING_NEAR;
	time_ns = time_to(forecast, trend, limit_percent, settings->horizon_ns, now_ns,
			  &reached_percent);
	foreseen = time_ns != UINT64_MAX &&
		   (sure || (current <= limit_percent &&
			     reached_percent - current > SEASON_ERRORS * forecast->error));
	if (!foreseen)
		forecast->held = 0;
	else if (!forecast->held++)
		forecast->since_ns = now_ns;
	if (forecast->held >= HELD_STEPS) {
		forecast->reached_ns = now_ns + time_ns;
		return FINDING_ACTIVE;
	}
	/* What was foreseen has come. */
	if (forecast->verdict != FINDING_QUIET && current > limit_percent) {
		forecast->reached_ns = now_ns;
		return FINDING_ACTIVE;
	}
	if (forecast->verdict == FINDING_QUIET)
		return FINDING_QUIET;
	return time_to(forecast, forecast->trend, limit_percent, near_ns, now_ns,
		       &reached_percent) == UINT64_MAX
		       ? FINDING_QUIET
		       : FINDING_NEAR;
}

enum finding_level forecast_observe(struct forecast *forecast,
				    const struct forecast_settings *settings, double percent,
				    uint64_t now_ns)
{
	uint64_t step_ns = settings->horizon_ns / HORIZON_STEPS;

	if (step_ns < STEP_MIN_NS)
		step_ns = STEP_MIN_NS;
	if (!forecast->last_ns || step_ns != forecast->step_ns ||
	    now_ns - forecast->last_ns > GAP_STEPS * step_ns)
		restart_steps(forecast, step_ns, now_ns);
	observe_season(forecast, percent, now_ns);
	forecast->last_ns = now_ns;
	if (now_ns - forecast->step_begun_ns >= step_ns && forecast->step_samples) {
		smooth(forecast, forecast->step_sum / forecast->step_samples);
		/* Steps without a sample are left out. */
		forecast->step_begun_ns += (now_ns - forecast->step_begun_ns) / step_ns * step_ns;
		forecast->step_sum = 0;
		forecast->step_samples = 0;
		forecast->verdict = judge(forecast, settings, now_ns);
	}
	forecast->step_sum += percent - season_at(forecast, now_ns);
	forecast->step_samples++;
	return forecast->verdict;
}

void forecast_explain(const struct forecast *forecast, const struct forecast_settings *settings,
		      const char *whole, uint64_t now_ns, struct text *sentence)
{
	double current = forecast->level + season_at(forecast, now_ns);
	double limit_percent = 100 - settings->reserve_percent;

	text_printf(sentence, "%.1f %% of %s, ", current, whole);
	if (forecast->reached_ns <= now_ns)
		text_printf(sentence, "%g %% has been passed", limit_percent);
	else
		text_printf(sentence, "%g %% will be passed in %.0f min", limit_percent,
			    (double)(forecast->reached_ns - now_ns) / (60.0 * NS_PER_S));
	text_printf(sentence,
		    ", expected not within %.0f min; it grows by %.1f %% an hour%s, and forecasts "
		    "of %.0f s have erred by %.2f %%",
		    (double)settings->horizon_ns / (60.0 * NS_PER_S),
		    forecast->trend * (double)HOUR_NS / (double)forecast->step_ns,
		    forecast->seasonal ? " beside its daily course" : "",
		    (double)forecast->step_ns / NS_PER_S, forecast->error);
}
