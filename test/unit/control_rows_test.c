/* What a configuration and registrations mean: rows, certificates, issuers, status; and how control
 * starts or says why not. */
#include "control_place.h"
#include "keys/seal.h"
#include <sys/socket.h>
#include <sys/un.h>

#define LISTEN "http 127.0.0.1:8080\nhttps 127.0.0.1:8443\n"
#define SHOP   "site shop.example.com { proxy 127.0.0.1:3000 }\n"
#define STAR   "site * { proxy 127.0.0.1:3000; force-ssl yes; hsts 1d }\n"

#define ADDRESS(name) "site " name " { proxy 127.0.0.1:3000 }\n"

/* ---- rows ---- */

static void rows_of_files(void **state)
{
	static const struct {
		const char *conf, *row;
	} cases[] = {
		{ LISTEN SHOP, "site 1 shop.example.com url=8443 hsts=-1" },
		{ LISTEN "force-ssl yes\nhsts 1h\n" SHOP,
		        "site 1 shop.example.com force url=8443 hsts=3600" },
		{ LISTEN
		        "force-ssl yes\nhsts 1h\nsite a.example.com { proxy 127.0.0.1:1; force-ssl "
		        "no; hsts 1y include-subdomains preload }\n",
		        "site 1 a.example.com url=8443 hsts=31536000sp" },
		{ LISTEN "hsts 1h\nsite a.example.com { proxy 127.0.0.1:1; hsts off }\n",
		        "site 1 a.example.com url=8443 hsts=0" },
		{ LISTEN "hsts off\n" SHOP, "site 1 shop.example.com url=8443 hsts=0" },
		{ LISTEN "site a.example.com { proxy 127.0.0.1:1; challenge pass }\n",
		        "site 1 a.example.com url=8443 hsts=-1 pass" },
		{ LISTEN STAR, "site 1 * fallback force url=8443 hsts=86400" },
		{ LISTEN "challenge-ports { https 443 }\n" SHOP,
		        "site 1 shop.example.com url=443 hsts=-1" },
		{ LISTEN "challenge-ports { http 81 }\n" SHOP,
		        "site 1 shop.example.com url=8443 hsts=-1" },
		{ LISTEN "challenge-ports { http 81; https 8444 }\n" SHOP,
		        "site 1 shop.example.com url=8444 hsts=-1" },
		{ SHOP, "site 1 shop.example.com url=443 hsts=-1" },
		{ SHOP, "listener :: 443 tls default=*" },
		/* behind a router the one address that the Internet may know */
		{ "https 0.0.0.0:443 [::]:443\n" ADDRESS("203.0.113.5") STAR,
		        "listener 0.0.0.0 443 tls default=203.0.113.5" },
		{ "https 0.0.0.0:443 [::]:443\n" ADDRESS("203.0.113.5") STAR,
		        "listener :: 443 tls default=*" },
		{ "https 0.0.0.0:443 [::]:443\n" ADDRESS("203.0.113.5") ADDRESS("[2001:db8::5]")
		                STAR,
		        "listener :: 443 tls default=2001:db8::5" },
		{ "https 0.0.0.0:443\n" ADDRESS("203.0.113.5") ADDRESS("203.0.113.6") STAR,
		        "listener 0.0.0.0 443 tls default=*" },
		{ "https 0.0.0.0:443\n" ADDRESS("10.0.0.5") STAR,
		        "listener 0.0.0.0 443 tls default=*" },
		{ "https 127.0.0.1:9443 127.0.0.2:9444\n" SHOP,
		        "site 1 shop.example.com url=9443 hsts=-1" },
		{ LISTEN "site a.example.com b.example.com { proxy 127.0.0.1:1 [::1]:2 }\n",
		        "name 1 b.example.com" },
		{ LISTEN "site a.example.com b.example.com { proxy 127.0.0.1:1 [::1]:2 }\n",
		        "upstream 1 ::1 2" },
		{ LISTEN "trusted-proxy 10.0.0.0/8\n", "trusted 10.0.0.0/8" },
		{ LISTEN "body-most 5m\n", "limit body-most 5242880" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct place p;
		place_begin(&p, cases[i].conf);
		assert_row(&p, cases[i].row);
		place_done(&p);
	}
}

/* Each with all that holds for it. */
static void rows_of_routes(void **state)
{
	static const char *const rows[] = {
		"route 1/1 \"\" beneath kind=0 to=0 0 ",
		"access 1 allow 10.0.0.0/8",
		"header 1 answer 2 y ",
		"header 1 answer 0 x 1",
		"header 1 answer 1 z 3",
		"route 1/2 \"/api\" beneath kind=0 to=2 0 ",
		"upstream 2 127.0.0.1 2",
		"access 2 allow 10.0.0.0/8",
		"header 2 answer 0 x 1",
		"header 2 answer 2 x ",
		"route 1/3 \"/open\" beneath inherits kind=1 to=0 0  gzip",
		"access 3 allow 0.0.0.0/0",
		"route 1/4 \"/files\" beneath kind=5 to=0 0 /tmp maintenance root",
		"route 1/5 \"/to\" kind=6 to=0 301 /x",
		"route 1/6 \"/say\" kind=7 to=0 200 Hi",
		"route 4/7 \"\" beneath kind=1 to=0 0 ",
		"route 4/8 \"/a\" kind=7 to=0 404 ",
	};
	struct place p;
	(void)state;
	place_begin(&p, LISTEN "site a.test {\n proxy 127.0.0.1:1\n header add z 3\n"
	                       "header set x 1\n header remove y\n allow 10.0.0.0/8\n"
	                       "route /api/ { proxy 127.0.0.1:2; header remove x }\n"
	                       "route /open/ { allow all; encode gzip }\n"
	                       "route /files/ { root /tmp; maintenance }\n"
	                       "route /to { redirect /x 301 }\n"
	                       "route /say { respond 200 Hi }\n}\n" SHOP
	                       "site b.test { route /a { respond 404 } }\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_row(&p, rows[i]);
	assert_null(strstr(buf_c(&p.in_force), "access 3 allow 10"));
	place_done(&p);
}

static void rows_of_those_who_are_asked(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN "site a.test {\n proxy 127.0.0.1:1\n"
	                       "forward-auth http://127.0.0.1:7/v copy X-User\n"
	                       "route /a/ { allow all }\n"
	                       "route /b/ { forward-auth http://127.0.0.1:8/w }\n"
	                       "route /c/ { forward-auth off }\n}\n");
	assert_row(&p, "upstream 2 127.0.0.1 7");
	assert_row(&p, "upstream 3 127.0.0.1 8");
	assert_row(&p, "copy 1 x-user");
	assert_row(&p, "copy 2 x-user");
	assert_null(strstr(buf_c(&p.in_force), "copy 3"));
	assert_null(strstr(buf_c(&p.in_force), "copy 4"));
	place_done(&p);
}

/* Control may end while a password is compared: nothing of that is touched afterwards. */
static void a_password_is_compared_to_the_end(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	link_send(&p.serve, check_password, .id = 7, .users = STR("of nobody"),
	        .client = STR("192.0.2.1"), .user = STR("ann"), .password = STR("secret"));
	until(&p, !list_empty(&p.c.password_checks));
	place_done(&p);
}

static void registered_names_have_sites(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR SHOP);
	/* by `site *`, whose settings it has */
	REGISTER(&p, STR("a.example.com"), STR("www.a.example.com"));
	until(&p, strstr(buf_c(&p.in_force), "www.a.example.com"));
	assert_row(&p, "site 3 a.example.com force url=8443 hsts=86400");
	assert_row(&p, "name 3 www.a.example.com");
	assert_row(&p, "upstream 3 127.0.0.1 3000");
	assert_int_equal(shown(&p, "www.a.example.com"), SHOWN_TEMPORARY);
	/* by its own application */
	register_name(
	        &p, (struct register_want){ .names = (const struct str[]){ STR("b.example.com") },
	                    .name_count = 1,
	                    .proxy = STR("127.0.0.1:3002") });
	until(&p, strstr(buf_c(&p.in_force), "b.example.com"));
	assert_non_null(strstr(buf_c(&p.in_force), "127.0.0.1 3002\n"));
	/* by the site that the file has for it */
	int64_t before = p.committed;
	REGISTER(&p, STR("shop.example.com"));
	until(&p, p.committed > before);
	struct json *status = status_of(&p);
	assert_int_equal(json_count(json_array(status, "sites")), 4);
	const struct json *site = item(status, "sites", "names", "a.example.com");
	int64_t hsts = 0;
	bool force = false;
	assert_true(json_int(site, "hsts", &hsts) && hsts == 86400);
	assert_true(json_bool(site, "force_ssl", &force) && force);
	assert_true(str_eq_c(json_text(site, "source"), "store"));
	assert_true(str_eq_c(
	        json_value_text(json_at(json_array(site, "upstreams"), 0)), "127.0.0.1:3000"));
	site = item(status, "sites", "names", "shop.example.com");
	int64_t line = 0;
	assert_true(json_int(json_object(site, "source"), "line", &line) && line == 4);
	assert_true(json_bool(site, "force_ssl", &force) && !force);
	assert_true(
	        str_eq_c(json_text(item(status, "certificates", "names", "a.example.com"), "state"),
	                "working"));
	json_free(&status);
	place_done(&p);
}

static size_t count_of(struct place *p, const char *what)
{
	size_t n = 0;
	for (const char *at = buf_c(&p->in_force); (at = strstr(at, what)); at++)
		n++;
	return n;
}

/* A name that several ask for stands once: serve refuses a generation that has it twice. */
static void a_name_has_one_site(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	(void)state;
	place_begin(&p, LISTEN STAR SHOP);
	REGISTER(&p, STR("a.example.com"), STR("b.example.com"));
	REGISTER(&p, STR("b.example.com"), STR("c.example.com"));
	REGISTER(&p, STR("new.example.com"), STR("shop.example.com"));
	register_name(
	        &p, (struct register_want){ .names = (const struct str[]){ STR("c.example.com") },
	                    .name_count = 1,
	                    .proxy = STR("127.0.0.1:3002") });
	until(&p, count_of(&p, " c.example.com\n") && count_of(&p, " new.example.com\n") &&
	                  count_of(&p, "3002"));
	for (int again = 0; again < 2; again++) {
		settle(&p);
		assert_int_equal(count_of(&p, " a.example.com\n"), 1);
		assert_int_equal(count_of(&p, " b.example.com\n"), 1);
		assert_int_equal(count_of(&p, " c.example.com\n"), 1);
		assert_int_equal(count_of(&p, " shop.example.com\n"), 1);
		assert_row(&p, "name 2 shop.example.com"); /* the file's */
		assert_row(&p, "name 3 c.example.com");    /* with an application of its own */
		assert_row(&p, "upstream 3 127.0.0.1 3002");
		if (again)
			break;
		control_ends(&p);
		assert_true(control_starts(&p, &err));
		serve_comes(&p);
		until(&p, p.committed == 1);
	}
	place_done(&p);
}

static void registered_addresses(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR SHOP);
	register_name(
	        &p, (struct register_want){ .names = (const struct str[]){ STR("a.example.com") },
	                    .name_count = 1,
	                    .address = STR("127.0.0.9"),
	                    .port = 7443 });
	until(&p, count_of(&p, " 7443 tls"));
	assert_row(&p, "listener 127.0.0.9 7443 tls default=a.example.com");
	assert_row(&p, "listener 127.0.0.1 8443 tls default=*");
	assert_row(&p, "site 3 a.example.com force url=7443 hsts=86400");
	/* also for a name whose site stands in the file */
	register_name(&p,
	        (struct register_want){ .names = (const struct str[]){ STR("shop.example.com") },
	                .name_count = 1,
	                .address = STR("127.0.0.8"),
	                .port = 7443 });
	until(&p, count_of(&p, "127.0.0.8"));
	assert_row(&p, "listener 127.0.0.8 7443 tls default=shop.example.com");
	/* what the file speaks there, it goes on to speak */
	register_name(
	        &p, (struct register_want){ .names = (const struct str[]){ STR("b.example.com") },
	                    .name_count = 1,
	                    .address = STR("127.0.0.1"),
	                    .port = 8080 });
	until(&p, count_of(&p, " b.example.com\n"));
	assert_non_null(strstr(buf_c(&p.in_force), "listener 127.0.0.1 8080 plain"));
	/* the outside's port goes before the listener's */
	assert_string_equal(reload(&p, LISTEN "challenge-ports { https 443 }\n" STAR), "");
	assert_non_null(strstr(buf_c(&p.in_force), " a.example.com force url=443 "));
	place_done(&p);
}

static void a_held_address_is_told(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	struct serving_address at[4];
	(void)state;
	place_init(&p, "https 0.0.0.0:8443\n" STAR);
	p.held[0] = 7443;
	control_begins(&p);
	until(&p, p.committed == 1);
	register_name(
	        &p, (struct register_want){ .names = (const struct str[]){ STR("a.example.com") },
	                    .name_count = 1,
	                    .address = STR("127.0.0.9"),
	                    .port = 7443 });
	until(&p, count_of(&p, " a.example.com\n"));
	struct address asked = { .host = STR("127.0.0.9"), .port = 7443 };
	const struct serving_ops *ops = p.c.serving.ops;
	assert_false(ops->bound(&p.c.serving, &asked, &err));
	assert_non_null(strstr(err.text, "nginx (process 812) holds port 7443 of 127.0.0.9."));
	assert_int_equal(ops->addresses(&p.c.serving, STR("a.example.com"), at, 4), 1);
	assert_true(str_eq_c(at[0].host, "127.0.0.1") && at[0].port == 8443);
	free_port(&p, 7443);
	until(&p, count_of(&p, " 7443 tls"));
	assert_true(ops->bound(&p.c.serving, &asked, &err));
	asked.port = 1;
	assert_false(ops->bound(&p.c.serving, &asked, &err));
	assert_string_equal(err.text, "Port 1 of 127.0.0.9 is not bound yet.");
	place_done(&p);
}

/* Until it is known whether port 80 is ours, no order is spent; unless DNS proves the name. */
static void what_dns_proves_waits_for_no_port(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	(void)state;
	place_init(&p, "http 0.0.0.0:8080\nhttps 0.0.0.0:8443\n"
	               "challenge-ports { http 8080; https 8443 }\n" STAR
	               "site dns.example.com { proxy 127.0.0.1:3000; dns-challenge { update "
	               "127.0.0.1:53; zone example.com } }\n");
	p.unheard[0] = 8080;
	control_begins(&p);
	until(&p, bind_at(&p, 8080) && is_bound(&p, 8443));
	settle(&p);
	const struct serving_ops *ops = p.c.serving.ops;
	assert_true(ops->provable(&p.c.serving, STR("dns.example.com"), &err));
	assert_true(ops->provable(&p.c.serving, STR("*.example.com"), &err));
	assert_false(ops->provable(&p.c.serving, STR("a.example.com"), &err));
	assert_string_equal(
	        err.text, "Port 8080 of 0.0.0.0, where the CA will ask, is not bound yet.");
	free_port(&p, 8080);
	until(&p, ops->provable(&p.c.serving, STR("a.example.com"), &err));
	place_done(&p);
}

/* ---- certificates ---- */

static void temporary_certificates(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR SHOP);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	assert_int_equal(shown(&p, "*"), SHOWN_TEMPORARY);
	assert_int_equal(shown(&p, "new.example.com"), SHOWN_NONE);
	install(&p, "shop.example.com");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_REAL);
	/* A new name beside it gets its own, the real one stays; nothing is made twice. */
	struct cert_record before, after;
	assert_true(cert_table_find(p.certs, STR("*"), &before));
	assert_string_equal(reload(&p, LISTEN STAR "site shop.example.com new.example.com { proxy "
	                                           "127.0.0.1:3000 }\n"),
	        "");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_REAL);
	assert_int_equal(shown(&p, "new.example.com"), SHOWN_TEMPORARY);
	assert_true(cert_table_find(p.certs, STR("*"), &after));
	assert_int_equal(before.number, after.number);
	install(&p, "new.example.com");
	assert_int_equal(shown(&p, "new.example.com"), SHOWN_REAL);
	place_done(&p);
}

/* A removed name keeps what was issued for it, and loses what was temporary. */
static void removed_names(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR "site a.example.com b.example.com { proxy 127.0.0.1:1 }\n");
	install(&p, "a.example.com");
	assert_string_equal(reload(&p, LISTEN SHOP), "");
	assert_int_equal(shown(&p, "a.example.com"), SHOWN_REAL);
	assert_int_equal(shown(&p, "b.example.com"), SHOWN_NONE);
	assert_int_equal(shown(&p, "*"), SHOWN_NONE);
	serve_dies(&p);
	serve_comes(&p);
	until(&p, p.committed == 2);
	assert_int_equal(shown(&p, "a.example.com"), SHOWN_REAL);
	assert_int_equal(shown(&p, "b.example.com"), SHOWN_NONE);
	assert_string_equal(
	        reload(&p, LISTEN "site a.example.com b.example.com { proxy 127.0.0.1:1 }\n"), "");
	assert_int_equal(shown(&p, "a.example.com"), SHOWN_REAL);
	assert_int_equal(shown(&p, "b.example.com"), SHOWN_TEMPORARY);
	place_done(&p);
}

/* Whoever has a site gets its temporary one at once, not with the generation that follows. */
static void forgotten_names(void **state)
{
	static const struct str names[] = { STR_INIT("shop.example.com"), STR_INIT("*"),
		STR_INIT("other.example.com") };
	struct place p;
	(void)state;
	place_begin(&p, LISTEN STAR SHOP);
	install(&p, "shop.example.com");
	install(&p, "other.example.com");
	const int64_t committed = p.committed;
	struct cert_record before, after;
	assert_true(cert_table_find(p.certs, STR("*"), &before));
	p.c.serving.ops->forget(&p.c.serving, names, 3);
	settle(&p);
	assert_int_equal(p.committed, committed);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_TEMPORARY);
	assert_int_equal(shown(&p, "other.example.com"), SHOWN_NONE);
	assert_true(cert_table_find(p.certs, STR("*"), &after));
	assert_int_equal(before.number, after.number);
	install(&p, "shop.example.com");
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_REAL);
	place_done(&p);
}

static void add_length(struct buf *b, size_t n)
{
	char bytes[4] = { (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n };
	buf_add(b, str_n(bytes, sizeof bytes));
}

struct stored {
	struct store_tx tx;
	int ended;
};

static void stored(struct store_tx *tx, const struct err *err)
{
	if (err)
		fail_msg("%s", err->text);
	OWNER(tx, struct stored, tx)->ended++;
}

/* As renew/ has it in the store: the number of certificates, each with its length, then the sealed
 * key. */
static void store_certificate(struct place *p, const char *name)
{
	BUF_AUTO der = BUF(8192), blob = BUF(16 << 10);
	SECRET_AUTO key = SECRET_NONE;
	struct stored s = { 0 };
	make_certificate(name, &der, &key);
	add_length(&blob, 1);
	add_length(&blob, der.n);
	buf_add_buf(&blob, &der);
	seal(p->c.master, (struct seal_for){ STR("certificate"), str_c(name), 1 }, &key, &blob);
	store_tx_init(&s.tx);
	store_tx_put(&s.tx, STR("certificate"), str_c(name), 0,
	        STR("{\"issuer\":\"letsencrypt\",\"since\":\"2027-01-01T00:00:00Z\"}"),
	        buf_str(&blob));
	store_tx_start(p->c.store, &s.tx, stored);
	until(p, s.ended);
}

static void a_restart_keeps_what_was_issued(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	store_certificate(&p, "shop.example.com");
	store_certificate(&p, "gone.example.com");
	control_ends(&p);
	assert_true(control_starts(&p, &err));
	serve_comes(&p);
	until(&p, p.committed == 1);
	assert_int_equal(shown(&p, "shop.example.com"), SHOWN_REAL);
	assert_int_equal(shown(&p, "gone.example.com"), SHOWN_REAL);
	place_done(&p);
}

/* ---- issuers ---- */

static void fetch_comes(struct place *p)
{
	buf_clear(&p->asked);
	pair_up(p, &p->fetch, &fetch_end, PROCESS_FETCH);
	settle(p);
}

static bool asked(struct place *p, const char *url)
{
	return strstr(buf_c(&p->asked), url);
}

static struct str thumbprint(struct place *p)
{
	return str_n(p->c.thumbprint, strlen(p->c.thumbprint));
}

/* An issuer that a reload adds, terms that it accepts: the names are registered there. */
static void a_reload_registers(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	fetch_comes(&p);
	later_by(&p, DAY);
	assert_int_equal(p.asked.n, 0);
	assert_string_equal(
	        reload(&p, LISTEN
	                "email me@example.com\nagree-to-terms yes\n"
	                "issuer corp { directory https://ca.corp.example/directory }\n" SHOP),
	        "");
	until(&p, asked(&p, "https://ca.corp.example/directory\n"));
	assert_false(asked(&p, "letsencrypt"));
	struct json *status = status_of(&p);
	const struct json *c = item(status, "certificates", "names", "shop.example.com");
	assert_true(str_eq_c(json_text(c, "issuer"), "corp"));
	json_free(&status);
	place_done(&p);
}

/* A reload that is refused starts nothing. */
static void a_refused_reload_registers_nothing(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	fetch_comes(&p);
	p.held[0] = 9443;
	assert_string_not_equal(
	        reload(&p, "https 127.0.0.1:9443\nemail me@example.com\nagree-to-terms yes\n" SHOP),
	        "");
	later_by(&p, DAY);
	assert_int_equal(p.asked.n, 0);
	struct json *status = status_of(&p);
	assert_int_equal(json_count(json_array(status, "certificates")), 0);
	json_free(&status);
	place_done(&p);
}

static void the_default_issuers_thumbprint(void **state)
{
	struct place p;
	char first[JWK_THUMBPRINT + 1], second[JWK_THUMBPRINT + 1], row[80];
	(void)state;
	place_begin(&p, LISTEN SHOP);
	memcpy(first, p.c.thumbprint, sizeof first);
	assert_int_equal(strlen(first), JWK_THUMBPRINT);
	assert_string_equal(
	        reload(&p, LISTEN "issuer corp { directory https://ca.corp.example/d }\n" SHOP),
	        "");
	until(&p, !str_eq_c(thumbprint(&p), first) && p.committed == 3);
	memcpy(second, p.c.thumbprint, sizeof second);
	snprintf(row, sizeof row, "thumbprint %s", second);
	assert_row(&p, row);
	/* the same name, another directory: another account */
	assert_string_equal(
	        reload(&p, LISTEN "issuer corp { directory https://ca2.corp.example/d }\n" SHOP),
	        "");
	until(&p, !str_eq_c(thumbprint(&p), second) && p.committed == 5);
	/* `internal` has no account; the key of Let's Encrypt is the one that it had */
	assert_string_equal(reload(&p, LISTEN "issuer internal\n" SHOP), "");
	until(&p, str_eq_c(thumbprint(&p), first) && p.committed == 7);
	place_done(&p);
}

static void an_unreadable_account_key(void **state)
{
	struct place p;
	struct stored s = { 0 };
	struct err err = ERR_INIT;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	store_tx_put(&s.tx, STR("account-key"), STR("letsencrypt"), 1, STR("{}"), STR("rubbish"));
	store_tx_start(p.c.store, &s.tx, stored);
	until(&p, s.ended);
	control_ends(&p);
	assert_true(control_starts(&p, &err));
	serve_comes(&p);
	until(&p, p.committed == 1);
	assert_row(&p, "thumbprint ");
	assert_true(
	        logged("error: Challenges of other nodes cannot be answered: The account key for "
	               "letsencrypt "));
	place_done(&p);
}

/* ---- what serve tells ---- */

static void what_serve_tells(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP "email me@example.com\nagree-to-terms yes\n");
	link_send(&p.serve, fences, .standing = STR("undumpable landlock"));
	link_send(&p.serve, log, .level = LOG_INFO, .text = STR("A line of its own."));
	link_send(&p.serve, log, .level = 99, .text = STR("A level that there is not."));
	link_send(&p.serve, dropped, .events = 7);
	link_send(&p.serve, seen, .site = STR("shop.example.com"), .client = STR("192.0.2.1"),
	        .tls = false, .outside = true, .at = WALL * SECOND);
	link_send(&p.serve, seen, .site = STR("shop.example.com"), .client = STR("127.0.0.1"),
	        .tls = true, .at = WALL * SECOND);
	settle(&p);
	assert_true(logged("info: A line of its own."));
	assert_false(logged("A level"));
	assert_true(logged("warning: 7 events of the process serve found no room and are lost."));
	struct json *status = status_of(&p);
	assert_true(str_eq_c(json_text(item(status, "fences", "process", "serve"), "standing"),
	        "undumpable landlock"));
	const struct json *c = item(status, "certificates", "names", "shop.example.com");
	assert_false(json_text(c, "seen_from_outside").n); /* over plain HTTP, from here */
	json_free(&status);
	link_send(&p.serve, seen, .site = STR("shop.example.com"), .client = STR("192.0.2.1"),
	        .tls = true, .outside = true, .at = WALL * SECOND);
	settle(&p);
	status = status_of(&p);
	c = item(status, "certificates", "names", "shop.example.com");
	assert_true(json_text(c, "seen_from_outside").n);
	json_free(&status);
	place_done(&p);
}

static void status_before_and_after(void **state)
{
	struct place p;
	struct err err = ERR_INIT;
	int64_t number = -1;
	bool serving = true;
	(void)state;
	place_init(&p, LISTEN SHOP "email me@example.com\nagree-to-terms yes\n");
	assert_true(control_starts(&p, &err));
	struct json *status = status_of(&p);
	assert_true(json_int(status, "generation", &number) && number == 0);
	assert_true(json_bool(status, "serving", &serving) && !serving);
	assert_true(str_eq_c(json_text(status, "state"), p.state));
	assert_true(str_eq_c(json_text(status, "master_key"), "beside the database"));
	const struct json *c = item(status, "certificates", "names", "shop.example.com");
	static const char *const members[] = { "names", "issuer", "not_after", "next_renewal",
		"reason", "served", "last_error" };
	BUF_AUTO text = BUF(64 << 10), member = BUF(64);
	json_print(c, &text);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		buf_clear(&member);
		buf_printf(&member, "\"%s\":", members[i]);
		assert_non_null(strstr(buf_c(&text), buf_c(&member)));
	}
	json_free(&status);
	serve_comes(&p);
	until(&p, p.committed == 1);
	settle(&p);
	status = status_of(&p);
	assert_true(json_int(status, "generation", &number) && number == 1);
	assert_true(json_bool(status, "serving", &serving) && serving);
	json_free(&status);
	serve_dies(&p);
	status = status_of(&p);
	assert_true(json_bool(status, "serving", &serving) && !serving);
	json_free(&status);
	place_done(&p);
}

/* What takes effect at a start only is said. */
static void what_a_reload_cannot_change(void **state)
{
	struct place p;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_string_equal(reload(&p, LISTEN SHOP "workers 7\nstate /srv/everseal\n"), "");
	assert_true(logged(
	        "warning: `workers` has changed in the configuration, which takes effect when "
	        "Everseal is started again; keeping the old one until then."));
	assert_true(logged("warning: `state` has changed"));
	assert_false(logged("`user` has changed"));
	place_done(&p);
}

/* ---- control.sock ---- */

/* The whole answer to one request, as a command gets it. */
static const char *ask(struct place *p, const char *method, const char *path)
{
	static struct buf answer = BUF_INIT(1 << 20);
	BUF_AUTO question = BUF(1024);
	char piece[4096];
	ssize_t n = -1;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "%.80s/control.sock", p->state);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
	buf_printf(&question, "%s %s HTTP/1.1\r\nHost: everseal\r\nConnection: close\r\n\r\n",
	        method, path);
	assert_int_equal(write(fd, question.p, question.n), question.n);
	buf_clear(&answer);
	for (int turns = 0; n && turns < 5000; turns++) {
		loop_turn(p->loop, 1);
		while ((n = read(fd, piece, sizeof piece)) > 0)
			buf_add(&answer, str_n(piece, (size_t)n));
	}
	close(fd);
	return buf_c(&answer);
}

static void the_api_answers_at_its_socket(void **state)
{
	struct place p;
	struct stat s;
	char path[128];
	(void)state;
	place_begin(&p, LISTEN SHOP "email me@example.com\nagree-to-terms yes\n");
	snprintf(path, sizeof path, "%s/control.sock", p.state);
	assert_int_equal(stat(path, &s), 0);
	assert_int_equal(s.st_mode & 0777, 0600);
	assert_non_null(strstr(ask(&p, "GET", "/api/status"), "\"generation\":1,"));
	assert_non_null(strstr(ask(&p, "GET", "/api/certificates/shop%2eexample.com"),
	        "\"names\":[\"shop.example.com\"]"));
	assert_non_null(strstr(ask(&p, "GET", "/api/certificates/none.example.com"), " 404 "));
	write_conf(&p, "sight\n");
	assert_non_null(strstr(ask(&p, "POST", "/api/reload"), "422"));
	write_conf(&p, LISTEN SHOP);
	assert_non_null(strstr(ask(&p, "POST", "/api/reload"), "200"));
	assert_int_equal(p.committed, 2);
	place_done(&p);
}

/* A task's events stream until it ends; HEAD wants only the head. */
static void events_stream(void **state)
{
	struct place p;
	BUF_AUTO path = BUF(256);
	(void)state;
	place_begin(&p, LISTEN STAR);
	REGISTER(&p, STR("a.example.com"));
	struct json *status = status_of(&p);
	struct str task = json_text(item(status, "certificates", "names", "a.example.com"), "task");
	assert_true(task.n);
	buf_printf(&path, "/api/tasks/%.*s/events", STR_ARG(task));
	json_free(&status);
	const char *head = ask(&p, "HEAD", buf_c(&path));
	assert_non_null(strstr(head, " 200 "));
	assert_true(str_ends(str_c(head), STR("\r\n\r\n")));
	place_done(&p);
}

/* ---- starting ---- */

/* Each is one sentence, with which the program ends. */
static void start_fails(struct place *p, enum err_code code, const char *words)
{
	struct err err = ERR_INIT;
	if (control_starts(p, &err))
		fail_msg("started, wanted: %s", words);
	if (err.code != code || !strstr(err.text, words))
		fail_msg("wanted %s \"%s\", got %s \"%s\"", err_code_name(code), words,
		        err_code_name(err.code), err.text);
	assert_int_equal(err.text[strlen(err.text) - 1], '.');
	assert_null(strchr(err.text, '\n'));
	control_ends(p);
}

static void master_path(const struct place *p, char path[128])
{
	snprintf(path, 128, "%s/master.key", p->state);
}

static void the_master_key_is_missing(void **state)
{
	struct place p;
	char path[128], saved[140];
	(void)state;
	place_begin(&p, LISTEN SHOP);
	control_ends(&p);
	master_path(&p, path);
	snprintf(saved, sizeof saved, "%s.saved", path);
	assert_int_equal(rename(path, saved), 0);
	start_fails(&p, ERR_NOT_FOUND,
	        "The master key is missing, and the database holds records sealed "
	        "under it.");
	assert_int_equal(access(path, F_OK), -1); /* none is made in its place */
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs("short", f) >= 0);
	assert_int_equal(fclose(f), 0);
	start_fails(&p, ERR_PERMISSION, "master.key");
	chmod(path, 0400);
	start_fails(&p, ERR_CORRUPT, "master.key");
	assert_int_equal(rename(saved, path), 0);
	control_begins(&p);
	until(&p, p.committed == 1);
	place_done(&p);
}

/* A key without its database is a loss: nothing begins anew until somebody says so. */
static void the_database_is_lost(void **state)
{
	struct place p;
	char path[128], saved[140], database[128];
	struct stat before, after;
	(void)state;
	place_begin(&p, LISTEN SHOP);
	control_ends(&p);
	master_path(&p, path);
	assert_int_equal(stat(path, &before), 0);
	snprintf(database, sizeof database, "%s/everseal.db", p.state);
	snprintf(saved, sizeof saved, "%s.saved", database);
	assert_int_equal(rename(database, saved), 0);
	start_fails(&p, ERR_CORRUPT, "the database beside it is gone or empty");
	assert_int_equal(access(database, F_OK), -1);
	close(open(database, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	start_fails(&p, ERR_CORRUPT, "Put back a copy of everseal.db; or, to begin anew");
	assert_int_equal(stat(database, &after), 0);
	assert_int_equal(after.st_size, 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	assert_int_equal(rename(saved, database), 0);
	control_begins(&p);
	until(&p, p.committed == 1);
	place_done(&p);
}

static void a_second_server(void **state)
{
	struct place p;
	struct control *second = mem_new(struct control);
	struct err err = ERR_INIT;
	int fds[2];
	(void)state;
	place_begin(&p, LISTEN SHOP);
	assert_true(link_pair(fds, &err));
	control_init(second, p.loop, fds[1]);
	second->state = str_dup(str_c(p.state));
	assert_false(control_open(second, &err));
	assert_non_null(strstr(err.text, p.state));
	control_done(second);
	free(second);
	close(fds[0]);
	place_done(&p);
}

/* ---- whom the processes become ---- */

static void state_directories(void **state)
{
	char dir[64] = "/tmp/everseal-identity-XXXXXX", path[128];
	struct stat s;
	struct err err = ERR_INIT;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/state", dir);
	assert_true(identity_state(path, &s, &err));
	assert_int_equal(s.st_mode & 07777, 0700);
	assert_int_equal(s.st_uid, geteuid());
	assert_true(identity_state(path, &s, &err));
	snprintf(path, sizeof path, "%s/no/state", dir);
	assert_false(identity_state(path, &s, &err));
	assert_non_null(
	        strstr(err.text, "/no/state cannot be made; make it yourself, or name another one "
	                         "with `state` or --state: No such file or directory."));
	assert_false(identity_state("/dev/null", &s, &err));
	assert_string_equal(err.text,
	        "/dev/null is not a directory; name another one for the state with "
	        "`state` or --state.");
	remove_all(dir);
}

static void users(void **state)
{
	enum { ROOT = 0, OTHER = 4711, NOBODY = 65534 };
	struct config none = { .user = STR("nobody") };
	struct config daemon = { .user = STR("daemon"), .user_set = true };
	struct config missing = { .user = STR("no-such-user"), .user_set = true };
	struct config root = { .user = STR("root"), .user_set = true };
	const struct {
		struct config *config;
		uid_t self, owner;
		int uid; /* -1: refused */
		const char *words;
	} cases[] = {
		{ &none, OTHER, OTHER, OTHER, NULL }, /* without root all share one user */
		{ &daemon, OTHER, OTHER, OTHER, NULL },
		{ &none, ROOT, ROOT, NOBODY, NULL },
		{ &none, ROOT, OTHER, NOBODY, NULL },
		{ &daemon, ROOT, ROOT, 1, NULL },
		{ &none, ROOT, NOBODY, -1,
		        "The user nobody owns the state directory /s, so whoever breaks into "
		        "the data plane could read the keys. Name another user with `user`, or "
		        "give the directory to another one." },
		{ &daemon, ROOT, 1, -1, "The user daemon owns the state directory /s," },
		{ &root, ROOT, ROOT, -1, "The user root owns the state directory /s," },
		{ &missing, ROOT, ROOT, -1,
		        "The system has no user no-such-user. Make it, or name another one with "
		        "`user` in the configuration." },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct control c = { .config = cases[i].config, .state = (char[]){ "/s" } };
		struct err err = ERR_INIT;
		bool ok = identity_choose(&c, cases[i].self, cases[i].owner, &err);
		if (ok != (cases[i].uid >= 0) || (ok && c.uid != cases[i].uid) ||
		        (!ok && !strstr(err.text, cases[i].words)))
			fail_msg("case %zu: %d, %s", i, c.uid, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_files),
		cmocka_unit_test(rows_of_routes),
		cmocka_unit_test(a_password_is_compared_to_the_end),
		cmocka_unit_test(rows_of_those_who_are_asked),
		cmocka_unit_test(registered_names_have_sites),
		cmocka_unit_test(a_name_has_one_site),
		cmocka_unit_test(registered_addresses),
		cmocka_unit_test(a_held_address_is_told),
		cmocka_unit_test(what_dns_proves_waits_for_no_port),
		cmocka_unit_test(temporary_certificates),
		cmocka_unit_test(removed_names),
		cmocka_unit_test(forgotten_names),
		cmocka_unit_test(a_restart_keeps_what_was_issued),
		cmocka_unit_test(a_reload_registers),
		cmocka_unit_test(a_refused_reload_registers_nothing),
		cmocka_unit_test(the_default_issuers_thumbprint),
		cmocka_unit_test(an_unreadable_account_key),
		cmocka_unit_test(what_serve_tells),
		cmocka_unit_test(status_before_and_after),
		cmocka_unit_test(what_a_reload_cannot_change),
		cmocka_unit_test(the_api_answers_at_its_socket),
		cmocka_unit_test(events_stream),
		cmocka_unit_test(the_master_key_is_missing),
		cmocka_unit_test(the_database_is_lost),
		cmocka_unit_test(a_second_server),
		cmocka_unit_test(state_directories),
		cmocka_unit_test(users),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
