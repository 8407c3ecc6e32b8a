// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/fence.h"

#include "isolate/nft.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE	    "tocsin_fence"
#define FIXED_BYTES 16384 /* of the commands without the elements of the sets */
#define LINE_BYTES  (ADDRESS_TEXT_MAX + 16)

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

static void add_cidrs(struct text *text, const struct family *family, const char *name,
		      const char *comment, const struct cidr *cidrs, size_t count)
{
	char buffer[ADDRESS_TEXT_MAX];
	bool any = false;

	text_printf(text, "set %s%c {\ntype %s; flags interval; auto-merge; comment \"%s\";\n",
		    name, family->suffix, family->type, comment);
	for (size_t i = 0; i < count; i++) {
		if (family_of(&cidrs[i].address, cidrs[i].prefix) != family)
			continue;
		text_printf(text, "%s%s", any ? ",\n" : "elements = {\n",
			    cidr_format(&cidrs[i], buffer));
		any = true;
	}
	text_printf(text, "%s}\n", any ? "\n}\n" : "");
}

/* Of single addresses: sets of intervals with ports are filled after the rules have switched over.
 */
static void add_endpoints(struct text *text, const struct family *family,
			  const struct fence_endpoint *endpoints, size_t count)
{
	char buffer[ADDRESS_TEXT_MAX];
	bool any = false;

	text_printf(text, "set store%c {\ntype %s . inet_service; comment \"the store\";\n",
		    family->suffix, family->type);
	for (size_t i = 0; i < count; i++) {
		if (family_of(&endpoints[i].address, 128) != family)
			continue;
		text_printf(text, "%s%s . %u", any ? ",\n" : "elements = {\n",
			    address_format(&endpoints[i].address, buffer), endpoints[i].port);
		any = true;
	}
	text_printf(text, "%s}\n", any ? "\n}\n" : "");
}

static void add_rules_of_family(struct text *text, const struct direction *direction,
				const struct family *family, unsigned int port)
{
	const char *ip = family->name, *remote = direction->remote;
	char v = family->suffix;

	text_printf(text,
		    "%s %s @members%c udp dport %u accept comment \"heartbeats\"\n"
		    "%s %s @members%c tcp %s %u tcp flags syn,rst accept comment "
		    "\"their connects that confirm a suspicion: handshakes, no data\"\n"
		    "%s %s @members%c tcp %s %u tcp flags syn,rst accept comment "
		    "\"our connects that confirm a suspicion: handshakes, no data\"\n",
		    ip, remote, v, port, ip, remote, v, direction->local_port, port, ip, remote, v,
		    direction->remote_port, port);
	text_printf(text,
		    "%s %s . tcp %s @store%c accept comment \"this node with the store\"\n"
		    "%s %s @members%c %s %s . tcp %s @store%c accept comment "
		    "\"members with the part of the store that this node hosts\"\n",
		    ip, remote, direction->remote_port, v, ip, remote, v, ip, direction->local,
		    direction->local_port, v);
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

/*
 * Chains stay and their rules are exchanged, because that alone is one step for a packet: chains
 * that were deleted and made again would both be there for a moment, or neither. Sets are made
 * anew: old rules go on with the old ones. One whose type is ever to change needs another name.
 */
static void write_commands(struct text *text, const struct fence_settings *settings)
{
	static const char *const hooks[] = {"input", "output", "forward"};
	static const char *const sets[] = {"members", "store", "allow"};

	text_printf(text, "add table inet " TABLE " { comment \"this node is isolated by tocsin: "
			  "'tocsin release' lifts it\"; }\n");
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++)
		text_printf(text,
			    "add chain inet " TABLE
			    " %s { type filter hook %s priority raw - 10; policy drop; }\n",
			    hooks[i], hooks[i]);
	text_printf(text, "flush table inet " TABLE "\n");
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets) * FAMILIES; i++) {
		const struct family *family = &families[i % FAMILIES];
		bool store = i / FAMILIES == 1;

		text_printf(text,
			    "add set inet " TABLE " %s%c { type %s%s; %s}\n"
			    "delete set inet " TABLE " %s%c\n",
			    sets[i / FAMILIES], family->suffix, family->type,
			    store ? " . inet_service" : "", store ? "" : "flags interval; ",
			    sets[i / FAMILIES], family->suffix);
	}
	text_printf(text, "table inet " TABLE " {\n");
	for (size_t i = 0; i < FAMILIES; i++) {
		add_cidrs(text, &families[i], "members", "nodes of the cluster", settings->members,
			  settings->member_count);
		add_endpoints(text, &families[i], settings->store, settings->store_count);
		add_cidrs(text, &families[i], "allow", "isolation.allow", settings->allow,
			  settings->allow_count);
	}
	for (size_t i = 0; i < sizeof(directions) / sizeof(*directions); i++)
		add_chain(text, &directions[i], settings->agent_port);
	text_printf(text, "chain forward {\ncounter drop comment \"this node forwards for nobody: "
			  "it is isolated\"\n}\n}\n");
}

static int run(const struct fence_settings *settings, bool check, struct text *error)
{
	size_t elements = settings->member_count + settings->store_count + settings->allow_count;
	struct text text = {.size = FIXED_BYTES + elements * LINE_BYTES};
	int r;

	text.data = malloc(text.size);
	if (!text.data) {
		text_printf(error, "no memory for the fence's rules");
		return -ENOMEM;
	}
	text.data[0] = '\0';
	write_commands(&text, settings);
	if (text.truncated) {
		text_printf(error, "the fence's rules do not fit %zu bytes", text.size);
		r = -E2BIG;
	} else {
		r = nft_run(text.data, check, error);
	}
	free(text.data);
	return r;
}

int fence_apply(const struct fence_settings *settings, struct text *error)
{
	int r;

	if (!settings->agent_port) {
		text_printf(error, "the agents' port is 0, expected that of heartbeat.listen");
		return -EINVAL;
	}
	r = fence_present(error);
	return r < 0 ? r : run(settings, false, error);
}

int fence_remove(struct text *error)
{
	int r = fence_present(error);

	/* Added first: someone else may have deleted it since. */
	return r <= 0 ? r
		      : nft_run("add table inet " TABLE "\ndelete table inet " TABLE "\n", false,
				error);
}

int fence_present(struct text *error)
{
	return nft_table_exists(TABLE, error);
}

int fence_check(struct text *error)
{
	const struct fence_settings settings = {.agent_port = 1};
	int r = fence_present(error);

	/* One that is up is left alone, and proof enough. */
	return r ? (r < 0 ? r : 0) : run(&settings, true, error);
}
