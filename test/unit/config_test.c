#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "config/config.h"
#include "config/parts.h"

#include <sys/stat.h>

/* Rows as another module would declare them. */
static const struct setting rows[] = {
	{ .name = "idle-timeout",
	        .type = SETTING_DURATION,
	        .fallback = "75s",
	        .least = 100,
	        .most = DAY,
	        .help = "How long a connection is kept." },
	{ .name = "body-most",
	        .type = SETTING_SIZE,
	        .fallback = "0",
	        .least = 0,
	        .most = INT64_C(1) << 40,
	        .help = "The longest body." },
};
enum { ROWS = sizeof rows / sizeof *rows };
static const struct setting proxy_rows[] = {
	{ .name = "fails",
	        .type = SETTING_COUNT,
	        .fallback = "3",
	        .most = 1000,
	        .help = "How often it may fail." },
	{ .name = "answer-timeout",
	        .type = SETTING_DURATION,
	        .fallback = "",
	        .least = 10,
	        .most = DAY,
	        .help = "As at top level." },
};
static const struct setting health_rows[] = {
	{ .name = "interval",
	        .type = SETTING_DURATION,
	        .fallback = "10s",
	        .least = 100,
	        .most = DAY,
	        .help = "How often it is asked." },
};
static const struct config_source source = { .file = "f",
	.extra = { rows, ROWS },
	.proxy = { proxy_rows, 2 },
	.health = { health_rows, 1 } };

static char folder[] = "/tmp/everseal-config-XXXXXX";

static struct config *parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct config *c = config_parse(&source, str_c(text), NULL, &err);
	if (!c)
		fail_msg("%s\n%s", text, err.text);
	return c;
}

static void assert_text(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

static void put_file(const char *name, const char *content)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBejCCASGgAwIBAgIUF6YK0hnhFqOSCdfPcG0vVbQzV3QwCgYIKoZIzj0EAwIw\n"
                          "-----END CERTIFICATE-----\n";

/* One line of text, and each error's whole text. */
struct mistake {
	const char *text, *want;
};
static const struct mistake mistakes[] = {
	/* the grammar */
	{ "htps 0.0.0.0:443", "f:1:1: There is no directive \"htps\": did you mean `https`?\n" },
	{ "# c\n\n  nothing-like-it 1", "f:3:3: There is no directive \"nothing-like-it\": the "
	                                "nearest here is `notify`; "
	                                "everseal.conf(5) lists all.\n" },
	{ "proxy 127.0.0.1:1", "f:1:1: `proxy` stands in a block: `site NAME { … }`.\n" },
	{ "site a.test { workers 2; proxy 127.0.0.1:1 }",
	        "f:1:15: `workers` stands at top level, not in a block.\n" },
	{ "site a.test { proxi 127.0.0.1:1; proxy 127.0.0.1:1 }",
	        "f:1:15: There is no directive \"proxi\": did you mean `proxy`?\n" },
	{ "workers", "f:1:1: `workers` is incomplete: write `workers NUMBER`.\n" },
	{ "workers 1 2", "f:1:11: \"2\" is one word too many: write `workers NUMBER`.\n" },
	{ "workers 1\nworkers 1", "f:2:1: `workers` was given already, in line 1.\n" },
	{ "workers 1 { }", "f:1:11: `workers` takes no block: write `workers NUMBER`.\n" },
	{ "workers 5000", "f:1:9: `workers` may be 0 to 1024, not 5000.\n" },
	{ "workers many", "f:1:9: \"many\" is not a number.\n" },
	{ "site a.test {\n proxy 127.0.0.1:1\n",
	        "f:1:13: The block that opens here is not closed: add a }.\n" },
	{ "workers 1\n}", "f:2:1: This } closes nothing: remove it.\n" },
	{ "challenge-ports\n{ http 80 }",
	        "f:1:1: `challenge-ports` is incomplete: write `challenge-ports { http PORT; https "
	        "PORT "
	        "}`.\n"
	        "f:2:1: A { stands on the line of its directive: move it there.\n" },
	{ "state \"/a", "f:1:7: This quote is not closed on its line.\n" },
	{ "state '/a\n'", "f:1:7: This quote is not closed on its line.\n"
	                  "f:2:1: This quote is not closed on its line.\n" },
	{ "state /a\"b\"", "f:1:9: A quote begins inside a word: quote the whole word.\n" },
	{ "state \"/a\"b", "f:1:11: After the closing quote a space is missing.\n" },
	{ "state \"/a\\n\"", "f:1:10: A backslash in \"…\" stands before \" or \\ only: write \\\\ "
	                     "for one, or use "
	                     "'…'.\n" },
	{ "state /a\001", "f:1:9: A control character (0x01) stands here: remove it.\n" },
	{ "state /ä\r x", "f:1:9: A control character (0x0d) stands here: remove it.\n" },
	{ "site a\"b\" { proxy x }\nworkers x",
	        "f:1:7: A quote begins inside a word: quote the whole word.\n"
	        "f:2:9: \"x\" is not a number.\n" },
	{ "'\nworkers x", "f:1:1: This quote is not closed on its line.\n"
	                  "f:2:9: \"x\" is not a number.\n" },
	{ "state /\xc3\x28",
	        "f:1:8: This byte (0xc3) is not UTF-8: save the file in that encoding.\n" },
	{ "a{a{a{a{a{a{a{a{a{", "f:1:1: There is no directive \"a\": the nearest here is `page`; "
	                        "everseal.conf(5) lists all.\n"
	                        "f:1:18: Blocks stand more than 8 deep here.\n" },
	/* addresses */
	{ "http 80", "f:1:6: 80 is a port without an address: write 0.0.0.0:80 for every IPv4 "
	             "address.\n" },
	{ "https 127.0.0.1", "f:1:7: 127.0.0.1 has no port: write 127.0.0.1:443.\n" },
	{ "http [::1]", "f:1:6: [::1] has no port: write [::1]:80.\n" },
	{ "http ::1", "f:1:6: The IPv6 address ::1 needs brackets: [::1].\n" },
	{ "http shop.example.com:80", "f:1:6: \"shop.example.com\" is not an IP address: write "
	                              "one, such as 127.0.0.1:80 or "
	                              "[::1]:80.\n" },
	{ "http 127.0.0.1:70000",
	        "f:1:6: \"70000\" is not a port: write a number from 1 to 65535.\n" },
	{ "http 300.0.0.1:80",
	        "f:1:6: \"300.0.0.1\" is not an IP address: write one, such as 127.0.0.1:80 or "
	        "[::1]:80.\n" },
	{ "http 127.0.0.1:8080\nhttps 127.0.0.1:8080",
	        "f:2:7: Port 8080 is taken already, by `http 127.0.0.1:8080` in line 1.\n" },
	{ "https 0.0.0.0:8080 127.0.0.1:8080",
	        "f:1:20: Port 8080 is taken already, by `https 0.0.0.0:8080` in line 1.\n" },
	{ "https [::1]:8443\nhttp [0:0::1]:8443",
	        "f:2:6: Port 8443 is taken already, by `https [::1]:8443` in line 1.\n" },
	{ "https 127.0.0.1:80", "f:1:7: Port 80 is taken already, by the default `http "
	                        "0.0.0.0:80`: give `http` a line "
	                        "of its own.\n" },
	{ "page 127.0.0.1:443", "f:1:6: Port 443 is taken already, by the default `https "
	                        "0.0.0.0:443`: give `https` a "
	                        "line of its own.\n" },
	{ "resolver ns.example.com", "f:1:10: \"ns.example.com\" is not an IP address: write one, "
	                             "such as 127.0.0.1:53 or "
	                             "[::1]:53.\n" },
	{ "trusted-proxy 10.0.0.0/33", "f:1:15: \"10.0.0.0/33\" is neither an IP address nor a "
	                               "network such as 10.0.0.0/8.\n" },
	{ "trusted-proxy proxy", "f:1:15: \"proxy\" is neither an IP address nor a network such as "
	                         "10.0.0.0/8.\n" },
	{ "trusted-proxy 10.1.2.3/12",
	        "f:1:15: The network of 10.1.2.3/12 is 10.0.0.0/12: write that.\n" },
	{ "challenge-ports { http 0 }",
	        "f:1:24: \"0\" is not a port: write a number from 1 to 65535.\n" },
	/* values */
	{ "idle-timeout 10", "f:1:14: \"10\" has no unit: write 10s, 10min, 10h or 10d.\n" },
	{ "idle-timeout 10m", "f:1:14: \"10m\" is not a time: write a number and ms, s, min, h, d "
	                      "or y, as in 10s.\n" },
	{ "idle-timeout 99999999999999999999s", "f:1:14: \"99999999999999999999s\" is not a time: "
	                                        "write a number and ms, s, min, h, d or "
	                                        "y, as in 10s.\n" },
	{ "idle-timeout 2d", "f:1:14: `idle-timeout` may be 100ms to 1d, not 2d.\n" },
	{ "idle-timeout 0s", "f:1:14: `idle-timeout` may be 100ms to 1d, not 0s.\n" },
	{ "body-most 1t",
	        "f:1:11: \"1t\" is not a size: write a number of bytes, or one with k, m or "
	        "g, as in 64k.\n" },
	{ "body-most 2000g", "f:1:11: `body-most` may be 0 to 1024g, not 2000g.\n" },
	{ "agree-to-terms on", "f:1:16: \"on\" is neither yes nor no.\n" },
	{ "https 127.0.0.1:1 { proxy-protocol }",
	        "f:1:7: `proxy-protocol` believes what a proxy says, and no proxy is trusted: add "
	        "`trusted-proxy ADDRESS`.\n" },
	{ "access-log", "f:1:1: `access-log` is incomplete: write `access-log off | "
	                "common|combined|json PATH|stderr`.\n" },
	{ "access-log json", "f:1:1: `access-log` is incomplete: write `access-log json PATH`.\n" },
	{ "access-log xml /x",
	        "f:1:12: \"xml\" is no format: write off, common, combined or json.\n" },
	{ "access-log json x", "f:1:17: \"x\" is neither stderr nor an absolute path.\n" },
	{ "state /usr\naccess-log json /usr/bin/../lib/log",
	        "f:2:1: The access log would be written into the state directory /usr, which is "
	        "Everseal's own: name a file elsewhere.\n" },
	{ "access-log off /x", "f:1:16: Nothing may follow `access-log off`.\n" },
	{ "site a.example { proxy 127.0.0.1:1; access-log on }",
	        "f:1:48: A site knows `access-log off` alone: where the log is stands at top "
	        "level.\n" },
	{ "tls-policy old",
	        "f:1:12: \"old\" is no policy for TLS: write modern or intermediate.\n" },
	{ "agree-to-terms yes", "f:1:1: `agree-to-terms yes` needs an `email MAIL` beside it.\n" },
	{ "state var", "f:1:7: \"var\" is not an absolute path: write one that begins with /.\n" },
	{ "user nobody-like-this", "f:1:6: This machine has no user \"nobody-like-this\": create "
	                           "it, or name another.\n" },
	{ "hsts off preload", "f:1:10: Nothing may follow `hsts off`.\n" },
	{ "hsts yes",
	        "f:1:6: \"yes\" is not a time: write a number and ms, s, min, h, d or y, as in "
	        "10s.\n" },
	{ "hsts 1y subdomains",
	        "f:1:9: \"subdomains\" is unknown to `hsts`: behind the time may stand "
	        "include-subdomains and preload.\n" },
	{ "hsts 1y preload",
	        "f:1:1: Browsers take no name into their preload list without all of it: "
	        "write `hsts 1y include-subdomains preload`.\n" },
	{ "hsts 30d include-subdomains preload", "f:1:1: Browsers take no name into their preload "
	                                         "list without all of it: write `hsts 1y "
	                                         "include-subdomains preload`.\n" },
	/* sites */
	{ "site a.test", "f:1:1: This site does not say where its application listens: add a block "
	                 "with `proxy ADDRESS:PORT`.\n" },
	{ "site { proxy 127.0.0.1:1 }",
	        "f:1:1: `site` is incomplete: write `site NAME… { … } | * { … }`.\n" },
	{ "site a.test A.test { proxy 127.0.0.1:1 }", "f:1:13: a.test is named twice.\n" },
	{ "site a.test { proxy 127.0.0.1:1 }\nsite b.test a.test. { proxy 127.0.0.1:1 }",
	        "f:2:13: a.test has a site already, in line 1: a name belongs to one site.\n" },
	{ "site * { proxy 127.0.0.1:1 }\nsite * { proxy 127.0.0.1:1 }",
	        "f:2:6: * has a site already, in line 1: a name belongs to one site.\n" },
	{ "site a.test * { proxy 127.0.0.1:1 }", "f:1:13: `site *` stands for every name without a "
	                                         "site: it takes no other name beside "
	                                         "it.\n" },
	{ "page 127.0.0.1:8007 a.test\nsite a.test { proxy 127.0.0.1:1 }",
	        "f:2:6: a.test is the page's name: a site needs another, since the page shares its "
	        "origin with nobody.\n" },
	{ "site a.test { proxy http://me:secret@app:3000/x }",
	        "f:1:21: An application's address has no user name and no password: leave out what "
	        "stands before @.\n" },
	{ "site a.test { proxy https://app:3000/x }",
	        "f:1:21: \"https://app:3000/x\" has a path, but requests are passed on with the "
	        "path that they have: write https://app:3000.\n" },
	{ "site a.test { proxy app:3000/ }",
	        "f:1:21: \"app:3000/\" has a path, but requests are passed on with the path that "
	        "they have: write app:3000.\n" },
	{ "site a.test { proxy h2c://app:3000/x }",
	        "f:1:21: \"h2c://app:3000/x\" has a path, but requests are passed on with the path "
	        "that they have: write h2c://app:3000.\n" },
	{ "site a.test { proxy 10.0.0.300:80 }",
	        "f:1:21: \"10.0.0.300\" is neither an IP address nor a host name.\n" },
	{ "site a.test { proxy unix:app.sock }",
	        "f:1:21: \"unix:app.sock\" is not the path of a Unix socket: write unix: and an "
	        "absolute path, such as unix:/run/app/app.sock.\n" },
	{ "site a.test { proxy unix:/run/ }",
	        "f:1:21: \"unix:/run/\" is not the path of a Unix socket: write unix: and an "
	        "absolute path, such as unix:/run/app/app.sock.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { sticky 'a b' } }",
	        "f:1:42: \"a b\" cannot name a cookie: write one word of letters and digits.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { health app } }",
	        "f:1:42: \"app\" is not a path to ask for: write one such as /health.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { health / { interval 5 } } }",
	        "f:1:55: \"5\" has no unit: write 5s, 5min, 5h or 5d.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { fails 2000 } }",
	        "f:1:41: `fails` may be 0 to 1000, not 2000.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { interval 5s } }",
	        "f:1:35: `interval` stands in a block: `health PATH { … }`.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { weight 10.0.0.1:1 2 } }",
	        "f:1:42: 10.0.0.1:1 is none of the applications that `proxy` names here.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { weight 10.1.1.1:80 0 } }",
	        "f:1:54: `weight` may be 1 to 1000, not 0.\n" },
	{ "site a.test { proxy 10.1.1.1:80 { weight 10.1.1.1:80 2; weight 10.1.1.1:80 3 } }",
	        "f:1:64: 10.1.1.1:80 has a weight already.\n" },
	{ "site a.test {\n proxy 10.1.1.1:80 { fails 1 }\n proxy 10.1.1.1:81 { fails 2 }\n}",
	        "f:3:20: What is said of this site's applications stands in line 2 already: put "
	        "it all there.\n" },
	{ "site a.test { proxy 127.0.0.1 }",
	        "f:1:21: The port is missing: write \"127.0.0.1:PORT\".\n" },
	{ "site a.test { proxy 0.0.0.0:3000 }", "f:1:21: Nobody can connect to 0.0.0.0: write "
	                                        "127.0.0.1:3000 if the application runs here.\n" },
	{ "site a.test { proxy 127.0.0.1:1 localhost:1 }",
	        "f:1:33: localhost:1 is named twice.\n" },
	{ "site a.test { proxy 127.0.0.1:1; challenge take }",
	        "f:1:44: `challenge` knows one word: write `challenge pass`, or leave the line "
	        "out.\n" },
	{ "site a.test { proxy 127.0.0.1:1; renew-before 1min }",
	        "f:1:47: `renew-before` may be 1h to 1y, not 1min.\n" },
	/* issuers */
	{ "site a.test { proxy 127.0.0.1:1; issuer corp }",
	        "f:1:41: There is no issuer \"corp\": known are letsencrypt, letsencrypt-staging, "
	        "zerossl, google, buypass, internal; others need `issuer NAME { directory URL }` "
	        "at top level.\n" },
	{ "issuer zero",
	        "f:1:8: There is no issuer \"zero\": known are letsencrypt, "
	        "letsencrypt-staging, zerossl, google, buypass, internal; others need `issuer "
	        "NAME { directory URL }` at top level.\n" },
	{ "issuer letsencrypt { directory https://ca.test/dir }",
	        "f:1:22: `letsencrypt` is built in, with the directory "
	        "https://acme-v02.api.letsencrypt.org/directory: give an authority at another one "
	        "a name of its own.\n" },
	{ "site a.test { proxy 127.0.0.1:1; issuer internal zerossl }",
	        "f:1:1: zerossl issues nothing for a.test, which no authority can reach from "
	        "outside: give the site `issuer internal`, or an authority of your own.\n" },
	{ "site shop.example.com 10.0.0.1 { proxy 127.0.0.1:1; issuer letsencrypt }",
	        "f:1:1: letsencrypt issues nothing for 10.0.0.1, which no authority can reach "
	        "from outside: give the site `issuer internal`, or an authority of your own.\n" },
	{ "email a@example.com\nagree-to-terms yes\nissuer letsencrypt\nsite intranet { proxy "
	  "127.0.0.1:1 }",
	        "f:4:1: letsencrypt issues nothing for intranet, which no authority can reach "
	        "from outside: give the site `issuer internal`, or an authority of your own.\n" },
	{ "issuer letsencrypt\nissuer internal",
	        "f:2:1: `issuer` was chosen already, in line 1: other "
	        "issuers may be named in sites.\n" },
	{ "issuer https://ca.test/dir",
	        "f:1:8: \"https://ca.test/dir\" cannot name an issuer: use small letters, digits "
	        "and "
	        "hyphens, and put its URL into the block: `issuer NAME { directory URL }`.\n" },
	{ "issuer ca { }", "f:1:1: This issuer has no `directory`: add the URL of its ACME "
	                   "directory.\n" },
	{ "issuer ca { directory https://a/ }\nissuer ca { directory https://b/ }",
	        "f:2:8: The issuer ca was defined already, in line 1.\n" },
	{ "issuer internal { directory https://a/ }",
	        "f:1:8: `internal` is Everseal's own authority and has no directory: give yours "
	        "another "
	        "name.\n" },
	{ "issuer ca { directory http://ca.test/dir }",
	        "f:1:23: An ACME directory is spoken to over HTTPS only: write https://.\n" },
	{ "issuer ca { directory https://a/; trust /nowhere/ca.pem }",
	        "f:1:41: \"/nowhere/ca.pem\" cannot be read: No such file or directory.\n" },
	{ "issuer ca { directory https://a/; trust /tmp }", "f:1:41: \"/tmp\" is not a file.\n" },
	{ "issuer ca { directory https://a/; trust /dev/null }",
	        "f:1:41: \"/dev/null\" is not a file.\n" },
	{ "issuer ca { directory https://a/; eab kid @/nowhere/key }",
	        "f:1:43: \"/nowhere/key\" cannot be read: No such file or directory.\n" },
	{ "issuer ca { directory https://a/; eab kid credential:../x }",
	        "f:1:43: \"../x\" is not the name of a credential.\n" },
	{ "issuer ca { directory https://a/; eab kid 'not base64' }",
	        "f:1:43: The key is not base64url: copy it as the authority shows it.\n" },
	{ "dns-challenge { }", "f:1:1: `dns-challenge` says no way: write `update ADDRESS:PORT`, "
	                       "`program PATH`, `delegated ZONE` or `persist yes` in it.\n" },
	{ "dns-challenge { update ns.example.com }",
	        "f:1:24: \"ns.example.com\" is not an IP address: write one, such as 127.0.0.1:53 "
	        "or [::1]:53.\n" },
	{ "dns-challenge { update 10.0.0.1; tsig k hmac-md5 YWJj }",
	        "f:1:41: \"hmac-md5\" is no algorithm for TSIG: write hmac-sha256, hmac-sha512 or "
	        "hmac-sha1.\n" },
	{ "dns-challenge { update 10.0.0.1; tsig k hmac-sha256 *** }",
	        "f:1:53: The secret of a TSIG key is base64: copy what stands behind `secret` in "
	        "the name server's own configuration.\n" },
	{ "dns-challenge { update 10.0.0.1; delegated a.test }",
	        "f:1:34: Only one of `update`, `program` and `delegated` can be the way.\n" },
	{ "dns-challenge { delegated a.test }",
	        "f:1:1: `delegated ZONE` and `listen ADDRESS:PORT` go together: the zone is "
	        "answered for there.\n" },
	{ "dns-challenge { program my-hook; run-as root }",
	        "f:1:25: \"my-hook\" is not an absolute path: no shell looks for it.\n" },
	{ "dns-challenge { persist yes; zone a.test }",
	        "f:1:1: `zone` and `tsig` belong to `update ADDRESS:PORT`, which is not there.\n" },
	{ "issuer ca { directory https://a/; eab kid }",
	        "f:1:35: `eab` is incomplete: write `eab KID KEY`.\n" },
};

static void a_mistake_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		const struct mistake *m = &mistakes[i];
		struct err err = ERR_INIT;
		BUF_AUTO lines = BUF_INIT(64 << 10);
		struct config *c = config_parse(&source, str_c(m->text), &lines, &err);
		if (c)
			fail_msg("no error in: %s", m->text);
		if (!str_eq_c(buf_str(&lines), m->want))
			fail_msg("%s\ngot:  %swant: %s", m->text, buf_c(&lines), m->want);
		const struct str want = str_c(m->want);
		assert_text(str_head(want, str_find(want, '\n')), err.text);
	}
}

/* The sentence is certs/'s; that it is asked, and where it is pointed at, is ours. */
static void names_and_mail_are_checked_where_they_stand(void **state)
{
	(void)state;
	static const struct mistake places[] = {
		{ "site https://shop.example.com/x { proxy 127.0.0.1:1 }", "f:1:6: " },
		{ "site a.test  a_b.test { proxy 127.0.0.1:1 }", "f:1:14: " },
		{ "site 0.0.0.0 { proxy 127.0.0.1:1 }", "f:1:6: " },
		{ "site *.example.com { proxy 127.0.0.1:1 }", "f:1:6: " },
		{ "site '' { proxy 127.0.0.1:1 }", "f:1:6: " },
		{ "email ops", "f:1:7: " },
		{ "site a.test { email 'a b@c'; proxy 127.0.0.1:1 }", "f:1:21: " },
		{ "page 127.0.0.1:8007 http://page/", "f:1:21: " },
	};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		struct err err = ERR_INIT;
		struct config *c = config_parse(&source, str_c(places[i].text), NULL, &err);
		if (c || !str_starts(str_c(err.text), str_c(places[i].want)))
			fail_msg("%s\ngot: %s", places[i].text, err.text);
	}
	struct err err = ERR_INIT;
	assert_null(config_parse(
	        &source, STR("site https://shop.example.com/x { proxy 127.0.0.1:1 }"), NULL, &err));
	assert_non_null(strstr(err.text, " shop.example.com"));
}

static void nothing_written_is_all_defaults(void **state)
{
	(void)state;
	struct config *c = parsed("");
	assert_text(c->state, "/var/lib/everseal");
	assert_int_equal(c->http_count, 2);
	assert_text(c->http[0].host, "0.0.0.0");
	assert_int_equal(c->http[0].port, 80);
	assert_text(c->https[1].host, "::");
	assert_int_equal(c->https[1].port, 443);
	assert_int_equal(c->https[1].at.line, 0);
	assert_false(c->https_set || c->user_set || c->force_ssl_set || c->hsts.set);
	assert_text(c->page, "127.0.0.1:8007");
	assert_null(c->page_name.p);
	assert_null(c->email.p);
	assert_null(c->issuer.p);
	assert_int_equal(c->challenge_http, 80);
	assert_int_equal(c->challenge_https, 443);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->site_count, 0);
	assert_int_equal(c->issuer_count, 6);
	assert_text(config_issuer(c, STR("letsencrypt"))->directory,
	        "https://acme-v02.api.letsencrypt.org/directory");
	assert_null(config_issuer(c, STR("internal"))->directory.p);
	assert_null(config_issuer(c, STR("other")));
	assert_int_equal(c->limit_count, ROWS);
	assert_string_equal(c->limits[0].name, "idle-timeout");
	assert_int_equal(c->limits[0].value, 75000);
	config_free(&c);
	assert_null(c);
}

static void the_page_has_an_address_or_is_off(void **state)
{
	(void)state;
	struct config *c = parsed("");
	assert_text(c->page_listen.host, "127.0.0.1");
	assert_int_equal(c->page_listen.port, 8007);
	config_free(&c);
	c = parsed("page [2001:db8::1]:9 page.example.com\n");
	assert_text(c->page_listen.host, "2001:db8::1");
	assert_int_equal(c->page_listen.port, 9);
	config_free(&c);
	c = parsed("page off\n");
	assert_null(c->page_listen.host.p);
	assert_null(c->page_name.p);
	config_free(&c);
}

static void words_are_quoted_in_two_ways(void **state)
{
	(void)state;
	static const struct mistake words[] = {
		{ "\xef\xbb\xbfstate /a # comment\r\n", "/a" },
		{ "state \"/a b\"", "/a b" },
		{ "state \"/a \\\"b\\\" \\\\\";", "/a \"b\" \\" },
		{ "state '/a \"\\b'", "/a \"\\b" },
		{ "state '/{;}#' # comment", "/{;}#" },
		{ "state /a#b", "/a#b" },
		{ "state /a\\b", "/a\\b" },
		{ "state /ä//", "/ä" },
		{ "state /", "/" },
		{ ";;state /x;;", "/x" },
	};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct config *c = parsed(words[i].text);
		assert_text(c->state, words[i].want);
		config_free(&c);
	}
}

static void a_whole_file_is_read(void **state)
{
	(void)state;
	struct config *c = parsed(
	        "site * { proxy 127.0.0.1:3000 }\n"
	        "http 0.0.0.0:80 [::]:80\nhttps 0.0.0.0:443\nhttps [::0]:443 { proxy-protocol }\n"
	        "page 127.0.0.1:8007 Page.Example.com\n"
	        "email ops@example.com\nagree-to-terms yes\nuser nobody\nworkers 3\n"
	        "resolver 127.0.0.1 [::1]:5353\ntrusted-proxy 10.0.0.0/8 192.168.1.1\n"
	        "challenge-ports { http 5002; https 5001 }\nidle-timeout 1h; body-most 16m\n"
	        "hsts 1d\nforce-ssl yes\n"
	        "site Shop.example.com. www.shop.example.com {\n\tproxy localhost:3001 "
	        "[fe80::1]:80\n"
	        "\tforce-ssl no\n\thsts 1y include-subdomains preload\n\temail shop@example.com\n"
	        "\tissuer letsencrypt-staging; challenge pass; renew-before 30d\n}\n"
	        "site off.example.com { hsts off; proxy 169.254.1.1:1 }\n");
	assert_int_equal(c->https_count, 2);
	assert_true(c->https_set && c->user_set && c->agree_to_terms);
	assert_text(c->https[1].host, "::");
	assert_int_equal(c->https[1].at.line, 4);
	assert_true(c->https[1].proxy_protocol);
	assert_false(c->https[0].proxy_protocol || c->http[1].proxy_protocol);
	assert_int_equal(c->https[1].at.column, 7);
	assert_text(c->page_name, "page.example.com");
	assert_int_equal(c->page_listen.at.line, c->page_at.line);
	assert_text(c->resolvers[0], "127.0.0.1:53");
	assert_text(c->resolvers[1], "[::1]:5353");
	assert_text(c->trusted_proxies[0], "10.0.0.0/8");
	assert_text(c->trusted_proxies[1], "192.168.1.1/32");
	assert_int_equal(c->challenge_https, 5001);
	assert_int_equal(c->limits[0].value, 3600000);
	assert_int_equal(c->limits[1].value, 16 << 20);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->site_count, 3);
	const struct config_site *any = &c->sites[0], *shop = &c->sites[1], *off = &c->sites[2];
	assert_true(any->fallback && any->force_ssl && any->name_count == 0);
	assert_int_equal(any->hsts.max_age, 86400);
	assert_text(any->email, "ops@example.com");
	assert_null(any->issuer.p);
	assert_int_equal(shop->at.line, 16);
	assert_text(shop->names[0], "shop.example.com");
	assert_text(shop->names[1], "www.shop.example.com");
	assert_text(shop->upstreams[0].shown, "localhost:3001");
	assert_text(shop->upstreams[0].host, "127.0.0.1");
	assert_int_equal(shop->upstreams[0].port, 3001);
	assert_text(shop->upstreams[1].host, "fe80::1");
	assert_true(shop->force_ssl_set && !shop->force_ssl && shop->challenge_pass);
	assert_true(shop->hsts.subdomains && shop->hsts.preload);
	assert_int_equal(shop->hsts.max_age, 31536000);
	assert_text(shop->email, "shop@example.com");
	assert_text(shop->issuer, "letsencrypt-staging");
	assert_true(shop->renew_before_at.line && shop->renew_before == 30 * DAY);
	assert_true(off->hsts.set && off->hsts.max_age == 0);
	config_free(&c);
}

static void the_default_issuer_is_the_chosen_one_else_the_first_defined(void **state)
{
	(void)state;
	static const struct mistake files[] = {
		{ "issuer internal", "internal" },
		{ "issuer b { directory https://b/ }\nissuer a { directory https://a/ }", "b" },
		{ "issuer b { directory https://b/ }\nissuer letsencrypt", "letsencrypt" },
		{ "issuer a\nissuer b { directory https://b/ }\nissuer a { directory https://a/ }",
		        "a" },
		{ "issuer letsencrypt { directory https://acme-v02.api.letsencrypt.org/directory; "
		  "rehearsal off }",
		        "letsencrypt" },
	};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		struct config *c = parsed(files[i].text);
		assert_text(c->issuer, files[i].want);
		assert_non_null(config_issuer(c, c->issuer));
		config_free(&c);
	}
	struct config *c = parsed(files[4].text);
	assert_text(config_issuer(c, STR("letsencrypt"))->directory,
	        "https://acme-v02.api.letsencrypt.org/directory");
	assert_null(config_issuer(c, STR("letsencrypt"))->rehearsal.p);
	assert_int_equal(c->issuer_count, 6);
	config_free(&c);
}

static void secrets_come_from_text_file_or_credential(void **state)
{
	(void)state;
	put_file("key", "c2VjcmV0\r\n");
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	char text[512];
	const char *const ways[] = { "c2VjcmV0", "c2VjcmV0=", "credential:key", "@" };
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		snprintf(text, sizeof text, "issuer ca { directory https://a/; eab kid %s%s%s }",
		        ways[i], ways[i][0] == '@' ? folder : "", ways[i][0] == '@' ? "/key" : "");
		struct config *c = parsed(text);
		assert_text(config_issuer(c, STR("ca"))->eab_kid, "kid");
		assert_text(config_issuer(c, STR("ca"))->eab_hmac, "c2VjcmV0");
		config_free(&c);
	}
	unsetenv("CREDENTIALS_DIRECTORY");
	struct err err = ERR_INIT;
	assert_null(config_parse(&source,
	        STR("issuer ca { directory https://a/; eab kid credential:key }"), NULL, &err));
	assert_non_null(strstr(err.text, "$CREDENTIALS_DIRECTORY is not set"));
}

static void a_trust_file_holds_certificates(void **state)
{
	(void)state;
	static const struct mistake contents[] = {
		{ "", "is of no use: It holds no certificate in PEM" },
		{ "-----BEGIN PRIVATE KEY-----\n", "is of no use: It holds no certificate in PEM" },
		{ pem, "is of no use: " },
		{ "-----BEGIN CERTIFICATE-----\nMIIB", "is of no use: " },
	};
	char text[512];
	for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
		put_file("trust", contents[i].text);
		snprintf(text, sizeof text, "issuer ca { directory https://a/; trust %s/trust }",
		        folder);
		struct err err = ERR_INIT;
		assert_null(config_parse(&source, str_c(text), NULL, &err));
		if (!strstr(err.text, contents[i].want) || !strstr(err.text, "f:1:41: "))
			fail_msg("%s", err.text);
	}
}

static void twenty_errors_are_told_in_their_order(void **state)
{
	(void)state;
	BUF_AUTO text = BUF_INIT(64 << 10);
	BUF_AUTO lines = BUF_INIT(64 << 10);
	struct err err = ERR_INIT;
	/* An error of the whole file belongs to a line before those of the values. */
	buf_add_c(&text, "agree-to-terms yes\n");
	for (int i = 0; i < 50; i++)
		buf_add_c(&text, "http x:1\n");
	assert_null(config_parse(&source, buf_str(&text), &lines, &err));
	struct str rest = buf_str(&lines), line;
	unsigned want = 1;
	while (str_split(&rest, '\n', &line) && line.n) {
		char start[32];
		snprintf(start, sizeof start, "f:%u:", want++);
		assert_true(str_starts(line, str_c(start)));
	}
	assert_int_equal(want - 1, CONFIG_ERRORS_MOST);
}

static void a_site_has_at_most_a_hundred_names(void **state)
{
	(void)state;
	for (int count = 100; count <= 101; count++) {
		BUF_AUTO text = BUF_INIT(64 << 10);
		struct err err = ERR_INIT;
		buf_add_c(&text, "site ");
		for (int i = 0; i < count; i++)
			buf_printf(&text, "n%d.test ", i);
		buf_add_c(&text, "{ proxy 127.0.0.1:1 }");
		struct config *c = config_parse(&source, buf_str(&text), NULL, &err);
		assert_int_equal(c != NULL, count == 100);
		if (!c)
			assert_string_equal(err.text,
			        "f:1:1: This site has 101 names, and a certificate "
			        "holds 100: make several sites of it.");
		config_free(&c);
	}
}

static void a_file_is_there_or_may_be_missing(void **state)
{
	(void)state;
	char path[256];
	snprintf(path, sizeof path, "%s/everseal.conf", folder);
	struct config_source from = { .file = path, .optional = true };
	struct err err = ERR_INIT;
	struct config *c = config_read(&from, NULL, &err);
	assert_non_null(c);
	assert_int_equal(err.code, ERR_NONE);
	config_free(&c);
	from.optional = false;
	BUF_AUTO lines = BUF_INIT(4096);
	assert_null(config_read(&from, &lines, &err));
	assert_non_null(strstr(buf_c(&lines), "everseal.conf\" cannot be read: No such file"));
	struct arena a = ARENA_INIT;
	assert_text(config_state_of(path, &a), "/var/lib/everseal");
	put_file("everseal.conf",
	        "nonsense {\nstate relative\nstate '/srv/x/' ; }\n state /srv/y/\n");
	assert_null(config_read(&from, NULL, &err));
	assert_text(config_state_of(path, &a), "/srv/y");
	put_file("everseal.conf", "state /srv/z");
	c = config_read(&from, NULL, &err);
	assert_text(c->state, "/srv/z");
	assert_text(c->file, path);
	config_free(&c);
	arena_done(&a);
}

static void every_row_is_in_the_manual(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_true(config_manual_complete(&source, &err));
	BUF_AUTO text = BUF_INIT(1 << 20);
	config_manual(&source, &text);
	static const char *const wanted[] = {
		"\n*https* ADDRESS:PORT… [{ proxy-protocol }]\n\tListen here",
		"\n\tDefault: 0.0.0.0:443 [::]:443\n",
		"\n*body-most* SIZE\n\tThe longest body.\n\n\tFrom 0 to 1024g.\n\n\tDefault: 0\n",
		"\n*renew-before* TIME\n",
		"\n*proxy-protocol*\n\tEvery connection",
		"\n## IN A PROXY\n\n*weight* UPSTREAM NUMBER\n",
		"\n*answer-timeout* TIME\n\tAs at top level.\n\n\tFrom 10ms to 1d.\n",
		"\n## IN A HEALTH CHECK\n\n*interval* TIME\n",
		"\n## IN AN ISSUER\n",
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
		if (!strstr(buf_c(&text), wanted[i]))
			fail_msg("missing: %s\n%s", wanted[i], buf_c(&text));
	static const struct setting bad[] = {
		{ .name = "x", .type = SETTING_COUNT, .fallback = "1", .most = 2 },
		{ .name = "x", .type = SETTING_COUNT, .fallback = "1", .most = 2, .help = "" },
		{ .name = "x", .type = SETTING_COUNT, .fallback = "3", .most = 2, .help = "X." },
		{ .name = "x", .type = SETTING_COUNT, .most = 2, .help = "X." },
		{ .name = "x", .type = SETTING_DURATION, .fallback = "3", .most = 9, .help = "X." },
		{ .name = "x", .type = SETTING_COUNT, .fallback = "3", .least = 2, .help = "X." },
		{ .name = "x", .type = SETTING_SPECIAL, .fallback = "3", .help = "X." },
		{ .name = "x", .type = SETTING_TEXT, .fallback = "3", .help = "X." },
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		for (unsigned place = 0; place < 3; place++) {
			struct config_rows one = { &bad[i], 1 }, none = { 0 };
			struct config_source wrong = { .extra = place == 0 ? one : none,
				.proxy = place == 1 ? one : none,
				.health = place == 2 ? one : none };
			assert_false(config_manual_complete(&wrong, &err));
		}
}

static void assert_upstream(const char *text, enum upstream_scheme scheme, const char *host,
        unsigned port, const char *server_name)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct config_upstream u;
	if (!config_value_upstream(&a, str_c(text), &u, &err))
		fail_msg("%s: %s", text, err.text);
	assert_text(u.shown, text);
	assert_int_equal(u.scheme, scheme);
	assert_text(u.host, host);
	assert_int_equal(u.port, port);
	assert_text(u.server_name, server_name);
}

static void applications_have_several_forms(void **state)
{
	(void)state;
	assert_upstream("127.0.0.1:3000", UPSTREAM_HTTP, "127.0.0.1", 3000, "");
	assert_upstream("http://127.0.0.1:3000/", UPSTREAM_HTTP, "127.0.0.1", 3000, "");
	assert_upstream("http://10.0.0.1", UPSTREAM_HTTP, "10.0.0.1", 80, "");
	assert_upstream(
	        "App_1.Internal.:80", UPSTREAM_HTTP, "app_1.internal", 80, "app_1.internal");
	assert_upstream("https://[::1]/", UPSTREAM_HTTPS, "::1", 443, "");
	assert_upstream("https://localhost:8443", UPSTREAM_HTTPS, "127.0.0.1", 8443, "localhost");
	assert_upstream("unix:/run/app.sock", UPSTREAM_UNIX, "unix:/run/app.sock", 0, "");
}

static void what_is_said_of_applications(void **state)
{
	(void)state;
	struct config *c =
	        parsed("site a.test {\n proxy 10.0.0.1:1 {\n  weight 10.9.9.9:1 5\n  sticky "
	               "SID\n  fails 7\n  answer-timeout 5s\n  health /up?x { interval "
	               "1s }\n }\n proxy 10.9.9.9:1\n}\nsite b.test { proxy 10.0.0.2:1 }");
	const struct config_site *a = &c->sites[0], *b = &c->sites[1];
	assert_int_equal(a->upstream_count, 2);
	assert_int_equal(a->upstreams[0].weight, 0);
	assert_int_equal(a->upstreams[1].weight, 5);
	assert_text(a->proxy.sticky, "SID");
	assert_text(a->proxy.health, "/up?x");
	assert_int_equal(a->proxy.option_count, 3);
	assert_string_equal(a->proxy.options[0].name, "fails");
	assert_int_equal(a->proxy.options[0].value, 7);
	assert_string_equal(a->proxy.options[1].name, "answer-timeout");
	assert_int_equal(a->proxy.options[1].value, 5000);
	assert_string_equal(a->proxy.options[2].name, "interval");
	assert_false(a->proxy.limited || b->proxy.option_count || b->proxy.sticky.p);
	config_free(&c);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	static const char *const files[] = { "key", "trust", "everseal.conf" };
	char path[256];
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mistake_is_named),
		cmocka_unit_test(names_and_mail_are_checked_where_they_stand),
		cmocka_unit_test(nothing_written_is_all_defaults),
		cmocka_unit_test(the_page_has_an_address_or_is_off),
		cmocka_unit_test(words_are_quoted_in_two_ways),
		cmocka_unit_test(a_whole_file_is_read),
		cmocka_unit_test(the_default_issuer_is_the_chosen_one_else_the_first_defined),
		cmocka_unit_test(secrets_come_from_text_file_or_credential),
		cmocka_unit_test(a_trust_file_holds_certificates),
		cmocka_unit_test(twenty_errors_are_told_in_their_order),
		cmocka_unit_test(a_site_has_at_most_a_hundred_names),
		cmocka_unit_test(a_file_is_there_or_may_be_missing),
		cmocka_unit_test(every_row_is_in_the_manual),
		cmocka_unit_test(applications_have_several_forms),
		cmocka_unit_test(what_is_said_of_applications),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
