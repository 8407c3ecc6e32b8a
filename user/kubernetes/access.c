// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kubernetes/access.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <yaml.h>

/* Where every pod finds its service account, unless it asks not to. */
#define SERVICE_ACCOUNT	     "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBECONFIG_BYTES_MAX (1UL << 20)

/* ---- the pod's service account ---- */

/* A small file's text, without the white space at its end. */
static int read_text(const char *path, char *data, size_t size, struct text *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	size_t length = 0;

	if (fd < 0) {
		err = -errno;
		text_printf(error, "%s cannot be read: %s", path, strerror(-err));
		return err;
	}
	while (length < size) {
		ssize_t bytes = read(fd, data + length, size - length);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			err = -errno;
		if (bytes <= 0)
			break;
		length += (size_t)bytes;
	}
	(void)close(fd);
	if (err)
		text_printf(error, "%s cannot be read: %s", path, strerror(-err));
	else if (length == size)
		err = -EINVAL;
	if (err == -EINVAL)
		text_printf(error, "%s is longer than the %zu bytes expected", path, size - 1);
	if (err)
		return err;
	while (length && strchr(" \t\r\n", data[length - 1]))
		length--;
	data[length] = '\0';
	return 0;
}

static int open_service_account(struct kubernetes_access *access, struct text *error)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool is_ipv6;
	int length;

	if (!host || !*host || !port || !*port) {
		text_printf(error,
			    "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
			    "not in a pod; expected kubernetes.kubeconfig");
		return -ENOENT;
	}
	is_ipv6 = strchr(host, ':') && *host != '[';
	length = snprintf(access->server, sizeof(access->server), "https://%s%s%s:%s",
			  is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
	if (length < 0 || (size_t)length >= sizeof(access->server)) {
		text_printf(error, "KUBERNETES_SERVICE_HOST is too long");
		return -EINVAL;
	}
	(void)text_copy(access->token_file, sizeof(access->token_file), SERVICE_ACCOUNT "/token");
	(void)text_copy(access->ca_file, sizeof(access->ca_file), SERVICE_ACCOUNT "/ca.crt");
	return read_text(SERVICE_ACCOUNT "/namespace", access->namespace, sizeof(access->namespace),
			 error);
}

/* ---- a kubeconfig ---- */

struct kubeconfig {
	yaml_document_t document;
	const char *path;
	struct text *error;
};

static const char *scalar_of(const yaml_node_t *node)
{
	return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value
						      : NULL;
}

/* The value of a key in a mapping; NULL when there is none. */
static yaml_node_t *find(struct kubeconfig *config, yaml_node_t *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING_NODE)
		return NULL;
	for (yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
	     pair < mapping->data.mapping.pairs.top; pair++) {
		const char *name = scalar_of(yaml_document_get_node(&config->document, pair->key));

		if (name && !strcmp(name, key))
			return yaml_document_get_node(&config->document, pair->value);
	}
	return NULL;
}

/* What stands under 'kind' in the entry of this name of the list 'list'. */
static yaml_node_t *find_named(struct kubeconfig *config, const char *list, const char *kind,
			       const char *name)
{
	yaml_node_t *root = yaml_document_get_root_node(&config->document);
	yaml_node_t *entries = find(config, root, list);

	if (!entries || entries->type != YAML_SEQUENCE_NODE)
		return NULL;
	for (yaml_node_item_t *item = entries->data.sequence.items.start;
	     item < entries->data.sequence.items.top; item++) {
		yaml_node_t *entry = yaml_document_get_node(&config->document, *item);
		const char *found = scalar_of(find(config, entry, "name"));

		if (found && !strcmp(found, name))
			return find(config, entry, kind);
	}
	return NULL;
}

/* The text at a key; "" when it is missing. */
static const char *value(struct kubeconfig *config, yaml_node_t *mapping, const char *key)
{
	return scalar_of(find(config, mapping, key)) ?: "";
}

static int fail(struct kubeconfig *config, int err, const char *what, const char *expected)
{
	text_printf(config->error, "%s: %s, expected %s", config->path, what, expected);
	return err;
}

/* Gives bytes a path. */
static int keep_in_memory(struct kubernetes_access *access, const void *data, size_t size,
			  char path[static PATH_MAX])
{
	int fd = memfd_create("kubernetes", MFD_CLOEXEC);
	ssize_t written;

	if (fd < 0)
		return -errno;
	access->memory_fds[access->memory_fd_count++] = fd;
	written = write(fd, data, size);
	if (written < 0)
		return -errno;
	if ((size_t)written != size)
		return -ENOSPC;
	snprintf(path, PATH_MAX, "/proc/self/fd/%d", fd);
	return 0;
}

static int decode_into_memory(struct kubernetes_access *access, const char *base64,
			      char path[static PATH_MAX])
{
	size_t length = strlen(base64), size = 0;
	unsigned char *data = malloc(length + 1);
	int err = -EINVAL;

	if (!data)
		return -ENOMEM;
	if (!sodium_base642bin(data, length + 1, base64, length, " \r\n", &size, NULL,
			       sodium_base64_VARIANT_ORIGINAL))
		err = keep_in_memory(access, data, size, path);
	sodium_memzero(data, length + 1);
	free(data);
	return err;
}

/* A file that is named, relative to the kubeconfig, or that lies in it as "KEY-data". */
static int take_file(struct kubernetes_access *access, struct kubeconfig *config,
		     yaml_node_t *mapping, const char *key, char path[static PATH_MAX])
{
	char data_key[64];
	const char *data, *named = value(config, mapping, key);
	const char *slash = strrchr(config->path, '/');
	int length = 0, err = 0;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	data = value(config, mapping, data_key);
	if (*data)
		err = decode_into_memory(access, data, path);
	else if (*named == '/' || (*named && !slash))
		length = snprintf(path, PATH_MAX, "%s", named);
	else if (*named)
		length = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - config->path),
				  config->path, named);
	if (length >= PATH_MAX)
		return fail(config, -EINVAL, key, "a shorter path");
	if (err == -EINVAL)
		return fail(config, err, data_key, "base64");
	return err;
}

static int take_cluster(struct kubernetes_access *access, struct kubeconfig *config,
			yaml_node_t *cluster)
{
	const char *server = value(config, cluster, "server");
	size_t length = strlen(server);

	if (strncmp(server, "https://", strlen("https://")))
		return fail(config, -EINVAL, "the cluster's server is no https URL",
			    "server: https://HOST:PORT");
	while (length && server[length - 1] == '/')
		length--;
	if (length >= sizeof(access->server))
		return fail(config, -EINVAL, "the cluster's server is too long", "a shorter URL");
	memcpy(access->server, server, length);
	access->server[length] = '\0';
	if (!strcmp(value(config, cluster, "insecure-skip-tls-verify"), "true"))
		return fail(config, -ENOTSUP, "insecure-skip-tls-verify is set",
			    "certificate-authority, so that the server is known");
	if (*value(config, cluster, "tls-server-name") || *value(config, cluster, "proxy-url"))
		return fail(config, -ENOTSUP, "tls-server-name and proxy-url are not supported",
			    "a server that is reached by its own name");
	return take_file(access, config, cluster, "certificate-authority", access->ca_file);
}

static int take_user(struct kubernetes_access *access, struct kubeconfig *config, yaml_node_t *user)
{
	const char *token = value(config, user, "token");
	int err = take_file(access, config, user, "client-certificate", access->cert_file)
			  ?: take_file(access, config, user, "client-key", access->key_file);

	if (!err)
		err = take_file(access, config, user, "tokenFile", access->token_file);
	/* As client-go has it, the file counts more. */
	if (!err && *token && !*access->token_file)
		err = keep_in_memory(access, token, strlen(token), access->token_file);
	if (err)
		return err;
	if (!*access->cert_file != !*access->key_file)
		return fail(config, -EINVAL, "the user has only half of a certificate",
			    "client-certificate and client-key");
	if (!*access->cert_file && !*access->token_file)
		return fail(config, find(config, user, "exec") ? -ENOTSUP : -EINVAL,
			    "the user has neither token nor certificate (exec plugins and "
			    "passwords are not supported)",
			    "token, tokenFile, or client-certificate and client-key");
	return 0;
}

static int take_context(struct kubernetes_access *access, struct kubeconfig *config)
{
	yaml_node_t *root = yaml_document_get_root_node(&config->document);
	const char *name = value(config, root, "current-context");
	yaml_node_t *context = find_named(config, "contexts", "context", name);
	const char *namespace = value(config, context, "namespace");
	yaml_node_t *cluster =
		find_named(config, "clusters", "cluster", value(config, context, "cluster"));
	yaml_node_t *user = find_named(config, "users", "user", value(config, context, "user"));

	if (!context)
		return fail(config, -EINVAL, "current-context names no context",
			    "the name of one of contexts");
	if (!cluster || !user)
		return fail(config, -EINVAL,
			    "the context names no cluster or no user that is there",
			    "names of clusters and users");
	if (text_copy(access->namespace, sizeof(access->namespace),
		      *namespace ? namespace : "default"))
		return fail(config, -EINVAL, "the context's namespace is too long",
			    "up to 63 characters");
	return take_cluster(access, config, cluster) ?: take_user(access, config, user);
}

static int open_kubeconfig(struct kubernetes_access *access, const char *path, struct text *error)
{
	struct kubeconfig config = {.path = path, .error = error};
	char *data = malloc(KUBECONFIG_BYTES_MAX);
	yaml_parser_t parser;
	int err = -ENOMEM;

	if (!data)
		return -ENOMEM;
	err = read_text(path, data, KUBECONFIG_BYTES_MAX, error);
	if (err)
		goto out;
	err = -ENOMEM;
	if (!yaml_parser_initialize(&parser))
		goto out;
	yaml_parser_set_input_string(&parser, (const unsigned char *)data, strlen(data));
	if (yaml_parser_load(&parser, &config.document)) {
		err = take_context(access, &config);
		yaml_document_delete(&config.document);
	} else {
		err = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
		text_printf(error, "%s:%zu: %s, expected a kubeconfig", path,
			    parser.problem_mark.line + 1, parser.problem ?: "no memory");
	}
	yaml_parser_delete(&parser);
out:
	sodium_memzero(data, KUBECONFIG_BYTES_MAX);
	free(data);
	return err;
}

/* ---- both ---- */

int kubernetes_access_open(struct kubernetes_access *access, const char *kubeconfig,
			   struct text *error)
{
	int err;

	*access = (struct kubernetes_access){0};
	err = *kubeconfig ? open_kubeconfig(access, kubeconfig, error)
			  : open_service_account(access, error);
	if (err == -ENOMEM)
		text_printf(error, "no memory");
	return err;
}

int kubernetes_access_read_token(const struct kubernetes_access *access,
				 char token[static KUBERNETES_TOKEN_MAX], struct text *error)
{
	token[0] = '\0';
	return *access->token_file
		       ? read_text(access->token_file, token, KUBERNETES_TOKEN_MAX, error)
		       : 0;
}

void kubernetes_access_close(struct kubernetes_access *access)
{
	for (unsigned int i = 0; i < access->memory_fd_count; i++)
		(void)close(access->memory_fds[i]);
	access->memory_fd_count = 0;
}
