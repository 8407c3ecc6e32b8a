// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"

#include "agent/budget.h"
#include "agent/cluster.h"
#include "agent/control.h"
#include "agent/findings.h"
#include "agent/halting.h"
#include "agent/health.h"
#include "agent/journal.h"
#include "agent/node_objects.h"
#include "agent/privileges.h"
#include "agent/state_dir.h"
#include "base/clock.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/memory.h"
#include "probe/kernel_types.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open files: at rest and with a few clients; with all clients and connects that there can be. */
#define FILES_MIN    128
#define FILES_WANTED 1024
/* So long the store may take to answer that this agent stops: an end is not held up for more. */
#define LEAVE_LIMIT_MS 300

static int load_config(const char *file, struct config *ret_config, struct text *error)
{
	int r;

	if (!file && access(CONFIG_DEFAULT_FILE, F_OK)) {
		r = config_defaults(ret_config);
		if (r)
			text_printf(error, "the defaults: %s", strerror(-r));
		return r;
	}
	return config_load(file ?: CONFIG_DEFAULT_FILE, ret_config, error);
}

/* A network namespace is known by the inode of its file. */
static uint32_t own_netns_inode(void)
{
	struct stat status;

	if (stat("/proc/self/ns/net", &status))
		return 0;
	return (uint32_t)status.st_ino;
}

/* 0: of all network namespaces. */
static uint32_t wanted_netns(const struct config *config)
{
	switch (config->netns.kind) {
	case CONFIG_NETNS_OWN:
		return own_netns_inode();
	case CONFIG_NETNS_INODE:
		return config->netns.inode;
	case CONFIG_NETNS_ALL:
		break;
	}
	return 0;
}

static struct tcp_probe_settings probe_settings(const struct config *config)
{
	return (struct tcp_probe_settings){
		.max_peers = config->tcp.max_peers,
		.max_groups = (uint32_t)groups_records(config->metrics.max_cgroups),
		.remote = config->tcp.remote,
		.port = config->tcp.port,
		.loopback = config->tcp.loopback,
		.netns_inode = wanted_netns(config),
	};
}

static void tell_programs(const struct program_status *programs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!programs[i].attached)
			log_warning("probe not attached",
				    log_string("probe", programs[i].program->name),
				    log_string("lost", programs[i].program->purpose),
				    log_string("reason", programs[i].reason));
}

/* Without a probe the agent goes on blind when heartbeats at least can tell it something. */
static int open_probe(struct agent *agent)
{
	const struct tcp_probe_settings settings = probe_settings(&agent->config);
	struct text error = TEXT(agent->probe_error);
	const struct program_status *programs;
	size_t count;
	int r;

	r = tcp_probe_open(&agent->probe, &settings, &error);
	if (!r) {
		programs = tcp_probe_programs(agent->probe, &count);
		tell_programs(programs, count);
		return 0;
	}
	log_error("the TCP probe cannot run", log_string("reason", agent->probe_error),
		  log_string("advice", "`tocsin doctor` says what this machine allows"));
	return agent->config.node_count > 1 ? 0 : r;
}

/* Peers are judged without them. */
static void open_probes(struct agent *agent)
{
	const struct probe_settings settings = {
		.max_groups = (uint32_t)groups_records(agent->config.metrics.max_cgroups),
		.netns_inode = wanted_netns(&agent->config),
	};
	const struct program_status *programs;
	size_t count;

	probes_open(&agent->probes, &settings);
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		if (!agent->probes.open[kind])
			log_warning("a probe cannot run",
				    log_string("probe", probe_families[kind].name),
				    log_string("lost", probe_families[kind].lost),
				    log_string("reason", agent->probes.errors[kind]));
		programs = probes_programs(&agent->probes, kind, &count);
		tell_programs(programs, count);
	}
}

static int open_groups(struct agent *agent)
{
	size_t max_series = agent->config.metrics.max_cgroups;

	/* One more for what has no series. */
	agent->snapshot_groups = calloc(max_series + 1, sizeof(*agent->snapshot_groups));
	if (!agent->snapshot_groups)
		return -ENOMEM;
	return groups_open(&agent->groups, agent->probes.open[PROBE_TASK], agent->probe,
			   max_series);
}

static void ignore_socket(int fd, void *context)
{
	struct agent *agent = context;

	/* At worst our own connects are counted as traffic of this node. */
	if (agent->probe)
		(void)tcp_probe_ignore_socket(agent->probe, fd);
}

static int open_http(struct agent *agent, struct text *error)
{
	return http_open(&agent->http, &agent->loop, &agent->config.http.listen.address,
			 agent->config.http.listen.port, agent_snapshot, agent, error);
}

/* What only takes effect when the agent starts. */
static bool probe_settings_differ(const struct config *a, const struct config *b)
{
	return a->netns.kind != b->netns.kind || a->netns.inode != b->netns.inode ||
	       a->metrics.max_cgroups != b->metrics.max_cgroups ||
	       a->tcp.max_peers != b->tcp.max_peers || a->tcp.port != b->tcp.port ||
	       a->tcp.loopback != b->tcp.loopback || a->tcp.remote.prefix != b->tcp.remote.prefix ||
	       !address_equal(&a->tcp.remote.address, &b->tcp.remote.address) ||
	       strcmp(a->state_dir, b->state_dir) || strcmp(a->node, b->node) ||
	       a->http.listen.port != b->http.listen.port ||
	       !address_equal(&a->http.listen.address, &b->http.listen.address);
}

/* Another cluster than before: the view begins anew. */
static void rejoin(struct agent *agent)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	cluster_close(agent->cluster);
	agent->cluster = NULL;
	if (cluster_open(&agent->cluster, agent, &error))
		log_error("the cluster is left", log_string("reason", buffer),
			  log_string("consequence", "nothing is shared until the next reload"));
}

int agent_apply_config(struct agent *agent, struct config *config)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	enum cluster_change change;

	if (heartbeat_reload(agent->heartbeat, config, &error)) {
		log_error("configuration not reloaded", log_string("error", buffer),
			  log_string("consequence", "the old one stays in force"));
		goto discard;
	}
	agent_forget_targets(agent, config);
	if (peers_reload(&agent->peers, config, clock_monotonic_ns())) {
		log_error("configuration not reloaded", log_string("error", "out of memory"));
		/* The heartbeats must speak of the same nodes as the peers do. */
		if (heartbeat_reload(agent->heartbeat, &agent->config, &error))
			log_error("heartbeats", log_string("error", buffer));
		goto discard;
	}
	if (probe_settings_differ(&agent->config, config))
		log_warning("configuration changed in part",
			    log_string("restart",
				       "node, state_dir, netns, tcp.*, http.listen and "
				       "metrics.max_cgroups take effect when the agent is "
				       "started again"));
	privileges_check(config);
	/* These stay as they are until then. */
	memcpy(config->node, agent->config.node, sizeof(config->node));
	memcpy(config->state_dir, agent->config.state_dir, sizeof(config->state_dir));
	config->netns.kind = agent->config.netns.kind;
	config->netns.inode = agent->config.netns.inode;
	config->tcp = agent->config.tcp;
	config->http = agent->config.http;
	config->metrics.max_cgroups = agent->config.metrics.max_cgroups;
	change = agent->cluster ? cluster_compare(&agent->config, config) : CLUSTER_OTHER;
	config_free(&agent->config);
	agent->config = *config;
	if (change == CLUSTER_OTHER || cluster_reload(agent->cluster, change))
		rejoin(agent);
	log_configure(config->log.format, config->log.level);
	log_info("configuration reloaded", log_unsigned("nodes", config->node_count));
	return 0;

discard:
	config_free(config);
	return -EINVAL;
}

static int open_node_objects(struct agent *agent, const struct config *config, struct text *error)
{
	return config->store.kind == CONFIG_STORE_KUBERNETES
		       ? node_objects_open(&agent->node_objects, agent,
					   config->kubernetes.kubeconfig, error)
		       : 0;
}

/* They may come from another place now. */
static void reload_node_objects(struct agent *agent, const struct config *config)
{
	const struct config *old = &agent->config;
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	if (old->store.kind == config->store.kind &&
	    !strcmp(old->kubernetes.kubeconfig, config->kubernetes.kubeconfig))
		return;
	node_objects_close(agent->node_objects);
	agent->node_objects = NULL;
	if (open_node_objects(agent, config, &error))
		log_error("nothing is known of Node objects", log_string("reason", buffer));
}

static void reload(struct agent *agent)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	struct config config;

	if (load_config(agent->config_file, &config, &error)) {
		log_error("configuration not reloaded", log_string("error", buffer),
			  log_string("consequence", "the old one stays in force"));
		return;
	}
	reload_node_objects(agent, &config);
	if (config.kubernetes.has_members && agent->node_objects &&
	    node_objects_fill(agent->node_objects, &config)) {
		log_error("configuration not reloaded", log_string("error", "out of memory"));
		config_free(&config);
		return;
	}
	(void)agent_apply_config(agent, &config);
}

static void stop(struct agent *agent)
{
	if (agent->stopping)
		return;
	agent->stopping = true;
	agent_stop_turns(agent);
	agent_unwatch_crashes(agent);
	health_close(agent->health);
	agent->health = NULL;
	agent_findings_close(agent->findings);
	agent->findings = NULL;
	control_close(agent->control);
	agent->control = NULL;
	node_objects_close(agent->node_objects);
	agent->node_objects = NULL;
	cluster_close(agent->cluster);
	agent->cluster = NULL;
	http_close(agent->http);
	heartbeat_close(agent->heartbeat);
	confirm_close(agent->confirm);
	if (agent->leave_timer.data)
		uv_close((uv_handle_t *)&agent->leave_timer, NULL);
	for (size_t i = 0; i < sizeof(agent->signals) / sizeof(*agent->signals); i++)
		if (agent->signals[i].data)
			uv_close((uv_handle_t *)&agent->signals[i], NULL);
}

static void on_leave_over(uv_timer_t *timer)
{
	stop(timer->data);
}

static void end_leave(struct agent *agent, uint64_t in_ms)
{
	uv_update_time(&agent->loop);
	/* Fails only for a timer that is closing, and then it has ended. */
	(void)uv_timer_start(&agent->leave_timer, on_leave_over, in_ms, 0);
}

void agent_left(struct agent *agent)
{
	/* From the loop: the store is in the middle of telling. */
	if (agent->leaving && !agent->stopping)
		end_leave(agent, 0);
}

/* Says good-bye first, so that the others neither wait for this agent nor miss it. */
static void leave(struct agent *agent)
{
	bool halting = halting_is_machine();

	if (agent->leaving || !agent->cluster || !cluster_leave(agent->cluster, halting)) {
		stop(agent);
		return;
	}
	log_info("leaving the cluster", log_string("machine", halting ? "shuts down" : "stays"));
	agent->leaving = true;
	end_leave(agent, LEAVE_LIMIT_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct agent *agent = handle->data;

	if (number == SIGHUP) {
		if (agent->leaving)
			return;
		service_tell_reloading(&agent->service);
		reload(agent);
		service_tell(&agent->service, "READY=1");
		return;
	}
	service_tell(&agent->service, "STOPPING=1");
	log_info("agent stopping", log_string("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
	leave(agent);
}

/*
 * A descriptor of 0, 1 or 2 that is closed would be given to the next file that is opened, and the
 * log written into that.
 */
static int open_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

/* Too few would show as some program that cannot be loaded, for no reason that anyone can see. */
static int raise_file_limit(struct text *error)
{
	struct rlimit limit = {0};
	struct rlimit raised;

	/* Cannot fail for one's own process. */
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	raised = limit;
	raised.rlim_cur = limit.rlim_max < FILES_WANTED ? limit.rlim_max : FILES_WANTED;
	if (limit.rlim_cur < raised.rlim_cur && !setrlimit(RLIMIT_NOFILE, &raised))
		limit = raised;
	if (limit.rlim_cur >= FILES_MIN)
		return 0;
	text_printf(error,
		    "only %llu open files are allowed, expected %d or more: raise the limit "
		    "(ulimit -n, or LimitNOFILE= of the unit)",
		    (unsigned long long)limit.rlim_cur, FILES_MIN);
	return -EMFILE;
}

static int watch_signals(struct agent *agent)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(numbers) / sizeof(*numbers); i++) {
		r = uv_signal_init(&agent->loop, &agent->signals[i]);
		if (r)
			break;
		agent->signals[i].data = agent;
		r = uv_signal_start(&agent->signals[i], on_signal, numbers[i]);
	}
	return r;
}

static size_t count_attached(const struct program_status *programs, size_t count)
{
	size_t attached = 0;

	for (size_t i = 0; i < count; i++)
		attached += programs[i].attached;
	return attached;
}

static void tell_start(const struct agent *agent)
{
	const struct program_status *programs;
	char address[ADDRESS_TEXT_MAX];
	size_t count, all = 0, attached = 0;

	if (agent->probe) {
		programs = tcp_probe_programs(agent->probe, &count);
		attached += count_attached(programs, count);
		all += count;
	}
	for (unsigned int kind = 0; kind < PROBE_KINDS; kind++) {
		programs = probes_programs(&agent->probes, kind, &count);
		attached += count_attached(programs, count);
		all += count;
	}
	log_info("agent started", log_string("version", TOCSIN_VERSION),
		 log_string("node", agent->config.node),
		 log_unsigned("nodes", agent->config.node_count),
		 log_unsigned("programs_attached", attached), log_unsigned("programs", all),
		 log_string("http", address_format(&agent->config.http.listen.address, address)),
		 log_unsigned("http_port", http_port(agent->http)));
}

/* Opens all parts in the order of the data. Returns 0 or an exit code, with what is open left to
 * the caller. */
static int start(struct agent *agent)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);

	/* First: a signal that comes while the programs are loaded is handled afterwards. */
	if (watch_signals(agent)) {
		text_printf(&error, "signals cannot be watched");
		goto failed;
	}
	uv_timer_init(&agent->loop, &agent->leave_timer);
	agent->leave_timer.data = agent;
	if (raise_file_limit(&error))
		goto failed;
	/* Forks a helper, which is smallest now. */
	if (agent_budget_open(&agent->budget, agent)) {
		text_printf(&error, "the helper that measures the probes cannot be started");
		goto failed;
	}
	if (privileges_begin(&agent->config, &error))
		goto failed;
	agent->lock_fd = state_dir_lock(agent->config.state_dir, &error);
	if (agent->lock_fd < 0)
		goto failed;
	agent_open_journal(agent);
	/* A detector that is not scheduled under overload detects nothing; where it is not allowed,
	 * so be it. */
	(void)setpriority(PRIO_PROCESS, 0, -10);
	if (open_probe(agent))
		return EXIT_FAILED;
	open_probes(agent);
	/* Reading the kernel's type information took some 20 MB. From here on most is allocated to
	 * stay, and much of it to be touched late or never, which is free in fresh memory only. */
	kernel_types_release();
	memory_keep_no_more();
	if (privileges_drop(&error))
		goto failed;
	if (open_groups(agent) || agent_findings_open(&agent->findings, agent) ||
	    health_open(&agent->health, agent) ||
	    peers_open(&agent->peers, &agent->config,
		       agent->probe ? tcp_probe_slots(agent->probe) : 0, own_netns_inode(),
		       clock_monotonic_ns()) ||
	    confirm_open(&agent->confirm, &agent->loop, ignore_socket, agent)) {
		text_printf(&error, "out of memory");
		goto failed;
	}
	if (heartbeat_open(&agent->heartbeat, &agent->loop, &agent->config, &error))
		goto failed;
	if (cluster_open(&agent->cluster, agent, &error))
		goto failed;
	if (open_node_objects(agent, &agent->config, &error))
		goto failed;
	if (control_open(&agent->control, agent, &error)) {
		log_warning("nobody can isolate or release by hand", log_string("reason", buffer));
		error.length = 0;
	}
	if (open_http(agent, &error))
		goto failed;
	agent->started_ns = clock_monotonic_ns();
	agent_start_turns(agent);
	agent_watch_crashes(agent);
	memory_give_back();
	tell_start(agent);
	service_tell(&agent->service, "READY=1");
	return 0;

failed:
	log_error("agent cannot start", log_string("reason", buffer));
	return EXIT_FAILED;
}

int agent_run(const char *config_file)
{
	struct agent agent = {.config_file = config_file, .lock_fd = -1};
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	int code, r;

	r = open_standard_streams();
	if (r) {
		fprintf(stderr, "tocsin: /dev/null: %s\n", strerror(-r));
		return EXIT_FAILED;
	}
	/* Whoever reads the log may go away: that is no reason to stop watching the peers. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EXIT_FAILED;
	if (load_config(config_file, &agent.config, &error)) {
		fprintf(stderr, "tocsin: %s\n", buffer);
		return EXIT_USAGE;
	}
	log_configure(agent.config.log.format, agent.config.log.level);
	r = service_open(&agent.service);
	if (r)
		log_warning("the service manager cannot be told", log_errno("reason", r),
			    log_string("advice", "see NOTIFY_SOCKET in sd_notify(3)"));
	r = uv_loop_init(&agent.loop);
	if (r) {
		fprintf(stderr, "tocsin: the event loop cannot be made: %s\n", uv_strerror(r));
		config_free(&agent.config);
		return EXIT_FAILED;
	}
	code = start(&agent);
	if (code)
		stop(&agent);
	uv_run(&agent.loop, UV_RUN_DEFAULT);
	uv_loop_close(&agent.loop);
	agent_close_journal(&agent);
	agent_budget_close(agent.budget);
	groups_close(&agent.groups);
	tcp_probe_close(agent.probe);
	probes_close(&agent.probes);
	peers_free(&agent.peers);
	free(agent.snapshot_groups);
	free(agent.snapshot_peers);
	config_free(&agent.config);
	if (agent.lock_fd >= 0)
		close(agent.lock_fd);
	service_close(&agent.service);
	if (!code)
		log_info("agent stopped");
	return code;
}
