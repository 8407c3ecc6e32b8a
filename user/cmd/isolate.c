// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* `tocsin isolate NODE` and `tocsin release NODE`: a person's wish, told to this node's agent. */
#include "agent/control.h"
#include "cmd/command.h"
#include "config/config.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_S 5

static void print_usage(FILE *stream, const char *command)
{
	bool isolate = *command == 'i';

	fprintf(stream,
		"Usage: tocsin %s [%s-c FILE | -s DIRECTORY] NODE\n\n"
		"%s\n\n"
		"%s"
		"  -c, --config FILE\n"
		"                   take state_dir from this file, default\n"
		"                   " CONFIG_DEFAULT_FILE " when it exists\n"
		"  -s, --state-dir DIRECTORY\n"
		"                   where the agent keeps its state\n"
		"  -h, --help       this text\n\n"
		"To be run as root, on the node whose agent is the actor (`tocsin cluster` says "
		"so).\n"
		"Exit status: 0 done, 1 refused or no answer, 2 wrong usage or configuration.\n",
		command, isolate ? "--force | " : "",
		isolate ? "Isolates a node, through the same rails as the agents themselves."
			: "Ends the isolation of a node.",
		isolate ? "  -f, --force      whatever the rails say; it is journalled\n" : "");
}

/* Where the agent keeps its state: as given, or as configured. */
static int choose_directory(const char *command, const char *file, char directory[CONFIG_PATH_MAX])
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	struct config config = {0};
	int r;

	if (*directory)
		return 0;
	if (!file && !access(CONFIG_DEFAULT_FILE, F_OK))
		file = CONFIG_DEFAULT_FILE;
	r = file ? config_load(file, &config, &error) : config_defaults(&config);
	if (r) {
		fprintf(stderr, "tocsin %s: %s\n", command, *reason ? reason : strerror(-r));
		return r;
	}
	memcpy(directory, config.state_dir, CONFIG_PATH_MAX);
	config_free(&config);
	return 0;
}

static int connect_agent(const char *command, const char *directory)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s/" CONTROL_SOCKET, directory) >=
	    (int)sizeof(address.sun_path)) {
		fprintf(stderr, "tocsin %s: %s is too long\n", command, directory);
	} else if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) ||
		   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) ||
		   connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		fprintf(stderr,
			"tocsin %s: %s: %s; is the agent running, and are you root? -c or -s say "
			"where it keeps its state\n",
			command, address.sun_path, strerror(errno));
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Sends the request and prints the answer. */
static int ask(const char *command, int fd, const char *node, bool force)
{
	json_t *request =
		json_pack("{s:s, s:s, s:b}", "command", command, "node", node, "force", force);
	json_error_t wrong;
	json_t *answer = NULL;
	bool done;

	if (request && !json_dumpfd(request, fd, JSON_COMPACT) && write(fd, "\n", 1) == 1)
		answer = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, &wrong);
	json_decref(request);
	if (!answer) {
		fprintf(stderr, "tocsin %s: the agent does not answer\n", command);
		return EXIT_FAILED;
	}
	done = json_is_true(json_object_get(answer, "done"));
	fprintf(done ? stdout : stderr, "%s%s%s\n", done ? "" : "tocsin ",
		done		  ? ""
		: *command == 'i' ? "isolate: "
				  : "release: ",
		json_string_value(json_object_get(answer, "message")) ?: "no reason given");
	json_decref(answer);
	return done ? EXIT_DONE : EXIT_FAILED;
}

int cmd_isolate(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"force", no_argument, NULL, 'f'},
		{"config", required_argument, NULL, 'c'},
		{"state-dir", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *command = argv[0], *file = NULL;
	char directory[CONFIG_PATH_MAX] = "";
	bool force = false;
	int option, fd, result;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, *command == 'i' ? "fc:s:h" : "c:s:h", long_options,
				     NULL)) != -1) {
		if (option == 'f' && *command == 'i') {
			force = true;
		} else if (option == 'c') {
			file = optarg;
		} else if (option == 's' && !text_copy(directory, sizeof(directory), optarg)) {
			continue;
		} else if (option == 'h') {
			print_usage(stdout, command);
			return EXIT_DONE;
		} else {
			fprintf(stderr, "tocsin %s: '%s' is no option, or lacks its argument\n",
				command, argv[optind - 1]);
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr,
			"tocsin %s: expected the name of one node; `tocsin %s --help` tells "
			"more\n",
			command, command);
		return EXIT_USAGE;
	}
	if (choose_directory(command, file, directory))
		return EXIT_USAGE;
	fd = connect_agent(command, directory);
	if (fd < 0)
		return EXIT_FAILED;
	result = ask(command, fd, argv[optind], force);
	close(fd);
	return result;
}
