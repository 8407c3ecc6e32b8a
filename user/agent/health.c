// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health.h"

#include "agent/health_capacity.h"
#include "agent/health_disk.h"
#include "agent/health_filesystem.h"
#include "agent/health_network.h"
#include "agent/health_overload.h"
#include "agent/health_process.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static const struct health_family *const families[] = {
	&health_disk,	  &health_filesystem, &health_crash_loop, &health_watch, &health_hung,
	&health_overload, &health_capacity,   &health_accept,	  &health_drops, &health_peers,
};

#define FAMILIES (sizeof(families) / sizeof(*families))

struct health {
	void *open[FAMILIES];
};

int health_open(struct health **ret_health, struct agent *agent)
{
	struct health *health = calloc(1, sizeof(*health));
	int r = health ? 0 : -ENOMEM;

	*ret_health = health;
	for (size_t i = 0; i < FAMILIES && !r; i++)
		r = families[i]->open(&health->open[i], agent);
	return r;
}

void health_turn(struct health *health, uint64_t now_ns)
{
	for (size_t i = 0; i < FAMILIES; i++)
		families[i]->turn(health->open[i], now_ns);
}

void health_crashed(struct health *health, const struct task_event *event, uint64_t now_ns)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (families[i]->crashed)
			families[i]->crashed(health->open[i], event, now_ns);
}

void health_exited(struct health *health, const struct task_event *event, uint64_t now_ns)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (families[i]->exited)
			families[i]->exited(health->open[i], event, now_ns);
}

void health_close(struct health *health)
{
	if (!health)
		return;
	for (size_t i = 0; i < FAMILIES; i++)
		if (health->open[i])
			families[i]->close(health->open[i]);
	free(health);
}
