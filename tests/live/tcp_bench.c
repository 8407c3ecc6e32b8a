// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/tcp_bench.h"

#include "probe/kernel_types.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct tcp_bench the_bench;

const struct tcp_probe_settings tcp_bench_everything = {
	.max_peers = 64, .max_groups = 16, .loopback = true};

struct tcp_probe *tcp_bench_open_probe(const struct tcp_probe_settings *settings)
{
	char buffer[512] = "";
	struct text error = TEXT(buffer);
	struct tcp_probe *probe = NULL;

	if (tcp_probe_open(&probe, settings, &error))
		fail_msg("%s", buffer);
	assert_true(tcp_probe_sees(probe));
	return probe;
}

void tcp_bench_start(struct tcp_bench *bench, int family)
{
	struct tcp_probe_settings settings = tcp_bench_everything;

	settings.netns_inode = bench->rig.inodes[SIDE_A];
	bench->b = rig_address(SIDE_B, family);
	bench->probe = tcp_bench_open_probe(&settings);
}

void tcp_bench_stop(struct tcp_bench *bench)
{
	tcp_probe_close(bench->probe);
	bench->probe = NULL;
}

bool tcp_bench_look(struct tcp_bench *bench)
{
	return rig_find(bench->probe, &bench->b, &bench->record);
}

static bool retransmits_reached(void *context)
{
	struct tcp_bench *bench = context;

	return tcp_bench_look(bench) && bench->record.retransmits[bench->kind] >= bench->wanted;
}

void tcp_bench_await_retransmits(struct tcp_bench *bench, enum peer_retransmit kind,
				 uint64_t wanted)
{
	bench->kind = kind;
	bench->wanted = wanted;
	rig_wait(retransmits_reached, bench, "retransmits");
}

void tcp_bench_skip_without_errors(void)
{
	if (kernel_tracepoint_arguments("tcp_retransmit_skb") >= 3)
		return;
	print_message("tcp_retransmit_skb has no error on this kernel: what failed is not told\n");
	skip();
}

int tcp_bench_connect(const struct tcp_bench *bench, const char *host, uint16_t port)
{
	struct sockaddr_storage target;
	struct address address;
	socklen_t length;
	int fd, r;

	assert_int_equal(address_parse(host, &address), 0);
	length = address_to_sockaddr(&address, port, &target);
	fd = rig_socket(&bench->rig, SIDE_A, address_is_v4(&address) ? AF_INET : AF_INET6,
			SOCK_STREAM);
	r = connect(fd, (struct sockaddr *)&target, length) ? errno : 0;
	close(fd);
	return r;
}

void tcp_bench_exchange(const int pair[2], unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		rig_transfer(pair[SIDE_A], pair[SIDE_B], 10);
		rig_transfer(pair[SIDE_B], pair[SIDE_A], 20);
	}
}

void tcp_bench_close_pair(const int pair[2])
{
	close(pair[SIDE_A]);
	close(pair[SIDE_B]);
}

int tcp_bench_set_up(void **state)
{
	the_bench = (struct tcp_bench){0};
	rig_up(&the_bench.rig);
	*state = &the_bench;
	return 0;
}

int tcp_bench_tear_down(void **state)
{
	struct tcp_bench *bench = *state;

	tcp_probe_close(bench->probe);
	rig_down(&bench->rig);
	return 0;
}

static void test_cannot_run(void **state)
{
	(void)state;
	print_message("%s\n", rig_obstacle());
	skip();
}

int tcp_bench_skip_all(const char *name)
{
	const struct CMUnitTest none[] = {cmocka_unit_test(test_cannot_run)};

	return cmocka_run_group_tests_name(name, none, NULL, NULL);
}
