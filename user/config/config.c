// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/config.h"

#include "config/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct config defaults = {
	.mode = CONFIG_MODE_OBSERVE,
	.state_dir = "/var/lib/tocsin",
	.netns = {.kind = CONFIG_NETNS_ALL},
	.log = {.format = LOG_FORMAT_LOGFMT, .level = LOG_LEVEL_INFO},
	.http.listen = {.address.bytes = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1},
			.port = 9479},
	.heartbeat = {.listen = {.address.bytes = {[10] = 0xff, [11] = 0xff}, .port = 9480},
		      .interval_ms = 100,
		      .authenticate = true},
	.tcp = {.max_peers = 4096},
	.edge = {.certainty = 6, .min_silence_ms = 250, .lossy_ratio = 0.01},
	.metrics = {.max_peers = 100, .max_cgroups = 256},
	.budget = {.cpu_percent = 1, .restore_after_s = 60},
	.store = {.kind = CONFIG_STORE_LOCAL},
	.etcd = {.prefix = "/tocsin/", .lease_seconds = 2},
	.kubernetes = {.lease_seconds = 5, .renew_interval_ms = 1000},
	.isolation = {.actions = {CONFIG_ACTION_FENCE},
		      .action_count = 1,
		      .hook.timeout_ms = 5000,
		      .max_ratio = 0.1,
		      .settle_ms = 500,
		      .hold_down_ms = 30000,
		      .interval_ms = 10000,
		      .lease_grace_ms = 700},
	.findings = {.settings = {[0 ... FINDING_KINDS - 1] = {.response = FINDING_RESPONSE_ROW}},
		     .limits = {.disk_slow = {.ratio = 5,
					      .min_ms = 20,
					      .windows = 3,
					      .window_ms = 5000,
					      .sibling_ratio = 2,
					      .sibling_for_s = 300},
				.disk_stalled.after_ms = 2000,
				.disk_hung_request.after_ms = 5000,
				.disk_errors.clear_after_s = 60,
				.cpu_overload = {.pressure_percent = 40,
						 .wait_ms = 20,
						 .windows = 3,
						 .busy_percent = 75,
						 .busy_for_s = 300},
				.memory_pressure.pressure_percent = 10,
				.io_pressure.pressure_percent = 40,
				.accept_overflow.delay_ms = 100,
				.receive_drops = {.deviations = 4, .ratio = 0.01},
				.peer_overloaded.after_ms = 1000,
				.crash_loop = {.crashes = 3, .within_s = 60},
				.task_hung.after_s = 30,
				.clock_skew.offset_ms = 500,
				.capacity = {.horizon_s = 1800, .reserve_percent = 20},
				.filesystem.used_percent = 95},
		     .hook_timeout_ms = 5000},
};

/* The name that the environment gives this node (a pod knows its node's only so), or the host's; ""
 * when it cannot be one. */
static int default_node(char node[static CONFIG_NAME_MAX])
{
	const struct config_key *key = &config_keys[config_key_find("", "node")];
	const char *given = getenv("TOCSIN_NODE");
	char name[256] = "";

	if (given && *given)
		return key->type->set(key, given, node);
	/* One byte is kept back: a name that is cut is not terminated. */
	if (gethostname(name, sizeof(name) - 1))
		return -errno;
	return key->type->set(key, name, node);
}

int config_defaults(struct config *ret_config)
{
	struct config config = defaults;
	int error = default_node(config.node);

	if (!error)
		*ret_config = config;
	return error;
}

int config_parse(const char *file, const void *data, size_t size_bytes, struct config *ret_config,
		 struct text *error)
{
	struct config_draft draft = {.config = defaults};
	int result;

	/* A host name that cannot serve is an error only when the file names no node. */
	(void)default_node(draft.config.node);
	result = config_reader_open(&draft.reader, file, data, size_bytes, error);
	if (!result)
		result = config_draft_read(&draft);
	if (!result)
		result = config_draft_check(&draft);
	if (!result) {
		*ret_config = draft.config;
		draft.config.nodes = NULL;
	} else if (result == -ENOMEM) {
		text_printf(error, "%s: out of memory while reading it", file);
	}
	config_reader_close(&draft.reader);
	config_free(&draft.config);
	free(draft.node_positions);
	return result;
}

static const char *file_kind(mode_t mode)
{
	if (S_ISDIR(mode))
		return "a directory";
	if (S_ISFIFO(mode))
		return "a pipe (FIFO)";
	return "a device";
}

/* Reads up to and with size_bytes. Returns 0 or -errno. */
static int read_all(int fd, char *data, size_t size_bytes, size_t *ret_length_bytes)
{
	size_t length_bytes = 0;
	ssize_t count;

	do {
		count = read(fd, data + length_bytes, size_bytes - length_bytes);
		if (count > 0)
			length_bytes += (size_t)count;
	} while ((count > 0 && length_bytes < size_bytes) || (count < 0 && errno == EINTR));
	*ret_length_bytes = length_bytes;
	return count < 0 ? -errno : 0;
}

static int load_fd(int fd, const char *path, struct config *ret_config, struct text *error)
{
	struct stat status = {0};
	char *data = NULL;
	size_t length_bytes = 0;
	int result = 0;

	if (fstat(fd, &status)) {
		result = -errno;
	} else if (!S_ISREG(status.st_mode)) {
		text_printf(error, "%s: found %s, expected a regular file", path,
			    file_kind(status.st_mode));
		return S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
	} else {
		/* One byte more than allowed, so that too much is seen without trusting st_size. */
		data = malloc(CONFIG_FILE_BYTES_MAX + 1);
		if (!data)
			result = -ENOMEM;
		else
			result = read_all(fd, data, CONFIG_FILE_BYTES_MAX + 1, &length_bytes);
	}
	if (result) {
		text_printf(error, "%s: cannot be read: %s", path, strerror(-result));
	} else if (length_bytes > CONFIG_FILE_BYTES_MAX) {
		text_printf(error, "%s: is too long, expected at most %d bytes", path,
			    CONFIG_FILE_BYTES_MAX);
		result = -EFBIG;
	} else {
		result = config_parse(path, data, length_bytes, ret_config, error);
	}
	free(data);
	return result;
}

int config_load(const char *path, struct config *ret_config, struct text *error)
{
	/* Without O_NONBLOCK the open of a FIFO would wait for a writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0) {
		result = -errno;
		text_printf(error, "%s: cannot be opened: %s", path, strerror(-result));
		return result;
	}
	result = load_fd(fd, path, ret_config, error);
	close(fd);
	return result;
}

const struct config_node *config_find_node(const struct config *config, const char *name)
{
	for (unsigned int i = 0; i < config->node_count; i++)
		if (!strcmp(config->nodes[i].name, name))
			return &config->nodes[i];
	return NULL;
}

bool config_has_commands(const struct config *config)
{
	for (unsigned int kind = 0; kind < FINDING_KINDS; kind++)
		if (config->findings.settings[kind].hook_argument_count)
			return true;
	return config->isolation.hook.argument_count || config->isolation.after_heal_count;
}

void config_free(struct config *config)
{
	free(config->nodes);
	config->nodes = NULL;
	config->node_count = 0;
}
