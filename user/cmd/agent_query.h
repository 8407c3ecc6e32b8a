/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CMD_AGENT_QUERY_H
#define TOCSIN_CMD_AGENT_QUERY_H

/* Asks the running agent of this node over HTTP, for the subcommands that show what it knows. */

#include <jansson.h>
#include <stdbool.h>

struct agent_query {
	const char *command;	 /* whose errors these are: "status" */
	const char *path;	 /* "/api/v1/status" */
	const char *url;	 /* where the agent listens; NULL: as configured */
	const char *config_file; /* NULL: the default one, if there is one */
};

/*
 * Returns EXIT_DONE and a JSON object in *ret_answer, or another exit code after saying what is
 * wrong.
 */
int agent_query(const struct agent_query *query, json_t **ret_answer);

/* Standard output is a terminal whose user has not declined colours. */
bool agent_query_wants_colour(void);

/* The answer on one line of standard output. Returns 0 or -EIO. */
int agent_query_print_json(const json_t *answer);

#endif
