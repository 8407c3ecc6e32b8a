// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "config/draft.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest sentence about what is expected. */
#define EXPECTED_MAX 512

struct config_position config_draft_given(const struct config_draft *draft, const char *path)
{
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++)
		if (!strcmp(config_keys[i].path, path))
			return draft->given[i];
	return (struct config_position){0};
}

/* Shortens the shown path again to what it was. */
static void leave(struct config_draft *draft, size_t length)
{
	draft->shown.length = length;
	draft->shown.data[length] = '\0';
}

/* A number in quotes is text, even when it looks like a number. */
static bool is_quoted(const struct config_draft *draft, const struct config_key *key)
{
	const yaml_event_t *event = &draft->reader.event;

	return key->type->unquoted && event->type == YAML_SCALAR_EVENT &&
	       event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

static int fail_unexpected(struct config_draft *draft, const struct config_key *key, int error)
{
	struct config_reader *reader = &draft->reader;
	bool quoted = is_quoted(draft, key);
	char expected[EXPECTED_MAX] = "", found[CONFIG_QUOTE_MAX];
	struct text text = TEXT(expected);

	key->type->describe(key, &text);
	config_reader_found(reader, found);
	if (error == -ERANGE)
		error = config_reader_fail(reader, reader->position, draft->shown.data,
					   "%.24s is out of range, expected %s",
					   (const char *)reader->event.data.scalar.value, expected);
	else if (error == -ENAMETOOLONG)
		error = config_reader_fail(reader, reader->position, draft->shown.data,
					   "%s is too long with %zu bytes, expected %s", found,
					   reader->event.data.scalar.length, expected);
	else
		error = config_reader_fail(reader, reader->position, draft->shown.data,
					   "found %s%s, expected %s", found,
					   quoted ? " in quotes" : "", expected);
	return error;
}

static int read_scalar(struct config_draft *draft, const struct config_key *key, void *field)
{
	const yaml_event_t *event = &draft->reader.event;
	const char *value = (const char *)event->data.scalar.value;
	int error;

	if (event->type != YAML_SCALAR_EVENT || is_quoted(draft, key))
		error = -EINVAL;
	else if (strlen(value) != event->data.scalar.length) /* an escaped NUL */
		error = -EINVAL;
	else
		error = key->type->set(key, value, field);
	return error ? fail_unexpected(draft, key, error) : 0;
}

/* The first address is where heartbeats go: one address, and one that a node can have. */
static int check_first_address(struct config_draft *draft, const struct cidr *cidr)
{
	static const struct cidr v6_multicast = {.address.bytes = {0xff}, .prefix = 8};
	static const struct cidr v4_multicast = {
		.address.bytes = {[10] = 0xff, [11] = 0xff, [12] = 224}, .prefix = 96 + 4};
	static const struct address v6_any = {0};
	static const struct address v4_any = {.bytes = {[10] = 0xff, [11] = 0xff}};
	const struct address *address = &cidr->address;
	const char *kind = NULL;
	char found[CONFIG_QUOTE_MAX];

	if (!cidr_is_single(cidr))
		kind = "a network";
	else if (cidr_contains(&v6_multicast, address) || cidr_contains(&v4_multicast, address))
		kind = "a multicast address";
	else if (address_equal(&v6_any, address) || address_equal(&v4_any, address))
		kind = "the unspecified address";
	if (!kind)
		return 0;
	return config_reader_fail(&draft->reader, draft->reader.position, draft->shown.data,
				  "found %s, %s, expected the node's own address first: its "
				  "heartbeats go there",
				  config_reader_found(&draft->reader, found), kind);
}

static int read_addresses(struct config_draft *draft, const struct config_key *key)
{
	unsigned int index = draft->config.node_count - 1;
	struct config_node *node = &draft->config.nodes[index];
	struct config_node_positions *positions = &draft->node_positions[index];
	struct config_reader *reader = &draft->reader;
	size_t length = draft->shown.length;
	int error;

	if (reader->event.type != YAML_SEQUENCE_START_EVENT)
		return fail_unexpected(draft, key, -EINVAL);
	error = config_reader_next(reader);
	while (!error && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		const struct config_key element = {.path = key->path, .type = &config_type_cidr};
		unsigned int count = node->address_count;

		text_printf(&draft->shown, "[%u]", count);
		if (count == CONFIG_ADDRESSES_MAX)
			error = config_reader_fail(reader, reader->position, draft->shown.data,
						   "found one more address, expected at most %d",
						   CONFIG_ADDRESSES_MAX);
		else
			error = read_scalar(draft, &element, &node->addresses[count]);
		if (!error && !count)
			error = check_first_address(draft, &node->addresses[0]);
		if (!error) {
			positions->addresses[count] = reader->position;
			node->address_count++;
			error = config_reader_next(reader);
		}
		leave(draft, length);
	}
	return error;
}

/* The values of a list replace what the default holds. */
static int read_list(struct config_draft *draft, const struct config_key *key)
{
	const struct config_key element = config_key_element(key);
	unsigned int *count = (unsigned int *)((char *)&draft->config + key->count_offset);
	char *elements = (char *)&draft->config + key->offset;
	struct config_reader *reader = &draft->reader;
	size_t length = draft->shown.length;
	int error;

	if (reader->event.type != YAML_SEQUENCE_START_EVENT)
		return fail_unexpected(draft, key, -EINVAL);
	*count = 0;
	memset(elements, 0, key->size);
	error = config_reader_next(reader);
	while (!error && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		text_printf(&draft->shown, "[%u]", *count);
		if (*count == key->size / key->element_size)
			error = config_reader_fail(reader, reader->position, draft->shown.data,
						   "found one more, expected at most %zu",
						   key->size / key->element_size);
		else
			error = read_scalar(draft, &element, elements + *count * key->element_size);
		if (!error) {
			++*count;
			error = config_reader_next(reader);
		}
		leave(draft, length);
	}
	return error;
}

static int add_node(struct config_draft *draft)
{
	struct config *config = &draft->config;
	struct config_node_positions *positions;
	struct config_node *nodes;

	if (config->node_count == CONFIG_NODES_MAX)
		return config_reader_fail(&draft->reader, draft->reader.position, draft->shown.data,
					  "found one more node, expected at most %d",
					  CONFIG_NODES_MAX);
	if (config->node_count == draft->node_capacity) {
		unsigned int capacity = draft->node_capacity ? draft->node_capacity * 2 : 16;

		nodes = reallocarray(config->nodes, capacity, sizeof(*nodes));
		if (!nodes)
			return -ENOMEM;
		config->nodes = nodes;
		positions = reallocarray(draft->node_positions, capacity, sizeof(*positions));
		if (!positions)
			return -ENOMEM;
		draft->node_positions = positions;
		draft->node_capacity = capacity;
	}
	config->nodes[config->node_count] = (struct config_node){0};
	draft->node_positions[config->node_count] =
		(struct config_node_positions){.start = draft->reader.position};
	config->node_count++;
	return 0;
}

static int add_watch(struct config_draft *draft)
{
	struct config *config = &draft->config;

	if (config->watch_count == CONFIG_WATCHES_MAX)
		return config_reader_fail(&draft->reader, draft->reader.position, draft->shown.data,
					  "found one more, expected at most %d",
					  CONFIG_WATCHES_MAX);
	draft->watch_positions[config->watch_count] = draft->reader.position;
	config->watches[config->watch_count++] = (struct config_watch){0};
	return 0;
}

/* The lists of mappings. */
static const struct record_list {
	const char *path, *prefix;
	size_t count_offset;
	int (*add)(struct config_draft *draft); /* one more, at the present position */
} record_lists[] = {
	{"nodes", "nodes[].", offsetof(struct config, node_count), add_node},
	{"watch", "watch[].", offsetof(struct config, watch_count), add_watch},
};

static const struct record_list *record_list_of(const struct config_key *key)
{
	const struct record_list *list = record_lists;

	while (strcmp(list->path, key->path))
		list++;
	return list;
}

static int add_record(struct config_draft *draft, const struct record_list *list)
{
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT; i++)
		if (config_key_below(&config_keys[i], list->prefix))
			draft->given[i] = (struct config_position){0};
	return list->add(draft);
}

static int read_keys(struct config_draft *draft, const char *prefix);

static int read_records(struct config_draft *draft, const struct config_key *key)
{
	const struct record_list *list = record_list_of(key);
	const unsigned int *count = (unsigned int *)((char *)&draft->config + list->count_offset);
	struct config_reader *reader = &draft->reader;
	size_t length = draft->shown.length;
	int error;

	if (reader->event.type != YAML_SEQUENCE_START_EVENT)
		return fail_unexpected(draft, key, -EINVAL);
	error = config_reader_next(reader);
	while (!error && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		text_printf(&draft->shown, "[%u]", *count);
		if (reader->event.type != YAML_MAPPING_START_EVENT) {
			char found[CONFIG_QUOTE_MAX];

			error = config_reader_fail(reader, reader->position, draft->shown.data,
						   "found %s, expected a mapping like %s",
						   config_reader_found(reader, found),
						   key->example);
		} else {
			error = add_record(draft, list);
		}
		if (!error)
			error = read_keys(draft, list->prefix);
		if (!error)
			error = config_reader_next(reader);
		leave(draft, length);
	}
	return error;
}

static int read_section(struct config_draft *draft, const struct config_key *key)
{
	char prefix[CONFIG_KEY_PATH_MAX + 1];

	if (draft->reader.event.type != YAML_MAPPING_START_EVENT)
		return fail_unexpected(draft, key, -EINVAL);
	snprintf(prefix, sizeof(prefix), "%s.", key->path);
	return read_keys(draft, prefix);
}

static void *field_of(struct config_draft *draft, const struct config_key *key)
{
	struct config *config = &draft->config;

	if (config_key_below(key, "nodes[]."))
		return (char *)&config->nodes[config->node_count - 1] + key->offset;
	if (config_key_below(key, "watch[]."))
		return (char *)&config->watches[config->watch_count - 1] + key->offset;
	return (char *)config + key->offset;
}

/* The value of a key, whose event is the present one; ends at the value's last event. */
static int read_value(struct config_draft *draft, const struct config_key *key)
{
	int error = 0;

	/* Nothing given is the default: a section whose keys are all commented out is a common
	 * sight. */
	if (config_reader_is_null(&draft->reader))
		error = 0;
	else if (key->type == &config_type_section)
		error = read_section(draft, key);
	else if (key->type == &config_type_records)
		error = read_records(draft, key);
	else if (key->type == &config_type_addresses)
		error = read_addresses(draft, key);
	else if (key->type == &config_type_list)
		error = read_list(draft, key);
	else
		error = read_scalar(draft, key, field_of(draft, key));
	return error;
}

/* The present event, a scalar, is the name of an unknown key. */
static int fail_unknown(struct config_draft *draft, const char *prefix, const char *name)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_<";
	const struct config_key *nearest = config_key_nearest(prefix, name);
	const char *separator = draft->shown.length ? "." : "";
	struct config_reader *reader = &draft->reader;
	char expected[EXPECTED_MAX] = "", found[CONFIG_QUOTE_MAX];
	size_t length = reader->event.data.scalar.length;
	struct text text = TEXT(expected);

	if (length && length <= CONFIG_NAME_MAX && strspn(name, plain) == length)
		text_printf(&draft->shown, "%s%s", separator, name);
	else
		text_printf(&draft->shown, "%s%s", separator, config_quote(name, length, found));
	for (unsigned int i = 0; i < CONFIG_KEY_COUNT && !nearest; i++)
		if (config_key_below(&config_keys[i], prefix))
			text_printf(&text, "%s%s", text.length ? ", " : "",
				    config_keys[i].path + strlen(prefix));
	if (nearest)
		return config_reader_fail(reader, reader->position, draft->shown.data,
					  "unknown key, did you mean %s?", nearest->path);
	return config_reader_fail(reader, reader->position, draft->shown.data,
				  "unknown key, expected one of %s", expected);
}

/* A key, whose event is the present one, and its value. */
static int read_key(struct config_draft *draft, const char *prefix)
{
	struct config_reader *reader = &draft->reader;
	const char *name = (const char *)reader->event.data.scalar.value;
	struct config_position first;
	char found[CONFIG_QUOTE_MAX];
	int index, error;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return config_reader_fail(reader, reader->position, draft->shown.data,
					  "found %s as a key, expected a name",
					  config_reader_found(reader, found));
	index = config_key_find(prefix, name);
	if (index < 0 || strlen(name) != reader->event.data.scalar.length)
		return fail_unknown(draft, prefix, name);
	text_printf(&draft->shown, "%s%s", draft->shown.length ? "." : "", name);
	first = draft->given[index];
	if (first.line)
		return config_reader_fail(reader, reader->position, draft->shown.data,
					  "given a second time, expected once (the first is at "
					  "line %u, column %u)",
					  first.line, first.column);
	draft->given[index] = reader->position;
	error = config_reader_next(reader);
	/* From here on the value's place says more than the key's. */
	if (!error && !strcmp(config_keys[index].path, "nodes[].name"))
		draft->node_positions[draft->config.node_count - 1].name = reader->position;
	return error ?: read_value(draft, &config_keys[index]);
}

/* The keys of a mapping, whose start is the present event; ends at its end. */
static int read_keys(struct config_draft *draft, const char *prefix)
{
	struct config_reader *reader = &draft->reader;
	size_t length = draft->shown.length;
	int error = config_reader_next(reader);

	while (!error && reader->event.type != YAML_MAPPING_END_EVENT) {
		error = read_key(draft, prefix);
		if (!error)
			error = config_reader_next(reader);
		leave(draft, length);
	}
	return error;
}

static int read_root(struct config_draft *draft)
{
	struct config_reader *reader = &draft->reader;
	char found[CONFIG_QUOTE_MAX];
	int error = 0;

	if (config_reader_is_null(reader))
		error = 0;
	else if (reader->event.type == YAML_MAPPING_START_EVENT)
		error = read_keys(draft, "");
	else
		error = config_reader_fail(reader, reader->position, "",
					   "found %s, expected keys with values, like \"mode: "
					   "observe\"",
					   config_reader_found(reader, found));
	return error;
}

int config_draft_read(struct config_draft *draft)
{
	struct config_reader *reader = &draft->reader;
	int error;

	draft->shown = (struct text)TEXT(draft->shown_buffer);
	error = config_reader_next(reader); /* past the start of the stream */
	if (error || reader->event.type == YAML_STREAM_END_EVENT)
		return error;
	error = config_reader_next(reader); /* past the start of the document */
	if (!error)
		error = read_root(draft);
	if (!error)
		error = config_reader_next(reader); /* to the end of the document */
	if (!error)
		error = config_reader_next(reader);
	if (!error && reader->event.type != YAML_STREAM_END_EVENT)
		error = config_reader_fail(reader, reader->position, "",
					   "found a second document (---), expected one");
	return error;
}
