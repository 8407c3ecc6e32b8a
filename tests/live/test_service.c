// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The agent and the service manager that started it: readiness, reload, watchdog, end. */
#include "base/clock.h"
#include "live/agents.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS	      15000
#define WATCHDOG_MS   600
#define WATCHDOG_USEC "600000"

/* The service manager's end. */
struct manager {
	int fd;
	char said[256]; /* last */
};

/* In the agent's network namespace: abstract names are of one. */
static void manager_open(struct manager *manager, const struct rig *rig, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);

	assert_in_range(length, 1, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	manager->fd = rig_socket(rig, SIDE_A, AF_UNIX, SOCK_DGRAM);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
			 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void manager_close(struct manager *manager)
{
	close(manager->fd);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
}

/* The next word, or false when there is none in time. */
static bool hear(struct manager *manager, int within_ms)
{
	struct pollfd poll_fd = {.fd = manager->fd, .events = POLLIN};
	ssize_t length;

	if (poll(&poll_fd, 1, within_ms) < 1)
		return false;
	length = recv(manager->fd, manager->said, sizeof(manager->said) - 1, 0);
	assert_true(length > 0);
	manager->said[length] = '\0';
	return true;
}

/* The next word that is none of the watchdog's. */
static void expect(struct manager *manager, const char *word)
{
	do {
		if (!hear(manager, WAIT_MS))
			fail_msg("waited in vain for %s", word);
	} while (!strcmp(manager->said, "WATCHDOG=1"));
	assert_string_equal(manager->said, word);
}

static void expect_watchdog(struct manager *manager)
{
	if (!hear(manager, WATCHDOG_MS))
		fail_msg("the watchdog was not told within %d ms", WATCHDOG_MS);
	assert_string_equal(manager->said, "WATCHDOG=1");
}

static void test_all_that_is_told(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	unsigned long long reloading_us, now_us;
	struct manager manager;
	char name[128];

	snprintf(name, sizeof(name), "%s/notify", agents->directory);
	manager_open(&manager, &agents->rig, name);
	assert_int_equal(setenv("WATCHDOG_USEC", WATCHDOG_USEC, 1), 0);
	agents_configure(agents, 0, "netns: own\n");
	agents_start(agents, 0, &options);
	expect(&manager, "READY=1");
	for (int i = 0; i < 5; i++)
		expect_watchdog(&manager);
	process_signal(&agents->agent[0], SIGHUP);
	do {
		assert_true(hear(&manager, WAIT_MS));
	} while (!strcmp(manager.said, "WATCHDOG=1"));
	now_us = clock_monotonic_ns() / NS_PER_US;
	assert_int_equal(sscanf(manager.said, "RELOADING=1\nMONOTONIC_USEC=%llu", &reloading_us),
			 1);
	assert_in_range(reloading_us, now_us - WAIT_MS * 1000ULL, now_us);
	expect(&manager, "READY=1");
	expect_watchdog(&manager);
	/* A loop that hangs says nothing. */
	process_signal(&agents->agent[0], SIGSTOP);
	while (hear(&manager, 2 * WATCHDOG_MS))
		assert_string_equal(manager.said, "WATCHDOG=1");
	process_signal(&agents->agent[0], SIGCONT);
	expect_watchdog(&manager);
	process_signal(&agents->agent[0], SIGTERM);
	expect(&manager, "STOPPING=1");
	assert_int_equal(process_wait(&agents->agent[0]), 0);
	manager_close(&manager);
}

static void test_abstract_name_without_watchdog(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	struct manager manager;
	char name[64];

	snprintf(name, sizeof(name), "@tocsin-live-%d", (int)getpid());
	manager_open(&manager, &agents->rig, name);
	agents_configure(agents, 0, "netns: own\n");
	agents_start(agents, 0, &options);
	expect(&manager, "READY=1");
	assert_false(hear(&manager, WATCHDOG_MS));
	process_signal(&agents->agent[0], SIGTERM);
	expect(&manager, "STOPPING=1");
	assert_int_equal(process_wait(&agents->agent[0]), 0);
	manager_close(&manager);
}

static void test_nobody_there(void **state)
{
	struct agents *agents = *state;
	const struct process_options options = agents_options(agents, 0);
	static const char *const names[] = {"/nonexistent/notify", "vsock:2:1234"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		agents_configure(agents, 0, "netns: own\n");
		agents_start(agents, 0, &options);
		assert_true(
			process_logged(&agents->agent[0], "the service manager cannot be told"));
		agents_stop(agents, 0);
	}
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		agents_test(test_all_that_is_told),
		agents_test(test_abstract_name_without_watchdog),
		agents_test(test_nobody_there),
	};

	return agents_run_tests("service", tests);
}
