// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/kube_api.h"

#include "base/clock.h"
#include "live/child.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	     (15 * NS_PER_S)
#define REAL_WAIT_NS (60 * NS_PER_S)
#define POLL_US	     5000
/* Debian's python3-yaml is the system's own Python's. */
#define TO_JSON                                                                        \
	"/usr/bin/python3 -c 'import json, sys, yaml; [print(json.dumps(o)) for f in " \
	"sys.argv[1:] "                                                                \
	"for o in yaml.safe_load_all(open(f)) if o]' "                                 \
	"deploy/kubernetes/base/namespace.yaml deploy/kubernetes/base/crd.yaml "       \
	"deploy/kubernetes/base/rbac.yaml"

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("'%s' ended with status %d", command, status);
}

const char *kube_api_obstacle(void)
{
	if (geteuid())
		return "not root";
	if (system("command -v ip curl openssl python3 >/dev/null 2>&1"))
		return "ip (iproute2), curl, openssl or python3 is not installed";
	if (system("/usr/bin/python3 -c 'import yaml' 2>/dev/null"))
		return "python3-yaml is not installed";
	return NULL;
}

void kube_api_isolate(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	run("ip link set lo up");
}

static void run_server(void *context)
{
	const struct kube_api *api = context;
	char log[96], manifests[96];
	int fd;

	snprintf(log, sizeof(log), "%s/log", api->directory);
	snprintf(manifests, sizeof(manifests), "%s/manifests.json", api->directory);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		return;
	execl("tests/kube/api", "api", "--directory", api->directory, "--rbac", manifests,
	      "--service-account", "tocsin:tocsin", NULL);
}

bool kube_api_is_real(void)
{
	const char *programs = getenv("TOCSIN_KUBE_PROGRAMS");

	return programs && *programs;
}

static unsigned int wait_for_port(const struct kube_api *api)
{
	uint64_t limit_ns = clock_monotonic_ns() + (kube_api_is_real() ? REAL_WAIT_NS : WAIT_NS);
	unsigned int port = 0;
	char path[96];

	snprintf(path, sizeof(path), "%s/port", api->directory);
	while (!port) {
		FILE *stream = fopen(path, "re");

		if (stream && fscanf(stream, "%u", &port) != 1)
			port = 0;
		if (stream)
			fclose(stream);
		if (clock_monotonic_ns() > limit_ns || waitpid(api->pid, NULL, WNOHANG) > 0)
			fail_msg("the API server does not start: see %s/log", api->directory);
		usleep(POLL_US);
	}
	return port;
}

void kube_api_start(struct kube_api *api)
{
	char command[1024];

	snprintf(api->directory, sizeof(api->directory), "/tmp/tocsin-kube-XXXXXX");
	assert_non_null(mkdtemp(api->directory));
	snprintf(api->kubeconfig, sizeof(api->kubeconfig), "%s/kubeconfig", api->directory);
	snprintf(command, sizeof(command), TO_JSON " >%s/manifests.json", api->directory);
	run(command);
	api->pid = child_start(run_server, api);
	snprintf(api->url, sizeof(api->url), "https://127.0.0.1:%u", wait_for_port(api));
}

void kube_api_stop(struct kube_api *api)
{
	char command[128];

	child_kill(&api->pid);
	snprintf(command, sizeof(command), "rm -rf %s", api->directory);
	run(command);
}

unsigned int kube_api_call(const struct kube_api *api, const char *method, const char *path,
			   const char *type, const char *body, json_t **ret_answer)
{
	char command[4096], answer[96];
	unsigned int status = 0;
	json_t *root;
	FILE *stream;
	int length;

	snprintf(answer, sizeof(answer), "%s/answer", api->directory);
	length = snprintf(command, sizeof(command),
			  "curl -sS --max-time 5 --cacert %s/ca.crt -o %s -w '%%{http_code}' -X %s "
			  "-H \"Authorization: Bearer $(cat %s/admin-token)\" "
			  "-H 'Content-Type: application/%s' %s%s%s '%s%s'",
			  api->directory, answer, method, api->directory, type ?: "json",
			  body ? "-d '" : "", body ?: "", body ? "'" : "", api->url, path);
	assert_true(length > 0 && (size_t)length < sizeof(command));
	stream = popen(command, "r");
	assert_non_null(stream);
	if (fscanf(stream, "%u", &status) != 1)
		status = 0;
	pclose(stream);
	root = json_load_file(answer, 0, NULL);
	if (ret_answer)
		*ret_answer = root;
	else
		json_decref(root);
	return status;
}

void kube_api_skip_if_real(void)
{
	if (!kube_api_is_real())
		return;
	print_message("a real API server takes no orders\n");
	skip();
}

void kube_api_order(const struct kube_api *api, const char *what, const char *body)
{
	char path[64];

	kube_api_skip_if_real();
	snprintf(path, sizeof(path), "/testing/%s", what);
	assert_int_equal(kube_api_call(api, "POST", path, NULL, body, NULL), 200);
}

static bool has_all(const char *line, const char *const words[])
{
	for (; *words; words++)
		if (!strstr(line, *words))
			return false;
	return true;
}

unsigned int kube_api_count(const struct kube_api *api, const char *const words[])
{
	char path[96], line[1024];
	unsigned int count = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/audit.jsonl", api->directory);
	stream = fopen(path, "re");
	assert_non_null(stream);
	while (fgets(line, sizeof(line), stream))
		count += has_all(line, words);
	fclose(stream);
	return count;
}

void kube_api_relent(const struct kube_api *api)
{
	if (kube_api_is_real())
		return;
	assert_int_equal(kube_api_call(api, "DELETE", "/testing/faults", NULL, NULL, NULL), 200);
}
