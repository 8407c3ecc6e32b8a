// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/block_io.h"

#include "probe/kernel_types.h"

#include "maps/io.h"

#include <errno.h>

const char *block_operation_name(uint64_t operation)
{
	static const char *const names[BLOCK_OPERATIONS] = {
		[BLOCK_READ] = "read",
		[BLOCK_WRITE] = "write",
		[BLOCK_FLUSH] = "flush",
		[BLOCK_DISCARD] = "discard",
	};

	return operation < BLOCK_OPERATIONS ? names[operation] : NULL;
}

const char *block_error_name(uint64_t error)
{
	/* By blk_status_t, whose first numbers have never changed. */
	static const struct {
		const char *name;
		int number; /* errno */
	} errors[] = {
		{NULL, 0},
		{"not_supported", EOPNOTSUPP},
		{"timed_out", ETIMEDOUT},
		{"no_space", ENOSPC},
		{"transport", ENOLINK},
		{"target", EREMOTEIO},
		{"reserved", EBADE},
		{"medium", ENODATA},
		{"protection", EILSEQ},
		{"no_resource", ENOMEM},
		{"io", EIO},
	};
	const size_t count = sizeof(errors) / sizeof(*errors);
	int32_t status = (int32_t)error;

	if (status >= 0)
		return (size_t)status < count ? errors[status].name : NULL;
	for (size_t i = 1; i < count; i++)
		if (errors[i].number == -status)
			return errors[i].name;
	return NULL;
}

static void count_pending(void *context, const void *value)
{
	*(uint64_t *)context += submission_is_open(value);
}

uint64_t block_io_count_pending(const struct object *object)
{
	uint64_t pending = 0;

	(void)object_map_read(object, "submissions", count_pending, &pending);
	return pending;
}

int block_io_configure(const struct trace_options *options, struct object_constant *constants,
		       size_t *count, struct text *error)
{
	static bool has_queue, bio_has_queue, start_is_told;

	(void)options;
	(void)error;
	has_queue = kernel_tracepoint_arguments("block_rq_issue") >= 2;
	bio_has_queue = kernel_tracepoint_arguments("block_bio_queue") >= 2;
	start_is_told = kernel_tracepoint_arguments("block_io_start") >= 1;
	constants[(*count)++] =
		(struct object_constant){"request_has_queue", &has_queue, sizeof(has_queue)};
	constants[(*count)++] =
		(struct object_constant){"bio_has_queue", &bio_has_queue, sizeof(bio_has_queue)};
	constants[(*count)++] = (struct object_constant){"request_start_is_told", &start_is_told,
							 sizeof(start_is_told)};
	return 0;
}
