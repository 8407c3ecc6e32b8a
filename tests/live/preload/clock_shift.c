// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loaded before the C library into a program whose wall clock is to be wrong: adds the nanoseconds
 * in the file $TOCSIN_CLOCK_SHIFT (an int64_t, which may change at any time) to CLOCK_REALTIME. A
 * time namespace cannot do that.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000L

static const volatile int64_t no_shift;
static const volatile int64_t *shift = &no_shift;

__attribute__((constructor)) static void find_shift(void)
{
	const char *path = getenv("TOCSIN_CLOCK_SHIFT");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped = MAP_FAILED;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapped != MAP_FAILED)
		shift = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int r = (int)syscall(SYS_clock_gettime, clock, time);
	int64_t ns;

	if (r || clock != CLOCK_REALTIME)
		return r;
	ns = time->tv_nsec + *shift % NS_PER_SECOND;
	time->tv_sec += *shift / NS_PER_SECOND;
	if (ns < 0) {
		ns += NS_PER_SECOND;
		time->tv_sec--;
	} else if (ns >= NS_PER_SECOND) {
		ns -= NS_PER_SECOND;
		time->tv_sec++;
	}
	time->tv_nsec = ns;
	return 0;
}
