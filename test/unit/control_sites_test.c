/* Sites of the file, of the store and of registrations: who wins, and what lies over what. */
#include "control_place.h"

#define LISTEN "http 127.0.0.1:8080\nhttps 127.0.0.1:8443\n"
#define STAR   "site * { proxy 127.0.0.1:3000 }\n"

struct change {
	struct serving_change change;
	int ended;
};

static void stands(struct serving_change *c, const struct err *err)
{
	if (err)
		fail_msg("%s", err->text);
	OWNER(c, struct change, change)->ended++;
}

static void in_force(struct place *p)
{
	struct change c = { .change.done = stands };
	generation_want(&p->c, NULL, &c.change);
	until(p, c.ended);
	settle(p);
}

/* As it is once stored; what storing is made of is tested beside kept.c. */
static struct kept_change keep(
        struct place *p, bool overlay, const char *name, const char *proxy, bool force_ssl)
{
	static const struct kept_listeners nobody = { 0 };
	struct kept_value *v = kept_value_new();
	struct kept_change c;
	struct err err = ERR_INIT;
	struct str text = str_c(name), application = str_c(proxy);
	if (strcmp(name, "*")) {
		assert_true(kept_read_names(v, &text, 1, &err));
	} else {
		v->names = arena_new(&v->arena, struct str);
		v->names[0] = STR("*");
		v->name_count = 1;
	}
	if (proxy)
		assert_true(kept_read_upstreams(v, &application, 1, &nobody, &err));
	v->overlay = overlay;
	v->force_ssl = v->force_ssl_set = force_ssl;
	assert_true(kept_try(&p->c.kept, &c, NULL, v, &err));
	c.site->change = NULL;
	in_force(p);
	return c;
}

static void beside_the_file(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR "site file.example.com { proxy 127.0.0.1:1 }\n");
	keep(&p, false, "shop.example.com", "127.0.0.1:2", true);
	assert_row(&p, "site 3 shop.example.com force url=8443 hsts=-1");
	assert_row(&p, "upstream 3 127.0.0.1 2");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	place_done(&p);
}

static void the_file_wins(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR);
	keep(&p, false, "shop.example.com", "127.0.0.1:2", true);
	assert_string_equal(
	        reload(&p, LISTEN STAR "site shop.example.com { proxy 127.0.0.1:1 }\n"), "");
	assert_row(&p, "upstream 2 127.0.0.1 1");
	assert_no_row(&p, "upstream 2 127.0.0.1 2");
	assert_string_equal(reload(&p, LISTEN STAR), "");
	assert_row(&p, "upstream 2 127.0.0.1 2");
	place_done(&p);
}

static void overlays(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR "site a.example.com { proxy 127.0.0.1:1 }\n"
	                            "site b.example.com { proxy 127.0.0.1:1; force-ssl no }\n");
	keep(&p, true, "a.example.com", "127.0.0.1:9", true);
	keep(&p, true, "b.example.com", NULL, true);
	keep(&p, true, "nobody.example.com", NULL, true);
	assert_row(&p, "site 2 a.example.com force url=8443 hsts=-1");
	assert_row(&p, "upstream 2 127.0.0.1 1");
	assert_row(&p, "site 3 b.example.com url=8443 hsts=-1");
	assert_no_row(&p, "site 4 nobody.example.com force url=8443 hsts=-1");
	place_done(&p);
}

static void registered_names(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR);
	register_name(&p, (struct register_want){ .names = &STR("shop.example.com"),
	                          .name_count = 1,
	                          .proxy = STR("127.0.0.1:2") });
	in_force(&p);
	assert_row(&p, "site 2 shop.example.com url=8443 hsts=-1");
	keep(&p, true, "shop.example.com", NULL, true);
	assert_row(&p, "site 2 shop.example.com force url=8443 hsts=-1");
	assert_row(&p, "upstream 2 127.0.0.1 2");
	keep(&p, false, "shop.example.com", "127.0.0.1:7", false);
	assert_row(&p, "upstream 2 127.0.0.1 7");
	assert_no_row(&p, "upstream 2 127.0.0.1 2");
	place_done(&p);
}

/* Sites of the store have the settings of `site *` until they say otherwise. */
static void the_fallback(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN "hsts 1h\n" STAR);
	keep(&p, true, "*", NULL, true);
	assert_row(&p, "site 1 * fallback force url=8443 hsts=3600");
	keep(&p, false, "shop.example.com", NULL, false);
	assert_row(&p, "site 2 shop.example.com force url=8443 hsts=3600");
	assert_row(&p, "upstream 2 127.0.0.1 3000");
	place_done(&p);
}

static void after_a_start(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR);
	struct kept_change c = keep(&p, false, "shop.example.com", "127.0.0.1:2", false);
	assert_non_null(c.site);
	kept_take_back(&c);
	in_force(&p);
	assert_no_row(&p, "upstream 2 127.0.0.1 2");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_NONE);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beside_the_file),
		cmocka_unit_test(the_file_wins),
		cmocka_unit_test(overlays),
		cmocka_unit_test(registered_names),
		cmocka_unit_test(the_fallback),
		cmocka_unit_test(after_a_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
