/* Several registrations hold the same name: whose certificate is served, and what is said of it. */
#include "renew_world.h"

enum { SHARERS = 4 };

static const struct shown *shown_of(const char *name)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (!strcmp(world.shown[i].name, name))
			return &world.shown[i];
	fail_msg("nothing is served for %s", name);
	return NULL;
}

static void served_alike(const char *name, const char *as)
{
	assert_string_equal(buf_c(&shown_of(name)->pem), buf_c(&shown_of(as)->pem));
}

static void restart(void)
{
	world_kill();
	world_start(NULL);
}

/* The newest one is, also after a start, whatever order the store gives them in. */
static void the_newest_certificate_of_a_name_is_served(void **state)
{
	(void)state;
	static const char *const others[SHARERS] = { "d.example.com", "a.example.com",
		"c.example.com", "b.example.com" };
	struct wish w;
	world_start(BASE);
	for (size_t i = 0; i < SHARERS; i++) {
		const struct str names[] = { STR("shop.example.com"), str_c(others[i]) };
		wish_register(&w, &(struct register_want){ .names = names,
		                          .name_count = 2,
		                          .email = STR("ops@example.com"),
		                          .agree_tos = true });
		wish_wait(&w);
		run_until_idle();
		run_for(place, HOUR);
	}
	for (size_t i = 0; i < SHARERS; i++) {
		wish_renew(&w, others[i]);
		wish_wait(&w);
		run_until_idle();
		run_for(place, HOUR);
		served_alike("shop.example.com", others[i]);
		restart();
		served_alike("shop.example.com", others[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_newest_certificate_of_a_name_is_served),
	};
	return cmocka_run_group_tests_name("renew_order", tests, NULL, NULL);
}
