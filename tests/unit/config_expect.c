// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/config_expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

void config_expect_good(const char *yaml, struct config *ret_config)
{
	char message[1024] = "";
	struct text error = TEXT(message);

	if (config_parse("F", yaml, strlen(yaml), ret_config, &error))
		fail_msg("%s: %s", yaml, message);
	assert_string_equal(message, "");
}
