// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/network.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_FILE  "/proc/self/net/dev"
#define COUNTERS_FILE "/proc/self/net/netstat"

int network_received(uint64_t *ret_packets)
{
	FILE *file = fopen(DEVICES_FILE, "re");
	uint64_t sum = 0, packets;
	char line[512];

	if (!file)
		return -errno;
	/* "  eth0: bytes packets ...", after two lines of headings without a colon. */
	while (fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (colon && sscanf(colon + 1, "%*u %" SCNu64, &packets) == 1)
			sum += packets;
	}
	fclose(file);
	*ret_packets = sum;
	return 0;
}

/* The word behind the one that 'at' points to; NULL when there is none. */
static char *next_word(char *at)
{
	at = strchr(at, ' ');
	return at && at[1] && at[1] != '\n' ? at + 1 : NULL;
}

static bool is_word(const char *at, const char *word)
{
	size_t length = strlen(word);

	return !strncmp(at, word, length) && (at[length] == ' ' || at[length] == '\n');
}

int network_listen_overflows(uint64_t *ret_overflows)
{
	FILE *file = fopen(COUNTERS_FILE, "re");
	char *names = NULL, *values = NULL;
	size_t names_size = 0, values_size = 0;
	int r = -ENOENT;

	if (!file)
		return -errno;
	/* A line of names, and one of values in the same order; both begin with the group. */
	while (r == -ENOENT && getline(&names, &names_size, file) > 0 &&
	       getline(&values, &values_size, file) > 0) {
		char *name = names, *value = values;

		while (name && value && !is_word(name, "ListenOverflows")) {
			name = next_word(name);
			value = next_word(value);
		}
		if (name && value) {
			*ret_overflows = strtoull(value, NULL, 10);
			r = 0;
		}
	}
	free(names);
	free(values);
	fclose(file);
	return r;
}
