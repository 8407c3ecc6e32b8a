/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_BASE_EXIT_CODE_H
#define TOCSIN_BASE_EXIT_CODE_H

/* Of every subcommand: done; could not be done; asked for wrongly (arguments or configuration). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#endif
