// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/http_routes.h"

#include "base/text.h"
#include "report/cluster.h"
#include "report/status.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer_metrics(const struct snapshot *snapshot, enum metrics_format format,
			  struct http_answer *ret_answer);
static int answer_health(const struct snapshot *snapshot, enum metrics_format format,
			 struct http_answer *ret_answer);
static int answer_status(const struct snapshot *snapshot, enum metrics_format format,
			 struct http_answer *ret_answer);
static int answer_cluster(const struct snapshot *snapshot, enum metrics_format format,
			  struct http_answer *ret_answer);
static int answer_list(const struct snapshot *snapshot, enum metrics_format format,
		       struct http_answer *ret_answer);

/* clang-format off */
static const struct http_route routes[HTTP_ROUTES] = {
	{HTTP_ROUTE_METRICS, "/metrics", "metrics: Prometheus text 0.0.4, or OpenMetrics 1.0 by Accept",
	 answer_metrics, .large = true},
	{HTTP_ROUTE_HEALTH, "/healthz", "200 when the agent can do its job, else 503 and why not",
	 answer_health, .large = false},
	{HTTP_ROUTE_STATUS, "/api/v1/status", "what this node sees, as JSON",
	 answer_status, .large = true},
	{HTTP_ROUTE_CLUSTER, "/api/v1/cluster", "what all nodes see, verdicts and isolations, as JSON",
	 answer_cluster, .large = true},
	{HTTP_ROUTE_LIST, "/", "this list",
	 answer_list, .large = false},
};
/* clang-format on */

int http_answer_text(unsigned int status, const char *text, struct http_answer *ret_answer)
{
	char *data = strdup(text);

	if (!data)
		return -ENOMEM;
	*ret_answer = (struct http_answer){status, "text/plain; charset=utf-8", data, strlen(text)};
	return 0;
}

static int answer_metrics(const struct snapshot *snapshot, enum metrics_format format,
			  struct http_answer *ret_answer)
{
	char *data = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&data, &size);
	int error;

	if (!stream)
		return -errno;
	error = metrics_write(stream, snapshot, format);
	/* The buffer is only valid once closed, and to be freed in any case. */
	if (fclose(stream) && !error)
		error = -ENOMEM;
	if (error)
		free(data);
	else
		*ret_answer =
			(struct http_answer){MHD_HTTP_OK, metrics_content_type(format), data, size};
	return error;
}

static int answer_health(const struct snapshot *snapshot, enum metrics_format format,
			 struct http_answer *ret_answer)
{
	char buffer[SNAPSHOT_SENTENCE_MAX + 16] = "";
	struct text reason = TEXT(buffer);

	(void)format;
	if (!snapshot->blind)
		return http_answer_text(MHD_HTTP_OK, "ok\n", ret_answer);
	text_printf(&reason, "blind: %.*s\n", SNAPSHOT_SENTENCE_MAX, snapshot->blind_reason ?: "");
	return http_answer_text(MHD_HTTP_SERVICE_UNAVAILABLE, buffer, ret_answer);
}

/* Takes the reference of 'object', which may be NULL for want of memory. */
static int answer_json(json_t *object, struct http_answer *ret_answer)
{
	char *data = NULL;

	if (object)
		data = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(object);
	if (!data)
		return -ENOMEM;
	*ret_answer = (struct http_answer){MHD_HTTP_OK, "application/json", data, strlen(data)};
	return 0;
}

static int answer_status(const struct snapshot *snapshot, enum metrics_format format,
			 struct http_answer *ret_answer)
{
	(void)format;
	return answer_json(status_json(snapshot), ret_answer);
}

static int answer_cluster(const struct snapshot *snapshot, enum metrics_format format,
			  struct http_answer *ret_answer)
{
	(void)format;
	if (!snapshot->cluster)
		return http_answer_text(MHD_HTTP_SERVICE_UNAVAILABLE, "not joined yet\n",
					ret_answer);
	return answer_json(cluster_json(snapshot->node, snapshot->cluster), ret_answer);
}

static int answer_list(const struct snapshot *snapshot, enum metrics_format format,
		       struct http_answer *ret_answer)
{
	char buffer[1024] = "";
	struct text text = TEXT(buffer);

	(void)format;
	text_printf(&text, "tocsin agent %s\n\n", snapshot->version);
	for (size_t i = 0; i < HTTP_ROUTES; i++)
		text_printf(&text, "%-16s %s\n", routes[i].path, routes[i].summary);
	return http_answer_text(MHD_HTTP_OK, buffer, ret_answer);
}

const struct http_route *http_route_find(const char *path)
{
	for (size_t i = 0; i < HTTP_ROUTES; i++)
		if (!strcmp(path, routes[i].path))
			return &routes[i];
	return NULL;
}
