// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/confirm.h"

#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMES_MIN_NS	NS_PER_MS
#define TIMEOUT_MAX_NS	(60 * NS_PER_S)
#define INTERVAL_MAX_NS (60 * NS_PER_S)

/*
 * When the machine itself stood still, an answer may wait in the network card while our clock says
 * that the time is over: a deadline that is found to be missed by LATE_NS gets GRACE_NS more, once.
 */
#define LATE_NS	 (20 * NS_PER_MS)
#define GRACE_NS (5 * NS_PER_MS)

struct target {
	bool set;
	bool wanted;
	unsigned int wanted_position; /* in confirm->wanted, when wanted */
	struct address address;
	uint16_t port;
	uint64_t interval_ns;
	uint64_t timeout_ns;
	uint64_t due_ns; /* next try */
	unsigned int in_flight;
	uint64_t answer_ns;
	uint64_t answered;
	uint64_t timed_out;
	uint64_t refused_locally;
};

struct
try {
	int fd; /* -1: free */
	unsigned int id;
	bool graced;
	uint64_t deadline_ns;
};

struct confirm {
	uv_loop_t *loop;
	uv_poll_t poll; /* of epoll_fd: readable when some try has come to an end */
	uv_timer_t timer;
	unsigned int open_handles;
	int epoll_fd;
	confirm_mark mark;
	void *context;

	struct target *targets;
	unsigned int *wanted; /* ids of those that are being tried; as large as targets */
	unsigned int target_count;
	unsigned int wanted_count;
	unsigned int next_turn; /* position in wanted whose turn it is when places are scarce */

	struct try tries[CONFIRM_TRIES_MAX];
	unsigned int in_flight;
};

enum outcome { OUTCOME_ANSWERED, OUTCOME_TIMED_OUT, OUTCOME_REFUSED_LOCALLY, OUTCOME_PENDING };

static struct target *find_target(const struct confirm *confirm, unsigned int id)
{
	if (id >= confirm->target_count || !confirm->targets[id].set)
		return NULL;
	return &confirm->targets[id];
}

/* What the end of a connect under way says; error is positive. */
static enum outcome classify(int error)
{
	switch (error) {
	case 0:
	case ECONNREFUSED:
	case ECONNRESET: /* answered, and then closed by a listener in a hurry */
	case EPIPE:
		return OUTCOME_ANSWERED;
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENONET:
		return OUTCOME_TIMED_OUT;
	default:
		return OUTCOME_REFUSED_LOCALLY;
	}
}

static void count_outcome(struct target *target, enum outcome outcome, uint64_t now_ns)
{
	if (outcome == OUTCOME_ANSWERED) {
		target->answered++;
		target->answer_ns = now_ns;
	} else if (outcome == OUTCOME_TIMED_OUT) {
		target->timed_out++;
	} else if (outcome == OUTCOME_REFUSED_LOCALLY) {
		target->refused_locally++;
	}
}

static void end_try(struct confirm *confirm, struct try *try)
{
	/* Closing takes it out of the epoll set, and resets the connection because of SO_LINGER. */
	close(try->fd);
	try->fd = -1;
	confirm->targets[try->id].in_flight--;
	confirm->in_flight--;
}

static void end_tries_of(struct confirm *confirm, unsigned int id)
{
	for (unsigned int i = 0; i < CONFIRM_TRIES_MAX && confirm->targets[id].in_flight; i++)
		if (confirm->tries[i].fd >= 0 && confirm->tries[i].id == id)
			end_try(confirm, &confirm->tries[i]);
}

/* Connects; what *ret_fd is set to is the caller's to close. */
static enum outcome start_connect(const struct confirm *confirm, const struct target *target,
				  int *ret_fd)
{
	const struct linger reset = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_storage name;
	socklen_t name_length = address_to_sockaddr(&target->address, target->port, &name);
	int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*ret_fd = fd;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)))
		return OUTCOME_REFUSED_LOCALLY;
	if (confirm->mark)
		confirm->mark(fd, confirm->context);
	if (!connect(fd, (struct sockaddr *)&name, name_length))
		return OUTCOME_ANSWERED;
	if (errno == EINPROGRESS)
		return OUTCOME_PENDING;
	/*
	 * At once, only an answer that is already here comes from the peer; all else is our own
	 * stack.
	 */
	return classify(errno) == OUTCOME_ANSWERED ? OUTCOME_ANSWERED : OUTCOME_REFUSED_LOCALLY;
}

/* The caller has seen to it that a place is free. */
static void start_try(struct confirm *confirm, unsigned int id)
{
	struct target *target = &confirm->targets[id];
	struct epoll_event event = {.events = EPOLLOUT};
	enum outcome outcome;
	unsigned int place = 0;
	int fd = -1;

	while (place < CONFIRM_TRIES_MAX - 1 && confirm->tries[place].fd >= 0)
		place++;
	event.data.u32 = place;
	outcome = start_connect(confirm, target, &fd);
	if (outcome == OUTCOME_PENDING && epoll_ctl(confirm->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		outcome = OUTCOME_REFUSED_LOCALLY;
	if (outcome == OUTCOME_PENDING) {
		confirm->tries[place] =
			(struct try){.fd = fd,
				     .id = id,
				     .deadline_ns = clock_monotonic_ns() + target->timeout_ns};
		target->in_flight++;
		confirm->in_flight++;
		return;
	}
	count_outcome(target, outcome, clock_monotonic_ns());
	if (fd >= 0)
		close(fd);
}

/* How many tries each target may have in flight, so that all have some. */
static unsigned int tries_per_target(const struct confirm *confirm)
{
	unsigned int share = CONFIRM_TRIES_MAX / (confirm->wanted_count ?: 1);

	if (share > CONFIRM_TRIES_PER_TARGET)
		share = CONFIRM_TRIES_PER_TARGET;
	return share ?: 1;
}

static void start_due(struct confirm *confirm, uint64_t now_ns)
{
	unsigned int share = tries_per_target(confirm);
	unsigned int first = confirm->next_turn;

	for (unsigned int i = 0;
	     i < confirm->wanted_count && confirm->in_flight < CONFIRM_TRIES_MAX; i++) {
		unsigned int position = (first + i) % confirm->wanted_count;
		struct target *target = &confirm->targets[confirm->wanted[position]];

		if (target->due_ns > now_ns || target->in_flight >= share)
			continue;
		start_try(confirm, confirm->wanted[position]);
		/* What was missed while there was no place, or no time, is not made up for. */
		target->due_ns += target->interval_ns;
		if (target->due_ns <= now_ns)
			target->due_ns = now_ns + target->interval_ns;
		confirm->next_turn = (position + 1) % confirm->wanted_count;
	}
}

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct confirm *confirm, uint64_t now_ns)
{
	unsigned int share = tries_per_target(confirm);
	uint64_t next_ns = UINT64_MAX;

	for (unsigned int i = 0; i < CONFIRM_TRIES_MAX && confirm->in_flight; i++)
		if (confirm->tries[i].fd >= 0 && confirm->tries[i].deadline_ns < next_ns)
			next_ns = confirm->tries[i].deadline_ns;
	for (unsigned int i = 0;
	     i < confirm->wanted_count && confirm->in_flight < CONFIRM_TRIES_MAX; i++) {
		const struct target *target = &confirm->targets[confirm->wanted[i]];

		if (target->in_flight < share && target->due_ns < next_ns)
			next_ns = target->due_ns;
	}
	/* Both only fail for a timer that is being closed. */
	if (next_ns == UINT64_MAX) {
		(void)uv_timer_stop(&confirm->timer);
	} else {
		uint64_t wait_ns = next_ns > now_ns ? next_ns - now_ns : 0;

		/* Timers count from the loop's idea of now, which is as old as its last callback.
		 */
		uv_update_time(confirm->loop);
		(void)uv_timer_start(&confirm->timer, on_timer,
				     (wait_ns + NS_PER_MS - 1) / NS_PER_MS, 0);
	}
}

static unsigned int take_answers(struct confirm *confirm, uint64_t now_ns)
{
	struct epoll_event events[CONFIRM_TRIES_MAX];
	unsigned int ended = 0;
	int count;

	do {
		count = epoll_wait(confirm->epoll_fd, events, CONFIRM_TRIES_MAX, 0);
	} while (count < 0 && errno == EINTR);

	for (int i = 0; i < count; i++) {
		struct try *try = &confirm->tries[events[i].data.u32];
		int error = 0;
		socklen_t length = sizeof(error);

		if (getsockopt(try->fd, SOL_SOCKET, SO_ERROR, &error, &length))
			error = errno;
		count_outcome(&confirm->targets[try->id], classify(error), now_ns);
		end_try(confirm, try);
		ended++;
	}
	return ended;
}

static unsigned int expire(struct confirm *confirm, uint64_t now_ns)
{
	unsigned int ended = 0;

	for (unsigned int i = 0; i < CONFIRM_TRIES_MAX && confirm->in_flight; i++) {
		struct try *try = &confirm->tries[i];

		if (try->fd < 0 || try->deadline_ns > now_ns)
			continue;
		if (!try->graced && now_ns - try->deadline_ns > LATE_NS) {
			try->graced = true;
			try->deadline_ns = now_ns + GRACE_NS;
			continue;
		}
		count_outcome(&confirm->targets[try->id], OUTCOME_TIMED_OUT, now_ns);
		end_try(confirm, try);
		ended++;
	}
	return ended;
}

/* Starts what is due and sees to it that the loop comes back in time. */
static void schedule(struct confirm *confirm)
{
	start_due(confirm, clock_monotonic_ns());
	arm_timer(confirm, clock_monotonic_ns());
}

unsigned int confirm_drain(struct confirm *confirm)
{
	unsigned int ended = 0;

	if (!confirm->in_flight && !confirm->wanted_count)
		return 0;
	if (confirm->in_flight) {
		/*
		 * The time is taken before the look: a try counts as unanswered only when it was
		 * looked at after its deadline.
		 */
		uint64_t now_ns = clock_monotonic_ns();

		ended = take_answers(confirm, now_ns);
		ended += expire(confirm, now_ns);
	}
	schedule(confirm);
	return ended;
}

static void on_timer(uv_timer_t *timer)
{
	confirm_drain(timer->data);
}

static void on_ended(uv_poll_t *poll, int status, int events)
{
	/* An epoll descriptor has no error of its own. */
	(void)status;
	(void)events;
	confirm_drain(poll->data);
}

static int grow(struct confirm *confirm, unsigned int id)
{
	unsigned int count = confirm->target_count ?: 64;
	struct target *targets;
	unsigned int *wanted;

	if (id < confirm->target_count)
		return 0;
	while (count <= id)
		count *= 2;
	wanted = reallocarray(confirm->wanted, count, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	confirm->wanted = wanted;
	targets = reallocarray(confirm->targets, count, sizeof(*targets));
	if (!targets)
		return -ENOMEM;
	memset(targets + confirm->target_count, 0,
	       (count - confirm->target_count) * sizeof(*targets));
	confirm->targets = targets;
	confirm->target_count = count;
	return 0;
}

int confirm_set_target(struct confirm *confirm, unsigned int id, const struct address *address,
		       uint16_t port)
{
	struct target *target;
	int err;

	if (id >= CONFIRM_TARGETS_MAX)
		return -ERANGE;
	if (!port)
		return -EINVAL;
	err = grow(confirm, id);
	if (err)
		return err;
	target = &confirm->targets[id];
	if (target->set && target->port == port && address_equal(&target->address, address))
		return 0;
	end_tries_of(confirm, id);
	target->set = true;
	target->address = *address;
	target->port = port;
	target->answer_ns = 0;
	target->answered = 0;
	target->timed_out = 0;
	target->refused_locally = 0;
	return 0;
}

void confirm_rest(struct confirm *confirm, unsigned int id)
{
	struct target *target = find_target(confirm, id);
	unsigned int moved;

	if (!target || !target->wanted)
		return;
	end_tries_of(confirm, id);
	moved = confirm->wanted[--confirm->wanted_count];
	confirm->wanted[target->wanted_position] = moved;
	confirm->targets[moved].wanted_position = target->wanted_position;
	target->wanted = false;
	if (confirm->next_turn >= confirm->wanted_count)
		confirm->next_turn = 0;
	arm_timer(confirm, clock_monotonic_ns());
}

void confirm_clear_target(struct confirm *confirm, unsigned int id)
{
	struct target *target = find_target(confirm, id);

	if (!target)
		return;
	confirm_rest(confirm, id);
	*target = (struct target){0};
}

int confirm_want(struct confirm *confirm, unsigned int id, uint64_t interval_ns,
		 uint64_t timeout_ns)
{
	struct target *target = find_target(confirm, id);

	if (!target)
		return -ENOENT;
	if (interval_ns < TIMES_MIN_NS || interval_ns > INTERVAL_MAX_NS ||
	    timeout_ns < TIMES_MIN_NS || timeout_ns > TIMEOUT_MAX_NS)
		return -EINVAL;
	target->timeout_ns = timeout_ns;
	if (!target->wanted) {
		target->wanted = true;
		target->wanted_position = confirm->wanted_count;
		confirm->wanted[confirm->wanted_count++] = id;
		target->interval_ns = interval_ns;
		target->due_ns = clock_monotonic_ns();
		schedule(confirm);
	} else if (target->interval_ns != interval_ns) {
		/* The next try keeps its distance from the last one, in the new measure. */
		target->due_ns = target->due_ns - target->interval_ns + interval_ns;
		target->interval_ns = interval_ns;
		schedule(confirm);
	}
	return 0;
}

void confirm_evidence(const struct confirm *confirm, unsigned int id,
		      struct edge_evidence *evidence)
{
	const struct target *target = find_target(confirm, id);

	memset(&evidence->connect, 0, sizeof(evidence->connect));
	if (!target)
		return;
	evidence->connect.possible = true;
	evidence->connect.answer_ns = target->answer_ns;
	evidence->connect.answered = target->answered;
	evidence->connect.timed_out = target->timed_out;
	evidence->connect.refused_locally = target->refused_locally;
}

unsigned int confirm_in_flight(const struct confirm *confirm)
{
	return confirm->in_flight;
}

static void on_closed(uv_handle_t *handle)
{
	struct confirm *confirm = handle->data;

	if (--confirm->open_handles)
		return;
	close(confirm->epoll_fd);
	free(confirm->targets);
	free(confirm->wanted);
	free(confirm);
}

void confirm_close(struct confirm *confirm)
{
	if (!confirm)
		return;
	for (unsigned int i = 0; i < CONFIRM_TRIES_MAX; i++)
		if (confirm->tries[i].fd >= 0)
			end_try(confirm, &confirm->tries[i]);
	uv_close((uv_handle_t *)&confirm->poll, on_closed);
	uv_close((uv_handle_t *)&confirm->timer, on_closed);
}

int confirm_open(struct confirm **ret, uv_loop_t *loop, confirm_mark mark, void *context)
{
	struct confirm *confirm = calloc(1, sizeof(*confirm));
	int err = 0;

	if (!confirm)
		return -ENOMEM;
	confirm->loop = loop;
	confirm->mark = mark;
	confirm->context = context;
	for (unsigned int i = 0; i < CONFIRM_TRIES_MAX; i++)
		confirm->tries[i].fd = -1;
	confirm->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (confirm->epoll_fd < 0) {
		err = -errno;
		goto out;
	}
	err = uv_poll_init(loop, &confirm->poll, confirm->epoll_fd);
	if (err) {
		close(confirm->epoll_fd);
		goto out;
	}
	/* From here on the loop has a hold on it, and nothing can fail. */
	confirm->poll.data = confirm;
	(void)uv_timer_init(loop, &confirm->timer);
	confirm->timer.data = confirm;
	confirm->open_handles = 2;
	(void)uv_poll_start(&confirm->poll, UV_READABLE, on_ended);
	*ret = confirm;
	confirm = NULL;
out:
	free(confirm);
	return err;
}
