/* When the CA suggests to renew, and what becomes of renewals whatever it suggests. */
#include "renew_world.h"

/* What the CA suggests: from so long after the issuance to so long after it. */
static struct {
	int64_t from, to;
	bool none; /* 404 */
	const char *explanation;
} suggested;

static bool window_of(struct scripted_ca *ca, const struct ca_order *o, struct ca_window *ret)
{
	(void)ca;
	ret->start = o->not_before + suggested.from;
	ret->end = o->not_before + suggested.to;
	ret->explanation = suggested.explanation;
	return !suggested.none;
}

static void suggest(int64_t from, int64_t to)
{
	suggested.from = from;
	suggested.to = to;
	suggested.none = false;
	suggested.explanation = NULL;
	place->ca.window_of = window_of;
}

static const struct ca_order *order(unsigned i)
{
	assert_true(i < place->ca.order_count);
	return &place->ca.orders[i];
}

static void record_has(const char *text)
{
	BUF_AUTO value = BUF(64 << 10);
	MAP_EACH (n, &world.renewals->registrations)
		record_value(place, "renewal", OWNER(n, struct registration, node)->id, &value);
	if (!strstr(buf_c(&value), text))
		fail_msg("%s is not in %s", text, buf_c(&value));
}

/* The instant is in the window, stored, and kept by a restart; what is replaced is told. */
static void each_renews_within_its_window(void **state)
{
	(void)state;
	static const struct {
		int64_t life, from, to;
	} lives[] = {
		{ 90 * DAY, 59 * DAY, 61 * DAY },
		{ 64 * DAY, 42 * DAY, 43 * DAY },
		{ 45 * DAY, 29 * DAY, 30 * DAY },
		{ 160 * HOUR, 78 * HOUR, 78 * HOUR + 192 * MINUTE },
	};
	for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
		if (i) {
			world_teardown(NULL);
			world_setup(NULL);
		}
		place->ca.lifetime = lives[i].life;
		suggest(lives[i].from, lives[i].to);
		world_start(BY_FILE SHOP);
		run_until_idle();
		run_for(place, MINUTE);
		assert_int_equal(place->ca.windows_asked, 1);
		char chosen[64];
		snprintf(chosen, sizeof chosen, "%s", said("shop.example.com", "next_renewal"));
		assert_string_equal(said("shop.example.com", "reason"), "\"the CA suggests it\"");
		record_has(chosen);
		record_has("\"start\":");
		world_kill();
		world_start(NULL);
		run_for(place, MINUTE);
		assert_int_equal(place->ca.windows_asked, 2); /* asked anew, not chosen anew */
		assert_string_equal(said("shop.example.com", "next_renewal"), chosen);
		run_for(place, lives[i].to - lives[i].from + lives[i].from);
		assert_int_equal(place->ca.order_count, 2);
		const int64_t after = order(1)->at - order(0)->not_before;
		assert_in_range(after, lives[i].from, lives[i].to);
		assert_string_equal(date(order(1)->at / SECOND * SECOND), chosen);
		assert_true(strlen(order(1)->replaces) > 0);
		assert_string_equal(order(0)->replaces, "");
		assert_int_equal(logged_count("error"), 0);
	}
}

/* In a window of its own each has an instant of its own. */
static void many_are_spread_over_the_window(void **state)
{
	(void)state;
	BUF_AUTO config = BUF(8192);
	buf_add_c(&config, BY_FILE);
	for (int i = 0; i < 20; i++)
		buf_printf(&config, "site n%d.example.com { proxy 127.0.0.1:3001; }\n", i);
	suggest(10 * DAY, 20 * DAY);
	world_start(buf_c(&config));
	run_for(place, 9 * DAY);
	assert_int_equal(place->ca.order_count, 20);
	run_for(place, 11 * DAY + MINUTE); /* the first may be due again from then on */
	assert_int_equal(place->ca.order_count, 40);
	unsigned early = 0;
	for (unsigned i = 20; i < 40; i++)
		early += order(i)->at - order(0)->at < 15 * DAY;
	assert_in_range(early, 1, 19);
}

/* Retry-After is followed, within bounds. */
static void it_is_asked_as_often_as_the_ca_wants(void **state)
{
	(void)state;
	static const struct {
		int64_t again; /* s */
		unsigned least, most;
	} rows[] = {
		{ 0, 4, 5 }, /* six hours, if it does not say */
		{ 6 * 3600, 4, 5 }, { 3600, 21, 25 }, { 1, 1300, 1442 }, /* a minute at least */
		{ 1000 * 3600, 1, 2 },                                   /* a day at most */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (i) {
			world_teardown(NULL);
			world_setup(NULL);
		}
		suggest(59 * DAY, 61 * DAY);
		place->ca.window_again = rows[i].again;
		world_start(BY_FILE SHOP);
		run_for(place, DAY);
		assert_in_range(place->ca.windows_asked, rows[i].least, rows[i].most);
	}
}

static void who_moves_the_window_moves_the_renewal(void **state)
{
	(void)state;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, DAY);
	suggest(30 * DAY, 31 * DAY); /* the first is another one now: a new instant */
	run_for(place, 28 * DAY);
	assert_int_equal(place->ca.order_count, 1);
	run_for(place, 2 * DAY + HOUR);
	assert_int_equal(place->ca.order_count, 2);
	assert_in_range(order(1)->at - order(0)->at, 30 * DAY, 31 * DAY);
	assert_int_equal(logged_count("warning"), 0);
	/* Into the past: now, and it says why. */
	run_for(place, 5 * DAY);
	suggest(DAY, 2 * DAY);
	suggested.explanation = "https://ca.test/incident";
	run_for(place, 7 * HOUR);
	assert_int_equal(place->ca.order_count, 3);
	logged_has("It says why: https://ca.test/incident");
}

static void a_window_of_which_one_end_moves_is_another(void **state)
{
	(void)state;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, DAY);
	suggest(30 * DAY, 61 * DAY);
	run_for(place, DAY);
	assert_non_null(
	        strstr(said("shop.example.com", "window"), "\"start\":\"2027-01-31T00:00:"));
	suggest(30 * DAY, 40 * DAY);
	run_for(place, DAY);
	assert_non_null(strstr(said("shop.example.com", "window"), "\"end\":\"2027-02-10T00:00:"));
}

static void the_explanation_is_shown(void **state)
{
	(void)state;
	suggest(59 * DAY, 61 * DAY);
	suggested.explanation = "https://ca.test/incident";
	world_start(BY_FILE SHOP);
	run_for(place, MINUTE);
	const char *window = said("shop.example.com", "window");
	assert_non_null(strstr(window, "\"explanation\":\"https://ca.test/incident\""));
	assert_non_null(strstr(window, "\"why_not\":null"));
	assert_non_null(strstr(window, "\"start\":\"2027-03-01T00:00:"));
}

/* Each new certificate has a window in the past, too: five in seven days would be the limit. */
static void no_answer_of_the_ca_burns_the_limit(void **state)
{
	(void)state;
	suggest(-2 * DAY, -DAY);
	world_start(BY_FILE SHOP);
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 4);
	assert_string_equal(said("shop.example.com", "reason"),
	        "\"the CA suggests it sooner, but that would use up its limit of 5 "
	        "certificates in 7 days for the same names\"");
	world_kill();
	world_start(NULL);
	run_for(place, 30 * DAY);
	for (unsigned i = 4; i < place->ca.order_count; i++)
		assert_true(order(i)->at - order(i - 4)->at >= 7 * DAY);
	assert_in_range(place->ca.order_count, 17, 20);
	status_is("shop.example.com", "ok");
}

/* Whoever suggests nothing, or nonsense, is renewed by the rule; status says why. */
static void without_a_suggestion_the_rule_counts(void **state)
{
	(void)state;
	static const struct {
		const char *body; /* NULL: 404 */
		const char *why;
	} rows[] = {
		{ NULL, "with status 404" },
		{ "<html>", "is not JSON" },
		{ "{}", "no usable date" },
		{ "{\"suggestedWindow\":{\"start\":\"2027-03-01T00:00:00Z\","
		  "\"end\":\"2027-03-01T00:00:00Z\"}}",
		        "ends before it begins" },
		{ "{\"suggestedWindow\":{\"start\":\"1970-01-01T00:00:00Z\","
		  "\"end\":\"1970-01-02T00:00:00Z\"}}",
		        "absurd" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (i) {
			world_teardown(NULL);
			world_setup(NULL);
		}
		suggest(0, 0);
		suggested.none = !rows[i].body;
		place->ca.window_body = rows[i].body;
		world_start(BY_FILE SHOP);
		run_for(place, HOUR);
		if (!strstr(said("shop.example.com", "window"), rows[i].why))
			fail_msg("%zu: %s", i, said("shop.example.com", "window"));
		assert_string_equal(said("shop.example.com", "reason"),
		        "\"21 days are left; the CA suggests no time that can be used\"");
		run_for(place, 69 * DAY);
		assert_int_equal(place->ca.order_count, 2);
		assert_int_equal(order(1)->at, order(0)->not_after - 21 * DAY);
		assert_true(place->ca.windows_asked < 69 * 5 + 10);
	}
}

/* What was suggested counts while the CA is down; it is asked less and less, and renewed by the
 * time that was chosen once it is back. */
static void a_ca_that_is_down_is_left_alone(void **state)
{
	(void)state;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, DAY);
	char chosen[64];
	snprintf(chosen, sizeof chosen, "%s", said("shop.example.com", "next_renewal"));
	place->ca.down = true;
	const unsigned before = place->ca.requests;
	run_for(place, 10 * DAY);
	assert_in_range(place->ca.requests - before, 35, 60);
	assert_string_equal(said("shop.example.com", "next_renewal"), chosen);
	assert_non_null(strstr(said("shop.example.com", "window"), "does not answer"));
	assert_string_equal(said("shop.example.com", "reason"), "\"the CA suggests it\"");
	assert_int_equal(logged_count(": ca.test does not answer."), 1);
	place->ca.down = false;
	run_for(place, DAY);
	assert_non_null(strstr(said("shop.example.com", "window"), "\"why_not\":null"));
	/* Down again, it is soon asked again. */
	place->ca.down = true;
	turn_until(place, strstr(said("shop.example.com", "window"), "does not answer"));
	const int64_t lost = loop_wall(place->loop);
	place->ca.down = false;
	turn_until(place, strstr(said("shop.example.com", "window"), "\"why_not\":null"));
	assert_in_range(loop_wall(place->loop) - lost, MINUTE * 4 / 5, HOUR);
	run_for(place, 49 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	assert_string_equal(date(order(1)->at / SECOND * SECOND), chosen);
}

/* At a start the most urgent is asked first, and not all at once. */
static void the_most_urgent_is_asked_first(void **state)
{
	(void)state;
	BUF_AUTO config = BUF(8192);
	buf_add_c(&config, BY_FILE);
	suggest(59 * DAY, 60 * DAY);
	for (int i = 0; i < 12; i++) {
		buf_printf(&config, "site n%d.example.com { proxy 127.0.0.1:3001; }\n", i);
		if (i == 0)
			world_start(buf_c(&config));
		else
			world_configure(buf_c(&config));
		run_for(place, DAY);
	}
	assert_int_equal(place->ca.order_count, 12);
	world_kill();
	const unsigned before = place->ca.windows_asked;
	buf_clear(&place->diary);
	const int64_t start = loop_wall(place->loop);
	world_start(NULL);
	turn_until(place, place->ca.windows_asked == before + 12);
	assert_int_equal(loop_wall(place->loop) - start, 11 * SECOND / 10);
	const char *last = buf_c(&place->diary);
	for (int i = 0; i < 12; i++) {
		char line[64];
		snprintf(line, sizeof line, "ask window n%d.example.com\n", i);
		const char *at = strstr(last, line);
		if (!at)
			fail_msg("%s not after %d others", line, i);
		last = at;
	}
}

/* Only four at a time, however long an answer takes. */
static void few_are_asked_about_at_once(void **state)
{
	(void)state;
	enum { COUNT = 9 };
	BUF_AUTO config = BUF(8192);
	buf_add_c(&config, BY_FILE);
	for (int i = 0; i < COUNT; i++)
		buf_printf(&config, "site n%d.example.com { proxy 127.0.0.1:3001; }\n", i);
	suggest(59 * DAY, 61 * DAY);
	world_start(buf_c(&config));
	run_for(place, HOUR);
	world_kill();
	const unsigned before = place->ca.windows_asked;
	place->ca.latency = 10 * SECOND; /* first for the directory, then for the window */
	world_start(NULL);
	for (unsigned i = 1; i <= 3; i++) {
		run_for(place, (i == 1 ? 21 : 10) * SECOND);
		assert_int_equal(place->ca.windows_asked - before, i * 4 < COUNT ? i * 4 : COUNT);
	}
}

static void whom_nobody_can_ask_about_is_left_out(void **state)
{
	(void)state;
	static const char *const configs[] = { "site * { proxy 127.0.0.1:3000; }\n",
		BASE "site a.example.com { proxy 127.0.0.1:3000; issuer internal; }\n" };
	struct wish w;
	suggest(59 * DAY, 61 * DAY);
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, HOUR);
	for (int off = 0; off < 2; off++) {
		const unsigned before = place->ca.windows_asked;
		if (off) {
			wish_disable(&w, "shop.example.com", false);
			wish_wait(&w);
		}
		world_kill();
		world_start(configs[off]); /* its issuer is unknown, or it is disabled */
		run_for(place, HOUR);
		assert_int_equal(place->ca.windows_asked, before);
		world_configure(BASE);
	}
	assert_string_equal(said("a.example.com", "window"), "null");
	assert_int_equal(logged_count("error"), 0);
}

/* What is said why is another, the window is the same: so is the instant in it. */
static void another_explanation_moves_nothing(void **state)
{
	(void)state;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, DAY);
	char chosen[64];
	snprintf(chosen, sizeof chosen, "%s", said("shop.example.com", "next_renewal"));
	suggested.explanation = "https://ca.test/incident";
	run_for(place, DAY);
	assert_non_null(strstr(said("shop.example.com", "window"), "https://ca.test/incident"));
	assert_string_equal(said("shop.example.com", "next_renewal"), chosen);
	assert_int_equal(logged_count("warning"), 0);
}

/* Nothing of the window before is told of the new certificate, until its own is known. */
static void a_new_certificate_has_no_window_yet(void **state)
{
	(void)state;
	struct wish w;
	for (int usable = 0; usable < 2; usable++) {
		suggest(59 * DAY, 61 * DAY);
		suggested.explanation = "https://ca.test/incident";
		place->ca.window_body = usable ? NULL : "{}";
		world_start(BY_FILE SHOP);
		run_for(place, DAY);
		place->ca.latency = SECOND;
		wish_renew(&w, "shop.example.com");
		wish_wait(&w);
		turn_until(place, world.installs == 2);
		assert_string_equal(said("shop.example.com", "window"), "null");
		run_for(place, MINUTE);
		assert_non_null(strstr(said("shop.example.com", "window"),
		        usable ? "\"start\":\"2027-03-02" : "no usable date"));
		world_teardown(state);
		world_setup(state);
	}
}

/* It is asked about its successor instead, once for all. */
static void a_question_about_the_one_before_is_given_up(void **state)
{
	(void)state;
	struct wish w;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, HOUR);
	for (unsigned i = 1; i <= 5; i++) { /* more than are asked at once */
		const unsigned before = place->ca.windows_asked;
		place->ca.fault = FAULT_UNANSWERED;
		place->ca.fault_at = place->ca.requests + 1;
		turn_until(place, place->ca.windows_asked > before);
		wish_renew(&w, "shop.example.com");
		wish_wait(&w);
		run_for(place, MINUTE);
		assert_int_equal(world.renewals->asking, 0);
		assert_int_equal(place->ca.windows_asked, before + 2);
	}
}

/* What is damaged, or of another certificate, counts no more. */
static void a_stored_window_is_read_whole_or_not(void **state)
{
	(void)state;
	static const struct {
		const char *start, *end, *chosen, *certificate;
		bool is;
	} rows[] = {
		{ "2027-02-01T00:00:00Z", "2027-02-03T00:00:00Z", "2027-02-02T00:00:00Z",
		        "c2NyaXB0.A-k", true },
		{ "2027-02-01", "2027-02-03T00:00:00Z", "2027-02-02T00:00:00Z", "c2NyaXB0.A-k",
		        false },
		{ "2027-02-01T00:00:00Z", "", "2027-02-02T00:00:00Z", "c2NyaXB0.A-k", false },
		{ "2027-02-01T00:00:00Z", "2027-02-03T00:00:00Z", "?", "c2NyaXB0.A-k", false },
		{ "2027-02-01T00:00:00Z", "2027-02-03T00:00:00Z", "2027-02-02T00:00:00Z",
		        "c2NyaXB0.A-j", false },
	};
	world_start(BY_FILE "site shop.example.com { proxy 127.0.0.1:3001; renew-before 10d; }\n");
	run_until_idle();
	const char *id = registration_find(world.renewals, STR("shop.example.com"))->id;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		BUF_AUTO value = BUF(1024);
		buf_printf(&value,
		        "{\"window\":{\"start\":\"%s\",\"end\":\"%s\",\"chosen\":\"%s\","
		        "\"moved_back\":true,\"certificate\":\"%s\"}}",
		        rows[i].start, rows[i].end, rows[i].chosen, rows[i].certificate);
		record_put(place, "renewal", id, buf_str(&value), STR_NONE);
		world_kill();
		world_start(NULL);
		run_for(place, MINUTE);
		id = registration_find(world.renewals, STR("shop.example.com"))->id;
		assert_string_equal(said("shop.example.com", "next_renewal"),
		        rows[i].is ? "\"2027-02-02T00:00:00Z\"" : "\"2027-03-22T00:00:00Z\"");
	}
}

static void a_window_that_cannot_be_stored_counts_all_the_same(void **state)
{
	(void)state;
	struct wish w;
	suggest(59 * DAY, 61 * DAY);
	world_start(BY_FILE SHOP);
	run_for(place, HOUR);
	suggest(40 * DAY, 41 * DAY);
	store_full(place, true);
	run_for(place, 7 * HOUR);
	store_full(place, false);
	assert_int_equal(
	        logged_count("is to be renewed could not be stored, the next start asks"), 1);
	assert_non_null(strstr(said("shop.example.com", "next_renewal"), "2027-02-1"));
	wish_disable(&w, "shop.example.com", false); /* which is stored in the same record */
	wish_wait(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(each_renews_within_its_window),
		WORLD_TEST(many_are_spread_over_the_window),
		WORLD_TEST(it_is_asked_as_often_as_the_ca_wants),
		WORLD_TEST(who_moves_the_window_moves_the_renewal),
		WORLD_TEST(a_window_of_which_one_end_moves_is_another),
		WORLD_TEST(the_explanation_is_shown),
		WORLD_TEST(no_answer_of_the_ca_burns_the_limit),
		WORLD_TEST(without_a_suggestion_the_rule_counts),
		WORLD_TEST(a_ca_that_is_down_is_left_alone),
		WORLD_TEST(the_most_urgent_is_asked_first),
		WORLD_TEST(few_are_asked_about_at_once),
		WORLD_TEST(whom_nobody_can_ask_about_is_left_out),
		WORLD_TEST(another_explanation_moves_nothing),
		WORLD_TEST(a_new_certificate_has_no_window_yet),
		WORLD_TEST(a_question_about_the_one_before_is_given_up),
		WORLD_TEST(a_stored_window_is_read_whole_or_not),
		WORLD_TEST(a_window_that_cannot_be_stored_counts_all_the_same),
	};
	return cmocka_run_group_tests_name("renew_window", tests, NULL, NULL);
}
