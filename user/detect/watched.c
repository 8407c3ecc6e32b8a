// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/watched.h"

#include "base/clock.h"
#include "base/signal_name.h"

#include <inttypes.h>
#include <sys/wait.h>

/* Ends that are so close belong together. */
#define TOGETHER_NS NS_PER_S
/* A start is known to a tick of the kernel's, rounded down. */
#define TICK_NS (10 * NS_PER_MS)

void watched_begins(struct watched *watched, uint32_t pid, uint64_t start_ns)
{
	if (watched_is_in_doubt(watched))
		watched->restarted = start_ns + TICK_NS > watched->end.end_ns;
	watched->running++;
	watched->seen = true;
	watched->newest_pid = pid;
	watched->newest_start_ns = start_ns;
}

void watched_ends(struct watched *watched, const struct watched_end *end)
{
	const struct watched_end *known = &watched->end;

	watched->running--;
	if (!known->pid || end->start_ns < known->start_ns ||
	    end->end_ns > known->end_ns + TOGETHER_NS)
		watched->end = *end;
}

bool watched_is_in_doubt(const struct watched *watched)
{
	return watched->seen && !watched->running && !watched->died;
}

bool watched_is_missing(const struct watched *watched)
{
	return !watched->running;
}

enum watched_news watched_looked(struct watched *watched)
{
	if (watched_is_in_doubt(watched)) {
		watched->died = true;
		return WATCHED_DIED;
	}
	if (watched->died && watched->running) {
		watched->died = false;
		return WATCHED_RETURNED;
	}
	if (watched->restarted) {
		watched->restarted = false;
		return WATCHED_RESTARTED;
	}
	return WATCHED_NO_NEWS;
}

void watched_explain_death(const struct watched *watched, const char *what, struct text *sentence)
{
	const struct watched_end *end = &watched->end;
	int status = (int)end->status;

	text_printf(sentence, "pid %" PRIu32 "%s%s%s ", end->pid, *end->exe ? " (" : "", end->exe,
		    *end->exe ? ")" : "");
	if (!end->explained)
		text_printf(sentence, "ended, how is not known");
	else if (WIFSIGNALED(status))
		text_printf(sentence, "was killed by %s%s%s",
			    signal_name((uint64_t)WTERMSIG(status)) ?: "an unknown signal",
			    WCOREDUMP(status) ? " and dumped core" : "",
			    end->oom_killed ? ", by the OOM killer" : "");
	else
		text_printf(sentence, "exited with status %d", WEXITSTATUS(status));
	text_printf(sentence, "; nothing is left of %s, expected it to run", what);
}

void watched_explain_return(const struct watched *watched, struct text *sentence)
{
	/* It may seem to have been before the end. */
	uint64_t gap_ns = watched->newest_start_ns > watched->end.end_ns
				  ? watched->newest_start_ns - watched->end.end_ns
				  : 0;

	text_printf(sentence, "runs again as pid %" PRIu32 " after %.1f s", watched->newest_pid,
		    (double)gap_ns / 1e9);
}
