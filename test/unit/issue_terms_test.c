/* What is known of a CA and of the ways to it before anything is ordered: whether its terms are
 * still those that were accepted, and what a name can be proved with here. */
#include "issue_place.h"

static struct place place;

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	place_one_ca(&place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

/* A certificate, so that the directory is read and there is an account. */
struct job {
	struct attempt attempt;
	struct store_tx tx;
	bool ended;
};

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->ended = true;
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)flow;
	(void)issued;
	if (failed)
		fail_msg("%s", failed->err.text);
	store_tx_init(&j->tx);
	attempt_clear(a, &j->tx);
	store_tx_start(place.store, &j->tx, stored);
}

static void issue(const char *id)
{
	static const struct str name = STR_INIT("shop.example.com");
	struct job j = { .attempt = { .moved = place_moved, .done = done } };
	attempt_start(place.issuers, &j.attempt,
	        &(struct attempt_want){ .id = str_c(id),
	                .issuer = STR("ca"),
	                .email = STR("ops@example.com"),
	                .terms_agreed = true,
	                .names = &name,
	                .name_count = 1 });
	turn_until(&place, j.ended);
}

static void restart(void)
{
	place_close(&place);
	place_open(&place);
	place_one_ca(&place);
}

/* Terms */

static struct err how;

static const char *terms(void)
{
	bool changed = false;
	how = (struct err)ERR_INIT;
	if (!issuers_terms(place.issuers, STR("ca"), &changed, &how))
		return "not heard yet";
	assert_int_equal(how.code, changed ? ERR_CONFLICT : ERR_NONE);
	return changed ? "changed" : "the same";
}

static void account_is(const char *expected)
{
	BUF_AUTO value = BUF(4096);
	run_for(&place, SECOND);
	record_value(&place, "account", CA_DIRECTORY, &value);
	assert_string_equal(buf_c(&value), expected);
}

#define ACCOUNT(terms)                                                                             \
	"{\"url\":\"https://ca.test/account/0\",\"email\":\"ops@example.com\","                    \
	"\"terms\":\"" terms "\"}"

static void terms_that_are_others_now_are_told_until_they_are_accepted(void **state)
{
	(void)state;
	assert_string_equal(terms(), "not heard yet");
	issue("first");
	assert_string_equal(terms(), "the same");
	account_is(ACCOUNT("https://ca.test/terms"));
	place.ca.terms = "https://ca.test/terms-2";
	run_for(&place, 2 * HOUR); /* the directory is asked for again then */
	issue("second");
	assert_string_equal(terms(), "changed");
	assert_string_equal(how.text,
	        "The terms of service of ca.test are now those at https://ca.test/terms-2; those "
	        "at https://ca.test/terms were accepted. Read them, and accept them by registering "
	        "a name again: `everseal lets-encrypt register --name NAME --agree-tos`.");
	account_is(ACCOUNT("https://ca.test/terms"));
	issuers_accept_terms(place.issuers, STR("ca"));
	assert_string_equal(terms(), "the same");
	account_is(ACCOUNT("https://ca.test/terms-2"));
	restart();
	assert_string_equal(terms(), "not heard yet");
	issue("third");
	assert_string_equal(terms(), "the same");
	assert_int_equal(place.ca.accounts_made, 1);
}

static void what_was_accepted_is_remembered_over_a_restart(void **state)
{
	(void)state;
	issue("first");
	restart();
	place.ca.terms = "https://ca.test/terms-2";
	issue("second");
	assert_string_equal(terms(), "changed");
	assert_non_null(strstr(how.text, "those at https://ca.test/terms were accepted"));
}

/* Then nothing is written. */
static void what_is_the_same_needs_not_be_accepted(void **state)
{
	(void)state;
	issuers_accept_terms(place.issuers, STR("nobody"));
	issuers_accept_terms(place.issuers, STR("ca"));
	issue("first");
	run_for(&place, SECOND);
	const int64_t version = record_version(&place, "account", CA_DIRECTORY);
	issuers_accept_terms(place.issuers, STR("ca"));
	run_for(&place, SECOND);
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), version);
}

static void a_ca_that_has_no_terms_any_more_has_no_others(void **state)
{
	(void)state;
	issue("first");
	place.ca.terms = "";
	run_for(&place, 2 * HOUR);
	issue("second");
	assert_string_equal(terms(), "the same");
}

static void where_none_were_accepted_none_have_changed(void **state)
{
	(void)state;
	place.ca.terms = "";
	issue("first");
	place.ca.terms = "https://ca.test/terms";
	run_for(&place, 2 * HOUR);
	issue("second");
	assert_string_equal(terms(), "the same");
}

static void of_nobody_no_terms_are_known(void **state)
{
	(void)state;
	bool changed = false;
	assert_false(issuers_terms(place.issuers, STR("nobody"), &changed, &how));
}

static void an_account_that_cannot_be_stored_is_said(void **state)
{
	(void)state;
	issue("first");
	place.ca.terms = "https://ca.test/terms-2";
	run_for(&place, 2 * HOUR);
	issue("second");
	store_full(&place, true);
	issuers_accept_terms(place.issuers, STR("ca"));
	run_for(&place, SECOND);
	store_full(&place, false);
	assert_string_equal(terms(), "the same");
	assert_non_null(strstr(buf_c(&logged), "The account's URL could not be stored, it is asked "
	                                       "for again at the next start: "));
	account_is(ACCOUNT("https://ca.test/terms"));
}

/* Ways */

struct way {
	struct prover prover;
	const char *why_not; /* NULL: it can */
	char asked[64];
};

static bool way_can(struct prover *p, struct str name, struct err *ret_why_not)
{
	struct way *w = OWNER(p, struct way, prover);
	snprintf(w->asked, sizeof w->asked, "%.*s", STR_ARG(name));
	return !w->why_not || err_set(ret_why_not, ERR_INPUT, "%s", w->why_not);
}

static const struct prover_ops way_ops = { .can = way_can };
static struct way by_dns, by_tls;
static struct approach by_http;
static const char *http_why_not;

static bool is_open(struct approach *a, struct err *ret_why_not)
{
	(void)a;
	return !http_why_not || err_set(ret_why_not, ERR_INPUT, "%s", http_why_not);
}

/* NULL: that can; "": there is no such prover. */
static void ways(const char *dns, const char *http, const char *tls)
{
	by_dns = (struct way){ .prover.ops = &way_ops, .why_not = dns };
	by_tls = (struct way){ .prover.ops = &way_ops, .why_not = tls };
	by_http = (struct approach){ .open = is_open };
	http_why_not = http;
	place_close(&place);
	place.by_http = &by_http;
	place.dns01 = dns && !*dns ? NULL : &by_dns.prover;
	place.tls_alpn01 = tls && !*tls ? NULL : &by_tls.prover;
	place_open(&place);
	place_one_ca(&place);
}

static const char *provable(const char *name)
{
	static struct err why;
	why = (struct err)ERR_INIT;
	return issuers_can_prove(place.issuers, str_c(name), &why) ? "yes" : why.text;
}

static void one_way_is_enough(void **state)
{
	(void)state;
	ways("", NULL, "");
	assert_string_equal(provable("a.example.com"), "yes");
	ways("", "Port 80 is taken.", NULL);
	assert_string_equal(provable("a.example.com"), "yes");
	assert_string_equal(by_tls.asked, "a.example.com");
	ways(NULL, "Port 80 is taken.", "");
	assert_string_equal(provable("*.example.com"), "yes");
	assert_string_equal(by_dns.asked, "example.com");
	ways("No.", "Port 80 is taken.", "Neither is 443.");
	assert_string_equal(provable("a.example.com"),
	        "a.example.com cannot be proved from here. dns-01: No. http-01: Port 80 is taken. "
	        "tls-alpn-01: Neither is 443.");
	assert_string_equal(
	        provable("*.example.com"), "*.example.com cannot be proved from here. dns-01: No.");
	assert_string_equal(provable("192.0.2.1"),
	        "192.0.2.1 cannot be proved from here. http-01: Port 80 is taken. tls-alpn-01: "
	        "Neither is 443.");
}

/* What a CA would ask first is what is to be said, whatever comes after it. */
static const char *cannot(const char *name)
{
	static char text[2048];
	struct err why = ERR_INIT;
	const char *type = issuers_cannot(place.issuers, str_c(name), &why);
	snprintf(text, sizeof text, "%s: %s", type ? type : "none", why.text);
	return text;
}

static void what_is_in_the_way_is_the_first_port(void **state)
{
	(void)state;
	ways("", "Port 80 is taken.", NULL);
	assert_string_equal(cannot("a.example.com"), "http-01: Port 80 is taken.");
	assert_string_equal(by_tls.asked, "");
	ways("", NULL, "Neither is 443.");
	assert_string_equal(cannot("a.example.com"), "none: ");
	ways(NULL, "Port 80 is taken.", "Neither is 443.");
	assert_string_equal(cannot("a.example.com"), "none: ");
	ways("No.", "Port 80 is taken.", "Neither is 443.");
	assert_string_equal(cannot("a.example.com"), "http-01: Port 80 is taken.");
	assert_true(str_starts(str_c(cannot("*.example.com")), STR("none: "))); /* by DNS alone */
	assert_string_equal(cannot("192.0.2.1"), "http-01: Port 80 is taken.");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(terms_that_are_others_now_are_told_until_they_are_accepted),
		T(what_was_accepted_is_remembered_over_a_restart),
		T(what_is_the_same_needs_not_be_accepted),
		T(a_ca_that_has_no_terms_any_more_has_no_others),
		T(where_none_were_accepted_none_have_changed),
		T(of_nobody_no_terms_are_known),
		T(an_account_that_cannot_be_stored_is_said),
		T(one_way_is_enough),
		T(what_is_in_the_way_is_the_first_port),
	};
	return cmocka_run_group_tests_name("issue_terms", tests, NULL, NULL);
}
