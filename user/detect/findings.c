// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "detect/findings.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_SECOND 1000000000ULL

/* What is told of a finding goes into JSON. */
static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
	text_make_printable(to);
}

static struct finding *find(struct findings *findings, enum finding_kind kind, const char *subject)
{
	char name[FINDING_SUBJECT_MAX];

	copy(name, sizeof(name), subject);
	for (unsigned int i = 0; i < findings->count; i++)
		if (findings->standing[i].kind == kind &&
		    !strcmp(findings->standing[i].subject, name))
			return &findings->standing[i];
	return NULL;
}

const struct finding *findings_find(const struct findings *findings, enum finding_kind kind,
				    const char *subject)
{
	return find((struct findings *)findings, kind, subject);
}

static void raise_finding(struct findings *findings, enum finding_kind kind, const char *subject,
			  uint64_t since_ns, uint64_t now_ns, const char *sentence)
{
	struct finding *finding;

	if (findings->count == FINDINGS_MAX) {
		findings->lost++;
		return;
	}
	finding = &findings->standing[findings->count++];
	*finding = (struct finding){.kind = kind, .since_ns = since_ns, .raised_ns = now_ns};
	copy(finding->subject, sizeof(finding->subject), subject);
	copy(finding->sentence, sizeof(finding->sentence), sentence);
	findings->raised[kind]++;
	findings->handlers.raised(findings->handlers.context, finding);
}

static void clear_finding(struct findings *findings, struct finding *finding, const char *why,
			  uint64_t now_ns)
{
	struct finding cleared = *finding;
	unsigned int index = (unsigned int)(finding - findings->standing);

	findings->count--;
	memmove(finding, finding + 1, (findings->count - index) * sizeof(*finding));
	findings->cleared[cleared.kind]++;
	findings->handlers.cleared(findings->handlers.context, &cleared, why, now_ns);
}

void findings_say(struct findings *findings, enum finding_kind kind, const char *subject,
		  enum finding_level level, uint64_t since_ns, uint64_t clear_after_ns,
		  uint64_t now_ns, const char *sentence)
{
	struct finding *finding = find(findings, kind, subject);
	char why[64];

	if (!finding) {
		if (level == FINDING_ACTIVE)
			raise_finding(findings, kind, subject, since_ns, now_ns, sentence);
		return;
	}
	if (level == FINDING_ACTIVE)
		copy(finding->sentence, sizeof(finding->sentence), sentence);
	if (level != FINDING_QUIET) {
		finding->quiet_ns = 0;
		return;
	}
	if (!finding->quiet_ns)
		finding->quiet_ns = now_ns;
	if (now_ns - finding->quiet_ns < clear_after_ns)
		return;
	snprintf(why, sizeof(why), "quiet for %llu s",
		 (unsigned long long)((now_ns - finding->quiet_ns) / NS_PER_SECOND));
	clear_finding(findings, finding, why, now_ns);
}

void findings_end(struct findings *findings, enum finding_kind kind, const char *subject,
		  const char *why, uint64_t now_ns)
{
	struct finding *finding = find(findings, kind, subject);

	if (finding)
		clear_finding(findings, finding, why, now_ns);
}

void findings_set_blind(struct findings *findings, enum finding_kind kind, const char *reason)
{
	if (!strncmp(findings->blind[kind], reason, sizeof(findings->blind[kind]) - 1))
		return;
	snprintf(findings->blind[kind], sizeof(findings->blind[kind]), "%s", reason);
	findings->handlers.blinded(findings->handlers.context, kind, reason);
}
