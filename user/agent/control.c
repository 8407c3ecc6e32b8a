// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/control.h"

#include "agent/acting.h"
#include "agent/agent.h"
#include "agent/cluster.h"
#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Who connects and says nothing is dropped after this time. */
#define CLIENT_MS 2000

struct client {
	struct control *control; /* NULL: the slot is free */
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	unsigned int open_handles;
	size_t length;
	bool answered;
	char line[CONTROL_LINE_BYTES];
	char answer[CONTROL_LINE_BYTES];
};

struct control {
	struct agent *agent;
	uv_pipe_t listener;
	bool closing;
	struct client clients[CONTROL_CLIENTS_MAX];
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static void free_when_done(struct control *control)
{
	if (!control->closing)
		return;
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].control)
			return;
	if (!control->listener.data)
		free(control);
}

static void on_client_closed(uv_handle_t *handle)
{
	struct client *client = handle->data;
	struct control *control = client->control;

	if (--client->open_handles)
		return;
	client->control = NULL;
	free_when_done(control);
}

static void drop_client(struct client *client)
{
	if (!uv_is_closing((uv_handle_t *)&client->pipe))
		uv_close((uv_handle_t *)&client->pipe, on_client_closed);
	if (!uv_is_closing((uv_handle_t *)&client->timer))
		uv_close((uv_handle_t *)&client->timer, on_client_closed);
}

static void on_written(uv_write_t *write, int status)
{
	(void)status;
	drop_client(write->data);
}

static void answer(struct client *client, bool done, const char *message)
{
	json_t *object = json_pack("{s:b, s:s}", "done", done, "message", message);
	size_t length = object ? json_dumpb(object, client->answer, sizeof(client->answer) - 1,
					    JSON_COMPACT)
			       : 0;
	uv_buf_t buffer;

	json_decref(object);
	client->answered = true;
	if (!length || length >= sizeof(client->answer)) {
		drop_client(client);
		return;
	}
	client->answer[length] = '\n';
	buffer = uv_buf_init(client->answer, (unsigned int)length + 1);
	client->write.data = client;
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buffer, 1, on_written))
		drop_client(client);
}

static void obey(struct client *client)
{
	struct cluster *cluster = client->control->agent->cluster;
	const char *command, *node;
	char buffer[512] = "";
	struct text text = TEXT(buffer);
	int force = 0, error;
	json_error_t wrong;
	json_t *request = json_loadb(client->line, client->length, 0, &wrong);

	if (!request || json_unpack_ex(request, &wrong, 0, "{s:s, s:s, s?b}", "command", &command,
				       "node", &node, "force", &force)) {
		answer(client, false, "not a request of this agent's version");
	} else if (strcmp(command, "isolate") && strcmp(command, "release")) {
		answer(client, false, "unknown command, expected isolate or release");
	} else if (!cluster) {
		answer(client, false, "this agent has left its cluster; its log says why");
	} else {
		error = acting_by_hand(cluster->acting, node, *command == 'i', force, &text);
		answer(client, !error, buffer);
	}
	json_decref(request);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct client *client = handle->data;

	(void)suggested;
	*buffer = uv_buf_init(client->line + client->length,
			      (unsigned int)(sizeof(client->line) - client->length));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct client *client = stream->data;

	(void)buffer;
	if (client->answered)
		return;
	/* Also when the line is too long: there is no room to read into. */
	if (count < 0) {
		drop_client(client);
		return;
	}
	client->length += (size_t)count;
	if (memchr(client->line, '\n', client->length))
		obey(client);
}

static void on_client_late(uv_timer_t *timer)
{
	drop_client(timer->data);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct control *control = listener->data;
	struct client *client = NULL;

	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX && !client; i++)
		if (!control->clients[i].control)
			client = &control->clients[i];
	/* Without a free place the connection waits in the queue for the next one to come. */
	if (status < 0 || !client)
		return;
	memset(client, 0, sizeof(*client));
	client->control = control;
	client->open_handles = 2;
	/* Neither fails on Linux. */
	(void)uv_pipe_init(&control->agent->loop, &client->pipe, 0);
	(void)uv_timer_init(&control->agent->loop, &client->timer);
	client->pipe.data = client->timer.data = client;
	if (uv_accept(listener, (uv_stream_t *)&client->pipe) ||
	    uv_timer_start(&client->timer, on_client_late, CLIENT_MS, 0) ||
	    uv_read_start((uv_stream_t *)&client->pipe, on_allocate, on_read))
		drop_client(client);
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct control *control = handle->data;

	control->listener.data = NULL;
	free_when_done(control);
}

int control_open(struct control **ret_control, struct agent *agent, struct text *error)
{
	struct control *control = calloc(1, sizeof(*control));
	mode_t mask;
	int r;

	*ret_control = NULL;
	if (!control)
		return -ENOMEM;
	control->agent = agent;
	if (snprintf(control->path, sizeof(control->path), "%s/" CONTROL_SOCKET,
		     agent->config.state_dir) >= (int)sizeof(control->path)) {
		text_printf(error, "%s: too long for a socket, expected a shorter state_dir",
			    agent->config.state_dir);
		free(control);
		return -ENAMETOOLONG;
	}
	/* The directory is locked: what is there is a dead agent's. */
	(void)unlink(control->path);
	(void)uv_pipe_init(&agent->loop, &control->listener, 0);
	control->listener.data = control;
	mask = umask(0177);
	r = uv_pipe_bind(&control->listener, control->path);
	umask(mask);
	if (!r)
		r = uv_listen((uv_stream_t *)&control->listener, CONTROL_CLIENTS_MAX,
			      on_connection);
	if (r) {
		text_printf(error, "%s: %s", control->path, uv_strerror(r));
		control_close(control);
		return r;
	}
	*ret_control = control;
	return 0;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	control->closing = true;
	uv_close((uv_handle_t *)&control->listener, on_listener_closed);
	for (unsigned int i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (control->clients[i].control)
			drop_client(&control->clients[i]);
	(void)unlink(control->path);
}
