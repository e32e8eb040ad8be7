/* The question when to renew: what is asked of whom, what is told, and who is left alone. */
#include "issue/ari.h"
#include "issue/issuer.h"
#include "issue_place.h"

#define DIRECTORY(more)                                                                            \
	"{\"newNonce\":\"https://ca.test/n\",\"newAccount\":\"https://ca.test/a\","                \
	"\"newOrder\":\"https://ca.test/o\",\"revokeCert\":\"https://ca.test/r\","                 \
	"\"keyChange\":\"https://ca.test/k\"" more "}"
#define WITH_TIMES DIRECTORY(",\"renewalInfo\":\"https://ca.test/ari\"")
#define WINDOW                                                                                     \
	"{\"suggestedWindow\":{\"start\":\"2027-02-01T00:00:00Z\","                                \
	"\"end\":\"2027-02-02T00:00:00Z\"},\"explanationURL\":\"https://ca.test/why\"}"

static struct place place;
static struct fetch_call *asked;
static char url[256];
static unsigned questions, aborts;

static void start(struct fetch *f, struct fetch_call *call)
{
	assert_null(asked);
	assert_string_equal(call->purpose, "acme");
	assert_string_equal(call->method, "GET");
	assert_true(str_eq_c(call->trust, "the root"));
	snprintf(url, sizeof url, "%.*s", STR_ARG(call->url));
	call->fetch = f;
	asked = call;
	questions++;
}

static void abort_it(struct fetch *f, struct fetch_call *call)
{
	(void)f;
	assert_ptr_equal(call, asked);
	call->fetch = NULL;
	asked = NULL;
	aborts++;
}

static const struct fetch_ops ops = { .start = start, .abort = abort_it };

struct asking {
	struct ari_call call;
	unsigned told;
	bool window;
	struct renewal_info info;
	int64_t retry_after;
	struct err err;
};

static void done(struct ari_call *c, const struct renewal_info *window, int64_t retry_after,
        const struct err *err)
{
	struct asking *a = OWNER(c, struct asking, call);
	assert_null(c->issuer);
	assert_null(c->id);
	a->told++;
	a->window = window;
	if (window)
		a->info = *window;
	a->retry_after = retry_after;
	a->err = err ? *err : (struct err)ERR_INIT;
}

static struct issuer *issuer(void)
{
	return issuer_find(place.issuers, STR("ca"));
}

static void ask(struct asking *a)
{
	*a = (struct asking){ .call.done = done };
	ari_ask(place.issuers, &a->call, STR("ca"), STR("aki.serial"));
	assert_int_equal(a->told, 0);
}

static void answer(unsigned status, const char *headers, const char *body)
{
	struct fetch_call *call = asked;
	const struct fetch_reply reply = { status, str_c(headers), str_c(body) };
	assert_non_null(call);
	asked = NULL;
	call->fetch = NULL;
	call->done(call, &reply, NULL);
}

static void silence(void)
{
	struct fetch_call *call = asked;
	struct err err = ERR_INIT;
	assert_non_null(call);
	err_set(&err, ERR_TIMEOUT, "ca.test does not answer.");
	asked = NULL;
	call->fetch = NULL;
	call->done(call, NULL, &err);
}

static void no_answer(const struct asking *a, enum err_code code, const char *sentence)
{
	assert_int_equal(a->told, 1);
	assert_false(a->window);
	assert_true(str_eq_c(err_what(&a->err), sentence));
	assert_int_equal(a->err.code, code);
	assert_int_equal(issuer()->refs, 1);
}

static int set_up(void **state)
{
	(void)state;
	static const struct issuer_row row = { .name = STR_INIT("ca"),
		.directory = STR_INIT(CA_DIRECTORY),
		.trust = STR_INIT("the root") };
	place_init(&place);
	place.ca.fetch.ops = &ops;
	issuers_set(place.issuers, &row, 1);
	asked = NULL;
	questions = aborts = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

static void the_directory_is_asked_first_and_once_an_hour(void **state)
{
	(void)state;
	struct asking a;
	int64_t start_at = 0, end_at = 0;
	clock_from_rfc3339(STR("2027-02-01T00:00:00Z"), &start_at);
	clock_from_rfc3339(STR("2027-02-02T00:00:00Z"), &end_at);
	ask(&a);
	assert_int_equal(issuer()->refs, 2);
	assert_string_equal(url, CA_DIRECTORY);
	answer(200, "retry-after: 77\n", WITH_TIMES);
	assert_int_equal(a.told, 0);
	assert_string_equal(url, "https://ca.test/ari/aki.serial");
	answer(200, "retry-after: 21600\n", WINDOW);
	assert_int_equal(a.told, 1);
	assert_true(a.window);
	assert_int_equal(a.info.start, start_at);
	assert_int_equal(a.info.end, end_at);
	assert_int_equal(a.retry_after, 6 * HOUR);
	assert_int_equal(a.err.code, ERR_NONE);
	assert_int_equal(issuer()->refs, 1);

	run_for(&place, HOUR - SECOND);
	ask(&a);
	assert_string_equal(url, "https://ca.test/ari/aki.serial");
	answer(200, "", WINDOW);
	assert_true(a.window);
	assert_int_equal(a.retry_after, -1);
	run_for(&place, SECOND);
	ask(&a);
	assert_string_equal(url, CA_DIRECTORY);
	answer(200, "", WITH_TIMES);
	answer(200, "", WINDOW);
	assert_int_equal(questions, 5);
	assert_int_equal(issuer()->refs, 1);
}

static void a_ca_may_suggest_no_times(void **state)
{
	(void)state;
	struct asking a;
	ask(&a);
	answer(200, "", DIRECTORY(""));
	assert_int_equal(a.told, 0);
	turn_until(&place, a.told);
	no_answer(&a, ERR_NOT_FOUND, "ca.test suggests no times to renew.");
	assert_int_equal(a.retry_after, DAY);
	ask(&a); /* the directory is known */
	turn_until(&place, a.told);
	no_answer(&a, ERR_NOT_FOUND, "ca.test suggests no times to renew.");
	assert_int_equal(questions, 1);
	ask(&a);
	ari_abort(&a.call);
	run_for(&place, SECOND);
	assert_int_equal(a.told, 0);
	assert_int_equal(issuer()->refs, 1);
}

/* Who is not answered leaves it alone for five minutes, and so do all others. */
static void a_ca_that_is_down_is_left_alone(void **state)
{
	(void)state;
	struct asking a;
	ask(&a);
	silence();
	no_answer(&a, ERR_TIMEOUT, "ca.test does not answer.");
	assert_int_equal(a.retry_after, -1);
	ask(&a);
	turn_until(&place, a.told);
	no_answer(&a, ERR_TIMEOUT, "ca.test does not answer.");
	assert_int_equal(a.retry_after, 5 * MINUTE);
	run_for(&place, 5 * MINUTE - SECOND);
	ask(&a);
	turn_until(&place, a.told);
	assert_int_equal(a.retry_after, SECOND);
	assert_int_equal(questions, 1);
	run_for(&place, SECOND);
	ask(&a);
	assert_int_equal(questions, 2);
	ari_abort(&a.call);
}

static void who_asks_for_patience_gets_it(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *headers;
		int64_t quiet;
	} cases[] = {
		{ 429, "", 5 * MINUTE },
		{ 429, "retry-after: 299\n", 5 * MINUTE },
		{ 503, "retry-after: 3600\n", HOUR },
		{ 500, "retry-after: 86400\n", DAY },
		{ 500, "retry-after: 86401\n", DAY },
		{ 404, "retry-after: 3600\n", 0 },
		{ 428, "", 0 },
		{ 430, "", 0 },
		{ 499, "", 0 },
		{ 201, "", 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct asking a;
		char sentence[128];
		issuer_forget_directory(issuer());
		ask(&a);
		answer(200, "", WITH_TIMES);
		answer(cases[i].status, cases[i].headers, WINDOW);
		snprintf(sentence, sizeof sentence,
		        "ca.test answers the question when to renew with status %u.",
		        cases[i].status);
		no_answer(&a, ERR_PROTOCOL, sentence);
		const unsigned before = questions;
		ask(&a);
		if (!cases[i].quiet) {
			assert_int_equal(questions, before + 1);
			ari_abort(&a.call);
			continue;
		}
		assert_int_equal(questions, before);
		turn_until(&place, a.told);
		no_answer(&a, ERR_PROTOCOL, sentence);
		assert_int_equal(a.retry_after, cases[i].quiet);
		run_for(&place, cases[i].quiet);
	}
}

static void what_cannot_be_read(void **state)
{
	(void)state;
	struct asking a;
	ask(&a);
	answer(200, "", WITH_TIMES);
	answer(200, "retry-after: 60\n", "[]");
	assert_int_equal(a.told, 1);
	assert_false(a.window);
	assert_int_not_equal(a.err.code, ERR_NONE);
	assert_int_equal(a.retry_after, MINUTE);
	issuer_forget_directory(issuer());
	ask(&a); /* nothing is quiet */
	answer(200, "", "[]");
	assert_int_equal(a.told, 1);
	assert_int_not_equal(a.err.code, ERR_NONE);
	const struct err why = a.err;
	ask(&a); /* now it is */
	assert_null(asked);
	turn_until(&place, a.told);
	assert_string_equal(a.err.text, why.text);
	assert_int_equal(a.err.code, why.code);
}

static void aborted_it_tells_nothing(void **state)
{
	(void)state;
	struct asking a;
	ask(&a);
	ari_abort(&a.call);
	assert_int_equal(aborts, 1);
	assert_null(a.call.issuer);
	assert_null(a.call.id);
	ari_abort(&a.call);
	assert_int_equal(aborts, 1);
	assert_int_equal(issuer()->refs, 1);
	ask(&a);
	answer(200, "", WITH_TIMES);
	ari_abort(&a.call);
	assert_int_equal(aborts, 2);
	run_for(&place, SECOND);
	assert_int_equal(a.told, 0);
}

/* Whoever is not configured any more lives until it was answered. */
static void the_issuer_may_go_meanwhile(void **state)
{
	(void)state;
	struct asking a;
	ask(&a);
	issuers_set(place.issuers, NULL, 0);
	assert_null(issuer());
	answer(200, "", WITH_TIMES);
	answer(200, "", WINDOW);
	assert_true(a.window);
}

/* ---- its time ---- */

struct times {
	struct issuers_time is;
	unsigned heard;
	int64_t last;
};

static void heard(struct issuers_time *t, int64_t ca_says)
{
	OWNER(t, struct times, is)->heard++;
	OWNER(t, struct times, is)->last = ca_says;
}

static void each_answer_tells_the_time(void **state)
{
	(void)state;
	struct times times = { .is.heard = heard };
	struct asking a = { .call.done = done };
	int64_t at = 0;
	clock_from_rfc3339(STR("2027-01-01T00:00:07Z"), &at);
	issuers_watch_time(place.issuers, &times.is);
	for (unsigned i = 1; i <= 2; i++) { /* anew each time */
		a.told = 0;
		ari_ask_time(place.issuers, &a.call, STR("ca"));
		assert_int_equal(a.told, 0);
		assert_string_equal(url, CA_DIRECTORY);
		answer(200, "date: Fri, 01 Jan 2027 00:00:07 GMT\n", WITH_TIMES);
		assert_int_equal(a.told, 1);
		assert_false(a.window);
		assert_int_equal(a.err.code, ERR_NONE);
		assert_int_equal(times.heard, i);
		assert_int_equal(times.last, at);
	}
	assert_int_equal(questions, 2);
	times.is.offset = 3 * SECOND;
	assert_int_equal(issuer_now(issuer()), loop_wall(place.loop) + 3 * SECOND);
	ask(&a);
	answer(404, "date: Fri, 01 Jan 2027 00:00:07 GMT\n", "");
	assert_int_equal(times.heard, 3);
	ask(&a);
	answer(404, "date: soon\n", "");
	ask(&a);
	silence();
	assert_int_equal(times.heard, 3);
	issuers_watch_time(place.issuers, NULL);
	assert_int_equal(issuer_now(issuer()), loop_wall(place.loop));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(the_directory_is_asked_first_and_once_an_hour),
		T(a_ca_may_suggest_no_times),
		T(a_ca_that_is_down_is_left_alone),
		T(who_asks_for_patience_gets_it),
		T(what_cannot_be_read),
		T(aborted_it_tells_nothing),
		T(the_issuer_may_go_meanwhile),
		T(each_answer_tells_the_time),
	};
	return cmocka_run_group_tests_name("issue_ari", tests, NULL, NULL);
}
