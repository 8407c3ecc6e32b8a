// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "agent/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The number that the lock's holder wrote into it; "?" when it cannot be read. */
static void read_holder(int fd, char *holder, size_t size)
{
	ssize_t length = pread(fd, holder, size - 1, 0);

	holder[length > 0 ? length : 0] = '\0';
	holder[strspn(holder, "0123456789")] = '\0';
	if (!holder[0])
		snprintf(holder, size, "?");
}

static const char *lock_advice(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return "run as root, or set another state_dir";
	case ENOTDIR:
		return "expected state_dir to be a directory: remove what is there, or set another";
	case ELOOP:
		return "expected a file and no symbolic link: remove it";
	case EROFS:
		return "the file system is mounted read-only: set another state_dir";
	case ENOSPC:
	case EDQUOT:
		return "the file system is full: make room, or set another state_dir";
	}
	return "set another state_dir";
}

int state_dir_lock(const char *path, struct text *error)
{
	char lock_path[4096];
	char pid[32];
	int fd, r;

	if (mkdir(path, 0755) && errno != EEXIST) {
		r = -errno;
		text_printf(error, "state_dir %s cannot be made: %s; %s", path, strerror(-r),
			    r == -ENOENT ? "make the directory that it is to lie in"
					 : lock_advice(r));
		return r;
	}
	snprintf(lock_path, sizeof(lock_path), "%s/lock", path);
	fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		r = -errno;
		text_printf(error, "%s cannot be opened: %s; %s", lock_path, strerror(-r),
			    lock_advice(r));
		return r;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		r = -errno;
		if (r == -EWOULDBLOCK) {
			read_holder(fd, pid, sizeof(pid));
			text_printf(error,
				    "another agent (pid %s) already uses state_dir %s; stop it, or "
				    "give this one a state_dir of its own",
				    pid, path);
		} else {
			text_printf(error, "%s cannot be locked: %s", lock_path, strerror(-r));
		}
		goto failed;
	}
	snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* Only for people: the lock holds on a full disk, too. */
	if (ftruncate(fd, 0) || pwrite(fd, pid, strlen(pid), 0) < 0)
		errno = 0;
	return fd;

failed:
	close(fd);
	return r;
}
