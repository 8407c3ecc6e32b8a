// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cmd/agent_query.h"

#include "base/exit_code.h"
#include "config/config.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS 2000L
#define URL_BYTES  512
/* 10,000 peers take about 10 MB. */
#define ANSWER_BYTES_MAX ((size_t)64 << 20)

/* Grows with the answer up to ANSWER_BYTES_MAX. */
struct answer {
	FILE *stream;
	char *data;
	size_t size;
	size_t received;
};

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
static int choose_url(const struct agent_query *query, struct text *url)
{
	char reason[512] = "";
	struct text error = TEXT(reason);
	struct config config = {0};
	const char *file = query->config_file;
	int result;

	if (query->url) {
		size_t length = strlen(query->url);

		while (length && query->url[length - 1] == '/')
			length--;
		text_printf(url, "%.*s", (int)(length < URL_BYTES ? length : URL_BYTES),
			    query->url);
	} else {
		if (!file && !access(CONFIG_DEFAULT_FILE, F_OK))
			file = CONFIG_DEFAULT_FILE;
		result = file ? config_load(file, &config, &error) : config_defaults(&config);
		if (result) {
			fprintf(stderr, "tocsin %s: %s\n", query->command,
				*reason ? reason : strerror(-result));
			return result;
		}
		listen_url(&config.http.listen, url);
		config_free(&config);
	}
	text_printf(url, "%s", query->path);
	if (url->truncated) {
		fprintf(stderr, "tocsin %s: the URL is longer than %d bytes\n", query->command,
			URL_BYTES - 1);
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

static void print_failure(const char *command, const char *url, const char *reason,
			  const char *advice)
{
	fprintf(stderr, "tocsin %s: GET %s: %s; %s\n", command, url, reason, advice);
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
static int transfer(const char *command, const char *url, struct answer *answer)
{
	CURL *curl = curl_easy_init();
	char error[CURL_ERROR_SIZE] = "", reason[64];
	long status = 0;
	CURLcode code;
	int result = -EIO;

	if (!curl) {
		print_failure(command, url, "libcurl cannot be initialised",
			      "is there enough memory?");
		return -ENOMEM;
	}
	code = set_options(curl, url, answer, error);
	if (!code)
		code = curl_easy_perform(curl);
	if (!code)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	snprintf(reason, sizeof(reason), "HTTP status %ld", status);
	if (code)
		print_failure(command, url, *error ? error : curl_easy_strerror(code), not_running);
	else if (status != 200)
		print_failure(command, url, reason, "does a tocsin agent listen there?");
	else
		result = 0;
	curl_easy_cleanup(curl);
	return result;
}

/* Returns the agent's answer, or NULL after saying what is wrong. */
static json_t *fetch(const char *command, const char *url)
{
	struct answer answer = {0};
	json_error_t error;
	json_t *found = NULL;
	char reason[JSON_ERROR_TEXT_LENGTH + 64];
	int result;

	answer.stream = open_memstream(&answer.data, &answer.size);
	if (!answer.stream) {
		print_failure(command, url, strerror(errno), "is there enough memory?");
		return NULL;
	}
	result = transfer(command, url, &answer);
	if (fclose(answer.stream) && !result) {
		print_failure(command, url, strerror(errno), "is there enough memory?");
		result = -ENOMEM;
	}
	if (!result) {
		found = json_loadb(answer.data, answer.size, 0, &error);
		snprintf(reason, sizeof(reason), "the answer is not JSON: %s", error.text);
	}
	if (!result && !json_is_object(found)) {
		print_failure(command, url, found ? "the answer is not a JSON object" : reason,
			      "does a tocsin agent listen there?");
		json_decref(found);
		found = NULL;
	}
	free(answer.data);
	return found;
}

int agent_query(const struct agent_query *query, json_t **ret_answer)
{
	char buffer[URL_BYTES] = "";
	struct text url = TEXT(buffer);

	*ret_answer = NULL;
	if (choose_url(query, &url))
		return EXIT_USAGE;
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		print_failure(query->command, buffer, "libcurl cannot be initialised",
			      "is there enough memory?");
		return EXIT_FAILED;
	}
	*ret_answer = fetch(query->command, buffer);
	curl_global_cleanup();
	return *ret_answer ? EXIT_DONE : EXIT_FAILED;
}

bool agent_query_wants_colour(void)
{
	/* https://no-color.org: present and not empty, whatever its value. */
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color);
}

int agent_query_print_json(const json_t *answer)
{
	if (json_dumpf(answer, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6)) ||
	    putchar('\n') == EOF || fflush(stdout))
		return -EIO;
	return 0;
}
