// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/symbols.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 128
/* Functions larger than this do not exist: beyond it an address is in no symbol. */
#define SYMBOL_BYTES_MAX (UINT64_C(1) << 20)

struct symbol {
	uint64_t address;
	size_t name; /* where it begins in the names */
};

struct symbols {
	struct symbol *symbols;
	size_t count, room;
	char *names;
	size_t names_bytes, names_room;
};

static int grow(void **array, size_t *room, size_t needed, size_t size)
{
	size_t larger = *room ? *room : 4096;
	void *moved;

	while (larger < needed)
		larger *= 2;
	if (larger == *room)
		return 0;
	moved = reallocarray(*array, larger, size);
	if (!moved)
		return -1;
	*array = moved;
	*room = larger;
	return 0;
}

static int add(struct symbols *symbols, uint64_t address, const char *name)
{
	size_t bytes = strlen(name) + 1;

	if (grow((void **)&symbols->symbols, &symbols->room, symbols->count + 1,
		 sizeof(*symbols->symbols)) ||
	    grow((void **)&symbols->names, &symbols->names_room, symbols->names_bytes + bytes, 1))
		return -1;
	symbols->symbols[symbols->count++] = (struct symbol){address, symbols->names_bytes};
	memcpy(symbols->names + symbols->names_bytes, name, bytes);
	symbols->names_bytes += bytes;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

struct symbols *symbols_load(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	char line[512], name[NAME_BYTES], type;
	uint64_t address;
	int r = file && symbols ? 0 : -1;

	while (!r && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %127s", &address, &type, name) != 3)
			continue;
		if (address && strchr("tTwW", type))
			r = add(symbols, address, name);
	}
	if (file)
		fclose(file);
	if (r || !symbols->count) {
		symbols_free(symbols);
		return NULL;
	}
	qsort(symbols->symbols, symbols->count, sizeof(*symbols->symbols), compare);
	return symbols;
}

void symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->symbols);
	free(symbols->names);
	free(symbols);
}

const char *symbols_format(const struct symbols *symbols, uint64_t address, char *buffer,
			   size_t size)
{
	size_t low = 0, high = symbols ? symbols->count : 0;

	/* The last symbol that does not lie behind the address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && address - symbols->symbols[low - 1].address < SYMBOL_BYTES_MAX)
		snprintf(buffer, size, "%s+0x%" PRIx64,
			 symbols->names + symbols->symbols[low - 1].name,
			 address - symbols->symbols[low - 1].address);
	else
		snprintf(buffer, size, "0x%" PRIx64, address);
	return buffer;
}
