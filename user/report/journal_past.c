// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/journal_past.h"

#include "base/thread.h"
#include "report/journal_reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct journal_past {
	/* The thread's own until it has ended. */
	char *directory;
	uint64_t last_sequence;
	struct incidents *incidents;
	uint64_t last_time_ns;
	int result;
	char reason[512];

	pthread_mutex_t mutex; /* guards the rest */
	bool ended;
	bool abandoned; /* the thread frees everything */
};

static bool is_abandoned(struct journal_past *past)
{
	bool abandoned;

	pthread_mutex_lock(&past->mutex);
	abandoned = past->abandoned;
	pthread_mutex_unlock(&past->mutex);
	return abandoned;
}

static void release(struct journal_past *past)
{
	incidents_free(past->incidents);
	pthread_mutex_destroy(&past->mutex);
	free(past->directory);
	free(past);
}

static int take(struct journal_past *past, const struct journal_record *record)
{
	json_int_t time_ns = json_integer_value(json_object_get(record->object, "time_ns"));

	if (record->sequence > past->last_sequence)
		return 0;
	past->last_time_ns = time_ns > 0 ? (uint64_t)time_ns : 0;
	return incidents_take(past->incidents, record->object);
}

/* Damage was told when the journal was opened, and `tocsin incidents` tells it again. */
static int read_all(struct journal_past *past, struct text *error)
{
	struct journal_record record = {0};
	struct journal_reader *reader;
	int r = journal_reader_open(&reader, past->directory, NULL, NULL, error);

	if (r)
		return r;
	while (record.sequence < past->last_sequence && !is_abandoned(past)) {
		r = journal_reader_next(reader, &record, error);
		if (r <= 0)
			break;
		r = take(past, &record);
		json_decref(record.object);
		if (r) {
			text_printf(error, "%s", strerror(-r));
			break;
		}
	}
	journal_reader_close(reader);
	return r < 0 ? r : 0;
}

static void *run(void *context)
{
	struct journal_past *past = context;
	struct text error = TEXT(past->reason);
	bool abandoned;

	past->result = read_all(past, &error);
	pthread_mutex_lock(&past->mutex);
	past->ended = true;
	abandoned = past->abandoned;
	pthread_mutex_unlock(&past->mutex);
	if (abandoned)
		release(past);
	return NULL;
}

int journal_past_start(struct journal_past **ret_past, const char *directory,
		       uint64_t last_sequence)
{
	struct journal_past *past = calloc(1, sizeof(*past));
	pthread_t thread;
	int r = -ENOMEM;

	if (!past)
		return r;
	/* On Linux this does not fail, without attributes. */
	(void)pthread_mutex_init(&past->mutex, NULL);
	past->last_sequence = last_sequence;
	past->directory = strdup(directory);
	past->incidents = incidents_new(NULL, NULL);
	if (past->directory && past->incidents)
		r = thread_start(&thread, run, past);
	if (r) {
		release(past);
		return r;
	}
	(void)pthread_detach(thread);
	*ret_past = past;
	return 0;
}

int journal_past_take(struct journal_past *past, struct incidents **ret_incidents,
		      uint64_t *ret_last_time_ns, struct text *error)
{
	bool ended;

	pthread_mutex_lock(&past->mutex);
	ended = past->ended;
	pthread_mutex_unlock(&past->mutex);
	if (!ended)
		return 0;
	if (past->result) {
		text_printf(error, "%s", past->reason);
		return past->result;
	}
	*ret_incidents = past->incidents;
	*ret_last_time_ns = past->last_time_ns;
	past->incidents = NULL;
	return 1;
}

void journal_past_close(struct journal_past *past)
{
	bool ended;

	if (!past)
		return;
	pthread_mutex_lock(&past->mutex);
	ended = past->ended;
	past->abandoned = true;
	pthread_mutex_unlock(&past->mutex);
	if (ended)
		release(past);
}
