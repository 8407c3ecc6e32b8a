// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/memory.h"
#include "cmd/command.h"

#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
	{"agent", cmd_agent, "run the node agent in the foreground"},
	{"trace", cmd_trace, "show what the kernel does, as it happens"},
	{"status", cmd_status, "what this node sees, from its running agent"},
	{"cluster", cmd_cluster, "every node: what it sees, verdicts, isolations"},
	{"incidents", cmd_incidents,
	 "what the journal tells: detected, isolated, recovered, and when"},
	{"isolate", cmd_isolate, "isolate a node by hand, through the rails"},
	{"release", cmd_isolate, "end a node's isolation"},
	{"doctor", cmd_doctor, "what this kernel and these privileges allow, and why not"},
	{"config", cmd_config, "check a configuration file"},
};

static void print_usage(FILE *stream)
{
	fprintf(stream, "Usage: tocsin COMMAND [OPTION...]\n\n"
			"A kernel-level health probe for the nodes of a cluster.\n\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fprintf(stream, "\n`tocsin COMMAND --help` tells more; `tocsin --version` the version.\n");
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("tocsin %s\n", TOCSIN_VERSION);
		return EXIT_DONE;
	}
	memory_keep();
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "tocsin: unknown command '%s'; `tocsin --help` lists them\n", argv[1]);
	return EXIT_USAGE;
}
