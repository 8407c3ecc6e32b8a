// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/block.h"

#include "base/block_device.h"
#include "base/clock.h"
#include "probe/kernel_types.h"
#include "probe/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/block.skel.h"

static const struct program programs[] = {
	{"block_rq_complete", "tp_btf/block_rq_complete", "block I/O: times, bytes, errors", true},
	{"block_rq_issue", "tp_btf/block_rq_issue", "the age of block I/O that does not complete",
	 false},
	{"block_requests_are_checked", "raw_tp",
	 "telling I/O that hangs from I/O whose end was not seen", false},
};

#define REQUESTS_ARE_CHECKED 2
#define PROGRAM_COUNT	     (sizeof(programs) / sizeof(*programs))
#define DISKS_BYTES	     (BLOCK_DEVICES_MAX * sizeof(struct block_disk))
/* A request that has not ended after so long is looked at, each time. Well before a finding says
 * that it hangs, and long after nearly all have ended. */
#define CHECK_AGE_NS (NS_PER_S / 4)

struct block_probe {
	struct block_bpf *skeleton;
	struct program_status statuses[PROGRAM_COUNT];
	struct block_set *sets; /* mapped */
	struct block_record *of_cpus;
	struct block_slot *slot_of_cpus;
	size_t cpus;
	struct block_disk *disks; /* room for BLOCK_DEVICES_MAX */
	size_t disk_count;
};

/*
 * The number of QUEUE_FLAG_STATS, which has been an enumerator since 6.11 and lies in an enum
 * without a name. -1 when it is not known; then the programs find out by what they see.
 */
static int32_t queue_keeps_issue_bit(void)
{
	const struct btf *btf = kernel_types();
	int32_t bit = -1;

	for (__u32 id = 1; btf && bit < 0 && id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const struct btf_enum *values = btf_enum(type);

		if (!btf_is_enum(type))
			continue;
		for (__u16 i = 0; i < btf_vlen(type); i++)
			if (!strcmp(btf__name_by_offset(btf, values[i].name_off) ?: "",
				    "QUEUE_FLAG_STATS"))
				bit = values[i].val;
	}
	return bit < 64 ? bit : -1;
}

static int open_skeleton(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct block_probe *probe = context;

	probe->skeleton = block_bpf__open();
	if (!probe->skeleton)
		return errno ? -errno : -ENOMEM;
	probe->skeleton->rodata->request_has_queue =
		kernel_tracepoint_arguments("block_rq_issue") >= 2;
	probe->skeleton->rodata->queue_keeps_issue_bit = queue_keeps_issue_bit();
	*ret_skeleton = probe->skeleton->skeleton;
	return 0;
}

static void close_skeleton(void *context)
{
	struct block_probe *probe = context;

	block_bpf__destroy(probe->skeleton);
	probe->skeleton = NULL;
}

static int map_in_flight(struct block_probe *probe)
{
	void *sets = mmap(NULL, BLOCK_SETS * sizeof(struct block_set), PROT_READ | PROT_WRITE,
			  MAP_SHARED, bpf_map__fd(probe->skeleton->maps.block_in_flight), 0);

	if (sets == MAP_FAILED)
		return -errno;
	probe->sets = sets;
	return 0;
}

static int make_room(struct block_probe *probe)
{
	int cpus = libbpf_num_possible_cpus();
	void *disks;

	if (cpus < 0)
		return cpus;
	/* Not of the heap: what no disk has needed takes no memory. */
	disks = mmap(NULL, DISKS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disks == MAP_FAILED)
		return -errno;
	probe->disks = disks;
	probe->cpus = (size_t)cpus;
	probe->of_cpus = calloc(probe->cpus, sizeof(*probe->of_cpus));
	probe->slot_of_cpus = calloc(probe->cpus, sizeof(*probe->slot_of_cpus));
	return probe->of_cpus && probe->slot_of_cpus ? 0 : -ENOMEM;
}

int block_probe_open(struct block_probe **ret_probe, struct text *error)
{
	struct program_object object = {.open = open_skeleton, .close = close_skeleton};
	struct bpf_object_skeleton *skeleton;
	struct block_probe *probe;
	const char *doing = "loading the block programs";
	int r;

	probe = calloc(1, sizeof(*probe));
	if (!probe) {
		text_printf(error, "out of memory");
		return -ENOMEM;
	}
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		probe->statuses[i].program = &programs[i];
	object.context = probe;
	r = make_room(probe);
	if (!r)
		r = program_load(&object, probe->statuses, PROGRAM_COUNT, &skeleton);
	if (r)
		goto failed;
	doing = "mapping the requests in flight";
	r = map_in_flight(probe);
	if (r)
		goto failed;
	program_attach(skeleton, probe->statuses, PROGRAM_COUNT);
	*ret_probe = probe;
	return 0;

failed:
	text_printf(error, "%s: %s", doing,
		    probe->statuses[0].reason[0] ? probe->statuses[0].reason : strerror(-r));
	block_probe_close(probe);
	return r;
}

void block_probe_close(struct block_probe *probe)
{
	if (!probe)
		return;
	program_detach(probe->statuses, PROGRAM_COUNT);
	if (probe->sets)
		munmap(probe->sets, BLOCK_SETS * sizeof(struct block_set));
	if (probe->disks)
		munmap(probe->disks, DISKS_BYTES);
	block_bpf__destroy(probe->skeleton);
	free(probe->of_cpus);
	free(probe->slot_of_cpus);
	free(probe);
}

const struct program_status *block_probe_programs(const struct block_probe *probe,
						  size_t *ret_count)
{
	*ret_count = PROGRAM_COUNT;
	return probe->statuses;
}

void block_probe_shed(struct block_probe *probe, const char *reason)
{
	program_shed(probe->statuses, PROGRAM_COUNT, reason);
}

int block_probe_restore(struct block_probe *probe)
{
	/* Of those that completed meanwhile nobody would hear. */
	memset(probe->sets, 0, BLOCK_SETS * sizeof(struct block_set));
	return program_restore(probe->skeleton->skeleton, probe->statuses, PROGRAM_COUNT);
}

struct block_counters block_probe_counters(const struct block_probe *probe)
{
	return probe->skeleton->bss->block_counters;
}

/* ---- reading ---- */

/*
 * The name that the device has now. Paths of an NVMe disk behind multipath have no number in sysfs;
 * for them the name of their first I/O counts, as long as there is such a disk. False when the disk
 * is gone.
 */
static bool find_name(const struct block_probe *probe, struct block_disk *disk)
{
	char path[64 + BLOCK_NAME_BYTES];
	struct block_name noted;

	if (!block_device_name(disk->device, disk->name, sizeof(disk->name)))
		return true;
	if (bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.block_names), &disk->device,
				&noted))
		return false;
	snprintf(disk->name, sizeof(disk->name), "%.*s", BLOCK_NAME_BYTES - 1, noted.name);
	snprintf(path, sizeof(path), "/sys/block/%s", disk->name);
	return !access(path, F_OK);
}

static void find_in_flight(struct block_disk *disk)
{
	char number[32], path[64];
	FILE *file;

	block_device_number(disk->device, number, sizeof(number));
	snprintf(path, sizeof(path), "/sys/dev/block/%s/inflight", number);
	file = fopen(path, "re");
	if (!file)
		return;
	disk->in_flight_known =
		fscanf(file, "%" SCNu64 " %" SCNu64, &disk->in_flight[0], &disk->in_flight[1]) == 2;
	fclose(file);
}

/* The disk's place, made when it is new and there is room. */
static struct block_disk *place_of(struct block_probe *probe, uint32_t device)
{
	struct block_disk *disk;

	for (size_t i = 0; i < probe->disk_count; i++)
		if (probe->disks[i].device == device)
			return &probe->disks[i];
	if (probe->disk_count == BLOCK_DEVICES_MAX)
		return NULL;
	disk = &probe->disks[probe->disk_count];
	memset(disk, 0, sizeof(*disk));
	disk->device = device;
	if (!find_name(probe, disk))
		return NULL;
	find_in_flight(disk);
	probe->disk_count++;
	return disk;
}

static void add(struct block_record *sum, const struct block_record *record)
{
	if (record->completed_ns > sum->completed_ns)
		sum->completed_ns = record->completed_ns;
	sum->bytes += record->bytes;
	sum->errors += record->errors;
	sum->unsupported += record->unsupported;
	sum->device_sum_ns += record->device_sum_ns;
	sum->queue_sum_ns += record->queue_sum_ns;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		sum->device[i] += record->device[i];
		sum->queue[i] += record->queue[i];
	}
}

static void read_record(struct block_probe *probe, const struct block_key *key)
{
	int records = bpf_map__fd(probe->skeleton->maps.block_records);
	struct block_disk *disk = place_of(probe, key->device);

	if (!disk) {
		/* Its number may come back with another disk, which begins at 0. */
		(void)bpf_map_delete_elem(records, key);
		(void)bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.block_names),
					  &key->device);
		return;
	}
	if (key->operation >= BLOCK_OPERATIONS || bpf_map_lookup_elem(records, key, probe->of_cpus))
		return;
	for (size_t i = 0; i < probe->cpus; i++)
		add(&disk->operations[key->operation].record, &probe->of_cpus[i]);
}

/* What its device has counted is forgotten; there are no programs on a device that is gone. */
static void free_slot(const struct block_probe *probe, uint32_t index, uint32_t device)
{
	memset(probe->slot_of_cpus, 0, probe->cpus * sizeof(*probe->slot_of_cpus));
	(void)bpf_map_update_elem(bpf_map__fd(probe->skeleton->maps.block_slots), &index,
				  probe->slot_of_cpus, BPF_ANY);
	(void)bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.block_slot_owners), &index);
	(void)bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.block_names), &device);
}

static void read_slot(struct block_probe *probe, uint32_t index, const struct block_key *owner)
{
	const struct block_slot *slots = probe->slot_of_cpus;
	struct block_disk *disk;

	if (owner->operation >= BLOCK_OPERATIONS)
		return;
	disk = place_of(probe, owner->device);
	if (!disk) {
		free_slot(probe, index, owner->device);
		return;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.block_slots), &index,
				probe->slot_of_cpus))
		return;
	for (size_t i = 0; i < probe->cpus; i++)
		add(&disk->operations[owner->operation].record, &slots[i].record);
}

/* All owners are asked for at once: most slots have none. */
static int read_slots(struct block_probe *probe)
{
	__u32 indices[BLOCK_SLOTS], count = BLOCK_SLOTS, position;
	struct block_key owners[BLOCK_SLOTS];

	/* ENOENT: these are the last ones. */
	if (bpf_map_lookup_batch(bpf_map__fd(probe->skeleton->maps.block_slot_owners), NULL,
				 &position, indices, owners, &count, NULL) &&
	    errno != ENOENT)
		return -errno;
	for (__u32 i = 0; i < count; i++)
		read_slot(probe, indices[i], &owners[i]);
	return 0;
}

static int read_records(struct block_probe *probe)
{
	int records = bpf_map__fd(probe->skeleton->maps.block_records);
	struct block_key keys[BLOCK_DEVICES_MAX * BLOCK_OPERATIONS];
	size_t count = 0;
	int r;

	r = read_slots(probe);
	if (r)
		return r;
	/* First all keys: one that is deleted would begin the walk anew. */
	while (count < sizeof(keys) / sizeof(*keys) &&
	       !bpf_map_get_next_key(records, count ? &keys[count - 1] : NULL, &keys[count]))
		count++;
	if (count < sizeof(keys) / sizeof(*keys) && errno != ENOENT)
		return -errno;
	for (size_t i = 0; i < count; i++)
		read_record(probe, &keys[i]);
	return 0;
}

static void read_request(struct block_probe *probe, const volatile struct block_request *live)
{
	uint64_t request = live->request, start_ns = live->start_ns;
	uint32_t device = live->device, operation = live->operation;
	struct block_disk *disk;
	uint64_t *oldest_ns;

	if (!request || operation >= BLOCK_OPERATIONS || live->request != request)
		return;
	disk = place_of(probe, device);
	/* Nothing in flight, and yet a request: its end was not seen, and could not be found out.
	 */
	if (!disk || (disk->in_flight_known && !disk->in_flight[0] && !disk->in_flight[1]))
		return;
	oldest_ns = &disk->operations[operation].oldest_start_ns;
	if (!*oldest_ns || start_ns < *oldest_ns)
		*oldest_ns = start_ns;
}

/* Has the kernel's side look at these requests, and free the places of those that have ended. */
static void check_batch(const struct block_probe *probe)
{
	struct block_batch *batch = &probe->skeleton->bss->block_batch;

	/* Without it they stay as they are noted. */
	if (batch->count)
		(void)program_run(&probe->statuses[REQUESTS_ARE_CHECKED]);
	batch->count = 0;
}

static void check_old(const struct block_probe *probe)
{
	struct block_batch *batch = &probe->skeleton->bss->block_batch;
	uint64_t now_ns = clock_monotonic_ns();

	for (__u32 place = 0; place < BLOCK_SETS * BLOCK_WAYS; place++) {
		const volatile struct block_request *live =
			&probe->sets[place / BLOCK_WAYS].ways[place % BLOCK_WAYS];

		if (live->request && now_ns > live->start_ns + CHECK_AGE_NS)
			batch->places[batch->count++] = place;
		if (batch->count == BLOCK_BATCH)
			check_batch(probe);
	}
	check_batch(probe);
}

uint64_t block_probe_oldest_ns(const struct block_probe *probe)
{
	uint64_t oldest_ns = 0;

	for (size_t set = 0; set < BLOCK_SETS; set++)
		for (size_t way = 0; way < BLOCK_WAYS; way++) {
			const volatile struct block_request *live = &probe->sets[set].ways[way];
			uint64_t start_ns = live->request ? live->start_ns : 0;

			if (start_ns && (!oldest_ns || start_ns < oldest_ns))
				oldest_ns = start_ns;
		}
	return oldest_ns;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct block_disk *)a)->name, ((const struct block_disk *)b)->name);
}

int block_probe_read(struct block_probe *probe, const struct block_disk **ret_disks,
		     size_t *ret_count)
{
	int r;

	probe->disk_count = 0;
	r = read_records(probe);
	if (r)
		return r;
	check_old(probe);
	for (size_t set = 0; set < BLOCK_SETS; set++)
		for (size_t way = 0; way < BLOCK_WAYS; way++)
			read_request(probe, &probe->sets[set].ways[way]);
	qsort(probe->disks, probe->disk_count, sizeof(*probe->disks), by_name);
	*ret_disks = probe->disks;
	*ret_count = probe->disk_count;
	return 0;
}
