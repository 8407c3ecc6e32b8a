/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_SERVICE_H
#define TOCSIN_BASE_SERVICE_H

/*
 * What a service manager is told (sd_notify(3), whose protocol is part of systemd's stable
 * interface: a datagram to the socket that $NOTIFY_SOCKET names). Without one, nothing.
 */

#include <stdint.h>

struct service {
	int fd; /* connected; -1: nobody is to be told */
	/* How often it wants to hear that all is well, or it kills the process; 0: not. */
	uint64_t watchdog_ns;
};

/*
 * Reads $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, and takes them out of the environment: no
 * child is meant. Returns 0, also when there is none, or a negative errno; then nobody is told.
 */
int service_open(struct service *service);

/* Lines of VARIABLE=value, as "READY=1". Never blocks; what cannot be sent is left out. */
void service_tell(const struct service *service, const char *state);

/* Between RELOADING and READY the service counts as reloading its configuration. */
void service_tell_reloading(const struct service *service);

void service_close(struct service *service);

#endif
