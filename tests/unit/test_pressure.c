// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What /proc tells of pressure, CPU time and memory, as kernels of all ages write it. */
#include "probe/pressure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_pressure(void **state)
{
	static const struct {
		const char *text;
		int result;
		struct pressure pressure;
	} cases[] = {
		{.text = "some avg10=1.79 avg60=7.84 avg300=5.66 total=121658662\n"
			 "full avg10=0.50 avg60=0.00 avg300=0.00 total=7\n",
		 .pressure = {{1.79, 121658662}, {0.5, 7}}},
		/* Of the CPU before 5.13. */
		{.text = "some avg10=100.00 avg60=99.00 avg300=5.66 total=18446744073709551615\n",
		 .pressure = {{100, UINT64_MAX}, {0, 0}}},
		{.text = "", .result = -EBADMSG},
		{.text = "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", .result = -EBADMSG},
		{.text = "some avg10=1.79 avg60=7.84\n", .result = -EBADMSG},
		{.text = "some avg10=1.00 avg60=7.84 avg300=5.66 total=1\nfull avg10=x\n",
		 .result = -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct pressure *expected = &cases[i].pressure;
		struct pressure pressure;

		if (pressure_parse(cases[i].text, &pressure) != cases[i].result)
			fail_msg("case %zu", i);
		if (cases[i].result)
			continue;
		assert_float_equal(pressure.some.avg10_percent, expected->some.avg10_percent, 1e-9);
		assert_float_equal(pressure.full.avg10_percent, expected->full.avg10_percent, 1e-9);
		assert_int_equal(pressure.some.total_us, expected->some.total_us);
		assert_int_equal(pressure.full.total_us, expected->full.total_us);
	}
}

static void test_cpu_time(void **state)
{
	struct pressure_cpu_time time;

	(void)state;
	assert_int_equal(pressure_parse_cpu_time("cpu  1 20 300 4000 50000 600000 7000000 80000000 "
						 "900000000 1000000000\ncpu0 1 1 1 1 1 1 1 1\n",
						 &time),
			 0);
	/* Guests are part of user and nice already. */
	assert_int_equal(time.busy, 7600321);
	assert_int_equal(time.idle, 54000);
	assert_int_equal(time.stolen, 80000000);
	assert_int_equal(pressure_parse_cpu_time("cpu  1 2 3 4 5 6 7\n", &time), -EBADMSG);
	assert_int_equal(pressure_parse_cpu_time("", &time), -EBADMSG);
}

static void test_memory_use(void **state)
{
	struct pressure_memory_use use;

	(void)state;
	assert_int_equal(pressure_parse_memory_use("MemTotal:        8000 kB\nMemFree:  100 kB\n"
						   "MemAvailable:    6000 kB\n",
						   &use),
			 0);
	assert_int_equal(use.total_bytes, 8000 * 1024);
	assert_int_equal(use.available_bytes, 6000 * 1024);
	/* Before 3.14. */
	assert_int_equal(pressure_parse_memory_use("MemTotal: 8000 kB\nMemFree: 100 kB\n", &use),
			 -EBADMSG);
}

/* The files of this machine, read twice through one descriptor. */
static void test_real(void **state)
{
	char buffer[256] = "";
	struct text error = TEXT(buffer);
	struct pressure_memory_use use;
	struct pressure_cpu_time time[2];
	int fd;

	(void)state;
	fd = pressure_open(PRESSURE_CPU_TIME, &error);
	assert_true(fd >= 0);
	assert_int_equal(pressure_read_cpu_time(fd, &time[0]), 0);
	assert_int_equal(pressure_read_cpu_time(fd, &time[1]), 0);
	assert_true(time[0].busy && time[1].busy >= time[0].busy);
	close(fd);
	fd = pressure_open(PRESSURE_MEMORY_USE, &error);
	assert_true(fd >= 0);
	assert_int_equal(pressure_read_memory_use(fd, &use), 0);
	assert_true(use.available_bytes && use.total_bytes > use.available_bytes);
	close(fd);
	assert_int_equal(pressure_read_memory_use(-1, &use), -EBADF);
	assert_string_equal(buffer, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pressure),
		cmocka_unit_test(test_cpu_time),
		cmocka_unit_test(test_memory_use),
		cmocka_unit_test(test_real),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
