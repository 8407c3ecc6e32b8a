// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/block_device.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/types.h>

#include "maps/block.h"

#define MINOR_MASK ((1U << BLOCK_MINOR_BITS) - 1)

static uint32_t number_of(unsigned int major_number, unsigned int minor_number)
{
	return major_number << BLOCK_MINOR_BITS | minor_number;
}

static int find_in_sysfs(const char *name, uint32_t *ret_device)
{
	unsigned int major_number, minor_number;
	char path[PATH_MAX];
	FILE *file;
	int fields;

	snprintf(path, sizeof(path), "/sys/class/block/%s/dev", name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	fields = fscanf(file, "%u:%u", &major_number, &minor_number);
	fclose(file);
	if (fields != 2)
		return -EIO;
	*ret_device = number_of(major_number, minor_number);
	return 0;
}

static int find_file(const char *path, uint32_t *ret_device)
{
	struct stat status;

	if (stat(path, &status))
		return -errno;
	if (!S_ISBLK(status.st_mode))
		return -ENOTBLK;
	*ret_device = number_of(major(status.st_rdev), minor(status.st_rdev));
	return 0;
}

int block_device_find(const char *text, uint32_t *ret_device)
{
	char path[PATH_MAX];
	const char *name = strncmp(text, "/dev/", 5) ? text : text + 5;
	int r;

	if (!*name || *name == '.')
		return -ENOENT;
	/* A container sees all devices in sysfs, and few of them in /dev. */
	if (!strchr(name, '/') && !find_in_sysfs(name, ret_device))
		return 0;
	snprintf(path, sizeof(path), "%s%s", *name == '/' ? "" : "/dev/", name);
	r = find_file(path, ret_device);
	return r == -ENOTDIR ? -ENOENT : r;
}

void block_device_number(uint32_t device, char *text, size_t size)
{
	snprintf(text, size, "%u:%u", device >> BLOCK_MINOR_BITS, device & MINOR_MASK);
}

int block_device_name(uint32_t device, char *name, size_t size)
{
	char number[32], path[64], target[PATH_MAX];
	const char *slash;
	ssize_t length;

	block_device_number(device, number, sizeof(number));
	snprintf(path, sizeof(path), "/sys/dev/block/%s", number);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	slash = strrchr(target, '/');
	snprintf(name, size, "%s", slash ? slash + 1 : target);
	/* A slash in a disk's name ("cciss/c0d0") is an exclamation mark in sysfs. */
	for (char *place = name; *place; place++)
		if (*place == '!')
			*place = '/';
	return 0;
}
