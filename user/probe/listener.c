// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/listener.h"

#include "probe/program.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/listener.skel.h"

enum { LISTENER_BEGINS, LISTENER_IS_FOUND, LISTENER_IS_READ, PROGRAM_COUNT };

static const struct program programs[PROGRAM_COUNT] = {
	[LISTENER_BEGINS] = {"listener_begins", "tp_btf/inet_sock_set_state", "new listeners",
			     true},
	[LISTENER_IS_FOUND] = {"listener_is_found", "iter/task_file",
			       "listeners from before the agent", false},
	[LISTENER_IS_READ] = {"listener_is_read", "raw_tp", "queues of listeners", true},
};

struct listener_probe {
	uint32_t netns_inode;
	struct listener_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
};

static void close_skeleton(void *context)
{
	struct listener_probe *probe = context;

	listener_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct listener_probe *probe = context;

	probe->skeleton = listener_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	probe->skeleton->rodata->filter_netns_inode = probe->netns_inode;
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

/* Those that are there already; without it, or when it fails, they are not known. */
static void find_listeners(struct listener_probe *probe)
{
	(void)program_iterate(&probe->statuses[LISTENER_IS_FOUND]);
}

int listener_probe_open(struct listener_probe **ret_probe, uint32_t netns_inode, struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	struct bpf_object_skeleton *skeleton;
	struct listener_probe *probe;
	int r;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	probe->netns_inode = netns_inode;
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		probe->statuses[i].program = &programs[i];
	object.context = probe;
	r = program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r) {
		text_printf(error, "loading the listener programs: %s",
			    probe->statuses[0].reason[0] ? probe->statuses[0].reason
							 : strerror(-r));
		listener_probe_close(probe);
		return r;
	}
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	find_listeners(probe);
	*ret_probe = probe;
	return 0;
}

void listener_probe_close(struct listener_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	listener_bpf__destroy(probe->skeleton);
	free(probe);
}

const struct program_status *listener_probe_programs(const struct listener_probe *probe,
						     size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

void listener_probe_shed(struct listener_probe *probe, const char *reason)
{
	program_shed(probe->statuses, PROGRAM_COUNT, reason);
}

/* Which have ended meanwhile was not seen. */
static int forget_listeners(const struct listener_probe *probe)
{
	int listeners = bpf_map__fd(probe->skeleton->maps.listeners);
	uint64_t socket;

	/* At most so many: others begin and end at the same time. */
	for (unsigned int i = 0; i < LISTENERS_MAX; i++) {
		if (bpf_map_get_next_key(listeners, NULL, &socket))
			return errno == ENOENT ? 0 : -errno;
		if (bpf_map_delete_elem(listeners, &socket) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int listener_probe_restore(struct listener_probe *probe)
{
	int r = forget_listeners(probe);

	if (!r)
		r = program_restore(probe->skeleton->skeleton, probe->statuses, PROGRAM_COUNT);
	find_listeners(probe);
	return r;
}

uint64_t listener_probe_lost(const struct listener_probe *probe)
{
	return __atomic_load_n(&probe->skeleton->bss->listeners_lost, __ATOMIC_RELAXED);
}

/* Looks at these listeners. Returns 0 or a negative errno. */
static int look_at(const struct listener_probe *probe, const struct listener_owner *owners,
		   void (*found)(void *context, const struct listener_record *record),
		   void *context)
{
	const struct listener_batch *batch = &probe->skeleton->bss->listener_batch;
	int r = program_run(&probe->statuses[LISTENER_IS_READ]);

	for (__u32 i = 0; !r && i < batch->count; i++) {
		struct listener_record record = batch->records[i];

		record.owner = owners[i];
		if (record.socket)
			found(context, &record);
	}
	return r;
}

int listener_probe_read(const struct listener_probe *probe,
			void (*found)(void *context, const struct listener_record *record),
			void *context)
{
	struct listener_batch *batch = &probe->skeleton->bss->listener_batch;
	int listeners = bpf_map__fd(probe->skeleton->maps.listeners), r;
	struct listener_owner owners[LISTENER_BATCH];
	__u32 position, *last = NULL;
	bool more;

	do {
		batch->count = LISTENER_BATCH;
		/* ENOENT: these are the last ones. */
		more = !bpf_map_lookup_batch(listeners, last, &position, batch->sockets, owners,
					     &batch->count, NULL);
		if (!more && errno != ENOENT)
			return -errno;
		last = &position;
		r = batch->count ? look_at(probe, owners, found, context) : 0;
	} while (more && !r);
	return r;
}
