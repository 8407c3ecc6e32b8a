// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is decided, turn by turn, and what the store's words change in it. */
#include "isolate/actor.h"

#include "unit/cluster_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

struct bench {
	struct cluster cluster;
	struct classifier classifier;
	struct judgement judgement;
	struct verdicts verdicts;
	struct actor actor;
	struct actor_case now;
	char told[2048];
	struct text text;
};

static void tell(struct bench *bench, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void tell(struct bench *bench, const char *format, ...)
{
	va_list arguments;

	text_printf(&bench->text, "%s%u:", bench->text.length ? " " : "",
		    (unsigned int)(bench->now.now_ns / MS));
	va_start(arguments, format);
	text_vprintf(&bench->text, format, arguments);
	va_end(arguments);
}

static void ignore(void *context, const struct standing *standing, const struct verdict *verdict)
{
	(void)context;
	(void)standing;
	(void)verdict;
}

static void on_isolate(void *context, const struct verdict *verdict, const uint32_t *members,
		       uint32_t count, bool single)
{
	(void)verdict;
	tell(context, "isolate%s", single ? "-single" : "");
	for (uint32_t i = 0; i < count; i++)
		text_printf(&((struct bench *)context)->text, ",%u", members[i] + 1);
}

static void on_refuse(void *context, const struct verdict *verdict, enum rail rail,
		      const char *reason)
{
	assert_true(*reason);
	tell(context, "refuse:%s:%s", verdict_class_name(verdict->class), rail_name(rail));
}

static void on_release(void *context, const struct actor_record *record, uint64_t healthy_ms)
{
	tell(context, "release,%u,%u", record->member + 1, (unsigned int)healthy_ms);
}

static void on_forget(void *context, const struct actor_record *record)
{
	tell(context, "forget,%u", record->member + 1);
}

static void make(struct bench *bench, unsigned int count)
{
	memset(bench, 0, sizeof(*bench));
	bench->text = TEXT(bench->told);
	cluster_make(&bench->cluster, count, NULL);
	assert_int_equal(classifier_init(&bench->classifier, &bench->cluster.membership), 0);
	bench->now = (struct actor_case){
		.judgement = &bench->judgement,
		.view = &bench->cluster.view,
		.verdicts = &bench->verdicts,
		.store_connected = true,
		.actor = true,
		.max_ratio = 0.1,
		.settle_ns = 500 * MS,
		.interval_ns = 10000 * MS,
		.hold_down_ms = 30000,
		.now_ns = 1000 * MS,
	};
}

static void say(struct bench *bench, const char *const *lines)
{
	for (unsigned int i = 0; i < bench->cluster.membership.count; i++)
		if (strcmp(lines[i], "."))
			cluster_say(&bench->cluster, i, lines[i], 0, 0, bench->now.now_ns);
		else
			view_drop(&bench->cluster.view, i, bench->now.now_ns);
}

/* Turns of 50 ms up to a time; rows that are there are renewed every 5 s. */
static void run(struct bench *bench, uint64_t until_ms, const char *const *lines)
{
	const struct actor_handlers handlers = {bench, on_isolate, on_refuse, on_release,
						on_forget};

	for (; bench->now.now_ns < until_ms * MS; bench->now.now_ns += 50 * MS) {
		if (bench->now.now_ns / MS % 5000 == 0)
			say(bench, lines);
		classify(&bench->classifier, &bench->cluster.view, bench->now.now_ns,
			 &bench->judgement);
		verdicts_update(&bench->verdicts, &bench->judgement, bench->now.now_ns, ignore,
				ignore, NULL);
		bench->now.now_ms = bench->now.now_ns / MS;
		actor_update(&bench->actor, &bench->now, &handlers);
	}
}

/* The store confirms what was written. */
static void commit(struct bench *bench, uint32_t number, enum record_state record_state)
{
	struct actor_record *known = actor_find_record(&bench->actor, number - 1);
	struct isolation_record record = known ? known->record : (struct isolation_record){0};

	if (record_state == RECORD_ISOLATED)
		record_isolate(&record, "n", "c", "s", "n1", true, false, bench->now.now_ns / MS);
	else
		record_release(&record, "s", "n1", bench->now.now_ns / MS);
	assert_int_equal(
		actor_take_record(&bench->actor, number - 1, &record, 1, bench->now.now_ns), 0);
}

static void expect(struct bench *bench, const char *expected)
{
	assert_string_equal(bench->told, expected);
	bench->text.length = 0;
	*bench->told = '\0';
}

static void end(struct bench *bench)
{
	actor_free(&bench->actor);
	verdicts_free(&bench->verdicts);
	classifier_free(&bench->classifier);
	cluster_free(&bench->cluster);
}

static const char *const well[] = {"-hhhh", "h-hhh", "hh-hh", "hhh-h", "hhhh-"};
static const char *const lost[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."};

static void test_isolates_and_releases(void **state)
{
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	run(&bench, 2000, well);
	expect(&bench, "");
	say(&bench, lost);
	/* Raised after 150 ms; it has settled 500 ms after it was first judged so. */
	run(&bench, 3000, lost);
	expect(&bench, "2500:isolate-single,5");
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 10000, lost);
	expect(&bench, "");
	say(&bench, well);
	run(&bench, 45000, well);
	expect(&bench, "40000:release,5,30000 42000:release,5,32000 44000:release,5,34000");
	commit(&bench, 5, RECORD_RELEASED);
	run(&bench, 50000, well);
	expect(&bench, "");
	/* A relapse: twice the time. */
	say(&bench, lost);
	run(&bench, 51000, lost);
	expect(&bench, "50500:isolate-single,5");
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 55000, lost);
	say(&bench, well);
	run(&bench, 115050, well);
	expect(&bench, "115000:release,5,60000");
	commit(&bench, 5, RECORD_RELEASED);
	/* The third time a person decides. */
	say(&bench, lost);
	run(&bench, 116000, lost);
	expect(&bench, "115550:isolate-single,5");
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 120000, lost);
	say(&bench, well);
	run(&bench, 600000, well);
	expect(&bench, "");
	end(&bench);
}

/* Healthy in part is not healed, and the time begins anew. */
static void test_hold_down(void **state)
{
	static const char *const partly[] = {"-hhhh", "h-hhh", "hh-hh", "hhh-u", "hhhu-"};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, lost);
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 2000, lost);
	say(&bench, well);
	run(&bench, 30000, well);
	say(&bench, partly);
	run(&bench, 30050, partly);
	say(&bench, well);
	run(&bench, 60100, well);
	expect(&bench, "60050:release,5,30000");
	end(&bench);
}

/* What its caller waits for before it writes the record must not outlast any of it. */
static void test_may_release(void **state)
{
	struct actor_record *known;
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, lost);
	commit(&bench, 5, RECORD_ISOLATED);
	known = actor_find_record(&bench.actor, 4);
	assert_false(actor_may_release(known, &bench.now));
	run(&bench, 2000, lost);
	say(&bench, well);
	run(&bench, 31950, well);
	assert_false(actor_may_release(known, &bench.now));
	run(&bench, 32000, well);
	assert_true(actor_may_release(known, &bench.now));
	bench.now.actor = false;
	assert_false(actor_may_release(known, &bench.now));
	bench.now.actor = true;
	bench.now.store_connected = false;
	assert_false(actor_may_release(known, &bench.now));
	bench.now.store_connected = true;
	bench.now.paused = true;
	assert_false(actor_may_release(known, &bench.now));
	bench.now.paused = false;
	bench.now.left_alone = (const bool[5]){[4] = true};
	assert_false(actor_may_release(known, &bench.now));
	bench.now.left_alone = (const bool[5]){[3] = true};
	assert_true(actor_may_release(known, &bench.now));
	/* Why it is kept stands until it is lost again, or its record changes. */
	strcpy(known->kept, "s");
	run(&bench, 33000, well);
	assert_string_equal(known->kept, "s");
	say(&bench, lost);
	run(&bench, 33050, lost);
	assert_false(actor_may_release(known, &bench.now));
	assert_string_equal(known->kept, "");
	strcpy(known->kept, "s");
	commit(&bench, 5, RECORD_RELEASED);
	assert_string_equal(known->kept, "");
	say(&bench, well);
	run(&bench, 100000, well);
	assert_false(actor_may_release(known, &bench.now));
	end(&bench);
}

/* Reached by all, but without a row: its lease is not renewed. */
static void test_no_row_no_release(void **state)
{
	static const char *const silent[] = {"-hhha", "h-hha", "hh-ha", "hhh-a", "."};
	static const char *const heard[] = {"-hhhh", "h-hhh", "hh-hh", "hhh-h", "."};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, silent);
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 100000, silent);
	say(&bench, heard);
	run(&bench, 200000, heard);
	expect(&bench, "");
	end(&bench);
}

static void test_minority_is_one_action(void **state)
{
	static const char *const halves[] = {"-hhuu", "h-huu", "hh-uu", ".", "."};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	run(&bench, 2000, well);
	say(&bench, halves);
	run(&bench, 3000, halves);
	expect(&bench, "2500:isolate,4,5");
	/* Only one of the records came into force: the other is asked for again. */
	commit(&bench, 4, RECORD_ISOLATED);
	run(&bench, 5000, halves);
	expect(&bench, "4500:isolate,5");
	end(&bench);
}

static void test_advice_is_given_once(void **state)
{
	static const char *const cut[] = {"-hhhu", "h-hhu", "hh-hu", "hhh-u", "."};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	bench.now.advises = true;
	say(&bench, well);
	run(&bench, 2000, well);
	say(&bench, cut);
	run(&bench, 12000, cut);
	expect(&bench, "2500:isolate-single,5");
	/* Of the next cut, too. */
	say(&bench, well);
	run(&bench, 14000, well);
	say(&bench, cut);
	run(&bench, 19000, cut);
	expect(&bench, "14500:isolate-single,5");
	end(&bench);
}

static void test_refusals(void **state)
{
	static const char *const bridge[] = {"-hhuu", "h-huu", "hh-hh", "uuh-h", "uuhh-"};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, bridge);
	run(&bench, 9000, bridge);
	/* n3 does not confirm that it reaches all: it is waited for for a while. */
	expect(&bench, "4000:refuse:partial-partition:class");
	/* Told when the rule changes. */
	bench.now.paused = true;
	run(&bench, 9500, bridge);
	expect(&bench, "9000:refuse:partial-partition:paused");
	/* Whose turn it is not says nothing. */
	bench.now.paused = false;
	bench.now.actor = false;
	run(&bench, 12000, bridge);
	expect(&bench, "");
	end(&bench);
}

/* One after the other: the interval between two, and then the quorum of the five. */
static void test_one_after_the_other(void **state)
{
	static const char *const two[] = {"-hhuu", "h-huu", "hh-uu", ".", "."};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	run(&bench, 2000, well);
	say(&bench, lost);
	run(&bench, 2550, lost);
	expect(&bench, "2500:isolate-single,5");
	commit(&bench, 5, RECORD_ISOLATED);
	run(&bench, 6000, lost);
	say(&bench, two);
	run(&bench, 14000, two);
	expect(&bench, "6500:refuse:node-unreachable:max-ratio");
	bench.now.max_ratio = 0.5;
	run(&bench, 14050, two);
	expect(&bench, "14000:isolate-single,4");
	end(&bench);
}

static void test_store_members(void **state)
{
	static const bool hosts[] = {false, false, true, true, true};
	struct bench bench;

	(void)state;
	make(&bench, 5);
	bench.now.hosts_store = hosts;
	bench.now.store_members = 3;
	say(&bench, lost);
	commit(&bench, 4, RECORD_ISOLATED);
	bench.now.max_ratio = 0.5;
	bench.now.interval_ns = 0;
	run(&bench, 2000, lost);
	expect(&bench, "1500:refuse:node-unreachable:store-quorum");
	end(&bench);
}

/* Of nodes that host a control plane one at a time; who hosts none of it is not held up by that. */
static void test_control_plane(void **state)
{
	static const bool hosts[] = {true, true, true, true, true, false, false, false};
	static const bool others[] = {true, true, true, true, false, false, false, true};
	static const char *const fifth[] = {"-hhhuhhh", "h-hhuhhh", "hh-huhhh", "hhh-uhhh",
					    ".",	"hhhhu-hh", "hhhhuh-h", "hhhhuhh-"};
	struct bench bench;

	(void)state;
	for (int hosted = 0; hosted < 2; hosted++) {
		make(&bench, 8);
		bench.now.hosts_store = hosted ? hosts : others;
		bench.now.store_members = 5;
		bench.now.store_singly = true;
		say(&bench, fifth);
		commit(&bench, hosted ? 2 : 8, RECORD_ISOLATED);
		bench.now.max_ratio = 0.5;
		bench.now.interval_ns = 0;
		run(&bench, 2000, fifth);
		expect(&bench, hosted ? "1500:refuse:node-unreachable:store-quorum"
				      : "1500:isolate-single,5");
		end(&bench);
	}
}

/* Whom a person wants left alone is not isolated, and all others are. */
static void test_left_alone(void **state)
{
	struct bench bench;

	(void)state;
	for (int paused = 3; paused < 5; paused++) {
		bool left_alone[5] = {0};

		left_alone[paused] = true;
		make(&bench, 5);
		bench.now.left_alone = left_alone;
		say(&bench, lost);
		run(&bench, 2000, lost);
		expect(&bench, paused == 4 ? "1150:refuse:node-unreachable:paused"
					   : "1500:isolate-single,5");
		end(&bench);
	}
}

/* The store is read anew: what is told again is as it was, what is not is gone. */
static void test_doubts(void **state)
{
	struct isolation_record record;
	struct actor_record *known;
	struct bench bench;
	uint64_t isolated_ns;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	commit(&bench, 4, RECORD_ISOLATED);
	commit(&bench, 5, RECORD_ISOLATED);
	known = actor_find_record(&bench.actor, 4);
	isolated_ns = known->isolated_ns;
	record = known->record;
	assert_true(actor_find_doubted(&bench.actor) < 0);
	actor_doubt(&bench.actor);
	assert_true(actor_is_isolated(&bench.actor, 3) && actor_is_isolated(&bench.actor, 4));
	assert_int_equal(actor_take_record(&bench.actor, 4, &record, 1, bench.now.now_ns + MS), 0);
	assert_int_equal(actor_find_record(&bench.actor, 4)->isolated_ns, isolated_ns);
	assert_int_equal(actor_find_doubted(&bench.actor), 3);
	assert_int_equal(actor_take_record(&bench.actor, 3, NULL, 0, 0), 0);
	assert_true(actor_find_doubted(&bench.actor) < 0);
	end(&bench);
}

/* Members 2 and 5 have left: the others' records and refusals are theirs still. */
static void test_renumber(void **state)
{
	static const uint32_t places[] = {0, MEMBERSHIP_NONE, 1, 2, MEMBERSHIP_NONE};
	struct actor_record *known;
	struct bench bench;
	uint64_t isolated_ns;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	commit(&bench, 2, RECORD_ISOLATED);
	commit(&bench, 4, RECORD_ISOLATED);
	isolated_ns = actor_find_record(&bench.actor, 3)->isolated_ns;
	bench.actor.refusals[0] = (struct actor_refusal){.subject = 4, .rail = RAIL_PAUSED};
	bench.actor.refusals[1] = (struct actor_refusal){.subject = 2, .rail = RAIL_MAJORITY};
	bench.actor.refusal_count = 2;
	actor_renumber(&bench.actor, places);
	assert_int_equal(bench.actor.count, 1);
	known = actor_find_record(&bench.actor, 2);
	assert_non_null(known);
	assert_int_equal(known->isolated_ns, isolated_ns);
	assert_int_equal(bench.actor.refusal_count, 1);
	assert_int_equal(bench.actor.refusals[0].subject, 1);
	assert_int_equal(bench.actor.refusals[0].rail, RAIL_MAJORITY);
	end(&bench);
}

static void test_forgets(void **state)
{
	struct bench bench;

	(void)state;
	make(&bench, 5);
	say(&bench, well);
	commit(&bench, 5, RECORD_ISOLATED);
	commit(&bench, 5, RECORD_RELEASED);
	run(&bench, 2000, well);
	expect(&bench, "");
	bench.now.now_ns = 1000 * MS + 3600001 * MS;
	bench.now.now_ns -= bench.now.now_ns % (50 * MS);
	bench.now.now_ns += 50 * MS;
	say(&bench, well);
	run(&bench, 3601200, well);
	expect(&bench, "3601050:forget,5");
	assert_int_equal(actor_take_record(&bench.actor, 4, NULL, 0, 0), 0);
	assert_null(actor_find_record(&bench.actor, 4));
	end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_isolates_and_releases),
		cmocka_unit_test(test_hold_down),
		cmocka_unit_test(test_may_release),
		cmocka_unit_test(test_no_row_no_release),
		cmocka_unit_test(test_minority_is_one_action),
		cmocka_unit_test(test_advice_is_given_once),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_store_members),
		cmocka_unit_test(test_control_plane),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_renumber),
		cmocka_unit_test(test_forgets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
