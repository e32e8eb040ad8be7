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

static void register_with(const char *other)
{
	const struct str names[] = { STR("shop.example.com"), str_c(other) };
	struct wish w;
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	run_for(place, HOUR);
}

/* One that is renewed goes before a newer one that is only kept. */
static void the_one_that_is_renewed_is_served(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	register_with("a.example.com");
	register_with("b.example.com");
	restart();
	served_alike("shop.example.com", "b.example.com");
	wish_disable(&w, "b.example.com", false);
	wish_wait(&w);
	restart();
	served_alike("shop.example.com", "a.example.com");
}

/* The newest one is, also after a start, whatever order the store gives them in. */
static void the_newest_certificate_of_a_name_is_served(void **state)
{
	(void)state;
	static const char *const others[SHARERS] = { "d.example.com", "a.example.com",
		"c.example.com", "b.example.com" };
	struct wish w;
	world_start(BASE);
	for (size_t i = 0; i < SHARERS; i++)
		register_with(others[i]);
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
		WORLD_TEST(the_one_that_is_renewed_is_served),
		WORLD_TEST(the_newest_certificate_of_a_name_is_served),
	};
	return cmocka_run_group_tests_name("renew_order", tests, NULL, NULL);
}
