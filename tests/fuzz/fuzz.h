/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_FUZZ_FUZZ_H
#define TOCSIN_TESTS_FUZZ_FUZZ_H

/* What libFuzzer calls with each input; replay.c calls it with each file of the corpus. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every input. */
static inline void require(bool condition)
{
	if (!condition)
		abort();
}

/* The input as a string, which ends at its first NUL; to be freed. */
static inline char *make_string(const uint8_t *data, size_t size)
{
	char *string = malloc(size + 1);

	require(string != NULL);
	if (size)
		memcpy(string, data, size);
	string[size] = '\0';
	return string;
}

#endif
