// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What reads a journal. The first byte says what the rest is: '0', the bytes of a file, which is
 * read by the reader and then mended by the writer; '1', lines of JSON, which are taken as records
 * that made it through the checksum. What must hold, besides memory safety: what the reader gives
 * out has ascending sequences; a file is either refused by both and left alone, or its records are
 * the same after mending, and no byte is left behind them; no time of an incident is negative.
 */
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "report/incident_print.h"
#include "report/incidents.h"
#include "report/journal_file.h"
#include "report/journal_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "journal-00000001.log"

static char directory[] = "/dev/shm/tocsin-fuzz-XXXXXX";
static char file_path[sizeof(directory) + sizeof(FILE_NAME)];

static void check_incident(const struct incident *incident)
{
	const uint64_t times[] = {incident_detect_ns(incident), incident_isolate_ns(incident),
				  incident_recover_ns(incident)};
	json_t *json = incident_json(incident);

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		require(times[i] == INCIDENT_NEVER || times[i] <= INT64_MAX);
	require(json != NULL);
	json_decref(json);
}

static void on_closed(void *context, struct incident *incident)
{
	(void)context;
	check_incident(incident);
	incident_free(incident);
}

static void check_open(const struct incidents *incidents)
{
	struct incident_totals totals;
	const struct incident *open;
	FILE *sink = fopen("/dev/null", "we");

	require(sink != NULL);
	for (size_t i = 0; (open = incidents_open_at(incidents, i)); i++) {
		check_incident(open);
		incidents_print_table(sink, &open, 1);
	}
	incidents_totals(incidents, true, &totals);
	incident_totals_print(sink, &totals);
	fclose(sink);
}

static void check_lines(const uint8_t *data, size_t size)
{
	struct incidents *incidents = incidents_new(on_closed, NULL);

	require(incidents != NULL);
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t length = end ? (size_t)(end - data) : size;
		json_t *record = json_loadb((const char *)data, length, 0, NULL);

		if (json_is_object(record))
			require(!incidents_take(incidents, record));
		json_decref(record);
		length += end != NULL;
		data += length;
		size -= length;
	}
	check_open(incidents);
	incidents_free(incidents);
}

static void on_warning(void *context, const char *sentence)
{
	(void)context;
	require(*sentence);
}

/* Returns what the reader says at the end; the sum stands for the sequences. */
static int read_file(uint64_t *ret_sum, uint64_t *ret_tail)
{
	char message[512] = "";
	struct text error = TEXT(message);
	struct journal_reader *reader = NULL;
	struct journal_record record;
	uint64_t before = 0;
	int r;

	*ret_sum = 0;
	require(!journal_reader_open(&reader, directory, on_warning, NULL, &error));
	while ((r = journal_reader_next(reader, &record, &error)) > 0) {
		require(record.sequence > before && json_is_object(record.object));
		before = record.sequence;
		*ret_sum = 31 * *ret_sum + record.sequence;
		json_decref(record.object);
	}
	require(!r == !*message);
	*ret_tail = journal_reader_tail_bytes(reader);
	journal_reader_close(reader);
	return r;
}

static void check_file(const uint8_t *data, size_t size)
{
	const struct journal_limits limits = {4096, 4};
	char message[1024] = "";
	struct text error = TEXT(message);
	struct journal_repair repair;
	struct journal_file file;
	uint64_t sequence, before, after, tail;
	struct stat status;
	int fd = open(file_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), r;

	require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	r = read_file(&before, &tail);
	require(!r || r == -EPROTONOSUPPORT);
	require(r == journal_file_open(&file, directory, &journal_io, &limits, &repair, &sequence,
				       &error));
	require(!r == !*message);
	require(r || (!read_file(&after, &tail) && after == before && !tail));
	require(!r || (!fstat(fd, &status) && status.st_size == (off_t)size));
	if (!r)
		journal_file_close(&file);
	close(fd);
}

static void remove_directory(void)
{
	unlink(file_path);
	rmdir(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!*file_path) {
		require(mkdtemp(directory) != NULL);
		snprintf(file_path, sizeof(file_path), "%s/" FILE_NAME, directory);
		require(!atexit(remove_directory));
	}
	if (size && data[0] == '0')
		check_file(data + 1, size - 1);
	else if (size && data[0] == '1')
		check_lines(data + 1, size - 1);
	return 0;
}
