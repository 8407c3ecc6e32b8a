// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "live/etcd_cluster.h"

#include "base/clock.h"
#include "cluster/etcd_api.h"
#include "live/child.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	   (15 * NS_PER_S)
#define ANSWER_MAX 65536
#define REQUEST_MS 1000L
#define POLL_US	   5000
/* Of the members' processes, for nobody else's. */
#define FIRST_GROUP 61000

static void run(const char *command)
{
	int status = system(command);

	if (status)
		fail_msg("'%s' ended with status %d", command, status);
}

const char *etcd_cluster_obstacle(void)
{
	if (geteuid())
		return "not root";
	if (system("command -v etcd >/dev/null 2>&1"))
		return "etcd is not installed";
	if (system("command -v ip nft openssl >/dev/null 2>&1"))
		return "ip (iproute2), nft (nftables) or openssl is not installed";
	return NULL;
}

void etcd_cluster_isolate(void)
{
	assert_int_equal(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	assert_int_equal(mount("tmpfs", ETCD_CLUSTER_DIR, "tmpfs", 0, "mode=700"), 0);
	run("ip link set lo up");
}

static void sign(const char *name, const char *extension)
{
	char command[1024];

	snprintf(command, sizeof(command),
		 "cd " ETCD_CLUSTER_DIR " && exec 2>openssl.log && openssl req -newkey ec -pkeyopt "
		 "ec_paramgen_curve:P-256 -nodes -keyout %s.key -subj /CN=%s -out %s.csr && "
		 "printf '%s' >%s.ext && openssl x509 -req -in %s.csr -CA ca.pem -CAkey ca.key "
		 "-CAcreateserial -days 2 -extfile %s.ext -out %s.pem",
		 name, name, name, extension, name, name, name, name);
	run(command);
}

static void make_ca(const char *name)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "cd " ETCD_CLUSTER_DIR " && openssl req -x509 -newkey ec -pkeyopt "
		 "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=%s -keyout %s.key -out %s.pem "
		 "2>openssl.log",
		 name, name, name);
	run(command);
}

void etcd_cluster_make_certificates(void)
{
	make_ca("ca");
	make_ca("other-ca");
	/* The gateway is a client of its own server. */
	sign("server", "subjectAltName=IP:127.0.1.1,IP:127.0.1.2,IP:127.0.1.3\\n"
		       "extendedKeyUsage=serverAuth,clientAuth\\n");
	sign("client", "extendedKeyUsage=clientAuth\\n");
}

struct start {
	const struct etcd_cluster *cluster;
	unsigned int member;
};

/* What a member's own sockets are told by; where they come from is the same for all. */
static gid_t group_of(unsigned int member)
{
	return FIRST_GROUP + member;
}

static void run_member(void *context)
{
	const struct start *start = context;
	const struct etcd_cluster *cluster = start->cluster;
	const char *arguments[40] = {"etcd"};
	char name[16], directory[64], log[64], peer[64], all[256] = "";
	size_t count = 1;
	int fd;

	snprintf(name, sizeof(name), "m%u", start->member);
	snprintf(directory, sizeof(directory), ETCD_CLUSTER_DIR "/m%u", start->member);
	snprintf(log, sizeof(log), ETCD_CLUSTER_DIR "/m%u.log", start->member);
	snprintf(peer, sizeof(peer), "http://127.0.1.%u:2380", start->member + 1);
	for (unsigned int i = 0; i < cluster->count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all),
			 "%sm%u=http://127.0.1.%u:2380", i ? "," : "", i, i + 1);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || setgid(group_of(start->member)))
		_exit(1);

	const char *const pairs[][2] = {
		{"--name", name},
		{"--data-dir", directory},
		{"--listen-client-urls", cluster->urls[start->member]},
		{"--advertise-client-urls", cluster->urls[start->member]},
		{"--listen-peer-urls", peer},
		{"--initial-advertise-peer-urls", peer},
		{"--initial-cluster", all},
		{"--heartbeat-interval", "20"},
		{"--election-timeout", "200"},
	};
	static const char *const tls[] = {
		"--cert-file",	      ETCD_CLUSTER_DIR "/server.pem",
		"--key-file",	      ETCD_CLUSTER_DIR "/server.key",
		"--trusted-ca-file",  ETCD_CLUSTER_DIR "/ca.pem",
		"--client-cert-auth",
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		arguments[count++] = pairs[i][0];
		arguments[count++] = pairs[i][1];
	}
	for (size_t i = 0; cluster->tls && i < sizeof(tls) / sizeof(*tls); i++)
		arguments[count++] = tls[i];
	execvp("etcd", (char *const *)arguments);
}

void etcd_cluster_start_member(struct etcd_cluster *cluster, unsigned int member)
{
	struct start start = {cluster, member};

	cluster->pids[member] = child_start(run_member, &start);
}

void etcd_cluster_kill(struct etcd_cluster *cluster, unsigned int member)
{
	child_kill(&cluster->pids[member]);
}

void etcd_cluster_stop(struct etcd_cluster *cluster)
{
	for (unsigned int i = 0; i < cluster->count; i++)
		child_kill(&cluster->pids[i]);
	run("rm -rf " ETCD_CLUSTER_DIR "/m?");
	cluster->count = 0;
}

struct body {
	char data[ANSWER_MAX];
	size_t bytes;
};

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct body *body = context;
	size_t bytes = size * count;

	if (bytes > sizeof(body->data) - body->bytes)
		return 0;
	memcpy(body->data + body->bytes, data, bytes);
	body->bytes += bytes;
	return bytes;
}

json_t *etcd_cluster_try(struct etcd_cluster *cluster, unsigned int member, const char *path,
			 const char *body)
{
	static struct body answer;
	struct curl_slist *headers = NULL;
	CURL *curl = curl_easy_init();
	char url[256], header[300];
	long status = 0;

	assert_non_null(curl);
	answer.bytes = 0;
	snprintf(url, sizeof(url), "%s%s", cluster->urls[member], path);
	snprintf(header, sizeof(header), "Authorization: %s", cluster->token);
	headers = curl_slist_append(NULL, header);
	assert_non_null(headers);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_URL, url), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REQUEST_MS), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_PROXY, ""), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer), CURLE_OK);
	if (*cluster->token)
		assert_int_equal(curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers), CURLE_OK);
	if (cluster->tls) {
		assert_int_equal(curl_easy_setopt(curl, CURLOPT_CAINFO, ETCD_CLUSTER_DIR "/ca.pem"),
				 CURLE_OK);
		assert_int_equal(
			curl_easy_setopt(curl, CURLOPT_SSLCERT, ETCD_CLUSTER_DIR "/client.pem"),
			CURLE_OK);
		assert_int_equal(
			curl_easy_setopt(curl, CURLOPT_SSLKEY, ETCD_CLUSTER_DIR "/client.key"),
			CURLE_OK);
	}
	if (curl_easy_perform(curl) || curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status))
		status = 0;
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return status == 200 ? json_loadb(answer.data, answer.bytes, 0, NULL) : NULL;
}

json_t *etcd_cluster_post(struct etcd_cluster *cluster, unsigned int member, const char *path,
			  const char *body)
{
	json_t *answer = etcd_cluster_try(cluster, member, path, body);

	if (!answer)
		fail_msg("member %u: %s %s failed", member, path, body);
	return answer;
}

void etcd_cluster_wait(struct etcd_cluster *cluster, unsigned int member)
{
	uint64_t deadline_ns = clock_monotonic_ns() + WAIT_NS;
	json_t *answer;

	while (!(answer =
			 etcd_cluster_try(cluster, member, "/v3/kv/range", "{\"key\":\"YQ==\"}"))) {
		if (clock_monotonic_ns() > deadline_ns) {
			run("tail -n 20 " ETCD_CLUSTER_DIR "/m*.log >&2");
			fail_msg("member %u of etcd does not answer", member);
		}
		usleep(POLL_US);
	}
	json_decref(answer);
}

void etcd_cluster_start(struct etcd_cluster *cluster, unsigned int count, bool tls)
{
	*cluster = (struct etcd_cluster){.count = count, .tls = tls};
	for (unsigned int i = 0; i < count; i++)
		snprintf(cluster->urls[i], sizeof(cluster->urls[i]), "http%s://127.0.1.%u:2379",
			 tls ? "s" : "", i + 1);
	for (unsigned int i = 0; i < count; i++)
		etcd_cluster_start_member(cluster, i);
	for (unsigned int i = 0; i < count; i++)
		etcd_cluster_wait(cluster, i);
}

void etcd_cluster_blackhole(unsigned int member)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "nft 'add table ip hole; add chain ip hole drops { type filter hook input "
		 "priority 0; }; add rule ip hole drops ip daddr 127.0.1.%u drop; add rule ip hole "
		 "drops ip saddr 127.0.1.%u drop'",
		 member + 1, member + 1);
	run(command);
}

void etcd_cluster_cut_peers(unsigned int member)
{
	char command[512];

	snprintf(command, sizeof(command),
		 "nft 'add table ip hole; add chain ip hole in { type filter hook input priority "
		 "0; }; add chain ip hole out { type filter hook output priority 0; }; add rule ip "
		 "hole in ip daddr 127.0.1.%u tcp dport 2380 drop; add rule ip hole out meta skgid "
		 "%u tcp dport 2380 drop'",
		 member + 1, group_of(member));
	run(command);
}

void etcd_cluster_pass(void)
{
	run("nft 'add table ip hole; delete table ip hole'");
}

unsigned int etcd_cluster_leader(struct etcd_cluster *cluster)
{
	for (unsigned int i = 0; i < cluster->count; i++) {
		json_t *answer = etcd_cluster_post(cluster, i, "/v3/maintenance/status", "{}");
		struct etcd_member member;

		assert_int_equal(etcd_decode_member(answer, &member), 0);
		json_decref(answer);
		if (member.leader == member.member_id)
			return i;
	}
	fail_msg("etcd has no leader");
	return 0;
}

void etcd_cluster_put(struct etcd_cluster *cluster, const char *key, const void *value, size_t size)
{
	struct etcd_bytes bytes = {value, size};
	char *put = etcd_encode_put(key, bytes, 0);
	char *body = put;

	if (!value) {
		json_t *root = json_loads(put, 0, NULL);

		body = json_dumps(root, 0);
		json_decref(root);
	}
	assert_non_null(body);
	json_decref(
		etcd_cluster_post(cluster, 0, value ? "/v3/kv/put" : "/v3/kv/deleterange", body));
	if (body != put)
		free(body);
	free(put);
}
