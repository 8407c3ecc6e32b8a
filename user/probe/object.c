// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/object.h"

#include "probe/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bounds of what is read on the stack; a trace's aggregates stay well below. */
#define KEY_BYTES_MAX	128
#define VALUE_BYTES_MAX 1024

struct object {
	const struct object_source *source;
	const struct object_settings *settings; /* while it is being opened */
	void *skeleton_handle;
	struct bpf_object_skeleton *skeleton;
	struct program_status *statuses;
	size_t count;
	struct ring_buffer *ring;
	int (*record)(void *context, const void *data, size_t size);
	void *record_context;
	int aggregates; /* descriptor, or -1 */
	uint32_t epoch;
	char missing[128]; /* constant or map that does not exist */
};

/* Where a global variable lies in the map of its section, or NULL. */
static void *find_variable(struct bpf_object *bpf, const char *section, const char *name,
			   size_t size)
{
	const struct btf *btf = bpf_object__btf(bpf);
	int id = btf__find_by_name_kind(btf, section, BTF_KIND_DATASEC);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, (__u32)id);
	const struct btf_var_secinfo *variable;
	struct bpf_map *map;
	size_t map_bytes;
	char *values;

	if (!type)
		return NULL;
	variable = btf_var_secinfos(type);
	for (int i = 0; i < btf_vlen(type); i++, variable++) {
		const struct btf_type *var = btf__type_by_id(btf, variable->type);

		if (strcmp(btf__name_by_offset(btf, var->name_off), name) || variable->size != size)
			continue;
		bpf_object__for_each_map(map, bpf)
		{
			const char *map_name = bpf_map__name(map);
			const char *dot = strrchr(map_name, '.');

			if (!dot || strcmp(dot, section))
				continue;
			/* Mapped for writing; libbpf 1.1 says const all the same. */
			values = (char *)(uintptr_t)bpf_map__initial_value(map, &map_bytes);
			return values && variable->offset + size <= map_bytes
				       ? values + variable->offset
				       : NULL;
		}
	}
	return NULL;
}

static int configure(struct object *object, struct bpf_object *bpf)
{
	const struct object_settings *settings = object->settings;
	struct text missing = TEXT(object->missing);
	int r;

	for (size_t i = 0; i < settings->constant_count; i++) {
		const struct object_constant *constant = &settings->constants[i];
		void *variable = find_variable(bpf, ".rodata", constant->name, constant->size);

		if (!variable) {
			text_printf(&missing, "constant %s of %zu bytes", constant->name,
				    constant->size);
			return -ENOENT;
		}
		memcpy(variable, constant->value, constant->size);
	}
	for (size_t i = 0; i < settings->size_count; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(bpf, settings->sizes[i].map);

		if (!map) {
			text_printf(&missing, "map %s", settings->sizes[i].map);
			return -ENOENT;
		}
		r = bpf_map__set_max_entries(map, settings->sizes[i].entries);
		if (r)
			return r;
	}
	return 0;
}

static void close_skeleton(void *context)
{
	struct object *object = context;

	if (object->skeleton_handle)
		object->source->destroy(object->skeleton_handle);
	object->skeleton_handle = NULL;
	object->skeleton = NULL;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct object *object = context;
	int r;

	object->skeleton_handle = object->source->open();
	if (!object->skeleton_handle)
		return errno ? -errno : -ENOMEM;
	/* The first member of each generated skeleton. */
	object->skeleton = *(struct bpf_object_skeleton **)object->skeleton_handle;
	r = configure(object, *object->skeleton->obj);
	if (r) {
		close_skeleton(object);
		return r;
	}
	*ret_skeleton = object->skeleton;
	return 0;
}

static int on_record(void *context, void *data, size_t size)
{
	struct object *object = context;

	return object->record ? object->record(object->record_context, data, size) : 0;
}

static const struct program_status *first_missing(const struct object *object)
{
	for (size_t i = 0; i < object->count; i++)
		if (object->statuses[i].program->required && !object->statuses[i].attached)
			return &object->statuses[i];
	return NULL;
}

/* The runner starts an iterator by reading it to its end; its programs see each item. */
int object_iterate(struct object *object)
{
	int r = 0;

	for (size_t i = 0; i < object->count && !r; i++)
		if (!strncmp(object->statuses[i].program->hook, "iter/", 5) &&
		    object->statuses[i].attached)
			r = program_iterate(&object->statuses[i]);
	return r;
}

int object_open(struct object **ret_object, const struct object_source *source,
		const struct object_settings *settings, struct program_status *statuses,
		size_t count, struct text *error)
{
	struct program_object loader = {.open = open_skeleton, .close = close_skeleton};
	const struct program_status *missing;
	struct bpf_object_skeleton *skeleton;
	struct object *object;
	struct bpf_map *map;
	int r;

	object = calloc(1, sizeof(*object));
	if (!object) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	object->source = source;
	object->settings = settings;
	object->statuses = statuses;
	object->count = count;
	object->aggregates = -1;
	loader.context = object;
	r = program_load(&loader, statuses, count, &skeleton);
	object->settings = NULL;
	if (r) {
		if (object->missing[0])
			text_printf(error, "the programs of %s have no %s", source->name,
				    object->missing);
		else
			text_printf(error, "loading the programs of %s: %s", source->name,
				    statuses[0].reason[0] ? statuses[0].reason : strerror(-r));
		goto failed;
	}
	map = bpf_object__find_map_by_name(*skeleton->obj, "events");
	if (map) {
		object->ring = ring_buffer__new(bpf_map__fd(map), on_record, object, NULL);
		if (!object->ring) {
			r = -errno;
			text_printf(error, "opening the ring of events: %s", strerror(-r));
			goto failed;
		}
	}
	map = bpf_object__find_map_by_name(*skeleton->obj, "aggregates");
	if (map && bpf_map__key_size(map) <= KEY_BYTES_MAX &&
	    bpf_map__value_size(map) <= VALUE_BYTES_MAX)
		object->aggregates = bpf_map__fd(map);
	program_attach(skeleton, statuses, count);
	missing = first_missing(object);
	if (missing) {
		r = -ENOTSUP;
		text_printf(error, "%s: %s", missing->program->hook, missing->reason);
		goto failed;
	}
	/* What is older than the programs is missing where this fails, and nothing else. */
	(void)object_iterate(object);
	*ret_object = object;
	return 0;

failed:
	object_close(object);
	return r;
}

void object_detach(struct object *object)
{
	program_detach(object->statuses, object->count);
}

void object_close(struct object *object)
{
	if (!object)
		return;
	object_detach(object);
	ring_buffer__free(object->ring);
	close_skeleton(object);
	free(object);
}

int object_events_fd(const struct object *object)
{
	return object->ring ? ring_buffer__epoll_fd(object->ring) : -1;
}

int object_events_consume(struct object *object,
			  int (*record)(void *context, const void *data, size_t size),
			  void *context)
{
	if (!object->ring)
		return 0;
	object->record = record;
	object->record_context = context;
	return ring_buffer__consume(object->ring);
}

/*
 * From the return on no program runs that has read the old epoch: programs on tracepoints run
 * within RCU read-side sections, and this waits for all of them (MEMBARRIER_CMD_GLOBAL is
 * synchronize_rcu(), kernel/sched/membarrier.c).
 */
static int advance_epoch(struct object *object)
{
	volatile uint32_t *epoch =
		find_variable(*object->skeleton->obj, ".bss", "trace_epoch", sizeof(*epoch));

	if (!epoch)
		return -ENOENT;
	object->epoch = *epoch;
	*epoch = object->epoch + 1;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) ? -errno : 0;
}

int object_aggregates_drain(struct object *object,
			    void (*aggregate)(void *context, const void *key, const void *value),
			    void *context)
{
	char key[KEY_BYTES_MAX], next[KEY_BYTES_MAX], value[VALUE_BYTES_MAX];
	bool more;
	int r;

	if (object->aggregates < 0)
		return -ENOENT;
	r = advance_epoch(object);
	if (r)
		return r;
	more = !bpf_map_get_next_key(object->aggregates, NULL, next);
	while (more) {
		uint32_t epoch;

		memcpy(key, next, sizeof(key));
		/* Before the present key is deleted, or the way through the map would start anew.
		 */
		more = !bpf_map_get_next_key(object->aggregates, key, next);
		memcpy(&epoch, key, sizeof(epoch));
		if (epoch != object->epoch)
			continue;
		if (bpf_map_lookup_elem(object->aggregates, key, value))
			continue;
		aggregate(context, key, value);
		(void)bpf_map_delete_elem(object->aggregates, key);
	}
	return 0;
}

int object_map_read(const struct object *object, const char *map,
		    void (*take)(void *context, const void *value), void *context)
{
	const struct bpf_map *found = bpf_object__find_map_by_name(*object->skeleton->obj, map);
	char keys[2][KEY_BYTES_MAX], value[VALUE_BYTES_MAX];
	char *key = NULL, *next = keys[0];
	int fd;

	if (!found)
		return -ENOENT;
	if (bpf_map__key_size(found) > KEY_BYTES_MAX ||
	    bpf_map__value_size(found) > VALUE_BYTES_MAX)
		return -E2BIG;
	fd = bpf_map__fd(found);
	while (!bpf_map_get_next_key(fd, key, next)) {
		if (!bpf_map_lookup_elem(fd, next, value))
			take(context, value);
		key = next;
		next = next == keys[0] ? keys[1] : keys[0];
	}
	return 0;
}

struct trace_counters object_counters(const struct object *object)
{
	struct trace_counters none = {0};
	const struct trace_counters *counters =
		find_variable(*object->skeleton->obj, ".bss", "trace_counters", sizeof(none));

	return counters ? *counters : none;
}

uint64_t object_runs_missed(const struct object *object)
{
	struct bpf_program *program;
	uint64_t missed = 0;

	bpf_object__for_each_program(program, *object->skeleton->obj)
	{
		struct bpf_prog_info info = {0};
		__u32 length = sizeof(info);
		int fd = bpf_program__fd(program);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length))
			missed += info.recursion_misses;
	}
	return missed;
}
