/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TESTS_UNIT_CONFIG_EXPECT_H
#define TOCSIN_TESTS_UNIT_CONFIG_EXPECT_H

#include "config/config.h"

/* Reads a configuration that must be good; fails the test with the reason when it is not. */
void config_expect_good(const char *yaml, struct config *ret_config);

#endif
