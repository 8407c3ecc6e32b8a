// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `tocsin incidents` as its user runs it: on a journal, on none, and on what is none. */
#include "base/clock.h"
#include "report/journal.h"
#include "report/journal_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_BYTES  (1 << 20)
#define ARGUMENTS_MAX 8
#define NOBODY	      65534
#define FIRST_FILE    "journal-00000001.log"

/* How it went. */
struct run {
	int status; /* the exit code, or 128 and the signal */
	char output[OUTPUT_BYTES], log[OUTPUT_BYTES];
};

static struct run last;

static void program_path(char path[static PATH_MAX])
{
	const char *build = getenv("BUILD");

	snprintf(path, PATH_MAX, "%s/tocsin", build ? build : "build");
}

static void read_all(int fd, char text[static OUTPUT_BYTES])
{
	ssize_t length = pread(fd, text, OUTPUT_BYTES - 1, 0);

	assert_true(length >= 0);
	text[length] = '\0';
	close(fd);
}

/* Runs `tocsin incidents` with these words. 'output' stands in for stdout unless it is -1. */
static const struct run *run_with(int output, uid_t user, const char *const arguments[])
{
	int captured = memfd_create("output", MFD_CLOEXEC);
	int log = memfd_create("log", MFD_CLOEXEC), status;
	char path[PATH_MAX];
	pid_t pid;

	assert_true(captured >= 0 && log >= 0);
	program_path(path);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const char *words[ARGUMENTS_MAX + 3] = {"tocsin", "incidents"};

		for (size_t i = 0; arguments[i]; i++)
			words[i + 2] = arguments[i];
		if (dup2(output < 0 ? captured : output, STDOUT_FILENO) < 0 ||
		    dup2(log, STDERR_FILENO) < 0 ||
		    (user && (setgroups(0, NULL) || setgid(user) || setuid(user))))
			_exit(120);
		execv(path, (char **)words);
		_exit(121);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	last.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	read_all(captured, last.output);
	read_all(log, last.log);
	return &last;
}

#define run(...) run_with(-1, 0, (const char *const[]){__VA_ARGS__, NULL})

static void expect(const struct run *got, int status, const char *output, const char *log)
{
	if (got->status != status || !strstr(got->output, output) || !strstr(got->log, log) ||
	    (!*output && *got->output) || (!*log && *got->log))
		fail_msg("exit code %d, expected %d\nstdout:\n%sexpected in it: %s\n"
			 "stderr:\n%sexpected in it: %s",
			 got->status, status, got->output, output, got->log, log);
}

static int make_directory(void **state)
{
	char *path = strdup("/tmp/tocsin-incidents-XXXXXX");

	if (!path || !mkdtemp(path))
		return -1;
	*state = path;
	return 0;
}

static int remove_directory(void **state)
{
	DIR *stream = opendir(*state);
	const struct dirent *entry;

	if (!stream)
		return -1;
	while ((entry = readdir(stream)))
		(void)unlinkat(dirfd(stream), entry->d_name, 0);
	closedir(stream);
	if (rmdir(*state))
		return -1;
	free(*state);
	return 0;
}

static struct journal *open_journal(const char *directory)
{
	struct journal *journal = NULL;
	char message[512] = "";
	struct text error = TEXT(message);

	if (journal_open(&journal, &(struct journal_options){.directory = directory, .node = "n1"},
			 &error))
		fail_msg("%s", message);
	return journal;
}

static void append(struct journal *journal, json_t *record)
{
	assert_int_equal(journal_append(journal, record), 0);
}

/* One incident that is over, with all there is to tell, and one that is open. */
static void fill(const char *directory)
{
	static const char *const n3[] = {"n3"}, *const witnesses[] = {"n1", "n2"};
	struct journal *journal = open_journal(directory);

	append(journal, journal_agent("started", "0.1.0"));
	append(journal, journal_edge("n3", EDGE_HEALTHY, EDGE_UNREACHABLE,
				     "nothing heard for 345 ms", 345 * NS_PER_MS));
	append(journal,
	       journal_verdict(&(struct journal_verdict){.subject = {n3, 1},
							 .class = "node-isolated",
							 .sentence = "2 of 2 do not hear it",
							 .witnesses = {witnesses, 2}}));
	append(journal, journal_decision("n3", true, "the matrix is stable"));
	append(journal, journal_refusal("n3", "freeze", "half of all nodes look bad"));
	append(journal, journal_action("n3", "fence", JOURNAL_DONE, "table inet tocsin"));
	append(journal, journal_edge("n3", EDGE_UNREACHABLE, EDGE_HEALTHY, "heard 3 ms ago", 0));
	append(journal,
	       journal_verdict(&(struct journal_verdict){.subject = {n3, 1}, .class = "healthy"}));
	append(journal, journal_release("n3", "healthy for 30 s"));
	append(journal, journal_finding("disk-slow", "sda", true, "p99 5 times its baseline",
					15 * NS_PER_S));
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
}

static void test_table(void **state)
{
	const struct run *got;

	fill(*state);
	got = run("--state-dir", *state);
	expect(got, 0, "FIRST EVIDENCE ", "");
	expect(got, 0, "  n3       node-isolated   345ms    345ms    34", "");
	expect(got, 0, "ms  recovered\n    2 of 2 do not hear it\n", "");
	expect(got, 0, "    decided to act: the matrix is stable\n", "");
	expect(got, 0, "    refused by freeze: half of all nodes look bad\n", "");
	expect(got, 0, "    fence done: table inet tocsin\n", "");
	expect(got, 0, "  sda      disk-slow       15.0s        -        -  open\n", "");
	expect(got, 0, "\n2 incidents, 1 open; mean time (of how many) to detect 7.6s (2), ", "");
	expect(run("-s", *state), 0, "n3", "");
}

static void test_json(void **state)
{
	json_t *lines[3];
	char *line, *rest;
	size_t count = 0;

	fill(*state);
	expect(run("--json", "--state-dir", *state), 0, "{", "");
	for (line = strtok_r(last.output, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		assert_true(count < 3);
		lines[count] = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(lines[count++]);
	}
	assert_int_equal(count, 3);
	/* The finding began first. */
	assert_string_equal(json_string_value(json_object_get(lines[0], "class")), "disk-slow");
	assert_string_equal(json_string_value(json_object_get(lines[0], "state")), "open");
	assert_string_equal(json_string_value(json_object_get(lines[1], "class")), "node-isolated");
	assert_in_range(json_integer_value(json_object_get(lines[1], "detect_ns")), 345 * NS_PER_MS,
			350 * NS_PER_MS);
	assert_int_equal(json_array_size(json_object_get(lines[1], "witnesses")), 2);
	assert_string_equal(json_string_value(json_object_get(lines[2], "kind")), "totals");
	assert_int_equal(json_integer_value(json_object_get(lines[2], "incidents")), 2);
	assert_int_equal(json_integer_value(json_object_get(lines[2], "open")), 1);
	for (size_t i = 0; i < count; i++)
		json_decref(lines[i]);
}

/* The journal is where the configuration says. */
static void test_configuration(void **state)
{
	char path[PATH_MAX];
	FILE *stream;

	fill(*state);
	snprintf(path, sizeof(path), "%s/tocsin.yaml", (const char *)*state);
	stream = fopen(path, "we");
	assert_non_null(stream);
	fprintf(stream, "state_dir: %s\n", (const char *)*state);
	assert_int_equal(fclose(stream), 0);
	expect(run("-c", path), 0, "n3", "");
	expect(run("--config", path, "-j"), 0, "\"kind\":\"totals\"", "");
}

static void test_nothing_there(void **state)
{
	struct journal *journal;

	expect(run("-s", *state), 0, "", "is empty\n");
	expect(run("-j", "-s", *state), 0, "{\"kind\":\"totals\",\"incidents\":0,", "is empty\n");
	journal = open_journal(*state);
	append(journal, journal_agent("started", "0.1.0"));
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
	expect(run("-s", *state), 0, "", "no incident in the 1 records of the journal in /tmp/");
}

static void store(const char *directory, const char *name, const char *mode, const char *data)
{
	char path[PATH_MAX];
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	stream = fopen(path, mode);
	assert_non_null(stream);
	assert_true(fputs(data, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

static void test_cannot_be_read(void **state)
{
	char path[PATH_MAX];

	expect(run("-s", "/nonexistent/x"), 1, "",
	       "tocsin incidents: /nonexistent/x cannot be opened: No such file or directory; has "
	       "an agent run here?");
	store(*state, FIRST_FILE, "we", "this is something else\n");
	expect(run("-s", *state), 1, "", FIRST_FILE " is no journal of tocsin");
	snprintf(path, sizeof(path), "%s/" FIRST_FILE, (const char *)*state);
	expect(run("-s", path), 1, "", "Not a directory; expected the agent's state_dir");
}

/* Neither the directory nor a file of it may be read by everybody. */
static void test_no_permission(void **state)
{
	const char *const arguments[] = {"-s", *state, NULL};

	if (geteuid()) {
		print_message("needs root, to become another user\n");
		skip();
	}
	fill(*state);
	assert_int_equal(chmod(*state, 0755), 0);
	expect(run_with(-1, NOBODY, arguments), 1, "",
	       FIRST_FILE " cannot be opened: Permission denied; run as root\n");
	assert_int_equal(chmod(*state, 0700), 0);
	expect(run_with(-1, NOBODY, arguments), 1, "",
	       " cannot be opened: Permission denied; run as root\n");
}

/* What is sound is shown, and what is not is told. */
static void test_damaged(void **state)
{
	char path[PATH_MAX];
	int fd;

	fill(*state);
	snprintf(path, sizeof(path), "%s/" FIRST_FILE, (const char *)*state);
	store(*state, FIRST_FILE, "ae", "torn");
	expect(run("-s", *state), 0, "n3",
	       "4 bytes behind the last record are no record: one is being written, or was torn");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, 60), 1);
	close(fd);
	expect(run("-s", *state), 0, "n3", "damaged bytes at offset 24: skipped\n");
}

static void test_usage(void **state)
{
	expect(run("--nonsense"), 2, "", "'--nonsense' is no option");
	expect(run("-s"), 2, "", "'-s' is no option, or lacks its argument");
	expect(run("here"), 2, "", "unexpected argument 'here'");
	expect(run("-s", *state, "-c", "x"), 2, "", "exclude each other");
	expect(run("-c", "/nonexistent.yaml"), 2, "", "/nonexistent.yaml");
	expect(run("--help"), 0, "Usage: tocsin incidents", "");
}

/* | head */
static void test_reader_gone(void **state)
{
	const char *const arguments[] = {"-s", *state, NULL};
	int ends[2], full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	fill(*state);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	expect(run_with(ends[1], 0, arguments), 128 + SIGPIPE, "", "");
	close(ends[1]);
	assert_true(full >= 0);
	expect(run_with(full, 0, arguments), 1, "",
	       "cannot write to standard output: No space left on device\n");
	close(full);
}

/* While an agent is at it. */
static void test_while_written(void **state)
{
	struct journal *journal = open_journal(*state);

	for (int i = 0; i < 200; i++) {
		append(journal, journal_edge("n3", EDGE_HEALTHY, EDGE_UNREACHABLE, "silent", 1));
		append(journal, journal_edge("n3", EDGE_UNREACHABLE, EDGE_HEALTHY, "heard", 0));
		if (i % 20 == 0)
			assert_int_equal(run("-j", "-s", *state)->status, 0);
	}
	while (journal_state(journal).queued_records)
		usleep(1000);
	expect(run("-j", "-s", *state), 0, "{\"kind\":\"totals\",\"incidents\":200,\"open\":0,",
	       "");
	assert_int_equal(journal_close(journal, 10000, NULL), 0);
}

static void test_cannot_run(void **state)
{
	(void)state;
	print_message("the program is not built ($BUILD/tocsin)\n");
	skip();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_table),	  TEST(test_json),	     TEST(test_configuration),
		TEST(test_nothing_there), TEST(test_cannot_be_read), TEST(test_no_permission),
		TEST(test_damaged),	  TEST(test_usage),	     TEST(test_reader_gone),
		TEST(test_while_written),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(test_cannot_run)};
	char path[PATH_MAX];

	program_path(path);
	if (access(path, X_OK))
		return cmocka_run_group_tests_name("incidents", none, NULL, NULL);
	return cmocka_run_group_tests_name("incidents", tests, NULL, NULL);
}
