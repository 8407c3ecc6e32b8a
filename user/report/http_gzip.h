/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_HTTP_GZIP_H
#define TOCSIN_REPORT_HTTP_GZIP_H

#include <stddef.h>

/*
 * Compresses *size bytes at *data, which are from malloc(), and puts what it made in their place.
 * Returns 0 or -ENOMEM; then they are as they were.
 */
int http_gzip(char **data, size_t *size);

#endif
