// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/health_filesystem.h"

#include "agent/agent.h"
#include "agent/findings.h"
#include "agent/health_capacity.h"
#include "base/clock.h"
#include "base/log.h"
#include "detect/filesystem.h"
#include "probe/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* All are asked so often; and when the mounts have changed, which is looked for so often. */
#define LOOK_NS	   (5 * NS_PER_S)
#define CHANGES_NS NS_PER_S
/* One that has not answered by then hangs. */
#define HANG_NS (2 * NS_PER_S)
/* What the agent did not live through is no waiting: of one turn at most so much counts. */
#define TURN_COUNTS_NS (250 * NS_PER_MS)
/* One that hung is asked again after so long, twice as long with each further time. */
#define RETRY_NS     (5 * NS_PER_S)
#define RETRY_MAX_NS (320 * NS_PER_S)
#define CLEAR_NS     (5 * NS_PER_S)
/* Helpers that hang in the kernel and cannot be ended. With so many there is no further one. */
#define STUCK_MAX 4

/* What is remembered of one file system between two looks. */
struct filesystem_memory {
	uint64_t device;
	char subject[FINDING_SUBJECT_MAX];
	bool present; /* in this look */
	bool was_writable;
	uint32_t hangs; /* one after the other */
	uint64_t hangs_since_ns, retry_ns;
	pid_t stuck; /* the helper that hangs there still; 0: none */
};

struct filesystem_family {
	struct agent *agent;
	struct filesystem_helper helper;
	int mounts; /* polled for changes; -1: cannot be */
	struct filesystem_memory memories[FILESYSTEMS_MAX];
	size_t count;
	pid_t stuck[STUCK_MAX];
	bool looking;
	uint64_t turned_ns, checked_ns, looked_ns;
	/* Of the look that is under way. */
	uint64_t waited_ns; /* for the answer that is due now */
	bool is_asked;	    /* it is known who is asked: */
	struct filesystem_event asked;
	uint32_t left_out; /* of the last look */
};

static struct findings *list_of(const struct filesystem_family *family)
{
	return agent_findings_list(family->agent->findings);
}

static struct filesystem_memory *find_memory(struct filesystem_family *family, uint64_t device)
{
	for (size_t i = 0; i < family->count; i++)
		if (family->memories[i].device == device)
			return &family->memories[i];
	return NULL;
}

/* What tells two long paths apart stands at their end. */
static void make_subject(const char *prefix, const char *path,
			 char subject[static FINDING_SUBJECT_MAX])
{
	static const char cut[] = "...";
	size_t length = strlen(path), room = FINDING_SUBJECT_MAX - strlen(prefix);
	bool fits = length < room;

	snprintf(subject, FINDING_SUBJECT_MAX, "%s%s%s", prefix, fits ? "" : cut,
		 fits ? path : path + length - (room - sizeof(cut)));
}

/* NULL when there are too many, some of which may be gone by the end of the look. */
static struct filesystem_memory *remember(struct filesystem_family *family,
					  const struct filesystem_event *event, uint64_t now_ns)
{
	struct filesystem_memory *memory = find_memory(family, event->device);
	char subject[FINDING_SUBJECT_MAX];

	make_subject("", event->path, subject);
	if (!memory) {
		if (family->count == FILESYSTEMS_MAX)
			return NULL;
		memory = &family->memories[family->count++];
		*memory = (struct filesystem_memory){.device = event->device};
	} else if (strcmp(memory->subject, subject)) {
		findings_end(list_of(family), FINDING_FILESYSTEM, memory->subject,
			     "it is not mounted there any more", now_ns);
	}
	memcpy(memory->subject, subject, sizeof(subject));
	memory->present = true;
	return memory;
}

/* Whether it will be full; one that cannot be written will not. */
static void foresee(struct agent *agent, const struct filesystem_event *event, uint64_t now_ns)
{
	char subject[FINDING_SUBJECT_MAX];

	if (event->error || event->read_only)
		return;
	make_subject("space of ", event->path, subject);
	capacity_observe(agent, subject, "the space", (double)event->used_bytes,
			 (double)event->used_bytes + (double)event->free_bytes, now_ns);
	make_subject("inodes of ", event->path, subject);
	capacity_observe(agent, subject, "the inodes", (double)event->used_inodes,
			 (double)event->used_inodes + (double)event->free_inodes, now_ns);
}

static void judge(struct filesystem_family *family, const struct filesystem_event *event,
		  uint64_t now_ns)
{
	struct filesystem_memory *memory = remember(family, event, now_ns);
	char sentence[FINDING_SENTENCE_MAX] = "";
	struct text text = TEXT(sentence);
	struct filesystem_evidence evidence = {
		.error = event->error,
		.used_bytes = event->used_bytes,
		.free_bytes = event->free_bytes,
		.used_inodes = event->used_inodes,
		.free_inodes = event->free_inodes,
		.read_only = event->read_only,
		.remounts_on_error = event->remounts_on_error,
		.shut = event->shut,
	};
	enum finding_level level;

	if (!memory)
		return;
	memory->hangs = 0;
	evidence.was_writable = memory->was_writable;
	memory->was_writable |= !event->read_only;
	level = filesystem_judge(
		&evidence, family->agent->config.findings.limits.filesystem.used_percent, &text);
	findings_say(list_of(family), FINDING_FILESYSTEM, memory->subject, level, now_ns, CLEAR_NS,
		     now_ns, sentence);
	foresee(family->agent, event, now_ns);
}

/* What stands of file systems that are gone ends. */
static void forget_absent(struct filesystem_family *family, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < family->count; i++) {
		if (family->memories[i].present)
			family->memories[kept++] = family->memories[i];
		else
			findings_end(list_of(family), FINDING_FILESYSTEM,
				     family->memories[i].subject, "it is not mounted any more",
				     now_ns);
	}
	family->count = kept;
}

static void end_look(struct filesystem_family *family, const struct filesystem_event *event,
		     uint64_t now_ns)
{
	char reason[128] = "";

	family->looking = false;
	family->looked_ns = now_ns;
	if (event->error) {
		snprintf(reason, sizeof(reason), "the list of mounts: %s", strerror(event->error));
	} else {
		forget_absent(family, now_ns);
		if (event->left_out != family->left_out)
			log_warning("file systems that are not looked at",
				    log_unsigned("count", event->left_out),
				    log_unsigned("looked_at", FILESYSTEMS_MAX));
		family->left_out = event->left_out;
	}
	findings_set_blind(list_of(family), FINDING_FILESYSTEM, reason);
}

static void take_event(struct filesystem_family *family, const struct filesystem_event *event,
		       uint64_t now_ns)
{
	struct filesystem_memory *memory;

	family->waited_ns = 0;
	family->is_asked = false;
	switch ((enum filesystem_event_kind)event->kind) {
	case FILESYSTEM_ASKED:
		/* Not remembered yet: it may be a hidden mount of one that is told of by another.
		 */
		family->is_asked = true;
		family->asked = *event;
		break;
	case FILESYSTEM_ANSWERED:
		judge(family, event, now_ns);
		break;
	case FILESYSTEM_SKIPPED:
		memory = find_memory(family, event->device);
		if (memory)
			memory->present = true;
		break;
	case FILESYSTEM_HIDDEN:
		break;
	case FILESYSTEM_END:
		end_look(family, event, now_ns);
		break;
	}
}

/* ---- helpers that hang ---- */

/* Whether there is room for one more. */
static bool reap(struct filesystem_family *family)
{
	bool room = false;

	for (size_t i = 0; i < STUCK_MAX; i++) {
		pid_t pid = family->stuck[i];

		if (pid && waitpid(pid, NULL, WNOHANG)) {
			family->stuck[i] = 0;
			for (size_t j = 0; j < family->count; j++)
				if (family->memories[j].stuck == pid)
					family->memories[j].stuck = 0;
		}
		room |= !family->stuck[i];
	}
	return room;
}

/* There is room: no helper is started without. Returns its number, 0 when it has ended. */
static pid_t abandon(struct filesystem_family *family)
{
	pid_t pid = filesystem_helper_kill(&family->helper);

	for (size_t i = 0; i < STUCK_MAX; i++)
		if (!family->stuck[i]) {
			family->stuck[i] = pid;
			break;
		}
	(void)reap(family);
	for (size_t i = 0; i < STUCK_MAX; i++)
		if (pid && family->stuck[i] == pid)
			return pid;
	return 0;
}

static void tell_hang(struct filesystem_family *family, struct filesystem_memory *memory,
		      uint64_t now_ns)
{
	char sentence[FINDING_SENTENCE_MAX];
	uint64_t wait_ns = RETRY_NS << (memory->hangs < 6 ? memory->hangs : 6);

	if (!memory->hangs)
		memory->hangs_since_ns = now_ns - family->waited_ns;
	memory->hangs++;
	wait_ns = wait_ns < RETRY_MAX_NS ? wait_ns : RETRY_MAX_NS;
	memory->retry_ns = now_ns + wait_ns;
	snprintf(sentence, sizeof(sentence),
		 "it does not answer (%s): statvfs() has not returned for %" PRIu64
		 " ms, expected within %" PRIu64 " ms; %" PRIu32 ". time, asked again in %" PRIu64
		 " s",
		 family->asked.type, family->waited_ns / NS_PER_MS, (uint64_t)(HANG_NS / NS_PER_MS),
		 memory->hangs, wait_ns / NS_PER_S);
	findings_say(list_of(family), FINDING_FILESYSTEM, memory->subject, FINDING_ACTIVE,
		     memory->hangs_since_ns, CLEAR_NS, now_ns, sentence);
}

/* The helper hangs, or has ended: the next look has another one. */
static void give_up(struct filesystem_family *family, const char *reason, uint64_t now_ns)
{
	struct filesystem_memory *memory =
		family->is_asked ? remember(family, &family->asked, now_ns) : NULL;
	pid_t stuck = abandon(family);

	family->looking = false;
	/* At once, without the one that hangs; but not without an end when it is none of them. */
	family->looked_ns = memory ? 0 : now_ns;
	if (memory) {
		memory->stuck = stuck;
		tell_hang(family, memory, now_ns);
	} else {
		findings_set_blind(list_of(family), FINDING_FILESYSTEM, reason);
	}
}

/* ---- looks ---- */

static void begin_look(struct filesystem_family *family, uint64_t now_ns)
{
	struct filesystem_request request = {0};
	char reason[128];
	int r = 0;

	family->looked_ns = now_ns;
	if (!reap(family)) {
		findings_set_blind(list_of(family), FINDING_FILESYSTEM,
				   "as many helpers as there may be hang in file systems that do "
				   "not answer");
		return;
	}
	for (size_t i = 0; i < family->count; i++) {
		struct filesystem_memory *memory = &family->memories[i];

		memory->present = false;
		/* As long as the last helper hangs there, the next one would, too. */
		if ((memory->stuck || (memory->hangs && now_ns < memory->retry_ns)) &&
		    request.skip_count < FILESYSTEM_SKIP_MAX)
			request.skip[request.skip_count++] = memory->device;
	}
	if (!family->helper.pid)
		r = filesystem_helper_start(&family->helper);
	if (!r)
		r = filesystem_helper_ask(&family->helper, &request);
	if (r) {
		snprintf(reason, sizeof(reason), "the helper cannot be asked: %s", strerror(-r));
		(void)abandon(family);
		findings_set_blind(list_of(family), FINDING_FILESYSTEM, reason);
		return;
	}
	family->looking = true;
	family->is_asked = false;
	family->waited_ns = 0;
}

static void go_on(struct filesystem_family *family, uint64_t turn_ns, uint64_t now_ns)
{
	struct filesystem_event event;
	int r;

	family->waited_ns += turn_ns < TURN_COUNTS_NS ? turn_ns : TURN_COUNTS_NS;
	while (family->looking && (r = filesystem_helper_read(&family->helper, &event))) {
		if (r < 0) {
			family->is_asked = false;
			give_up(family, "the helper has ended", now_ns);
			return;
		}
		take_event(family, &event, now_ns);
	}
	if (family->looking && family->waited_ns >= HANG_NS)
		give_up(family, "the mounts cannot be read: the helper hangs", now_ns);
}

static bool is_changed(const struct filesystem_family *family)
{
	struct pollfd mounts = {.fd = family->mounts, .events = POLLPRI};

	return poll(&mounts, 1, 0) > 0;
}

static void turn(void *context, uint64_t now_ns)
{
	struct filesystem_family *family = context;
	uint64_t turn_ns = now_ns - family->turned_ns;

	family->turned_ns = now_ns;
	if (family->looking) {
		go_on(family, turn_ns, now_ns);
		return;
	}
	if (now_ns < family->checked_ns + CHANGES_NS ||
	    family->agent->config.findings.settings[FINDING_FILESYSTEM].response ==
		    FINDING_RESPONSE_OFF)
		return;
	family->checked_ns = now_ns;
	if (is_changed(family) || now_ns >= family->looked_ns + LOOK_NS)
		begin_look(family, now_ns);
}

static int open_family(void **ret_family, struct agent *agent)
{
	struct filesystem_family *family = calloc(1, sizeof(*family));

	*ret_family = family;
	if (!family)
		return -ENOMEM;
	family->agent = agent;
	/* Without it a change is seen by the next look. */
	family->mounts = open(filesystem_node_view().mounts, O_RDONLY | O_CLOEXEC);
	return 0;
}

static void close_family(void *context)
{
	struct filesystem_family *family = context;

	(void)abandon(family);
	if (family->mounts >= 0)
		close(family->mounts);
	free(family);
}

const struct health_family health_filesystem = {
	.name = "filesystem",
	.open = open_family,
	.turn = turn,
	.close = close_family,
};
