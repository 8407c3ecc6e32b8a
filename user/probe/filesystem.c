// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/filesystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Room for the longest root of a view. */
#define ROOT_BYTES  16
#define HELPER_NAME "tocsin-statvfs"

_Static_assert(sizeof(struct filesystem_event) < 4096, "a pipe takes it whole or not at all");
_Static_assert(sizeof(struct filesystem_request) < 4096, "a pipe takes it whole or not at all");

struct filesystem_view filesystem_node_view(void)
{
	static const struct filesystem_view own = {"/proc/self/mountinfo", ""};
	static const struct filesystem_view node = {"/proc/1/mountinfo", "/proc/1/root"};
	struct stat ours, theirs;

	if (stat("/proc/self/ns/mnt", &ours) || stat("/proc/1/ns/mnt", &theirs) ||
	    ours.st_ino == theirs.st_ino || access(node.root, X_OK))
		return own;
	return node;
}

/* ---- the helper's side: it may hang anywhere ---- */

struct look {
	const struct filesystem_request *request;
	struct filesystem_view view;
	int events;
	uint64_t seen[FILESYSTEMS_MAX]; /* devices */
	size_t seen_count;
	uint32_t left_out;
};

/* Ends the helper when nobody listens any more. */
static void tell(const struct look *look, const struct filesystem_event *event)
{
	if (write(look->events, event, sizeof(*event)) != sizeof(*event))
		_exit(0);
}

static bool is_skipped(const struct look *look, uint64_t device)
{
	for (uint32_t i = 0; i < look->request->skip_count; i++)
		if (look->request->skip[i] == device)
			return true;
	return false;
}

static bool is_seen(const struct look *look, uint64_t device)
{
	for (size_t i = 0; i < look->seen_count; i++)
		if (look->seen[i] == device)
			return true;
	return false;
}

/* Whether the path leads to this mount, and not to one that lies over it. */
static bool is_on_top(const struct filesystem_mount *mount, const char *path)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status))
		/* The file system's own failure is statvfs()'s to tell. */
		return errno != ENOENT && errno != ENOTDIR;
	return !(status.stx_mask & STATX_MNT_ID) || status.stx_mnt_id == mount->id;
}

static void ask(const char *path, struct filesystem_event *event)
{
	struct statvfs status;

	event->kind = FILESYSTEM_ANSWERED;
	if (statvfs(path, &status)) {
		event->error = errno;
		return;
	}
	event->used_bytes = (uint64_t)(status.f_blocks - status.f_bfree) * status.f_frsize;
	event->free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
	event->used_inodes = status.f_files - status.f_ffree;
	event->free_inodes = status.f_ffree;
}

static void look_at(struct look *look, const struct filesystem_mount *mount)
{
	struct filesystem_event event = {
		.kind = FILESYSTEM_ASKED,
		.device = mount->device,
		.read_only = mount->read_only,
		.remounts_on_error = mount->remounts_on_error,
		.shut = mount->shut,
	};
	size_t length = strlen(mount->path);
	size_t cut = length < FILESYSTEM_NAME_MAX ? 0 : length - (FILESYSTEM_NAME_MAX - 1);
	char path[ROOT_BYTES + sizeof(mount->path)];

	if (!filesystem_mount_counts(mount) || is_seen(look, mount->device))
		return;
	if (look->seen_count == FILESYSTEMS_MAX) {
		look->left_out++;
		return;
	}
	memcpy(event.path, mount->path + cut, length - cut + 1);
	memcpy(event.type, mount->type, sizeof(event.type));
	if (is_skipped(look, mount->device)) {
		event.kind = FILESYSTEM_SKIPPED;
	} else {
		tell(look, &event);
		snprintf(path, sizeof(path), "%s%s", look->view.root, mount->path);
		if (is_on_top(mount, path))
			ask(path, &event);
		else
			event.kind = FILESYSTEM_HIDDEN;
	}
	if (event.kind != FILESYSTEM_HIDDEN)
		look->seen[look->seen_count++] = mount->device;
	tell(look, &event);
}

static void look_around(const struct filesystem_request *request, int events)
{
	struct look look = {.request = request, .view = filesystem_node_view(), .events = events};
	struct filesystem_event end = {.kind = FILESYSTEM_END};
	FILE *mounts = fopen(look.view.mounts, "re");
	struct filesystem_mount mount;
	char *line = NULL;
	size_t size = 0;

	if (!mounts) {
		end.error = errno;
	} else {
		while (getline(&line, &size, mounts) > 0)
			if (filesystem_mount_parse(line, &mount))
				look_at(&look, &mount);
		fclose(mounts);
	}
	free(line);
	end.left_out = look.left_out;
	tell(&look, &end);
}

/* Nothing of the agent's is kept: neither its files, which would stay open with one that hangs,
 * nor its life. */
static void __attribute__((noreturn)) run_helper(int requests, int events)
{
	struct filesystem_request request;
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, HELPER_NAME);
	/* Both lie above 2, which the agent keeps open. */
	if (null < 0 || dup2(requests, STDIN_FILENO) < 0 || dup2(events, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0))
		_exit(1);
	while (read(STDIN_FILENO, &request, sizeof(request)) == sizeof(request))
		look_around(&request, STDOUT_FILENO);
	_exit(0);
}

/* ---- the agent's side ---- */

static void close_pair(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

int filesystem_helper_start(struct filesystem_helper *helper)
{
	int requests[2], events[2], r;
	sigset_t all, before;
	pid_t pid;

	if (pipe2(requests, O_CLOEXEC))
		return -errno;
	if (pipe2(events, O_CLOEXEC)) {
		r = -errno;
		close_pair(requests);
		return r;
	}
	/* The agent's handlers must not run in the child: they would write to the agent's loop. A
	 * helper whose agent is gone ends by itself. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		run_helper(requests[0], events[1]);
	r = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	close(requests[0]);
	close(events[1]);
	*helper = (struct filesystem_helper){
		.pid = pid, .requests = requests[1], .events = events[0]};
	/* Only the agent's ends: the helper waits. */
	if (!r && (fcntl(helper->requests, F_SETFL, O_NONBLOCK) ||
		   fcntl(helper->events, F_SETFL, O_NONBLOCK)))
		r = -errno;
	if (pid < 0) {
		close(helper->requests);
		close(helper->events);
		*helper = (struct filesystem_helper){0};
	}
	return r;
}

int filesystem_helper_ask(struct filesystem_helper *helper,
			  const struct filesystem_request *request)
{
	if (write(helper->requests, request, sizeof(*request)) == sizeof(*request))
		return 0;
	return errno == EAGAIN ? -EBUSY : -errno;
}

int filesystem_helper_read(struct filesystem_helper *helper, struct filesystem_event *ret_event)
{
	ssize_t count = read(helper->events, ret_event, sizeof(*ret_event));

	if (count == sizeof(*ret_event))
		return 1;
	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return count < 0 ? -errno : -EPIPE;
}

pid_t filesystem_helper_kill(struct filesystem_helper *helper)
{
	pid_t pid = helper->pid;

	if (!pid)
		return 0;
	(void)kill(pid, SIGKILL);
	close(helper->requests);
	close(helper->events);
	*helper = (struct filesystem_helper){0};
	return pid;
}
