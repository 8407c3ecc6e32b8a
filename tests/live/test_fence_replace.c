// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The fence is replaced in one step, and says why when it cannot be put up. */
#include "live/child.h"
#include "live/fence_rig.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define REAPPLIES   20
#define FLOOD_MIN   2000
#define NOBODY	    65534
#define MEMBERS_BIG 10000

/* What children share with the test. */
struct shared {
	bool stop;
	uint64_t sent, lost, leaked;
	int result;
	char error[512];
};

static unsigned int counter(const struct fence_rig *fence, const char *name)
{
	char command[128];
	const char *found;
	unsigned int count;

	snprintf(command, sizeof(command), "nft list counter inet observer %s", name);
	found = strstr(fence_rig_output(fence, command), "packets ");
	assert_non_null(found);
	assert_int_equal(sscanf(found, "packets %u", &count), 1);
	return count;
}

static void test_listing(void **state)
{
	static const char *const words[] = {
		"comment \"this node is isolated by tocsin: 'tocsin release' lifts it\"",
		"comment \"heartbeats\"",
		"comment \"this node with the store\"",
		"comment \"isolation.allow\"",
		"comment \"all else: this node is isolated\"",
		"comment \"this node forwards for nobody: it is isolated\"",
		"elements = { 10.99.0.0/28 }", /* what it contains was named as well */
		"10.99.0.50 . 2379",
		"fd99::a:0/112",
		"hook input priority raw - 10; policy drop;",
		"hook output priority raw - 10; policy drop;",
		"hook forward priority raw - 10; policy drop;",
	};
	const struct fence_rig *fence = *state;
	const char *listing;
	char *first;

	fence_rig_apply(fence, &fence->settings);
	listing = fence_rig_output(fence, "nft list table inet tocsin_fence");
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strstr(listing, words[i]))
			fail_msg("no '%s' in:\n%s", words[i], listing);
	/* Again is the same; and whatever someone has changed in it is put right. */
	first = strdup(listing);
	assert_non_null(first);
	fence_rig_apply(fence, &fence->settings);
	assert_string_equal(fence_rig_output(fence, "nft list table inet tocsin_fence"), first);
	rig_run(&fence->rig, SIDE_A,
		"nft 'insert rule inet tocsin_fence input accept; "
		"add chain inet tocsin_fence output { policy accept; }; "
		"add element inet tocsin_fence allow4 { 10.99.0.90 }'");
	fence_rig_apply(fence, &fence->settings);
	assert_string_equal(fence_rig_output(fence, "nft list table inet tocsin_fence"), first);
	free(first);
}

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(shared != MAP_FAILED);
	return shared;
}

struct flood {
	struct shared *shared;
	bool inwards;
	int fds[2]; /* an address that is always allowed, and one that never is */
	struct sockaddr_storage names[2];
	socklen_t length;
};

/* Through both in turn until told to stop. */
static void run_flood(void *context)
{
	const struct flood *flood = context;
	struct shared *shared = flood->shared;

	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		for (int i = 0; i < 2; i++) {
			const struct sockaddr *name = (const struct sockaddr *)&flood->names[i];
			bool sent = sendto(flood->fds[i], "?", 1, 0, name, flood->length) == 1;

			shared->lost += i == 0 && !sent && errno != EAGAIN;
			shared->leaked += i == 1 && sent && !flood->inwards;
		}
		__atomic_add_fetch(&shared->sent, 1, __ATOMIC_RELAXED);
	}
	_exit(0);
}

static void prepare_flood(const struct fence_rig *fence, struct flood *flood)
{
	static const enum fence_party parties[] = {PARTY_MANAGER, PARTY_STRANGER};

	for (int i = 0; i < 2; i++) {
		flood->fds[i] = fence_rig_socket(fence, flood->inwards ? parties[i] : PARTY_SELF, 0,
						 SOCK_DGRAM, (uint16_t)(6000 + i));
		flood->length = fence_rig_name(flood->inwards ? PARTY_SELF : parties[i], 0, 6100,
					       &flood->names[i]);
	}
}

/* The lists change 20 times under a flood: nothing allowed is lost, nothing forbidden passes. */
static void flood_through_changes(const struct fence_rig *fence, bool inwards)
{
	struct flood flood = {.shared = share(), .inwards = inwards};
	struct fence_settings other = fence->settings;
	int sink =
		fence_rig_socket(fence, inwards ? PARTY_SELF : PARTY_MANAGER, 0, SOCK_DGRAM, 6100);
	uint64_t sent_at_start;
	pid_t child;

	other.member_count--;
	other.allow_count--;
	other.store_count = 0;
	rig_run(&fence->rig, SIDE_A,
		"nft 'table inet observer { counter arrived_allowed {}; counter arrived_forbidden "
		"{};"
		" counter passed_allowed {}; counter passed_forbidden {};"
		" chain arrived { type filter hook prerouting priority -500;"
		" udp sport 6000 counter name arrived_allowed;"
		" udp sport 6001 counter name arrived_forbidden; };"
		" chain passed { type filter hook input priority 500;"
		" udp sport 6000 counter name passed_allowed;"
		" udp sport 6001 counter name passed_forbidden; }; }'");
	fence_rig_apply(fence, &fence->settings);
	prepare_flood(fence, &flood);
	child = child_start(run_flood, &flood);
	while (!__atomic_load_n(&flood.shared->sent, __ATOMIC_RELAXED))
		usleep(1000);
	sent_at_start = flood.shared->sent;
	for (int i = 0; i < REAPPLIES; i++)
		fence_rig_apply(fence, i % 2 ? &fence->settings : &other);
	flood.shared->stop = true;
	assert_int_equal(child_wait(child), 0);
	printf("# %s: %llu packets of each kind during %d changes, %llu lost, %llu leaked\n",
	       inwards ? "inwards" : "outwards",
	       (unsigned long long)(flood.shared->sent - sent_at_start), REAPPLIES,
	       (unsigned long long)flood.shared->lost, (unsigned long long)flood.shared->leaked);
	assert_true(flood.shared->sent - sent_at_start > FLOOD_MIN);
	assert_int_equal(flood.shared->lost, 0);
	assert_int_equal(flood.shared->leaked, 0);
	if (inwards) {
		assert_true(counter(fence, "arrived_allowed") > FLOOD_MIN);
		assert_true(counter(fence, "arrived_forbidden") > FLOOD_MIN);
		assert_int_equal(counter(fence, "passed_allowed"),
				 counter(fence, "arrived_allowed"));
		assert_int_equal(counter(fence, "passed_forbidden"), 0);
	}
	rig_run(&fence->rig, SIDE_A, "nft delete table inet observer");
	munmap(flood.shared, sizeof(*flood.shared));
	close(flood.fds[0]);
	close(flood.fds[1]);
	close(sink);
}

static void test_replaced_inwards(void **state)
{
	flood_through_changes(*state, true);
}

static void test_replaced_outwards(void **state)
{
	flood_through_changes(*state, false);
}

/* Lists that are empty, or of a large cluster. */
static void test_sizes(void **state)
{
	const struct fence_rig *fence = *state;
	struct fence_settings settings = {.agent_port = FENCE_RIG_AGENT_PORT};
	struct cidr *members = calloc(MEMBERS_BIG, sizeof(*members));
	char text[64];

	fence_rig_apply(fence, &settings);
	fence_rig_expect_udp(fence, PARTY_MEMBER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
			     FENCE_RIG_AGENT_PORT, 0, false);
	fence_rig_expect_tcp(fence, PARTY_MANAGER, PARTY_SELF, 8080, 1, false);
	assert_non_null(members);
	for (int i = 0; i < MEMBERS_BIG; i++) {
		snprintf(text, sizeof(text), i % 2 ? "fd00::%x" : "10.5.%d.%d", i % 2 ? i : i / 200,
			 i % 200);
		assert_int_equal(cidr_parse(text, &members[i]), 0);
	}
	assert_int_equal(cidr_parse("10.99.0.2", &members[MEMBERS_BIG - 1]), 0);
	settings.members = members;
	settings.member_count = MEMBERS_BIG;
	fence_rig_apply(fence, &settings);
	fence_rig_expect_udp(fence, PARTY_MEMBER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
			     FENCE_RIG_AGENT_PORT, 0, true);
	fence_rig_expect_udp(fence, PARTY_STRANGER, FENCE_RIG_AGENT_PORT, PARTY_SELF,
			     FENCE_RIG_AGENT_PORT, 0, false);
	free(members);
}

struct attempt {
	const struct fence_rig *fence;
	struct shared *shared;
	void (*spoil)(void);
};

static void run_attempt(void *context)
{
	const struct attempt *attempt = context;
	struct text error = TEXT(attempt->shared->error);

	attempt->spoil();
	attempt->shared->result = fence_rig_put_up(&attempt->fence->settings, &error);
	_exit(0);
}

static void drop_capabilities(void)
{
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(CHILD_RETURNED);
}

/* An empty file takes the place of the library, for this process alone. */
static void hide_library(void)
{
	char path[256] = "";
	FILE *pipe = popen("ldconfig -p | sed -n 's/.*libnftables.so.1 .*=> //p'", "re");

	if (!pipe || !fgets(path, sizeof(path), pipe) || pclose(pipe))
		_exit(CHILD_RETURNED);
	path[strcspn(path, "\n")] = '\0';
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("/dev/null", path, NULL, MS_BIND, NULL))
		_exit(CHILD_RETURNED);
}

static void assert_fails(const struct fence_rig *fence, void (*spoil)(void), int expected,
			 const char *words)
{
	struct attempt attempt = {fence, share(), spoil};
	pid_t child;

	fence_rig_enter(fence);
	child = child_start(run_attempt, &attempt);
	fence_rig_leave(fence);
	assert_int_equal(child_wait(child), 0);
	assert_int_equal(attempt.shared->result, expected);
	if (!strstr(attempt.shared->error, words))
		fail_msg("no '%s' in: %s", words, attempt.shared->error);
	assert_int_equal(fence_rig_call(fence, fence_present), 0);
	munmap(attempt.shared, sizeof(*attempt.shared));
}

static void test_refused(void **state)
{
	struct fence_rig *fence = *state;
	struct fence_settings settings = {0};
	char reason[512] = "";
	struct text error = TEXT(reason);

	assert_fails(fence, drop_capabilities, -EPERM,
		     "CAP_NET_ADMIN is not held; run as root or add the capability");
	assert_fails(fence, hide_library, -ENOENT, "libnftables.so.1 cannot be loaded; install");
	fence_rig_enter(fence);
	assert_int_equal(fence_rig_put_up(&settings, &error), -EINVAL);
	fence_rig_leave(fence);
	assert_non_null(strstr(reason, "heartbeat.listen"));
	/* Trying it leaves nothing behind. */
	assert_int_equal(fence_rig_call(fence, fence_check), 0);
	assert_string_equal(fence_rig_output(fence, "nft list ruleset"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_listing, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_inwards, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_outwards, fence_rig_set_up,
						fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_sizes, fence_rig_set_up, fence_rig_tear_down),
		cmocka_unit_test_setup_teardown(test_refused, fence_rig_set_up,
						fence_rig_tear_down),
	};

	if (rig_obstacle()) {
		printf("%s\n", rig_obstacle());
		return 77;
	}
	return cmocka_run_group_tests(tests, fence_rig_group_set_up, fence_rig_group_tear_down);
}
