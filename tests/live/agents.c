// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/agents.h"

#include <curl/curl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct agents the_agents;

int agents_group_set_up(void **state)
{
	the_agents = (struct agents){0};
	assert_int_equal(curl_global_init(CURL_GLOBAL_DEFAULT), CURLE_OK);
	rig_up(&the_agents.rig);
	*state = &the_agents;
	return 0;
}

int agents_group_tear_down(void **state)
{
	struct agents *agents = *state;

	rig_down(&agents->rig);
	curl_global_cleanup();
	return 0;
}

int agents_set_up(void **state)
{
	struct agents *agents = *state;

	strcpy(agents->directory, "/tmp/tocsin-agent-XXXXXX");
	assert_non_null(mkdtemp(agents->directory));
	/* An agent that is not root reads its configuration here, too. */
	assert_int_equal(chmod(agents->directory, 0755), 0);
	return 0;
}

static int delete (const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

int agents_tear_down(void **state)
{
	struct agents *agents = *state;

	for (size_t i = 0; i < AGENTS_MAX; i++)
		process_discard(&agents->agent[i]);
	process_discard(&agents->other);
	return nftw(agents->directory, delete, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

void agents_configure(struct agents *agents, unsigned int index, const char *format, ...)
{
	char path[160], text[4096];
	va_list arguments;
	FILE *file;

	va_start(arguments, format);
	assert_in_range(vsnprintf(text, sizeof(text), format, arguments), 0, sizeof(text) - 1);
	va_end(arguments);
	snprintf(agents->config[index], sizeof(agents->config[index]), "%s/%u.yaml",
		 agents->directory, index);
	/* Replaced at once, as an editor or a ConfigMap does. */
	snprintf(path, sizeof(path), "%s.new", agents->config[index]);
	file = fopen(path, "we");
	assert_non_null(file);
	fprintf(file, "state_dir: %s/state-%u\n%s%s", agents->directory, index, text,
		strstr(text, "log:") ? "" : "log: {format: json}\n");
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(path, agents->config[index]), 0);
}

struct process_options agents_options(const struct agents *agents, unsigned int index)
{
	return (struct process_options){.arguments = {"agent", "-c", agents->config[index]}};
}

void agents_start(struct agents *agents, unsigned int index, const struct process_options *options)
{
	process_start(&agents->agent[index], &agents->rig, options);
	(void)process_expect_log(&agents->agent[index], "agent started");
}

void agents_stop(struct agents *agents, unsigned int index)
{
	struct process *agent = &agents->agent[index];
	uint32_t programs[PROCESS_PROGRAMS_MAX];
	size_t count = process_bpf_programs(agent, programs);
	int code;

	process_signal(agent, SIGTERM);
	code = process_wait(agent);
	if (code) {
		/* A sanitizer's report is longer than what fail_msg() prints. */
		print_message("%s", agent->log);
		fail_msg("exit code %d after SIGTERM", code);
	}
	(void)process_expect_log(agent, "agent stopped");
	process_expect_unloaded(programs, count);
}

double agents_sample(const struct agents *agents, const char *sample)
{
	size_t length = strlen(sample);

	for (const char *line = agents->body; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, sample, length) && line[length] == ' ')
			return strtod(line + length, NULL);
	}
	return -1;
}

double agents_metric(struct agents *agents, enum side side, const char *url, const char *sample)
{
	char full[256];

	snprintf(full, sizeof(full), "%s/metrics", url);
	assert_int_equal(process_get(&agents->rig, side, full, agents->body), 200);
	return agents_sample(agents, sample);
}

static void test_cannot_run(void **state)
{
	(void)state;
	print_message("%s\n", process_obstacle());
	skip();
}

int agents_skip_all(const char *name)
{
	const struct CMUnitTest none[] = {cmocka_unit_test(test_cannot_run)};

	return cmocka_run_group_tests_name(name, none, NULL, NULL);
}
