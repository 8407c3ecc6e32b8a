/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_SNAPSHOT_H
#define TOCSIN_REPORT_SNAPSHOT_H

/*
 * Everything that a node can tell about itself at one moment, as the agent fills it in for each
 * request. Status and metrics are renderings of it and of nothing else; neither looks anything up.
 */

#include "base/address.h"
#include "cluster/heartbeat_codec.h"
#include "cluster/store.h"
#include "cluster/verdicts.h"
#include "config/config.h"
#include "detect/edge.h"
#include "detect/findings.h"
#include "isolate/actor.h"
#include "report/incident.h"
#include "report/journal.h"

#include <linux/types.h>

#include "maps/block.h"
#include "maps/peer.h"
#include "maps/sched.h"
#include "maps/task.h"

#define SNAPSHOT_SENTENCE_MAX 512

struct snapshot_peer {
	const char *name;	/* the configured node's name, or its address as text */
	struct address address; /* of a node: where its heartbeats go */
	bool configured;	/* false: known from traffic alone, no heartbeats */
	enum edge_state state;
	uint64_t since_ns; /* age of the state */
	bool heard;	   /* false: never, and heard_age_ns means nothing */
	uint64_t heard_age_ns;
	double loss_out_ratio, loss_in_ratio;	       /* lately, 0 to 1; NAN when not measured */
	uint64_t heartbeats_sent, heartbeats_received; /* 0 when not configured */
	uint32_t heartbeat_rtt_us;		       /* smoothed; 0 when unknown */
	double clock_offset_s;		     /* its wall clock less ours; NaN when unknown */
	uint64_t state_changes[EDGE_STATES]; /* how often it came into each state */
	bool agent_silent;		     /* its kernel answers, its agent does not */
	bool heartbeats_blocked;	     /* it answers, but ours do not get there */
	uint64_t oldest_stall_ns;	     /* age; 0 when no socket is stalled */
	/* Sum over all addresses of the peer; only counters and gauges, no key, generation or
	 * flags. */
	struct peer_record tcp;
	char evidence[SNAPSHOT_SENTENCE_MAX]; /* one sentence */
};

/* One operation of one disk. */
struct snapshot_disk {
	const char *name; /* "sda" */
	enum block_operation operation;
	bool used; /* false: no I/O of this kind, and nothing below is known */
	const struct block_record *record;
	bool in_flight_known;
	uint64_t in_flight;	      /* reads, or on the row of writes all others */
	uint64_t oldest_in_flight_ns; /* age; 0 when its driver has none */
	bool completed;		      /* false: never, and the next means nothing */
	uint64_t since_completion_ns;
};

/* A control group in which processes crashed or were killed for want of memory, or whose sockets
 * had trouble. */
struct snapshot_group {
	const char *cgroup; /* its path, or "other": all that have no row */
	/* By name where that is known, else by id; "" where there is none. Only a pod whose name is
	 * known has a namespace. */
	const char *namespace, *pod, *container;
	const char *unit; /* "" where the path tells none */
	const struct task_record *task;
	const struct tcp_group_record *tcp;
};

/* The pods of this node whose names are known. */
struct snapshot_pods {
	unsigned int count;
	const char *reason; /* why some names may not be known; "" when all are */
};

struct snapshot_drop {
	const char *reason; /* as the kernel names it, or "other" */
	uint64_t packets;
};

struct snapshot_probe {
	const char *name; /* "tcp_probe", the program's name */
	const char *hook; /* "tp_btf/tcp_probe" */
	bool attached;
	const char *reason;   /* why not; "" when attached */
	bool shed;	      /* to keep the budget */
	uint64_t runs_missed; /* see struct program_runs */
	/* In the windows in which they were measured. */
	uint64_t runs, run_time_ns;
};

/* What can be given up to keep the budget. */
struct snapshot_budget_part {
	const char *name;
	bool shed;
	uint64_t sheds; /* how often */
};

#define SNAPSHOT_BUDGET_PARTS 6

/* What the programs cost, in shares of the machine's CPU time. */
struct snapshot_budget {
	bool known;	    /* false: not measured yet, and the next means nothing */
	double share_ratio; /* in the last window */
	double limit_ratio;
	uint64_t measured_ns; /* all windows together */
	const char *error;    /* why it cannot be measured; NULL when it can */
	struct snapshot_budget_part parts[SNAPSHOT_BUDGET_PARTS];
};

/* The cluster as this node has it from the store. What it points to is the agent's. */
struct snapshot_cluster {
	const struct membership *membership;
	const struct view *view;
	const struct judgement *judgement; /* the last one */
	const struct verdicts *verdicts;
	const struct actor *actor;
	const struct store_state *store;
	enum config_store store_kind;
	enum config_mode mode;
	uint32_t self;
	bool synced; /* the view holds all that the store has */
	bool paused; /* by anybody */
	bool fenced; /* this node is */
	uint64_t hold_down_ms;
	uint64_t now_ns; /* CLOCK_BOOTTIME, like all times of the above */
};

/* What came about since the agent's start, in each cluster that it was in. */
struct snapshot_decisions {
	uint64_t verdicts[VERDICT_CLASSES]; /* raised */
	uint64_t isolations;		    /* records that came into force while it watched */
	uint64_t refusals[RAILS];	    /* as they are journalled */
	uint64_t store_connects;
	uint64_t row_writes;
};

struct snapshot {
	const char *node;
	const char *version;
	uint64_t uptime_ns;
	bool alone, carrier_down; /* see struct edge_self */
	bool blind;		  /* a probe that the main job needs is not attached */
	const char *blind_reason; /* "" when not */
	uint64_t late_ticks;	  /* the agent itself was not scheduled in time */
	uint64_t late_ticks_ns;	  /* by how much, in total */
	double distrust_ratio;	  /* see struct edge_self, 0 to 1 */

	const struct snapshot_peer *peers;
	size_t peer_count;
	/* Unconfigured peers beyond metrics.max_peers, added up; .name is "other". Used by metrics
	 * only. */
	struct snapshot_peer other;
	size_t other_count;

	const struct snapshot_probe *probes;
	size_t probe_count;
	struct snapshot_budget budget;

	/* A row for each operation of each disk, in order. */
	const struct snapshot_disk *disks;
	size_t disk_count;
	const char *disks_error; /* why there are none; NULL when there may be */
	struct block_counters block_counters;

	const struct snapshot_group *groups;
	size_t group_count;
	struct task_counters task_counters;

	const struct snapshot_pods *pods; /* NULL: nothing asks for them */

	/* Packets that this node's kernel dropped. */
	const struct snapshot_drop *drops;
	size_t drop_count;

	bool sched_known; /* false: no probe, and the next means nothing */
	struct sched_record sched;

	const struct findings *findings; /* of the node's own health; NULL: none yet */
	uint64_t findings_now_ns;	 /* CLOCK_MONOTONIC, like their times */
	const struct finding_settings *finding_settings; /* by kind */

	const struct snapshot_cluster *cluster; /* NULL: the agent has not joined yet */
	struct snapshot_decisions decisions;

	bool journal_known; /* false: there is none, and the next means nothing */
	struct journal_state journal;
	/* Of the journal: closed since the agent's start. NULL: not known, or not yet. */
	const struct incident_totals *incidents;

	struct tcp_counters tcp_counters;
	uint32_t peer_table_size; /* slots */
	uint32_t peer_table_used;
	uint64_t heartbeats_rejected[HEARTBEAT_REJECT_KINDS];
	uint64_t heartbeat_send_failures; /* refused by this node's own stack */
	uint64_t heartbeats_overflowed;	  /* not read in time */
	uint64_t heartbeat_relays_forwarded;
};

#endif
