// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/command.h"

#include "config/config.h"
#include "report/status.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS  2000L
#define STATUS_PATH "/api/v1/status"
#define URL_BYTES   512
/* 10,000 peers take about 10 MB. */
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

struct options {
	bool json;
	bool help;
	const char *config_file;
	const char *url;
};

/* Grows with the answer up to ANSWER_BYTES_MAX. */
struct answer {
	FILE *stream;
	char *data;
	size_t size;
	size_t received;
};

static void print_usage(FILE *stream)
{
	fprintf(stream,
		"Usage: tocsin status [--json] [--url URL | -c FILE]\n\n"
		"What this node sees of its peers, from its running agent. The worst comes "
		"first.\n\n"
		"  -j, --json       the agent's JSON on one line\n"
		"  -u, --url URL    where the agent listens, default http://127.0.0.1:9479\n"
		"  -c, --config FILE\n"
		"                   take http.listen from this file, default\n"
		"                   " CONFIG_DEFAULT_FILE " when it exists\n"
		"  -h, --help       this text\n\n"
		"LOSS is of heartbeats, or of TCP segments where there are none. RTO, SYN and\n"
		"SYNACK are retransmits that hint at silence; TLP and FAST are harmless.\n"
		"Exit status: 0 done, 1 no answer, 2 wrong usage or configuration.\n");
}

static int parse_options(int argc, char **argv, struct options *ret_options)
{
	static const struct option long_options[] = {
		{"json", no_argument, NULL, 'j'},
		{"url", required_argument, NULL, 'u'},
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct options options = {0};
	int option;

	optind = 1;
	opterr = 0; /* getopt's own words would begin with "status:" */
	while ((option = getopt_long(argc, argv, "ju:c:h", long_options, NULL)) != -1) {
		if (option == 'j')
			options.json = true;
		else if (option == 'u')
			options.url = optarg;
		else if (option == 'c')
			options.config_file = optarg;
		else if (option == 'h')
			options.help = true;
		else {
			fprintf(stderr, "tocsin status: '%s' is no option, or lacks its argument\n",
				argv[optind - 1]);
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "tocsin status: unexpected argument '%s'\n", argv[optind]);
		return -EINVAL;
	}
	if (options.url && options.config_file) {
		fprintf(stderr, "tocsin status: --url and -c exclude each other\n");
		return -EINVAL;
	}
	*ret_options = options;
	return 0;
}

/* An agent that listens everywhere is asked through the loopback. */
static void listen_url(const struct config_listen *listen, struct text *url)
{
	static const struct address any_v6 = {0};
	struct address any_v4 = {.bytes = {[10] = 0xff, [11] = 0xff}};
	char address[ADDRESS_TEXT_MAX];

	if (address_equal(&listen->address, &any_v4))
		text_printf(url, "http://127.0.0.1:%u", listen->port);
	else if (address_equal(&listen->address, &any_v6))
		text_printf(url, "http://[::1]:%u", listen->port);
	else if (address_is_v4(&listen->address))
		text_printf(url, "http://%s:%u", address_format(&listen->address, address),
			    listen->port);
	else
		text_printf(url, "http://[%s]:%u", address_format(&listen->address, address),
			    listen->port);
}

/* The agent's base URL: as given, or as configured. Prints what is wrong. */
static int choose_url(const struct options *options, struct text *url)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	struct config config = {0};
	const char *file = options->config_file;
	int result;

	if (options->url) {
		size_t length = strlen(options->url);

		while (length && options->url[length - 1] == '/')
			length--;
		text_printf(url, "%.*s", (int)(length < URL_BYTES ? length : URL_BYTES),
			    options->url);
	} else {
		if (!file && !access(CONFIG_DEFAULT_FILE, F_OK))
			file = CONFIG_DEFAULT_FILE;
		result = file ? config_load(file, &config, &error) : config_defaults(&config);
		if (result) {
			fprintf(stderr, "tocsin status: %s\n",
				*reason ? reason : strerror(-result));
			return result;
		}
		listen_url(&config.http.listen, url);
		config_free(&config);
	}
	text_printf(url, "%s", STATUS_PATH);
	if (url->truncated) {
		fprintf(stderr, "tocsin status: the URL is longer than %d bytes\n", URL_BYTES - 1);
		return -EINVAL;
	}
	return 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *context)
{
	struct answer *answer = context;
	size_t length = size * count; /* size is always 1 */

	if (length > ANSWER_BYTES_MAX - answer->received)
		return 0;
	answer->received += length;
	return fwrite(data, 1, length, answer->stream);
}

static void print_failure(const char *url, const char *reason, const char *advice)
{
	fprintf(stderr, "tocsin status: GET %s: %s; %s\n", url, reason, advice);
}

static const char not_running[] = "is the agent running? `systemctl status tocsin` or `tocsin "
				  "agent`; --url or -c say where it "
				  "listens";

static CURLcode set_options(CURL *curl, const char *url, struct answer *answer, char *error)
{
	CURLcode code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);

	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_URL, url);
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	/* The agent is this node's own: a proxy from the environment could only be wrong. */
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	if (!code)
		code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	return code;
}

/* Fills answer->stream. Prints what is wrong. */
static int transfer(const char *url, struct answer *answer)
{
	CURL *curl = curl_easy_init();
	char error[CURL_ERROR_SIZE] = "", reason[64];
	long status = 0;
	CURLcode code;
	int result = -EIO;

	if (!curl) {
		print_failure(url, "libcurl cannot be initialised", "is there enough memory?");
		return -ENOMEM;
	}
	code = set_options(curl, url, answer, error);
	if (!code)
		code = curl_easy_perform(curl);
	if (!code)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	snprintf(reason, sizeof(reason), "HTTP status %ld", status);
	if (code)
		print_failure(url, *error ? error : curl_easy_strerror(code), not_running);
	else if (status != 200)
		print_failure(url, reason, "does a tocsin agent listen there?");
	else
		result = 0;
	curl_easy_cleanup(curl);
	return result;
}

/* Returns the agent's answer, or NULL after saying what is wrong. */
static json_t *fetch_status(const char *url)
{
	struct answer answer = {0};
	json_error_t error;
	json_t *status = NULL;
	char reason[JSON_ERROR_TEXT_LENGTH + 64];
	int result;

	answer.stream = open_memstream(&answer.data, &answer.size);
	if (!answer.stream) {
		print_failure(url, strerror(errno), "is there enough memory?");
		return NULL;
	}
	result = transfer(url, &answer);
	if (fclose(answer.stream) && !result) {
		print_failure(url, strerror(errno), "is there enough memory?");
		result = -ENOMEM;
	}
	if (!result) {
		status = json_loadb(answer.data, answer.size, 0, &error);
		snprintf(reason, sizeof(reason), "the answer is not JSON: %s", error.text);
	}
	if (!result && !json_is_object(status)) {
		print_failure(url, status ? "the answer is not a JSON object" : reason,
			      "does a tocsin agent listen there?");
		json_decref(status);
		status = NULL;
	}
	free(answer.data);
	return status;
}

static int print_status(const json_t *status, bool json)
{
	/* https://no-color.org: present and not empty, whatever its value. */
	const char *no_color = getenv("NO_COLOR");
	bool colour = isatty(STDOUT_FILENO) && !(no_color && *no_color);
	int result = 0;

	if (!json)
		result = status_print(stdout, status, colour);
	else if (json_dumpf(status, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) ||
		 putchar('\n') == EOF || fflush(stdout))
		result = -EIO;
	if (result)
		fprintf(stderr, "tocsin status: cannot write to standard output: %s\n",
			strerror(-result));
	return result;
}

int cmd_status(int argc, char **argv)
{
	char buffer[URL_BYTES] = "";
	struct text url = TEXT(buffer);
	struct options options = {0};
	json_t *status;
	int result;

	if (parse_options(argc, argv, &options)) {
		fprintf(stderr, "`tocsin status --help` tells more\n");
		return EXIT_USAGE;
	}
	if (options.help) {
		print_usage(stdout);
		return EXIT_DONE;
	}
	if (choose_url(&options, &url))
		return EXIT_USAGE;
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		print_failure(buffer, "libcurl cannot be initialised", "is there enough memory?");
		return EXIT_FAILED;
	}
	status = fetch_status(buffer);
	result = status ? print_status(status, options.json) : -EIO;
	json_decref(status);
	curl_global_cleanup();
	return result ? EXIT_FAILED : EXIT_DONE;
}
