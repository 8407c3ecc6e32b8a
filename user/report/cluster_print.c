// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/cluster.h"

#include "report/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CELL_BYTES 160

/* A letter of the matrix for each word that a node may say of another. */
static const struct {
	const char *word;
	char letter;
	const char *colour;
} letters[] = {
	{"healthy", '.', ""},
	{"lossy", 'l', "\033[33m"},
	{"suspect", 's', "\033[33m"},
	{"unreachable", 'U', "\033[31m"},
	{"egress-cut", '>', "\033[31m"},
	{"ingress-cut", '<', "\033[31m"},
	{"agent-silent", 'a', "\033[33m"},
	{"unknown", '?', ""},
};

#define LETTERS (sizeof(letters) / sizeof(*letters))

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "-";
}

static void put_clean(FILE *stream, const char *string)
{
	char buffer[1024] = "";
	struct text text = TEXT(buffer);

	terminal_append_clean(&text, string);
	fputs(buffer, stream);
}

static void put_padded(FILE *stream, const char *string, int width)
{
	char buffer[CELL_BYTES] = "";
	struct text text = TEXT(buffer);

	terminal_append_clean(&text, string);
	fprintf(stream, "%s%*s", buffer,
		width > terminal_width(buffer) ? width - terminal_width(buffer) : 0, "");
}

static void put_duration(FILE *stream, uint64_t ms)
{
	char buffer[CELL_BYTES] = "";
	struct text text = TEXT(buffer);

	terminal_append_duration(&text, ms);
	fputs(buffer, stream);
}

static void put_list(FILE *stream, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (i)
			fputs(", ", stream);
		put_clean(stream, json_string_value(item) ?: "-");
	}
}

static bool lists(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) if (json_string_value(item) &&
					      !strcmp(json_string_value(item), name)) return true;
	return false;
}

/* What a node says of another, as a place in 'letters'. */
static size_t letter_of(const json_t *node, const char *other)
{
	const json_t *edges = json_object_get(node, "edges");

	for (size_t i = 1; i < LETTERS; i++)
		if (lists(json_object_get(edges, letters[i].word), other))
			return i;
	return 0;
}

static void put_head(FILE *stream, const json_t *cluster)
{
	const json_t *store = json_object_get(cluster, "store");
	bool connected = json_is_true(json_object_get(store, "connected"));
	const json_t *node;
	size_t i, present = 0;

	json_array_foreach(json_object_get(cluster, "nodes"), i, node) present +=
		json_is_true(json_object_get(node, "present"));
	fprintf(stream, "cluster of %zu, %zu with a row; seen from ", i, present);
	put_clean(stream, string_of(cluster, "node"));
	fprintf(stream, "; mode ");
	put_clean(stream, string_of(cluster, "mode"));
	fprintf(stream, "; store ");
	put_clean(stream, string_of(store, "kind"));
	if (!connected) {
		fprintf(stream, " NOT CONNECTED: ");
		put_clean(stream, string_of(store, "reason"));
	} else if (json_is_true(json_object_get(store, "actor"))) {
		fprintf(stream, " (this node is the actor)");
	} else if (*string_of(store, "actor_name")) {
		fprintf(stream, " (the actor is ");
		put_clean(stream, string_of(store, "actor_name"));
		fprintf(stream, ")");
	}
	if (json_is_true(json_object_get(cluster, "paused")))
		fprintf(stream, "; PAUSED");
	if (json_is_true(json_object_get(cluster, "fenced")))
		fprintf(stream, "; THIS NODE IS FENCED");
	fprintf(stream, "\n");
}

static void put_node_state(FILE *stream, const json_t *node)
{
	const json_t *flags = json_object_get(node, "flags");

	if (!json_is_true(json_object_get(node, "present")))
		fprintf(stream, "  no row");
	if (json_is_true(json_object_get(node, "isolated")))
		fprintf(stream, "  ISOLATED");
	if (json_array_size(flags)) {
		fprintf(stream, "  ");
		put_list(stream, flags);
	}
	if (json_number_value(json_object_get(node, "distrust_ratio")) > 0)
		fprintf(stream, "  starved");
}

static void put_matrix(FILE *stream, const json_t *nodes, bool colour)
{
	const json_t *node, *other;
	int width = 4;
	size_t i, j;

	json_array_foreach(nodes, i, node) if (terminal_width(string_of(node, "name")) > width)
		width = terminal_width(string_of(node, "name"));
	fprintf(stream, "\n%*s  of ", width, "");
	json_array_foreach(nodes, j, other) fprintf(stream, " %2zu", j + 1);
	fprintf(stream, "\n");
	json_array_foreach(nodes, i, node)
	{
		put_padded(stream, string_of(node, "name"), width);
		fprintf(stream, " %3zu ", i + 1);
		json_array_foreach(nodes, j, other)
		{
			size_t at = letter_of(node, string_of(other, "name"));
			char letter = letters[at].letter;

			if (i == j)
				letter = '-';
			else if (!json_is_true(json_object_get(node, "present")))
				letter = ' ';
			if (colour && *letters[at].colour && letter != ' ')
				fprintf(stream, "  %s%c\033[0m", letters[at].colour, letter);
			else
				fprintf(stream, "  %c", letter);
		}
		put_node_state(stream, node);
		fprintf(stream, "\n");
	}
	fprintf(stream, "\n");
	for (i = 0; i < LETTERS; i++)
		fprintf(stream, "%s%c %s", i ? "  " : "", letters[i].letter, letters[i].word);
	fprintf(stream, "\n");
}

/* Too many for a matrix: those that are not well, and what they say. */
static void put_unwell(FILE *stream, const json_t *nodes)
{
	const json_t *node, *names;
	size_t i, well = 0;

	json_array_foreach(nodes, i, node)
	{
		json_t *edges = json_object_get(node, "edges");
		const char *word;

		if (json_is_true(json_object_get(node, "present")) &&
		    !json_is_true(json_object_get(node, "isolated")) &&
		    !json_array_size(json_object_get(node, "flags")) && !json_object_size(edges)) {
			well++;
			continue;
		}
		put_clean(stream, string_of(node, "name"));
		put_node_state(stream, node);
		json_object_foreach(edges, word, names)
		{
			fprintf(stream, "  ");
			put_clean(stream, word);
			fprintf(stream, ": ");
			put_list(stream, names);
		}
		fprintf(stream, "\n");
	}
	fprintf(stream, "%zu nodes are well\n", well);
}

static void put_verdicts(FILE *stream, const json_t *verdicts, bool colour)
{
	const json_t *verdict;
	size_t i;

	if (!json_array_size(verdicts))
		fprintf(stream, "\nno verdict: all is well\n");
	json_array_foreach(verdicts, i, verdict)
	{
		fprintf(stream, "%s%s", i ? "" : "\n", colour ? "\033[31m" : "");
		put_clean(stream, string_of(verdict, "class"));
		fprintf(stream, "%s for ", colour ? "\033[0m" : "");
		put_duration(stream,
			     (uint64_t)json_integer_value(json_object_get(verdict, "since_ms")));
		fprintf(stream, "%s: ",
			json_is_true(json_object_get(verdict, "raised")) ? "" : " (not settled)");
		put_clean(stream, string_of(verdict, "sentence"));
		fprintf(stream, "\n");
	}
}

/* What nodes find of their own health. */
static void put_findings(FILE *stream, const json_t *nodes)
{
	const json_t *node, *finding;
	bool first = true;
	size_t i, j;

	json_array_foreach(nodes, i, node)
		json_array_foreach(json_object_get(node, "findings"), j, finding)
	{
		fprintf(stream, "%sfinding: ", first ? "\n" : "");
		first = false;
		put_clean(stream, string_of(node, "name"));
		fprintf(stream, " ");
		put_clean(stream, string_of(finding, "finding"));
		fprintf(stream, " ");
		put_clean(stream, string_of(finding, "subject"));
		fprintf(stream, ": ");
		put_clean(stream, string_of(finding, "sentence"));
		fprintf(stream, "\n");
	}
}

static void put_isolations(FILE *stream, const json_t *isolations)
{
	const json_t *isolation;
	size_t i;

	json_array_foreach(isolations, i, isolation)
	{
		const json_t *healthy = json_object_get(isolation, "healthy_ms");

		fprintf(stream, "%sisolated: ", i ? "" : "\n");
		put_clean(stream, string_of(isolation, "node"));
		fprintf(stream, " by ");
		put_clean(stream, string_of(isolation, "by"));
		fprintf(stream, ", ");
		put_clean(stream, string_of(isolation, "sentence"));
		if (json_is_integer(healthy)) {
			fprintf(stream, "; healthy for ");
			put_duration(stream, (uint64_t)json_integer_value(healthy));
			fprintf(stream, " of ");
			put_duration(stream, (uint64_t)json_integer_value(
						     json_object_get(isolation, "hold_down_ms")));
		}
		if (json_is_true(json_object_get(isolation, "waits_for_person")))
			fprintf(stream, "; waits for `tocsin release`");
		if (*string_of(isolation, "kept")) {
			fprintf(stream, "; not released yet: ");
			put_clean(stream, string_of(isolation, "kept"));
		}
		fprintf(stream, "\n");
	}
}

int cluster_print(FILE *stream, const json_t *cluster, bool colour)
{
	const json_t *nodes = json_object_get(cluster, "nodes");

	put_head(stream, cluster);
	if (json_array_size(nodes) > CLUSTER_MATRIX_MAX)
		put_unwell(stream, nodes);
	else
		put_matrix(stream, nodes, colour);
	put_verdicts(stream, json_object_get(cluster, "verdicts"), colour);
	put_findings(stream, nodes);
	put_isolations(stream, json_object_get(cluster, "isolations"));
	return fflush(stream) || ferror(stream) ? -EIO : 0;
}
