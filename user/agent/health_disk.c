// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_disk.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_capacity.h"
#include "agent/health_disk_slow.h"
#include "base/clock.h"
#include "detect/disk.h"
#include "probe/block_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The disks are read so often at least; sooner when something has failed or is old. */
#define READ_QUIET_NS (5 * NS_PER_S)
/* And while a request is old, or a finding stands. */
#define READ_ALERT_NS (100 * NS_PER_MS)
/* How often the requests in flight are looked through, which takes no system call. */
#define LOOK_NS		 (100 * NS_PER_MS)
#define CLEAR_STALLED_NS NS_PER_S

/* What is remembered of one disk between two readings. */
struct disk_memory {
	uint32_t device;
	char name[BLOCK_NAME_BYTES];
	uint64_t errors;
	bool present;
	struct disk_history *history; /* NULL: no memory, or disk-slow is off */
};

struct disk_family {
	struct agent *agent;
	struct disk_memory disks[BLOCK_DEVICES_MAX];
	size_t disk_count;
	uint64_t looked_ns, read_ns, window_ns;
	uint64_t errors; /* of all disks, as the programs count them */
};

/* The first are judged at each reading, the last at the end of each window. */
static const enum finding_kind kinds[] = {FINDING_DISK_STALLED, FINDING_DISK_HUNG_REQUEST,
					  FINDING_DISK_ERRORS, FINDING_DISK_SLOW};

#define KINDS	      (sizeof(kinds) / sizeof(*kinds))
#define KINDS_AT_ONCE (KINDS - 1)

static struct disk_memory *memory_of(struct disk_family *family, const struct block_disk *disk)
{
	struct disk_memory *memory;

	for (size_t i = 0; i < family->disk_count; i++)
		if (family->disks[i].device == disk->device)
			return &family->disks[i];
	if (family->disk_count == BLOCK_DEVICES_MAX)
		return NULL;
	memory = &family->disks[family->disk_count++];
	*memory = (struct disk_memory){.device = disk->device};
	memcpy(memory->name, disk->name, sizeof(memory->name));
	return memory;
}

static struct disk_evidence evidence_of(const struct block_disk *disk)
{
	struct disk_evidence evidence = {0};

	for (unsigned int i = 0; i < BLOCK_OPERATIONS; i++) {
		const struct block_sum *sum = &disk->operations[i];

		evidence.errors += sum->record.errors;
		if (sum->record.completed_ns > evidence.completed_ns)
			evidence.completed_ns = sum->record.completed_ns;
		if (sum->oldest_start_ns &&
		    (!evidence.oldest_ns || sum->oldest_start_ns < evidence.oldest_ns))
			evidence.oldest_ns = sum->oldest_start_ns;
	}
	return evidence;
}

static void judge(struct disk_family *family, const struct block_disk *disk, uint64_t now_ns)
{
	const struct config *config = &family->agent->config;
	const struct finding_limits *limits = &config->findings.limits;
	struct findings *findings = agent_findings_list(family->agent->findings);
	const struct disk_evidence evidence = evidence_of(disk);
	struct disk_memory *memory = memory_of(family, disk);
	const uint64_t clear_ns[KINDS_AT_ONCE] = {CLEAR_STALLED_NS, CLEAR_STALLED_NS,
						  limits->disk_errors.clear_after_s * NS_PER_S};

	if (!memory)
		return;
	for (size_t i = 0; i < KINDS_AT_ONCE; i++) {
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		enum finding_level level = FINDING_QUIET;
		uint64_t since_ns = 0;

		if (config->findings.settings[kinds[i]].response == FINDING_RESPONSE_OFF)
			continue;
		switch (kinds[i]) {
		case FINDING_DISK_STALLED:
			level = disk_stalled(&evidence, limits->disk_stalled.after_ms * NS_PER_MS,
					     now_ns, &since_ns, &text);
			break;
		case FINDING_DISK_HUNG_REQUEST:
			level = disk_hung_request(&evidence,
						  limits->disk_hung_request.after_ms * NS_PER_MS,
						  now_ns, &since_ns, &text);
			break;
		default:
			level = disk_errors(&evidence, memory->errors, now_ns, &since_ns, &text);
		}
		findings_say(findings, kinds[i], disk->name, level, since_ns, clear_ns[i], now_ns,
			     sentence);
	}
	memory->errors = evidence.errors;
	memory->present = true;
}

/* Whether its times will reach what is slow. */
static void foresee(struct agent *agent, const char *disk, const struct disk_history *history,
		    uint64_t now_ns)
{
	struct disk_latency latency;
	char name[FINDING_SUBJECT_MAX];

	for (enum block_operation i = 0; i < BLOCK_OPERATIONS; i++) {
		if (!disk_history_latency(history, i, &agent->config.findings.limits, &latency))
			continue;
		snprintf(name, sizeof(name), "%s of %s", latency.operation, disk);
		capacity_observe(agent, name, "the p99 that is slow", latency.p99_us,
				 latency.limit_us, now_ns);
	}
}

static struct disk_history *new_history(const struct block_disk *disk, uint64_t now_ns)
{
	char model[BLOCK_MODEL_BYTES];

	block_model(disk->name, model);
	return disk_history_new(disk, model, now_ns);
}

/* Ends the windows of all disks, then judges them: siblings are compared in the same window. */
static void judge_windows(struct disk_family *family, const struct block_disk *disks, size_t count,
			  uint64_t now_ns)
{
	const struct finding_limits *limits = &family->agent->config.findings.limits;
	const uint64_t length_ns = limits->disk_slow.window_ms * NS_PER_MS;
	struct findings *findings = agent_findings_list(family->agent->findings);
	struct disk_history *histories[BLOCK_DEVICES_MAX];

	for (size_t i = 0; i < count; i++) {
		struct disk_memory *memory = memory_of(family, &disks[i]);

		histories[i] = memory ? memory->history : NULL;
		if (histories[i])
			disk_history_take(histories[i], &disks[i], length_ns, now_ns);
		else if (memory)
			memory->history = new_history(&disks[i], now_ns);
	}
	for (size_t i = 0; i < count; i++) {
		char sentence[FINDING_SENTENCE_MAX] = "";
		struct text text = TEXT(sentence);
		uint64_t since_ns = 0;
		enum finding_level level;

		if (!histories[i])
			continue;
		level = disk_history_judge(histories[i], histories, count, limits, now_ns,
					   &since_ns, &text);
		findings_say(findings, FINDING_DISK_SLOW, disks[i].name, level, since_ns,
			     limits->disk_slow.windows * length_ns, now_ns, sentence);
		foresee(family->agent, disks[i].name, histories[i], now_ns);
	}
}

/* What stands of disks that are gone ends. */
static void forget_absent(struct disk_family *family, uint64_t now_ns)
{
	struct findings *findings = agent_findings_list(family->agent->findings);
	size_t kept = 0;

	for (size_t i = 0; i < family->disk_count; i++) {
		if (family->disks[i].present) {
			family->disks[kept++] = family->disks[i];
			continue;
		}
		free(family->disks[i].history);
		for (size_t j = 0; j < KINDS; j++)
			findings_end(findings, kinds[j], family->disks[i].name, "the disk is gone",
				     now_ns);
	}
	family->disk_count = kept;
}

static bool stands(const struct disk_family *family)
{
	const struct findings *findings = agent_findings_list(family->agent->findings);

	for (unsigned int i = 0; i < findings->count; i++)
		for (size_t j = 0; j < KINDS_AT_ONCE; j++)
			if (findings->standing[i].kind == kinds[j])
				return true;
	return false;
}

static bool window_is_due(const struct disk_family *family, uint64_t now_ns)
{
	const struct config *config = &family->agent->config;

	return config->findings.settings[FINDING_DISK_SLOW].response != FINDING_RESPONSE_OFF &&
	       now_ns >=
		       family->window_ns + config->findings.limits.disk_slow.window_ms * NS_PER_MS;
}

/* Whether the disks are to be read now: what the mapped tables tell without a system call. */
static bool is_due(struct disk_family *family, struct block_probe *probe, uint64_t now_ns)
{
	const struct finding_limits *limits = &family->agent->config.findings.limits;
	uint64_t errors = block_probe_counters(probe).errors;
	uint32_t soonest_ms = limits->disk_stalled.after_ms < limits->disk_hung_request.after_ms
				      ? limits->disk_stalled.after_ms
				      : limits->disk_hung_request.after_ms;
	uint64_t oldest_ns;

	if (errors != family->errors) {
		family->errors = errors;
		return true;
	}
	if (now_ns >= family->read_ns + READ_QUIET_NS || window_is_due(family, now_ns))
		return true;
	if (now_ns < family->looked_ns + LOOK_NS)
		return false;
	family->looked_ns = now_ns;
	oldest_ns = block_probe_oldest_ns(probe);
	return now_ns >= family->read_ns + READ_ALERT_NS &&
	       ((oldest_ns && now_ns > oldest_ns + soonest_ms * NS_PER_MS) || stands(family));
}

static void turn(void *context, uint64_t now_ns)
{
	struct disk_family *family = context;
	struct agent *agent = family->agent;
	struct block_probe *probe = agent->probes.open[PROBE_BLOCK];
	const char *obstacle = probes_obstacle(&agent->probes, PROBE_BLOCK);
	const struct block_disk *disks;
	size_t count;

	for (size_t i = 0; i < KINDS; i++)
		findings_set_blind(agent_findings_list(agent->findings), kinds[i], obstacle);
	if (*obstacle || !is_due(family, probe, now_ns))
		return;
	family->read_ns = now_ns;
	if (block_probe_read(probe, &disks, &count))
		return;
	/* The records may be newer than the turn. */
	now_ns = clock_monotonic_ns();
	for (size_t i = 0; i < family->disk_count; i++)
		family->disks[i].present = false;
	for (size_t i = 0; i < count; i++)
		judge(family, &disks[i], now_ns);
	forget_absent(family, now_ns);
	if (!window_is_due(family, now_ns))
		return;
	family->window_ns = now_ns;
	judge_windows(family, disks, count, now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct disk_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	return 0;
}

static void close_family(void *context)
{
	struct disk_family *family = context;

	for (size_t i = 0; i < family->disk_count; i++)
		free(family->disks[i].history);
	free(family);
}

const struct health_family health_disk = {
	.name = "disk",
	.open = open_family,
	.turn = turn,
	.close = close_family,
};
