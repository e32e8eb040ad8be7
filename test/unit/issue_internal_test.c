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
	assert_null(c->needs); /* nothing is left to be aborted */
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

static struct json *roots_written(void)
{
	BUF_AUTO text = BUF_INIT(1 << 16);
	struct json_writer w;
	struct err err = ERR_INIT;
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	internal_roots_write(place.store, &w, "roots");
	json_write_end(&w);
	struct json *json = json_parse(buf_str(&text), "It", &err);
	assert_non_null(json);
	return json;
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

	struct err err = ERR_INIT;
	JSON_AUTO *json = roots_written();
	const struct json *roots = json_array(json, "roots");
	assert_int_equal(json_count(roots), 1);
	const struct json *root = json_at(roots, 0);
	assert_true(str_eq(json_text(root, "for"), STR("private")));
	char since[CLOCK_TEXT], until[CLOCK_TEXT];
	assert_true(str_eq_c(json_text(root, "not_before"), clock_rfc3339(now - HOUR, since)));
	assert_true(str_eq_c(json_text(root, "not_after"), clock_rfc3339(now + 3652 * DAY, until)));

	/* It is told as it is. */
	ARENA_AUTO a = ARENA_INIT;
	struct str chain[CHAIN_MOST];
	struct cert cert;
	size_t count;
	assert_true(cert_chain_from_pem(&a, json_text(root, "pem"), chain, &count, &err));
	assert_true(cert_read(&a, chain[0], &cert, &err));
	assert_true(str_eq(json_text(root, "subject"), cert.subject));
	assert_true(str_eq_c(json_text(root, "sha256"), cert.sha256));
	BUF_AUTO value = BUF_INIT(1 << 16);
	char created[128];
	record_value(&place, "authority", "private", &value);
	snprintf(created, sizeof created, "\"created\":\"%s\"", clock_rfc3339(now, since));
	assert_non_null(strstr(buf_c(&value), created));
	assert_int_equal(diary_count(&place, "put authority"), 1);
	assert_non_null(strstr(buf_c(&logged),
	        "A new root of the internal authority for private was made: its certificates are "
	        "trusted by who trusts it.\n"));
}

static void all_roots_are_counted_and_printed(void **state)
{
	(void)state;
	char issuers[2][128];
	BUF_AUTO pem = BUF_INIT(1 << 16);
	assert_int_equal(internal_roots_count(place.store), 0);
	issuer_of("a.test", issuers[0]);
	issuer_of("example.com", issuers[1]);
	record_put(&place, "authority", "damaged", STR("{}"), STR("key"));
	assert_int_equal(internal_roots_count(place.store), 2);
	internal_roots_pem(place.store, &pem);
	JSON_AUTO *json = roots_written();
	const struct json *roots = json_array(json, "roots");
	assert_int_equal(json_count(roots), 2);
	const struct str first = json_text(json_at(roots, 0), "pem"),
	                 second = json_text(json_at(roots, 1), "pem");
	assert_int_equal(pem.n, first.n + second.n);
	assert_true(str_starts(buf_str(&pem), first) && str_ends(buf_str(&pem), second));
}

/* What a root is for: its record's id. */
static void a_root_is_for(const char *names, const char *id)
{
	struct made m;
	struct str all[4], rest = str_c(names);
	size_t count = 0;
	while (count < COUNT(all) && str_split(&rest, ' ', &all[count]))
		count++;
	assert_int_equal(record_version(&place, "authority", id), 0);
	make(&m, all, count);
	assert_string_equal(m.err.text, "");
	assert_int_equal(record_version(&place, "authority", id), 1);
	record_delete(&place, "authority", id);
	made_done(&m);
}

static void a_root_is_for_what_the_names_need(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "192.168.1.5", "private" },
		{ "::1", "private" },
		{ "fd00::a", "private" },
		{ "203.0.113.5", "203.0.113.5" },
		{ "2001:db8::1", "2001:db8::1" },
		{ "192.168.1.5 203.0.113.5", "203.0.113.5 private" },
		{ "localhost", "private" },
		{ "x.home.arpa", "private" },
		{ "*.lan", "private" },
		{ "xlocalhost", "xlocalhost" },
		{ "portal1", "portal1" },
		{ "*.corp.example.com", "example.com" },
		{ "a.xtest.example.org", "example.org" },
		{ "c.example.org b.example.com a.example.org", "example.com example.org" },
		{ "portal ::1 10.0.0.1", "portal private" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		a_root_is_for(cases[i][0], cases[i][1]);
}

/* RFC 5280's upper bound of a common name. */
static void the_name_of_a_root_has_64_characters_at_most(void **state)
{
	(void)state;
	char issuer[128];
	const char *long_name = "a-name-of-one-label-that-is-longer-than-it-fits";
	issuer_of(long_name, issuer);
	const char *name = strstr(issuer, "Everseal ");
	assert_non_null(name);
	assert_int_equal(strlen(name), 64);
	assert_true(str_starts(str_c(long_name), str_c(strstr(name, " for ") + 5)));
	issuer_of("short", issuer);
	name = strstr(issuer, "Everseal ");
	assert_int_equal(strlen(name), strlen("Everseal 12345678 for short"));
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
	clock_fake_advance(&place.clock, (3652 - 365) * DAY - MINUTE);
	issuer_of("b.test", kept);
	assert_string_equal(first, kept);
	clock_fake_advance(&place.clock, MINUTE);
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
	record_delete(&place, "authority", "private");
	make(&m, names, 1);
	made_done(&m);
	BUF_AUTO value = BUF_INIT(1 << 16); /* its key is another's */
	record_value(&place, "authority", "private", &value);
	record_put(&place, "authority", "private", buf_str(&value), STR("key"));
	make(&m, names, 1);
	assert_true(str_starts(str_c(m.err.text), STR("The key of the internal authority")));
	assert_int_equal(record_version(&place, "authority", "private"), 2);
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
	start(&m, names, 1);
	loop_turn(place.loop, 0); /* its root is being stored */
	internal_abort(&m.call);
	assert_null(m.call.needs);
	run_for(&place, SECOND);
	assert_false(m.told);
	made_done(&m);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_leaf_lives_a_week_and_its_root_ten_years),
		CASE(all_roots_are_counted_and_printed),
		CASE(a_root_is_for_what_the_names_need),
		CASE(the_name_of_a_root_has_64_characters_at_most),
		CASE(each_domain_has_a_root_of_its_own),
		CASE(the_root_stays_over_a_restart_and_is_replaced_a_year_before_its_end),
		CASE(two_that_begin_at_once_share_the_root),
		CASE(a_root_that_cannot_be_read_or_stored_is_said_and_not_replaced),
		CASE(one_that_is_aborted_tells_nothing),
	};
	return cmocka_run_group_tests_name("issue_internal", tests, NULL, NULL);
}
