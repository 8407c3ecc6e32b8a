// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/hook.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* How hard it has been asked to end. */
enum stage { STAGE_RUNNING, STAGE_TERMINATED, STAGE_KILLED };

struct run {
	struct hook_runner *runner;
	struct run *next;
	uv_process_t process;
	uv_pipe_t output;
	uv_timer_t timer;
	pid_t pid; /* of what runs */
	unsigned int open_handles;
	enum stage stage;
	bool exited, output_ended, closing;
	uint64_t start_ns;
	struct hook_result result;
	hook_done done; /* NULL when nobody wants to know any more */
	void *context;
	char kept[HOOK_OUTPUT_BYTES_MAX];
	char rest[HOOK_OUTPUT_BYTES_MAX];
};

struct hook_runner {
	uv_loop_t *loop;
	struct run *runs;
	unsigned int running;
	bool cancelled;
};

int hook_open(struct hook_runner **ret, uv_loop_t *loop)
{
	struct hook_runner *runner = calloc(1, sizeof(*runner));

	if (!runner)
		return -ENOMEM;
	runner->loop = loop;
	*ret = runner;
	return 0;
}

unsigned int hook_running(const struct hook_runner *runner)
{
	return runner->running;
}

static void forget(struct run *run)
{
	struct hook_runner *runner = run->runner;
	struct run **link = &runner->runs;

	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	runner->running--;
	if (runner->cancelled && !runner->running)
		free(runner);
	/* Last, as it may call hook_cancel(). */
	if (run->done)
		run->done(run->context, &run->result);
	free(run);
}

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;

	if (!--run->open_handles)
		forget(run);
}

/* The result stands. */
static void finish(struct run *run)
{
	if (run->closing)
		return;
	run->closing = true;
	if (!run->exited)
		run->result.duration_ms = (clock_monotonic_ns() - run->start_ns) / NS_PER_MS;
	uv_close((uv_handle_t *)&run->process, on_closed);
	uv_close((uv_handle_t *)&run->output, on_closed);
	uv_close((uv_handle_t *)&run->timer, on_closed);
}

static void signal_group(const struct run *run, int number)
{
	/* Its process leads a group; all of that may have ended by now. */
	(void)kill(-run->pid, number);
}

static void on_timer(uv_timer_t *timer);

static void press(struct run *run)
{
	run->stage++;
	signal_group(run, run->stage == STAGE_TERMINATED ? SIGTERM : SIGKILL);
	(void)uv_timer_start(&run->timer, on_timer, HOOK_GRACE_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct run *run = timer->data;

	/* Ended, with its output held open by someone else; or stuck in the kernel. */
	if (run->exited || run->stage == STAGE_KILLED) {
		finish(run);
		return;
	}
	if (run->stage == STAGE_RUNNING)
		run->result.end = HOOK_TIMED_OUT;
	press(run);
}

static void on_exit_status(uv_process_t *process, int64_t status, int number)
{
	struct run *run = process->data;

	run->exited = true;
	run->result.duration_ms = (clock_monotonic_ns() - run->start_ns) / NS_PER_MS;
	if (run->result.end != HOOK_TIMED_OUT)
		run->result.end = number ? HOOK_SIGNALLED : HOOK_EXITED;
	run->result.code = number ?: (int)status;
	/* Now and not later, when the number of the group may be another's. */
	if (run->stage != STAGE_RUNNING)
		signal_group(run, SIGKILL);
	if (run->output_ended)
		finish(run);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
	struct run *run = handle->data;
	size_t room = sizeof(run->kept) - run->result.output_bytes;

	(void)suggested;
	*ret_buffer = room ? uv_buf_init(run->kept + run->result.output_bytes, (unsigned int)room)
			   : uv_buf_init(run->rest, sizeof(run->rest));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct run *run = stream->data;

	if (count > 0) {
		if (buffer->base == run->rest)
			run->result.output_truncated = true;
		else
			run->result.output_bytes += (size_t)count;
	} else if (count < 0) {
		(void)uv_read_stop(stream);
		run->output_ended = true;
		if (run->exited)
			finish(run);
	}
}

/* A file in memory instead of a pipe: written at once whatever its reader does. */
static int open_document(const char *document)
{
	size_t bytes = strlen(document), written = 0;
	int fd = memfd_create("tocsin-hook", MFD_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	while (!r && written < bytes) {
		/* Not write(): the position is to stay at the beginning. */
		ssize_t count = pwrite(fd, document + written, bytes - written, (off_t)written);

		if (count > 0)
			written += (size_t)count;
		else if (count == 0 || errno != EINTR)
			r = count ? -errno : -EIO;
	}
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

static int spawn(struct run *run, const char *const *argv, int input, int output)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = {path, NULL};
	uv_stdio_container_t streams[] = {
		{.flags = UV_INHERIT_FD, .data.fd = input},
		{.flags = UV_INHERIT_FD, .data.fd = output},
		{.flags = UV_INHERIT_FD, .data.fd = output},
	};
	const uv_process_options_t options = {
		.exit_cb = on_exit_status,
		.file = argv[0],
		.args = (char **)argv,
		.env = environment,
		.cwd = "/",
		.flags = UV_PROCESS_DETACHED,
		.stdio_count = sizeof(streams) / sizeof(*streams),
		.stdio = streams,
	};
	int r = uv_spawn(run->runner->loop, &run->process, &options);

	if (r)
		return r;
	run->pid = run->process.pid;
	/* The agent's own precedence is not for what it starts. */
	(void)setpriority(PRIO_PROCESS, (id_t)run->pid, 0);
	return 0;
}

/* From here on the loop has a hold on it, and every way leads to forget(). */
static void start(struct run *run, const char *const *argv, int input, const int output[2])
{
	uv_loop_t *loop = run->runner->loop;
	int r;

	/* These only fail for what is not done here. */
	(void)uv_timer_init(loop, &run->timer);
	(void)uv_pipe_init(loop, &run->output, 0);
	run->open_handles = 3;
	run->process.data = run->output.data = run->timer.data = run;
	run->start_ns = clock_monotonic_ns();
	r = uv_pipe_open(&run->output, output[0]);
	if (r)
		close(output[0]);
	/* In any case, as this is what makes a handle of it. */
	r = spawn(run, argv, input, output[1]) ?: r;
	if (run->pid) {
		uv_update_time(loop);
		(void)uv_timer_start(&run->timer, on_timer, run->result.timeout_ms, 0);
		run->output_ended =
			r || uv_read_start((uv_stream_t *)&run->output, on_allocate, on_read);
	} else {
		run->result.end = HOOK_NOT_STARTED;
		run->result.code = r;
		finish(run);
	}
}

int hook_run(struct hook_runner *runner, const char *const *argv, uint32_t timeout_ms,
	     const char *document, hook_done done, void *context)
{
	int output[2] = {-1, -1}, input = -1, r = 0;
	struct run *run = NULL;

	if (!argv[0] || !*argv[0])
		return -EINVAL;
	if (runner->running >= HOOK_RUNNING_MAX)
		return -EBUSY;
	input = open_document(document);
	if (input < 0)
		return input;
	if (pipe2(output, O_CLOEXEC)) {
		r = -errno;
		goto out;
	}
	run = calloc(1, sizeof(*run));
	if (!run) {
		close(output[0]);
		r = -ENOMEM;
		goto out;
	}
	run->runner = runner;
	run->done = done;
	run->context = context;
	run->result.output = run->kept;
	run->result.timeout_ms = timeout_ms;
	run->next = runner->runs;
	runner->runs = run;
	runner->running++;
	start(run, argv, input, output);
out:
	if (output[1] >= 0)
		close(output[1]);
	close(input);
	return r;
}

void hook_cancel(struct hook_runner *runner)
{
	if (!runner)
		return;
	runner->cancelled = true;
	for (struct run *run = runner->runs; run; run = run->next) {
		run->done = NULL;
		if (run->exited)
			finish(run);
		else if (!run->closing && run->stage == STAGE_RUNNING)
			press(run);
	}
	if (!runner->running)
		free(runner);
}

void hook_describe(const struct hook_result *result, struct text *text)
{
	switch (result->end) {
	case HOOK_EXITED:
		text_printf(text, "ended with status %d", result->code);
		break;
	case HOOK_SIGNALLED:
		text_printf(text, "was ended by signal %d (%s)", result->code,
			    strsignal(result->code));
		break;
	case HOOK_TIMED_OUT:
		text_printf(text, "did not end within %u ms and was killed", result->timeout_ms);
		break;
	case HOOK_NOT_STARTED:
		text_printf(text, "could not be started: %s", strerror(-result->code));
		break;
	}
}
