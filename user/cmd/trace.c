// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "trace/options.h"
#include "trace/runner.h"

#include <errno.h>

int cmd_trace(int argc, char **argv)
{
	struct trace_options options;
	int r = trace_options_parse(argc, argv, &options);

	if (r)
		return r == -ECANCELED ? EXIT_DONE : EXIT_USAGE;
	return options.list ? trace_list(&options) : trace_run(&options);
}
