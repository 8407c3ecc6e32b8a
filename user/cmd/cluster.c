// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/cluster.h"
#include "cmd/agent_query.h"
#include "cmd/command.h"
#include "config/config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static void print_usage(FILE *stream)
{
	fprintf(stream,
		"Usage: tocsin cluster [--json] [--url URL | -c FILE]\n\n"
		"What every node sees of every other, what is wrong with the cluster, and who is\n"
		"isolated: from the store, by way of this node's running agent.\n\n"
		"  -j, --json       the agent's JSON on one line\n"
		"  -u, --url URL    where the agent listens, default http://127.0.0.1:9479\n"
		"  -c, --config FILE\n"
		"                   take http.listen from this file, default\n"
		"                   " CONFIG_DEFAULT_FILE " when it exists\n"
		"  -h, --help       this text\n\n"
		"A line of the matrix is what one node says of the others. Above %d nodes only "
		"those\n"
		"that are not well are shown.\n"
		"Exit status: 0 done, 1 no answer, 2 wrong usage or configuration.\n",
		CLUSTER_MATRIX_MAX);
}

int cmd_cluster(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"url", required_argument, NULL, 'u'},
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct agent_query query = {.command = "cluster", .path = "/api/v1/cluster"};
	bool json = false;
	json_t *cluster;
	int option, result, error;

	optind = 1;
	opterr = 0; /* getopt's own words would begin with "cluster:" */
	while ((option = getopt_long(argc, argv, "ju:c:h", long_options, NULL)) != -1) {
		if (option == 'j') {
			json = true;
		} else if (option == 'u') {
			query.url = optarg;
		} else if (option == 'c') {
			query.config_file = optarg;
		} else if (option == 'h') {
			print_usage(stdout);
			return EXIT_DONE;
		} else {
			fprintf(stderr,
				"tocsin cluster: '%s' is no option, or lacks its argument\n",
				argv[optind - 1]);
			return EXIT_USAGE;
		}
	}
	if (optind < argc || (query.url && query.config_file)) {
		fprintf(stderr, "tocsin cluster: expected no argument, and --url or -c; `tocsin "
				"cluster --help` tells more\n");
		return EXIT_USAGE;
	}
	result = agent_query(&query, &cluster);
	if (result)
		return result;
	error = json ? agent_query_print_json(cluster)
		     : cluster_print(stdout, cluster, agent_query_wants_colour());
	json_decref(cluster);
	if (error)
		fprintf(stderr, "tocsin cluster: cannot write to standard output: %s\n",
			strerror(-error));
	return error ? EXIT_FAILED : EXIT_DONE;
}
