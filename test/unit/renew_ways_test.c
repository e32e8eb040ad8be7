/* What a task tells where a name is proved otherwise than one expects: which way, why that one, and
 * what is waited for. */
#include "renew_world.h"

/* A prover of TLS-ALPN-01 that says what it waits for. */
static struct way {
	struct prover prover;
	struct proving *at;
	struct later later;
	const char *failure; /* or NULL */
} by_tls;
static struct approach by_http;
static const char *http_why_not;

static bool can(struct prover *p, struct str name, struct err *ret_why_not)
{
	(void)p;
	(void)name;
	(void)ret_why_not;
	return true;
}

static void ready(struct later *l)
{
	struct way *w = OWNER(l, struct way, later);
	struct err err = ERR_INIT;
	if (w->failure)
		err_set(&err, ERR_IO, "%s", w->failure);
	w->at->ready(w->at, w->failure ? &err : NULL);
}

static void place_it(struct prover *p, struct proving *at, const struct proof_text *text)
{
	struct way *w = OWNER(p, struct way, prover);
	(void)text;
	w->at = at;
	at->said(at, STR("being made"));
	at->said(at, STR("being made"));
	at->said(at, STR("nearly made"));
	later_start(&w->later, place->loop, ready);
}

static void withdraw(struct proving *at, bool valid)
{
	(void)at;
	(void)valid;
	later_stop(&by_tls.later);
}

static const struct prover_ops way_ops = { .can = can, .place = place_it, .withdraw = withdraw };

static bool is_open(struct approach *a, struct err *ret_why_not)
{
	(void)a;
	return !http_why_not || err_set(ret_why_not, ERR_INPUT, "%s", http_why_not);
}

static int setup(void **state)
{
	world_setup(state);
	by_tls = (struct way){ .prover.ops = &way_ops };
	by_http = (struct approach){ .open = is_open };
	http_why_not = NULL;
	place_close(place);
	place->by_http = &by_http;
	place->tls_alpn01 = &by_tls.prover;
	place->ca.offers_tls = true;
	place_open(place);
	return 0;
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

static struct wish w;
static struct buf lines = BUF_INIT(64 << 10);

static void ordered(void)
{
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	buf_clear(&lines);
	task_lines(w.task, &lines);
}

#define PROVE "answer: Prove control of shop.example.com"

/* How often a line that ends there was told. */
static unsigned told(const char *line)
{
	unsigned count = 0;
	struct str rest = buf_str(&lines), one;
	while (str_split(&rest, '\n', &one))
		count += str_eq_c(one, line);
	return count;
}

static void as_expected_nothing_is_said_of_it(void **state)
{
	(void)state;
	ordered();
	status_is("shop.example.com", "ok");
	assert_null(strstr(buf_c(&lines), " by "));
	assert_true(told(PROVE) > 0);
}

static void the_way_and_why_it_is_that_one(void **state)
{
	(void)state;
	http_why_not = "Port 80 is held by nginx.";
	ordered();
	status_is("shop.example.com", "ok");
	assert_true(told(PROVE " by tls-alpn-01, because http-01 cannot be used: Port 80 is held "
	                       "by nginx.") > 0);
	assert_int_equal(told(PROVE ": being made"), 1);
	assert_int_equal(told(PROVE ": nearly made"), 1);
}

#define OTHER                                                                                      \
	"answer: The proof of shop.example.com by http-01 failed, tls-alpn-01 is tried. ca.test "  \
	"could not prove control of shop.example.com. It asked "                                   \
	"http://shop.example.com/.well-known/acme-challenge/token-of-order-0-name-0 and says: "    \
	"Timeout during connect (connection)."

static void one_that_failed_is_told_and_the_next_one_comes(void **state)
{
	(void)state;
	place->ca.refused_type = "http-01";
	ordered();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2); /* a challenge that failed ends its order */
	assert_int_equal(told(PROVE), 1);
	assert_int_equal(told(OTHER), 1);
	assert_int_equal(told(PROVE ": nearly made"), 1);
	assert_non_null(strstr(buf_c(&lines), OTHER "\n" PROVE ": being made\n"));
}

static void one_that_cannot_be_placed_ends_it(void **state)
{
	(void)state;
	place->ca.refused_type = "http-01";
	by_tls.failure = "The certificate for the proof could not be made.";
	ordered();
	status_is("shop.example.com", "failed");
	assert_int_equal(told(OTHER), 1);
	assert_int_equal(told("end: The certificate for the proof could not be made."), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(as_expected_nothing_is_said_of_it),
		TEST(the_way_and_why_it_is_that_one),
		TEST(one_that_failed_is_told_and_the_next_one_comes),
		TEST(one_that_cannot_be_placed_ends_it),
	};
	const int failed = cmocka_run_group_tests_name("renew_ways", tests, NULL, NULL);
	buf_done(&lines);
	return failed;
}
