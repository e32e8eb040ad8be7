/* What the file alone sets going, what it leaves be, and what outlives every version of it. */
#include "renew_world.h"

/* The page's NAME has no site, and is served like one. */
static void the_page_gets_its_certificate_by_itself(void **state)
{
	(void)state;
	world_start(BY_FILE "page 127.0.0.1:8007 admin.example.com\n");
	run_until_idle();
	status_is("admin.example.com", "ok");
	assert_string_equal(said("admin.example.com", "email"), "\"ops@example.com\"");
	assert_string_equal(said("admin.example.com", "issuer"), "\"ca\"");
	world_configure(BASE "page 127.0.0.1:8007 admin.example.com\n"
	                     "email ops@example.com\n"); /* the terms are not agreed to any more */
	status_is("admin.example.com", "retired");
	world_configure(BY_FILE "page 127.0.0.1:8007\n");
	status_is("admin.example.com", "retired");
	assert_int_equal(place->ca.order_count, 1);
}

/* A listener that is new gets what there is. */
static void it_is_installed_again_where_it_is_asked_for(void **state)
{
	(void)state;
	place->ca.refused = "new.example.com";
	world_start(BY_FILE SHOP "site new.example.com { proxy 127.0.0.1:3002; }\n");
	run_until_idle();
	assert_int_equal(world.installs, 1);
	renewals_install(world.renewals, STR("shop.example.com"));
	assert_int_equal(world.installs, 2);
	renewals_install(world.renewals, STR("new.example.com")); /* has none */
	renewals_install(world.renewals, STR("nobody.example.com"));
	assert_int_equal(world.installs, 2);
}

/* It is in the store of every server, whichever version wrote it. */
static void an_id_is_the_same_for_ever(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	const struct str names[] = { STR("www.example.com"), STR("shop.example.com") };
	const struct str turned[] = { names[1], names[0] };
	const char *id = "shop.example.com-feece646bef7f1c2";
	assert_string_equal(registration_id(&a, names, 2, STR("ca"), KEY_P256).p, id);
	assert_string_equal(registration_id(&a, turned, 2, STR("ca"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, names, 2, STR("other"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, turned, 1, STR("ca"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, names, 2, STR("ca"), KEY_P384).p, id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_page_gets_its_certificate_by_itself),
		WORLD_TEST(it_is_installed_again_where_it_is_asked_for),
		WORLD_TEST(an_id_is_the_same_for_ever),
	};
	return cmocka_run_group_tests_name("renew_file", tests, NULL, NULL);
}
