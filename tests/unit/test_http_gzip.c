// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who takes gzip gets large answers compressed. */
#include "unit/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

/* What is sent for a path to who sends this header; returns its length. */
static size_t fetch(const struct server *server, const char *path, const char *header, char *reply,
		    size_t size)
{
	char text[256];
	int fd = server_connect(server, 0);
	size_t length;

	snprintf(text, sizeof(text),
		 "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n\r\n", path, header);
	server_try_send(fd, text);
	assert_int_equal(server_read_all(fd, reply, size, &length), 0);
	close(fd);
	return length;
}

static void test_compressed(void **state)
{
	struct server *server = *state;
	static const struct {
		const char *path, *header;
		bool compressed;
	} cases[] = {
		{"/metrics", "Accept-Encoding: gzip", true},
		{"/metrics", "Accept-Encoding: deflate, GZIP;q=0.5", true},
		{"/metrics", "Accept-Encoding: gzip;q=0", false},
		{"/metrics", "Accept-Encoding: gzipped, identity", false},
		{"/metrics", "X: gzip", false},
		{"/api/v1/status", "Accept-Encoding: gzip", true},
		{"/healthz", "Accept-Encoding: gzip", false},
	};
	static char plain[65536], reply[65536], text[65536];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t length = fetch(server, cases[i].path, cases[i].header, reply, sizeof(reply));
		char *body = strstr(reply, "\r\n\r\n");
		bool said = strstr(reply, "\r\nContent-Encoding: gzip\r\n");
		bool varies = strstr(reply, "\r\nVary: Accept, Accept-Encoding\r\n");
		z_stream stream = {.next_out = (Bytef *)text, .avail_out = sizeof(text) - 1};
		size_t plain_length;

		assert_non_null(body);
		body += 4;
		if (said != cases[i].compressed || varies != !!strcmp(cases[i].path, "/healthz"))
			fail_msg("%s, %s:\n%s", cases[i].path, cases[i].header, reply);
		if (!said)
			continue;
		plain_length = fetch(server, cases[i].path, "X: y", plain, sizeof(plain));
		assert_true(length < plain_length);
		stream.next_in = (Bytef *)body;
		stream.avail_in = (uInt)(length - (size_t)(body - reply));
		assert_int_equal(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
		assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
		assert_int_equal(stream.avail_in, 0);
		text[stream.total_out] = '\0';
		inflateEnd(&stream);
		/* What it says of this process may have changed meanwhile, by some digits. */
		body = strstr(plain, "\r\n\r\n") + 4;
		assert_memory_equal(text, body, 64);
		assert_in_range(strlen(text), strlen(body) - 64, strlen(body) + 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_compressed, server_set_up, server_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
