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
		{ MSG_site_upstream,
		        &(struct msg_site_upstream){
		                .address = STR("app"), .port = 1, .shown = STR("app:1") },
		        "app:1 is no address and port of an application." },
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
		bool seconds = s->type == SETTING_DURATION; /* all of them are told in seconds */
		assert_int_equal(strtol(s->fallback, NULL, 10) * (seconds ? SECOND : 1), value);
		assert_int_equal(str_ends(str_c(s->fallback), STR("s")), seconds);
		assert_true(limits_set(&l, str_c(s->name), s->most, &err));
		assert_false(s->least > 0 && limits_set(&l, str_c(s->name), s->least - 1, &err));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_that_are_refused),
		cmocka_unit_test(generations_that_do_not_fit),
		cmocka_unit_test(limits_have_defaults),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
