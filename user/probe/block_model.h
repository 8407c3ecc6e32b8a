/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_PROBE_BLOCK_MODEL_H
#define TOCSIN_PROBE_BLOCK_MODEL_H

#include <stddef.h>

#define BLOCK_MODEL_BYTES 80 /* NUL included */

/* What the disk of this name is, as its vendor calls it and whether it rotates, from sysfs: two
 * disks with the same text are siblings. "" for one without a model (loop, virtio). */
void block_model(const char *name, char model[static BLOCK_MODEL_BYTES]);

#endif
