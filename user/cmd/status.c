// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/status.h"
#include "cmd/agent_query.h"
#include "cmd/command.h"
#include "config/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct options {
	bool json;
	bool help;
	const char *config_file;
	const char *url;
};

static void print_usage(FILE *stream)
{
	fprintf(stream,
		"Usage: tocsin status [--json] [--url URL | -c FILE]\n\n"
		"What this node sees of its peers, from its running agent. The worst comes "
		"first.\n\n"
		"  -j, --json       the agent's JSON on one line\n"
		"  -u, --url URL    where the agent listens, default http://127.0.0.1:9479\n"
		"  -c, --config FILE\n"
		"                   take http.listen from this file, default\n"
		"                   " CONFIG_DEFAULT_FILE " when it exists\n"
		"  -h, --help       this text\n\n"
		"LOSS is of heartbeats, or of TCP segments where there are none. RTO, SYN and\n"
		"SYNACK are retransmits that hint at silence; TLP and FAST are harmless.\n"
		"Exit status: 0 done, 1 no answer, 2 wrong usage or configuration.\n");
}

static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"url", required_argument, NULL, 'u'},
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {0};
	int option;

	optind = 1;
	opterr = 0; /* getopt's own words would begin with "status:" */
	while ((option = getopt_long(argc, argv, "ju:c:h", long_options, NULL)) != -1) {
		if (option == 'j')
			options.json = true;
		else if (option == 'u')
			options.url = optarg;
		else if (option == 'c')
			options.config_file = optarg;
		else if (option == 'h')
			options.help = true;
		else {
			fprintf(stderr, "tocsin status: '%s' is no option, or lacks its argument\n",
				argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tocsin status: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (options.url && options.config_file) {
		fprintf(stderr, "tocsin status: --url and -c exclude each other\n");
		return -EINVAL;
	}
	*ret_options = options;
	return 0;
}

static int print_status(const json_t *status, bool json)
{
	int result = json ? agent_query_print_json(status)
			  : status_print(stdout, status, agent_query_wants_colour());

	if (result)
		fprintf(stderr, "tocsin status: cannot write to standard output: %s\n",
			strerror(-result));
	return result;
}

int cmd_status(int argc, char **argv)
{
	struct options options = {0};
	json_t *status;
	int result;

	if (parse_options(argc, argv, &options)) {
		fprintf(stderr, "`tocsin status --help` tells more\n");
		return EXIT_USAGE;
	}
	if (options.help) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	result = agent_query(&(struct agent_query){.command = "status",
						   .path = "/api/v1/status",
						   .url = options.url,
						   .config_file = options.config_file},
			     &status);
	if (!result && print_status(status, options.json))
		result = EXIT_FAILED;
	json_decref(status);
	return result;
}
