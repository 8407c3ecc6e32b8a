/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_OBJECT_H
#define TOCSIN_KUBERNETES_OBJECT_H

/* What all objects of Kubernetes have, and how it writes times. Pure. */

#include <jansson.h>
#include <stdint.h>

#define KUBERNETES_TIME_MAX 40

/* The text at a key; "" when there is none. Whatever 'object' is, also NULL. */
const char *kubernetes_text(const json_t *object, const char *key);

/* An object's name; "" when it is missing. */
const char *kubernetes_object_name(const json_t *object);

/* The number in an object's metadata.resourceVersion; 0 when it is none. They grow, and are
 * comparable within a kind (KEP-5504). */
uint64_t kubernetes_object_revision(const json_t *object);

/* A Time: 2026-11-26T22:34:14Z. */
void kubernetes_format_time(uint64_t realtime_ns, char buffer[static KUBERNETES_TIME_MAX]);

/* A MicroTime, as Leases have it: 2026-11-26T22:34:14.000001Z. */
void kubernetes_format_micro_time(uint64_t realtime_ns, char buffer[static KUBERNETES_TIME_MAX]);

#endif
