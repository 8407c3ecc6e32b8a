// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "config/config.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Room for a path and a sentence. */
#define ERROR_MAX 8192

struct arguments {
	const char *action;
	const char *file;
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num == 0) {
			if (strcmp(value, "check"))
				argp_error(state, "unknown action '%s', expected check", value);
			arguments->action = value;
		} else if (state->arg_num == 1) {
			arguments->file = value;
		} else {
			argp_error(state, "unexpected argument '%s', expected one FILE", value);
		}
		return 0;
	case ARGP_KEY_END:
		if (!arguments->action)
			argp_error(state, "expected an action: check FILE");
		else if (!arguments->file)
			argp_error(state, "expected a FILE to check, like " CONFIG_DEFAULT_FILE);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.parser = parse_argument,
	.args_doc = "check FILE",
	.doc = "Reads a configuration file as the agent on this host would, without applying it.\v"
	       "Exit status: 0 the file is good, 2 it is not; the error names the line, the key, "
	       "what "
	       "was found and what was expected.",
};

static void print_summary(const char *file, const struct config *config)
{
	static const char *const modes[] = {
		[CONFIG_MODE_OBSERVE] = "observe",
		[CONFIG_MODE_ADVISE] = "advise",
		[CONFIG_MODE_ENFORCE] = "enforce",
	};

	printf("%s: ok (%u node%s, mode %s, node %s", file, config->node_count,
	       config->node_count == 1 ? "" : "s", modes[config->mode], config->node);
	if (config->node_count)
		printf(", heartbeats every %u ms, %s", config->heartbeat.interval_ms,
		       config->heartbeat.authenticate ? "authenticated" : "not authenticated");
	printf(")\n");
}

int cmd_config(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct config config = {0};
	char message[ERROR_MAX] = "";
	struct text error = TEXT(message);
	char name[] = "tocsin config";
	int result;

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&parser, argc, argv, 0, NULL, &arguments))
		return EXIT_USAGE;
	result = config_load(arguments.file, &config, &error);
	if (result) {
		fprintf(stderr, "%s\n", message);
		return result == -ENOMEM ? EXIT_FAILED : EXIT_USAGE;
	}
	print_summary(arguments.file, &config);
	config_free(&config);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "tocsin config: cannot write to standard output: %s\n",
			strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}
