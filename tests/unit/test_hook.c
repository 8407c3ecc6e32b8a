// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "isolate/hook.h"

#include "base/clock.h"
#include "unit/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS	     8000
#define SHORT_MS     150
#define SLACK_MS     400 /* of a busy machine */
#define DOCUMENT_BIG 65536
#define FILES	     64

struct told {
	struct hook_result result;
	char output[HOOK_OUTPUT_BYTES_MAX + 1];
	unsigned int times;
};

struct bench {
	uv_loop_t loop;
	struct hook_runner *runner;
	char directory[64];
	struct told told[HOOK_RUNNING_MAX];
};

static void on_done(void *context, const struct hook_result *result)
{
	struct told *told = context;

	told->result = *result;
	told->times++;
	memcpy(told->output, result->output, result->output_bytes);
	told->output[result->output_bytes] = '\0';
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	*state = bench;
	snprintf(bench->directory, sizeof(bench->directory), "/tmp/tocsin-hook-XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	assert_int_equal(uv_loop_init(&bench->loop), 0);
	assert_int_equal(hook_open(&bench->runner, &bench->loop), 0);
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	char command[128];

	hook_cancel(bench->runner);
	loop_end(&bench->loop);
	snprintf(command, sizeof(command), "rm -r %s", bench->directory);
	assert_int_equal(system(command), 0);
	free(bench);
	return 0;
}

static void start(struct bench *bench, unsigned int index, const char *const *argv,
		  uint32_t timeout_ms, const char *document)
{
	bench->told[index] = (struct told){0};
	assert_int_equal(
		hook_run(bench->runner, argv, timeout_ms, document, on_done, &bench->told[index]),
		0);
	/* Never from within. */
	assert_int_equal(bench->told[index].times, 0);
}

static void wait_for_all(struct bench *bench)
{
	uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

	while (hook_running(bench->runner)) {
		assert_true(clock_monotonic_ns() < end_ns);
		loop_turn(&bench->loop);
	}
}

static const struct told *run(struct bench *bench, const char *const *argv, uint32_t timeout_ms,
			      const char *document)
{
	start(bench, 0, argv, timeout_ms, document);
	wait_for_all(bench);
	assert_int_equal(bench->told[0].times, 1);
	return &bench->told[0];
}

static const struct told *run_shell(struct bench *bench, const char *script, uint32_t timeout_ms)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};

	return run(bench, argv, timeout_ms, "{}");
}

static void assert_described(const struct told *told, const char *expected)
{
	char words[128] = "";
	struct text text = TEXT(words);

	hook_describe(&told->result, &text);
	assert_string_equal(words, expected);
}

static void test_status(void **state)
{
	static const struct {
		const char *script, *words;
		enum hook_end end;
		int code;
	} cases[] = {
		{"exit 0", "ended with status 0", HOOK_EXITED, 0},
		{"exit 1", "ended with status 1", HOOK_EXITED, 1},
		{"exit 77", "ended with status 77", HOOK_EXITED, 77},
		{"exit 255", "ended with status 255", HOOK_EXITED, 255},
		{"kill -USR1 $$", "was ended by signal 10 (User defined signal 1)", HOOK_SIGNALLED,
		 SIGUSR1},
		{"kill -KILL $$", "was ended by signal 9 (Killed)", HOOK_SIGNALLED, SIGKILL},
		{"kill -PIPE $$", "was ended by signal 13 (Broken pipe)", HOOK_SIGNALLED, SIGPIPE},
	};

	/* What the agent ignores, its hooks do not. */
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct told *told = run_shell(*state, cases[i].script, LONG_MS);

		assert_int_equal(told->result.end, cases[i].end);
		assert_int_equal(told->result.code, cases[i].code);
		assert_int_equal(told->result.output_bytes, 0);
		assert_described(told, cases[i].words);
	}
	signal(SIGPIPE, SIG_DFL);
}

static void test_streams(void **state)
{
	const char *argv[] = {"cat", NULL};
	const struct told *told = run(*state, argv, LONG_MS, "{\"action\":\"isolate\"}");

	assert_string_equal(told->output, "{\"action\":\"isolate\"}");
	told = run_shell(*state, "echo out; echo err >&2; echo again; echo last >/dev/stderr",
			 LONG_MS);
	assert_string_equal(told->output, "out\nerr\nagain\nlast\n");
	assert_false(told->result.output_truncated);
}

static void test_arguments(void **state)
{
	const char *argv[] = {"/usr/bin/printf", "[%s]", "a b", "$HOME;`id`", "", "\"'\\*", NULL};

	assert_string_equal(run(*state, argv, LONG_MS, "")->output, "[a b][$HOME;`id`][][\"'\\*]");
}

static void test_environment(void **state)
{
	const char *argv[] = {"env", NULL};
	const char *list[] = {"ls", "/proc/self/fd", NULL};
	const struct told *told;

	assert_int_equal(setenv("TOCSIN_SECRET", "1", 1), 0);
	assert_string_equal(run(*state, argv, LONG_MS, "")->output,
			    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	/* What this test was started with is not to be seen. */
	assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	/* Nothing is open beside the streams, and the directory that is being listed. */
	assert_string_equal(run(*state, list, LONG_MS, "")->output, "0\n1\n2\n3\n");
	/* A session and a group of its own, in the root. */
	told = run_shell(*state,
			 "set -- $(cat /proc/$$/stat); [ $5 = $$ ] && [ $6 = $$ ] && "
			 "[ \"$(pwd)\" = / ]",
			 LONG_MS);
	assert_int_equal(told->result.end, HOOK_EXITED);
	assert_int_equal(told->result.code, 0);
}

/* The agent may go before others; what it starts does not. */
static void test_priority(void **state)
{
	const char *script = "sleep 0.1; nice";
	int before = getpriority(PRIO_PROCESS, 0);

	if (setpriority(PRIO_PROCESS, 0, before - 5)) {
		print_message("not allowed to raise its own priority\n");
		skip();
	}
	assert_string_equal(run_shell(*state, script, LONG_MS)->output, "0\n");
	assert_int_equal(setpriority(PRIO_PROCESS, 0, before), 0);
}

static void test_output_cut(void **state)
{
	static const struct {
		const char *script;
		size_t bytes;
		bool truncated;
	} cases[] = {
		{"printf '%4095s' x", 4095, false},
		{"printf '%4096s' x", 4096, false},
		{"printf '%4097s' x", 4096, true},
		{"printf '%2000s' x; sleep 0.05; printf '%2000s' x; sleep 0.05; printf '%2000s' x",
		 4096, true},
		{"head -c 1000000 /dev/zero", 4096, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct told *told = run_shell(*state, cases[i].script, LONG_MS);

		assert_int_equal(told->result.output_bytes, cases[i].bytes);
		assert_int_equal(told->result.output_truncated, cases[i].truncated);
		assert_int_equal(told->result.end, HOOK_EXITED);
		assert_int_equal(told->result.code, 0);
	}
}

/* The document is there as a whole, whoever reads it and however late. */
static void test_document(void **state)
{
	const char *late[] = {"/bin/sh", "-c", "sleep 0.1; wc -c; cat", NULL};
	const char *closed[] = {"/bin/sh", "-c", "exec <&-; sleep 0.1; exit 3", NULL};
	const char *nothing[] = {"true", NULL};
	const char *changed[] = {"/bin/sh", "-c", "echo x >/dev/stdin; cat", NULL};
	char *document = malloc(DOCUMENT_BIG + 1);
	const struct told *told;

	assert_non_null(document);
	memset(document, '7', DOCUMENT_BIG);
	document[DOCUMENT_BIG] = '\0';
	/* A SIGPIPE would end this test. */
	signal(SIGPIPE, SIG_DFL);
	assert_string_equal(run(*state, late, LONG_MS, document)->output, "65536\n");
	told = run(*state, closed, LONG_MS, document);
	assert_int_equal(told->result.code, 3);
	assert_int_equal(run(*state, nothing, LONG_MS, document)->result.code, 0);
	assert_int_equal(run(*state, changed, LONG_MS, "{}")->result.end, HOOK_EXITED);
	free(document);
}

static void assert_not_started(struct bench *bench, const char *program, int code,
			       const char *words)
{
	const char *argv[] = {program, NULL};
	const struct told *told = run(bench, argv, LONG_MS, "{}");

	assert_int_equal(told->result.end, HOOK_NOT_STARTED);
	assert_int_equal(told->result.code, code);
	assert_described(told, words);
}

static void test_not_started(void **state)
{
	struct bench *bench = *state;
	const char *none[] = {NULL}, *empty[] = {"", NULL};
	char path[128];
	int fd;

	assert_not_started(bench, "/nonexistent/hook", -ENOENT,
			   "could not be started: No such file or directory");
	assert_not_started(bench, "tocsin-no-such-hook", -ENOENT,
			   "could not be started: No such file or directory");
	snprintf(path, sizeof(path), "%s/hook", bench->directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	close(fd);
	assert_not_started(bench, path, -EACCES, "could not be started: Permission denied");
	assert_not_started(bench, bench->directory, -EACCES,
			   "could not be started: Permission denied");
	assert_int_equal(hook_run(bench->runner, none, LONG_MS, "", on_done, &bench->told[0]),
			 -EINVAL);
	assert_int_equal(hook_run(bench->runner, empty, LONG_MS, "", on_done, &bench->told[0]),
			 -EINVAL);
}

static pid_t read_pid(const struct bench *bench, const char *name)
{
	char path[128];
	int pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", bench->directory, name);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

/* A grandchild's end is seen by nobody here: its new parent may take its time to reap it. */
static bool alive(pid_t pid)
{
	char path[64], state = 'X';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	fclose(file);
	return state != 'Z' && state != 'X';
}

static void assert_ends(pid_t pid)
{
	uint64_t end_ns = clock_monotonic_ns() + LOOP_LIMIT_NS;

	while (alive(pid)) {
		assert_true(clock_monotonic_ns() < end_ns);
		usleep(1000);
	}
}

static void assert_times_out(struct bench *bench, const char *format, uint64_t more_ms)
{
	const struct told *told;
	char script[512];

	snprintf(script, sizeof(script), format, bench->directory, bench->directory);
	told = run_shell(bench, script, SHORT_MS);
	assert_int_equal(told->result.end, HOOK_TIMED_OUT);
	assert_in_range(told->result.duration_ms, SHORT_MS + more_ms,
			SHORT_MS + more_ms + SLACK_MS);
	assert_described(told, "did not end within 150 ms and was killed");
	assert_ends(read_pid(bench, "self"));
	assert_ends(read_pid(bench, "below"));
}

static void test_timeout(void **state)
{
	/* Both end by SIGTERM. */
	assert_times_out(*state, "echo $$ >%s/self; sleep 60 & echo $! >%s/below; wait", 0);
	/* Neither does. */
	assert_times_out(*state,
			 "trap '' TERM; echo $$ >%s/self; sh -c 'while :; do sleep 0.1; done' & "
			 "echo $! >%s/below; while :; do sleep 0.1; done",
			 HOOK_GRACE_MS);
	/* Only the one that nobody waits for stays. */
	assert_times_out(*state,
			 "echo $$ >%s/self; sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & "
			 "echo $! >%s/below; wait",
			 0);
	/* A flood of output does not hold up the limit. */
	assert_times_out(*state, "echo $$ >%s/self; sleep 60 & echo $! >%s/below; yes", 0);
}

/* What it has written so far is told after a timeout, too. */
static void test_timeout_output(void **state)
{
	const struct told *told = run_shell(*state, "echo so far; sleep 60", SHORT_MS);

	assert_int_equal(told->result.end, HOOK_TIMED_OUT);
	assert_string_equal(told->output, "so far\n");
}

/* The output stays open in a process that has left the group: nothing is waited for any longer. */
static void test_output_held_open(void **state)
{
	struct bench *bench = *state;
	uint64_t start_ns = clock_monotonic_ns();
	const struct told *told;
	char script[256];
	pid_t pid;

	snprintf(script, sizeof(script),
		 "setsid sh -c 'echo $$ >%s/below; echo mine; exec sleep 60' & sleep 0.05; exit 4",
		 bench->directory);
	told = run_shell(bench, script, SHORT_MS * 2);
	pid = read_pid(bench, "below");
	assert_in_range((clock_monotonic_ns() - start_ns) / NS_PER_MS, SHORT_MS * 2,
			SHORT_MS * 2 + SLACK_MS);
	assert_int_equal(told->result.end, HOOK_EXITED);
	assert_int_equal(told->result.code, 4);
	assert_string_equal(told->output, "mine\n");
	/* It has left on purpose. */
	assert_true(alive(pid));
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_several(void **state)
{
	struct bench *bench = *state;
	uint64_t start_ns = clock_monotonic_ns(), turns = 0;
	char scripts[HOOK_RUNNING_MAX][64];
	const char *one_more[] = {"true", NULL};

	for (unsigned int i = 0; i < HOOK_RUNNING_MAX; i++) {
		const char *argv[] = {"/bin/sh", "-c", scripts[i], NULL};

		snprintf(scripts[i], sizeof(scripts[i]), "sleep 0.3; cat; exit %u", i);
		start(bench, i, argv, LONG_MS, scripts[i]);
	}
	assert_int_equal(hook_running(bench->runner), HOOK_RUNNING_MAX);
	assert_int_equal(hook_run(bench->runner, one_more, LONG_MS, "", on_done, NULL), -EBUSY);
	while (hook_running(bench->runner)) {
		loop_turn(&bench->loop);
		turns++;
	}
	/* Side by side, and the loop went on meanwhile. */
	assert_true(clock_monotonic_ns() - start_ns < HOOK_RUNNING_MAX * 300 * NS_PER_MS);
	assert_true(turns > 50);
	for (unsigned int i = 0; i < HOOK_RUNNING_MAX; i++) {
		assert_int_equal(bench->told[i].times, 1);
		assert_int_equal(bench->told[i].result.end, HOOK_EXITED);
		assert_int_equal(bench->told[i].result.code, i);
		assert_string_equal(bench->told[i].output, scripts[i]);
	}
	run_shell(bench, "exit 0", LONG_MS);
}

static void test_cancel(void **state)
{
	struct bench *bench = *state;
	const char *stubborn[] = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done",
				  NULL};
	const char *docile[] = {"sleep", "60", NULL};
	const char *missing[] = {"/nonexistent/hook", NULL};
	uint64_t start_ns;

	start(bench, 0, stubborn, LONG_MS, "");
	start(bench, 1, docile, LONG_MS, "");
	start(bench, 2, missing, LONG_MS, "");
	loop_turn_for(&bench->loop, 50 * NS_PER_MS);
	assert_int_equal(bench->told[2].times, 1);
	start(bench, 3, missing, LONG_MS, "");
	hook_cancel(bench->runner);
	bench->runner = NULL;
	start_ns = clock_monotonic_ns();
	assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
	assert_in_range((clock_monotonic_ns() - start_ns) / NS_PER_MS, 0, HOOK_GRACE_MS + SLACK_MS);
	assert_int_equal(bench->told[0].times, 0);
	assert_int_equal(bench->told[1].times, 0);
	assert_int_equal(bench->told[3].times, 0);
}

static void cancel_when_done(void *context, const struct hook_result *result)
{
	struct bench *bench = context;

	(void)result;
	hook_cancel(bench->runner);
	bench->runner = NULL;
}

static void test_cancel_when_done(void **state)
{
	struct bench *bench = *state;
	const char *argv[] = {"true", NULL};

	assert_int_equal(hook_run(bench->runner, argv, LONG_MS, "", cancel_when_done, bench), 0);
	assert_int_equal(uv_run(&bench->loop, UV_RUN_DEFAULT), 0);
	assert_null(bench->runner);
}

static unsigned int open_files(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < FILES * 2; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Without descriptors it says so, and nothing is lost of those there are. */
static void test_no_descriptors(void **state)
{
	struct bench *bench = *state;
	const char *argv[] = {"true", NULL};
	struct rlimit before, limit;
	int fillers[FILES], filler_count = 0;

	(void)run(bench, argv, LONG_MS, "");
	while (open_files() < FILES)
		fillers[filler_count++] = fcntl(0, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (unsigned int more = 0; more < 8; more++) {
		const struct told *told = &bench->told[0];
		int r;

		bench->told[0] = (struct told){0};
		limit = (struct rlimit){FILES + more, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		r = hook_run(bench->runner, argv, LONG_MS, "", on_done, &bench->told[0]);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		wait_for_all(bench);
		/* The document and two ends of a pipe; then what uv_spawn() itself needs. */
		assert_int_equal(r, more < 3 ? -EMFILE : 0);
		assert_int_equal(told->times, r ? 0 : 1);
		if (more == 3) {
			assert_int_equal(told->result.end, HOOK_NOT_STARTED);
			assert_int_equal(told->result.code, -EMFILE);
		}
		if (more == 7)
			assert_int_equal(told->result.end, HOOK_EXITED);
		assert_int_equal(open_files(), FILES);
	}
	while (filler_count)
		close(fillers[--filler_count]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_streams, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_arguments, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_priority, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_output_cut, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_document, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_started, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_timeout, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_timeout_output, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_output_held_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel_when_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_descriptors, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
