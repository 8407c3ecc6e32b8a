/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_AGENT_H
#define TOCSIN_AGENT_AGENT_H

/*
 * The node agent: the loop that moves data down the rooms. agent.c starts and stops the parts,
 * turn.c judges at each turn, crash.c takes in crashes, snapshot.c tells.
 */

#include "agent/groups.h"
#include "agent/peers.h"
#include "agent/self.h"
#include "base/service.h"
#include "cluster/confirm.h"
#include "cluster/heartbeat.h"
#include "config/config.h"
#include "probe/block.h"
#include "probe/drop.h"
#include "probe/family.h"
#include "probe/sched.h"
#include "probe/tcp.h"
#include "report/http.h"
#include "report/snapshot.h"

#include <uv.h>

struct agent {
	uv_loop_t loop;
	const char *config_file; /* NULL: the default file, if it exists */
	struct service service;	 /* who started it, and wants to know how it fares */
	uint64_t service_told_ns;
	struct config config;
	int lock_fd;
	struct tcp_probe *probe; /* NULL: blind, and probe_error says why */
	uint64_t swept_ns;	 /* when stalled sockets were last looked through */
	char probe_error[512];
	struct probes probes;	     /* all others */
	struct agent_budget *budget; /* what they cost */
	struct groups groups;
	struct agent_findings *findings;
	struct health *health;
	struct capacity *capacity; /* part of it; NULL while that is closed */
	struct journal *journal;   /* NULL: none, and the log said why */
	uint64_t journal_told_ns;
	struct agent_incidents *incidents; /* NULL: no journal, or it cannot be read */
	struct cluster *cluster;	   /* NULL while it starts and stops */
	struct node_objects *node_objects; /* NULL: not with the store in Kubernetes */
	struct control *control;	   /* NULL: nobody can tell it anything */
	struct heartbeat_socket *heartbeat;
	struct confirm *confirm;
	struct http *http;
	struct peers peers;
	uint64_t started_ns;
	bool stopping;
	struct snapshot_decisions decisions; /* counted where they are made */

	/* Turns. */
	struct self_watch self;
	uv_timer_t turn_timer;
	uv_prepare_t turn_prepare; /* takes a turn along that is nearly due */
	uv_poll_t wakeup_poll;
	uint64_t turn_planned_ns; /* how long after the last turn the next one is due */
	uint64_t own_refreshed_ns;
	bool alone, carrier_down;
	uint64_t carrier_checked_ns;

	bool leaving;		/* the row says so, and the store's answer is waited for */
	uv_timer_t leave_timer; /* ends that */

	uv_signal_t signals[3];
	uv_poll_t crash_poll;

	/* What the last snapshot points to. */
	struct snapshot_peer *snapshot_peers;
	size_t snapshot_capacity;
	struct snapshot_disk snapshot_disks[BLOCK_DEVICES_MAX * BLOCK_OPERATIONS];
	struct snapshot_group *snapshot_groups;
	struct snapshot_pods snapshot_pods;
	struct snapshot_drop snapshot_drops[DROP_SLOTS];
	struct snapshot_cluster snapshot_cluster;
	struct incident_totals snapshot_incidents;
	struct snapshot_probe snapshot_probes[24];
};

/*
 * Runs the agent until SIGTERM or SIGINT. Returns an exit code: 0 after a signal, 2 for a wrong
 * configuration, 1 when it could not start; the reason is on stderr.
 */
int agent_run(const char *config_file);

/* Puts a configuration, which it takes, in the place of the present one. Returns 0, or -errno with
 * the reason in the log, and the old one stays. */
int agent_apply_config(struct agent *agent, struct config *config);

/* The store has told back that this agent stops: there is nothing more to wait for. */
void agent_left(struct agent *agent);

/* A probe that the main job needs is not attached. */
bool agent_is_blind(const struct agent *agent);

/* turn.c */
void agent_start_turns(struct agent *agent);
void agent_stop_turns(struct agent *agent);
/*
 * Forgets the confirming connects to all peers that peers_reload() will drop or move to another
 * index: unconfigured ones, and nodes that are gone from the new configuration or not in their old
 * place.
 */
void agent_forget_targets(struct agent *agent, const struct config *config);

/* crash.c */
void agent_watch_crashes(struct agent *agent);
void agent_unwatch_crashes(struct agent *agent);
/* Takes in the ends of processes that have been told so far. */
void agent_take_ends(struct agent *agent);

/* snapshot.c: a http_snapshot_function whose context is the agent. */
void agent_snapshot(void *context, struct snapshot *ret_snapshot);

#endif
