/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_AGENT_CONTROL_H
#define TOCSIN_AGENT_CONTROL_H

/*
 * What a person may tell the running agent: a socket in its state directory that only root opens.
 * One request a connection, one line of JSON each way:
 *
 *	{"command": "isolate", "node": "n5", "force": false}
 *	{"done": true, "message": "n5 is being isolated"}
 */

#include "base/text.h"

struct agent;
struct control;

#define CONTROL_SOCKET	    "control" /* below state_dir */
#define CONTROL_LINE_BYTES  1024
#define CONTROL_CLIENTS_MAX 8

/* Returns 0, or -errno with a line in 'error'. */
int control_open(struct control **ret_control, struct agent *agent, struct text *error);

/* Drops who is connected; the memory is freed by the loop, which must run once more. NULL is
 * allowed. */
void control_close(struct control *control);

#endif
