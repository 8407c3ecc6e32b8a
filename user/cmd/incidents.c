// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "config/config.h"
#include "report/incident_print.h"
#include "report/incidents.h"
#include "report/journal_reader.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ERROR_BYTES 8192

struct options {
	bool json;
	bool help;
	const char *config_file;
	const char *state_dir;
};

/* What is to be shown, in the order in which it began. */
struct list {
	struct incident **closed;
	size_t count, room;
	bool no_memory;
};

static void print_usage(FILE *stream)
{
	fprintf(stream,
		"Usage: tocsin incidents [--json] [-c FILE | --state-dir DIR]\n\n"
		"The incidents in this node's journal, the oldest first: what was seen and done, "
		"and\nhow long it took from the first evidence to a verdict, to isolation and to\n"
		"recovery; then the totals. Needs no running agent.\n\n"
		"  -j, --json       one JSON object a line, times in ns; the totals come last\n"
		"  -c, --config FILE\n"
		"                   take state_dir from this file, default\n"
		"                   " CONFIG_DEFAULT_FILE " when it exists\n"
		"  -s, --state-dir DIR\n"
		"                   where the journal is, default /var/lib/tocsin\n"
		"  -h, --help       this text\n\n"
		"Exit status: 0 done, also without an incident; 1 the journal cannot be read,\n"
		"2 wrong usage or configuration.\n");
}

static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"config", required_argument, NULL, 'c'},
		{"state-dir", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {0};
	int option;

	optind = 1;
	opterr = 0; /* getopt's own words would begin with "incidents:" */
	while ((option = getopt_long(argc, argv, "jc:s:h", long_options, NULL)) != -1) {
		if (option == 'j')
			options.json = true;
		else if (option == 'c')
			options.config_file = optarg;
		else if (option == 's')
			options.state_dir = optarg;
		else if (option == 'h')
			options.help = true;
		else {
			fprintf(stderr,
				"tocsin incidents: '%s' is no option, or lacks its argument\n",
				argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tocsin incidents: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (options.state_dir && options.config_file) {
		fprintf(stderr, "tocsin incidents: --state-dir and -c exclude each other\n");
		return -EINVAL;
	}
	*ret_options = options;
	return 0;
}

/* As given, or as configured. Prints what is wrong. */
static int choose_directory(const struct options *options, char *directory, size_t size)
{
	char message[ERROR_BYTES] = "";
	struct text error = TEXT(message);
	struct config config = {0};
	const char *file = options->config_file;
	int r;

	if (options->state_dir) {
		r = text_copy(directory, size, options->state_dir);
		if (r)
			fprintf(stderr, "tocsin incidents: --state-dir is longer than %zu bytes\n",
				size - 1);
		return r;
	}
	if (!file && !access(CONFIG_DEFAULT_FILE, F_OK))
		file = CONFIG_DEFAULT_FILE;
	r = file ? config_load(file, &config, &error) : config_defaults(&config);
	if (r) {
		fprintf(stderr, "tocsin incidents: %s\n", *message ? message : strerror(-r));
		return r;
	}
	r = text_copy(directory, size, config.state_dir);
	config_free(&config);
	return r;
}

static void on_closed(void *context, struct incident *incident)
{
	struct list *list = context;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct incident **grown = reallocarray(list->closed, room, sizeof(*list->closed));

		if (!grown) {
			list->no_memory = true;
			incident_free(incident);
			return;
		}
		list->closed = grown;
		list->room = room;
	}
	list->closed[list->count++] = incident;
}

static void on_warning(void *context, const char *sentence)
{
	(void)context;
	fprintf(stderr, "tocsin incidents: %s\n", sentence);
}

static const char *advice(int error)
{
	switch (-error) {
	case ENOENT:
		return "; has an agent run here? -c or --state-dir say where its state_dir is";
	case ENOTDIR:
		return "; expected the agent's state_dir, see -c and --state-dir";
	case EACCES:
	case EPERM:
		return "; run as root";
	}
	return "";
}

/* Reads the whole journal. Prints what is wrong. */
static int read_journal(const char *directory, struct incidents *incidents)
{
	char message[ERROR_BYTES] = "";
	struct text error = TEXT(message);
	struct journal_reader *reader = NULL;
	struct journal_record record;
	int r = journal_reader_open(&reader, directory, on_warning, NULL, &error);

	while (!r && (r = journal_reader_next(reader, &record, &error)) > 0) {
		r = incidents_take(incidents, record.object);
		json_decref(record.object);
		if (r)
			text_printf(&error, "%s", strerror(-r));
	}
	if (r)
		fprintf(stderr, "tocsin incidents: %s%s\n", message, advice(r));
	else if (journal_reader_tail_bytes(reader))
		fprintf(stderr,
			"tocsin incidents: %" PRIu64 " bytes behind the last record are no record: "
			"one is being written, or was torn when its agent ended\n",
			journal_reader_tail_bytes(reader));
	journal_reader_close(reader);
	return r;
}

static int compare_beginnings(const void *left, const void *right)
{
	const struct incident *a = *(const struct incident *const *)left;
	const struct incident *b = *(const struct incident *const *)right;

	return (a->first_evidence_ns > b->first_evidence_ns) -
	       (a->first_evidence_ns < b->first_evidence_ns);
}

static int print_json(json_t *object)
{
	int r = !object || json_dumpf(object, stdout, JSON_COMPACT) || putchar('\n') == EOF;

	json_decref(object);
	return r ? -EIO : 0;
}

static int print_all(const struct incident **all, size_t count,
		     const struct incident_totals *totals, bool json)
{
	int r = 0;

	if (json) {
		for (size_t i = 0; !r && i < count; i++)
			r = print_json(incident_json(all[i]));
		if (!r)
			r = print_json(incident_totals_json(totals));
	} else if (count) {
		incidents_print_table(stdout, all, count);
		fputc('\n', stdout);
		incident_totals_print(stdout, totals);
	}
	errno = 0;
	if (fflush(stdout) || ferror(stdout) || r) {
		fprintf(stderr, "tocsin incidents: cannot write to standard output: %s\n",
			strerror(errno ?: EIO));
		return -EIO;
	}
	return 0;
}

static int show(const char *directory, const struct list *list, const struct incidents *incidents,
		bool json)
{
	const struct incident **all, *open;
	struct incident_totals totals;
	size_t count = 0, open_count = 0;
	int r;

	incidents_totals(incidents, true, &totals);
	for (size_t i = 0; i < totals.class_count; i++)
		open_count += totals.classes[i].open;
	all = reallocarray(NULL, list->count + open_count + 1, sizeof(*all));
	if (!all || list->no_memory) {
		fprintf(stderr, "tocsin incidents: %s\n", strerror(ENOMEM));
		free(all);
		return -ENOMEM;
	}
	for (; count < list->count; count++)
		all[count] = list->closed[count];
	for (size_t i = 0; (open = incidents_open_at(incidents, i)); i++)
		all[count++] = open;
	qsort(all, count, sizeof(*all), compare_beginnings);
	if (!totals.records)
		fprintf(stderr, "tocsin incidents: the journal in %s is empty\n", directory);
	else if (!count)
		fprintf(stderr,
			"tocsin incidents: no incident in the %" PRIu64
			" records of the journal in %s; %" PRIu64 " suspicions went away\n",
			totals.records, directory, totals.suspicions);
	r = print_all(all, count, &totals, json);
	free(all);
	return r;
}

int cmd_incidents(int argc, char **argv)
{
	char directory[CONFIG_PATH_MAX] = "";
	struct options options = {0};
	struct incidents *incidents;
	struct list list = {0};
	int r;

	if (parse_options(argc, argv, &options)) {
		fprintf(stderr, "`tocsin incidents --help` tells more\n");
		return EXIT_USAGE;
	}
	if (options.help) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (choose_directory(&options, directory, sizeof(directory)))
		return EXIT_USAGE;
	incidents = incidents_new(on_closed, &list);
	if (!incidents) {
		fprintf(stderr, "tocsin incidents: %s\n", strerror(ENOMEM));
		return EXIT_FAILED;
	}
	r = read_journal(directory, incidents);
	if (!r)
		r = show(directory, &list, incidents, options.json);
	for (size_t i = 0; i < list.count; i++)
		incident_free(list.closed[i]);
	free(list.closed);
	incidents_free(incidents);
	return r ? EXIT_FAILED : EXIT_DONE;
}
