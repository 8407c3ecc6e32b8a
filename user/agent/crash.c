// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Crashes of processes, and ends of watched ones, as soon as the kernel tells them. */
#include "agent/agent.h"

#include "agent/health.h"
#include "agent/node_objects.h"
#include "base/log.h"

#include <sys/wait.h>

static void on_end(void *context, const struct task_event *event)
{
	struct agent *agent = context;
	int status = (int)event->status;

	if (!WIFSIGNALED(status)) {
		health_exited(agent->health, event, event->time_ns);
		return;
	}
	/* While its group is there: it may have been made for this process alone. */
	groups_note(&agent->groups, &event->group);
	if (event->oom_killed)
		groups_note_oom_kill(&agent->groups);
	/* While the API still tells of its container, which may be started anew. */
	groups_name_pods(&agent->groups, node_objects_pods(agent->node_objects));
	health_crashed(agent->health, event, event->time_ns);
	log_debug("process crashed", log_unsigned("pid", event->pid),
		  log_string("comm", event->comm),
		  log_unsigned("signal", (unsigned int)WTERMSIG(status)),
		  log_unsigned("core", WCOREDUMP(status) != 0),
		  log_unsigned("oom_killed", event->oom_killed),
		  log_string("cgroup", groups_path(&agent->groups, &event->group) ?: "(gone)"),
		  log_unsigned("monotonic_ns", event->time_ns));
}

void agent_take_ends(struct agent *agent)
{
	/* What cannot be read now is read with the next one. */
	if (agent->probes.open[PROBE_TASK])
		(void)task_probe_drain(agent->probes.open[PROBE_TASK], on_end, agent);
}

static void on_events(uv_poll_t *poll, int status, int events)
{
	(void)events;
	if (status >= 0)
		agent_take_ends(poll->data);
}

void agent_watch_crashes(struct agent *agent)
{
	const struct task_probe *probe = agent->probes.open[PROBE_TASK];

	if (!probe || uv_poll_init(&agent->loop, &agent->crash_poll, task_probe_events_fd(probe)))
		return;
	agent->crash_poll.data = agent;
	if (uv_poll_start(&agent->crash_poll, UV_READABLE, on_events))
		log_warning("crashes are not told at once",
			    log_string("consequence", "they are counted all the same"));
}

void agent_unwatch_crashes(struct agent *agent)
{
	if (agent->crash_poll.data)
		uv_close((uv_handle_t *)&agent->crash_poll, NULL);
}
