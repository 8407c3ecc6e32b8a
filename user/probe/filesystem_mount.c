// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/filesystem_mount.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * Kinds of file systems that are not looked at. The kernel's own have no space; a trigger of autofs
 * would mount something when asked; images are full and read-only by nature.
 */
static const char *const ignored[] = {
	/* the kernel's own */
	"autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts",
	"devtmpfs", "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "pipefs", "proc",
	"pstore", "ramfs", "resctrl", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs", "sockfs",
	"sysfs", "tracefs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal",
	/* images */
	"cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"};

/* The byte that "\040" and its like stand for; 0 when the text does not begin with such. */
static unsigned int escaped_byte(const char *text)
{
	unsigned int code = 0;

	if (*text != '\\' || strspn(text + 1, "01234567") < 3 ||
	    sscanf(text + 1, "%3o", &code) != 1 || code > UINT8_MAX)
		return 0;
	return code;
}

/* Bytes that would end the field are escaped in it. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; to++) {
		unsigned int code = escaped_byte(from);

		if (code) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

static bool has_option(const char *options, const char *option)
{
	size_t length = strlen(option);

	for (const char *place = options; place; place = strchr(place, ',')) {
		place += *place == ',';
		if (!strncmp(place, option, length) &&
		    (place[length] == ',' || !place[length] || place[length] == '\n'))
			return true;
	}
	return false;
}

/* The next field of a line, or NULL. */
static char *next_field(char **rest)
{
	char *field;

	do
		field = strsep(rest, " \n");
	while (field && !*field);
	return field;
}

bool filesystem_mount_parse(char *line, struct filesystem_mount *ret_mount)
{
	unsigned int major_number, minor_number;
	char *fields[6], *field, *type, *options, *rest = line;

	/* id, parent, device, root, path, flags of the mount. */
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!(fields[i] = next_field(&rest)))
			return false;
	/* Any number of fields, and "-". */
	do
		field = next_field(&rest);
	while (field && strcmp(field, "-"));
	type = next_field(&rest);
	/* The source, which may be empty. */
	if (!type || !rest || !strsep(&rest, " ") || !rest)
		return false;
	options = rest;
	*ret_mount = (struct filesystem_mount){0};
	if (sscanf(fields[0], "%" SCNu64, &ret_mount->id) != 1 ||
	    sscanf(fields[2], "%u:%u", &major_number, &minor_number) != 2)
		return false;
	ret_mount->device = (uint64_t)major_number << 32 | minor_number;
	unescape(fields[4]);
	if (snprintf(ret_mount->path, sizeof(ret_mount->path), "%s", fields[4]) >=
	    (int)sizeof(ret_mount->path))
		return false;
	snprintf(ret_mount->type, sizeof(ret_mount->type), "%s", type);
	ret_mount->read_only = has_option(options, "ro");
	ret_mount->remounts_on_error = has_option(options, "errors=remount-ro");
	/* ext4's words, since 6.15: it then keeps "rw". */
	ret_mount->shut = has_option(options, "emergency_ro") || has_option(options, "shutdown");
	return true;
}

bool filesystem_mount_counts(const struct filesystem_mount *mount)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		if (!strcmp(mount->type, ignored[i]))
			return false;
	/* A container's: its files lie on a file system that is looked at itself, but for the one
	 * that is all there is from within. */
	return strcmp(mount->type, "overlay") || !strcmp(mount->path, "/");
}
