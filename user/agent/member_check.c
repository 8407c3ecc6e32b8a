// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/member_check.h"

#include "base/text.h"
#include "cluster/etcd.h"
#include "isolate/healing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What one of etcd.endpoints leads to. */
struct host {
	bool known; /* a member of the cluster hosts it */
	uint32_t member;
	bool waiting; /* to be asked about */
};

struct member_check {
	const struct config *config;
	member_checked checked;
	void *context;
	struct host hosts[CONFIG_ENDPOINTS_MAX];

	/* The check that is under way. */
	bool running;
	struct store *store;
	unsigned int at;	/* in 'hosts' */
	unsigned int questions; /* to the others, not answered yet */
	struct etcd_member others[CONFIG_ENDPOINTS_MAX];
	unsigned int other_count;
	char failure[256]; /* why one of them did not answer */
};

static void begin_next(struct member_check *check);

static void end(struct member_check *check, const char *reason)
{
	check->running = false;
	check->checked(check->context, check->hosts[check->at].member, reason);
	begin_next(check);
}

static void on_member(void *context, const char *endpoint, const struct etcd_member *member,
		      const char *reason)
{
	struct member_check *check = context;
	char words[256] = "";
	struct text text = TEXT(words);

	(void)endpoint;
	if (!member)
		text_printf(&text, "%s", reason);
	else
		(void)healing_member_caught_up(check->others, check->other_count, member, &text);
	end(check, words);
}

/* What the others had committed before is what the member is asked for now. */
static void ask_member(struct member_check *check)
{
	const char *endpoint = check->config->etcd.endpoints[check->at];
	char words[320] = "";
	struct text text = TEXT(words);
	int r;

	if (!check->other_count) {
		text_printf(&text, "no other member of etcd answers: %s", check->failure);
		end(check, words);
		return;
	}
	r = etcd_member_status(check->store, endpoint, on_member, check);
	if (!r)
		return;
	text_printf(&text, "%s cannot be asked: %s", endpoint, strerror(-r));
	end(check, words);
}

static void on_other(void *context, const char *endpoint, const struct etcd_member *member,
		     const char *reason)
{
	struct member_check *check = context;

	(void)endpoint;
	if (member)
		check->others[check->other_count++] = *member;
	else
		(void)text_copy(check->failure, sizeof(check->failure), reason);
	if (!--check->questions)
		ask_member(check);
}

static bool is_other(const struct member_check *check, unsigned int endpoint, unsigned int host)
{
	return !check->hosts[endpoint].known ||
	       check->hosts[endpoint].member != check->hosts[host].member;
}

static void begin(struct member_check *check, unsigned int host)
{
	check->running = true;
	check->at = host;
	check->hosts[host].waiting = false;
	check->other_count = 0;
	check->questions = 0;
	*check->failure = '\0';
	for (unsigned int i = 0; i < check->config->etcd.endpoint_count; i++) {
		int r;

		if (!is_other(check, i, host))
			continue;
		r = etcd_member_status(check->store, check->config->etcd.endpoints[i], on_other,
				       check);
		check->questions += !r;
		if (r)
			(void)text_copy(check->failure, sizeof(check->failure), strerror(-r));
	}
	if (!check->questions)
		ask_member(check);
}

/* In turn, so that one that never catches up keeps no other waiting. */
static void begin_next(struct member_check *check)
{
	unsigned int count = check->config->etcd.endpoint_count;

	for (unsigned int i = 1; !check->running && i <= count; i++)
		if (check->hosts[(check->at + i) % count].waiting)
			begin(check, (check->at + i) % count);
}

bool member_check_ask(struct member_check *check, struct store *store, uint32_t member)
{
	unsigned int count = check->config->etcd.endpoint_count, host = 0, others = 0;

	while (host < count && !(check->hosts[host].known && check->hosts[host].member == member))
		host++;
	for (unsigned int i = 0; host < count && i < count; i++)
		others += is_other(check, i, host);
	if (!others)
		return false;
	if (check->running && check->at == host)
		return true;
	check->store = store;
	check->hosts[host].waiting = true;
	begin_next(check);
	return true;
}

void member_check_add_host(struct member_check *check, unsigned int endpoint, uint32_t member)
{
	check->hosts[endpoint] = (struct host){.known = true, .member = member};
}

int member_check_open(struct member_check **ret_check, const struct config *config,
		      member_checked checked, void *context)
{
	struct member_check *check = calloc(1, sizeof(*check));

	*ret_check = check;
	if (!check)
		return -ENOMEM;
	check->config = config;
	check->checked = checked;
	check->context = context;
	return 0;
}

void member_check_close(struct member_check *check)
{
	free(check);
}
