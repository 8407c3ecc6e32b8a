// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/status.h"

#include "report/terminal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CELL_BYTES 128

enum column {
	COLUMN_PEER,
	COLUMN_ADDRESS,
	COLUMN_STATE,
	COLUMN_SINCE,
	COLUMN_RTT_P50,
	COLUMN_RTT_P99,
	COLUMN_LOSS_OUT,
	COLUMN_LOSS_IN,
	COLUMN_HEARD,
	COLUMN_RTO,
	COLUMN_TLP,
	COLUMN_FAST,
	COLUMN_SYN,
	COLUMN_SYNACK,
	COLUMNS,
};

static void cell_string(struct text *cell, const json_t *peer, const char *key);
static void cell_since(struct text *cell, const json_t *peer, const char *key);
static void cell_rtt(struct text *cell, const json_t *peer, const char *key);
static void cell_loss(struct text *cell, const json_t *peer, const char *key);
static void cell_retransmits(struct text *cell, const json_t *peer, const char *key);

static const struct {
	const char *title;
	const char *key;
	void (*format)(struct text *cell, const json_t *peer, const char *key);
	bool left; /* aligned; numbers are not */
} columns[COLUMNS] = {
	[COLUMN_PEER] = {"PEER", "name", cell_string, true},
	[COLUMN_ADDRESS] = {"ADDRESS", "address", cell_string, true},
	[COLUMN_STATE] = {"STATE", "state", cell_string, true},
	[COLUMN_SINCE] = {"SINCE", "since_ms", cell_since, false},
	[COLUMN_RTT_P50] = {"RTT-p50", "rtt_p50_us", cell_rtt, false},
	[COLUMN_RTT_P99] = {"RTT-p99", "rtt_p99_us", cell_rtt, false},
	[COLUMN_LOSS_OUT] = {"LOSS-out", "loss_out_ratio", cell_loss, false},
	[COLUMN_LOSS_IN] = {"LOSS-in", "loss_in_ratio", cell_loss, false},
	[COLUMN_HEARD] = {"HEARD", "last_heard_ms", cell_since, false},
	[COLUMN_RTO] = {"RTO", "rto", cell_retransmits, false},
	[COLUMN_TLP] = {"TLP", "tlp", cell_retransmits, false},
	[COLUMN_FAST] = {"FAST", "fast", cell_retransmits, false},
	[COLUMN_SYN] = {"SYN", "syn", cell_retransmits, false},
	[COLUMN_SYNACK] = {"SYNACK", "synack", cell_retransmits, false},
};

/* Worst first: the order of the table, and the colour of the word. */
static const struct {
	enum edge_state state;
	const char *colour;
} severities[] = {
	{EDGE_UNREACHABLE, "\033[31m"}, {EDGE_EGRESS_CUT, "\033[31m"},
	{EDGE_INGRESS_CUT, "\033[31m"}, {EDGE_SUSPECT, "\033[33m"},
	{EDGE_LOSSY, "\033[33m"},	{EDGE_HEALTHY, "\033[32m"},
};

#define SEVERITIES (sizeof(severities) / sizeof(*severities))
_Static_assert(SEVERITIES == EDGE_STATES, "every state has its place in the order");

static void cell_string(struct text *cell, const json_t *peer, const char *key)
{
	terminal_append_clean(cell, json_string_value(json_object_get(peer, key)) ?: "-");
}

static void cell_since(struct text *cell, const json_t *peer, const char *key)
{
	const json_t *value = json_object_get(peer, key);

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		terminal_append_duration(cell, (uint64_t)json_integer_value(value));
	else
		text_printf(cell, "-");
}

static void cell_rtt(struct text *cell, const json_t *peer, const char *key)
{
	const json_t *value = json_object_get(peer, key);
	double us = json_number_value(value);

	if (!json_is_number(value))
		text_printf(cell, "-");
	else if (us < 1000000)
		text_printf(cell, "%.*fms", us < 10000 ? 2 : us < 100000 ? 1 : 0, us / 1e3);
	else
		text_printf(cell, "%.1fs", us / 1e6);
}

static void cell_loss(struct text *cell, const json_t *peer, const char *key)
{
	const json_t *value = json_object_get(peer, key);
	double percent = json_number_value(value) * 100;

	if (!json_is_number(value))
		text_printf(cell, "-");
	else
		text_printf(cell, "%.*f%%", percent > 0 && percent < 10 ? 2 : 0, percent);
}

static void cell_retransmits(struct text *cell, const json_t *peer, const char *key)
{
	const json_t *value = json_object_get(json_object_get(peer, "retransmits"), key);

	if (json_is_integer(value))
		text_printf(cell, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		text_printf(cell, "-");
}

/* Index into severities[]; a state that this version does not know comes first. */
static int severity(const json_t *peer)
{
	const char *state = json_string_value(json_object_get(peer, "state")) ?: "";

	for (size_t i = 0; i < SEVERITIES; i++)
		if (!strcmp(state, edge_state_name(severities[i].state)))
			return (int)i;
	return -1;
}

static int compare_peers(const void *left, const void *right)
{
	const json_t *a = *(const json_t *const *)left;
	const json_t *b = *(const json_t *const *)right;
	int difference = severity(a) - severity(b);

	if (difference)
		return difference;
	/* n2 before n10. */
	return strverscmp(json_string_value(json_object_get(a, "name")) ?: "",
			  json_string_value(json_object_get(b, "name")) ?: "");
}

static void print_cell(FILE *stream, enum column column, const char *cell, int width,
		       const char *colour)
{
	int padding = width - terminal_width(cell);

	fprintf(stream, "%s%*s%s%s%s%*s", column ? "  " : "", columns[column].left ? 0 : padding,
		"", colour ?: "", cell, colour ? "\033[0m" : "", columns[column].left ? padding : 0,
		"");
}

static void print_evidence(FILE *stream, const json_t *peer)
{
	char buffer[SNAPSHOT_SENTENCE_MAX + 1] = "";
	struct text line = TEXT(buffer);
	const char *evidence = json_string_value(json_object_get(peer, "evidence")) ?: "";
	bool agent_silent = json_is_true(json_object_get(peer, "agent_silent"));
	bool blocked = json_is_true(json_object_get(peer, "heartbeats_blocked"));

	if (agent_silent)
		fprintf(stream, "    its kernel answers, its agent does not\n");
	if (blocked)
		fprintf(stream, "    its kernel answers, our heartbeats do not get there\n");
	if ((agent_silent || blocked || severity(peer) != SEVERITIES - 1) && *evidence) {
		terminal_append_clean(&line, evidence);
		fprintf(stream, "    %s\n", buffer);
	}
}

static void format_cell(const json_t *peer, enum column column, char buffer[static CELL_BYTES])
{
	struct text cell = {.data = buffer, .size = CELL_BYTES};

	columns[column].format(&cell, peer, columns[column].key);
}

static void print_peers(FILE *stream, const json_t *const *peers, size_t count, bool colour)
{
	int widths[COLUMNS];
	char cell[CELL_BYTES];

	for (unsigned int column = 0; column < COLUMNS; column++) {
		widths[column] = terminal_width(columns[column].title);
		for (size_t i = 0; i < count; i++) {
			format_cell(peers[i], column, cell);
			if (terminal_width(cell) > widths[column])
				widths[column] = terminal_width(cell);
		}
	}
	for (unsigned int column = 0; column < COLUMNS; column++)
		print_cell(stream, column, columns[column].title, widths[column], NULL);
	fputc('\n', stream);
	for (size_t i = 0; i < count; i++) {
		int known = severity(peers[i]);
		const char *shade = colour && known >= 0 ? severities[known].colour : NULL;

		for (unsigned int column = 0; column < COLUMNS; column++) {
			format_cell(peers[i], column, cell);
			print_cell(stream, column, cell, widths[column],
				   column == COLUMN_STATE ? shade : NULL);
		}
		fputc('\n', stream);
		print_evidence(stream, peers[i]);
	}
}

/* "PROBES 0.03% of the CPUs, SHED sched listener" */
static void append_budget(struct text *line, const json_t *budget)
{
	const json_t *ratio = json_object_get(budget, "cpu_ratio");
	const json_t *shed = json_object_get(budget, "shed"), *part;
	size_t i;

	if (json_is_number(ratio))
		text_printf(line, "  PROBES %.2g%% of the CPUs", json_number_value(ratio) * 100);
	if (json_array_size(shed))
		text_printf(line, ", SHED");
	json_array_foreach(shed, i, part)
	{
		text_printf(line, " ");
		terminal_append_clean(line, json_string_value(part) ?: "-");
	}
}

static void print_node(FILE *stream, const json_t *status)
{
	char buffer[SNAPSHOT_SENTENCE_MAX + 256] = "";
	struct text line = TEXT(buffer);
	const json_t *blind = json_object_get(status, "blind");

	text_printf(&line, "NODE ");
	cell_string(&line, status, "node");
	text_printf(&line, "  VERSION ");
	cell_string(&line, status, "version");
	text_printf(&line, "  UP ");
	cell_since(&line, status, "uptime_ms");
	text_printf(&line, "  PEERS %zu", json_array_size(json_object_get(status, "peers")));
	append_budget(&line, json_object_get(status, "budget"));
	if (json_is_true(json_object_get(status, "alone")))
		text_printf(&line, "  ALONE: no peer is heard");
	if (json_is_string(blind)) {
		text_printf(&line, "  BLIND: ");
		terminal_append_clean(&line, json_string_value(blind));
	}
	fprintf(stream, "%s\n", buffer);
}

/* "STORE etcd, renewed 120ms ago  ACTOR n3  JOURNAL 12 records, 1 open incident  FENCED" */
static void append_store(struct text *line, const json_t *store)
{
	text_printf(line, "STORE ");
	cell_string(line, store, "kind");
	if (!json_is_true(json_object_get(store, "connected"))) {
		/* Who the actor is it cannot know. */
		text_printf(line, " NOT CONNECTED: ");
		cell_string(line, store, "reason");
		return;
	}
	if (strcmp(json_string_value(json_object_get(store, "kind")) ?: "", "local") != 0) {
		text_printf(line, ", renewed ");
		cell_since(line, store, "lease_renewed_ms");
		text_printf(line, " ago");
	}
	text_printf(line, "  ACTOR ");
	if (json_is_true(json_object_get(store, "actor")))
		text_printf(line, "this node");
	else if (*(json_string_value(json_object_get(store, "actor_name")) ?: ""))
		cell_string(line, store, "actor_name");
	else
		text_printf(line, "none");
}

static uint64_t count_of(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));

	return value > 0 ? (uint64_t)value : 0;
}

static void append_journal(struct text *line, const json_t *journal)
{
	const char *error = json_string_value(json_object_get(journal, "error")) ?: "";
	uint64_t queued = count_of(journal, "queued_records");
	uint64_t lost = count_of(journal, "lost_records");
	uint64_t open = count_of(journal, "open_incidents");

	text_printf(line, "  JOURNAL %" PRIu64 " records", count_of(journal, "records"));
	if (open)
		text_printf(line, ", %" PRIu64 " open incident%s", open, open == 1 ? "" : "s");
	if (queued) {
		text_printf(line, ", %" PRIu64 " queued for ", queued);
		cell_since(line, journal, "oldest_queued_ms");
	}
	if (lost)
		text_printf(line, ", %" PRIu64 " LOST", lost);
	if (*error) {
		text_printf(line, ", NOT WRITTEN: ");
		terminal_append_clean(line, error);
	}
}

static void print_cluster(FILE *stream, const json_t *status)
{
	char buffer[SNAPSHOT_SENTENCE_MAX + 512] = "";
	struct text line = TEXT(buffer);
	const json_t *store = json_object_get(status, "store");
	const json_t *journal = json_object_get(status, "journal");

	if (json_is_object(store))
		append_store(&line, store);
	else
		text_printf(&line, "STORE -");
	if (json_is_object(journal))
		append_journal(&line, journal);
	else
		text_printf(&line, "  JOURNAL none");
	if (json_is_true(json_object_get(status, "fenced")))
		text_printf(&line, "  THIS NODE IS FENCED");
	fprintf(stream, "%s\n", buffer);
}

/* "finding disk-stalled sda for 12.3s: ..."; then the rules that nothing can be said of. */
static void print_findings(FILE *stream, const json_t *status, bool colour)
{
	const json_t *finding;
	size_t i;

	json_array_foreach(json_object_get(status, "findings"), i, finding)
	{
		char buffer[SNAPSHOT_SENTENCE_MAX + 256] = "";
		struct text line = TEXT(buffer);

		cell_string(&line, finding, "finding");
		fprintf(stream, "finding %s%s%s ", colour ? "\033[31m" : "", buffer,
			colour ? "\033[0m" : "");
		line = TEXT(buffer);
		cell_string(&line, finding, "subject");
		text_printf(&line, " for ");
		cell_since(&line, finding, "since_ms");
		text_printf(&line, ": ");
		cell_string(&line, finding, "sentence");
		fprintf(stream, "%s\n", buffer);
	}
	json_array_foreach(json_object_get(status, "findings_blind"), i, finding)
	{
		char buffer[SNAPSHOT_SENTENCE_MAX + 256] = "";
		struct text line = TEXT(buffer);

		text_printf(&line, "finding ");
		cell_string(&line, finding, "finding");
		text_printf(&line, " cannot be judged: ");
		cell_string(&line, finding, "reason");
		fprintf(stream, "%s\n", buffer);
	}
}

static void print_probes(FILE *stream, const json_t *probes)
{
	const json_t *probe;
	size_t i;

	json_array_foreach(probes, i, probe)
	{
		char buffer[SNAPSHOT_SENTENCE_MAX + 256] = "";
		struct text line = TEXT(buffer);

		if (!json_is_false(json_object_get(probe, "attached")))
			continue;
		text_printf(&line, "probe ");
		cell_string(&line, probe, "name");
		text_printf(&line, " (");
		cell_string(&line, probe, "hook");
		text_printf(&line, ") is not attached: ");
		cell_string(&line, probe, "reason");
		fprintf(stream, "%s\n", buffer);
	}
}

static void print_pods(FILE *stream, const json_t *pods)
{
	char buffer[SNAPSHOT_SENTENCE_MAX + 256] = "";
	struct text line = TEXT(buffer);

	if (!json_is_string(json_object_get(pods, "reason")))
		return;
	text_printf(&line, "names of pods may not be known: ");
	cell_string(&line, pods, "reason");
	fprintf(stream, "%s\n", buffer);
}

int status_print(FILE *stream, const json_t *status, bool colour)
{
	const json_t *array = json_object_get(status, "peers");
	size_t count = json_array_size(array);
	const json_t **peers = calloc(count ?: 1, sizeof(*peers));
	int error = 0;

	if (!peers)
		return -ENOMEM;
	print_node(stream, status);
	print_cluster(stream, status);
	print_findings(stream, status, colour);
	if (count) {
		for (size_t i = 0; i < count; i++)
			peers[i] = json_array_get(array, i);
		qsort(peers, count, sizeof(*peers), compare_peers);
		fputc('\n', stream);
		print_peers(stream, peers, count, colour);
	}
	print_probes(stream, json_object_get(status, "probes"));
	print_pods(stream, json_object_get(status, "pods"));
	if (fflush(stream) || ferror(stream))
		error = -EIO;
	free(peers);
	return error;
}
