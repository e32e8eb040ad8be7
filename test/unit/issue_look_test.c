/* Whether a TXT value has arrived: who is asked how often, who is left out, and when it ends. */
#include "issue/dns_look.h"
#include "issue_dns_rig.h"

static struct rig rig;
static struct dns_look look;
static unsigned done;

static void look_said(struct dns_look *l, struct str words)
{
	assert_ptr_equal(l, &look);
	buf_printf(&rig.said, "%.*s\n", STR_ARG(words));
}

static void look_done(struct dns_look *l)
{
	assert_false(l->started);
	done++;
}

static void start(struct scripted *script, size_t count, const struct dns_look *with)
{
	rig_init(&rig, "", script, count);
	done = 0;
	look = *with;
	look.loop = rig.loop;
	look.fetch = &rig.fetch;
	look.resolvers = STR("9.9.9.9:53\n");
	look.name = STR("_acme-challenge.example.com");
	look.value = STR("good");
	look.wait = with->wait ? with->wait : MINUTE;
	look.said = look_said;
	look.done = look_done;
	dns_look_start(&look);
	assert_int_equal(done, 0);
}

/* How long it took, ms. */
static int64_t run(void)
{
	const int64_t begun = loop_mono(rig.loop);
	while (!done)
		loop_turn(rig.loop, -1);
	assert_int_equal(done, 1);
	return loop_mono(rig.loop) - begun;
}

static void over(void)
{
	assert_int_equal(rig.resolve_count, 0);
	dns_look_abort(&look);
	rig_done(&rig);
}

#define START(script, ...)                                                                         \
	start(script, sizeof script / sizeof *script, &(struct dns_look){ __VA_ARGS__ })

static void the_resolvers_say_who_is_to_be_asked(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "SOA", .owner = "example.com" },
		{ .question = "NS", .records = "ns1.example.com\n\nns2.example.com\n" },
		{ .question = "A ns1.example.com", .records = "192.0.2.1\n192.0.2.2\n" },
		{ .question = "AAAA ns1.example.com", .first = "error" },
		{ .question = "A ns2.example.com", .outcome = "none" },
		{ .question = "AAAA ns2.example.com", .records = "2001:db8::2\n" },
		{ .question = "TXT", .records = "goo\ngood\n" },
	};
	START(script, .zone = STR_NONE);
	assert_int_equal(run(), 0);
	assert_string_equal(buf_c(&rig.said), "");
	assert_string_equal(buf_c(&rig.asked),
	        "SOA _acme-challenge.example.com 0 at 9.9.9.9:53\n\n"
	        "NS example.com 0 at 9.9.9.9:53\n\n"
	        "A ns1.example.com 0 at 9.9.9.9:53\n\n"
	        "AAAA ns1.example.com 0 at 9.9.9.9:53\n\n"
	        "A ns2.example.com 0 at 9.9.9.9:53\n\n"
	        "AAAA ns2.example.com 0 at 9.9.9.9:53\n\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at 192.0.2.1:53\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at 192.0.2.2:53\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at [2001:db8::2]:53\n");
	over();
}

static void a_zone_that_is_known_is_not_looked_for(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "NS example.net", .records = "ns.example.net\n" },
		{ .question = "A ns.example.net", .records = "192.0.2.1\n" },
		{ .question = "TXT", .records = "good\n" },
	};
	START(script, .zone = STR("example.net"));
	run();
	assert_null(strstr(buf_c(&rig.asked), "SOA"));
	assert_non_null(strstr(buf_c(&rig.asked), "at 192.0.2.1:53\n"));
	over();
}

static void servers_that_are_given_are_asked_instead(void **state)
{
	(void)state;
	struct scripted script[] = { { .question = "TXT", .records = "bad\n" } };
	START(script, .zone = STR("example.net"), .check = STR("192.0.2.7:53\n\n[::1]:5353\n"),
	        .wait = SECOND);
	run();
	assert_string_equal(buf_c(&rig.asked),
	        "TXT _acme-challenge.example.com authoritative 4000 at 192.0.2.7:53\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at [::1]:5353\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at 192.0.2.7:53\n"
	        "TXT _acme-challenge.example.com authoritative 4000 at [::1]:5353\n");
	assert_string_equal(buf_c(&rig.said),
	        "Waiting for the server (192.0.2.7:53): not yet there.\n"
	        "the server (192.0.2.7:53) has not got the record after 1 s; the authority is "
	        "asked all the same.\n");
	over();
}

/* Each two seconds, and only those who have not got it; exactly at its end it ends. */
static void who_lacks_it_is_asked_again(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "TXT _acme-challenge.example.com 192.0.2.1:53", .records = "good\n" },
		{ .question = "TXT _acme-challenge.example.com 192.0.2.2:53",
		        .records = "good\n",
		        .from = 3 },
	};
	const struct str check = STR("192.0.2.1:53\n192.0.2.2:53\n");
	START(script, .check = check);
	assert_int_equal(run(), 6 * SECOND);
	assert_int_equal(script[0].asked, 1);
	assert_int_equal(script[1].asked, 4);
	assert_string_equal(buf_c(&rig.said),
	        "Waiting for the server (192.0.2.2:53): not yet there.\n"
	        "Waiting for the server (192.0.2.2:53): not yet there.\n"
	        "Waiting for the server (192.0.2.2:53): not yet there.\n");
	over();
	script[1].from = 100;
	script[1].asked = 0;
	START(script, .check = check, .wait = 10 * SECOND);
	assert_int_equal(run(), 10 * SECOND);
	assert_int_equal(script[1].asked, 6);
	over();
}

/* Twice in a row; whoever says that there is none does answer. */
static void silence_is_counted_in_a_row(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "TXT _acme-challenge.example.com 192.0.2.1:53",
		        .first = "silent none error no-name refused found",
		        .records = "good\n" },
		{ .question = "TXT _acme-challenge.example.com 192.0.2.2:53",
		        .first = "error silent found",
		        .records = "good\n" },
	};
	START(script, .check = STR("192.0.2.1:53\n192.0.2.2:53\n"));
	assert_int_equal(run(), 10 * SECOND);
	assert_int_equal(script[0].asked, 6);
	assert_int_equal(script[1].asked, 2);
	assert_null(strstr(buf_c(&rig.said), "192.0.2.1:53) does not answer"));
	assert_non_null(strstr(buf_c(&rig.said),
	        "the server (192.0.2.2:53) does not answer from here and is left out.\n"));
	over();
}

/* A record that was there and went does not count as silence, nor as there. */
static void other_values_are_not_the_one(void **state)
{
	(void)state;
	static const char *const records[] = { "goodx\n", "xgood\n", "good good\n", "Good\n", "" };
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		struct scripted script[] = { { .question = "TXT", .records = records[i] } };
		START(script, .check = STR("192.0.2.1:53\n"), .wait = 5 * SECOND);
		assert_int_equal(run(), 6 * SECOND);
		assert_null(strstr(buf_c(&rig.said), "left out"));
		over();
	}
}

static void without_servers_the_authority_is_asked_at_once(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "SOA", .first = "error silent" },
		{ .question = "NS", .first = "error", .records = "ns.example.net\n" },
	};
	const char *of_name = "The name servers of _acme-challenge.example.com are not known here; "
	                      "the authority is asked without looking whether they have the "
	                      "record.\n";
	for (int i = 0; i < 2; i++) {
		START(script, .zone = STR_NONE);
		assert_int_equal(run(), 0);
		assert_string_equal(buf_c(&rig.said), of_name);
		over();
	}
	for (int i = 0; i < 2; i++) { /* no servers, then one without addresses */
		START(script, .zone = STR("example.net"));
		assert_int_equal(run(), 0);
		assert_true(str_starts(buf_str(&rig.said),
		        STR("The name servers of example.net are not known here;")));
		over();
	}
}

/* Eight servers, sixteen addresses: more of them tell nothing new. */
static void there_is_a_most_of_servers_and_addresses(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "NS", .records = "n1\nn2\nn3\nn4\nn5\nn6\nn7\nn8\nn9\n" },
		{ .question = "A n", .records = "192.0.2.1\n" },
		{ .question = "AAAA n", .records = "2001:db8::1\n2001:db8::2\n" },
		{ .question = "TXT", .records = "good\n" },
	};
	START(script, .zone = STR("example.net"));
	run();
	assert_int_equal(script[1].asked, 8);
	assert_int_equal(script[2].asked, 8);
	assert_int_equal(script[3].asked, 16);
	over();
}

static void aborted_it_is_silent(void **state)
{
	(void)state;
	struct scripted script[] = { { .question = "TXT", .records = "bad\n" } };
	const struct str check = STR("192.0.2.1:53\n192.0.2.2:53\n");
	START(script, .check = check);
	dns_look_abort(&look); /* before it asks */
	turns(&rig, 5);
	assert_string_equal(buf_c(&rig.asked), "");
	over();
	START(script, .check = check);
	rig.mute = true;
	turns(&rig, 5);
	assert_int_equal(rig.resolve_count, 2);
	dns_look_abort(&look); /* while they are asked */
	assert_int_equal(rig.resolve_count, 0);
	over();
	START(script, .zone = STR("example.net"));
	rig.mute = true;
	turns(&rig, 5);
	assert_int_equal(rig.resolve_count, 1);
	dns_look_abort(&look); /* while the resolver is asked */
	assert_int_equal(rig.resolve_count, 0);
	over();
	START(script, .check = check);
	script[0].asked = 0;
	while (!rig.said.n)
		loop_turn(rig.loop, 0);
	dns_look_abort(&look); /* in the pause */
	dns_look_abort(&look);
	clock_fake_advance(&rig.clock, MINUTE);
	turns(&rig, 5);
	assert_int_equal(script[0].asked, 2);
	assert_int_equal(done, 0);
	over();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_resolvers_say_who_is_to_be_asked),
		cmocka_unit_test(a_zone_that_is_known_is_not_looked_for),
		cmocka_unit_test(servers_that_are_given_are_asked_instead),
		cmocka_unit_test(who_lacks_it_is_asked_again),
		cmocka_unit_test(silence_is_counted_in_a_row),
		cmocka_unit_test(other_values_are_not_the_one),
		cmocka_unit_test(without_servers_the_authority_is_asked_at_once),
		cmocka_unit_test(there_is_a_most_of_servers_and_addresses),
		cmocka_unit_test(aborted_it_is_silent),
	};
	return cmocka_run_group_tests_name("issue_look", tests, NULL, NULL);
}
