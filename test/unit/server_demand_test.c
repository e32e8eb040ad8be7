/* Handshakes that wait for a certificate, and how few of them strangers can make. */
#include "server_rig.h"

#include "keys/keys.h"
#include "server/demand.h"

enum { CLIENTS = 600 };

static struct cert_table *certs;
static struct segments *segments;
static struct tls_worker *tls;
static struct buf asked; /* "name client" */
static unsigned questions;
static struct client clients[CLIENTS];
static struct opening openings[CLIENTS];
static struct conn *ends[CLIENTS];
static size_t count;

static void tell(struct worker *w, enum msg_type type, const void *fields)
{
	const struct msg_demand *m = fields;
	(void)w;
	if (type == MSG_seen) {
		const struct msg_seen *seen = fields;
		buf_printf(&asked, "%.*s seen from %s\n", STR_ARG(seen->site),
		        seen->outside ? "outside" : "here");
	}
	if (type != MSG_demand)
		return;
	questions++;
	buf_printf(&asked, "%.*s %.*s\n", STR_ARG(m->name), STR_ARG(m->client));
}

static int setup(void **state)
{
	struct err err;
	rig_setup(state);
	certs = cert_table_new();
	segments = segments_new();
	tls = tls_worker_new(rig->loop, certs, &err);
	rig->worker.certs = certs;
	rig->worker.tls = tls;
	rig->worker.tell = tell;
	asked = BUF(1 << 20);
	questions = 0;
	count = 0;
	memset(clients, 0, sizeof clients);
	memset(openings, 0, sizeof openings);
	ROW(site, .id = 2, .name = STR("*.shops.test"), .on_demand = true, .hsts_age = -1);
	ROW(site_name, .site = 2, .name = STR("*.shops.test"));
	ROW(demand_pattern, .site = 2, .pattern = STR("*.shops.test"));
	ROW(demand_pattern, .site = 2, .pattern = STR("fixed.test"));
	ROW(trusted_proxy, .cidr = STR("10.0.0.0/8"));
	rig_begin();
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < count; i++) {
		demand_leave(&openings[i].demand);
		conn_free(&clients[i].held.conn);
		conn_free(&ends[i]);
		generation_unref(&openings[i].generation);
		timer_stop(&clients[i].timer);
	}
	demands_free(&rig->worker.demands);
	tls_worker_free(&tls);
	rig->worker.tls = NULL;
	buf_done(&asked);
	segments_free(&segments);
	int status = rig_teardown(state);
	cert_table_free(&certs);
	return status;
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void no_event(struct conn *c, unsigned events)
{
	(void)c, (void)events;
}

static void come_from(struct client *c, const char *address)
{
	struct sockaddr_storage from;
	assert_true(address_parse(str_c(address), 1, &from));
	c->address = address_keep(&from);
}

static struct client *client_from(const char *address)
{
	struct client *c = &clients[count];
	struct conn *near;
	assert_true(count < CLIENTS);
	c->opening = &openings[count];
	conn_pipe_new(rig->loop, 1024, &near, &ends[count++]);
	conn_hold(&c->held, conn_tls_new(tls, near, STR_NONE), no_event);
	c->worker = &rig->worker;
	c->deadline = INT64_MAX;
	c->opening->client = c;
	c->opening->generation = generation_ref(rig->worker.generation);
	come_from(c, address);
	return c;
}

/* Their handshakes do not go on here. */
static void pass(int64_t ms)
{
	for (size_t i = 0; i < count; i++)
		timer_stop(&clients[i].timer);
	rig_pass(ms);
}

static enum tls_turn turn(struct client *c, const char *name)
{
	const struct site *site = generation_site(c->opening->generation, str_c(name));
	return demand_turn(c, site, str_c(name));
}

static void say(const char *name, enum demand_verdict verdict, int64_t keep)
{
	demand_heard(&rig->worker, &(const struct msg_demand_answered){
	                                   .name = str_c(name), .verdict = verdict, .keep = keep });
}

static void add_certificate(const char *name, unsigned flags)
{
	struct err err;
	const struct str names[] = { str_c(name) };
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF_INIT(64 << 10);
	assert_true(key_self_signed(key, names, 1, 0, DAY, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	const struct cert_record r = {
		.flags = flags, .leaf = buf_str(&der), .key = secret_bytes(&secret)
	};
	uint64_t number;
	assert_true(segments_add(segments, names, 1, &r, &number, &err));
	if (cert_table_mapped(certs) == 0)
		assert_true(cert_table_map(certs, 0, dup(segments_fd(segments, 0)), &err));
	assert_true(cert_table_advance(certs, 0, segments_valid(segments, 0), &err));
}

static void control_is_asked_once_for_all_who_wait(void **state)
{
	(void)state;
	add_certificate("*.shops.test", CERT_TEMPORARY);
	struct client *a = client_from("192.0.2.1"), *b = client_from("192.0.2.2");
	assert_int_equal(turn(a, "a.shops.test"), TLS_WAITS);
	assert_int_equal(turn(b, "a.shops.test"), TLS_WAITS);
	assert_string_equal(buf_c(&asked), "a.shops.test 192.0.2.1\n");
	add_certificate("a.shops.test", 0);
	say("a.shops.test", DEMAND_ISSUED, 0);
	assert_true(a->opening->demand.over && b->opening->demand.over);
	assert_int_equal(turn(a, "a.shops.test"), TLS_GOES_ON);
	assert_int_equal(turn(client_from("192.0.2.3"), "a.shops.test"), TLS_GOES_ON);
	assert_int_equal(questions, 1);
}

static void who_waited_is_not_asked_about_again(void **state)
{
	(void)state;
	struct client *a = client_from("192.0.2.1");
	assert_int_equal(turn(a, "a.shops.test"), TLS_WAITS);
	say("a.shops.test", DEMAND_ISSUED, 0); /* but it is not there */
	assert_int_equal(turn(a, "a.shops.test"), TLS_GOES_ON);
	assert_int_equal(questions, 1);
}

static void answers_are_remembered_for_a_while(void **state)
{
	(void)state;
	struct client *a = client_from("192.0.2.1"), *b = client_from("192.0.2.1");
	assert_int_equal(turn(a, "no.shops.test"), TLS_WAITS);
	say("no.shops.test", DEMAND_DENIED, 5 * MINUTE);
	assert_int_equal(turn(a, "no.shops.test"), TLS_GOES_ON);
	assert_int_equal(turn(b, "no.shops.test"), TLS_GOES_ON);
	assert_int_equal(turn(b, "full.shops.test"), TLS_WAITS);
	say("full.shops.test", DEMAND_BUSY, MINUTE);
	assert_int_equal(turn(b, "full.shops.test"), TLS_REFUSED);
	assert_int_equal(turn(client_from("192.0.2.9"), "full.shops.test"), TLS_REFUSED);
	assert_int_equal(questions, 2);
	pass(5 * MINUTE);
	assert_int_equal(turn(client_from("192.0.2.1"), "no.shops.test"), TLS_WAITS);
	assert_int_equal(questions, 3);
}

static void nobody_waits_for_ever(void **state)
{
	(void)state;
	struct client *a = client_from("192.0.2.1");
	assert_int_equal(turn(a, "a.shops.test"), TLS_WAITS);
	pass(24 * SECOND);
	assert_false(a->opening->demand.over);
	pass(SECOND);
	assert_true(a->opening->demand.over);
	assert_int_equal(turn(a, "a.shops.test"), TLS_REFUSED);
	say("a.shops.test", DEMAND_DENIED, 0); /* too late */
}

static void who_leaves_is_not_waited_for(void **state)
{
	(void)state;
	struct client *a = client_from("192.0.2.1"), *b = client_from("192.0.2.2");
	assert_int_equal(turn(a, "a.shops.test"), TLS_WAITS);
	assert_int_equal(turn(b, "a.shops.test"), TLS_WAITS);
	demand_leave(&a->opening->demand);
	say("a.shops.test", DEMAND_DENIED, 0);
	assert_true(b->opening->demand.over && !a->opening->demand.over);
}

static void some_names_are_never_asked_about(void **state)
{
	static const char *const never[] = { "a.b.shops.test", "-.shops.test", "a_b.shops.test",
		"shop", "192.0.2.1", "2001:db8::1", "other.test", "a..shops.test",
		"\xc3\xa4.shops.test", "*.shops.test", ".shops.test" };
	(void)state;
	struct client *a = client_from("192.0.2.1");
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		assert_int_equal(turn(a, never[i]), TLS_GOES_ON);
	assert_int_equal(questions, 0);
}

static void an_address_may_bring_few(void **state)
{
	(void)state;
	unsigned waiting = 0;
	for (int i = 0; i < 30; i++) {
		char name[40];
		snprintf(name, sizeof name, "x%d.shops.test", i);
		waiting += turn(client_from("2001:db8::1"), name) == TLS_WAITS;
	}
	assert_int_equal(waiting, 10);
	assert_int_equal(turn(client_from("2001:db8::2"), "y.shops.test"), TLS_REFUSED);
	assert_int_equal(turn(client_from("2001:db8:0:1::1"), "y.shops.test"), TLS_WAITS);
	assert_int_equal(turn(client_from("10.0.0.1"), "z.shops.test"), TLS_WAITS);
	pass(10 * SECOND);
	assert_int_equal(turn(client_from("2001:db8::3"), "w.shops.test"), TLS_WAITS);
}

static void strangers_make_few_questions(void **state)
{
	(void)state;
	unsigned waiting = 0, refused = 0;
	struct client *c = client_from("192.0.2.1");
	for (unsigned i = 0; i < 100000; i++) {
		char name[40], address[40];
		snprintf(name, sizeof name, "x%u.shops.test", i);
		snprintf(address, sizeof address, "11.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		come_from(c, address);
		switch (turn(c, name)) {
		case TLS_WAITS:
			waiting++;
			c = client_from("192.0.2.1");
			break;
		case TLS_REFUSED:
			refused++;
			break;
		case TLS_GOES_ON:
			fail();
		}
	}
	assert_int_equal(waiting, DEMANDS_MOST);
	assert_int_equal(questions, DEMANDS_MOST);
	assert_int_equal(refused, 100000 - DEMANDS_MOST);
	say("x0.shops.test", DEMAND_DENIED, 0);
	come_from(c, "192.0.2.200");
	assert_int_equal(turn(c, "next.shops.test"), TLS_WAITS); /* there is a place again */
}

static void a_new_generation_forgets_answers(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(turn(client_from("192.0.2.1"), "no.shops.test"), TLS_WAITS);
	say("no.shops.test", DEMAND_DENIED, HOUR);
	rig->builder = generation_begin(&(struct msg_generation){ .number = 2 });
	struct generation *before =
	        worker_commit(&rig->worker, generation_build(&rig->builder, &err));
	struct client *b = client_from("192.0.2.1");
	generation_unref(&b->opening->generation);
	b->opening->generation = before;
	assert_int_equal(turn(b, "no.shops.test"), TLS_WAITS);
}

/* Who comes from this machine counts, too: its proxies pass visitors on. */
static void visits_are_told(void **state)
{
	static const struct {
		const char *from, *name, *request;
	} visits[] = {
		{ "127.0.0.1", "a.shops.test", "GET / HTTP/1.1\r\nHost: a.shops.test\r\n\r\n" },
		{ "10.0.0.1", "b.shops.test", "GET / HTTP/1.1\r\nHost: b.shops.test\r\n\r\n" },
		{ "192.0.2.1", "c.shops.test", "GET / HTTP/1.1\r\nHost: c.shops.test\r\n\r\n" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof visits / sizeof *visits; i++) {
		struct far *f = rig_connect(visits[i].from, NULL);
		add_certificate(visits[i].name, 0);
		rig_say(f, visits[i].request);
		assert_heard(f, "200 ");
	}
	assert_string_equal(buf_c(&asked), "a.shops.test seen from here\n"
	                                   "b.shops.test seen from here\n"
	                                   "c.shops.test seen from outside\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(control_is_asked_once_for_all_who_wait),
		TEST(who_waited_is_not_asked_about_again),
		TEST(answers_are_remembered_for_a_while),
		TEST(nobody_waits_for_ever),
		TEST(who_leaves_is_not_waited_for),
		TEST(some_names_are_never_asked_about),
		TEST(an_address_may_bring_few),
		TEST(strangers_make_few_questions),
		TEST(a_new_generation_forgets_answers),
		TEST(visits_are_told),
	};
	return cmocka_run_group_tests_name("server_demand", tests, NULL, NULL);
}
