/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TOCSIN_CLUSTER_CLASSIFY_H
#define TOCSIN_CLUSTER_CLASSIFY_H

/*
 * What is wrong with the cluster, judged from all rows: the same on every node that has the same
 * view. Pure; every class, and what must not be one, has its tables in tests/unit/test_classify*.c.
 *
 * Nodes that reach each other both ways, over others if need be, are a side. The side of N/2+1
 * members and more is the majority; all sides that it has lost are named, with what is known of
 * why. A cut that leaves everyone on one side isolates nobody.
 */

#include "base/text.h"
#include "cluster/view.h"

#include <stdbool.h>
#include <stdint.h>

#define VERDICTS_MAX	      64
#define VERDICT_WITNESSES_MAX 16 /* named; more are counted */
/* Sides lost within this time of each other were lost by one cut. */
#define VERDICT_TOGETHER_NS (1000000000ULL)

enum verdict_class {
	VERDICT_NODE_DOWN,	  /* lost, and known to be shutting down, or booted anew since */
	VERDICT_NODE_ISOLATED,	  /* lost, and alive by its own word: it sees the cut, too */
	VERDICT_NODE_UNREACHABLE, /* lost; why is not known */
	VERDICT_ONE_WAY,	  /* one direction is cut: of one node to all, or of single links */
	VERDICT_COMPLETE_PARTITION, /* several nodes at once are lost to the majority, or nobody has
				       a majority */
	VERDICT_ZONE_CUT,	    /* the same, and they are whole zones */
	VERDICT_PARTIAL_PARTITION,  /* some do not reach each other, but others reach both */
	VERDICT_LOSSY_LINK,
	VERDICT_AGENT_DOWN,	 /* the node's kernel answers, its agent does not */
	VERDICT_NODE_OVERLOADED, /* the same, or in doubt, and its last row says that it has too
				    much to do */
	VERDICT_SERVICE_DOWN,	 /* the node is up, but a process that is watched there has died */
	VERDICT_VIEW_INCOMPLETE, /* too few rows to judge anything */
	VERDICT_CLASSES,
};

/* "node-down", "complete-partition", ... */
const char *verdict_class_name(enum verdict_class class);

struct verdict {
	enum verdict_class class;
	/* Whom it is about, in rising order. Of a partition: the minority; when nobody has a
	 * majority: all but the largest side. */
	const uint32_t *subjects;
	uint32_t subject_count;
	/* Who says so, on the majority's side. */
	uint32_t witnesses[VERDICT_WITNESSES_MAX];
	uint32_t witness_count;
	/* Of a partial partition: who reaches both ends of a link that is down. */
	const uint32_t *bridges;
	uint32_t bridge_count;
	uint32_t links;	   /* cut or lossy ones behind it */
	uint64_t since_ns; /* first word of it */
	bool pending;	   /* more is about to be known of links of the subjects */
	/* To take the subjects out would mend it, and a majority says so. */
	bool isolates;
	bool deaf; /* of one-way: the subject does not hear; else it is not heard */
};

struct judgement {
	struct verdict verdicts[VERDICTS_MAX];
	unsigned int verdict_count;
	unsigned int verdicts_left_out; /* beyond VERDICTS_MAX */
	uint32_t current_rows;
	uint32_t majority;    /* members on the largest side */
	bool majority_proven; /* they are N/2+1 and more, with their rows */
	uint32_t lost;	      /* members on sides that the majority has lost */
	bool pending;	      /* suspicions, or rebuttals waited for: more is about to be known */
	const uint32_t *side; /* by member: the lowest member of its side */
	uint32_t majority_side;
};

struct classifier_side;

/* Buffers for one membership, reused from judgement to judgement. */
struct classifier {
	const struct membership *membership;
	struct view_pair *pairs;       /* by slot */
	uint32_t *side;		       /* by member: the lowest member of its side */
	struct classifier_side *sides; /* by such a lowest member */
	uint32_t *order;	       /* lowest members of lost sides, by when they were lost */
	uint32_t *mark;		       /* scratch, by member */
	struct view_accusation *accusations; /* by member */
	uint32_t *pool;			     /* lists of the verdicts */
	uint32_t pool_used, pool_size;
};

/* Returns 0 or -ENOMEM; in either case classifier_free() is right. */
int classifier_init(struct classifier *classifier, const struct membership *membership);

/* Judges a view. The lists in *ret_judgement are the classifier's, until its next judgement. */
void classify(struct classifier *classifier, const struct view *view, uint64_t now_ns,
	      struct judgement *ret_judgement);

/* The same class with the same subjects. */
bool verdict_same(const struct verdict *one, const struct verdict *other);

/* "n5 is unreachable: 4 of its 4 observers on the majority's side say so (n1, n2, n3, n4); ..." */
void verdict_explain(const struct verdict *verdict, const struct judgement *judgement,
		     const struct view *view, uint64_t now_ns, struct text *sentence);

/* "lossy-link of n3, n5, which the last look did not find": of one that stands for a while yet. */
void verdict_explain_past(enum verdict_class class, const uint32_t *subjects,
			  uint32_t subject_count, const struct view *view, struct text *sentence);

void classifier_free(struct classifier *classifier);

#endif
