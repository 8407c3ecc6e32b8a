/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_TRACE_POD_LOGS_H
#define TOCSIN_TRACE_POD_LOGS_H

/*
 * How the pods of this node are called, without the API and without an agent: by the names of the
 * directories in which the kubelet has their logs since 1.14, /var/log/pods/NAMESPACE_NAME_UID, and
 * of the links that it makes to those of containers, /var/log/containers/NAME_NAMESPACE_CONTAINER-
 * ID.log. The uid is that of the control groups, also of static pods.
 */

#include "base/cgroup_name.h"
#include "base/cgroup_owner.h"

#define POD_LOGS_PATH "/var/log/pods"

/* The names that belong to a group, as far as they are known. Reads directories. */
void pod_logs_find(const struct cgroup_name *group, struct pod_name *ret_name);

/*
 * Calls 'take' with the uid of each pod of this name: the directory of one that is gone may be
 * there for a while. Returns how many there were, or a negative errno when the directory cannot be
 * read.
 */
int pod_logs_uids(const char *namespace, const char *pod, void *context,
		  void (*take)(void *context, const char *uid));

/* ---- pure, for tests ---- */

/* Whether a directory's name is NAMESPACE_NAME_UID; then its parts are written. */
bool pod_logs_parse_pod(const char *directory, struct pod_name *ret_name,
			char uid[static CGROUP_POD_BYTES]);

/* Whether a link is to the logs of the container of this id in a pod of this name; then the
 * container's name is written. */
bool pod_logs_parse_container(const char *link, const char *id, struct pod_name *name);

#endif
