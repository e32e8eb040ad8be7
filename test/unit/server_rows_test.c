/* Generations as they are built from rows, and the data plane's settings. */
#include "server/settings.h"
#include "server/site.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void rows_that_are_refused(void **state)
{
	(void)state;
	const struct {
		enum msg_type type;
		const void *fields;
		const char *sentence;
	} cases[] = {
		{ MSG_site, &(struct msg_site){ .name = STR("a"), .kind = 99 },
		        "The site a is of no known kind." },
		{ MSG_limit, &(struct msg_limit){ .name = STR("no-such") },
		        "There is no setting no-such in the data plane." },
		{ MSG_limit, &(struct msg_limit){ .name = STR("idle-timeout"), .value = -1 },
		        "idle-timeout may not be -1." },
		{ MSG_trusted_proxy, &(struct msg_trusted_proxy){ .cidr = STR("ten") },
		        "ten is no range of addresses." },
		{ MSG_upstream,
		        &(struct msg_upstream){ .upstreams = 1,
		                .host = STR("app"),
		                .shown = STR("app:1"),
		                .weight = 1 },
		        "app:1 is no address and port of an application." },
		{ MSG_upstream,
		        &(struct msg_upstream){ .upstreams = 1,
		                .scheme = 99,
		                .host = STR("app"),
		                .port = 1,
		                .shown = STR("app:1"),
		                .weight = 1 },
		        "app:1 is no address and port of an application." },
		{ MSG_upstream,
		        &(struct msg_upstream){ .upstreams = 1,
		                .host = STR("app"),
		                .port = 1,
		                .shown = STR("app:1") },
		        "app:1 is no address and port of an application." },
		{ MSG_trust, &(struct msg_trust){ .id = 1, .fd = -1 },
		        "The certificates that vouch for applications cannot be read." },
		{ MSG_upstreams, &(struct msg_upstreams){ .id = 0 },
		        "A group of applications has no number." },
		{ MSG_upstreams_option, &(struct msg_upstreams_option){ .name = STR("colour") },
		        "There is no setting colour of applications." },
		{ MSG_upstreams_option,
		        &(struct msg_upstreams_option){ .name = STR("expect"), .value = 42 },
		        "expect may not be 42." },
		{ MSG_listener, &(struct msg_listener){ .address = STR("::"), .fd = -1 },
		        "The listener at :: has no socket." },
		{ MSG_commit, &(struct msg_commit){ .number = 1 },
		        "commit is no row of a generation." },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err err;
		struct generation_builder *b =
		        generation_begin(&(struct msg_generation){ .number = 1 });
		assert_false(generation_row(b, cases[i].type, cases[i].fields, &err));
		assert_string_equal(err.text, cases[i].sentence);
		generation_drop(&b);
	}
}

static void generations_that_do_not_fit(void **state)
{
	(void)state;
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_site_name name = { .site = 4, .name = STR("a") };
	assert_true(generation_row(b, MSG_site_name, &name, &err));
	assert_null(generation_build(&b, &err));
	assert_string_equal(err.text, "A row speaks of site 4, which no row made.");
	assert_null(b);
	b = generation_begin(&(struct msg_generation){ .number = 1 });
	assert_true(generation_row(b, MSG_site, &(struct msg_site){ .id = 4 }, &err));
	assert_true(generation_row(b, MSG_site_name, &name, &err));
	assert_true(generation_row(b, MSG_site_name, &name, &err));
	assert_null(generation_build(&b, &err));
	assert_string_equal(err.text, "Two sites are named a.");
}

static struct generation *with_upstreams(int64_t weight, int64_t fails, struct err *err)
{
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_upstream app = { .upstreams = 7,
		.host = STR("10.0.0.5"),
		.port = 80,
		.shown = STR("10.0.0.5:80"),
		.weight = weight };
	struct msg_upstream named = { .upstreams = 7,
		.host = STR("app.internal"),
		.port = 81,
		.shown = STR("app.internal:81"),
		.weight = 1 };
	struct msg_upstreams_option option = {
		.upstreams = 7, .name = STR("fails"), .value = fails
	};
	struct msg_site site = { .id = 3, .name = STR("*"), .fallback = true, .upstreams = 7 };
	assert_true(generation_row(b, MSG_upstream, &app, err));
	assert_true(generation_row(b, MSG_upstreams_option, &option, err));
	assert_true(generation_row(b, MSG_upstream, &named, err));
	assert_true(generation_row(b, MSG_site, &site, err));
	assert_true(generation_row(b, MSG_upstreams, &(struct msg_upstreams){ .id = 7 }, err));
	return generation_build(&b, err);
}

static void upstreams_are_groups(void **state)
{
	(void)state;
	struct err err;
	struct generation *g = with_upstreams(2, 5, &err), *same = with_upstreams(2, 5, &err),
	                  *other = with_upstreams(3, 5, &err),
	                  *setting = with_upstreams(2, 6, &err);
	const struct upstreams *u = g->fallback->upstreams;
	assert_int_equal(u->count, 2);
	assert_int_equal(u->options.fails, 5);
	assert_int_equal(u->options.connect_timeout, -1);
	assert_int_equal(u->at[0].weight, 2);
	assert_int_equal(u->at[0].address.ss_family, AF_INET);
	assert_int_equal(u->at[1].address.ss_family, AF_UNSPEC);
	assert_true(str_eq_c(u->at[1].host, "app.internal"));
	assert_true(u->identity == same->fallback->upstreams->identity);
	assert_true(u->identity != other->fallback->upstreams->identity);
	assert_true(u->identity != setting->fallback->upstreams->identity);
	generation_unref(&g);
	generation_unref(&same);
	generation_unref(&other);
	generation_unref(&setting);
}

static void refuse(enum msg_type type, const void *fields, const char *sentence)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_upstreams group = { .id = 7 };
	assert_true(generation_row(b, MSG_upstreams, &group, &err));
	assert_true(generation_row(b, type, fields, &err));
	assert_null(generation_build(&b, &err));
	assert_string_equal(err.text, sentence);
}

static void groups_that_do_not_fit(void **state)
{
	(void)state;
	refuse(MSG_upstreams, &(struct msg_upstreams){ .id = 7 },
	        "Two groups of applications have the number 7.");
	refuse(MSG_upstream,
	        &(struct msg_upstream){ .upstreams = 8,
	                .host = STR("10.0.0.5"),
	                .port = 1,
	                .shown = STR("x"),
	                .weight = 1 },
	        "A row speaks of the applications 8, which no row made.");
	refuse(MSG_upstreams_option,
	        &(struct msg_upstreams_option){ .upstreams = 8, .name = STR("fails"), .value = 1 },
	        "A row speaks of the applications 8, which no row made.");
	refuse(MSG_upstreams, &(struct msg_upstreams){ .id = 8, .trust = 5 },
	        "A row speaks of the certificates 5, which no row brought.");
	refuse(MSG_site, &(struct msg_site){ .id = 1, .name = STR("a.test"), .upstreams = 8 },
	        "The site a.test has the applications 8, which no row made.");
}

static void limits_have_defaults(void **state)
{
	(void)state;
	struct limits l;
	limits_init(&l);
	assert_int_equal(l.header_timeout, 10 * SECOND);
	assert_int_equal(l.requests_per_connection, 10000);
	for (size_t i = 0; i < server_setting_count; i++) {
		const struct setting *s = &server_settings[i];
		struct err err;
		int64_t value;
		memcpy(&value, (const char *)&l + s->offset, sizeof value);
		assert_true(value >= s->least && value <= s->most);
		char *unit;
		int64_t number = strtol(s->fallback, &unit, 10);
		int64_t factor = *unit == 's' ? SECOND : *unit == 'h' ? HOUR : 1;
		assert_int_equal(number * factor, value);
		assert_int_equal(factor > 1, s->type == SETTING_DURATION);
		assert_true(limits_set(&l, str_c(s->name), s->most, &err));
		assert_false(s->least > 0 && limits_set(&l, str_c(s->name), s->least - 1, &err));
	}
}

static void add_site(struct generation_builder *b, int64_t id, const char *name, const char *ca)
{
	struct err err;
	struct msg_site site = { .id = id, .name = str_c(name), .client_ca = str_c(ca) };
	struct msg_site_name named = { .site = id, .name = str_c(name) };
	site.fallback = str_eq_c(site.name, "*");
	assert_true(generation_row(b, MSG_site, &site, &err));
	if (!site.fallback)
		assert_true(generation_row(b, MSG_site_name, &named, &err));
}

/* Which certificates of clients a name asks for; by their identity connections and tickets are held
 * to it (RFC 9110 7.4): it is the same for all names of a wildcard, whatever letters they are
 * written in by the time that they get here, and for nobody else but who asks for the same. */
static void a_wildcard_has_its_rules_for_all_its_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		int64_t id;
		bool asks, as_the_wildcard;
	} cases[] = {
		{ "x.wild.test", 1, true, true },
		{ "y.wild.test", 1, true, true },
		{ "open.wild.test", 2, false, false },
		{ "own.wild.test", 3, true, false },
		{ "same.test", 4, true, true },
		{ "wild.test", 5, false, false },
		{ "a.x.wild.test", 5, false, false },
		{ ".wild.test", 5, false, false },
		{ "x.wild.test.", 5, false, false },
	};
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	add_site(b, 1, "*.wild.test", "an authority");
	add_site(b, 2, "open.wild.test", "");
	add_site(b, 3, "own.wild.test", "another authority");
	add_site(b, 4, "same.test", "an authority");
	add_site(b, 5, "*", "");
	struct generation *g = generation_build(&b, &err);
	const struct tls_rules *wild = &generation_site(g, STR("x.wild.test"))->tls;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct site *s = generation_site(g, str_c(cases[i].name));
		assert_int_equal(s->id, cases[i].id);
		assert_int_equal(s->tls.client_ca.n > 0, cases[i].asks);
		bool same = !memcmp(s->tls.identity, wild->identity, sizeof wild->identity);
		assert_int_equal(same, cases[i].as_the_wildcard);
	}
	generation_unref(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_are_refused),
		cmocka_unit_test(generations_that_do_not_fit),
		cmocka_unit_test(upstreams_are_groups),
		cmocka_unit_test(groups_that_do_not_fit),
		cmocka_unit_test(limits_have_defaults),
		cmocka_unit_test(a_wildcard_has_its_rules_for_all_its_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
