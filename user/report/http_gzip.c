// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "report/http_gzip.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

/* A scrape has much the same line again and again: little effort and memory (some 50 KiB) find
 * that. */
#define LEVEL	     1
#define WINDOW_BITS  13
#define WINDOW_GZIP  16 /* added: with the header and trailer of gzip */
#define MEMORY_LEVEL 6

int http_gzip(char **data, size_t *size)
{
	z_stream stream = {0};
	char *smaller;
	uLong bound;
	int r;

	if (*size > UINT_MAX / 2 ||
	    deflateInit2(&stream, LEVEL, Z_DEFLATED, WINDOW_BITS + WINDOW_GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	bound = deflateBound(&stream, *size);
	smaller = malloc(bound);
	if (!smaller) {
		deflateEnd(&stream);
		return -ENOMEM;
	}
	stream.next_in = (Bytef *)*data;
	stream.avail_in = (uInt)*size;
	stream.next_out = (Bytef *)smaller;
	stream.avail_out = (uInt)bound;
	/* With room for the bound it takes one call. */
	r = deflate(&stream, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	if (r) {
		free(smaller);
	} else {
		free(*data);
		*size = stream.total_out;
		/* Most of the room was not needed, and may wait for a slow client. */
		*data = realloc(smaller, *size) ?: smaller;
	}
	deflateEnd(&stream);
	return r;
}
