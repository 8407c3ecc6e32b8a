// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/object.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *kubernetes_text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key)) ?: "";
}

const char *kubernetes_object_name(const json_t *object)
{
	return kubernetes_text(json_object_get(object, "metadata"), "name");
}

uint64_t kubernetes_object_revision(const json_t *object)
{
	const char *text = kubernetes_text(json_object_get(object, "metadata"), "resourceVersion");
	unsigned long long revision;
	char *end;

	if (*text < '0' || *text > '9')
		return 0;
	errno = 0;
	revision = strtoull(text, &end, 10);
	return errno || *end ? 0 : revision;
}

/* Up to the seconds, without what follows them. */
static size_t format_seconds(uint64_t realtime_ns, char buffer[static KUBERNETES_TIME_MAX])
{
	time_t seconds = (time_t)(realtime_ns / NS_PER_S);
	struct tm utc = {0};

	gmtime_r(&seconds, &utc);
	return strftime(buffer, KUBERNETES_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
}

void kubernetes_format_time(uint64_t realtime_ns, char buffer[static KUBERNETES_TIME_MAX])
{
	size_t length = format_seconds(realtime_ns, buffer);

	snprintf(buffer + length, KUBERNETES_TIME_MAX - length, "Z");
}

void kubernetes_format_micro_time(uint64_t realtime_ns, char buffer[static KUBERNETES_TIME_MAX])
{
	size_t length = format_seconds(realtime_ns, buffer);

	snprintf(buffer + length, KUBERNETES_TIME_MAX - length, ".%06" PRIu64 "Z",
		 realtime_ns % NS_PER_S / NS_PER_US);
}
