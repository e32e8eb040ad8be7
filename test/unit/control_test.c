/* How generations come to stand: addresses, reloads, refusals, and serve dying at every stage. */
#include "control_place.h"

#define LISTEN "http 127.0.0.1:8080\nhttps 127.0.0.1:8443\n"
#define SHOP   "site shop.example.com { proxy 127.0.0.1:3000 }\n"
#define WIKI   "site wiki.example.com { proxy 127.0.0.1:3001 }\n"

/* ---- addresses ---- */

static void first_generation(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_int_equal(p.ready, 1);
	assert_row(&p, "listener 127.0.0.1 8080 plain default=*");
	assert_row(&p, "listener 127.0.0.1 8443 tls default=*");
	assert_row(&p, "name 1 shop.example.com");
	assert_row(&p, "upstream 1 127.0.0.1 3000");
	assert_row(&p, "limit header-timeout 10000");
	struct str text = buf_str(&p.in_force);
	assert_true(str_starts(text, STR("thumbprint ")));
	assert_int_equal(str_find(text, '\n'), sizeof "thumbprint" + JWK_THUMBPRINT);
	place_done(&p);
}

static void a_held_port_stops_nobody(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.held[0] = 8080;
	control_begins(&p);
	until(&p, p.committed == 1 && p.ready == 1);
	assert_row(&p, "listener 127.0.0.1 8443 tls default=*");
	assert_null(strstr(buf_c(&p.in_force), " 8080 "));
	assert_true(logged(
	        "error: nginx (process 812) holds port 8080 of 127.0.0.1. Everseal takes "
	        "nothing away: choose another address or port, or stop it. It is tried again every "
	        "second."));

	struct json *status = status_of(&p);
	const struct json *l = item(status, "listeners", "port", "8080");
	assert_true(str_eq_c(json_text(l, "state"), "failed"));
	assert_true(str_eq_c(json_text(l, "holder"), "nginx (process 812)"));
	assert_true(str_eq_c(json_text(l, "error"), "Address already in use"));
	assert_true(str_eq_c(
	        json_text(item(status, "listeners", "port", "8443"), "state"), "listening"));
	json_free(&status);

	free_port(&p, 8080);
	until(&p, p.committed == 2);
	assert_row(&p, "listener 127.0.0.1 8080 plain default=*");
	assert_int_equal(p.ready, 1);
	place_done(&p);
}

/* What the supervisor still tries does not hold up what is stored; what is heard while the rows
 * are under way is not forgotten. */
static void a_silent_port_stops_nobody(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.unheard[0] = 8080;
	control_begins(&p);
	p.silent = SILENT_AT_COMMIT;
	until(&p, strstr(buf_c(&p.order), "commit"));
	free_port(&p, 8080);
	settle(&p);
	p.silent = SILENT_NEVER;
	p.committed = 1;
	buf_add_buf(&p.in_force, &p.told);
	assert_null(strstr(buf_c(&p.in_force), " 8080 "));
	link_send(&p.serve, committed, .number = 1);
	until(&p, p.committed == 2);
	assert_row(&p, "listener 127.0.0.1 8080 plain default=*");
	place_done(&p);
}

static void an_unknown_answer_is_dropped(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	link_send(&p.supervisor, bound, .id = 999, .fd = fd);
	link_send(&p.supervisor, bound, .id = bind_at(&p, 8080)->id, .error = -5);
	close(fd);
	settle(&p);
	assert_int_equal(p.committed, 1);
	place_done(&p);
}

/* ---- reloads ---- */

static void a_reload_replaces(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, "https 127.0.0.1:9443\n" WIKI), "");
	assert_int_equal(p.committed, 2);
	assert_row(&p, "listener 127.0.0.1 9443 tls default=*");
	assert_row(&p, "name 1 wiki.example.com");
	assert_null(strstr(buf_c(&p.in_force), "shop.example.com"));
	assert_false(is_bound(&p, 8443));
	assert_true(is_bound(&p, 9443));
	assert_true(logged("info: The configuration was reloaded."));
	place_done(&p);
}

static void a_bad_file_changes_nothing(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	const char *sentence = reload(&p, LISTEN "sight a.example.com\nagree-to-terms perhaps\n");
	assert_non_null(strstr(sentence, "everseal.conf:3:1: "));
	assert_null(strstr(sentence, "everseal.conf:4:"));
	assert_non_null(strstr(sentence, "There are 2 errors: `everseal check` shows them all."));
	assert_int_equal(p.committed, 1);
	assert_int_equal(p.told_number, 1);
	assert_true(logged("error: The configuration was not reloaded, keeping the old one: "));
	place_done(&p);
}

static void a_held_address_refuses_the_reload(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.held[0] = 9443;
	const char *sentence = reload(&p, "http 127.0.0.1:9080\nhttps 127.0.0.1:9443\n" WIKI);
	assert_string_equal(sentence,
	        "nginx (process 812) holds port 9443 of 127.0.0.1. Everseal takes "
	        "nothing away: choose another address or port, or stop it.");
	assert_int_equal(p.told_number, 1);
	assert_true(is_bound(&p, 8080));
	assert_true(is_bound(&p, 8443));
	assert_false(is_bound(&p, 9080));
	assert_false(is_bound(&p, 9443));
	struct json *status = status_of(&p);
	assert_int_equal(json_count(json_array(status, "listeners")), 2);
	item(status, "sites", "names", "shop.example.com");
	assert_non_null(
	        strstr(json_text(status, "problem").p, "Generation 2 is refused, keeping the one "
	                                               "before: nginx"));
	json_free(&status);
	/* The next one that stands ends the trouble. */
	assert_string_equal(reload(&p, LISTEN WIKI), "");
	status = status_of(&p);
	assert_false(json_text(status, "problem").n);
	json_free(&status);
	place_done(&p);
}

/* An address that was held before is no reason to refuse what else is new. */
static void an_old_failure_refuses_nothing(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.held[0] = 8080;
	control_begins(&p);
	until(&p, p.committed == 1);
	settle(&p);
	assert_string_equal(reload(&p, LISTEN SHOP WIKI), "");
	assert_row(&p, "name 2 wiki.example.com");
	assert_true(is_bound(&p, 8080));
	place_done(&p);
}

/* One address becomes all of them, and back: the kernel has not both at a time. */
static void addresses_that_overlap(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(
	        reload(&p, "http 127.0.0.1:8080\nhttps 0.0.0.0:8443 127.0.0.1:9443\n" WIKI), "");
	assert_int_equal(p.committed, 3);
	assert_row(&p, "listener 0.0.0.0 8443 tls default=*");
	assert_row(&p, "listener 127.0.0.1 9443 tls default=*");
	assert_row(&p, "listener 127.0.0.1 8080 plain default=*");
	assert_null(strstr(buf_c(&p.in_force), "127.0.0.1 8443"));
	assert_string_equal(reload(&p, LISTEN SHOP), "");
	assert_row(&p, "listener 127.0.0.1 8443 tls default=*");
	assert_null(strstr(buf_c(&p.in_force), "0.0.0.0"));
	place_done(&p);
}

/* What gave way comes back when the new address cannot be had, or serve refuses to do without. */
static void what_gave_way_comes_back(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.held[0] = 9443;
	assert_non_null(strstr(reload(&p, "https 0.0.0.0:8443 127.0.0.1:9443\n" WIKI), "nginx"));
	until(&p, strstr(buf_c(&p.in_force), "listener 127.0.0.1 8443 tls default=*"));
	assert_row(&p, "name 1 shop.example.com");
	p.held[0] = 0;
	p.refuses = "There is no memory for it.";
	int64_t told = p.told_number;
	assert_string_equal(reload(&p, "https 0.0.0.0:8443\n" WIKI), "There is no memory for it.");
	assert_int_equal(p.told_number, told + 1);
	assert_true(is_bound(&p, 8443));
	p.refuses = NULL;
	assert_string_equal(reload(&p, "https 0.0.0.0:8443\n" WIKI), "");
	assert_row(&p, "listener 0.0.0.0 8443 tls default=*");
	place_done(&p);
}

static void serve_refuses_the_reload(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.refuses = "There is no memory for it.";
	assert_string_equal(
	        reload(&p, "https 127.0.0.1:9443\n" WIKI), "There is no memory for it.");
	p.refuses = NULL;
	assert_int_equal(p.aborted, 2);
	assert_int_equal(p.committed, 1);
	assert_false(is_bound(&p, 9443));
	assert_true(is_bound(&p, 8443));
	assert_int_equal(shown(&p, "wiki.example.com"), SHOWN_NONE);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	assert_string_equal(reload(&p, LISTEN WIKI), "");
	assert_int_equal(p.committed, 3);
	place_done(&p);
}

static void hang_up_reloads(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	write_conf(&p, LISTEN WIKI);
	link_send(&p.supervisor, reload);
	until(&p, p.committed == 2);
	assert_row(&p, "name 1 wiki.example.com");
	write_conf(&p, "nonsense\n");
	link_send(&p.supervisor, reload);
	until(&p, logged("The configuration was not reloaded"));
	assert_int_equal(p.told_number, 2);
	place_done(&p);
}

static void who_asked_may_leave(void **state)
{
	struct place p;
	struct reloaded r;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	reload_asks(&p, &r, LISTEN WIKI);
	p.c.host.ops->reload_abort(&p.c.host, &r.reload);
	until(&p, p.committed == 2);
	assert_int_equal(r.ended, 0);
	/* Nor does it matter if control ends with one under way. */
	reload_asks(&p, &r, LISTEN SHOP);
	place_done(&p);
	assert_int_equal(r.ended, 0);
}

/* Those asked for meanwhile go into the next one together; the last file counts. */
static void one_at_a_time(void **state)
{
	struct place p;
	struct reloaded first, second, third;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.silent = SILENT_AT_END;
	reload_asks(&p, &first, LISTEN SHOP WIKI);
	until(&p, p.told_number == 2);
	settle(&p);
	reload_asks(&p, &second, "https 127.0.0.1:9443\n" SHOP);
	reload_asks(&p, &third, LISTEN WIKI);
	settle(&p);
	assert_int_equal(p.told_number, 2);
	p.silent = SILENT_NEVER;
	link_send(&p.serve, prepared, .number = 2);
	until(&p, second.ended && third.ended);
	assert_int_equal(first.ended, 1);
	assert_int_equal(first.err.code + second.err.code + third.err.code, ERR_NONE);
	assert_int_equal(p.committed, 3);
	assert_row(&p, "name 1 wiki.example.com");
	assert_null(bind_at(&p, 9443));
	place_done(&p);
}

/* A file that is refused takes no registration with it. */
static void a_refused_file_refuses_nobody_else(void **state)
{
	struct place p;
	struct reloaded r;
	(void)state;
	place_begin(&p, LISTEN "site * { proxy 127.0.0.1:3000 }\n");
	p.silent = SILENT_AT_END;
	REGISTER(&p, STR("one.example.com"));
	until(&p, p.told_number == 2);
	REGISTER(&p, STR("two.example.com"));
	p.held[0] = 9443;
	reload_asks(&p, &r, "https 127.0.0.1:9443\n" SHOP);
	p.silent = SILENT_NEVER;
	link_send(&p.serve, prepared, .number = 2);
	until(&p, r.ended && p.committed == 4);
	assert_int_equal(r.err.code, ERR_BUSY);
	assert_row(&p, "name 2 one.example.com");
	assert_row(&p, "name 3 two.example.com");
	place_done(&p);
}

/* ---- serve dies ---- */

static void dies_and_comes(struct place *p)
{
	serve_dies(p);
	serve_comes(p);
}

/* Kills serve at a stage of generation 2; a new one gets what is in force, then what is on its
 * way. */
static void dies_at(enum silent_at stage, const char *last)
{
	struct place p;
	struct reloaded r;
	place_begin(&p, LISTEN SHOP);
	p.silent = stage;
	p.spends = stage == SILENT_AT_ROWS;
	if (p.spends)
		p.c.credit = 3;
	buf_clear(&p.order);
	reload_asks(&p, &r, LISTEN WIKI);
	until(&p, strstr(buf_c(&p.order), last));
	settle(&p);
	serve_dies(&p);
	p.silent = SILENT_NEVER;
	p.spends = false;
	serve_comes(&p);
	until(&p, p.committed == 1 || p.committed == 2);
	until(&p, r.ended);
	assert_int_equal(r.err.code, ERR_NONE);
	assert_int_equal(p.committed, 2);
	assert_int_equal(strncmp(buf_c(&p.order), "segment segment_valid generation ", 33), 0);
	assert_non_null(strstr(buf_c(&p.order), "commit generation generation_end commit"));
	assert_row(&p, "name 1 wiki.example.com");
	assert_int_equal(shown(&p, "wiki.example.com"), SHOWN_TEMPORARY);
	place_done(&p);
}

static void serve_dies_at_each_stage(void **state)
{
	(void)state;
	dies_at(SILENT_AT_ROWS, "generation ");
	dies_at(SILENT_AT_END, "generation_end ");
	dies_at(SILENT_AT_COMMIT, "commit ");
}

/* serve went unnoticed: its successor is there before the old link has ended. */
static void a_successor_comes_early(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	serve_comes(&p);
	until(&p, p.committed == 1);
	assert_row(&p, "name 1 shop.example.com");
	place_done(&p);
}

static struct notice *told;
static void is_ready(struct notice *n)
{
	told = n;
}

static void challenges_come_before_listeners(void **state)
{
	struct place p;
	struct notice n = { 0 };
	const struct notice_text text = { .token = STR("token-of-16-chars"),
		.thumbprint = STR("thumb"),
		.name = STR("shop.example.com") };
	(void)state;
	place_begin(&p, LISTEN SHOP);
	serve_dies(&p);
	told = NULL;
	board_publish(p.c.board, &n, &text, is_ready);
	settle(&p);
	assert_null(told);
	serve_comes(&p);
	until(&p, p.committed == 1);
	assert_int_equal(
	        strncmp(buf_c(&p.order), "segment segment_valid challenge generation ", 43), 0);
	until(&p, told == &n);
	board_withdraw(&n);
	place_done(&p);
}

static void the_first_generation_survives_serve(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.silent = SILENT_AT_END;
	control_begins(&p);
	for (int i = 0; i < 4; i++) {
		until(&p, p.told_number == 1);
		settle(&p);
		dies_and_comes(&p);
	}
	p.silent = SILENT_NEVER;
	dies_and_comes(&p);
	until(&p, p.committed == 1 && p.ready == 1);
	place_done(&p);
}

/* What one serve has refused at the start, the next may take. */
static void the_first_generation_is_tried_again(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.refuses = "There is no memory for it.";
	control_begins(&p);
	until(&p, logged("Generation 1 is refused, nothing is served yet: There is no memory"));
	assert_int_equal(p.ready, 0);
	p.refuses = NULL;
	dies_and_comes(&p);
	until(&p, p.committed == 2 && p.ready == 1);
	place_done(&p);
}

static void die_thrice(struct place *p, int64_t pause)
{
	for (int i = 0; i < 3; i++) {
		if (i)
			later_by(p, pause);
		dies_and_comes(p);
		until(p, p->committed);
		settle(p);
	}
}

static void a_deadly_file_is_rolled_back(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, "https 127.0.0.1:9443\n" WIKI), "");
	assert_false(is_bound(&p, 8443));
	die_thrice(&p, 2 * SECOND);
	until(&p, strstr(buf_c(&p.in_force), " 8443 "));
	assert_row(&p, "name 1 shop.example.com");
	assert_row(&p, "listener 127.0.0.1 8080 plain default=*");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	assert_int_equal(shown(&p, "wiki.example.com"), SHOWN_NONE);
	assert_true(is_bound(&p, 8443));
	assert_false(is_bound(&p, 9443));
	assert_true(logged(
	        "error: The data plane died three times in 10 s under generation 2, going back "
	        "to generation 1. The configuration before is in force again: mend the file, then "
	        "`everseal reload`."));
	/* It is said until the file was read again, whatever else changes. */
	struct json *status = status_of(&p);
	assert_non_null(strstr(json_text(status, "problem").p, "generation 2, going back"));
	item(status, "sites", "names", "shop.example.com");
	json_free(&status);
	assert_string_equal(reload(&p, "https 127.0.0.1:9443\n" WIKI), "");
	assert_row(&p, "name 1 wiki.example.com");
	status = status_of(&p);
	assert_false(json_text(status, "problem").n);
	json_free(&status);
	place_done(&p);
}

/* With the listeners that it had, the generation before needs nothing but to be told again. */
static void a_deadly_site_of_the_file_is_rolled_back(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, LISTEN WIKI), "");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_NONE);
	die_thrice(&p, 0);
	until(&p, p.committed == 1);
	settle(&p);
	assert_int_equal(p.told_number, 1);
	assert_row(&p, "name 1 shop.example.com");
	assert_row(&p, "listener 127.0.0.1 8443 tls default=*");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	assert_int_equal(shown(&p, "wiki.example.com"), SHOWN_NONE);
	place_done(&p);
}

/* A registered site that kills serve is left out, also when the next name is registered. */
static void a_deadly_site_is_held_back(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN "site * { proxy 127.0.0.1:3000 }\n");
	REGISTER(&p, STR("deadly.example.com"), STR("www.deadly.example.com"));
	until(&p, p.committed == 2);
	settle(&p);
	assert_row(&p, "name 2 deadly.example.com");
	die_thrice(&p, 100);
	until(&p, p.committed == 1);
	settle(&p);
	assert_null(strstr(buf_c(&p.in_force), "deadly"));
	assert_true(logged("going back to generation 1. Left out until `everseal reload`: "
	                   "deadly.example.com."));

	REGISTER(&p, STR("shop.example.com"));
	until(&p, p.committed == 3);
	settle(&p);
	assert_row(&p, "name 2 shop.example.com");
	assert_null(strstr(buf_c(&p.in_force), "deadly"));
	struct json *status = status_of(&p);
	assert_non_null(strstr(json_text(status, "problem").p, "deadly.example.com"));
	assert_int_equal(json_count(json_array(status, "sites")), 2);
	json_free(&status);

	assert_string_equal(reload(&p, LISTEN "site * { proxy 127.0.0.1:3000 }\n"), "");
	assert_non_null(strstr(buf_c(&p.in_force), "deadly.example.com"));
	place_done(&p);
}

static void a_deadly_listener_is_held_back(void **state)
{
	struct place p;
	(void)state;
	place_init(&p, LISTEN SHOP);
	p.held[0] = 8080;
	control_begins(&p);
	until(&p, p.committed == 1);
	settle(&p);
	free_port(&p, 8080);
	until(&p, p.committed == 2);
	die_thrice(&p, 0);
	until(&p, p.committed == 1);
	assert_null(strstr(buf_c(&p.in_force), " 8080 "));
	assert_true(logged("Left out until `everseal reload`: 127.0.0.1 port 8080."));
	struct json *status = status_of(&p);
	assert_true(str_eq_c(
	        json_text(item(status, "listeners", "port", "8080"), "state"), "held back"));
	json_free(&status);
	place_done(&p);
}

/* Deaths that lie apart, or that belong to another generation, roll nothing back. */
static void few_deaths_change_nothing(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, LISTEN SHOP WIKI), "");
	die_thrice(&p, 5 * SECOND);
	assert_int_equal(p.committed, 2);
	assert_string_equal(reload(&p, LISTEN WIKI), "");
	dies_and_comes(&p);
	until(&p, p.committed == 3);
	dies_and_comes(&p);
	until(&p, p.committed == 3);
	assert_false(logged("going back"));
	place_done(&p);
}

/* There is nothing before the first. */
static void the_first_is_never_rolled_back(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	die_thrice(&p, 0);
	assert_int_equal(p.committed, 1);
	assert_false(logged("going back"));
	place_done(&p);
}

static void a_plan_that_kills_is_refused(void **state)
{
	struct place p;
	struct reloaded r;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.silent = SILENT_AT_END;
	reload_asks(&p, &r, LISTEN WIKI);
	until(&p, p.told_number == 2);
	settle(&p);
	for (int i = 0; i < 3; i++) {
		serve_dies(&p);
		p.silent = i < 2 ? SILENT_AT_END : SILENT_NEVER;
		serve_comes(&p);
		/* it takes what is in force, and dies of what is new */
		until(&p, p.told_number);
		if (i < 2 && p.told_number == 1)
			link_send(&p.serve, prepared, .number = 1);
		settle(&p);
	}
	until(&p, r.ended);
	assert_string_equal(r.err.text,
	        "The data plane died three times in 10 s while it prepared what is "
	        "new.");
	until(&p, p.committed == 1);
	assert_row(&p, "name 1 shop.example.com");
	assert_string_equal(reload(&p, LISTEN SHOP WIKI), "");
	place_done(&p);
}

/* A serve that came while a plan was under way has nothing else when the plan is refused. */
static void a_refusal_leaves_what_is_in_force(void **state)
{
	struct place p;
	struct reloaded r;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	p.silent = SILENT_AT_END;
	reload_asks(&p, &r, LISTEN WIKI);
	until(&p, p.told_number == 2);
	serve_dies(&p);
	p.silent = SILENT_NEVER;
	serve_comes(&p);
	until(&p, p.committed == 1);
	p.refuses = "There is no memory for it.";
	until(&p, r.ended);
	assert_int_equal(r.err.code, ERR_REFUSED);
	assert_int_equal(p.committed, 1);
	assert_row(&p, "name 1 shop.example.com");
	place_done(&p);
}

static void what_is_in_force_is_refused(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, LISTEN WIKI), "");
	serve_dies(&p);
	p.refuses = "There is no memory for it.";
	serve_comes(&p);
	until(&p, logged("The data plane does not take generation 2 again: There is no memory"));
	p.refuses = NULL;
	until(&p, p.committed == 1);
	assert_row(&p, "name 1 shop.example.com");
	place_done(&p);
}

/* ---- credit ---- */

static void many_sites_go_by_credit(void **state)
{
	enum { SITES = 2000, STEP = 100 };
	struct place p;
	BUF_AUTO conf = BUF(1 << 20);
	(void)state;
	buf_add_c(&conf, LISTEN);
	for (int i = 0; i < SITES; i++)
		buf_printf(&conf, "site s%d.example.com { proxy 127.0.0.1:3000 }\n", i);
	place_init(&p, buf_c(&conf));
	p.spends = true;
	control_begins(&p);
	until(&p, p.told_number == 1);
	settle(&p);
	assert_int_equal(p.rows, 0);
	for (int64_t given = STEP; !p.committed; given += STEP) {
		give_credit(&p, STEP);
		int64_t before = p.rows;
		until(&p, p.rows == given || p.committed);
		settle(&p);
		assert_true(p.rows - before <= STEP);
		assert_true(p.least_credit >= 0);
	}
	assert_true(p.rows >= 3 * SITES);
	assert_row(&p, "name 2000 s1999.example.com");
	assert_int_equal(shown(&p, "s1999.example.com"), SHOWN_TEMPORARY);
	place_done(&p);
}

/* Credit for what was no row does not pile up. */
static void credit_has_a_ceiling(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	link_send(&p.serve, credit, .messages = INT64_MAX);
	link_send(&p.serve, credit, .messages = INT64_MAX);
	link_send(&p.serve, credit, .messages = -1);
	settle(&p);
	assert_int_equal(p.c.credit, 1024);
	place_done(&p);
}

/* ---- control ends ---- */

/* serve goes on with what it has; a new control tells it everything anew, in a new run. */
static void control_is_restarted(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	struct cert_table *kept = p.certs;
	p.certs = NULL;
	control_ends(&p);
	write_conf(&p, LISTEN WIKI);
	assert_true(control_starts(&p, &err));
	serve_comes(&p);
	cert_table_free(&p.certs);
	p.certs = kept;
	until(&p, p.committed == 1);
	assert_int_equal(strncmp(buf_c(&p.order), "segment segment_valid generation ", 33), 0);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	cert_table_sweep(p.certs);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_NONE);
	assert_int_equal(shown(&p, "wiki.example.com"), SHOWN_TEMPORARY);
	assert_row(&p, "name 1 wiki.example.com");
	place_done(&p);
}

static void the_supervisor_says_stop(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	link_send(&p.supervisor, stop);
	loop_run(p.loop);
	place_done(&p);
	place_begin(&p, LISTEN SHOP);
	link_done(&p.supervisor);
	loop_run(p.loop);
	place_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_generation),
		cmocka_unit_test(a_held_port_stops_nobody),
		cmocka_unit_test(a_silent_port_stops_nobody),
		cmocka_unit_test(an_unknown_answer_is_dropped),
		cmocka_unit_test(a_reload_replaces),
		cmocka_unit_test(a_bad_file_changes_nothing),
		cmocka_unit_test(a_held_address_refuses_the_reload),
		cmocka_unit_test(an_old_failure_refuses_nothing),
		cmocka_unit_test(addresses_that_overlap),
		cmocka_unit_test(what_gave_way_comes_back),
		cmocka_unit_test(serve_refuses_the_reload),
		cmocka_unit_test(hang_up_reloads),
		cmocka_unit_test(who_asked_may_leave),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(a_refused_file_refuses_nobody_else),
		cmocka_unit_test(serve_dies_at_each_stage),
		cmocka_unit_test(a_successor_comes_early),
		cmocka_unit_test(challenges_come_before_listeners),
		cmocka_unit_test(the_first_generation_survives_serve),
		cmocka_unit_test(the_first_generation_is_tried_again),
		cmocka_unit_test(a_deadly_file_is_rolled_back),
		cmocka_unit_test(a_deadly_site_of_the_file_is_rolled_back),
		cmocka_unit_test(a_deadly_site_is_held_back),
		cmocka_unit_test(a_deadly_listener_is_held_back),
		cmocka_unit_test(few_deaths_change_nothing),
		cmocka_unit_test(the_first_is_never_rolled_back),
		cmocka_unit_test(a_plan_that_kills_is_refused),
		cmocka_unit_test(a_refusal_leaves_what_is_in_force),
		cmocka_unit_test(what_is_in_force_is_refused),
		cmocka_unit_test(many_sites_go_by_credit),
		cmocka_unit_test(credit_has_a_ceiling),
		cmocka_unit_test(control_is_restarted),
		cmocka_unit_test(the_supervisor_says_stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
