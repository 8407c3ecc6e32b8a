/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_KUBERNETES_ACCESS_H
#define TOCSIN_KUBERNETES_ACCESS_H

/*
 * Where the Kubernetes API is and as whom to go there: from a kubeconfig, or as the service account
 * of the pod that this process runs in. What a kubeconfig holds itself (certificates, a token) is
 * kept in memory files, so that all of it has a path.
 */

#include "base/text.h"

#include <limits.h>

#define KUBERNETES_URL_MAX	 512
#define KUBERNETES_NAMESPACE_MAX 64 /* NUL included; a DNS label */
#define KUBERNETES_TOKEN_MAX	 8192

/* Paths are "" where there is nothing. */
struct kubernetes_access {
	char server[KUBERNETES_URL_MAX]; /* without a '/' at its end */
	char namespace[KUBERNETES_NAMESPACE_MAX];
	char ca_file[PATH_MAX];
	char cert_file[PATH_MAX], key_file[PATH_MAX];
	char token_file[PATH_MAX]; /* read again whenever the token may have been rotated */
	int memory_fds[4];
	unsigned int memory_fd_count;
};

/*
 * 'kubeconfig' is a path, or "" for the pod's service account. Returns 0, or -errno with a line in
 * 'error' that says what is missing: -ENOENT where there is no such file or no pod around, -EINVAL
 * for contents, -ENOTSUP for what a kubeconfig may ask for and this does not do (exec plugins,
 * passwords, unverified servers). kubernetes_access_close() is right in any case.
 */
int kubernetes_access_open(struct kubernetes_access *access, const char *kubeconfig,
			   struct text *error);

/* The token as it is now; "" when there is none to have. Returns 0 or -errno with a line. */
int kubernetes_access_read_token(const struct kubernetes_access *access,
				 char token[static KUBERNETES_TOKEN_MAX], struct text *error);

void kubernetes_access_close(struct kubernetes_access *access);

#endif
