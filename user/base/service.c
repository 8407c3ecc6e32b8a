// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "base/service.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int parse(const char *text, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}

static uint64_t find_watchdog_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t value, owner;

	if (!usec || parse(usec, &value))
		return 0;
	/* Inherited from a parent that was meant. */
	if (pid && (parse(pid, &owner) || owner != (uint64_t)getpid()))
		return 0;
	return value * NS_PER_US;
}

/* A path, or behind '@' a name in the abstract namespace. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	int fd;

	if (name[0] != '/' && name[0] != '@')
		return -EAFNOSUPPORT;
	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	else
		size++;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, size)) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int service_open(struct service *service)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*service = (struct service){.fd = -1};
	if (!name || !*name)
		return 0;
	service->fd = connect_to(name);
	if (service->fd >= 0)
		service->watchdog_ns = find_watchdog_ns();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return service->fd < 0 ? service->fd : 0;
}

void service_tell(const struct service *service, const char *state)
{
	if (service->fd >= 0)
		(void)send(service->fd, state, strlen(state), MSG_NOSIGNAL);
}

void service_tell_reloading(const struct service *service)
{
	char state[96];

	/* When it began, so that a READY of before is not taken for its end. */
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 clock_monotonic_ns() / NS_PER_US);
	service_tell(service, state);
}

void service_close(struct service *service)
{
	if (service->fd >= 0)
		close(service->fd);
	service->fd = -1;
}
