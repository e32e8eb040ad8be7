/* The block `dns-challenge`: how control of a name is proven by DNS. */
#include "certs/name.h"
#include "config/parts.h"

#include <pwd.h>
#include <unistd.h>

#define PROGRAM_TIMEOUT (5 * 60 * INT64_C(1000))
#define WAIT            (2 * 60 * INT64_C(1000))
enum { PROGRAM_WORDS_MOST = 32 };

/* A zone, a key or a server: any domain name, in lower case, without the dot at its end. */
static bool read_domain(struct reader *r, const struct word *w, struct str *ret_name)
{
	struct str text = w->text;
	while (text.n > 1 && str_ends(text, STR(".")))
		text.n--;
	bool fits = text.n > 0 && text.n <= 253;
	struct str name = arena_str(&r->c->arena, text), rest = name, label;
	char *p = (char *)(uintptr_t)name.p;
	for (size_t i = 0; i < name.n; i++) {
		p[i] = ascii_lower(p[i]);
		fits &= (p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9') ||
		        strchr(".-_", p[i]);
	}
	while (fits && str_split(&rest, '.', &label))
		fits = label.n > 0 && label.n <= 63;
	if (fits)
		*ret_name = name;
	else
		config_problem(&r->problems, w->at, "\"%.*s\" is not a domain name.",
		        STR_ARG(config_shown(w->text)));
	return fits;
}

static bool read_server(struct reader *r, const struct word *w, struct str *ret_text)
{
	struct err err = ERR_INIT;
	struct address a;
	if (!config_value_endpoint(&r->scratch, w->text, 53, &a, &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return false;
	}
	const bool six = str_has(a.host, ':');
	*ret_text = arena_printf(&r->c->arena, "%s%.*s%s:%u", six ? "[" : "", STR_ARG(a.host),
	        six ? "]" : "", a.port);
	return true;
}

/* One way alone. */
static bool choose(struct reader *r, const struct node *n, enum config_dns_way way)
{
	if (r->dns.way != CONFIG_DNS_NONE) {
		config_problem(&r->problems, n->name.at,
		        "Only one of `update`, `program` and `delegated` can be the way.");
		return false;
	}
	r->dns.way = way;
	return true;
}

void config_set_dns_update(struct reader *r, const struct node *n)
{
	if (choose(r, n, CONFIG_DNS_UPDATE))
		(void)read_server(r, &n->params[0], &r->dns.server);
}

void config_set_dns_zone(struct reader *r, const struct node *n)
{
	(void)read_domain(r, &n->params[0], &r->dns.zone);
}

void config_set_dns_tsig(struct reader *r, const struct node *n)
{
	static const char *const hmacs[] = { "hmac-sha256", "hmac-sha512", "hmac-sha1" };
	const struct word *hmac = &n->params[1], *secret = &n->params[2];
	struct err err = ERR_INIT;
	BUF_AUTO bytes = BUF_INIT(1024);
	size_t i = 0;
	(void)read_domain(r, &n->params[0], &r->dns.key_name);
	while (i < sizeof hmacs / sizeof *hmacs && !str_eq_c(hmac->text, hmacs[i]))
		i++;
	if (i == sizeof hmacs / sizeof *hmacs)
		config_problem(&r->problems, hmac->at,
		        "\"%.*s\" is no algorithm for TSIG: write hmac-sha256, hmac-sha512 or "
		        "hmac-sha1.",
		        STR_ARG(config_shown(hmac->text)));
	else
		r->dns.hmac = str_c(hmacs[i]);
	if (!config_value_secret(&r->c->arena, secret->text, "secret", &r->dns.secret, &err))
		config_problem(&r->problems, secret->at, "%s", err.text);
	else if (!buf_decode_base64(&bytes, r->dns.secret) || !bytes.n)
		config_problem(&r->problems, secret->at,
		        "The secret of a TSIG key is base64: copy what stands behind "
		        "`secret` in the name server's own configuration.");
	buf_wipe(&bytes);
}

size_t config_program_words(
        struct reader *r, const struct node *n, size_t from, struct str **ret_argv)
{
	const struct word *path = &n->params[from];
	size_t count = 0;
	if (!str_starts(path->text, STR("/")))
		config_problem(&r->problems, path->at,
		        "\"%.*s\" is not an absolute path: no shell looks for it.",
		        STR_ARG(config_shown(path->text)));
	if (n->param_count - from > PROGRAM_WORDS_MOST)
		config_problem(&r->problems, n->name.at, "A program gets at most %d words.",
		        PROGRAM_WORDS_MOST - 1);
	for (size_t i = from; i < n->param_count; i++)
		LIST_PUSH(
		        &r->c->arena, *ret_argv, count, arena_str(&r->c->arena, n->params[i].text));
	return count;
}

void config_set_dns_program(struct reader *r, const struct node *n)
{
	if (!choose(r, n, CONFIG_DNS_PROGRAM))
		return;
	r->dns.argc = config_program_words(r, n, /* from= */ 0, &r->dns.argv);
}

void config_find_user(struct reader *r, const struct word *w, struct config_run_as *ret_user)
{
	const struct str name = arena_str(&r->c->arena, w->text);
	const struct passwd *pw = getpwnam(name.p);
	if (pw)
		*ret_user = (struct config_run_as){ .name = name,
			.home = arena_str(&r->c->arena, str_c(pw->pw_dir)),
			.uid = pw->pw_uid,
			.gid = pw->pw_gid };
	else
		config_problem(&r->problems, w->at,
		        "This machine has no user \"%.*s\": create it, or name another.",
		        STR_ARG(config_shown(w->text)));
}

void config_set_dns_run_as(struct reader *r, const struct node *n)
{
	struct config_run_as as = { .uid = -1, .gid = -1 };
	config_find_user(r, &n->params[0], &as);
	r->dns.user = as.name;
	r->dns.home = as.home;
	r->dns.uid = as.uid;
	r->dns.gid = as.gid;
}

void config_set_dns_timeout(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	const struct setting s = {
		.name = "timeout", .type = SETTING_DURATION, .least = 1000, .most = 60 * 60 * 1000
	};
	if (!config_value_bounded(&s, n->params[0].text, &r->dns.timeout, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

void config_set_dns_delegated(struct reader *r, const struct node *n)
{
	struct config_dns *d = &r->dns;
	if (!choose(r, n, CONFIG_DNS_DELEGATED) || !read_domain(r, &n->params[0], &d->delegated))
		return;
	if (n->param_count > 1)
		(void)read_domain(r, &n->params[1], &d->name_server);
	else
		d->name_server = arena_printf(&r->c->arena, "ns.%.*s", STR_ARG(d->delegated));
}

void config_set_dns_listen(struct reader *r, const struct node *n)
{
	for (size_t i = 0; i < n->param_count; i++) {
		struct err err = ERR_INIT;
		struct address a;
		if (config_value_endpoint(&r->c->arena, n->params[i].text, 53, &a, &err)) {
			a.at = n->params[i].at;
			LIST_PUSH(&r->c->arena, r->dns.listen, r->dns.listen_count, a);
		} else {
			config_problem(&r->problems, n->params[i].at, "%s", err.text);
		}
	}
}

void config_set_dns_persist(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	if (!config_value_yes_no(n->params[0].text, &r->dns.persist, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

void config_set_dns_check(struct reader *r, const struct node *n)
{
	if (str_eq_c(n->params[0].text, "off") && n->param_count == 1) {
		r->dns.unchecked = true;
		return;
	}
	for (size_t i = 0; i < n->param_count; i++) {
		struct str text;
		if (read_server(r, &n->params[i], &text))
			LIST_PUSH(&r->c->arena, r->dns.check, r->dns.check_count, text);
	}
}

void config_set_dns_wait(struct reader *r, const struct node *n)
{
	struct err err = ERR_INIT;
	const struct setting s = {
		.name = "wait", .type = SETTING_DURATION, .least = 0, .most = 60 * 60 * 1000
	};
	if (!config_value_bounded(&s, n->params[0].text, &r->dns.wait, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
}

/* ---- the whole block ---- */

static void check_way(struct reader *r, const struct node *n)
{
	const struct config_dns *d = &r->dns;
	if (d->way == CONFIG_DNS_NONE && !d->persist)
		config_problem(&r->problems, n->name.at,
		        "`dns-challenge` says no way: write `update ADDRESS:PORT`, `program "
		        "PATH`, "
		        "`delegated ZONE` or `persist yes` in it.");
	if ((d->zone.n || d->key_name.n) && d->way != CONFIG_DNS_UPDATE)
		config_problem(&r->problems, n->name.at,
		        "`zone` and `tsig` belong to `update ADDRESS:PORT`, which is not there.");
	if (d->user.n && d->way != CONFIG_DNS_PROGRAM)
		config_problem(&r->problems, n->name.at,
		        "`run-as` belongs to `program PATH`, which is not there.");
	if (d->way == CONFIG_DNS_PROGRAM && !d->user.n && geteuid() == 0)
		config_problem(&r->problems, n->name.at,
		        "Everseal is started by root, and so would be the program: say who it "
		        "runs as by `run-as USER`.");
	if ((d->way == CONFIG_DNS_DELEGATED) != (d->listen_count > 0))
		config_problem(&r->problems, n->name.at,
		        "`delegated ZONE` and `listen ADDRESS:PORT` go together: the zone is "
		        "answered for "
		        "there.");
}

static void read_block(struct reader *r, const struct node *n, struct config_dns *ret)
{
	if (!n->block) {
		config_problem(&r->problems, n->name.at,
		        "`dns-challenge` is incomplete: write `dns-challenge { update "
		        "ADDRESS:PORT; … }`.");
		return;
	}
	r->dns = (struct config_dns){
		.at = n->name.at, .uid = -1, .gid = -1, .timeout = PROGRAM_TIMEOUT, .wait = WAIT
	};
	const size_t before = r->problems.count;
	config_rows_read(r, n, SCOPE_DNS);
	if (r->problems.count == before)
		check_way(r, n);
	*ret = r->dns;
}

void config_set_dns_challenge(struct reader *r, const struct node *n)
{
	read_block(r, n, &r->c->dns);
}

void config_set_site_dns_challenge(struct reader *r, const struct node *n)
{
	read_block(r, n, &r->site.dns);
}
