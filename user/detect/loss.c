// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/loss.h"

#include <math.h>

#define SLOW_HALF_LIFE_TRIES 300.0
#define FAST_HALF_LIFE_TRIES 10.0

/*
 * 'lost' lost tries, then one that arrived, as a closed form of decaying the counts once a try: a
 * gap may be of any length.
 */
static void decay_and_count(double *tries, double *lost_tries, double half_life, double lost)
{
	double keep = exp2(-1.0 / half_life);
	/* Sum of keep^1 to keep^lost: what the losses are worth once the last try has arrived. */
	double losses = keep * (1.0 - pow(keep, lost)) / (1.0 - keep);
	double kept = pow(keep, lost + 1.0);

	*tries = *tries * kept + losses + 1.0;
	*lost_tries = *lost_tries * kept + losses;
}

static double ratio(double lost, double tries)
{
	return tries > 0.0 ? lost / tries : 0.0;
}

void loss_record(struct loss *loss, uint64_t lost)
{
	decay_and_count(&loss->slow_tries, &loss->slow_lost, SLOW_HALF_LIFE_TRIES, (double)lost);
	decay_and_count(&loss->fast_tries, &loss->fast_lost, FAST_HALF_LIFE_TRIES, (double)lost);
}

double loss_ratio(const struct loss *loss)
{
	return ratio(loss->slow_lost, loss->slow_tries);
}

double loss_weight(const struct loss *loss)
{
	return loss->slow_tries;
}

double loss_lost(const struct loss *loss)
{
	return loss->slow_lost;
}

double loss_pessimistic(const struct loss *loss)
{
	double fast = ratio(loss->fast_lost, loss->fast_tries);

	return fmin(fmax(fmax(loss_ratio(loss), fast), LOSS_FLOOR), LOSS_CEILING);
}
