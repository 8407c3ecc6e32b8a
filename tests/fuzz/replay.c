// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs a fuzz target over the files of a directory, without libFuzzer: what was once found stays
 * mended. Prints each name before its turn, so that the last one is that of a crash.
 */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#define INPUT_BYTES_MAX (1U << 20)

static int replay(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = malloc(INPUT_BYTES_MAX);
	uint8_t *input = NULL;
	size_t size = 0;

	if (file && data)
		size = fread(data, 1, INPUT_BYTES_MAX, file);
	/* Exactly as long as the input: one byte too far is seen. */
	if (file && data && !ferror(file) && feof(file))
		input = realloc(data, size ? size : 1);
	if (file)
		fclose(file);
	if (!input) {
		free(data);
		fprintf(stderr, "%s: cannot be read, or has more than %u bytes\n", path,
			INPUT_BYTES_MAX);
		return -1;
	}
	LLVMFuzzerTestOneInput(input, size);
	free(input);
	return 0;
}

int main(int argc, char **argv)
{
	struct dirent **entries = NULL;
	int count = argc == 2 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
	int inputs = 0, result = EXIT_SUCCESS;

	if (count < 0) {
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];

		if (*entries[i]->d_name != '.' &&
		    snprintf(path, sizeof(path), "%s/%s", argv[1], entries[i]->d_name) <
			    (int)sizeof(path)) {
			puts(path);
			fflush(stdout);
			inputs++;
			if (replay(path))
				result = EXIT_FAILURE;
		}
		free(entries[i]);
	}
	free(entries);
	if (!inputs) {
		fprintf(stderr, "%s: holds no inputs\n", argv[1]);
		return EXIT_FAILURE;
	}
	return result;
}
