// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "agent/agent.h"

#include <argp.h>

static const struct argp_option options[] = {
	{"config", 'c', "FILE", 0,
	 "configuration to use (default: " CONFIG_DEFAULT_FILE " when it exists)", 0},
	{0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	const char **config_file = state->input;

	switch (key) {
	case 'c':
		*config_file = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument '%s'", argument);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_agent(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Run the node agent in the foreground until SIGTERM or ^C. SIGHUP reloads "
		       "the "
		       "configuration.",
	};
	const char *config_file = NULL;
	char name[] = "tocsin agent";

	argp_err_exit_status = EXIT_USAGE;
	argv[0] = name;
	if (argp_parse(&argp, argc, argv, 0, NULL, &config_file))
		return EXIT_USAGE;
	return agent_run(config_file);
}
