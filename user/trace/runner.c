// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "trace/runner.h"

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/memory.h"
#include "probe/feature.h"
#include "probe/kernel_types.h"
#include "trace/aggregate.h"
#include "trace/prepare.h"
#include "trace/render.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct run {
	const struct trace_options *options;
	const struct trace *trace;
	struct object *object;
	struct names *names;
	struct renderer renderer;
	int epoll, signals, interval, duration;
	uint64_t shown, intervals;
	bool ended;
};

/* What woke the loop. */
enum source { SOURCE_SIGNAL, SOURCE_DURATION, SOURCE_INTERVAL, SOURCE_EVENTS, SOURCE_OUTPUT };

static int watch(struct run *run, int fd, enum source source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = source};

	if (fd < 0)
		return 0;
	/* Regular files cannot be watched, and need not be. */
	return epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) && errno != EPERM ? -errno : 0;
}

static int open_timer(uint64_t first_ns, uint64_t every_ns)
{
	const struct itimerspec time = {
		.it_value = {(time_t)(first_ns / NS_PER_S), (long)(first_ns % NS_PER_S)},
		.it_interval = {(time_t)(every_ns / NS_PER_S), (long)(every_ns % NS_PER_S)},
	};
	int fd;

	if (!first_ns)
		return -1;
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0 && timerfd_settime(fd, 0, &time, NULL)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ^C and SIGTERM are read in the loop. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -1;
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* A second ^C ends a run that hangs. */
static void release_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int open_loop(struct run *run)
{
	const struct trace_options *options = run->options;
	int r;

	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	run->signals = open_signals();
	run->interval = open_timer(options->interval_ns, options->interval_ns);
	run->duration = open_timer(options->duration_ns, 0);
	if (run->epoll < 0 || run->signals < 0 || (options->interval_ns && run->interval < 0) ||
	    (options->duration_ns && run->duration < 0))
		return -errno;
	r = watch(run, run->signals, SOURCE_SIGNAL, EPOLLIN);
	if (!r)
		r = watch(run, run->duration, SOURCE_DURATION, EPOLLIN);
	if (!r)
		r = watch(run, run->interval, SOURCE_INTERVAL, EPOLLIN);
	if (!r)
		r = watch(run, object_events_fd(run->object), SOURCE_EVENTS, EPOLLIN);
	/* A reader that goes away is an error that is always reported. */
	if (!r)
		r = watch(run, STDOUT_FILENO, SOURCE_OUTPUT, 0);
	return r;
}

/* -EPIPE when nobody reads any more, which is no failure; another errno when it cannot be written.
 */
static int output_error(const struct run *run)
{
	if (!ferror(run->renderer.stream))
		return 0;
	return errno == EPIPE || !errno ? -EPIPE : -errno;
}

static int flush_output(const struct run *run)
{
	errno = 0;
	return fflush(run->renderer.stream) && errno != EPIPE ? -errno : output_error(run);
}

static int on_event(void *context, const void *data, size_t size)
{
	struct run *run = context;
	const struct part part = {&run->trace->event, data};
	const struct event *event = data;

	if (size < run->trace->event_bytes)
		return 0;
	render_line(&run->renderer, event->time_ns, &part, 1);
	run->shown++;
	return output_error(run);
}

static int show_interval(struct run *run)
{
	uint64_t now_ns = clock_monotonic_ns();
	int r = 0;

	if (run->trace->polls)
		r = object_iterate(run->object);
	if (!r && run->options->mode != TRACE_MODE_EVENTS)
		r = aggregate_show(run->object, run->options, &run->renderer, now_ns, &run->shown);
	run->intervals++;
	if (run->options->count && run->intervals >= run->options->count)
		run->ended = true;
	return r;
}

static int take(struct run *run, enum source source)
{
	struct signalfd_siginfo signal;
	uint64_t expirations;

	switch (source) {
	case SOURCE_EVENTS: {
		int r = object_events_consume(run->object, on_event, run);

		return r < 0 ? r : 0;
	}
	case SOURCE_INTERVAL:
		if (read(run->interval, &expirations, sizeof(expirations)) < 0)
			return errno == EAGAIN ? 0 : -errno;
		return show_interval(run);
	case SOURCE_OUTPUT:
		return -EPIPE;
	case SOURCE_SIGNAL:
		/* Taken, or it would be delivered when it is unblocked. */
		if (read(run->signals, &signal, sizeof(signal)) < 0)
			return errno == EAGAIN ? 0 : -errno;
		run->ended = true;
		return 0;
	default:
		run->ended = true;
		return 0;
	}
}

static int loop(struct run *run)
{
	struct epoll_event events[8];
	int r = 0;

	while (!r && !run->ended) {
		int count = epoll_wait(run->epoll, events, 8, -1);

		if (count < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < count && !r; i++)
			r = take(run, (enum source)events[i].data.u32);
		if (!r)
			r = flush_output(run);
	}
	return r;
}

/* What is left when all programs are off: nothing is added any more. */
static int finish(struct run *run)
{
	int r = 0;

	release_signals();
	if (run->trace->polls)
		r = object_iterate(run->object);
	object_detach(run->object);
	if (r)
		return r;
	if (run->options->mode == TRACE_MODE_EVENTS) {
		r = object_events_consume(run->object, on_event, run);
		r = r < 0 ? r : 0;
	} else if (!run->options->count || run->intervals < run->options->count) {
		r = show_interval(run);
	}
	return r;
}

static void print_summary(const struct run *run)
{
	const char *what = run->options->mode == TRACE_MODE_EVENTS ? "events" : "rows";
	struct trace_counters counters = object_counters(run->object);

	fprintf(stderr,
		"tocsin trace %s: %" PRIu64 " %s shown, %" PRIu64 " events lost, %" PRIu64
		" updates lost because a map was full, %" PRIu64
		" hooks missed because a program interrupted itself",
		run->trace->name, run->shown, what, (uint64_t)counters.events_lost,
		(uint64_t)counters.updates_lost, object_runs_missed(run->object));
	if (run->trace->count_pending)
		fprintf(stderr, ", %" PRIu64 " not ended", run->trace->count_pending(run->object));
	fputc('\n', stderr);
}

static void print_banner(const struct run *run, const struct program_status *statuses)
{
	const struct trace *trace = run->trace;

	fprintf(stderr, "tocsin trace %s: %s; ^C ends it\n", trace->name, trace->summary);
	for (size_t i = 0; i < trace->program_count; i++) {
		if (!statuses[i].attached)
			fprintf(stderr, "tocsin trace %s: without %s (%s): %s\n", trace->name,
				trace->programs[i].purpose, trace->programs[i].hook,
				statuses[i].reason);
		else if (run->options->verbose)
			fprintf(stderr, "tocsin trace %s: attached %s: %s\n", trace->name,
				trace->programs[i].hook, trace->programs[i].purpose);
	}
}

static void print_titles(const struct run *run)
{
	const struct part event = {&run->trace->event, NULL};

	if (run->options->mode == TRACE_MODE_EVENTS)
		render_titles(&run->renderer, &event, 1);
	else
		aggregate_titles(run->options, &run->renderer);
}

int trace_run(const struct trace_options *options)
{
	struct program_status statuses[PROGRAMS_MAX];
	const char *capabilities = feature_missing_capabilities();
	struct run run = {
		.options = options,
		.trace = options->trace,
		.epoll = -1,
		.signals = -1,
		.interval = -1,
		.duration = -1,
	};
	char reason[512] = "";
	struct text error = TEXT(reason);
	int r;

	if (capabilities) {
		fprintf(stderr,
			"tocsin trace %s: not permitted without %s; run as root or add what "
			"is missing\n",
			run.trace->name, capabilities);
		return EXIT_FAILED;
	}
	run.names = names_open();
	if (!run.names) {
		fprintf(stderr, "tocsin trace %s: out of memory\n", run.trace->name);
		return EXIT_FAILED;
	}
	/* Flushed after each batch of events; unbuffered does no harm either. */
	(void)setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
	renderer_init(&run.renderer, stdout, options, run.names);
	r = trace_prepare(&run.object, options, statuses, &error);
	if (r) {
		fprintf(stderr, "tocsin trace %s: %s\n", run.trace->name, reason);
		goto out;
	}
	kernel_types_release();
	memory_give_back();
	r = open_loop(&run);
	if (r) {
		fprintf(stderr, "tocsin trace %s: cannot wait for events: %s\n", run.trace->name,
			strerror(-r));
		goto out;
	}
	print_banner(&run, statuses);
	print_titles(&run);
	r = flush_output(&run);
	if (!r)
		r = loop(&run);
	if (!r)
		r = finish(&run);
	if (!r)
		r = flush_output(&run);
	/* `| head` has seen enough: that is no failure, and nobody reads a summary. */
	if (r == -EPIPE)
		r = 0;
	else if (r)
		fprintf(stderr, "tocsin trace %s: ended early: %s\n", run.trace->name,
			strerror(-r));
	print_summary(&run);

out:
	object_close(run.object);
	names_close(run.names);
	for (size_t i = 0; i < 4; i++) {
		const int fds[4] = {run.epoll, run.signals, run.interval, run.duration};

		if (fds[i] >= 0)
			close(fds[i]);
	}
	return r ? EXIT_FAILED : EXIT_DONE;
}
