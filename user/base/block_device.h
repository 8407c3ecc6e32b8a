/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_BLOCK_DEVICE_H
#define TOCSIN_BASE_BLOCK_DEVICE_H

/* Block devices by name and by the kernel's own number (major << 20 | minor), which its programs
 * see. */

#include <stddef.h>
#include <stdint.h>

/* The number of what is called "sda1", "cciss/c0d0", "mapper/root" or "/dev/sda1". Returns 0 or a
 * negative errno: -ENOENT when there is none. */
int block_device_find(const char *text, uint32_t *ret_device);

/* The name that a device has now ("sda1", "dm-0"): a number may be given to another one. Returns 0,
 * or a negative errno when it has none. */
int block_device_name(uint32_t device, char *name, size_t size);

/* "major:minor", as sysfs has it. */
void block_device_number(uint32_t device, char *text, size_t size);

#endif
