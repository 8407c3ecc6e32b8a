/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_DETECT_FORECAST_H
#define TOCSIN_DETECT_FORECAST_H

/*
 * When the use of something will reach a limit (Holt-Winters, additive). Level and trend by double
 * exponential smoothing; after a day, of what is left when the season is taken off: how far each
 * quarter of an hour lies from the mean of the day. It is taken off only while the days are alike.
 * Pure.
 *
 * Only what is sure is told. A rise counts when it is large against the errors of the forecasts one
 * step ahead, when the last spans of time have all grown with it, and when it has held for several
 * steps: neither noise, nor a step, nor a level that is high and stable is a forecast.
 */

#include "base/text.h"
#include "detect/findings.h"

#include <stdbool.h>
#include <stdint.h>

#define FORECAST_SLOTS 96 /* of 24 hours */
/* What the growth is looked for in: so many spans of so many steps. */
#define FORECAST_SPANS	    4
#define FORECAST_SPAN_STEPS 4
#define FORECAST_PAST	    (FORECAST_SPANS * FORECAST_SPAN_STEPS)

struct forecast_settings {
	uint64_t horizon_ns;	/* how far it looks */
	double reserve_percent; /* of what there is, to be kept free: the limit is the rest */
};

/* Zero at first. Use is in percent of what there is. */
struct forecast {
	uint64_t begun_ns, last_ns; /* of the samples; 0: none */
	enum finding_level verdict; /* of the last step */
	uint64_t reached_ns;	    /* when the limit is; of an active verdict */
	uint64_t since_ns;	    /* since when that is foreseen; 0: it is not */

	/* The step that is under way: the mean of its samples, without the season. */
	uint64_t step_ns, step_begun_ns;
	double step_sum;
	uint32_t step_samples;

	uint32_t steps;		    /* taken since the last gap */
	double level, trend;	    /* of one step */
	double error;		    /* mean absolute error of the forecasts of one step */
	double past[FORECAST_PAST]; /* a ring: the last steps, without the season */
	uint32_t held;		    /* steps in a row that foresee the limit */

	/* The quarter of an hour that is under way; CLOCK_MONOTONIC counts them. */
	uint64_t slot;
	bool slot_whole; /* it was seen from its beginning on */
	double slot_sum;
	uint32_t slot_samples;
	uint32_t slots;		       /* that are known, without a gap; until the season is */
	double day[FORECAST_SLOTS];    /* their means; a ring by the time of day */
	double season[FORECAST_SLOTS]; /* added to the level, if it is trusted */
	bool season_known;
	uint32_t season_slots; /* that it was tried on */
	/* How far the use lay from the mean of the day, and from that with the season; the sums
	 * forget. */
	double plain_error, season_error;
	bool seasonal; /* it is trusted: it explains half of that, or has and still helps */
};

/*
 * Takes in how much is used now, and says how bad the outlook is: active when the limit will be
 * reached within the horizon, or when it has been and was foreseen. A step is a thirtieth of the
 * horizon, and half a minute at least: one sample or more a step is wanted, and a gap of three
 * begins anew. Cheap but at the end of a step.
 */
enum finding_level forecast_observe(struct forecast *forecast,
				    const struct forecast_settings *settings, double percent,
				    uint64_t now_ns);

/* The sentence of an active verdict; 'whole' is what its percentages are of ("the memory"). */
void forecast_explain(const struct forecast *forecast, const struct forecast_settings *settings,
		      const char *whole, uint64_t now_ns, struct text *sentence);

#endif
