// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/keys.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest name that is compared with the known ones. */
#define NAME_BYTES_MAX 32

static int set_whole(const struct config_key *key, const char *value, void *field)
{
	bool negative = *value == '-';
	const char *digits = value + negative;
	size_t length = strspn(digits, "0123456789");
	unsigned long long number;

	/* YAML 1.1 reads a leading zero as octal, people read it as decimal: neither is guessed. */
	if (!length || digits[length] || (digits[0] == '0' && length > 1))
		return -EINVAL;
	if (negative || length > 10)
		return -ERANGE;
	number = strtoull(digits, NULL, 10);
	if ((double)number < key->minimum || (double)number > key->maximum)
		return -ERANGE;
	if (key->size == sizeof(uint16_t))
		*(uint16_t *)field = (uint16_t)number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return 0;
}

static void describe_whole(const struct config_key *key, struct text *text)
{
	text_printf(text, "a whole number from %.0f to %.0f", key->minimum, key->maximum);
}

static int set_decimal(const struct config_key *key, const char *value, void *field)
{
	char *end = NULL;
	double number;

	/* strtod() alone would also take hexadecimal, infinity and NaN. */
	if (!*value || value[strspn(value, "0123456789.eE+-")])
		return -EINVAL;
	number = strtod(value, &end);
	if (end == value || *end)
		return -EINVAL;
	if (!(number >= key->minimum && number <= key->maximum))
		return -ERANGE;
	*(double *)field = number;
	return 0;
}

static void describe_decimal(const struct config_key *key, struct text *text)
{
	text_printf(text, "a number from %g to %g", key->minimum, key->maximum);
}

static int set_boolean(const struct config_key *key, const char *value, void *field)
{
	(void)key;
	if (strcmp(value, "true") && strcmp(value, "false"))
		return -EINVAL;
	*(bool *)field = *value == 't';
	return 0;
}

static void describe_boolean(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text, "true or false");
}

static int set_word(const struct config_key *key, const char *value, void *field)
{
	unsigned int i = 0;

	while (key->words[i] && strcmp(key->words[i], value))
		i++;
	if (!key->words[i])
		return -EINVAL;
	memcpy(field, &i, sizeof(i));
	return 0;
}

static void describe_word(const struct config_key *key, struct text *text)
{
	for (unsigned int i = 0; key->words[i]; i++)
		text_printf(text, "%s%s",
			    !i			? ""
			    : key->words[i + 1] ? ", "
						: " or ",
			    key->words[i]);
}

static int set_name(const struct config_key *key, const char *value, void *field)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_";

	if (!*value || value[strspn(value, allowed)])
		return -EINVAL;
	return text_copy(field, key->size, value);
}

static void describe_name(const struct config_key *key, struct text *text)
{
	text_printf(text, "1 to %zu letters, digits, '.', '-' or '_'", key->size - 1);
}

static int set_path(const struct config_key *key, const char *value, void *field)
{
	/* The agent's working directory is the service manager's choice. */
	if (*value != '/')
		return -EINVAL;
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return -EINVAL;
	return text_copy(field, key->size, value);
}

/* Of those that hold processes. */
static int set_unit(const struct config_key *key, const char *value, void *field)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-_:\\@";
	const char *suffix = strrchr(value, '.');

	if (!suffix || suffix == value || value[strspn(value, allowed)] ||
	    (strcmp(suffix, ".service") && strcmp(suffix, ".scope")))
		return -EINVAL;
	return text_copy(field, key->size, value);
}

static void describe_unit(const struct config_key *key, struct text *text)
{
	text_printf(text, "the name of a systemd unit of at most %zu bytes, like kubelet.service",
		    key->size - 1);
}

static void describe_path(const struct config_key *key, struct text *text)
{
	text_printf(text, "an absolute path of at most %zu bytes", key->size - 1);
}

static int set_url(const struct config_key *key, const char *value, void *field)
{
	CURLU *url = curl_url();
	char *scheme = NULL;
	int error = -EINVAL;

	if (!url)
		return -ENOMEM;
	if (!curl_url_set(url, CURLUPART_URL, value, CURLU_NON_SUPPORT_SCHEME) &&
	    !curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) &&
	    (!strcmp(scheme, "http") || !strcmp(scheme, "https")))
		error = text_copy(field, key->size, value);
	curl_free(scheme);
	curl_url_cleanup(url);
	return error;
}

static void describe_url(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text, "a URL like http://10.0.0.1:2379 or https://store.example:2379");
}

/* Of the keys in the store: a path that ends with a slash. */
static int set_prefix(const struct config_key *key, const char *value, void *field)
{
	size_t length = strlen(value);

	if (length < 2 || value[length - 1] != '/')
		return -EINVAL;
	return set_path(key, value, field);
}

static void describe_prefix(const struct config_key *key, struct text *text)
{
	text_printf(text,
		    "a path of at most %zu bytes that begins and ends with a slash, like /tocsin/",
		    key->size - 1);
}

static int set_argument(const struct config_key *key, const char *value, void *field)
{
	return text_copy(field, key->size, value);
}

static void describe_argument(const struct config_key *key, struct text *text)
{
	text_printf(text, "text of at most %zu bytes", key->size - 1);
}

static void describe_list(const struct config_key *key, struct text *text)
{
	const struct config_key element = config_key_element(key);

	text_printf(text, "a list of at most %zu, each ", key->size / key->element_size);
	element.type->describe(&element, text);
}

static int set_netns(const struct config_key *key, const char *value, void *field)
{
	static const struct config_key inode_key = {
		.size = sizeof(uint32_t), .minimum = 1, .maximum = UINT32_MAX};
	/* The field's struct has no name of its own. */
	struct config *config = (struct config *)((char *)field - offsetof(struct config, netns));
	enum config_netns kind = CONFIG_NETNS_INODE;
	uint32_t inode = 0;
	int error = 0;

	(void)key;
	if (!strcmp(value, "all"))
		kind = CONFIG_NETNS_ALL;
	else if (!strcmp(value, "own"))
		kind = CONFIG_NETNS_OWN;
	else
		error = set_whole(&inode_key, value, &inode);
	if (error)
		return error;
	config->netns.kind = kind;
	config->netns.inode = inode;
	return 0;
}

static void describe_netns(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text, "all, own or the inode number of a network namespace "
			  "(readlink /proc/PID/ns/net)");
}

static int set_listen(const struct config_key *key, const char *value, void *field)
{
	struct config_listen *listen = field;

	(void)key;
	return address_parse_port(value, &listen->address, &listen->port);
}

static void describe_listen(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text, "\"ADDRESS:PORT\" or \"[V6 ADDRESS]:PORT\" with a port from 1 to 65535, "
			  "like \"127.0.0.1:9479\" or \"[::1]:9479\"");
}

static int set_cidr(const struct config_key *key, const char *value, void *field)
{
	(void)key;
	return cidr_parse(value, field);
}

static void describe_cidr(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text,
		    "an address like 10.0.0.1 or fd00::1, or a network without host bits like "
		    "10.0.0.0/24");
}

static void describe_addresses(const struct config_key *key, struct text *text)
{
	(void)key;
	text_printf(text, "a list of 1 to %d addresses, like [10.0.0.1]", CONFIG_ADDRESSES_MAX);
}

static void describe_section(const struct config_key *key, struct text *text)
{
	char prefix[CONFIG_KEY_PATH_MAX + 1];
	bool first = true;

	snprintf(prefix, sizeof(prefix), "%s.", key->path);
	text_printf(text, "a mapping with the keys ");
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		if (!config_key_below(&config_keys[i], prefix))
			continue;
		text_printf(text, "%s%s", first ? "" : ", ", config_keys[i].path + strlen(prefix));
		first = false;
	}
}

static void describe_records(const struct config_key *key, struct text *text)
{
	text_printf(text, "a list of at most %.0f mappings like %s", key->maximum, key->example);
}

#define TYPE(name, ...)                                                       \
	{                                                                     \
		.set = set_##name, .describe = describe_##name, ##__VA_ARGS__ \
	}
#define HOLDER(name)                        \
	{                                   \
		.describe = describe_##name \
	}

static const struct config_type type_whole = TYPE(whole, .unquoted = true);
static const struct config_type type_decimal = TYPE(decimal, .unquoted = true);
static const struct config_type type_boolean = TYPE(boolean, .unquoted = true);
static const struct config_type type_word = TYPE(word);
static const struct config_type type_name = TYPE(name);
static const struct config_type type_unit = TYPE(unit);
static const struct config_type type_path = TYPE(path);
static const struct config_type type_netns = TYPE(netns);
static const struct config_type type_listen = TYPE(listen);
static const struct config_type type_url = TYPE(url);
static const struct config_type type_prefix = TYPE(prefix);
static const struct config_type type_argument = TYPE(argument);
const struct config_type config_type_cidr = TYPE(cidr);
const struct config_type config_type_list = HOLDER(list);
const struct config_type config_type_addresses = HOLDER(addresses);
const struct config_type config_type_section = HOLDER(section);
const struct config_type config_type_records = HOLDER(records);

/* In the order of the enumerations. */
static const char *const mode_words[] = {"observe", "advise", "enforce", NULL};
static const char *const format_words[] = {"logfmt", "json", NULL};
static const char *const store_words[] = {"local", "etcd", "kubernetes", NULL};
static const char *const action_words[] = {"fence", "hook", "taint", "cordon", "evict", NULL};
static const char *const response_words[] = {"off",  "log",	    "metric", "row",
					     "hook", "no-schedule", NULL};
static const char *const level_words[] = {"error", "warning", "info", "debug", NULL};

_Static_assert(sizeof(enum config_mode) == sizeof(unsigned int), "set_word() stores it as one");
_Static_assert(sizeof(enum log_format) == sizeof(unsigned int), "set_word() stores it as one");
_Static_assert(sizeof(enum config_store) == sizeof(unsigned int), "set_word() stores it as one");
_Static_assert(sizeof(enum config_action) == sizeof(unsigned int), "set_word() stores it as one");
_Static_assert(sizeof(enum finding_response) == sizeof(unsigned int),
	       "set_word() stores it as one");
_Static_assert(sizeof(enum log_level) == sizeof(unsigned int), "set_word() stores it as one");

/* clang-format off */
#define FIELD(record, field) \
	.offset = offsetof(struct record, field), .size = sizeof(((struct record *)0)->field)
#define SECTION(name) {.path = #name, .type = &config_type_section}
#define KEY(field, value_type, ...) \
	{.path = #field, .type = &(value_type), FIELD(config, field), ##__VA_ARGS__}
#define NODE_KEY(field, value_type) \
	{.path = "nodes[]." #field, .type = &(value_type), FIELD(config_node, field)}
#define RECORDS(name, most, look) \
	{.path = #name, .type = &config_type_records, .maximum = (most), .example = (look)}
#define WATCH_KEY(field, value_type, ...) \
	{.path = "watch[]." #field, .type = &(value_type), FIELD(config_watch, field), ##__VA_ARGS__}
#define LIST(field, count_field, element_type, ...) \
	{.path = #field, .type = &config_type_list, FIELD(config, field), \
	 .element = &(element_type), .element_size = sizeof(*((struct config *)0)->field), \
	 .count_offset = offsetof(struct config, count_field), ##__VA_ARGS__}
#define RANGE(least, most) .minimum = (least), .maximum = (most)
/* What every finding has. */
#define FINDING(name, kind) \
	{.path = "findings." name, .type = &config_type_section}, \
	{.path = "findings." name ".response", .type = &type_word, .words = response_words, \
	 FIELD(config, findings.settings[kind].response)}, \
	{.path = "findings." name ".hook", .type = &config_type_list, \
	 FIELD(config, findings.settings[kind].hook), .element = &type_argument, \
	 .element_size = FINDING_HOOK_ARGUMENT_MAX, \
	 .count_offset = offsetof(struct config, findings.settings[kind].hook_argument_count)}
#define FINDING_KEY(name, field, key, value_type, ...) \
	{.path = "findings." name "." #key, .type = &(value_type), \
	 FIELD(config, findings.limits.field.key), ##__VA_ARGS__}

const struct config_key config_keys[CONFIG_KEY_COUNT] = {
	KEY(node,		    type_name),
	KEY(mode,		    type_word, .words = mode_words),
	KEY(state_dir,		    type_path),
	KEY(netns,		    type_netns),

	SECTION(log),
	KEY(log.format,		    type_word, .words = format_words),
	KEY(log.level,		    type_word, .words = level_words),

	SECTION(http),
	KEY(http.listen,	    type_listen),

	SECTION(heartbeat),
	KEY(heartbeat.listen,	    type_listen),
	KEY(heartbeat.interval_ms,  type_whole, RANGE(20, 10000)),
	KEY(heartbeat.key_file,	    type_path),
	KEY(heartbeat.authenticate, type_boolean),

	RECORDS(nodes,		    CONFIG_NODES_MAX, "{name: n1, addresses: [10.0.0.1]}"),
	NODE_KEY(name,		    type_name),
	NODE_KEY(addresses,	    config_type_addresses),
	NODE_KEY(zone,		    type_name),

	SECTION(tcp),
	KEY(tcp.max_peers,	    type_whole, RANGE(16, 65536)),
	KEY(tcp.remote,		    config_type_cidr),
	KEY(tcp.port,		    type_whole, RANGE(0, 65535)),
	KEY(tcp.loopback,	    type_boolean),

	SECTION(edge),
	KEY(edge.certainty,	    type_whole, RANGE(3, 12)),
	KEY(edge.min_silence_ms,    type_whole, RANGE(50, 60000)),
	KEY(edge.lossy_ratio,	    type_decimal, RANGE(0.001, 0.5)),

	SECTION(metrics),
	KEY(metrics.max_peers,	    type_whole, RANGE(0, 10000)),
	KEY(metrics.max_cgroups,    type_whole, RANGE(0, 1000)),

	SECTION(budget),
	KEY(budget.cpu_percent,	    type_decimal, RANGE(0.01, 100)),
	KEY(budget.restore_after_s, type_whole, RANGE(1, 86400)),

	SECTION(store),
	KEY(store.kind,		    type_word, .words = store_words),

	SECTION(etcd),
	LIST(etcd.endpoints,	    etcd.endpoint_count, type_url),
	KEY(etcd.prefix,	    type_prefix),
	KEY(etcd.ca_file,	    type_path),
	KEY(etcd.cert_file,	    type_path),
	KEY(etcd.key_file,	    type_path),
	KEY(etcd.user,		    type_name),
	KEY(etcd.password_file,	    type_path),
	KEY(etcd.lease_seconds,	    type_whole, RANGE(1, 60)),

	SECTION(kubernetes),
	KEY(kubernetes.kubeconfig,  type_path),
	KEY(kubernetes.lease_seconds, type_whole, RANGE(1, 300)),
	KEY(kubernetes.renew_interval_ms, type_whole, RANGE(100, 60000)),

	SECTION(isolation),
	LIST(isolation.actions,	    isolation.action_count, type_word, .words = action_words),
	LIST(isolation.allow,	    isolation.allow_count, config_type_cidr),
	SECTION(isolation.hook),
	LIST(isolation.hook.argv,   isolation.hook.argument_count, type_argument),
	KEY(isolation.hook.timeout_ms, type_whole, RANGE(100, 60000)),
	LIST(isolation.after_heal,  isolation.after_heal_count, type_path),
	KEY(isolation.max_ratio,    type_decimal, RANGE(0.01, 0.5)),
	KEY(isolation.settle_ms,    type_whole, RANGE(100, 60000)),
	KEY(isolation.hold_down_ms, type_whole, RANGE(1000, 3600000)),
	KEY(isolation.interval_ms,  type_whole, RANGE(0, 600000)),
	KEY(isolation.lease_grace_ms, type_whole, RANGE(200, 60000)),

	SECTION(findings),
	KEY(findings.hook_timeout_ms, type_whole, RANGE(100, 60000)),
	FINDING("disk-slow",		FINDING_DISK_SLOW),
	FINDING_KEY("disk-slow",	disk_slow, ratio, type_decimal, RANGE(1.5, 100)),
	FINDING_KEY("disk-slow",	disk_slow, min_ms, type_whole, RANGE(1, 60000)),
	FINDING_KEY("disk-slow",	disk_slow, windows, type_whole, RANGE(1, 100)),
	FINDING_KEY("disk-slow",	disk_slow, window_ms, type_whole, RANGE(200, 600000)),
	FINDING_KEY("disk-slow",	disk_slow, sibling_ratio, type_decimal, RANGE(1.1, 100)),
	FINDING_KEY("disk-slow",	disk_slow, sibling_for_s, type_whole, RANGE(5, 86400)),
	FINDING("disk-stalled",		FINDING_DISK_STALLED),
	FINDING_KEY("disk-stalled",	disk_stalled, after_ms, type_whole, RANGE(200, 600000)),
	FINDING("disk-hung-request",	FINDING_DISK_HUNG_REQUEST),
	FINDING_KEY("disk-hung-request", disk_hung_request, after_ms, type_whole, RANGE(200, 600000)),
	FINDING("disk-errors",		FINDING_DISK_ERRORS),
	FINDING_KEY("disk-errors",	disk_errors, clear_after_s, type_whole, RANGE(1, 86400)),
	FINDING("cpu-overload",		FINDING_CPU_OVERLOAD),
	FINDING_KEY("cpu-overload",	cpu_overload, pressure_percent, type_decimal, RANGE(1, 100)),
	FINDING_KEY("cpu-overload",	cpu_overload, wait_ms, type_whole, RANGE(1, 60000)),
	FINDING_KEY("cpu-overload",	cpu_overload, windows, type_whole, RANGE(1, 100)),
	FINDING_KEY("cpu-overload",	cpu_overload, busy_percent, type_decimal, RANGE(1, 100)),
	FINDING_KEY("cpu-overload",	cpu_overload, busy_for_s, type_whole, RANGE(5, 86400)),
	FINDING("memory-pressure",	FINDING_MEMORY_PRESSURE),
	FINDING_KEY("memory-pressure",	memory_pressure, pressure_percent, type_decimal, RANGE(0.1, 100)),
	FINDING("io-pressure",		FINDING_IO_PRESSURE),
	FINDING_KEY("io-pressure",	io_pressure, pressure_percent, type_decimal, RANGE(0.1, 100)),
	FINDING("accept-overflow",	FINDING_ACCEPT_OVERFLOW),
	FINDING_KEY("accept-overflow",	accept_overflow, delay_ms, type_whole, RANGE(1, 60000)),
	FINDING("receive-drops",	FINDING_RECEIVE_DROPS),
	FINDING_KEY("receive-drops",	receive_drops, deviations, type_decimal, RANGE(1, 100)),
	FINDING_KEY("receive-drops",	receive_drops, ratio, type_decimal, RANGE(0.0001, 1)),
	FINDING("peer-overloaded",	FINDING_PEER_OVERLOADED),
	FINDING_KEY("peer-overloaded",	peer_overloaded, after_ms, type_whole, RANGE(100, 600000)),
	FINDING("crash-loop",		FINDING_CRASH_LOOP),
	FINDING_KEY("crash-loop",	crash_loop, crashes, type_whole, RANGE(2, 100)),
	FINDING_KEY("crash-loop",	crash_loop, within_s, type_whole, RANGE(1, 3600)),
	FINDING("watched-process-died",	FINDING_WATCHED_PROCESS_DIED),
	FINDING("task-hung",		FINDING_TASK_HUNG),
	FINDING_KEY("task-hung",	task_hung, after_s, type_whole, RANGE(5, 3600)),
	FINDING("clock-skew",		FINDING_CLOCK_SKEW),
	FINDING_KEY("clock-skew",	clock_skew, offset_ms, type_whole, RANGE(1, 3600000)),
	FINDING("capacity",		FINDING_CAPACITY),
	FINDING_KEY("capacity",		capacity, horizon_s, type_whole, RANGE(60, 604800)),
	FINDING_KEY("capacity",		capacity, reserve_percent, type_decimal, RANGE(0, 90)),
	FINDING("filesystem",		FINDING_FILESYSTEM),
	FINDING_KEY("filesystem",	filesystem, used_percent, type_decimal, RANGE(1, 100)),

	RECORDS(watch,		    CONFIG_WATCHES_MAX, "{exe: /usr/bin/etcd}"),
	WATCH_KEY(exe,		    type_path),
	WATCH_KEY(unit,		    type_unit),
	WATCH_KEY(port,		    type_whole, RANGE(1, 65535)),
};
/* clang-format on */

struct config_key config_key_element(const struct config_key *list)
{
	struct config_key element = *list;

	element.type = list->element;
	element.size = list->element_size;
	return element;
}

bool config_key_below(const struct config_key *key, const char *prefix)
{
	size_t length = strlen(prefix);

	return !strncmp(key->path, prefix, length) && !strchr(key->path + length, '.');
}

int config_key_find(const char *prefix, const char *name)
{
	for (int i = 0; i < CONFIG_KEY_COUNT; i++)
		if (config_key_below(&config_keys[i], prefix) &&
		    !strcmp(config_keys[i].path + strlen(prefix), name))
			return i;
	return -1;
}

/* How many letters to insert, delete or replace (Levenshtein). Both names fit NAME_BYTES_MAX. */
static unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int row[NAME_BYTES_MAX + 1];
	size_t length_a = strlen(a), length_b = strlen(b);

	for (unsigned int j = 0; j <= length_b; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= length_a; i++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= length_b; j++) {
			unsigned int best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j] = best;
		}
	}
	return row[length_b];
}

/* The last part of a path: "interval_ms" of "heartbeat.interval_ms". */
static const char *last_name(const struct config_key *key)
{
	const char *dot = strrchr(key->path, '.');

	return dot ? dot + 1 : key->path;
}

const struct config_key *config_key_nearest(const char *prefix, const char *name)
{
	const struct config_key *nearest = NULL;
	/* A third of the letters wrong is still a slip, more is another word. */
	size_t limit = (strlen(name) + 1) / 3;

	if (strlen(name) > NAME_BYTES_MAX || strlen(name) < 2)
		return NULL;
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++) {
		unsigned int distance;

		if (!config_key_below(&config_keys[i], prefix))
			continue;
		distance = edit_distance(name, last_name(&config_keys[i]));
		if (distance <= limit && (!nearest || distance < limit)) {
			nearest = &config_keys[i];
			limit = distance;
		}
	}
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT && !nearest; i++)
		if (!strcmp(last_name(&config_keys[i]), name))
			nearest = &config_keys[i];
	return nearest;
}
