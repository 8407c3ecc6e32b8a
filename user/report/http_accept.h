/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_REPORT_HTTP_ACCEPT_H
#define TOCSIN_REPORT_HTTP_ACCEPT_H

/*
 * The weight, 0 to 1, that a header such as Accept or Accept-Encoding gives to what it names as
 * 'item' (RFC 9110, 12.4.2); parameters other than q do not matter, nor do wildcards. 0 when it
 * does not name it, is NULL, or is longer than anybody's.
 */
double http_accept_weight(const char *header, const char *item);

#endif
