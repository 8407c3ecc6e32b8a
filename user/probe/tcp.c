// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/tcp.h"

#include "probe/group_records.h"
#include "probe/kernel_types.h"
#include "probe/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "maps/flow.h"
#include "maps/tally.h"

#include "bpf/tcp.skel.h"

static const struct program programs[] = {
	{TCP_PROBE_SEGMENTS, "tp_btf/tcp_probe", "segments heard, acknowledged progress, RTT",
	 true},
	{"tcp_retransmit_skb", "tp_btf/tcp_retransmit_skb", "retransmits and stalled sockets",
	 true},
	{"inet_sock_set_state", "tp_btf/inet_sock_set_state", "connects and why they fail", true},
	{"tcp_retransmit_synack", "tp_btf/tcp_retransmit_synack", "SYN-ACK retransmits", false},
	{"tcp_receive_reset", "tp_btf/tcp_receive_reset", "resets received", false},
	{"tcp_send_reset", "tp_btf/tcp_send_reset", "resets sent", false},
	{"tcp_sweep", "iter/task_file", "ends of stalls that went unseen", false},
};

#define TALLIES_PER_CPU_MAX 2048U
#define MAPPED_SLOTS_STEP   256U

#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

struct tcp_probe {
	struct tcp_probe_settings settings;
	bool retransmit_has_error, sockets_have_storage;
	struct tcp_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
	struct peer_record *table; /* mapped, as far as slots have been used */
	size_t table_bytes, mapped_bytes;
	struct ring_buffer *wakeups;
	void (*woken)(void *context, uint32_t slot);
	void *woken_context;
};

/*
 * Tallies of one CPU, a power of two: twice as many as there can be peers, but no more than what a
 * CPU's caches hold (256 KiB), and at most 4 MiB for all.
 */
static uint32_t tallies_per_cpu(uint32_t cpus, uint32_t max_peers)
{
	const size_t all_max = ((size_t)4 << 20) / sizeof(struct peer_tally);
	uint32_t tallies = 64;

	while (tallies < TALLIES_PER_CPU_MAX && tallies < 2 * max_peers &&
	       (size_t)2 * tallies * cpus <= all_max)
		tallies *= 2;
	return tallies;
}

static int configure(struct tcp_bpf *skeleton, const struct tcp_probe *probe)
{
	const struct tcp_probe_settings *settings = &probe->settings;
	struct bpf_map *sized[] = {skeleton->maps.peers, skeleton->maps.peer_slots,
				   skeleton->maps.peer_free};
	struct bpf_map *replaced[] = {skeleton->maps.flows_by_address,
				      skeleton->maps.ignored_cookies};
	int cpus = libbpf_num_possible_cpus();
	int r;

	if (cpus < 0)
		return cpus;
	skeleton->rodata->tallies_per_cpu = tallies_per_cpu((uint32_t)cpus, settings->max_peers);
	skeleton->rodata->peer_table_slots = settings->max_peers;
	skeleton->rodata->filter_netns_inode = settings->netns_inode;
	skeleton->rodata->filter_port = settings->port;
	skeleton->rodata->filter_loopback = !settings->loopback;
	skeleton->rodata->filter_remote = settings->remote.prefix > 0;
	memcpy((void *)skeleton->rodata->filter_remote_network, settings->remote.address.bytes, 16);
	for (unsigned int i = 0; i < 4; i++)
		skeleton->rodata->filter_remote_mask[i] = cidr_mask_word(&settings->remote, i);
	skeleton->rodata->retransmit_has_error = probe->retransmit_has_error;
	skeleton->rodata->sockets_have_storage = probe->sockets_have_storage;
	/* Nobody looks into them then. */
	for (size_t i = 0; probe->sockets_have_storage && i < sizeof(replaced) / sizeof(*replaced);
	     i++) {
		r = bpf_map__set_max_entries(replaced[i], 1);
		if (r)
			return r;
	}
	for (size_t i = 0; i < sizeof(sized) / sizeof(*sized); i++) {
		r = bpf_map__set_max_entries(sized[i], settings->max_peers);
		if (r)
			return r;
	}
	r = bpf_map__set_max_entries(skeleton->maps.tcp_group_records, settings->max_groups);
	if (r)
		return r;
	return bpf_map__set_max_entries(skeleton->maps.peer_tallies,
					skeleton->rodata->tallies_per_cpu * (uint32_t)cpus);
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct tcp_probe *probe = context;
	int r;

	probe->skeleton = tcp_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	r = configure(probe->skeleton, probe);
	if (r) {
		tcp_bpf__destroy(probe->skeleton);
		probe->skeleton = NULL;
		return r;
	}
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

static void close_skeleton(void *context)
{
	struct tcp_probe *probe = context;

	tcp_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

/* Of whole pages. */
static size_t bytes_of_slots(const struct tcp_probe *probe, uint32_t slots)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes;

	if (slots > probe->settings.max_peers)
		slots = probe->settings.max_peers;
	bytes = (size_t)slots * sizeof(struct peer_record);
	return (bytes + page - 1) / page * page;
}

/*
 * Maps at least so many slots of the table. What is mapped counts as the agent's memory, and the
 * kernel gives out slots in order, most of which no node ever needs. Returns 0 or a negative errno.
 */
static int map_slots(struct tcp_probe *probe, uint32_t slots)
{
	size_t bytes = bytes_of_slots(probe, (slots / MAPPED_SLOTS_STEP + 1) * MAPPED_SLOTS_STEP);
	size_t more = bytes - probe->mapped_bytes;
	char *end = (char *)probe->table + probe->mapped_bytes;
	int fd = bpf_map__fd(probe->skeleton->maps.peers), err;

	if (bytes_of_slots(probe, slots) <= probe->mapped_bytes)
		return 0;
	if (probe->table_bytes == probe->mapped_bytes)
		return -ENOMEM;
	if (mmap(end, more, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)probe->mapped_bytes) != MAP_FAILED) {
		probe->mapped_bytes = bytes;
		return 0;
	}
	err = -errno;
	/* What was reserved there is gone: unless it can be had again, it is somebody else's. */
	if (mmap(end, more, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != end)
		probe->table_bytes = probe->mapped_bytes;
	return err;
}

static int on_wakeup(void *context, void *data, size_t size)
{
	struct tcp_probe *probe = context;
	const struct peer_wakeup *wakeup = data;

	if (size >= sizeof(*wakeup) && probe->woken && wakeup->slot < probe->settings.max_peers &&
	    !map_slots(probe, wakeup->slot + 1))
		probe->woken(probe->woken_context, wakeup->slot);
	return 0;
}

/* Only the addresses: pages of the kernel's are mapped when they are used. */
static int reserve_table(struct tcp_probe *probe)
{
	size_t bytes = bytes_of_slots(probe, probe->settings.max_peers);
	void *table =
		mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return -errno;
	probe->table = table;
	probe->table_bytes = bytes;
	return 0;
}

static int fill_free_slots(struct tcp_probe *probe)
{
	int fd = bpf_map__fd(probe->skeleton->maps.peer_free);

	for (uint32_t slot = 0; slot < probe->settings.max_peers; slot++)
		if (bpf_map_update_elem(fd, NULL, &slot, BPF_ANY))
			return -errno;
	return 0;
}

int tcp_probe_open(struct tcp_probe **ret_probe, const struct tcp_probe_settings *settings,
		   struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	struct bpf_object_skeleton *skeleton;
	struct tcp_probe *probe;
	const char *doing = "loading the TCP programs";
	int r;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	probe->settings = *settings;
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		probe->statuses[i].program = &programs[i];
	probe->retransmit_has_error = kernel_tracepoint_arguments("tcp_retransmit_skb") >= 3;
	probe->sockets_have_storage = program_sockets_have_storage();
	object.context = probe;
	r = program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r)
		goto failed;
	doing = "filling the table of peers";
	r = fill_free_slots(probe);
	if (r)
		goto failed;
	doing = "mapping the table of peers";
	r = reserve_table(probe);
	if (!r)
		r = map_slots(probe, 1);
	if (r)
		goto failed;
	doing = "opening the ring of wakeups";
	probe->wakeups = ring_buffer__new(bpf_map__fd(probe->skeleton->maps.peer_wakeups),
					  on_wakeup, probe, NULL);
	if (!probe->wakeups) {
		r = -errno;
		goto failed;
	}
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	*ret_probe = probe;
	return 0;

failed:
	text_printf(error, "%s: %s", doing,
		    probe->statuses[0].reason[0] ? probe->statuses[0].reason : strerror(-r));
	tcp_probe_close(probe);
	return r;
}

void tcp_probe_close(struct tcp_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	ring_buffer__free(probe->wakeups);
	if (probe->table)
		munmap(probe->table, probe->table_bytes);
	tcp_bpf__destroy(probe->skeleton);
	free(probe);
}

const struct program_status *tcp_probe_programs(const struct tcp_probe *probe, size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

bool tcp_probe_sees(const struct tcp_probe *probe)
{
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		if (programs[i].required && !probe->statuses[i].attached)
			return false;
	return true;
}

uint32_t tcp_probe_slots(const struct tcp_probe *probe)
{
	return probe->settings.max_peers;
}

uint32_t tcp_probe_slots_touched(struct tcp_probe *probe)
{
	uint64_t taken = probe->skeleton->bss->tcp_counters.slots_taken;
	uint32_t touched =
		taken < probe->settings.max_peers ? (uint32_t)taken : probe->settings.max_peers;

	/* The next time, maybe. */
	if (map_slots(probe, touched))
		return (uint32_t)(probe->mapped_bytes / sizeof(struct peer_record));
	return touched;
}

const volatile struct peer_record *tcp_probe_record(const struct tcp_probe *probe, uint32_t slot)
{
	return &probe->table[slot];
}

uint32_t tcp_probe_generation(const struct tcp_probe *probe, uint32_t slot)
{
	const struct peer_record *record = &probe->table[slot];

	if (!(__atomic_load_n(&record->flags, __ATOMIC_ACQUIRE) & PEER_FLAG_USED))
		return 0;
	return __atomic_load_n(&record->generation, __ATOMIC_ACQUIRE);
}

bool tcp_probe_read(const struct tcp_probe *probe, uint32_t slot, struct peer_record *ret_record)
{
	uint32_t generation = tcp_probe_generation(probe, slot);

	if (!generation)
		return false;
	memcpy(ret_record, &probe->table[slot], sizeof(*ret_record));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return tcp_probe_generation(probe, slot) == generation &&
	       ret_record->generation == generation;
}

void tcp_probe_pin(struct tcp_probe *probe, uint32_t slot, bool pinned)
{
	if (pinned)
		__atomic_fetch_or(&probe->table[slot].flags, PEER_FLAG_PINNED, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&probe->table[slot].flags, ~PEER_FLAG_PINNED, __ATOMIC_RELAXED);
}

struct tcp_counters tcp_probe_counters(const struct tcp_probe *probe)
{
	return probe->skeleton->bss->tcp_counters;
}

static int group_records_of(const struct tcp_probe *probe)
{
	return bpf_map__fd(probe->skeleton->maps.tcp_group_records);
}

int tcp_probe_read_groups(const struct tcp_probe *probe, struct tcp_group_record *record,
			  void (*found)(void *context, const struct group_key *group),
			  void *context)
{
	return group_records_read(group_records_of(probe), probe->settings.max_groups, record,
				  found, context);
}

bool tcp_probe_take_group(struct tcp_probe *probe, const struct group_key *group,
			  struct tcp_group_record *ret_record)
{
	return group_records_take(group_records_of(probe), group, ret_record);
}

struct tcp_group_record tcp_probe_other_groups(const struct tcp_probe *probe)
{
	return probe->skeleton->bss->tcp_group_other;
}

int tcp_probe_wakeup_fd(const struct tcp_probe *probe)
{
	return ring_buffer__epoll_fd(probe->wakeups);
}

int tcp_probe_drain(struct tcp_probe *probe, void (*woken)(void *context, uint32_t slot),
		    void *context)
{
	probe->woken = woken;
	probe->woken_context = context;
	return ring_buffer__consume(probe->wakeups);
}

int tcp_probe_ignore_socket(struct tcp_probe *probe, int fd)
{
	int flows = bpf_map__fd(probe->skeleton->maps.flows);
	int cookies = bpf_map__fd(probe->skeleton->maps.ignored_cookies);
	const struct tcp_flow flow = {.flags = FLOW_FLAG_IGNORED};
	const __u8 ignored = 1;
	__u64 cookie;
	socklen_t length = sizeof(cookie);

	if (probe->sockets_have_storage)
		return bpf_map_update_elem(flows, &fd, &flow, BPF_ANY) ? -errno : 0;
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length))
		return -errno;
	return bpf_map_update_elem(cookies, &cookie, &ignored, BPF_ANY) ? -errno : 0;
}

int tcp_probe_sweep(struct tcp_probe *probe)
{
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		if (!strcmp(programs[i].name, "tcp_sweep"))
			return program_iterate(&probe->statuses[i]);
	return -ENOENT;
}

void tcp_probe_shed_rtt(struct tcp_probe *probe, bool shed)
{
	probe->skeleton->bss->each_segment.rtt_shed = shed;
}
