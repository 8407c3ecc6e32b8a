// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "unit/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

void cluster_make(struct cluster *cluster, unsigned int count, const char *zones)
{
	static struct config_node nodes[CLUSTER_NODES_MAX];

	assert_in_range(count, 1, CLUSTER_NODES_MAX);
	memset(nodes, 0, sizeof(nodes));
	for (unsigned int i = 0; i < count; i++) {
		/* In the order of names, also beyond nine. */
		snprintf(nodes[i].name, sizeof(nodes[i].name), count > 9 ? "n%02u" : "n%u", i + 1);
		if (zones && zones[i] != ' ')
			snprintf(nodes[i].zone, sizeof(nodes[i].zone), "%c", zones[i]);
	}
	*cluster = (struct cluster){0};
	assert_int_equal(membership_init(&cluster->membership, nodes, count), 0);
	assert_int_equal(view_init(&cluster->view, &cluster->membership), 0);
}

static void say(struct cluster *cluster, unsigned int index, const char *line, uint32_t flags,
		double distrust_ratio, const char *finding, uint64_t revision, uint64_t now_ns)
{
	static const char letters[] = ",hlsueia";
	uint8_t words[MEMBERSHIP_SLOTS_MAX] = {0};
	struct row row = {
		.boot_id = "6a8f9f0e-0000-4000-8000-000000000001",
		.epoch = 1,
		.sequence = ++cluster->sequence,
		.members = cluster->membership.hash,
		.member = index,
		.considered_revision = view_considered(
			&cluster->view, index, revision == VIEW_REVISION_NONE ? now_ns : revision),
		.words = words,
		.flags = flags,
		.distrust_ratio = distrust_ratio};
	unsigned int slot = 0;

	assert_int_equal(strlen(line), cluster->membership.count);
	for (unsigned int i = 0; line[i]; i++) {
		const char *letter = strchr(letters, line[i]);

		if (i == index)
			continue;
		assert_non_null(letter);
		words[slot++] = (uint8_t)(letter - letters);
	}
	if (finding) {
		const char *subject = strchr(finding, ' ');
		int length = subject ? (int)(subject - finding) : (int)strlen(finding);

		row.finding_count = 1;
		snprintf(row.findings[0].name, sizeof(row.findings[0].name), "%.*s", length,
			 finding);
		snprintf(row.findings[0].subject, sizeof(row.findings[0].subject), "%s",
			 subject ? subject + 1 : "SUBJECT");
		strcpy(row.findings[0].sentence, "SENTENCE");
	}
	memcpy(row.node, cluster->membership.members[index].name, sizeof(row.node));
	assert_true(view_put(&cluster->view, &row, revision, now_ns));
}

void cluster_say(struct cluster *cluster, unsigned int index, const char *line, uint32_t flags,
		 double distrust_ratio, uint64_t now_ns)
{
	say(cluster, index, line, flags, distrust_ratio, NULL, now_ns, now_ns);
}

void cluster_say_late(struct cluster *cluster, unsigned int index, const char *line,
		      uint64_t written_ns, uint64_t now_ns)
{
	say(cluster, index, line, 0, 0, NULL, written_ns, now_ns);
}

void cluster_find(struct cluster *cluster, unsigned int index, const char *line,
		  const char *finding, uint64_t now_ns)
{
	say(cluster, index, line, 0, 0, finding, now_ns, now_ns);
}

void cluster_say_all(struct cluster *cluster, const char *const *lines)
{
	for (unsigned int i = 0; i < cluster->membership.count; i++) {
		bool news = strpbrk(lines[i], "suei");

		if (strcmp(lines[i], "."))
			cluster_say(cluster, i, lines[i], 0, 0, (news ? 1000 : 500) * CLUSTER_MS);
	}
}

void cluster_free(struct cluster *cluster)
{
	view_free(&cluster->view);
	membership_free(&cluster->membership);
}
