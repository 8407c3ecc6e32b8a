// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/text.h"
#include "probe/program_status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct program resets = {"tcp_send_reset", "tp_btf/tcp_send_reset", "resets sent",
				      false};

static void test_description(void **state)
{
	static const struct {
		struct program_status status;
		const char *expected;
	} cases[] = {
		{{.attached = true}, "resets sent"},
		{{.attached = true, .untold = "their reasons"},
		 "resets sent; this kernel does not tell their reasons"},
		{{.reason = "this kernel has no tracepoint tcp_send_reset"},
		 "without resets sent: this kernel has no tracepoint tcp_send_reset"},
		/* What an attached one would not be told matters no more. */
		{{.reason = "given up for now", .shed = true, .untold = "their reasons"},
		 "without resets sent: given up for now"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct program_status status = cases[i].status;
		char buffer[256] = "";
		struct text text = TEXT(buffer);

		status.program = &resets;
		program_describe(&status, &text);
		assert_string_equal(buffer, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_description),
	};

	return cmocka_run_group_tests_name("program status", tests, NULL, NULL);
}
