/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CMD_COMMAND_H
#define TOCSIN_CMD_COMMAND_H

#include "base/exit_code.h"

struct command {
	const char *name;
	/* argv[0] is the subcommand's name. Returns an exit code. */
	int (*run)(int argc, char **argv);
	const char *summary;
};

int cmd_agent(int argc, char **argv);
int cmd_cluster(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_incidents(int argc, char **argv);
int cmd_isolate(int argc, char **argv); /* and release: argv[0] tells */
int cmd_status(int argc, char **argv);

#endif
