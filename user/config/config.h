/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CONFIG_CONFIG_H
#define TOCSIN_CONFIG_CONFIG_H

#include "base/address.h"
#include "base/log.h"
#include "base/text.h"
#include "config/findings.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_DEFAULT_FILE   "/etc/tocsin/tocsin.yaml"
#define CONFIG_NAME_MAX	      64  /* of a node or a zone, NUL included */
#define CONFIG_PATH_MAX	      256 /* NUL included */
#define CONFIG_NODES_MAX      10000
#define CONFIG_ADDRESSES_MAX  8 /* of one node */
#define CONFIG_FILE_BYTES_MAX (1 << 20)
#define CONFIG_ENDPOINTS_MAX  8
#define CONFIG_ALLOW_MAX      32
#define CONFIG_ARGUMENTS_MAX  16
#define CONFIG_COMMANDS_MAX   8
#define CONFIG_WATCHES_MAX    32
#define CONFIG_UNIT_MAX	      128 /* of a systemd unit, NUL included */

enum config_mode { CONFIG_MODE_OBSERVE, CONFIG_MODE_ADVISE, CONFIG_MODE_ENFORCE };

enum config_store { CONFIG_STORE_LOCAL, CONFIG_STORE_ETCD, CONFIG_STORE_KUBERNETES };

/* What is done to a node that is isolated, beside the record in the store. */
enum config_action {
	CONFIG_ACTION_FENCE,
	CONFIG_ACTION_HOOK,
	CONFIG_ACTION_TAINT,  /* of its Node in Kubernetes: NoSchedule */
	CONFIG_ACTION_CORDON, /* the same by spec.unschedulable */
	CONFIG_ACTION_EVICT,  /* the same: NoExecute, once it is proven to be fenced */
	CONFIG_ACTIONS,
};

/* Whose sockets count. */
enum config_netns { CONFIG_NETNS_ALL, CONFIG_NETNS_OWN, CONFIG_NETNS_INODE };

struct config_listen {
	struct address address;
	uint16_t port;
};

/* One configured member of the cluster. */
struct config_node {
	char name[CONFIG_NAME_MAX];
	char zone[CONFIG_NAME_MAX];
	/* The first is a whole address, where heartbeats go; others may be networks (pod CIDRs). */
	struct cidr addresses[CONFIG_ADDRESSES_MAX];
	unsigned int address_count;
};

/* Processes that are missed when they end: by exactly one of these. */
struct config_watch {
	char exe[CONFIG_PATH_MAX];  /* "": not by this */
	char unit[CONFIG_UNIT_MAX]; /* "" */
	uint16_t port;		    /* that one of them listens on; 0 */
};

struct config {
	char node[CONFIG_NAME_MAX]; /* this node's name; default the host name */
	enum config_mode mode;
	char state_dir[CONFIG_PATH_MAX];
	struct {
		enum config_netns kind;
		uint32_t inode; /* with CONFIG_NETNS_INODE */
	} netns;
	struct {
		enum log_format format; /* log.format: logfmt | json */
		enum log_level level;	/* log.level: error | warning | info | debug */
	} log;
	struct {
		struct config_listen listen; /* http.listen, default 127.0.0.1:9479 */
	} http;
	struct {
		struct config_listen listen; /* heartbeat.listen, default 0.0.0.0:9480 */
		uint32_t interval_ms;	     /* heartbeat.interval_ms, 20 to 10000, default 100 */
		char key_file[CONFIG_PATH_MAX]; /* "" with authenticate: false */
		bool authenticate;		/* heartbeat.authenticate, default true */
	} heartbeat;
	struct {
		uint32_t max_peers; /* tcp.max_peers: 16 to 65536, default 4096 */
		struct cidr remote; /* tcp.remote: only these peers; prefix 0 = all (default) */
		uint16_t port;	    /* tcp.port: only this port, either end; 0 = all (default) */
		bool loopback;	    /* tcp.loopback: count 127.0.0.0/8 and ::1 too; default false */
	} tcp;
	struct {
		/* edge.certainty: silence is less likely than 10^-this; 3 to 12, default 6. */
		uint32_t certainty;
		/* edge.min_silence_ms: never 'unreachable' before; 50 to 60000, default 250. */
		uint32_t min_silence_ms;
		/* edge.lossy_ratio: 0.001 to 0.5, default 0.01. */
		double lossy_ratio;
	} edge;
	struct {
		/* metrics.max_peers: unconfigured ones with own series; 0 to 10000, default 100. */
		uint32_t max_peers;
		/* metrics.max_cgroups: with own series of crashes; 0 to 1000, default 100. */
		uint32_t max_cgroups;
	} metrics;
	struct {
		/* budget.cpu_percent: of the machine, for the programs; 0.01 to 100, default 1. */
		double cpu_percent;
		/* budget.restore_after_s: 1 to 86400, default 60. */
		uint32_t restore_after_s;
	} budget;
	struct {
		enum config_store kind; /* store.kind: local | etcd | kubernetes */
	} store;
	struct {
		char endpoints[CONFIG_ENDPOINTS_MAX][CONFIG_PATH_MAX]; /* http(s)://HOST:PORT */
		unsigned int endpoint_count;
		char prefix[CONFIG_NAME_MAX];	 /* etcd.prefix, default /tocsin/ */
		char ca_file[CONFIG_PATH_MAX];	 /* "": the system's */
		char cert_file[CONFIG_PATH_MAX]; /* with key_file; "": no client certificate */
		char key_file[CONFIG_PATH_MAX];
		char user[CONFIG_NAME_MAX]; /* with password_file; "": no authentication */
		char password_file[CONFIG_PATH_MAX];
		uint32_t lease_seconds; /* etcd.lease_seconds: 1 to 60, default 2 */
	} etcd;
	struct {
		char kubeconfig[CONFIG_PATH_MAX]; /* "": the service account of the pod */
		uint32_t lease_seconds;		  /* 1 to 300, default 5 */
		uint32_t renew_interval_ms;	  /* 100 to 60000, default 1000 */
		/* With this store and no nodes configured: its Node objects are the members. */
		bool has_members;
	} kubernetes;
	struct {
		enum config_action actions[CONFIG_ACTIONS]; /* default: fence */
		unsigned int action_count;
		struct cidr allow[CONFIG_ALLOW_MAX]; /* still reached through a fence */
		unsigned int allow_count;
		struct {
			char argv[CONFIG_ARGUMENTS_MAX][CONFIG_PATH_MAX];
			unsigned int argument_count;
			uint32_t timeout_ms; /* 100 to 60000, default 5000 */
		} hook;
		/* isolation.after_heal: run on a node that is not isolated any more, in order */
		char after_heal[CONFIG_COMMANDS_MAX][CONFIG_PATH_MAX];
		unsigned int after_heal_count;
		double max_ratio;	 /* 0.01 to 0.5, default 0.1 */
		uint32_t settle_ms;	 /* 100 to 60000, default 500 */
		uint32_t hold_down_ms;	 /* 1000 to 3600000, default 30000 */
		uint32_t interval_ms;	 /* 0 to 600000, default 10000 */
		uint32_t lease_grace_ms; /* 200 to 60000, default 700 */
	} isolation;
	struct {
		struct finding_settings settings[FINDING_KINDS]; /* findings.KIND.* */
		struct finding_limits limits;			 /* findings.KIND.*, too */
		uint32_t hook_timeout_ms; /* findings.hook_timeout_ms: 100 to 60000, default 5000 */
	} findings;
	struct config_watch watches[CONFIG_WATCHES_MAX];
	unsigned int watch_count;
	struct config_node *nodes;
	unsigned int node_count;
};

/*
 * The embedded defaults: what `tocsin agent` does without a configuration file. Returns 0, or
 * -EINVAL or -ENAMETOOLONG with *ret_config untouched when the host name cannot be a node's name.
 */
int config_defaults(struct config *ret_config);

/*
 * Reads a YAML file over the defaults. On success returns 0 and *ret_config is the caller's to
 * config_free(). On failure *ret_config is untouched and 'error' says in one line what is wrong,
 * where ("FILE:LINE:COLUMN: ...") and what was expected: -EINVAL for contents, else the errno of
 * opening or reading. Nothing is applied half.
 */
int config_load(const char *path, struct config *ret_config, struct text *error);

/* The same for a file that is in memory already; 'file' is its name in errors. */
int config_parse(const char *file, const void *data, size_t size_bytes, struct config *ret_config,
		 struct text *error);

/* The configured node of this name, or NULL. */
const struct config_node *config_find_node(const struct config *config, const char *name);

/* Whether the agent may ever execute anything: a hook, or what follows a healing. */
bool config_has_commands(const struct config *config);

void config_free(struct config *config);

#endif
