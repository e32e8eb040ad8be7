/* The internal authority, with the real store and keys. */
#include "issue/internal.h"
#include "issue_place.h"

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct place place;

struct made {
	struct internal_call call;
	struct key *key;
	bool told;
	struct arena arena;
	struct cert leaf;
	struct err err;
};

static void done(struct internal_call *c, struct str leaf, const struct err *err)
{
	struct made *m = OWNER(c, struct made, call);
	struct err ignored = ERR_INIT;
	assert_false(m->told);
	m->told = true;
	if (err)
		m->err = *err;
	else
		assert_true(
		        cert_read(&m->arena, leaf, &m->leaf, &ignored) && key_fits(m->key, leaf));
}

static struct issue_needs needs;

static void start(struct made *m, const struct str *names, size_t count)
{
	needs = (struct issue_needs){
		.loop = place.loop, .store = place.store, .master = place.master, .log = &place.log
	};
	*m = (struct made){ .call = { .names = names, .name_count = count, .done = done } };
	m->key = key_new(KEY_P256, &m->err);
	m->call.key = m->key;
	internal_start(&m->call, &needs);
	assert_false(m->told);
}

static void made_done(struct made *m)
{
	internal_abort(&m->call);
	key_free(&m->key);
	arena_done(&m->arena);
}

static void make(struct made *m, const struct str *names, size_t count)
{
	start(m, names, count);
	turn_until(&place, m->told);
}

static void issuer_of(const char *name, char ret_issuer[128])
{
	struct made m;
	const struct str names[] = { str_c(name) };
	make(&m, names, 1);
	assert_string_equal(m.err.text, "");
	snprintf(ret_issuer, 128, "%.*s", STR_ARG(m.leaf.issuer));
	made_done(&m);
}

static int set_up(void **state)
{
	(void)state;
	place_init(&place);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

static void a_leaf_lives_a_week_and_its_root_ten_years(void **state)
{
	(void)state;
	struct made m;
	const struct str names[] = { STR("app.localhost"), STR("192.168.1.5"), STR("nas.lan") };
	const int64_t now = loop_wall(place.loop) / 1000 * 1000;
	make(&m, names, COUNT(names));
	assert_string_equal(m.err.text, "");
	assert_int_equal(m.leaf.not_before, now - HOUR);
	assert_int_equal(m.leaf.not_after, now + 7 * DAY);
	assert_int_equal(m.leaf.name_count, 3);
	assert_false(m.leaf.is_ca);
	made_done(&m);

	BUF_AUTO text = BUF_INIT(1 << 16);
	struct json_writer w;
	struct err err = ERR_INIT;
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	internal_roots_write(place.store, &w, "roots");
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&text), "It", &err);
	const struct json *roots = json_array(json, "roots");
	assert_int_equal(json_count(roots), 1);
	const struct json *root = json_at(roots, 0);
	assert_true(str_eq(json_text(root, "for"), STR("private")));
	assert_true(str_starts(json_text(root, "pem"), STR("-----BEGIN CERTIFICATE-----\n")));
	char until[CLOCK_TEXT];
	assert_true(str_eq_c(json_text(root, "not_after"), clock_rfc3339(now + 3652 * DAY, until)));
}

/* Who trusts one root trusts it for what it is for, and not for more. */
static void each_domain_has_a_root_of_its_own(void **state)
{
	(void)state;
	char issuers[5][128];
	static const char *const names[] = { "a.test", "b.internal", "wiki.corp.example.com",
		"example.com", "portal" };
	for (size_t i = 0; i < COUNT(names); i++)
		issuer_of(names[i], issuers[i]);
	assert_string_equal(issuers[0], issuers[1]);
	assert_string_equal(issuers[2], issuers[3]);
	assert_non_null(strstr(issuers[0], " for private names"));
	assert_non_null(strstr(issuers[2], " for example.com"));
	assert_non_null(strstr(issuers[4], " for portal"));
	struct made m;
	const struct str mixed[] = { STR("portal"), STR("localhost") };
	make(&m, mixed, 2);
	assert_string_equal(m.err.text, "");
	assert_non_null(strstr(m.leaf.issuer.p, " for portal private"));
	made_done(&m);
}

static void the_root_stays_over_a_restart_and_is_replaced_a_year_before_its_end(void **state)
{
	(void)state;
	char first[128], again[128], late[128], kept[128];
	issuer_of("a.test", first);
	place_close(&place);
	place_open(&place);
	issuer_of("b.test", again);
	assert_string_equal(first, again);
	timer_stop(&place.guard);
	clock_fake_advance(&place.clock, (3652 - 366) * DAY);
	issuer_of("b.test", kept);
	assert_string_equal(first, kept);
	clock_fake_advance(&place.clock, 2 * DAY);
	issuer_of("b.test", late);
	assert_string_not_equal(first, late);
	assert_int_equal(record_version(&place, "authority", "private"), 2);
}

static void two_that_begin_at_once_share_the_root(void **state)
{
	(void)state;
	struct made a, b;
	const struct str one[] = { STR("a.test") }, two[] = { STR("b.test") };
	start(&a, one, 1);
	start(&b, two, 1);
	turn_until(&place, a.told && b.told);
	assert_string_equal(a.err.text, "");
	assert_string_equal(b.err.text, "");
	assert_true(str_eq(a.leaf.issuer, b.leaf.issuer));
	made_done(&a);
	made_done(&b);
}

static void a_root_that_cannot_be_read_or_stored_is_said_and_not_replaced(void **state)
{
	(void)state;
	struct made m;
	const struct str names[] = { STR("a.test") };
	store_full(&place, true);
	make(&m, names, 1);
	assert_string_not_equal(m.err.text, "");
	made_done(&m);
	store_full(&place, false);
	record_put(&place, "authority", "private", STR("{\"root\":\"none\"}"), STR("key"));
	make(&m, names, 1);
	assert_string_not_equal(m.err.text, "");
	assert_int_equal(record_version(&place, "authority", "private"), 1);
	made_done(&m);
}

static void one_that_is_aborted_tells_nothing(void **state)
{
	(void)state;
	struct made m;
	const struct str names[] = { STR("a.test") };
	start(&m, names, 1);
	internal_abort(&m.call);
	run_for(&place, SECOND);
	assert_false(m.told);
	made_done(&m);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_leaf_lives_a_week_and_its_root_ten_years),
		CASE(each_domain_has_a_root_of_its_own),
		CASE(the_root_stays_over_a_restart_and_is_replaced_a_year_before_its_end),
		CASE(two_that_begin_at_once_share_the_root),
		CASE(a_root_that_cannot_be_read_or_stored_is_said_and_not_replaced),
		CASE(one_that_is_aborted_tells_nothing),
	};
	return cmocka_run_group_tests_name("issue_internal", tests, NULL, NULL);
}
