// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_network.h"
#include "agent/node_objects.h"
#include "agent/pods.h"
#include "base/clock.h"
#include "base/log.h"
#include "detect/accept.h"
#include "probe/listener.h"
#include "probe/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS	 NS_PER_S
#define CLEAR_NS (10 * NS_PER_S)

/* With anything waiting or dropped; of more nothing is said. */
#define SOCKETS_MAX 512
#define PLACES_MAX  256

struct listener_socket {
	uint64_t socket;
	uint32_t drops;
	bool seen;
};

/* An address and port; several sockets may listen there. */
struct listening_place {
	char subject[FINDING_SUBJECT_MAX];
	uint32_t netns_inode;
	struct address address;
	uint16_t port;
	struct accept_memory memory;
	struct accept_evidence evidence; /* of this look */
	char comm[LISTENER_COMM_BYTES];
};

struct accept_family {
	struct agent *agent;
	uint64_t looked_ns; /* 0: not yet */
	uint64_t overflows; /* of the agent's own network namespace */
	uint64_t lost;	    /* listeners that are not looked at, as told last */
	bool first_look;    /* what was dropped before it does not count */
	struct listener_socket sockets[SOCKETS_MAX];
	size_t socket_count;
	struct listening_place places[PLACES_MAX];
	size_t place_count;
};

static struct listener_socket *socket_of(struct accept_family *family, uint64_t socket)
{
	for (size_t i = 0; i < family->socket_count; i++)
		if (family->sockets[i].socket == socket)
			return &family->sockets[i];
	if (family->socket_count == SOCKETS_MAX)
		return NULL;
	family->sockets[family->socket_count] = (struct listener_socket){.socket = socket};
	return &family->sockets[family->socket_count++];
}

static void name_place(const struct accept_family *family, struct listening_place *place)
{
	struct text subject = TEXT(place->subject);
	char address[ADDRESS_TEXT_MAX];

	address_format(&place->address, address);
	text_printf(&subject, address_is_v4(&place->address) ? "%s:%u" : "[%s]:%u", address,
		    place->port);
	if (place->netns_inode != family->agent->peers.netns_inode)
		text_printf(&subject, " netns %u", place->netns_inode);
}

static struct listening_place *place_of(struct accept_family *family,
					const struct listener_record *record)
{
	struct listening_place *place;
	struct address address;

	memcpy(address.bytes, record->local.address, sizeof(address.bytes));
	for (size_t i = 0; i < family->place_count; i++) {
		place = &family->places[i];
		if (place->netns_inode == record->netns_inode && place->port == record->port &&
		    address_equal(&place->address, &address))
			return place;
	}
	if (family->place_count == PLACES_MAX)
		return NULL;
	place = &family->places[family->place_count++];
	*place = (struct listening_place){
		.netns_inode = record->netns_inode, .address = address, .port = record->port};
	name_place(family, place);
	return place;
}

/* What it has dropped since the last look. A listener that was not told of then had dropped
 * nothing, and one that has dropped less is another. */
static uint32_t newly_dropped(struct accept_family *family, const struct listener_record *record)
{
	struct listener_socket *socket = socket_of(family, record->socket);
	uint32_t before;

	if (!socket)
		return 0;
	before = socket->drops <= record->drops ? socket->drops : 0;
	socket->drops = record->drops;
	socket->seen = true;
	return family->first_look ? 0 : record->drops - before;
}

static void take_listener(void *context, const struct listener_record *record)
{
	struct accept_family *family = context;
	uint32_t dropped = newly_dropped(family, record);
	struct listening_place *place = place_of(family, record);
	bool full = record->queue > record->backlog;

	if (!place)
		return;
	/* One that defers counts each handshake that brought no data yet. */
	if (!record->defers || full)
		place->evidence.dropped += dropped;
	place->evidence.full |= full;
	place->evidence.queue += record->queue;
	place->evidence.backlog += record->backlog;
	if (record->oldest_ns > place->evidence.oldest_ns)
		place->evidence.oldest_ns = record->oldest_ns;
	place->evidence.pid = record->owner.pid;
	snprintf(place->comm, sizeof(place->comm), "%.*s", (int)sizeof(place->comm) - 1,
		 record->owner.comm);
}

static bool overflows_grew(struct accept_family *family)
{
	uint64_t before = family->overflows;

	/* Without it, what is dropped by a queue that is not full at a look is not told apart. */
	if (network_listen_overflows(&family->overflows))
		return false;
	return !family->first_look && family->overflows > before;
}

static void say_owner(const struct agent *agent, uint32_t pid, struct text *sentence)
{
	const struct cgroup_owner owner =
		pods_owner_of_process(node_objects_pods(agent->node_objects), pid);

	(void)cgroup_owner_explain(&owner, "; ", sentence);
}

static void say_lost(struct accept_family *family, const struct listener_probe *probe)
{
	uint64_t lost = listener_probe_lost(probe);

	if (lost > family->lost)
		log_warning("not all listeners are looked at",
			    log_string("finding", finding_kind_name(FINDING_ACCEPT_OVERFLOW)),
			    log_unsigned("most_at_once", LISTENERS_MAX),
			    log_unsigned("left_out", lost - family->lost));
	family->lost = lost;
}

static void judge(struct accept_family *family, bool overflowed, uint64_t now_ns)
{
	struct agent *agent = family->agent;
	struct findings *findings = agent_findings_list(agent->findings);
	uint64_t delay_ns = agent->config.findings.limits.accept_overflow.delay_ms * NS_PER_MS;
	size_t kept = 0;

	for (size_t i = 0; i < family->place_count; i++) {
		struct listening_place *place = &family->places[i];
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level;
		uint64_t since_ns = 0;

		place->evidence.comm = place->comm;
		place->evidence.overflowed =
			overflowed && place->netns_inode == agent->peers.netns_inode;
		level = accept_overflow(&place->memory, &place->evidence, delay_ns, now_ns,
					&since_ns, &text);
		if (level == FINDING_ACTIVE)
			say_owner(agent, place->evidence.pid, &text);
		findings_say(findings, FINDING_ACCEPT_OVERFLOW, place->subject, level, since_ns,
			     CLEAR_NS, now_ns, sentence);
		if (level != FINDING_QUIET ||
		    findings_find(findings, FINDING_ACCEPT_OVERFLOW, place->subject))
			family->places[kept++] = *place;
	}
	family->place_count = kept;
}

static void forget_unseen(struct accept_family *family)
{
	size_t kept = 0;

	for (size_t i = 0; i < family->socket_count; i++)
		if (family->sockets[i].seen)
			family->sockets[kept++] = family->sockets[i];
	family->socket_count = kept;
}

static void turn(void *context, uint64_t now_ns)
{
	struct accept_family *family = context;
	struct agent *agent = family->agent;
	const char *obstacle = probes_obstacle(&agent->probes, PROBE_LISTENER);
	const struct listener_probe *probe = agent->probes.open[PROBE_LISTENER];
	bool overflowed;
	int r;

	if (now_ns < family->looked_ns + LOOK_NS)
		return;
	family->looked_ns = now_ns;
	if (*obstacle) {
		findings_set_blind(agent_findings_list(agent->findings), FINDING_ACCEPT_OVERFLOW,
				   obstacle);
		family->first_look = true;
		return;
	}
	if (health_network_is_off(agent, FINDING_ACCEPT_OVERFLOW, now_ns)) {
		family->socket_count = family->place_count = 0;
		family->first_look = true;
		return;
	}
	for (size_t i = 0; i < family->socket_count; i++)
		family->sockets[i].seen = false;
	for (size_t i = 0; i < family->place_count; i++)
		family->places[i].evidence = (struct accept_evidence){0};
	r = listener_probe_read(probe, take_listener, family);
	findings_set_blind(agent_findings_list(agent->findings), FINDING_ACCEPT_OVERFLOW,
			   r ? strerror(-r) : "");
	if (r)
		return;
	say_lost(family, probe);
	overflowed = overflows_grew(family);
	judge(family, overflowed, now_ns);
	forget_unseen(family);
	family->first_look = false;
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct accept_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	family->first_look = true;
	return 0;
}

const struct health_family health_accept = {
	.name = "accept",
	.open = open_family,
	.turn = turn,
	.close = free,
};
