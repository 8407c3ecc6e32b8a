// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One program that this kernel does not take is named with the reason, and takes no other down. */
#include "live/rig.h"
#include "probe/kernel_types.h"
#include "probe/program.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/live/broken.skel.h"

static const struct program programs[] = {
	{"missing", "tp_btf/tocsin_no_such_tracepoint", "", false},
	{"sound", "tp_btf/tcp_receive_reset", "", false},
	{"refused", "tp_btf/tcp_receive_reset", "", false},
	{"sound_too", "tp_btf/tcp_receive_reset", "", false},
};

#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

static int open_broken(void *context, struct bpf_object_skeleton **ret_skeleton)
{
	struct broken_bpf **broken = context;

	*broken = broken_bpf__open();
	if (!*broken)
		return -errno;
	*ret_skeleton = (*broken)->skeleton;
	return 0;
}

static void close_broken(void *context)
{
	struct broken_bpf **broken = context;

	broken_bpf__destroy(*broken);
	*broken = NULL;
}

static void test_the_others_work(void **state)
{
	struct broken_bpf *broken = NULL;
	const struct program_object object = {open_broken, close_broken, &broken};
	struct program_status statuses[PROGRAM_COUNT] = {0};
	struct bpf_object_skeleton *skeleton = NULL;

	(void)state;
	for (size_t i = 0; i < PROGRAM_COUNT; i++)
		statuses[i].program = &programs[i];
	assert_int_equal(program_load(&object, statuses, PROGRAM_COUNT, &skeleton), 0);
	assert_int_equal(program_attach(skeleton, statuses, PROGRAM_COUNT), 2);
	assert_true(statuses[1].attached && statuses[3].attached);
	assert_string_equal(statuses[1].reason, "");
	assert_string_equal(statuses[3].reason, "");
	assert_false(statuses[0].attached || statuses[2].attached);
	assert_non_null(strstr(statuses[0].reason,
			       "this kernel has no tracepoint tocsin_no_such_tracepoint"));
	assert_non_null(
		strstr(statuses[2].reason, "loading was refused by this kernel's verifier: "));
	assert_non_null(strstr(statuses[2].reason, "invalid mem access"));
	program_detach(statuses, PROGRAM_COUNT);
	assert_false(statuses[1].attached);
	close_broken(&broken);
}

static void test_tracepoint_arguments(void **state)
{
	(void)state;
	assert_int_equal(kernel_tracepoint_arguments("tocsin_no_such_tracepoint"), -ENOENT);
	/* sock, skb */
	assert_int_equal(kernel_tracepoint_arguments("tcp_probe"), 2);
	assert_in_range(kernel_tracepoint_arguments("tcp_retransmit_skb"), 2, 3);
}

static void test_cannot_run(void **state)
{
	(void)state;
	print_message("%s\n", rig_obstacle());
	skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_others_work),
		cmocka_unit_test(test_tracepoint_arguments),
	};
	const struct CMUnitTest none[] = {cmocka_unit_test(test_cannot_run)};

	if (rig_obstacle())
		return cmocka_run_group_tests_name("program", none, NULL, NULL);
	return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
