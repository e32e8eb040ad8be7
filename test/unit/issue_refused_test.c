/* What a CA's refusals ask to wait for: whom they concern, for how long, and how it is told. */
#include "issue_place.h"

#include "issue/limits.h"

#define CA STR("https://acme-v02.api.letsencrypt.org/directory")

static struct place place;
static struct limits *limits;

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	place_init(&place);
	limits = limits_new(place.loop, place.store, &place.log);
	assert_true(limits_load(limits, &err));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	limits_free(&limits);
	place_done(&place);
	return 0;
}

enum { NAMES = 3 };
static size_t names_of(const char *text, struct str names[NAMES])
{
	struct str rest = str_c(text);
	size_t n = 0;
	while (n < NAMES && str_split(&rest, ' ', &names[n]))
		n++;
	return n;
}

static int64_t waits; /* of the last may not */
static struct err why_not;

/* Of these names, and what else the order is. */
static bool may(const char *text, const struct limit_order *more)
{
	struct str names[NAMES];
	struct limit_wait wait = { 0 };
	struct limit_order order = *more;
	order.directory = order.directory.n ? order.directory : CA;
	order.names = names;
	order.count = names_of(text, names);
	const bool ok = limits_allow(limits, &order, &wait, &why_not);
	waits = wait.until - loop_wall(place.loop);
	return ok;
}

/* What a CA says counts for what it is about, and for nobody else. */
static void what_a_refusal_is_about(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		enum limit_scope scope;
		const char *about;
	} cases[] = {
		{ "too many new orders (300) from this account in the last 3h0m0s",
		        LIMIT_SCOPE_ACCOUNT, "" },
		{ "too many certificates (50) already issued for \"example.com\" in the last "
		  "168h0m0s",
		        LIMIT_SCOPE_DOMAIN, "example.com" },
		{ "too many certificates (5) already issued for this exact set of identifiers in "
		  "the last 168h0m0s",
		        LIMIT_SCOPE_SET, "" },
		{ "too many failed authorizations (5) for \"a.example.com\" in the last 1h0m0s",
		        LIMIT_SCOPE_NAME, "a.example.com" },
		{ "Too many", LIMIT_SCOPE_SET, "" },
		{ "too many new orders recently", LIMIT_SCOPE_ACCOUNT, "" },
		{ "too many pending authorizations of this account", LIMIT_SCOPE_ACCOUNT, "" },
		{ "too many failed authorizations recently", LIMIT_SCOPE_SET, "" },
		{ "\"example.com\" is busy", LIMIT_SCOPE_SET, "example.com" },
		{ "too many certificates \"", LIMIT_SCOPE_SET, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str about;
		assert_int_equal(limit_scope_of(str_c(cases[i].words), &about), cases[i].scope);
		assert_true(str_eq_c(about, cases[i].about));
	}
}

/* What a CA refused, and of what: whom that concerns, at both edges of its time. */
static const struct {
	const char *words;
	bool busy;
	const char *others, *same; /* names that may be ordered all the same; that may not */
	bool exempt_too;           /* a renewal in the CA's time has to wait as well */
} refusals[] = {
	{ "too many new orders (300) from this account", false, NULL, "b.org", true },
	{ "Service busy; retry later.", true, NULL, "b.org", true },
	{ "too many certificates (50) already issued for \"example.com\"", false, "b.org",
	        "y.example.com", false },
	{ "already issued for this exact set of identifiers", false, "x.example.com y.example.com",
	        "x.example.com", false },
	{ "too many failed authorizations (5) for \"x.example.com\"", false, "y.example.com",
	        "y.example.com x.example.com", false },
};

static void what_a_ca_refused_concerns_whom_it_says(void **state)
{
	const struct limit_order none = { 0 };
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct str name = STR("x.example.com");
		limits_refused(limits, &(struct limit_refusal){ .directory = CA,
		                               .words = str_c(refusals[i].words),
		                               .names = &name,
		                               .count = 1,
		                               .busy = refusals[i].busy,
		                               .until = loop_wall(place.loop) + HOUR });
		const struct limit_order wished = { .wished = true }, exempt = { .exempt = true };
		assert_false(may(refusals[i].same, &none));
		assert_true(may(refusals[i].same, &wished));
		assert_int_equal(may(refusals[i].same, &exempt), !refusals[i].exempt_too);
		assert_true(!refusals[i].others || may(refusals[i].others, &none));
		run_for(&place, HOUR - 1);
		assert_false(may(refusals[i].same, &none));
		run_for(&place, 1);
		assert_true(may(refusals[i].same, &none));
		teardown(state);
		setup(state);
	}
}

static void refuse(const char *words, const char *names, int64_t after)
{
	struct str all[NAMES];
	limits_refused(limits, &(struct limit_refusal){ .directory = CA,
	                               .words = str_c(words),
	                               .names = all,
	                               .count = names_of(names, all),
	                               .until = loop_wall(place.loop) + after });
}

/* A week at most; that it was busy, for as long as the order can wait. */
static void a_refusal_lasts_as_long_as_it_is_heeded(void **state)
{
	static const struct {
		int64_t after, busy_most, lasts;
		bool busy;
	} cases[] = {
		{ 7 * DAY, 0, 7 * DAY, false },
		{ 7 * DAY + 1, 0, 7 * DAY, false },
		{ 3 * HOUR, HOUR, 3 * HOUR, false },
		{ 3 * HOUR, HOUR, HOUR, true },
		{ 3 * HOUR, 4 * HOUR, 3 * HOUR, true },
		{ 3 * HOUR, 0, 3 * HOUR, true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct limit_order order = { .busy_most = cases[i].busy_most };
		const struct limit_refusal refusal = { .directory = CA,
			.words = STR("new orders"),
			.busy = cases[i].busy,
			.until = loop_wall(place.loop) + cases[i].after };
		limits_refused(limits, &refusal);
		run_for(&place, MINUTE);
		assert_false(may("a.example.com", &order));
		assert_int_equal(waits, cases[i].lasts - MINUTE);
		run_for(&place, cases[i].lasts - MINUTE);
		assert_true(may("a.example.com", &order));
		teardown(state);
		setup(state);
	}
}

static void the_longest_refusal_is_said(void **state)
{
	static const int64_t hours[][2] = { { 1, 2 }, { 2, 1 } };
	for (size_t i = 0; i < 2; i++) {
		const struct limit_order none = { 0 };
		refuse("short of new orders", "a.example.com", hours[i][0] * HOUR);
		refuse("this account is closed", "a.example.com", hours[i][1] * HOUR);
		assert_false(may("b.example.com", &none));
		assert_int_equal(waits, 2 * HOUR);
		assert_string_equal(why_not.text,
		        i ? "Let's Encrypt asks to wait. It said: short of new orders. Next try 1 "
		            "Jan, 02:00 UTC. Nothing to do."
		          : "Let's Encrypt asks to wait. It said: this account is closed. Next try "
		            "1 Jan, 02:00 UTC. Nothing to do.");
		assert_true(may("b.example.com",
		        &(struct limit_order){ .directory = STR("https://ca.test/directory") }));
		teardown(state);
		setup(state);
	}
}

/* Our own count and what the CA said: what lasts longer. */
static void what_is_said_and_what_is_counted(void **state)
{
	(void)state;
	const struct str name = STR("a.example.com");
	const struct limit_order none = { 0 };
	refuse("this account", "a.example.com", HOUR);
	for (unsigned i = 0; i < 5; i++)
		limits_spent(limits, SPENT_CERTIFICATE, CA, &name, 1);
	assert_false(may("a.example.com", &none));
	assert_int_equal(waits, 7 * DAY / 5);
	assert_non_null(strstr(why_not.text, "5 certificates a week for the same names"));
	refuse("this account", "a.example.com", 2 * DAY);
	assert_false(may("a.example.com", &none));
	assert_int_equal(waits, 2 * DAY);
	assert_non_null(strstr(why_not.text, "asks to wait"));
	assert_false(may("a.example.com", &(struct limit_order){ .wished = true }));
	assert_int_equal(waits, 7 * DAY / 5);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* "about: words", one a line, in order; "-" for every order. NULL: 20, as many as there can be. */
static void waits_are(struct str directory, const char *lines)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	BUF_AUTO text = BUF(1 << 20), out = BUF(1 << 16);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	limits_write_waits(limits, directory, &w);
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&text), "The waits", &err);
	const struct json *all = json_array(json, "waits");
	for (size_t i = 0; i < json_count(all); i++) {
		const struct str about = json_text(json_at(all, i), "about");
		buf_printf(&out, "%.*s: %.*s\n", STR_ARG(about.n ? about : STR("-")),
		        STR_ARG(str_head(json_text(json_at(all, i), "words"), 12)));
		assert_true(json_text(json_at(all, i), "ca").n &&
		            json_text(json_at(all, i), "until").n);
		assert_true(
		        str_ends(json_text(json_at(all, i), "sentence"), STR("Nothing to do.")));
	}
	assert_int_equal(json_count(all), lines ? count_lines(lines) : 20);
	if (lines)
		assert_string_equal(buf_c(&out), lines);
}

/* The longest first; of several about the same one. */
static void what_a_ca_asks_to_wait_for_is_told(void **state)
{
	(void)state;
	static const char account[] = "A new orders (300) from this account",
	                  exact[] = "B for this exact set of identifiers",
	                  domain[] = "C many certificates (50) for \"example.com\"";
	waits_are(CA, "");
	refuse(account, "a.example.com", HOUR);
	refuse(exact, "b.example.com a.example.com", 3 * HOUR);
	refuse(domain, "a.example.com", 2 * HOUR);
	refuse(exact, "a.example.com b.example.com", 2 * HOUR);
	refuse(account, "z.example.com", 2 * HOUR + MINUTE);
	waits_are(CA, "a.example.com b.example.com: B for this e\n-: A new orders\n"
	              "example.com: C many certi\n");
	waits_are(STR("https://other.test/directory"), "");
	run_for(&place, 2 * HOUR + MINUTE);
	waits_are(CA, "a.example.com b.example.com: B for this e\n");
	for (unsigned i = 0; i < 30; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%u.example.com", i);
		refuse(exact, name, 10 * MINUTE + i * MINUTE);
	}
	waits_are(CA, NULL);
	run_for(&place, 59 * MINUTE);
	waits_are(CA, "");
}

/* In whatever order they came. */
static void of_many_waits_the_longest_are_told(void **state)
{
	enum { MANY = 26, TOLD = 20 };
	for (unsigned step = 1; step < MANY; step += step < 3 ? 2 : 22) { /* 1, 3 and 25 */
		BUF_AUTO lines = BUF(1 << 12);
		for (unsigned i = 0; i < MANY; i++) {
			char name[16];
			const unsigned k = i * step % MANY;
			snprintf(name, sizeof name, "n%02u.test", k);
			refuse("exact set", name, HOUR + k * MINUTE);
		}
		for (unsigned k = MANY; k > MANY - TOLD; k--)
			buf_printf(&lines, "n%02u.test: exact set\n", k - 1);
		waits_are(CA, buf_c(&lines));
		teardown(state);
		setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(what_a_refusal_is_about),
		T(what_a_ca_refused_concerns_whom_it_says),
		T(a_refusal_lasts_as_long_as_it_is_heeded),
		T(the_longest_refusal_is_said),
		T(what_is_said_and_what_is_counted),
		T(what_a_ca_asks_to_wait_for_is_told),
		T(of_many_waits_the_longest_are_told),
	};
	return cmocka_run_group_tests_name("issue_refused", tests, NULL, NULL);
}
