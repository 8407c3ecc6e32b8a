/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_JOURNAL_RIG_H
#define TOCSIN_TESTS_UNIT_JOURNAL_RIG_H

/* A journal in a directory of its own, with records that are numbered. What these functions cannot
 * do fails the running test. */

#include "report/journal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_PATH_MAX	64
#define RIG_RECORDS_MAX 8192

/* As setup and teardown of a test: *state is the path of an empty directory. */
int rig_make_directory(void **state);
int rig_remove_directory(void **state);

/* Removes every file in it. */
void rig_empty(const char *directory);

struct journal *rig_open(const struct journal_options *options);

/* With defaults. */
struct journal *rig_open_in(const char *directory);

/* A record {"kind":"test","number":N}, for journal_append(). */
json_t *rig_record(int number);

/* Appends numbers from 'first' on, all of which must be taken. */
void rig_append(struct journal *journal, int first, int count);

/* Waits until everything appended so far is acknowledged. */
void rig_wait(struct journal *journal);

/* Everything that a reader sees. */
struct rig_read {
	int result;	 /* of the last journal_reader_next() */
	char error[512]; /* its line */
	size_t count;
	int numbers[RIG_RECORDS_MAX]; /* -1: a record of kind "lost" */
	uint64_t lost;		      /* the sum of what these say */
	size_t warnings;
	char warning[512]; /* the last */
	uint64_t tail_bytes;
};

const struct rig_read *rig_read(const char *directory);

/* They must be 'first' and so on, without anything else or a warning. */
void rig_expect(const char *directory, int first, int count);

/* A file's contents, to be freed; and the other way round. */
uint8_t *rig_load(const char *directory, const char *name, size_t *ret_size);
void rig_store(const char *directory, const char *name, const void *data, size_t size);

/* What went to stderr between the two, to be freed. */
void rig_capture(void);
char *rig_captured(void);

#endif
