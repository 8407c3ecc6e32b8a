// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is read of a journal that is torn at any byte, damaged at any bit, of another origin, or
 * being written. */
#include "unit/journal_rig.h"

#include "base/clock.h"
#include "report/journal_frame.h"
#include "report/journal_reader.h"
#include "unit/slowdown.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_FILE  "journal-00000001.log"
#define SECOND_FILE "journal-00000002.log"

/* A file with this many records, and where each of them ends. */
struct sample {
	uint8_t *data;
	size_t size;
	size_t ends[8];
	size_t count;
};

static struct sample make_sample(const char *directory, int count)
{
	struct journal *journal = rig_open_in(directory);
	struct sample sample = {0};
	struct journal_frame frame;
	size_t offset = JOURNAL_HEADER_BYTES;

	rig_append(journal, 0, count);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	sample.data = rig_load(directory, FIRST_FILE, &sample.size);
	while (offset < sample.size) {
		assert_int_equal(
			journal_frame_read(sample.data + offset, sample.size - offset, &frame),
			JOURNAL_PARSE_RECORD);
		offset += JOURNAL_FRAME_BYTES + frame.payload_bytes;
		sample.ends[sample.count++] = offset;
		assert_int_equal(frame.sequence, sample.count);
	}
	assert_int_equal(sample.count, count);
	return sample;
}

static size_t whole_records(const struct sample *sample, size_t size)
{
	size_t count = 0;

	while (count < sample->count && sample->ends[count] <= size)
		count++;
	return count;
}

/* Opens it as an agent would, and appends the number 100. Returns what the log said. */
static char *mend(const char *directory)
{
	struct journal *journal;
	char *log;

	rig_capture();
	journal = rig_open_in(directory);
	log = rig_captured();
	rig_append(journal, 100, 1);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	return log;
}

/* Torn at every byte: what is whole is read, the rest is cut with a warning, and it goes on. */
static void test_torn_at_every_byte(void **state)
{
	const struct sample sample = make_sample(*state, 4);

	for (size_t size = 0; size <= sample.size; size += slowdown()) {
		size_t whole = whole_records(&sample, size);
		size_t end = whole ? sample.ends[whole - 1] : JOURNAL_HEADER_BYTES;
		const struct rig_read *read;
		char expected[128], *log;

		rig_store(*state, FIRST_FILE, sample.data, size);
		read = rig_read(*state);
		assert_int_equal(read->result, 0);
		assert_int_equal(read->count, whole);
		assert_int_equal(read->warnings, 0);
		if (size > JOURNAL_HEADER_BYTES)
			assert_int_equal(read->tail_bytes, size - end);

		log = mend(*state);
		if (size < JOURNAL_HEADER_BYTES)
			end = 0;
		snprintf(expected, sizeof(expected),
			 "level=warning event=\"the journal's end was torn and is cut\" "
			 "file=" FIRST_FILE " offset=%zu bytes=%zu\n",
			 end, size - end);
		if (size == end)
			assert_string_equal(log, "");
		else
			assert_non_null(strstr(log, expected));
		free(log);
		read = rig_read(*state);
		assert_int_equal(read->result, 0);
		assert_int_equal(read->warnings, 0);
		assert_int_equal(read->tail_bytes, 0);
		assert_int_equal(read->count, whole + 1);
		for (size_t i = 0; i < whole; i++)
			assert_int_equal(read->numbers[i], i);
		assert_int_equal(read->numbers[whole], 100);
		rig_empty(*state);
	}
	free(sample.data);
}

/* The same for a tail that a power cut has filled with zeros or with what lay there before. */
static void test_garbage_behind_the_end(void **state)
{
	const struct sample sample = make_sample(*state, 3);
	static const size_t lengths[] = {1, 3, 4, 19, 20, 4096, 300000};

	for (unsigned int fill = 0; fill < 3; fill++) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
			size_t size = sample.size + lengths[i];
			uint8_t *data = malloc(size);
			char *log;

			assert_non_null(data);
			memcpy(data, sample.data, sample.size);
			for (size_t byte = sample.size; byte < size; byte++)
				data[byte] = fill == 0 ? 0 : fill == 1 ? 0xff : "\xffREC"[byte % 4];
			rig_store(*state, FIRST_FILE, data, size);
			assert_int_equal(rig_read(*state)->count, 3);
			log = mend(*state);
			assert_non_null(strstr(log, "is cut"));
			free(log);
			assert_int_equal(rig_read(*state)->count, 4);
			assert_int_equal(rig_read(*state)->tail_bytes, 0);
			free(data);
			rig_empty(*state);
		}
	}
	free(sample.data);
}

/*
 * Every bit turned: all records but the one that holds it are read, before and after an agent has
 * opened the journal, and nothing else is. A file that is no journal of ours any more by its first
 * bytes is refused, and left as it is.
 */
static void test_every_bit(void **state)
{
	const struct sample sample = make_sample(*state, 3);
	unsigned int refused = 0;

	for (size_t bit = 0; bit < 8 * sample.size; bit += slowdown()) {
		size_t byte = bit / 8, hit = 0, size;
		struct journal_options options = {.directory = *state, .node = "n1"};
		struct journal *journal = NULL;
		char message[512] = "";
		struct text error = TEXT(message);
		const struct rig_read *read;
		uint8_t *data;
		int r;

		rig_empty(*state);
		sample.data[byte] ^= (uint8_t)(1 << bit % 8);
		rig_store(*state, FIRST_FILE, sample.data, sample.size);
		while (sample.ends[hit] <= byte)
			hit++;
		read = rig_read(*state);
		if (read->result) {
			assert_int_equal(read->result, -EPROTONOSUPPORT);
			assert_in_range(byte, 8, 11);
			r = journal_open(&journal, &options, &error);
			assert_int_equal(r, -EPROTONOSUPPORT);
			assert_non_null(strstr(message, "is a journal of version"));
			data = rig_load(*state, FIRST_FILE, &size);
			assert_int_equal(size, sample.size);
			assert_memory_equal(data, sample.data, size);
			free(data);
			refused++;
		} else if (byte < JOURNAL_HEADER_BYTES) {
			assert_int_equal(read->count, 3);
			assert_int_equal(read->warnings, 1);
			free(mend(*state));
			assert_int_equal(rig_read(*state)->count, 4);
		} else {
			assert_int_equal(read->count, 2);
			for (size_t i = 0; i < 2; i++)
				assert_int_equal(read->numbers[i], i + (i >= hit));
			/* Damaged bytes, and a record that is missing. */
			assert_int_equal(read->warnings, hit == 2 ? 0 : hit == 1 ? 2 : 1);
			free(mend(*state));
			read = rig_read(*state);
			assert_int_equal(read->count, 3);
			assert_int_equal(read->numbers[2], 100);
			assert_int_equal(read->tail_bytes, 0);
		}
		sample.data[byte] ^= (uint8_t)(1 << bit % 8);
	}
	if (slowdown() == 1)
		assert_int_equal(refused, 32);
	free(sample.data);
}

/* Damage is told by file and offset, and stays. */
static void test_damage_is_told(void **state)
{
	const struct sample sample = make_sample(*state, 3);
	char expected[128], *log;
	const struct rig_read *read;

	memset(sample.data + sample.ends[0] + 30, 'x', 10);
	rig_store(*state, FIRST_FILE, sample.data, sample.size);
	log = mend(*state);
	snprintf(expected, sizeof(expected),
		 "event=\"the journal is damaged; records behind the damage are kept\" "
		 "file=" FIRST_FILE " bytes=%zu\n",
		 sample.ends[1] - sample.ends[0]);
	assert_non_null(strstr(log, expected));
	assert_null(strstr(log, "cut"));
	free(log);
	read = rig_read(*state);
	assert_int_equal(read->count, 3);
	assert_int_equal(read->warnings, 2);
	assert_string_equal(read->warning, FIRST_FILE ": records 2 to 2 are missing");
	free(sample.data);
}

/* A file that is not ours, wherever it stands: both ends refuse it, and nobody touches anything. */
static void test_foreign(void **state)
{
	static const char garbage[] = "2026-11-25 this is the log of something else\n";
	const struct sample sample = make_sample(*state, 2);
	uint8_t newer[JOURNAL_HEADER_BYTES];
	const struct {
		const char *name;
		const void *data;
		size_t size;
		const char *words;
	} cases[] = {
		{FIRST_FILE, garbage, sizeof(garbage), FIRST_FILE " is no journal of tocsin"},
		{SECOND_FILE, garbage, sizeof(garbage), SECOND_FILE " is no journal of tocsin"},
		{SECOND_FILE, newer, sizeof(newer),
		 SECOND_FILE " is a journal of version 2, and this tocsin knows version 1"},
		{SECOND_FILE, newer, 12, "version 2"},
	};

	memcpy(newer, sample.data, sizeof(newer));
	newer[8] = 2;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct journal_options options = {.directory = *state, .node = "n1"};
		struct journal *journal = NULL;
		char message[512] = "";
		struct text error = TEXT(message);
		const struct rig_read *read;
		uint8_t *data;
		size_t size;

		/* With an end that would be cut. */
		rig_store(*state, FIRST_FILE, sample.data, sample.size - 1);
		rig_store(*state, cases[i].name, cases[i].data, cases[i].size);
		read = rig_read(*state);
		assert_int_equal(read->result, -EPROTONOSUPPORT);
		assert_non_null(strstr(read->error, cases[i].words));
		assert_int_equal(journal_open(&journal, &options, &error), -EPROTONOSUPPORT);
		assert_non_null(strstr(message, cases[i].words));
		data = rig_load(*state, cases[i].name, &size);
		assert_int_equal(size, cases[i].size);
		assert_memory_equal(data, cases[i].data, size);
		free(data);
		rig_empty(*state);
	}

	/* Another name is nobody's business. */
	rig_store(*state, FIRST_FILE, sample.data, sample.size);
	rig_store(*state, "journal-2.log", garbage, sizeof(garbage));
	rig_store(*state, "journal-00000000.log", garbage, sizeof(garbage));
	rig_store(*state, "journal-00000002.log.bak", garbage, sizeof(garbage));
	rig_store(*state, "journal.new", garbage, sizeof(garbage));
	rig_expect(*state, 0, 2);
	free(mend(*state));
	assert_int_equal(rig_read(*state)->count, 3);
	free(sample.data);
}

/* Neither a pipe nor a directory keeps a reader waiting. */
static void test_no_regular_file(void **state)
{
	char path[2 * RIG_PATH_MAX];
	const struct rig_read *read;

	snprintf(path, sizeof(path), "%s/" FIRST_FILE, (const char *)*state);
	assert_int_equal(mkfifo(path, 0600), 0);
	read = rig_read(*state);
	assert_int_equal(read->result, -EPROTONOSUPPORT);
	assert_non_null(strstr(read->error, "is no regular file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(rig_read(*state)->result, -EPROTONOSUPPORT);
	assert_int_equal(rmdir(path), 0);
}

/* Stamped 0 here, 1 there: frames that are sound but out of order are no records. */
static void test_record_twice(void **state)
{
	const struct sample sample = make_sample(*state, 2);
	size_t size = 2 * sample.size - JOURNAL_HEADER_BYTES;
	uint8_t *data = malloc(size);
	const struct rig_read *read;

	assert_non_null(data);
	memcpy(data, sample.data, sample.size);
	memcpy(data + sample.size, sample.data + JOURNAL_HEADER_BYTES,
	       sample.size - JOURNAL_HEADER_BYTES);
	rig_store(*state, FIRST_FILE, data, size);
	read = rig_read(*state);
	assert_int_equal(read->count, 2);
	assert_int_equal(read->warnings, 2);
	assert_string_equal(read->warning, FIRST_FILE ": record 2 comes after record 2: skipped");
	free(data);
	free(sample.data);
}

#define SMALL_FILES(path, kept)                                             \
	(struct journal_options)                                            \
	{                                                                   \
		.directory = (path), .node = "n1", .limits = { 8192, kept } \
	}

/* Numbers from 'first' to last, in bursts. */
static void append_bursts(struct journal *journal, int first, int last)
{
	for (int i = first; i <= last; i += 40) {
		rig_append(journal, i, last - i < 40 ? last - i + 1 : 40);
		rig_wait(journal);
	}
}

static void count_gap(void *context, const char *sentence)
{
	assert_non_null(strstr(sentence, "are missing"));
	++*(unsigned int *)context;
}

/* The next number, which must be greater than the one before; -1 at the end. */
static int next_number(struct journal_reader *reader, int before)
{
	struct journal_record record;
	char message[512] = "";
	struct text error = TEXT(message);
	int number, r = journal_reader_next(reader, &record, &error);

	if (r < 0)
		fail_msg("%s", message);
	if (!r)
		return -1;
	number = (int)json_integer_value(json_object_get(record.object, "number"));
	assert_int_equal(record.sequence, number + 1);
	assert_true(number > before);
	json_decref(record.object);
	return number;
}

/* By another process, through many rotations: each record once, as they come. */
static void test_read_while_written(void **state)
{
	const int count = 4000;
	uint64_t deadline_ns = clock_monotonic_ns() + 60 * NS_PER_S;
	struct journal_reader *reader = NULL;
	char message[512] = "";
	struct text error = TEXT(message);
	unsigned int gaps = 0;
	int number = -1, status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct journal *journal = rig_open(&SMALL_FILES(*state, 1000));

		append_bursts(journal, 0, count - 1);
		_exit(journal_close(journal, 20000, NULL) ? 2 : 0);
	}
	assert_int_equal(journal_reader_open(&reader, *state, count_gap, &gaps, &error), 0);
	while (number < count - 1) {
		int next = next_number(reader, number);

		assert_true(clock_monotonic_ns() < deadline_ns);
		if (next < 0) {
			usleep(100);
			continue;
		}
		assert_int_equal(next, number + 1);
		number = next;
	}
	assert_int_equal(next_number(reader, number), -1);
	journal_reader_close(reader);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(gaps, 0);
	rig_expect(*state, 0, count);
}

/* Files vanish under a reader: it reads the one it has to the end, says what is missing, and goes
 * on with the oldest that is there. */
static void test_rotated_away(void **state)
{
	const struct journal_options options = SMALL_FILES(*state, 2);
	struct journal *journal = rig_open(&options);
	struct journal_reader *reader = NULL;
	char message[512] = "";
	struct text error = TEXT(message);
	unsigned int gaps = 0;
	int number = 0, next, jumps = 0;

	append_bursts(journal, 0, 9);
	assert_int_equal(journal_reader_open(&reader, *state, count_gap, &gaps, &error), 0);
	assert_int_equal(next_number(reader, -1), 0);
	append_bursts(journal, 10, 999);
	while ((next = next_number(reader, number)) >= 0) {
		if (next != number + 1) {
			assert_in_range(number, 9, 60);
			jumps++;
		}
		number = next;
	}
	assert_int_equal(number, 999);
	assert_int_equal(jumps, 1);
	assert_int_equal(gaps, 1);
	/* And as it goes on. */
	append_bursts(journal, 1000, 1009);
	for (int i = 1000; i < 1010; i++)
		assert_int_equal(next_number(reader, i - 1), i);
	journal_reader_close(reader);
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
}

static void test_empty(void **state)
{
	struct journal_reader *reader = NULL;
	char message[512] = "";
	struct text error = TEXT(message);

	rig_expect(*state, 0, 0);
	assert_int_equal(journal_reader_open(&reader, "/nonexistent/directory", NULL, NULL, &error),
			 -ENOENT);
	assert_string_equal(message, "/nonexistent/directory cannot be opened: No such file or "
				     "directory");
	journal_reader_close(NULL);
}

#define TEST(function) \
	cmocka_unit_test_setup_teardown(function, rig_make_directory, rig_remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),
		TEST(test_torn_at_every_byte),
		TEST(test_garbage_behind_the_end),
		TEST(test_every_bit),
		TEST(test_damage_is_told),
		TEST(test_foreign),
		TEST(test_no_regular_file),
		TEST(test_record_twice),
		TEST(test_read_while_written),
		TEST(test_rotated_away),
	};

	return cmocka_run_group_tests_name("journal_reader", tests, NULL, NULL);
}
