// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/heartbeat_setup.h"

#include "base/address.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECEIVE_BUFFER_BYTES (1 << 20)

int heartbeat_read_boot_id(uint8_t boot_id[static HEARTBEAT_BOOT_BYTES], struct text *error)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	char buffer[64] = "";
	size_t length = 0;
	ssize_t count;
	int fd, ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	count = fd < 0 ? -1 : read(fd, buffer, sizeof(buffer) - 1);
	if (count < 0) {
		ret = -errno;
		text_printf(error, "%s: %s: heartbeats name the boot they come from; mount /proc",
			    path, strerror(-ret));
	} else if (sodium_hex2bin(boot_id, HEARTBEAT_BOOT_BYTES, buffer, (size_t)count, "-\n",
				  &length, NULL) ||
		   length != HEARTBEAT_BOOT_BYTES) {
		ret = -EINVAL;
		text_printf(error, "%s: expected a UUID", path);
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

int heartbeat_read_key(const struct config *config, struct heartbeat_key *key, struct text *error)
{
	const char *path = config->heartbeat.key_file;
	uint8_t buffer[HEARTBEAT_KEY_BYTES + 1];
	struct stat stat = {0};
	ssize_t count = -1;
	int ret = 0;
	int fd = -1;

	if (!config->heartbeat.authenticate) {
		memset(key, 0, sizeof(*key));
		return 0;
	}
	/* Not blocking: it may turn out to be a pipe. */
	fd = *path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) : -1;
	if (!*path) {
		ret = -EINVAL;
		text_printf(error, "heartbeat.key_file is not set");
	} else if (fd < 0 || fstat(fd, &stat)) {
		ret = -errno;
		text_printf(error, "heartbeat.key_file %s: %s", path, strerror(-ret));
	} else if (!S_ISREG(stat.st_mode)) {
		ret = -EINVAL;
		text_printf(error, "heartbeat.key_file %s: not a regular file", path);
	} else if ((count = read(fd, buffer, sizeof(buffer))) < 0) {
		ret = -errno;
		text_printf(error, "heartbeat.key_file %s: %s", path, strerror(-ret));
	} else if (count != HEARTBEAT_KEY_BYTES) {
		ret = -EINVAL;
		text_printf(error, "heartbeat.key_file %s: has %lld bytes", path,
			    (long long)stat.st_size);
	} else {
		memcpy(key->bytes, buffer, HEARTBEAT_KEY_BYTES);
		if (stat.st_mode & (S_IRGRP | S_IROTH))
			log_warning("heartbeat key can be read by others; chmod 600 it",
				    log_string("file", path));
	}
	if (ret)
		text_printf(error,
			    ": expected a file of exactly %d bytes, the same on all nodes "
			    "(head -c %d /dev/urandom), or heartbeat.authenticate: false",
			    HEARTBEAT_KEY_BYTES, HEARTBEAT_KEY_BYTES);
	sodium_memzero(buffer, sizeof(buffer));
	if (fd >= 0)
		close(fd);
	return ret;
}

bool heartbeat_listens_to_all(const struct config_listen *listen)
{
	static const struct address any_v6;

	return address_equal(&listen->address, &any_v6);
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) ? -errno : 0;
}

/*
 * A new listen address may overlap the present one (0.0.0.0 and 10.0.0.1). Only while one takes
 * over from the other are both allowed to share the port; afterwards a second agent gets its
 * EADDRINUSE.
 */
static int bind_beside(int fd, int old_fd, const struct sockaddr *name, socklen_t name_length)
{
	int err = 0;
	int undo;

	if (old_fd < 0)
		return bind(fd, name, name_length) ? -errno : 0;
	err = set_option(old_fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!err)
		err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (!err && bind(fd, name, name_length))
		err = -errno;
	undo = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0);
	if (!undo)
		undo = set_option(old_fd, SOL_SOCKET, SO_REUSEADDR, 0);
	return err ?: undo;
}

int heartbeat_bind(const struct config_listen *listen, int old_fd, struct text *error)
{
	char listen_text[ADDRESS_TEXT_MAX];
	struct sockaddr_storage name;
	socklen_t name_length = address_to_sockaddr(&listen->address, listen->port, &name);
	int fd = socket(name.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = fd < 0 ? -errno : 0;

	/* Room for a pause of ours; without the privilege for that much, as much as is allowed. */
	if (!err && set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES))
		err = set_option(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
	if (!err)
		err = set_option(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	if (!err)
		err = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	if (!err && name.ss_family == AF_INET6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !heartbeat_listens_to_all(listen));
	if (!err)
		err = bind_beside(fd, old_fd, (struct sockaddr *)&name, name_length);
	if (!err)
		return fd;

	text_printf(
		error, "heartbeat.listen %s port %u (UDP): %s: %s",
		address_format(&listen->address, listen_text), listen->port, strerror(-err),
		err == -EADDRINUSE
			? "stop the other agent or program that holds it, or choose another port"
			: "expected an address of this node, 0.0.0.0 or ::");
	if (fd >= 0)
		close(fd);
	return err;
}
