// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "report/journal_frame.h"
#include "report/journal_record.h"
#include "report/journal_scan.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define FILE_BYTES    (UINT64_C(4) << 20)
#define FILES	      8
#define QUEUE_RECORDS 4096
#define QUEUE_BYTES   (UINT64_C(4) << 20)
#define RETRY_MS      1000
/* What one write takes at most; any record fits. */
#define BATCH_BYTES ((size_t)256 << 10)
/* A disk that has not answered for so long is worth a line in the log. */
#define STALL_NS (2 * NS_PER_S)
#define UUID_MAX 37

_Static_assert(BATCH_BYTES >= JOURNAL_RECORD_BYTES, "a batch holds any record");

struct entry {
	STAILQ_ENTRY(entry) link;
	uint64_t appended_ns; /* CLOCK_MONOTONIC */
	size_t bytes;	      /* of the frame, header included */
	uint8_t frame[];
};

STAILQ_HEAD(entries, entry);

/* What journal_tell() has said last. */
struct told {
	int error;
	bool stalled;
	bool losing;
	uint64_t lost;
};

struct journal {
	struct journal_options options;
	char node[256];
	char boot_id[UUID_MAX];
	struct told told;

	/* The thread's own, once it runs. */
	struct journal_file file;
	uint8_t *batch;

	pthread_t thread;
	pthread_mutex_t mutex; /* guards all below; never held over a call to the disk */
	pthread_cond_t work;   /* for the thread: records, losses to tell, the end */
	pthread_cond_t done;   /* for journal_close(): the thread has ended */
	struct entries queue;
	struct journal_state state;
	uint64_t untold, untold_since_ns; /* lost, and no record says so yet */
	bool closing, ended;
	bool abandoned; /* journal_close() did not wait: the thread frees everything */
};

static void read_boot_id(char boot_id[static UUID_MAX])
{
	FILE *stream = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!stream || !fgets(boot_id, UUID_MAX, stream))
		snprintf(boot_id, UUID_MAX, "unknown");
	if (stream)
		fclose(stream);
}

/* Takes the reference. NULL when memory ran out. */
static json_t *stamp(const struct journal *journal, json_t *record)
{
	char time[CLOCK_TEXT_MAX];
	uint64_t now_ns = clock_realtime_ns();
	json_t *stamped;

	clock_format_utc(now_ns, time);
	stamped = json_pack("{s:s, s:I, s:I, s:s, s:s}", "time", time, "time_ns",
			    (json_int_t)now_ns, "boottime_ns", (json_int_t)clock_boottime_ns(),
			    "boot_id", journal->boot_id, "node", journal->node);
	if (stamped && (!record || json_object_update_missing(stamped, record))) {
		json_decref(stamped);
		stamped = NULL;
	}
	json_decref(record);
	return stamped;
}

/* The frame of a stamped record, without its sequence yet; takes the reference. NULL with
 * *ret_error when there is none. */
static struct entry *make_entry(json_t *stamped, int *ret_error)
{
	struct entry *entry = NULL;
	size_t length;

	*ret_error = -ENOMEM;
	if (!stamped)
		goto out;
	/* With a newline, so that grep and a pager show the records as lines. */
	length = json_dumpb(stamped, NULL, 0, JSON_COMPACT) + 1;
	if (length > JOURNAL_PAYLOAD_BYTES) {
		*ret_error = -EMSGSIZE;
		goto out;
	}
	entry = malloc(sizeof(*entry) + JOURNAL_FRAME_BYTES + length);
	if (!entry)
		goto out;
	entry->bytes = JOURNAL_FRAME_BYTES + length;
	entry->appended_ns = clock_monotonic_ns();
	json_dumpb(stamped, (char *)entry->frame + JOURNAL_FRAME_BYTES, length - 1, JSON_COMPACT);
	entry->frame[entry->bytes - 1] = '\n';
	*ret_error = 0;
out:
	json_decref(stamped);
	return entry;
}

/* The rest is called with the mutex held, unless it says otherwise. */

static bool has_room(const struct journal *journal, const struct entry *first,
		     const struct entry *second)
{
	uint64_t records = journal->state.queued_records + 1 + (second != NULL);
	uint64_t bytes = journal->state.queued_bytes + first->bytes + (second ? second->bytes : 0);

	return records <= journal->options.queue_records && bytes <= journal->options.queue_bytes;
}

static void push(struct journal *journal, struct entry *entry)
{
	journal->state.appended++;
	journal_frame_write(entry->frame, entry->bytes - JOURNAL_FRAME_BYTES,
			    journal->state.appended);
	journal->state.queued_records++;
	journal->state.queued_bytes += entry->bytes;
	STAILQ_INSERT_TAIL(&journal->queue, entry, link);
}

/* Queues the record that tells of losses, if there is room for it and what comes after it. */
static bool push_lost(struct journal *journal, const struct entry *next)
{
	int error;
	struct entry *lost = make_entry(
		stamp(journal, journal_lost(journal->untold, journal->untold_since_ns)), &error);

	if (!lost || !has_room(journal, lost, next)) {
		free(lost);
		return false;
	}
	journal->untold = 0;
	push(journal, lost);
	return true;
}

static void lose(struct journal *journal)
{
	if (!journal->untold)
		journal->untold_since_ns = clock_realtime_ns();
	journal->untold++;
	journal->state.lost++;
}

int journal_append(struct journal *journal, json_t *record)
{
	json_t *stamped = stamp(journal, record);
	struct entry *entry;
	int error;

	if (stamped && journal->options.on_append)
		journal->options.on_append(journal->options.context, stamped);
	entry = make_entry(stamped, &error);
	pthread_mutex_lock(&journal->mutex);
	if (!error &&
	    !(journal->untold ? push_lost(journal, entry) : has_room(journal, entry, NULL)))
		error = -ENOBUFS;
	if (error)
		lose(journal);
	else
		push(journal, entry);
	pthread_cond_signal(&journal->work);
	pthread_mutex_unlock(&journal->mutex);
	if (error)
		free(entry);
	return error;
}

/* Copies the oldest records into the batch, as many as one write takes. Returns the bytes. */
static size_t take_batch(struct journal *journal, uint64_t *ret_records, uint64_t *ret_sequence)
{
	const struct entry *entry = STAILQ_FIRST(&journal->queue);
	uint64_t room = journal_file_room(&journal->file);
	size_t bytes = 0;

	/* One that does not fit makes a new file. */
	if (entry->bytes > room)
		room = journal_file_room_new(&journal->file);
	if (room > BATCH_BYTES)
		room = BATCH_BYTES;
	*ret_sequence = journal->state.acknowledged + 1;
	*ret_records = 0;
	do {
		memcpy(journal->batch + bytes, entry->frame, entry->bytes);
		bytes += entry->bytes;
		(*ret_records)++;
		entry = STAILQ_NEXT(entry, link);
		/* On a disk that is all but full, some is better than none. */
	} while (entry && bytes + entry->bytes <= room && !journal->state.error);
	return bytes;
}

static void retire(struct journal *journal, uint64_t records, size_t bytes)
{
	journal->state.acknowledged += records;
	journal->state.records += records;
	journal->state.bytes += bytes;
	journal->state.queued_records -= records;
	journal->state.queued_bytes -= bytes;
	while (records--) {
		struct entry *entry = STAILQ_FIRST(&journal->queue);

		STAILQ_REMOVE_HEAD(&journal->queue, link);
		free(entry);
	}
}

/* Writes one batch; gives the mutex away for that. */
static int write_batch(struct journal *journal)
{
	uint64_t records, sequence;
	size_t bytes = take_batch(journal, &records, &sequence);
	uint64_t begun_ns, ended_ns;
	int r;

	pthread_mutex_unlock(&journal->mutex);
	begun_ns = clock_monotonic_ns();
	r = journal_file_append(&journal->file, journal->batch, bytes, sequence);
	ended_ns = clock_monotonic_ns();
	pthread_mutex_lock(&journal->mutex);
	journal->state.writes++;
	journal->state.writes_ns += ended_ns - begun_ns;
	journal->state.file = journal->file.number;
	journal->state.error = r;
	if (r)
		journal->state.failures++;
	else
		retire(journal, records, bytes);
	return r;
}

/* With the mutex held, so that nobody is called any more once journal_close() has returned. */
static void notify(const struct journal *journal)
{
	if (journal->options.on_change && !journal->abandoned)
		journal->options.on_change(journal->options.context);
}

static struct timespec deadline_after(uint64_t ms)
{
	uint64_t ns = clock_monotonic_ns() + ms * NS_PER_MS;

	return (struct timespec){(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
}

static void wait_to_retry(struct journal *journal)
{
	const struct timespec deadline = deadline_after(journal->options.retry_ms);

	while (!journal->closing &&
	       pthread_cond_timedwait(&journal->work, &journal->mutex, &deadline) != ETIMEDOUT)
		;
}

static void work(struct journal *journal)
{
	for (;;) {
		bool last, failed;

		while (!journal->closing && STAILQ_EMPTY(&journal->queue) && !journal->untold)
			pthread_cond_wait(&journal->work, &journal->mutex);
		last = journal->closing;
		if (journal->untold)
			push_lost(journal, NULL);
		if (STAILQ_EMPTY(&journal->queue)) {
			if (last)
				return;
			/* Not even memory for that record. */
			wait_to_retry(journal);
			continue;
		}
		failed = write_batch(journal) != 0;
		notify(journal);
		if (failed && last)
			return;
		if (failed)
			wait_to_retry(journal);
	}
}

static void release(struct journal *journal)
{
	struct entry *entry;

	while ((entry = STAILQ_FIRST(&journal->queue))) {
		STAILQ_REMOVE_HEAD(&journal->queue, link);
		free(entry);
	}
	journal_file_close(&journal->file);
	pthread_cond_destroy(&journal->work);
	pthread_cond_destroy(&journal->done);
	pthread_mutex_destroy(&journal->mutex);
	free(journal->batch);
	free(journal);
}

static void *run(void *context)
{
	struct journal *journal = context;
	bool abandoned;

	pthread_mutex_lock(&journal->mutex);
	work(journal);
	journal->ended = true;
	abandoned = journal->abandoned;
	pthread_cond_signal(&journal->done);
	pthread_mutex_unlock(&journal->mutex);
	if (abandoned)
		release(journal);
	return NULL;
}

static int init_locks(struct journal *journal)
{
	pthread_condattr_t monotonic;
	int error = pthread_condattr_init(&monotonic);

	if (error)
		return -error;
	/* On Linux these do not fail, with these arguments. */
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_mutex_init(&journal->mutex, NULL);
	(void)pthread_cond_init(&journal->work, &monotonic);
	(void)pthread_cond_init(&journal->done, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	return 0;
}

static void apply_defaults(struct journal_options *options)
{
	options->limits.file_bytes = options->limits.file_bytes ?: FILE_BYTES;
	options->limits.files = options->limits.files ?: FILES;
	options->queue_records = options->queue_records ?: QUEUE_RECORDS;
	options->queue_bytes = options->queue_bytes ?: QUEUE_BYTES;
	options->retry_ms = options->retry_ms ?: RETRY_MS;
	options->io = options->io ?: &journal_io;
}

static void tell_repair(const struct journal_repair *repair)
{
	char name[JOURNAL_NAME_MAX];

	journal_name(repair->number, name);
	if (repair->cut_bytes)
		log_warning("the journal's end was torn and is cut", log_string("file", name),
			    log_unsigned("offset", repair->cut_offset),
			    log_unsigned("bytes", repair->cut_bytes));
	if (repair->skipped_bytes)
		log_warning("the journal is damaged; records behind the damage are kept",
			    log_string("file", name), log_unsigned("bytes", repair->skipped_bytes));
}

int journal_open(struct journal **ret_journal, const struct journal_options *options,
		 struct text *error)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	struct journal_repair repair;
	uint64_t sequence;
	int r;

	if (journal)
		journal->batch = malloc(BATCH_BYTES);
	if (!journal || !journal->batch || init_locks(journal)) {
		text_printf(error, "journal: %s", strerror(ENOMEM));
		if (journal)
			free(journal->batch);
		free(journal);
		return -ENOMEM;
	}
	journal->options = *options;
	apply_defaults(&journal->options);
	snprintf(journal->node, sizeof(journal->node), "%s", options->node);
	read_boot_id(journal->boot_id);
	STAILQ_INIT(&journal->queue);
	r = journal_file_open(&journal->file, options->directory, journal->options.io,
			      &journal->options.limits, &repair, &sequence, error);
	if (!r) {
		tell_repair(&repair);
		journal->state.appended = journal->state.acknowledged = sequence;
		journal->state.file = journal->file.number;
		r = thread_start(&journal->thread, run, journal);
		if (r)
			text_printf(error, "journal: no thread can be started: %s", strerror(-r));
	}
	if (r) {
		release(journal);
		return r;
	}
	*ret_journal = journal;
	return 0;
}

static uint64_t oldest_age_ns(const struct journal *journal)
{
	const struct entry *oldest = STAILQ_FIRST(&journal->queue);

	/* At least 1: 0 says that there is none. */
	return oldest ? clock_monotonic_ns() - oldest->appended_ns ?: 1 : 0;
}

struct journal_state journal_state(struct journal *journal)
{
	struct journal_state state;

	pthread_mutex_lock(&journal->mutex);
	state = journal->state;
	state.oldest_age_ns = oldest_age_ns(journal);
	pthread_mutex_unlock(&journal->mutex);
	return state;
}

static void tell_trouble(const struct journal_state *state, struct told *told, bool stalled)
{
	const struct log_field queued = log_unsigned("queued_records", state->queued_records);

	if (state->error && state->error != told->error)
		log_error("the journal cannot be written; what comes is kept and tried again",
			  log_errno("error", state->error), queued);
	else if (!state->error && told->error)
		log_info("the journal is written again");
	if (stalled && !told->stalled)
		log_warning("the journal's disk does not answer; what comes is kept",
			    log_unsigned("oldest_ms", state->oldest_age_ns / NS_PER_MS), queued);
	else if (!stalled && told->stalled && !state->error)
		log_info("the journal's disk answers again");
	told->error = state->error;
	told->stalled = stalled;
}

void journal_tell(struct journal *journal)
{
	const struct journal_state state = journal_state(journal);
	struct told *told = &journal->told;

	tell_trouble(&state, told, !state.error && state.oldest_age_ns >= STALL_NS);
	/* Once when it begins, and the sum when there is room again. */
	if (state.lost > told->lost && !told->losing) {
		told->losing = true;
		log_warning("journal records are lost: the queue is full",
			    log_unsigned("queued_records", state.queued_records),
			    log_unsigned("queued_bytes", state.queued_bytes));
	} else if (told->losing && !state.queued_records) {
		told->losing = false;
		log_warning("journal records were lost",
			    log_unsigned("records", state.lost - told->lost));
		told->lost = state.lost;
	}
}

int journal_close(struct journal *journal, uint32_t timeout_ms, uint64_t *ret_unwritten)
{
	const struct timespec deadline = deadline_after(timeout_ms);
	uint64_t unwritten;
	pthread_t thread;
	bool ended;
	int r;

	if (!journal)
		return 0;
	pthread_mutex_lock(&journal->mutex);
	thread = journal->thread;
	journal->closing = true;
	pthread_cond_signal(&journal->work);
	while (!journal->ended &&
	       pthread_cond_timedwait(&journal->done, &journal->mutex, &deadline) != ETIMEDOUT)
		;
	ended = journal->ended;
	journal->abandoned = !ended;
	unwritten = journal->state.queued_records + journal->untold;
	r = !ended ? -ETIMEDOUT : unwritten ? journal->state.error ?: -ENOMEM : 0;
	pthread_mutex_unlock(&journal->mutex);
	if (ended) {
		(void)pthread_join(thread, NULL);
		release(journal);
	} else {
		(void)pthread_detach(thread);
	}
	if (ret_unwritten)
		*ret_unwritten = unwritten;
	return r;
}
