// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/symbols.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOL_BYTES 64 /* longer names are cut */

struct symbol {
	uint64_t address;
	char name[SYMBOL_BYTES];
};

struct symbols {
	bool read;
	struct symbol *table; /* by address */
	size_t count, room;
};

struct symbols *symbols_open(void)
{
	return calloc(1, sizeof(struct symbols));
}

void symbols_close(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->table);
	free(symbols);
}

static bool make_room(struct symbols *symbols)
{
	size_t room = symbols->room ? 2 * symbols->room : 16384;
	struct symbol *table;

	if (symbols->count < symbols->room)
		return true;
	table = reallocarray(symbols->table, room, sizeof(*table));
	if (!table)
		return false;
	symbols->table = table;
	symbols->room = room;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

/* What cannot be read is shown by address. */
static void read_symbols(struct symbols *symbols)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], type;
	struct symbol symbol;

	symbols->read = true;
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %63s", &symbol.address, &type, symbol.name) != 3)
			continue;
		if (!symbol.address || !strchr("tTwW", type))
			continue;
		if (!make_room(symbols))
			break;
		symbols->table[symbols->count++] = symbol;
	}
	fclose(file);
	if (symbols->count)
		qsort(symbols->table, symbols->count, sizeof(*symbols->table), compare);
}

void symbols_name(struct symbols *symbols, uint64_t address, char *name, size_t size)
{
	size_t low = 0, high;

	if (!symbols->read)
		read_symbols(symbols);
	high = symbols->count;
	/* The last that begins at or below it. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->table[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low)
		snprintf(name, size, "%s+0x%" PRIx64, symbols->table[low - 1].name,
			 address - symbols->table[low - 1].address);
	else
		snprintf(name, size, "0x%" PRIx64, address);
}
