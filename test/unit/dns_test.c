/* DNS: what an answer says, and look-ups against a server on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/dns.h"
#include "net/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>

/* ---- one message, made by hand ---- */

static void add_u16(struct buf *b, unsigned v)
{
	buf_add_char(b, (char)(v >> 8));
	buf_add_char(b, (char)v);
}

static void add_name(struct buf *b, const char *name)
{
	struct str rest = str_c(name), label;
	while (str_split(&rest, '.', &label)) {
		buf_add_char(b, (char)label.n);
		buf_add(b, label);
	}
	buf_add_char(b, 0);
}

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, TYPE_CAA = 257 };

struct answer {
	uint16_t id, flags; /* flags: 0x8180 and the rcode */
	unsigned type;
	const char *name;
	unsigned count;
};

static void begin(struct buf *b, const struct answer *a)
{
	buf_clear(b);
	add_u16(b, a->id);
	add_u16(b, a->flags);
	add_u16(b, 1);
	add_u16(b, a->count);
	add_u16(b, 0);
	add_u16(b, 0);
	add_name(b, a->name);
	add_u16(b, a->type);
	add_u16(b, 1);
}

static void add_record(struct buf *b, const char *owner, unsigned type, struct str data)
{
	add_name(b, owner);
	add_u16(b, type);
	add_u16(b, 1);
	add_u16(b, 0);
	add_u16(b, 60);
	add_u16(b, (unsigned)data.n);
	buf_add(b, data);
}

static void answers_are_read(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(4096), target = BUF(256);
	struct dns_answer a;
	dns_answer_init(&a);
	add_name(&target, "b.example.net");
	begin(&b, &(struct answer){ 7, 0x8180, TYPE_A, "shop.example.com", 3 });
	add_record(&b, "b.example.net", TYPE_A, STR("\xcb\x00\x71\x09"));
	add_record(&b, "shop.example.com", TYPE_CNAME, buf_str(&target));
	add_record(&b, "other.example.net", TYPE_A, STR("\x01\x02\x03\x04"));
	assert_true(dns_read(
	        buf_str(&b), &(struct dns_asked){ STR("Shop.example.com"), DNS_A, 7, false }, &a));
	assert_int_equal(a.outcome, DNS_FOUND);
	assert_string_equal(buf_c(&a.aliases), "b.example.net\n");
	assert_string_equal(buf_c(&a.records), "203.0.113.9\n");
	assert_int_equal(a.ttl, 60);

	begin(&b, &(struct answer){ 7, 0x8180, TYPE_CAA, "example.com", 1 });
	add_record(&b, "example.com", TYPE_CAA, STR("\x80\x05issueca.net; a=b\n\x01"));
	assert_true(dns_read(
	        buf_str(&b), &(struct dns_asked){ STR("example.com"), DNS_CAA, 7, false }, &a));
	assert_string_equal(buf_c(&a.records), "128 issue ca.net; a=b??\n");
	dns_answer_done(&a);
}

static void outcomes_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		uint16_t flags;
		enum dns_outcome outcome;
		bool cut;
	} cases[] = { { 0x8180, DNS_NONE, false }, { 0x8183, DNS_NO_NAME, false },
		{ 0x8182, DNS_FAILED, false }, { 0x8185, DNS_REFUSED, false },
		{ 0x8380, DNS_NONE, true } };
	BUF_AUTO b = BUF(4096);
	struct dns_answer a;
	dns_answer_init(&a);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(&b, &(struct answer){ 9, cases[i].flags, TYPE_AAAA, "example.com", 0 });
		assert_true(dns_read(buf_str(&b),
		        &(struct dns_asked){ STR("example.com"), DNS_AAAA, 9, false }, &a));
		assert_int_equal(a.outcome, cases[i].outcome);
		assert_int_equal(a.cut, cases[i].cut);
	}
	dns_answer_done(&a);
}

/* The least of what led to the addresses; RFC 2181 8: the highest bit makes it none. */
static void the_least_time_counts(void **state)
{
	(void)state;
	static const struct {
		unsigned char alias[4], address[4];
		uint32_t ttl;
	} cases[] = {
		{ { 0, 0, 0, 30 }, { 0, 0, 0, 60 }, 30 },
		{ { 0, 0, 1, 0 }, { 0, 0, 0, 7 }, 7 },
		{ { 0x80, 0, 0, 1 }, { 0, 0, 0, 7 }, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO b = BUF(4096), target = BUF(256);
		struct dns_answer a;
		dns_answer_init(&a);
		add_name(&target, "b.example.net");
		begin(&b, &(struct answer){ 7, 0x8180, TYPE_A, "a.example", 2 });
		add_record(&b, "a.example", TYPE_CNAME, buf_str(&target));
		memcpy(b.p + b.n - target.n - 6, cases[i].alias, 4);
		add_record(&b, "b.example.net", TYPE_A, STR("\xcb\x00\x71\x09"));
		memcpy(b.p + b.n - 4 - 6, cases[i].address, 4);
		assert_true(dns_read(
		        buf_str(&b), &(struct dns_asked){ STR("a.example"), DNS_A, 7, false }, &a));
		assert_int_equal(a.ttl, cases[i].ttl);
		dns_answer_done(&a);
	}
}

static void a_hosts_file_names_addresses(void **state)
{
	(void)state;
	static const struct {
		const char *name, *found;
		enum dns_type type;
	} cases[] = {
		{ "app", "10.0.0.1\n10.0.0.3\n", DNS_A },
		{ "APP.internal", "10.0.0.1\n", DNS_A },
		{ "app", "fd00::1\n", DNS_AAAA },
		{ "comment", "", DNS_A },
		{ "odd", "", DNS_A },
		{ "10.0.0.1", "", DNS_A },
	};
	const struct str file = STR("# comment\n10.0.0.1\tapp.internal app # comment\n"
	                            "fd00::1 app\nnonsense odd\n\n 10.0.0.3  app");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO lines = BUF(1000);
		bool any = dns_hosts_find(file, str_c(cases[i].name), cases[i].type, &lines);
		assert_string_equal(buf_c(&lines), cases[i].found);
		assert_int_equal(any, lines.n > 0);
	}
}

/* RFC 5452 9.1: what does not repeat id and question is not our answer. */
static void foreign_answers_do_not_count(void **state)
{
	(void)state;
	static const struct answer cases[] = {
		{ 8, 0x8180, TYPE_A, "example.com", 0 },     /* another id */
		{ 7, 0x0180, TYPE_A, "example.com", 0 },     /* a question */
		{ 7, 0x8180, TYPE_A, "www.example.com", 0 }, /* another name */
		{ 7, 0x8180, TYPE_AAAA, "example.com", 0 },  /* another type */
		{ 7, 0xa180, TYPE_A, "example.com", 0 },     /* another opcode */
	};
	BUF_AUTO b = BUF(4096);
	struct dns_answer a;
	dns_answer_init(&a);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		begin(&b, &cases[i]);
		assert_false(dns_read(buf_str(&b),
		        &(struct dns_asked){ STR("example.com"), DNS_A, 7, false }, &a));
	}
	assert_false(
	        dns_read(STR("x"), &(struct dns_asked){ STR("example.com"), DNS_A, 7, false }, &a));
	assert_false(
	        dns_read(STR(""), &(struct dns_asked){ STR("example.com"), DNS_A, 7, false }, &a));
	dns_answer_done(&a);
}

static void questions_are_made_of_names_only(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(512);
	assert_true(dns_question(
	        &b, &(struct dns_asked){ STR("example.com"), DNS_CAA, 0x1234, false }));
	assert_memory_equal(b.p, "\x12\x34\x01\x00\x00\x01", 6);
	assert_false(dns_question(&b, &(struct dns_asked){ STR(""), DNS_A, 1, false }));
	assert_false(dns_question(&b, &(struct dns_asked){ STR("a..b"), DNS_A, 1, false }));
	assert_false(dns_question(&b, &(struct dns_asked){ STR("a\\000b"), DNS_A, 1, false }));
}

/* ---- look-ups ---- */

struct server {
	int udp, tcp, client;
	uint16_t port;
	struct watch udp_watch, tcp_watch, client_watch;
	struct loop *loop;
	unsigned by_udp, by_tcp;
	uint16_t flags;      /* of every answer */
	const char *has_caa; /* the name that has one */
	bool silent, forge;  /* forge: an answer with another id goes before */
	unsigned silent_first;
};

static struct str question_name(struct str q, char text[256])
{
	size_t at = 12, n = 0;
	while (at < q.n && q.p[at] && n + (size_t)q.p[at] < 250) {
		n += (size_t)snprintf(
		        text + n, 256 - n, "%s%.*s", n ? "." : "", q.p[at], q.p + at + 1);
		at += (size_t)q.p[at] + 1;
	}
	return str_n(text, n);
}

static void make_answer(struct server *s, struct str q, uint16_t flags, struct buf *out)
{
	char text[256];
	struct str name = question_name(q, text);
	const unsigned char *p = (const unsigned char *)q.p;
	const unsigned type = (unsigned)p[12 + name.n + 2] << 8 | p[12 + name.n + 3];
	const bool caa = type == TYPE_CAA && s->has_caa && str_eq_c(name, s->has_caa);
	const bool has = (caa || type == TYPE_A) && !(flags & 0x20f);
	begin(out, &(struct answer){ (uint16_t)(p[0] << 8 | p[1]), flags, type, text, has });
	if (has && caa)
		add_record(out, text, TYPE_CAA, STR("\x00\x05issueca.net"));
	else if (has)
		add_record(out, text, TYPE_A, STR("\xcb\x00\x71\x07"));
}

static void hear_udp(struct watch *w, unsigned events)
{
	struct server *s = OWNER(w, struct server, udp_watch);
	(void)events;
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	char bytes[1500];
	ssize_t n;
	while ((n = recvfrom(s->udp, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from,
	                &size)) > 0) {
		BUF_AUTO out = BUF(4096);
		if (s->by_udp++ < s->silent_first || s->silent)
			continue;
		make_answer(s, str_n(bytes, (size_t)n), s->flags, &out);
		if (s->forge) {
			out.p[0] ^= 1;
			sendto(s->udp, out.p, out.n, 0, (struct sockaddr *)&from, size);
			out.p[0] ^= 1;
		}
		sendto(s->udp, out.p, out.n, 0, (struct sockaddr *)&from, size);
	}
}

static void hear_client(struct watch *w, unsigned events)
{
	struct server *s = OWNER(w, struct server, client_watch);
	char bytes[1500];
	(void)events;
	ssize_t n = recv(s->client, bytes, sizeof bytes, MSG_DONTWAIT);
	if (n <= 2)
		return;
	BUF_AUTO out = BUF(4096), whole = BUF(4096);
	s->by_tcp++;
	make_answer(s, str_n(bytes + 2, (size_t)n - 2), 0x8180, &out);
	add_u16(&whole, (unsigned)out.n);
	buf_add_buf(&whole, &out);
	send(s->client, whole.p, 1, MSG_NOSIGNAL); /* in two pieces */
	send(s->client, whole.p + 1, whole.n - 1, MSG_NOSIGNAL);
}

static void hear_tcp(struct watch *w, unsigned events)
{
	struct server *s = OWNER(w, struct server, tcp_watch);
	(void)events;
	int fd = accept4(s->tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	s->client = fd;
	watch_start(&s->client_watch, s->loop, fd, hear_client);
	hear_client(&s->client_watch, 0);
}

static void server_init(struct server *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof in;
	*s = (struct server){ .loop = loop_new(&clock_system), .flags = 0x8180 };
	s->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->tcp, (const struct sockaddr *)&in, sizeof in), 0);
	getsockname(s->tcp, (struct sockaddr *)&in, &size);
	s->port = ntohs(in.sin_port);
	s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(s->udp, (const struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(s->tcp, 8), 0);
	watch_start(&s->udp_watch, s->loop, s->udp, hear_udp);
	watch_start(&s->tcp_watch, s->loop, s->tcp, hear_tcp);
}

static void server_done(struct server *s)
{
	watch_stop(&s->udp_watch);
	watch_stop(&s->tcp_watch);
	if (s->client) {
		watch_stop(&s->client_watch);
		close(s->client);
	}
	close(s->udp);
	close(s->tcp);
	loop_free(&s->loop);
}

struct asking {
	struct dns_lookup lookup;
	unsigned done;
};

static void done(struct dns_lookup *l)
{
	OWNER(l, struct asking, lookup)->done++;
}

static void ask(struct server *s, struct asking *a, const char *name, enum dns_type type)
{
	char line[32];
	*a = (struct asking){ .lookup = { .name = str_c(name),
		                      .type = type,
		                      .exchange.timeout = 6 * SECOND,
		                      .done = done } };
	snprintf(line, sizeof line, "127.0.0.1:%u", s->port);
	dns_servers_from(str_c(line), &a->lookup.exchange.servers);
	dns_lookup_start(&a->lookup, s->loop);
	assert_int_equal(a->done, 0);
	int64_t until = loop_mono(s->loop) + 10 * SECOND;
	while (!a->done && loop_mono(s->loop) < until)
		loop_turn(s->loop, 100);
	assert_int_equal(a->done, 1);
}

static void a_lookup_finds_an_address(void **state)
{
	(void)state;
	struct server s;
	struct asking a;
	server_init(&s);
	s.forge = true;
	ask(&s, &a, "shop.example.com", DNS_A);
	assert_int_equal(a.lookup.answer.outcome, DNS_FOUND);
	assert_string_equal(buf_c(&a.lookup.answer.records), "203.0.113.7\n");
	assert_int_equal(s.by_udp, 1);
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void a_cut_answer_is_asked_for_by_tcp(void **state)
{
	(void)state;
	struct server s;
	struct asking a;
	server_init(&s);
	s.flags = 0x8380;
	ask(&s, &a, "shop.example.com", DNS_A);
	assert_int_equal(a.lookup.answer.outcome, DNS_FOUND);
	assert_int_equal(s.by_tcp, 1);
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void a_lost_question_is_asked_again(void **state)
{
	(void)state;
	struct server s;
	struct asking a;
	server_init(&s);
	s.silent_first = 1;
	ask(&s, &a, "shop.example.com", DNS_A);
	assert_int_equal(a.lookup.answer.outcome, DNS_FOUND);
	assert_int_equal(s.by_udp, 2);
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void silence_and_failure_are_told_apart(void **state)
{
	(void)state;
	struct server s;
	struct asking a;
	server_init(&s);
	s.silent = true;
	ask(&s, &a, "shop.example.com", DNS_A);
	assert_int_equal(a.lookup.answer.outcome, DNS_SILENT);
	assert_int_equal(s.by_udp, 2);
	dns_lookup_done(&a.lookup);
	s.silent = false;
	s.flags = 0x8182;
	ask(&s, &a, "shop.example.com", DNS_A);
	assert_int_equal(a.lookup.answer.outcome, DNS_FAILED);
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void caa_climbs_to_where_it_is(void **state)
{
	(void)state;
	struct server s;
	struct asking a;
	server_init(&s);
	s.has_caa = "example.com";
	ask(&s, &a, "a.b.example.com", DNS_CAA);
	assert_int_equal(a.lookup.answer.outcome, DNS_FOUND);
	assert_true(str_eq_c(a.lookup.owner, "example.com"));
	assert_string_equal(buf_c(&a.lookup.answer.records), "0 issue ca.net\n");
	assert_int_equal(s.by_udp, 3);
	dns_lookup_done(&a.lookup);
	s.has_caa = NULL;
	s.by_udp = 0;
	ask(&s, &a, "a.b.example.com", DNS_CAA);
	assert_int_equal(a.lookup.answer.outcome, DNS_NONE);
	assert_int_equal(s.by_udp, 4); /* the last label, too */
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void an_aborted_lookup_says_nothing(void **state)
{
	(void)state;
	struct server s;
	server_init(&s);
	struct asking a = {
		.lookup = { .name = STR("example.com"), .done = done, .exchange.timeout = SECOND }
	};
	char line[32];
	snprintf(line, sizeof line, "127.0.0.1:%u", s.port);
	dns_servers_from(str_c(line), &a.lookup.exchange.servers);
	dns_lookup_start(&a.lookup, s.loop);
	loop_turn(s.loop, 0);
	dns_lookup_abort(&a.lookup);
	for (int i = 0; i < 5; i++)
		loop_turn(s.loop, 10);
	assert_int_equal(a.done, 0);
	dns_lookup_done(&a.lookup);
	server_done(&s);
}

static void servers_are_read(void **state)
{
	(void)state;
	struct dns_servers s;
	char text[ADDRESS_TEXT];
	dns_servers_from(STR("127.0.0.1:5353\nx\n[::1]:53\n"), &s);
	assert_int_equal(s.count, 2);
	assert_string_equal(address_text_port(&s.at[1], text), "[::1]:53");
	dns_servers_of_system(STR("# c\nsearch x\n nameserver\t10.0.0.1 \nnameserver ::1\n"
	                          "nameservers 1.2.3.4\nnameserver 9.9.9.9\nnameserver 8.8.8.8\n"),
	        &s);
	assert_int_equal(s.count, 3);
	assert_string_equal(address_text_port(&s.at[0], text), "10.0.0.1:53");
	dns_servers_of_system(STR(""), &s);
	assert_string_equal(address_text_port(&s.at[0], text), "127.0.0.1:53");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_read),
		cmocka_unit_test(the_least_time_counts),
		cmocka_unit_test(a_hosts_file_names_addresses),
		cmocka_unit_test(outcomes_are_told_apart),
		cmocka_unit_test(foreign_answers_do_not_count),
		cmocka_unit_test(questions_are_made_of_names_only),
		cmocka_unit_test(a_lookup_finds_an_address),
		cmocka_unit_test(a_cut_answer_is_asked_for_by_tcp),
		cmocka_unit_test(a_lost_question_is_asked_again),
		cmocka_unit_test(silence_and_failure_are_told_apart),
		cmocka_unit_test(caa_climbs_to_where_it_is),
		cmocka_unit_test(an_aborted_lookup_says_nothing),
		cmocka_unit_test(servers_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
