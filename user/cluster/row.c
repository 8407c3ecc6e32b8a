// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "cluster/row.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

#define PERIOD_NS_MIN (5 * 1000000000ULL)
#define SHARE_NS      (20 * 1000000ULL) /* of each node in a period: 50 writes a second */

static const char *const word_names[ROW_WORDS] = {
	[ROW_WORD_NONE] = "unknown",
	[ROW_WORD_HEALTHY] = "healthy",
	[ROW_WORD_LOSSY] = "lossy",
	[ROW_WORD_SUSPECT] = "suspect",
	[ROW_WORD_UNREACHABLE] = "unreachable",
	[ROW_WORD_EGRESS_CUT] = "egress-cut",
	[ROW_WORD_INGRESS_CUT] = "ingress-cut",
	[ROW_WORD_AGENT_SILENT] = "agent-silent",
};

/* In the order of the bits. */
static const char *const flag_names[ROW_FLAGS] = {
	"alone", "carrier-down", "blind", "paused", "halting", "fenced", "stopping",
};

const char *row_word_name(enum row_word word)
{
	return word_names[word];
}

const char *row_flag_name(unsigned int index)
{
	return flag_names[index];
}

uint64_t row_period_ns(uint32_t count)
{
	return count * SHARE_NS > PERIOD_NS_MIN ? count * SHARE_NS : PERIOD_NS_MIN;
}

static uint32_t slots_of(const struct membership *membership, uint32_t member)
{
	return membership->start[member + 1] - membership->start[member];
}

static enum row_word most_common(const uint8_t *words, uint32_t count)
{
	unsigned int counts[ROW_WORDS] = {0};
	enum row_word best = ROW_WORD_HEALTHY;

	for (uint32_t i = 0; i < count; i++)
		counts[words[i]]++;
	for (unsigned int word = 0; word < ROW_WORDS; word++)
		if (counts[word] > counts[best])
			best = (enum row_word)word;
	return best;
}

static json_t *encode_edges(const struct row *row, const struct membership *membership)
{
	const uint32_t *observers = membership->observers + membership->start[row->member];
	uint32_t count = slots_of(membership, row->member);
	enum row_word common = most_common(row->words, count);
	json_t *edges = json_pack("{ss}", "default", word_names[common]);

	for (uint32_t i = 0; edges && i < count; i++) {
		const char *word = word_names[row->words[i]];
		json_t *names;

		if (row->words[i] == common)
			continue;
		names = json_object_get(edges, word);
		if (!names) {
			names = json_array();
			if (json_object_set_new(edges, word, names))
				goto fail;
		}
		if (json_array_append_new(names,
					  json_string(membership->members[observers[i]].name)))
			goto fail;
	}
	return edges;
fail:
	json_decref(edges);
	return NULL;
}

static json_t *encode_flags(const struct row *row)
{
	json_t *flags = json_array();

	for (unsigned int i = 0; flags && i < ROW_FLAGS; i++)
		if (row->flags & 1U << i &&
		    json_array_append_new(flags, json_string(flag_names[i]))) {
			json_decref(flags);
			return NULL;
		}
	return flags;
}

static json_t *encode_findings(const struct row *row)
{
	json_t *findings = json_array();

	for (unsigned int i = 0; findings && i < row->finding_count; i++) {
		const struct row_finding *finding = &row->findings[i];

		if (json_array_append_new(findings, json_pack("{ssssss}", "finding", finding->name,
							      "subject", finding->subject,
							      "sentence", finding->sentence))) {
			json_decref(findings);
			return NULL;
		}
	}
	return findings;
}

int row_encode(const struct row *row, const struct membership *membership, char *data,
	       size_t size_bytes)
{
	char members[17];
	json_t *root;
	size_t length;

	snprintf(members, sizeof(members), "%016" PRIx64, membership->hash);
	root = json_pack("{si ss ss sI sI ss sI sf so so so}", "version", VERSION, "node",
			 row->node, "boot_id", row->boot_id, "epoch", (json_int_t)row->epoch,
			 "sequence", (json_int_t)row->sequence, "members", members, "considered",
			 (json_int_t)row->considered_revision, "distrust_ratio",
			 floor(row->distrust_ratio * 1000 + 0.5) / 1000, "flags", encode_flags(row),
			 "edges", encode_edges(row, membership), "findings", encode_findings(row));
	if (!root)
		return -ENOMEM;
	length = json_dumpb(root, data, size_bytes, JSON_COMPACT);
	json_decref(root);
	if (!length)
		return -ENOMEM;
	return length > size_bytes ? -ENOSPC : (int)length;
}

/* The index of a word in a table of names, or -1. */
static int find_name(const char *const *names, unsigned int count, const char *name)
{
	for (unsigned int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -1;
}

static int decode_names(struct row *row, const struct membership *membership, const json_t *names,
			enum row_word word, struct text *error)
{
	const json_t *name;
	size_t i;

	if (!json_is_array(names)) {
		text_printf(error, "edges.%s is not a list of names", word_names[word]);
		return -EINVAL;
	}
	json_array_foreach(names, i, name)
	{
		const char *text = json_string_value(name);
		int64_t peer = text ? membership_find(membership, text) : -1;
		int64_t slot =
			peer < 0 ? -1 : membership_slot(membership, row->member, (uint32_t)peer);

		if (slot < 0) {
			text_printf(error, "edges.%s names a node that it does not observe",
				    word_names[word]);
			return -EINVAL;
		}
		row->words[slot - membership->start[row->member]] = (uint8_t)word;
	}
	return 0;
}

static int decode_edges(struct row *row, const struct membership *membership, json_t *edges,
			struct text *error)
{
	const char *common = json_string_value(json_object_get(edges, "default"));
	int word = common ? find_name(word_names, ROW_WORDS, common) : -1;
	const char *key;
	json_t *names;
	int result = 0;

	if (word < 0) {
		text_printf(error, "edges.default is no edge state");
		return -EINVAL;
	}
	memset(row->words, word, slots_of(membership, row->member));
	json_object_foreach(edges, key, names)
	{
		/* A state that a later version adds is one that this one knows nothing of. */
		word = find_name(word_names, ROW_WORDS, key);
		if (!strcmp(key, "default") || result)
			continue;
		result = decode_names(row, membership, names,
				      word < 0 ? ROW_WORD_NONE : (enum row_word)word, error);
	}
	return result;
}

static void decode_findings(struct row *row, const json_t *findings)
{
	const json_t *value;
	size_t i;

	json_array_foreach(findings, i, value)
	{
		struct row_finding *finding = &row->findings[row->finding_count];
		const char *name = json_string_value(json_object_get(value, "finding"));
		const char *subject = json_string_value(json_object_get(value, "subject"));
		const char *sentence = json_string_value(json_object_get(value, "sentence"));

		if (row->finding_count == ROW_FINDINGS_MAX || !name)
			continue;
		text_copy_cut(finding->name, sizeof(finding->name), name);
		text_copy_cut(finding->subject, sizeof(finding->subject), subject ?: "");
		text_copy_cut(finding->sentence, sizeof(finding->sentence), sentence ?: "");
		row->finding_count++;
	}
}

static int decode_root(struct row *row, const struct membership *membership, json_t *root,
		       struct text *error)
{
	const char *node, *boot_id, *members;
	json_int_t version, epoch, sequence, considered = 0;
	json_t *edges, *flags, *findings, *flag;
	json_error_t wrong;
	int64_t member;
	size_t i;

	if (json_unpack_ex(root, &wrong, 0, "{sI ss ss sI sI ss s?I sF so so so}", "version",
			   &version, "node", &node, "boot_id", &boot_id, "epoch", &epoch,
			   "sequence", &sequence, "members", &members, "considered", &considered,
			   "distrust_ratio", &row->distrust_ratio, "flags", &flags, "edges", &edges,
			   "findings", &findings)) {
		text_printf(error, "%s", wrong.text);
		return -EINVAL;
	}
	if (version != VERSION) {
		text_printf(error, "version %" JSON_INTEGER_FORMAT ", expected %d", version,
			    VERSION);
		return -EINVAL;
	}
	if (epoch < 0 || sequence < 0 || considered < 0 ||
	    !(row->distrust_ratio >= 0 && row->distrust_ratio <= 1)) {
		text_printf(error, "epoch, sequence, considered or distrust_ratio is out of range");
		return -EINVAL;
	}
	if (text_copy(row->node, sizeof(row->node), node) ||
	    text_copy(row->boot_id, sizeof(row->boot_id), boot_id)) {
		text_printf(error, "node or boot_id is too long");
		return -EINVAL;
	}
	row->epoch = (uint64_t)epoch;
	row->sequence = (uint64_t)sequence;
	row->considered_revision = (uint64_t)considered;
	row->members = strtoull(members, NULL, 16);
	member = membership_find(membership, node);
	if (member < 0) {
		text_printf(error, "node %s is not configured here", row->node);
		return -ENOENT;
	}
	row->member = (uint32_t)member;
	json_array_foreach(flags, i, flag)
	{
		int index = json_is_string(flag)
				    ? find_name(flag_names, ROW_FLAGS, json_string_value(flag))
				    : -1;

		if (index >= 0)
			row->flags |= 1U << index;
	}
	decode_findings(row, findings);
	if (row->members != membership->hash) {
		memset(row->words, ROW_WORD_NONE, slots_of(membership, row->member));
		return 0;
	}
	return decode_edges(row, membership, edges, error);
}

int row_decode(struct row *row, const struct membership *membership, const void *data,
	       size_t size_bytes, struct text *error)
{
	uint8_t *words = row->words;
	json_error_t wrong;
	json_t *root;
	int result;

	*row = (struct row){.words = words};
	if (size_bytes > ROW_BYTES_MAX) {
		text_printf(error, "%zu bytes, expected at most %d", size_bytes, ROW_BYTES_MAX);
		return -EINVAL;
	}
	root = json_loadb(data, size_bytes, JSON_REJECT_DUPLICATES, &wrong);
	if (!root) {
		text_printf(error, "not JSON: %s", wrong.text);
		return -EINVAL;
	}
	result = decode_root(row, membership, root, error);
	json_decref(root);
	return result;
}
