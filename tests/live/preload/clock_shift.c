// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Loaded before the C library into a program whose wall clock is to be wrong: adds the nanoseconds
 * in the file $TOCSIN_CLOCK_SHIFT (an int64_t, which may change at any time) to CLOCK_REALTIME, and
 * to the kernel's stamps of what is received. A time namespace cannot do that.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
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

static void add_shift(struct timespec *time)
{
	int64_t ns = time->tv_nsec + *shift % NS_PER_SECOND;

	time->tv_sec += *shift / NS_PER_SECOND;
	if (ns < 0) {
		ns += NS_PER_SECOND;
		time->tv_sec--;
	} else if (ns >= NS_PER_SECOND) {
		ns -= NS_PER_SECOND;
		time->tv_sec++;
	}
	time->tv_nsec = ns;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
	int r = (int)syscall(SYS_clock_gettime, clock, time);

	if (!r && clock == CLOCK_REALTIME)
		add_shift(time);
	return r;
}

static void shift_stamp(struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		struct timespec stamp;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
		add_shift(&stamp);
		memcpy(CMSG_DATA(header), &stamp, sizeof(stamp));
	}
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
	     struct timespec *timeout)
{
	int r = (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);

	for (int i = 0; i < r; i++)
		shift_stamp(&messages[i].msg_hdr);
	return r;
}
