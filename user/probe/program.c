// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/program.h"

#include "base/text.h"
#include "probe/feature.h"
#include "probe/kernel_types.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * libbpf explains itself only through this callback. The last warning is kept, because it says more
 * than the errno that follows.
 */
static char last_warning[PROGRAM_REASON_MAX];
static char verifier_verdict[PROGRAM_REASON_MAX];

/* A verifier log ends with what was wrong, followed by a line of statistics. */
static void keep_verdict(const char *log)
{
	const char *end = strstr(log, "\nprocessed ");
	const char *start = end;

	/* What was refused before it was looked at, the verifier has nothing to say of. */
	if (!end || !strncmp(end, "\nprocessed 0 insns", strlen("\nprocessed 0 insns")))
		return;
	while (start > log && start[-1] != '\n')
		start--;
	snprintf(verifier_verdict, sizeof(verifier_verdict), "%.*s", (int)(end - start), start);
}

static int keep_warning(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *message;

	if (level != LIBBPF_WARN || vasprintf(&message, format, arguments) < 0)
		return 0;
	if (strstr(message, "BEGIN PROG LOAD LOG"))
		keep_verdict(message);
	message[strcspn(message, "\n")] = '\0';
	/* The first warning names the cause, the later ones what failed in consequence. */
	if (!last_warning[0])
		snprintf(last_warning, sizeof(last_warning), "%s", message);
	free(message);
	return 0;
}

static void listen_to_libbpf(void)
{
	last_warning[0] = '\0';
	verifier_verdict[0] = '\0';
	libbpf_set_print(keep_warning);
}

__attribute__((format(printf, 2, 3))) static void explain(struct program_status *status,
							  const char *format, ...)
{
	struct text text = TEXT(status->reason);
	va_list arguments;

	va_start(arguments, format);
	text_vprintf(&text, format, arguments);
	va_end(arguments);
}

static void explain_error(struct program_status *status, const char *doing, int error)
{
	const char *missing = feature_missing_capabilities();
	bool refused = error == -EPERM || error == -EACCES;

	if (verifier_verdict[0])
		explain(status, "%s was refused by this kernel's verifier: %s", doing,
			verifier_verdict);
	else if (strstr(last_warning, "failed to iterate BTF objects"))
		explain(status,
			"%s takes CAP_SYS_ADMIN: this kernel lacks something that is looked for in "
			"its modules, too, and libbpf before 1.3 gives up when it may not; run as "
			"root or add the capability",
			doing);
	else if (refused && missing)
		explain(status,
			"%s is not permitted without %s; run as root or add what is missing", doing,
			missing);
	else if (refused)
		explain(status,
			"%s was not permitted though all capabilities are held; look for a user "
			"namespace, a seccomp filter or kernel lockdown (%s)",
			doing, last_warning[0] ? last_warning : "no further word from libbpf");
	else
		explain(status, "%s failed: %s%s%s", doing, strerror(-error),
			last_warning[0] ? ": " : "", last_warning);
}

/* What programs, or the maps they look into, cannot do without: where the function is, so is that.
 */
struct lack {
	const char *function;
	const char *what;
};

/* Commit 8e4597c627fb. */
static const struct lack no_socket_storage = {
	"bpf_sk_storage_get_tracing",
	"this kernel lets no tracing program keep something with a socket (since Linux 5.11)",
};
/* Commit 4f19cab76136. */
static const struct lack no_socket_of_file = {
	"bpf_sock_from_file",
	"this kernel lets no program find the socket of an open file (since Linux 5.11)",
};
/* Commit a10787e6d58c. */
static const struct lack no_task_storage = {
	"bpf_task_storage_get",
	"this kernel lets no tracing program keep something with a task (since Linux 5.13)",
};

static const struct {
	const char *program;
	const struct lack *lack;
} needs[] = {
	{"tcp_sweep", &no_socket_of_file},	   {"owner_iterate", &no_socket_of_file},
	{"listener_is_found", &no_socket_of_file}, {"listener_acts", &no_socket_storage},
	{"listener_iterate", &no_socket_of_file},  {"task_runs", &no_task_storage},
};

/* What the kernel lacks for a program, or NULL. */
static const char *lack_of(const struct program *program)
{
	for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (!strcmp(needs[i].program, program->name) &&
		    !kernel_has_function(needs[i].lack->function))
			return needs[i].lack->what;
	return NULL;
}

bool program_sockets_have_storage(void)
{
	return kernel_has_function(no_socket_storage.function) > 0;
}

static const char *tracepoint_of(const struct program *program)
{
	const char *slash = strchr(program->hook, '/');

	return slash ? slash + 1 : program->hook;
}

/* What a tracepoint tells only with so many arguments, unless the kernel has a function that finds
 * it out otherwise. */
static const struct {
	const char *tracepoint;
	int arguments;
	const char *function; /* or NULL */
	const char *what;
} told_by_arguments[] = {
	/* Since 6.17, commit ad892e912b84. */
	{"tcp_retransmit_skb", 3, NULL, "retransmits that this node itself could not send"},
	/* Since 6.10, commits 19822a980e19 and b533fb9cf4f7. */
	{"tcp_send_reset", 3, NULL, "resets for segments to no socket, and reasons of resets"},
	/* Since 5.17, commit c504e5c2f964. */
	{"kfree_skb", 3, NULL, "why a packet is dropped"},
	/* Since 6.9, commit 72ba14deb40a; the function since 6.2, commit 3f0e6f2b41d3. */
	{"mark_victim", 2, "bpf_task_from_pid", "more of an OOM kill's victim than its number"},
};

static const char *untold(const char *tracepoint, int arguments)
{
	for (size_t i = 0; i < sizeof(told_by_arguments) / sizeof(*told_by_arguments); i++) {
		if (strcmp(told_by_arguments[i].tracepoint, tracepoint) ||
		    arguments >= told_by_arguments[i].arguments ||
		    (told_by_arguments[i].function &&
		     kernel_has_function(told_by_arguments[i].function) > 0))
			continue;
		return told_by_arguments[i].what;
	}
	return NULL;
}

/* Marks the programs that need what this kernel lacks, or whose tracepoint tells less here. Returns
 * -ENOTSUP without BTF: nothing can be loaded. */
static int leave_out_missing(struct program_status *statuses, size_t count)
{
	if (!kernel_types()) {
		for (size_t i = 0; i < count; i++)
			explain(&statuses[i], "the kernel has no type information: "
					      "/sys/kernel/btf/vmlinux is missing; "
					      "use a kernel built with CONFIG_DEBUG_INFO_BTF=y");
		return -ENOTSUP;
	}
	for (size_t i = 0; i < count; i++) {
		const char *tracepoint = tracepoint_of(statuses[i].program);
		const char *lack = lack_of(statuses[i].program);
		int arguments;

		if (lack) {
			explain(&statuses[i], "%s", lack);
			continue;
		}
		if (strncmp(statuses[i].program->hook, "tp_btf/", 7))
			continue;
		arguments = kernel_tracepoint_arguments(tracepoint);
		if (arguments < 0)
			explain(&statuses[i], "this kernel has no tracepoint %s", tracepoint);
		else
			statuses[i].untold = untold(tracepoint, arguments);
	}
	return 0;
}

/* Loads with those programs that have no reason against them, or with 'only' that one. */
static int try_load(const struct program_object *object, struct program_status *statuses,
		    size_t count, const struct program_status *only,
		    struct bpf_object_skeleton **ret_skeleton)
{
	struct bpf_object_skeleton *skeleton;
	struct bpf_program *program;
	int r;

	listen_to_libbpf();
	r = object->open(object->context, &skeleton);
	if (r)
		return r;
	bpf_object__for_each_program(program, *skeleton->obj)
	{
		const char *name = bpf_program__name(program);
		bool wanted = false;

		for (size_t i = 0; i < count; i++)
			if (!strcmp(name, statuses[i].program->name))
				wanted = only ? &statuses[i] == only : !statuses[i].reason[0];
		r = bpf_program__set_autoload(program, wanted);
		if (r)
			goto failed;
	}
	r = bpf_object__load_skeleton(skeleton);
	if (r)
		goto failed;
	*ret_skeleton = skeleton;
	return 0;

failed:
	object->close(object->context);
	return r;
}

int program_load(const struct program_object *object, struct program_status *statuses, size_t count,
		 struct bpf_object_skeleton **ret_skeleton)
{
	struct bpf_object_skeleton *skeleton;
	int r, alone;

	r = leave_out_missing(statuses, count);
	if (r)
		return r;
	r = try_load(object, statuses, count, NULL, ret_skeleton);
	if (!r)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (statuses[i].reason[0])
			continue;
		alone = try_load(object, statuses, count, &statuses[i], &skeleton);
		if (alone)
			explain_error(&statuses[i], "loading", alone);
		else
			object->close(object->context);
	}
	/* With what is left, maybe with no program: then the maps alone must do. */
	return try_load(object, statuses, count, NULL, ret_skeleton);
}

static bool is_run_when_asked(const struct program *program)
{
	return !strcmp(program->hook, "raw_tp");
}

size_t program_attach(struct bpf_object_skeleton *skeleton, struct program_status *statuses,
		      size_t count)
{
	size_t attached = 0;

	for (size_t i = 0; i < count; i++) {
		struct program_status *status = &statuses[i];
		struct bpf_program *program =
			bpf_object__find_program_by_name(*skeleton->obj, status->program->name);
		bool hangs;

		if (status->reason[0] || status->attached)
			continue;
		if (!program) {
			explain(status, "the object has no program of this name");
			continue;
		}
		listen_to_libbpf();
		hangs = !is_run_when_asked(status->program);
		if (hangs)
			status->link = bpf_program__attach(program);
		if (hangs && !status->link) {
			explain_error(status, "attaching", -errno);
			continue;
		}
		status->fd = bpf_program__fd(program);
		status->attached = true;
		attached++;
	}
	return attached;
}

struct program_runs program_runs(const struct program_status *status)
{
	struct bpf_prog_info info = {0};
	__u32 length = sizeof(info);

	if (!status->attached || bpf_obj_get_info_by_fd(status->fd, &info, &length))
		return (struct program_runs){0};
	return (struct program_runs){
		.count = info.run_cnt,
		.time_ns = info.run_time_ns,
		.missed = info.recursion_misses,
	};
}

void program_describe(const struct program_status *status, struct text *text)
{
	const char *purpose = status->program->purpose;

	if (!status->attached)
		text_printf(text, "without %s: %s", purpose, status->reason);
	else if (status->untold)
		text_printf(text, "%s; this kernel does not tell %s", purpose, status->untold);
	else
		text_printf(text, "%s", purpose);
}

void program_detach(struct program_status *statuses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* Cannot fail in a way that leaves it attached: the descriptor is closed either
		 * way. */
		(void)bpf_link__destroy(statuses[i].link);
		statuses[i].link = NULL;
		statuses[i].attached = false;
	}
}

void program_shed(struct program_status *statuses, size_t count, const char *reason)
{
	for (size_t i = 0; i < count; i++) {
		if (!statuses[i].attached)
			continue;
		program_detach(&statuses[i], 1);
		statuses[i].shed = true;
		explain(&statuses[i], "%s", reason);
	}
}

int program_restore(struct bpf_object_skeleton *skeleton, struct program_status *statuses,
		    size_t count)
{
	size_t wanted = 0;

	for (size_t i = 0; i < count; i++) {
		if (!statuses[i].shed)
			continue;
		statuses[i].shed = false;
		statuses[i].reason[0] = '\0';
		wanted++;
	}
	return program_attach(skeleton, statuses, count) == wanted ? 0 : -EIO;
}

/* Since 5.10, commit 1b4d60ec162f. */
int program_run(const struct program_status *status)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);

	if (!status->attached)
		return -ENOENT;
	return bpf_prog_test_run_opts(status->fd, &options) ? -errno : 0;
}

int program_iterate_records(const struct program_status *status, size_t record_bytes,
			    void (*found)(void *context, const void *record), void *context)
{
	/* A record may come in two parts when the kernel's own buffer ends within it. */
	char buffer[4096];
	size_t held = 0;
	ssize_t length;
	int fd;

	if (!status->attached)
		return -ENOENT;
	fd = bpf_iter_create(bpf_link__fd(status->link));
	if (fd < 0)
		return -errno;
	/* An iterator runs while it is read. */
	while ((length = read(fd, buffer + held, sizeof(buffer) - held)) > 0) {
		size_t used = 0;

		held += (size_t)length;
		for (; held - used >= record_bytes; used += record_bytes)
			found(context, buffer + used);
		held -= used;
		memmove(buffer, buffer + used, held);
	}
	length = length < 0 ? -errno : 0;
	close(fd);
	return (int)length;
}

static void ignore_record(void *context, const void *record)
{
	(void)context;
	(void)record;
}

int program_iterate(const struct program_status *status)
{
	return program_iterate_records(status, 1, ignore_record, NULL);
}
