/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_SLOWDOWN_H
#define TOCSIN_TESTS_UNIT_SLOWDOWN_H

#include <stdlib.h>

/* How many times slower than the machine tests are run: under memcheck, by tests/run, else 1.
 * Limits of time are so much longer then, and of inputs that are alike only each so-many-th is
 * taken. */
static inline unsigned int slowdown(void)
{
	const char *value = getenv("TOCSIN_TEST_SLOWDOWN");
	unsigned long times = value ? strtoul(value, NULL, 10) : 1;

	return times > 1 && times <= 1000 ? (unsigned int)times : 1;
}

#endif
