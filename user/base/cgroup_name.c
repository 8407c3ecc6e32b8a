// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/cgroup_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CONTAINER_DIGITS 64
#define TASK_DIGITS	 32 /* of ECS: before a dash and a decimal number */
#define POD_DIGITS	 32
#define POD_WITH_DASHES	 36

/* Part of the path, not ended by a NUL. */
struct piece {
	const char *start;
	size_t length;
};

static size_t hex_digits(const char *text, size_t length)
{
	size_t count = 0;

	/* Ids are written in lower case only. */
	while (count < length &&
	       (isdigit((unsigned char)text[count]) || (text[count] >= 'a' && text[count] <= 'f')))
		count++;
	return count;
}

static bool ends_with(struct piece piece, const char *suffix)
{
	size_t length = strlen(suffix);

	return piece.length > length &&
	       !memcmp(piece.start + piece.length - length, suffix, length);
}

static bool begins_with(struct piece piece, const char *prefix)
{
	size_t length = strlen(prefix);

	return piece.length >= length && !memcmp(piece.start, prefix, length);
}

static void copy(char *to, size_t size, struct piece piece)
{
	snprintf(to, size, "%.*s", (int)piece.length, piece.start);
}

/* "docker-ID.scope", "cri-containerd-ID.scope", "slice:cri-containerd:ID" or the ID alone. */
static bool find_container(struct piece piece, char id[static CGROUP_CONTAINER_BYTES])
{
	size_t start, digits, length;

	/* What watches a container is not in it. */
	if (begins_with(piece, "crio-conmon-") || begins_with(piece, "libpod-conmon-"))
		return false;
	length = ends_with(piece, ".scope") ? piece.length - strlen(".scope") : piece.length;
	if (length >= CONTAINER_DIGITS) {
		start = length - CONTAINER_DIGITS;
		if (hex_digits(piece.start + start, CONTAINER_DIGITS) == CONTAINER_DIGITS &&
		    (!start || strchr("-:", piece.start[start - 1]))) {
			copy(id, CGROUP_CONTAINER_BYTES,
			     (struct piece){piece.start + start, CONTAINER_DIGITS});
			return true;
		}
	}
	/* ECS on Fargate. */
	digits = hex_digits(piece.start, piece.length);
	if (digits != TASK_DIGITS || length < TASK_DIGITS + 2 || piece.start[TASK_DIGITS] != '-')
		return false;
	for (size_t i = TASK_DIGITS + 1; i < piece.length; i++)
		if (!isdigit((unsigned char)piece.start[i]))
			return false;
	copy(id, CGROUP_CONTAINER_BYTES, piece);
	return true;
}

/* How long a pod's uid is at the start of a text; 0: there is none. systemd's names have '_' in
 * place of its dashes, which are separators there. */
static size_t pod_length(const char *text, size_t length)
{
	static const size_t groups[] = {8, 4, 4, 4, 12};
	size_t place = 0;

	if (hex_digits(text, length) == POD_DIGITS)
		return POD_DIGITS;
	for (size_t i = 0; i < 5; i++) {
		if (i && (place >= length || !strchr("-_", text[place++])))
			return 0;
		if (hex_digits(text + place, length - place) != groups[i])
			return 0;
		place += groups[i];
	}
	return place;
}

/* "podUID", "kubepods-burstable-podUID.slice", and what may follow in the same piece. */
static void find_pod(struct piece piece, char uid[static CGROUP_POD_BYTES])
{
	for (size_t i = 0; i + strlen("pod") < piece.length; i++) {
		const char *text = piece.start + i + strlen("pod");
		size_t rest = piece.length - i - strlen("pod"), length;

		if (memcmp(piece.start + i, "pod", strlen("pod")) ||
		    (i && piece.start[i - 1] != '-'))
			continue;
		length = pod_length(text, rest);
		if (!length || (length < rest && !strchr(".:", text[length])))
			continue;
		copy(uid, CGROUP_POD_BYTES, (struct piece){text, length});
		for (char *c = uid; *c; c++)
			*c = *c == '_' ? '-' : *c;
		return;
	}
}

static bool is_unit(struct piece piece)
{
	static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
		if (ends_with(piece, suffixes[i]))
			return true;
	return false;
}

void cgroup_name_parse(const char *path, struct cgroup_name *ret_name)
{
	memset(ret_name, 0, sizeof(*ret_name));
	while (*path) {
		struct piece piece = {path, strcspn(path, "/")};

		find_pod(piece, ret_name->pod);
		/* Units within a container are of its own systemd. */
		if (!find_container(piece, ret_name->container) && !ret_name->container[0] &&
		    is_unit(piece))
			copy(ret_name->unit, sizeof(ret_name->unit), piece);
		path += piece.length;
		path += *path == '/';
	}
}
