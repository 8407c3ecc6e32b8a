// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/fence.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TABLE	    "tocsin_fence"
#define FIXED_BYTES 16384 /* of the commands without the elements of the sets */
#define LINE_BYTES  (ADDRESS_TEXT_MAX + 64)

/*
 * A chain is rules seen from one side: with which field a packet names the other end and this one.
 * No rule asks for the state of a connection: what was established before is blocked as well, and
 * no connection tracking is needed.
 */
struct direction {
	const char *hook, *remote, *local, *remote_port, *local_port;
};

static const struct direction directions[] = {
	{"input", "saddr", "daddr", "sport", "dport"},
	{"output", "daddr", "saddr", "dport", "sport"},
};

struct family {
	const char *name;
	char suffix;
	const char *type;
};

static const struct family families[] = {{"ip", '4', "ipv4_addr"}, {"ip6", '6', "ipv6_addr"}};

#define FAMILIES (sizeof(families) / sizeof(*families))

static const struct family *family_of(const struct address *address, unsigned int prefix)
{
	return &families[address_is_v4(address) && prefix >= 96 ? 0 : 1];
}

static int compare_cidrs(const void *left, const void *right)
{
	const struct cidr *a = left, *b = right;
	int order = memcmp(&a->address, &b->address, sizeof(a->address));

	return order ? order : a->prefix - b->prefix;
}

/* Sets of intervals take no overlaps: sorted, a network comes before all that it contains. */
static void add_cidrs(struct text *text, const struct family *family, const char *name,
		      const struct cidr *sorted, size_t count)
{
	const struct cidr *last = NULL;
	char buffer[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < count; i++) {
		if (family_of(&sorted[i].address, sorted[i].prefix) != family ||
		    (last && cidr_contains(last, &sorted[i].address)))
			continue;
		if (!last)
			text_printf(text, "add element inet " TABLE " %s%c {\n", name,
				    family->suffix);
		text_printf(text, "%s,\n", cidr_format(&sorted[i], buffer));
		last = &sorted[i];
	}
	if (last)
		text_printf(text, "}\n");
}

static void add_endpoints(struct text *text, const struct family *family,
			  const struct fence_endpoint *endpoints, size_t count)
{
	char buffer[ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		if (family_of(&endpoints[i].address, 128) == family)
			text_printf(text, "add element inet " TABLE " store%c { %s . %u }\n",
				    family->suffix, address_format(&endpoints[i].address, buffer),
				    endpoints[i].port);
}

static void add_rules_of_family(struct text *text, const struct direction *direction,
				const struct family *family, unsigned int port)
{
	static const char no_start[] = "tcp flags & (syn | ack) != syn ";
	const char *ip = family->name, *remote = direction->remote;
	bool inwards = direction == directions;
	char v = family->suffix;

	text_printf(text,
		    "%s %s @members%c udp dport %u accept comment \"heartbeats\"\n"
		    "%s %s @members%c tcp %s %u tcp flags syn,rst accept comment "
		    "\"their connects that confirm a suspicion: handshakes, no data\"\n"
		    "%s %s @members%c tcp %s %u tcp flags syn,rst accept comment "
		    "\"our connects that confirm a suspicion: handshakes, no data\"\n",
		    ip, remote, v, port, ip, remote, v, direction->local_port, port, ip, remote, v,
		    direction->remote_port, port);
	/* Of a connection's two ends the server's does not begin: its port alone opens nothing. */
	text_printf(text,
		    "%s %s . tcp %s @store%c %saccept comment \"this node with the store\"\n"
		    "%s %s @members%c %s %s . tcp %s @store%c %saccept comment "
		    "\"members with the part of the store that this node hosts\"\n",
		    ip, remote, direction->remote_port, v, inwards ? no_start : "", ip, remote, v,
		    ip, direction->local, direction->local_port, v, inwards ? "" : no_start);
	text_printf(text, "%s %s @allow%c accept comment \"isolation.allow\"\n", ip, remote, v);
}

static void add_chain(struct text *text, const struct direction *direction, unsigned int port)
{
	text_printf(text, "chain %s {\n%sif \"lo\" accept comment \"this node with itself\"\n",
		    direction->hook, direction == directions ? "i" : "o");
	for (size_t i = 0; i < FAMILIES; i++)
		add_rules_of_family(text, direction, &families[i], port);
	text_printf(text,
		    "udp %s 68 udp %s 67 accept comment \"DHCP: this node keeps its address\"\n"
		    "udp %s 546 udp %s 547 accept comment \"DHCPv6\"\n",
		    direction->local_port, direction->remote_port, direction->local_port,
		    direction->remote_port);
	text_printf(text, "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
			  "nd-neighbor-advert, mld-listener-query, mld-listener-report, "
			  "mld-listener-done, mld2-listener-report } accept comment "
			  "\"IPv6 neighbours and routers, and the groups they are reached by\"\n"
			  "icmp type { destination-unreachable, time-exceeded, parameter-problem } "
			  "accept comment \"errors, also about packet size\"\n"
			  "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, "
			  "parameter-problem } accept comment \"errors, also about packet size\"\n"
			  "counter drop comment \"all else: this node is isolated\"\n}\n");
}

static void add_empty_table(struct text *text)
{
	static const char *const hooks[] = {"input", "output", "forward"};

	text_printf(text, "table inet " TABLE " {\ncomment \"this node is isolated by tocsin: "
			  "'tocsin release' lifts it\"\n");
	for (size_t i = 0; i < FAMILIES; i++) {
		const char *type = families[i].type;
		char v = families[i].suffix;

		text_printf(
			text,
			"set members%c { type %s; flags interval; "
			"comment \"nodes of the cluster\"; }\n"
			"set store%c { type %s . inet_service; comment \"the store\"; }\n"
			"set allow%c { type %s; flags interval; comment \"isolation.allow\"; }\n",
			v, type, v, type, v, type);
	}
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		text_printf(text,
			    "chain %s { type filter hook %s priority raw - 10; policy drop; }\n",
			    hooks[i], hooks[i]);
	text_printf(text, "}\n");
}

/*
 * Chains and sets stay, and their contents are exchanged, because that alone is one step for a
 * packet. Chains that were deleted and made again would both be there for a moment, or neither; a
 * new set is empty for the first packets that its rules see (Linux 6.18 lost two to five of a flood
 * with each change). A set whose type is ever to change needs another name.
 */
static void write_commands(struct text *text, const struct fence_settings *settings)
{
	add_empty_table(text);
	text_printf(text, "flush table inet " TABLE "\n");
	for (size_t i = 0; i < FAMILIES; i++) {
		const struct family *family = &families[i];
		char v = family->suffix;

		text_printf(text,
			    "flush set inet " TABLE " members%c\nflush set inet " TABLE
			    " store%c\nflush set inet " TABLE " allow%c\n",
			    v, v, v);
		add_cidrs(text, family, "members", settings->members, settings->member_count);
		add_endpoints(text, family, settings->store, settings->store_count);
		add_cidrs(text, family, "allow", settings->allow, settings->allow_count);
	}
	text_printf(text, "table inet " TABLE " {\n");
	for (size_t i = 0; i < sizeof(directions) / sizeof(*directions); i++)
		add_chain(text, &directions[i], settings->agent_port);
	text_printf(text, "chain forward {\ncounter drop comment \"this node forwards for nobody: "
			  "it is isolated\"\n}\n}\n");
}

/* A copy to be freed; NULL when there is no memory. */
static struct cidr *sort_cidrs(const struct cidr *cidrs, size_t count)
{
	struct cidr *sorted = calloc(count + 1, sizeof(*sorted));

	if (!sorted || !count)
		return sorted;
	memcpy(sorted, cidrs, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_cidrs);
	return sorted;
}

static int begin(struct nft_run *ret_run, const struct fence_settings *settings, bool check,
		 struct text *error)
{
	size_t elements = settings->member_count + settings->store_count + settings->allow_count;
	struct text text = {.size = FIXED_BYTES + elements * LINE_BYTES};
	struct fence_settings sorted = *settings;
	struct cidr *members = sort_cidrs(settings->members, settings->member_count);
	struct cidr *allow = sort_cidrs(settings->allow, settings->allow_count);
	int r = -ENOMEM;

	text.data = malloc(text.size);
	if (!members || !allow || !text.data) {
		text_printf(error, "no memory for the fence's rules");
		goto out;
	}
	text.data[0] = '\0';
	sorted.members = members;
	sorted.allow = allow;
	write_commands(&text, &sorted);
	if (text.truncated) {
		text_printf(error, "the fence's rules do not fit %zu bytes", text.size);
		r = -E2BIG;
	} else {
		r = nft_begin(ret_run, text.data, check, error);
	}
out:
	free(text.data);
	free(members);
	free(allow);
	return r;
}

int fence_begin(struct nft_run *ret_run, const struct fence_settings *settings, struct text *error)
{
	int r;

	if (!settings->agent_port) {
		text_printf(error, "the agents' port is 0, expected that of heartbeat.listen");
		return -EINVAL;
	}
	r = fence_present(error);
	return r < 0 ? r : begin(ret_run, settings, false, error);
}

int fence_begin_removal(struct nft_run *ret_run, struct text *error)
{
	int r = fence_present(error);

	*ret_run = (struct nft_run){0};
	/* Added first: someone else may have deleted it since. */
	return r <= 0 ? r
		      : nft_begin(ret_run,
				  "add table inet " TABLE "\ndelete table inet " TABLE "\n", false,
				  error);
}

int fence_present(struct text *error)
{
	return nft_table_exists(TABLE, error);
}

int fence_check(struct text *error)
{
	const struct fence_settings settings = {.agent_port = 1};
	struct nft_run trial;
	int r = fence_present(error);

	/* One that is up is left alone, and proof enough. */
	if (r)
		return r < 0 ? r : 0;
	return begin(&trial, &settings, true, error) ?: nft_finish(&trial, error);
}
