/* What the page's own serve is told: its rows, its address as it moves, its certificates; and the
 * clients that it hands on. The case plays that serve. */
#include "control_place.h"
#include <sys/socket.h>

#define LISTEN "http 127.0.0.1:8080\nhttps 127.0.0.1:8443\n"

struct page_side {
	struct place p;
	struct link link;
	struct cert_table *certs;
	struct buf told; /* rows of the generation told last, a line each */
	int64_t number, committed;
	bool refuses, silent;
};

static void note(struct buf *b, const struct msg *m)
{
	if (m->type == MSG_listener) {
		const struct msg_listener *r = &m->is.listener;
		close(r->fd);
		buf_printf(b, "listener %.*s %lld%s%s\n", STR_ARG(r->address), (long long)r->port,
		        r->tls ? " tls" : "", r->plain_too ? " plain" : "");
	} else if (m->type == MSG_site) {
		const struct msg_site *r = &m->is.site;
		assert_int_equal(r->kind, SITE_CONTROL);
		buf_printf(b, "site %.*s%s%s url=%lld\n", STR_ARG(r->name),
		        r->fallback ? " fallback" : "", r->force_ssl ? " force" : "",
		        (long long)r->url_port);
	} else if (m->type == MSG_site_name) {
		buf_printf(b, "name %.*s\n", STR_ARG(m->is.site_name.name));
	} else {
		assert_int_equal(m->type, MSG_limit);
	}
}

static void certificates(struct page_side *s, const struct msg *m)
{
	struct err err = ERR_INIT;
	bool ok = m->type == MSG_segment
	                  ? cert_table_map(
	                            s->certs, (size_t)m->is.segment.index, m->is.segment.fd, &err)
	                  : cert_table_advance(s->certs, (size_t)m->is.segment_valid.index,
	                            (size_t)m->is.segment_valid.valid, &err);
	if (!ok)
		fail_msg("%s", err.text);
}

static void page_heard(struct link *l, const struct msg *m)
{
	struct page_side *s = OWNER(l, struct page_side, link);
	if (m->type == MSG_segment || m->type == MSG_segment_valid) {
		certificates(s, m);
	} else if (m->type == MSG_generation) {
		buf_clear(&s->told);
		s->number = m->is.generation.number;
	} else if (m->type == MSG_generation_end) {
		if (s->refuses)
			link_send(l, refused, .number = s->number, .sentence = STR("No."));
		else if (!s->silent)
			link_send(l, prepared, .number = s->number);
	} else if (m->type == MSG_commit) {
		s->committed = m->is.commit.number;
		link_send(l, committed, .number = s->committed);
	} else {
		note(&s->told, m);
	}
}

static void page_ended(struct link *l, const struct err *why)
{
	(void)l, (void)why;
}

static const struct link_ops page_end = { page_heard, page_ended };

static void page_comes(struct page_side *s)
{
	cert_table_free(&s->certs);
	s->certs = cert_table_new();
	s->number = s->committed = 0;
	buf_clear(&s->told);
	pair_up(&s->p, &s->link, &page_end, PROCESS_PAGE);
}

static void side_begin(struct page_side *s, const char *conf)
{
	*s = (struct page_side){ .told = BUF(1 << 16) };
	place_begin(&s->p, conf);
	page_comes(s);
	settle(&s->p);
}

static void side_done(struct page_side *s)
{
	place_done(&s->p);
	link_done(&s->link);
	cert_table_free(&s->certs);
	buf_done(&s->told);
}

static bool listens(struct page_side *s, const char *row)
{
	return s->committed == s->number && strstr(buf_c(&s->told), row);
}

static void rows(void **state)
{
	static const struct {
		const char *conf, *rows;
	} cases[] = {
		{ LISTEN, "listener 127.0.0.1 8007 tls plain\nsite page fallback url=8007\n"
		          "name localhost\n" },
		{ LISTEN "page [::1]:9 page.example.com\n",
		        "listener ::1 9 tls plain\nsite page.example.com fallback url=9\n"
		        "name localhost\nname page.example.com\n" },
		{ LISTEN "page 0.0.0.0:9\n", "listener 0.0.0.0 9 tls plain\n"
		                             "site page fallback force url=9\nname localhost\n" },
		{ LISTEN "page off\n", "site page fallback url=443\nname localhost\n" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct page_side s;
		side_begin(&s, cases[i].conf);
		until(&s.p, s.committed > 0);
		assert_string_equal(buf_c(&s.told), cases[i].rows);
		assert_null(strstr(buf_c(&s.p.in_force), "8007"));
		side_done(&s);
	}
}

/* The old address is given back only once the new one stands. */
static void it_moves(void **state)
{
	struct page_side s;
	(void)state;
	side_begin(&s, LISTEN "page 127.0.0.1:9000\n");
	s.p.held[0] = 9001;
	assert_string_equal(reload(&s.p, LISTEN "page 127.0.0.1:9001\n"), "");
	until(&s.p, logged("nginx (process 812) holds port 9001"));
	assert_true(listens(&s, "listener 127.0.0.1 9000"));
	assert_true(is_bound(&s.p, 9000));
	s.silent = true;
	free_port(&s.p, 9001);
	until(&s.p, strstr(buf_c(&s.told), "listener 127.0.0.1 9001"));
	settle(&s.p);
	assert_true(is_bound(&s.p, 9000));
	s.silent = false;
	link_send(&s.link, prepared, .number = s.number);
	until(&s.p, !is_bound(&s.p, 9000));
	assert_true(listens(&s, "listener 127.0.0.1 9001"));
	side_done(&s);
}

static void an_address_makes_way_for_one_that_it_excludes(void **state)
{
	struct page_side s;
	(void)state;
	side_begin(&s, LISTEN "page 127.0.0.1:9000\n");
	assert_string_equal(reload(&s.p, LISTEN "page 0.0.0.0:9000\n"), "");
	until(&s.p, listens(&s, "listener 0.0.0.0 9000"));
	assert_string_equal(reload(&s.p, LISTEN "page off\n"), "");
	until(&s.p, !is_bound(&s.p, 9000));
	side_done(&s);
}

static void a_new_process_is_told_all(void **state)
{
	struct page_side s;
	struct cert_record self_made;
	(void)state;
	side_begin(&s, LISTEN);
	until(&s.p, listens(&s, "listener"));
	s.refuses = true;
	page_comes(&s);
	until(&s.p, logged("does not take what it is told, keeping what it has: No."));
	assert_true(is_bound(&s.p, 8007));
	s.refuses = false;
	page_comes(&s);
	until(&s.p, listens(&s, "listener"));
	assert_true(cert_table_find(s.certs, STR("*"), &self_made));
	assert_int_equal(self_made.flags, CERT_TEMPORARY);
	assert_int_equal(s.p.aborted, 0);
	side_done(&s);
}

/* Whose fingerprint somebody has compared stays, until its names change. */
static void the_self_made_certificate_is_kept(void **state)
{
	struct page_side s;
	char before[65];
	(void)state;
	side_begin(&s, LISTEN "page 0.0.0.0:9\n");
	memcpy(before, s.p.c.page.fingerprint, sizeof before);
	assert_int_equal(strlen(before), 64);
	control_ends(&s.p);
	control_begins(&s.p);
	assert_string_equal(s.p.c.page.fingerprint, before);
	assert_string_equal(reload(&s.p, LISTEN "page 0.0.0.0:9 page.example.com\n"), "");
	until(&s.p, strcmp(s.p.c.page.fingerprint, before) != 0);
	side_done(&s);
}

static void site_of_another(struct page_side *s, struct str name)
{
	struct cert_record r;
	assert_false(cert_table_find(s->certs, name, &r));
}

static void each_serve_has_its_own_certificates(void **state)
{
	struct page_side s;
	(void)state;
	side_begin(&s, LISTEN "page 0.0.0.0:9 page.example.com\n"
	                      "site shop.example.com { proxy 127.0.0.1:3000 }\n");
	until(&s.p, listens(&s, "name page.example.com"));
	struct cert_record r;
	assert_true(cert_table_find(s.p.certs, STR("shop.example.com"), &r));
	site_of_another(&s, STR("shop.example.com"));
	KEY_AUTO *key = key_new(KEY_P256, &(struct err){ 0 });
	BUF_AUTO der = BUF(1 << 16);
	struct str name = STR("page.example.com");
	struct err err = ERR_INIT;
	assert_true(key_self_signed(key, &name, 1, 0, WALL * SECOND, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	struct serving_certificate cert = {
		.names = &name, .name_count = 1, .leaf = buf_str(&der), .key = &secret
	};
	s.p.c.serving.ops->install(&s.p.c.serving, &cert);
	settle(&s.p);
	assert_true(cert_table_find(s.certs, name, &r));
	assert_true(str_eq(r.leaf, buf_str(&der)));
	assert_false(cert_table_find(s.p.certs, name, &r));
	assert_string_equal(reload(&s.p, LISTEN "page 0.0.0.0:9\n"), "");
	until(&s.p, !cert_table_find(s.certs, name, &r));
	side_done(&s);
}

/* ---- clients ---- */

static bool has_answer(int fd, struct buf *got, const char *text)
{
	char bytes[4096];
	ssize_t n;
	while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
		buf_add(got, str_n(bytes, (size_t)n));
	return strstr(buf_c(got), text);
}

static void hand_on(struct page_side *s, const char *client, int ret_ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret_ends), 0);
	link_send(&s->link, connection, .client = str_c(client), .tls = true, .fd = ret_ends[1]);
	close(ret_ends[1]);
}

/* Whoever comes that way is nobody until he signs in; control.sock's are the owner. */
static void clients_are_answered(void **state)
{
	static const char question[] = "GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
	struct page_side s;
	int ends[2];
	BUF_AUTO got = BUF(1 << 20);
	(void)state;
	side_begin(&s, LISTEN);
	hand_on(&s, "2001:db8::7", ends);
	assert_int_equal(send(ends[0], question, sizeof question - 1, 0), sizeof question - 1);
	until(&s.p, has_answer(ends[0], &got, "\"unauthenticated\""));
	assert_int_equal(s.p.c.page.worker.connection_count, 1);
	close(ends[0]);
	until(&s.p, s.p.c.page.worker.connection_count == 0);
	hand_on(&s, "somebody", ends); /* no address: closed */
	char byte;
	until(&s.p, recv(ends[0], &byte, 1, 0) == 0);
	close(ends[0]);
	/* The data plane has no clients to hand on. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	link_send(&s.p.serve, connection, .client = STR("192.0.2.1"), .fd = ends[1]);
	close(ends[1]);
	until(&s.p, recv(ends[0], &byte, 1, 0) == 0);
	close(ends[0]);
	side_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(it_moves),
		cmocka_unit_test(an_address_makes_way_for_one_that_it_excludes),
		cmocka_unit_test(a_new_process_is_told_all),
		cmocka_unit_test(the_self_made_certificate_is_kept),
		cmocka_unit_test(each_serve_has_its_own_certificates),
		cmocka_unit_test(clients_are_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
