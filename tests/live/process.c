// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/process.h"

#include "base/clock.h"

#include <bpf/bpf.h>
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	     (15 * NS_PER_S)
#define POLL_US	     2000
#define CHILD_FAILED 120 /* exit code of a child that could not become the program */

static const char *program_path(char path[static PATH_MAX])
{
	const char *build = getenv("BUILD");

	snprintf(path, PATH_MAX, "%s/tocsin", build ? build : "build");
	return path;
}

const char *process_obstacle(void)
{
	char path[PATH_MAX];

	if (rig_obstacle())
		return rig_obstacle();
	if (access(program_path(path), X_OK))
		return "the program is not built ($BUILD/tocsin)";
	return NULL;
}

static bool limit(int resource, rlim_t value)
{
	const struct rlimit limits = {value, value};

	return !setrlimit(resource, &limits);
}

static bool mount_full(const char *directory)
{
	static const char zeros[4096];
	char path[PATH_MAX];
	int fd;

	if (mount("tmpfs", directory, "tmpfs", 0, "size=64k"))
		return false;
	snprintf(path, sizeof(path), "%s/filler", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	return errno == ENOSPC;
}

/* Mounts are the child's own: nobody else sees them. */
static bool change_mounts(const struct process_options *options)
{
	const char *directory = options->directory;

	if (!options->no_btf && !options->no_cgroups && options->mount == PROCESS_MOUNT_NONE)
		return true;
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    (options->no_btf && mount("tmpfs", "/sys/kernel/btf", "tmpfs", 0, NULL)) ||
	    (options->no_cgroups && umount2("/sys/fs/cgroup", MNT_DETACH)))
		return false;
	switch (options->mount) {
	case PROCESS_MOUNT_READ_ONLY:
		return !mount(directory, directory, NULL, MS_BIND, NULL) &&
		       !mount(NULL, directory, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
	case PROCESS_MOUNT_FULL:
		return mount_full(directory);
	default:
		return true;
	}
}

/* All but the standard streams; CLOSE_RANGE_CLOEXEC is there since Linux 5.11. */
static bool keep_streams_only(void)
{
	const long limit = sysconf(_SC_OPEN_MAX);

	if (!close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC))
		return true;
	for (int fd = STDERR_FILENO + 1; fd < limit; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) && errno != EBADF)
			return false;
	return limit > 0;
}

static bool change_streams(const struct process_options *options, int output, int log)
{
	int input = open("/dev/null", O_RDONLY);

	if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(log, STDERR_FILENO) < 0)
		return false;
	if (options->full_output) {
		output = open("/dev/full", O_WRONLY);
		if (output < 0 || dup2(output, STDOUT_FILENO) < 0)
			return false;
	}
	/* Nothing of the test's own is to reach the program. */
	return keep_streams_only();
}

/* As a service manager gives them to a service that is not root. */
static bool set_capabilities(uint64_t wanted)
{
	cap_t set = cap_init();
	bool done = set != NULL;

	for (cap_value_t i = 0; done && i < cap_max_bits(); i++) {
		if (!(wanted & UINT64_C(1) << i))
			continue;
		done = !cap_set_flag(set, CAP_PERMITTED, 1, &i, CAP_SET) &&
		       !cap_set_flag(set, CAP_EFFECTIVE, 1, &i, CAP_SET) &&
		       !cap_set_flag(set, CAP_INHERITABLE, 1, &i, CAP_SET);
	}
	done = done && !cap_set_proc(set);
	for (cap_value_t i = 0; done && i < cap_max_bits(); i++)
		if (wanted & UINT64_C(1) << i)
			done = !cap_set_ambient(i, CAP_SET);
	cap_free(set);
	return done;
}

static bool bound_capabilities(uint64_t wanted)
{
	for (cap_value_t i = 0; i < cap_max_bits(); i++)
		if (!(wanted & UINT64_C(1) << i) && cap_drop_bound(i))
			return false;
	return true;
}

static bool change_privileges(const struct process_options *options)
{
	if (options->files && !limit(RLIMIT_NOFILE, options->files))
		return false;
	if (options->no_memlock && !limit(RLIMIT_MEMLOCK, 0))
		return false;
	if (!options->user)
		return true;
	if (options->capabilities &&
	    (!bound_capabilities(options->capabilities) || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)))
		return false;
	return !setgroups(0, NULL) && !setresgid(options->user, options->user, options->user) &&
	       !setresuid(options->user, options->user, options->user) &&
	       (!options->capabilities || set_capabilities(options->capabilities));
}

/* In the child: becomes the program, or says why not by its exit code. */
static void become(const struct rig *rig, const struct process_options *options, int output,
		   int log)
{
	char *arguments[PROCESS_ARGUMENTS_MAX + 2] = {"tocsin"};
	char path[PATH_MAX];
	int program;

	for (size_t i = 0; i < PROCESS_ARGUMENTS_MAX && options->arguments[i]; i++)
		arguments[i + 1] = (char *)options->arguments[i];
	/* Opened first: another user may not reach the directory that it lies in. */
	program = open(program_path(path), O_PATH | O_CLOEXEC);
	signal(SIGPIPE, SIG_DFL);
	if (program < 0 || setns(rig->namespaces[options->side], CLONE_NEWNET) ||
	    !change_mounts(options) || !change_streams(options, output, log) ||
	    !change_privileges(options) || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(CHILD_FAILED);
	if (options->no_streams)
		(void)close_range(STDIN_FILENO, STDERR_FILENO, 0);
	execveat(program, "", arguments, environ, AT_EMPTY_PATH);
	/* Debian's 5.10 finds no program by an empty path. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
	execve(path, arguments, environ);
	_exit(CHILD_FAILED);
}

void process_start(struct process *process, const struct rig *rig,
		   const struct process_options *options)
{
	int output[2], log[2];

	process_discard(process);
	process->output = calloc(2, PROCESS_OUTPUT_BYTES);
	assert_non_null(process->output);
	process->log = process->output + PROCESS_OUTPUT_BYTES;
	assert_int_equal(pipe2(output, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(pipe2(log, O_CLOEXEC | O_NONBLOCK), 0);
	/* What cmocka has buffered must not be printed twice. */
	fflush(NULL);
	process->pid = fork();
	assert_true(process->pid >= 0);
	if (!process->pid) {
		/* Blocking, as pipes of a shell are. */
		(void)fcntl(output[1], F_SETFL, 0);
		(void)fcntl(log[1], F_SETFL, 0);
		if (options->broken_output)
			close(output[0]);
		if (options->broken_log)
			close(log[0]);
		become(rig, options, output[1], log[1]);
	}
	close(output[1]);
	close(log[1]);
	process->output_fd = output[0];
	process->log_fd = log[0];
	if (options->broken_output) {
		close(output[0]);
		process->output_fd = -1;
	}
	if (options->broken_log) {
		close(log[0]);
		process->log_fd = -1;
	}
}

static void read_stream(int fd, char *buffer, size_t *bytes)
{
	ssize_t count;

	if (fd < 0)
		return;
	do {
		size_t room = PROCESS_OUTPUT_BYTES - 1 - *bytes;

		if (!room)
			fail_msg("more than %d bytes of output", PROCESS_OUTPUT_BYTES);
		count = read(fd, buffer + *bytes, room);
		if (count > 0)
			*bytes += (size_t)count;
	} while (count > 0);
}

void process_read(struct process *process)
{
	read_stream(process->output_fd, process->output, &process->output_bytes);
	read_stream(process->log_fd, process->log, &process->log_bytes);
}

const char *process_expect_log(struct process *process, const char *words)
{
	static char line[8192];
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;

	for (;;) {
		char *found, *start, *end;

		process_read(process);
		found = strstr(process->log + process->log_seen, words);
		end = found ? strchr(found, '\n') : NULL;
		if (end) {
			for (start = found; start > process->log && start[-1] != '\n';)
				start--;
			snprintf(line, sizeof(line), "%.*s", (int)(end - start), start);
			process->log_seen = (size_t)(end + 1 - process->log);
			return line;
		}
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("waited 15 s in vain for '%s' in the log, which has:\n%s", words,
				 process->log + process->log_seen);
		usleep(POLL_US);
	}
}

bool process_logged(struct process *process, const char *words)
{
	process_read(process);
	return strstr(process->log, words);
}

unsigned int process_log_lines(struct process *process)
{
	unsigned int lines = 0;

	process_read(process);
	for (const char *c = process->log; *c; c++)
		lines += *c == '\n';
	return lines;
}

void process_signal(const struct process *process, int number)
{
	assert_true(process->pid > 0);
	assert_int_equal(kill(process->pid, number), 0);
}

int process_wait(struct process *process)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	int status = 0;
	pid_t ended;

	assert_true(process->pid > 0);
	while (!(ended = waitpid(process->pid, &status, WNOHANG))) {
		process_read(process);
		if (clock_monotonic_ns() > deadline_ns)
			fail_msg("it does not end; its log:\n%s", process->log);
		usleep(POLL_US);
	}
	assert_int_equal(ended, process->pid);
	process->pid = 0;
	process_read(process);
	if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FAILED)
		fail_msg("the program could not be started this way");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int process_run(struct process *process, const struct rig *rig,
		const struct process_options *options)
{
	process_start(process, rig, options);
	return process_wait(process);
}

void process_discard(struct process *process)
{
	if (process->pid > 0) {
		kill(process->pid, SIGKILL);
		waitpid(process->pid, NULL, 0);
	}
	if (process->output) {
		if (process->output_fd >= 0)
			close(process->output_fd);
		if (process->log_fd >= 0)
			close(process->log_fd);
		free(process->output);
	}
	*process = (struct process){.output_fd = -1, .log_fd = -1};
}

/* Both programs and links name the program; each is counted once. */
static size_t note_program(const char *path, uint32_t ids[], size_t count)
{
	FILE *file = fopen(path, "re");
	char line[256];
	uint32_t id;

	/* A descriptor that has been closed meanwhile. */
	if (!file)
		return count;
	while (fgets(line, sizeof(line), file)) {
		bool known = false;

		if (sscanf(line, "prog_id: %" SCNu32, &id) != 1)
			continue;
		for (size_t i = 0; i < count; i++)
			known |= ids[i] == id;
		if (!known && count < PROCESS_PROGRAMS_MAX)
			ids[count++] = id;
	}
	fclose(file);
	return count;
}

size_t process_bpf_programs(const struct process *process, uint32_t ids[PROCESS_PROGRAMS_MAX])
{
	char path[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", process->pid);
	directory = opendir(path);
	assert_non_null(directory);
	while ((entry = readdir(directory))) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", process->pid, entry->d_name);
		if (entry->d_name[0] != '.')
			count = note_program(path, ids, count);
	}
	closedir(directory);
	return count;
}

struct unloading {
	const uint32_t *ids;
	size_t count;
};

static bool all_unloaded(void *context)
{
	const struct unloading *unloading = context;

	for (size_t i = 0; i < unloading->count; i++) {
		int fd = bpf_prog_get_fd_by_id(unloading->ids[i]);

		if (fd >= 0) {
			close(fd);
			return false;
		}
		assert_int_equal(errno, ENOENT);
	}
	return true;
}

void process_expect_unloaded(const uint32_t *ids, size_t count)
{
	struct unloading unloading = {ids, count};

	rig_wait(all_unloaded, &unloading, "the kernel to unload the agent's programs");
}

uint64_t process_status(const struct process *process, const char *key)
{
	char path[64], line[256];
	size_t length = strlen(key);
	uint64_t value = UINT64_MAX;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", process->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, length) && line[length] == ':')
			value = strtoull(line + length + 1, NULL, 10);
	fclose(file);
	if (value == UINT64_MAX)
		fail_msg("%s has no %s", path, key);
	return value;
}

unsigned int process_open_files(const struct process *process)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *directory;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", process->pid);
	directory = opendir(path);
	assert_non_null(directory);
	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

uint64_t process_cpu_ms(const struct process *process)
{
	unsigned long user, system;
	char path[64], line[1024];
	const char *rest;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", process->pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	rest = strrchr(line, ')');
	assert_non_null(rest);
	assert_int_equal(sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system),
			 2);
	return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

struct body {
	char *data;
	size_t bytes;
};

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct body *body = context;
	size_t bytes = size * count;

	if (bytes > PROCESS_HTTP_BODY_MAX - 1 - body->bytes)
		return 0;
	memcpy(body->data + body->bytes, data, bytes);
	body->bytes += bytes;
	body->data[body->bytes] = '\0';
	return bytes;
}

long process_get(const struct rig *rig, enum side side, const char *url,
		 char body[static PROCESS_HTTP_BODY_MAX])
{
	struct body taken = {.data = body};
	CURL *curl = curl_easy_init();
	long status = 0;

	assert_non_null(curl);
	body[0] = '\0';
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_URL, url), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 5000L), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_PROXY, ""), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taken), CURLE_OK);
	/* A thread's sockets are made in the network namespace that it is in. */
	assert_int_equal(setns(rig->namespaces[side], CLONE_NEWNET), 0);
	if (!curl_easy_perform(curl) && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status))
		status = 0;
	assert_int_equal(setns(rig->home, CLONE_NEWNET), 0);
	curl_easy_cleanup(curl);
	return status;
}

json_t *process_get_status(const struct rig *rig, enum side side, const char *url)
{
	static char body[PROCESS_HTTP_BODY_MAX];
	char full[256];
	json_t *status;

	snprintf(full, sizeof(full), "%s/api/v1/status", url);
	assert_int_equal(process_get(rig, side, full, body), 200);
	status = json_loads(body, 0, NULL);
	assert_true(json_is_object(status));
	return status;
}

const json_t *process_find_peer(const json_t *status, const char *name)
{
	const json_t *peers = json_object_get(status, "peers");

	for (size_t i = 0; i < json_array_size(peers); i++) {
		const json_t *peer = json_array_get(peers, i);

		if (!strcmp(json_string_value(json_object_get(peer, "name")), name))
			return peer;
	}
	return NULL;
}
