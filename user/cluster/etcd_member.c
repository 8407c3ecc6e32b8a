// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How one member of etcd is, asked by itself: of use only when that member answers. */
#include "cluster/etcd_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUERIES_MAX	 16
#define ANSWER_BYTES_MAX 65536

struct member_query {
	LIST_ENTRY(member_query) list;
	struct etcd_store *store;
	struct http_call *http;
	etcd_member_handler handler;
	void *context;
	char endpoint[];
};

static void on_answer(void *context, const struct http_result *result)
{
	struct member_query *query = context;
	json_t *root = etcd_parse(result->body, result->body_bytes);
	char reason[256] = "", words[256] = "";
	struct text text = TEXT(reason), words_text = TEXT(words);
	struct etcd_member member;
	enum etcd_error error;

	LIST_REMOVE(query, list);
	query->store->query_count--;
	if (result->failure) {
		etcd_explain_failure(&text, query->endpoint, result);
	} else {
		error = etcd_decode_error(result->status, root, result->body, &words_text);
		if (!error && etcd_decode_member(root, &member))
			error = ETCD_GARBAGE;
		if (error)
			etcd_explain_error(&text, query->endpoint, error, words);
	}
	query->handler(query->context, query->endpoint, *reason ? NULL : &member, reason);
	json_decref(root);
	free(query);
}

int etcd_member_status(struct store *head, const char *endpoint, etcd_member_handler handler,
		       void *context)
{
	struct etcd_store *store = (struct etcd_store *)head;
	struct http_request request = {.body = "{}", .bytes_max = ANSWER_BYTES_MAX};
	struct member_query *query;
	size_t size = strlen(endpoint) + 1;
	char url[512];
	int err;

	if (head->operations != &etcd_operations || size > sizeof(url) / 2)
		return -EINVAL;
	if (store->query_count >= QUERIES_MAX)
		return -EBUSY;
	query = calloc(1, sizeof(*query) + size);
	if (!query)
		return -ENOMEM;
	query->store = store;
	query->handler = handler;
	query->context = context;
	memcpy(query->endpoint, endpoint, size);
	snprintf(url, sizeof(url), "%s/v3/maintenance/status", endpoint);
	request.url = url;
	request.limit_ms = etcd_link_limit_ms(store->link, ETCD_PATIENCE_WORK);
	request.context = query;
	request.done = on_answer;
	err = http_client_send(etcd_link_http(store->link), &request, &query->http);
	if (err) {
		free(query);
		return err;
	}
	LIST_INSERT_HEAD(&store->queries, query, list);
	store->query_count++;
	return 0;
}

void etcd_member_close(struct etcd_store *store)
{
	struct member_query *query;

	while ((query = LIST_FIRST(&store->queries))) {
		LIST_REMOVE(query, list);
		http_call_cancel(query->http);
		free(query);
	}
}
