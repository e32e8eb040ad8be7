/* Who asks, and whether that is enough. */
#include "portal/people.h"
#include "server/site.h"

/* ---- what a request came with ---- */

static bool is_owner(const struct call *c)
{
	return c->ex->site && c->ex->site->kind == SITE_API;
}

void call_address(const struct call *c, char ret_text[ADDRESS_TEXT])
{
	struct sockaddr_storage a = c->ex->client;
	if (a.ss_family != AF_INET && a.ss_family != AF_INET6) {
		snprintf(ret_text, ADDRESS_TEXT, "this machine");
		return;
	}
	address_text(&a, ret_text);
	if (!strchr(ret_text, ':'))
		return;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;
	memset(six->sin6_addr.s6_addr + 8, 0, 8);
	six->sin6_scope_id = 0;
	address_text(&a, ret_text);
}

bool call_is_self_made(const struct call *c)
{
	return c->ex->tls && c->ex->temporary;
}

void page_host(char ret_name[256])
{
	*ret_name = '\0';
	ret_name[255] = '\0';
	(void)gethostname(ret_name, 255);
}

struct str call_origin(struct call *c)
{
	return arena_printf(&c->arena, "%s://%.*s", c->ex->tls ? "https" : "http",
	        STR_ARG(c->ex->request.authority));
}

static struct str header(const struct call *c, struct str name)
{
	return headers_find(&c->ex->request.headers, name);
}

static bool changes(const struct call *c)
{
	struct str method = c->ex->request.method;
	return !str_eq_c(method, "GET") && !str_eq_c(method, "HEAD");
}

/* ---- where the request comes from (cross-site request forgery) ---- */

static bool is_foreign(struct call *c)
{
	struct str site = header(c, STR("sec-fetch-site")), origin = header(c, STR("origin"));
	if (site.n && !str_eq_c(site, "same-origin") && (changes(c) || !str_eq_c(site, "none")))
		return true;
	return origin.p && !str_eq_nocase(origin, call_origin(c));
}

static bool check_source(struct call *c, struct call_failure *f, struct err *err)
{
	if (!is_foreign(c))
		return true;
	*f = (struct call_failure){ .status = 403, .code = "foreign" };
	return err_set(err, ERR_PERMISSION,
	        "This request comes from another site than this page: nothing was done." ERR_REMEDY
	        "Open the page itself, %.*s, and do it there.",
	        STR_ARG(call_origin(c)));
}

/* A change by session needs the header that only our own script can know, and a browser that says
 * where it comes from. */
static bool check_forgery(struct call *c, struct str token, struct call_failure *f, struct err *err)
{
	char wanted[DIGEST_HEX + 1];
	if (!changes(c))
		return true;
	session_csrf(token, wanted);
	*f = (struct call_failure){ .status = 403, .code = "foreign" };
	if (!header(c, STR("origin")).n && !header(c, STR("sec-fetch-site")).n)
		return err_set(err, ERR_PERMISSION,
		        "The browser does not say where this is from: nothing was done." ERR_REMEDY
		        "Scripts use an API token instead of a session.");
	if (!token_eq(header(c, STR("x-csrf-token")), str_c(wanted)))
		return err_set(err, ERR_PERMISSION,
		        "The header X-CSRF-Token is missing or not this session's, so nothing was "
		        "done." ERR_REMEDY "Load the page again.");
	*f = (struct call_failure){ 0 };
	return true;
}

/* ---- who it is ---- */

static struct str key_of(const struct call *c)
{
	struct str key = header(c, STR("x-octopus-apikey"));
	struct str authorization = header(c, STR("authorization"));
	if (!key.p && str_eq_nocase(str_head(authorization, 7), STR("bearer ")))
		key = str_trim(str_from(authorization, 7));
	return key;
}

static bool by_token(struct call *c, struct str key, struct call_failure *f, struct err *err)
{
	struct token *t = token_of(key);
	*f = (struct call_failure){ .status = 401, .code = "unauthenticated" };
	if (!t)
		return err_set(err, ERR_PERMISSION,
		        "The API token is unknown, expired or removed." ERR_REMEDY
		        "Make a new one under People, or by `everseal admin token add`.");
	c->who = (struct who){
		.scope = t->scope, .name = arena_str(&c->arena, t->shown), .token = t
	};
	token_use(t);
	*f = (struct call_failure){ 0 };
	return true;
}

void call_is_session(struct call *c, struct session *s)
{
	c->who = (struct who){ .scope = s->person->scope,
		.name = arena_str(&c->arena, str_c(s->person->name)),
		.session = s,
		.person = s->person };
}

static bool by_session(struct call *c, struct session *s, struct str token, struct call_failure *f,
        struct err *err)
{
	session_use(s);
	return check_source(c, f, err) && check_forgery(c, token, f, err);
}

/* What the page needs before anybody has signed in. */
static struct str outside(struct call *c)
{
	BUF_AUTO details = BUF_INIT(4096);
	struct json_writer w;
	char host[256];
	page_host(host);
	json_write_init(&w, &details);
	json_write_object(&w, NULL);
	if (!people_any())
		json_write_bool(&w, "setup", true);
	json_write_bool(&w, "self_made", call_is_self_made(c));
	json_write_c(&w, "host", host);
	json_write_end(&w);
	return arena_str(&c->arena, buf_str(&details));
}

static bool refuse_nobody(struct call *c, struct call_failure *f, struct err *err)
{
	*f = (struct call_failure){ .status = 401, .code = "unauthenticated" };
	if (str_starts(c->ex->request.path, STR("/api/session")))
		f->details = outside(c);
	else if (!people_any())
		f->details = STR("{\"setup\":true}");
	if (people_any())
		return err_set(err, ERR_PERMISSION, "Nobody is signed in." ERR_REMEDY "Sign in.");
	return err_set(err, ERR_PERMISSION,
	        "There is no administrator yet." ERR_REMEDY
	        "Run `everseal admin link` on the server and open the link that it prints.");
}

static bool check_scope(const struct call *c, struct err *err)
{
	const struct route *route = c->route;
	if (c->who.scope >= route->scope)
		return true;
	if (route->scope == SCOPE_OWNER)
		return err_set(err, ERR_PERMISSION,
		        "Only the machine's owner may do this." ERR_REMEDY
		        "Use `everseal admin` on the server.");
	const bool looks = !strcmp(route->method, "GET");
	return err_set(err, ERR_PERMISSION,
	        "%s: your scope is %s, and this needs %s." ERR_REMEDY "Ask an administrator.",
	        looks                        ? "You may not see this"
	        : c->who.scope == SCOPE_READ ? "You can look, not change"
	                                     : "You may not do this",
	        scope_name(c->who.scope), scope_name(route->scope));
}

bool call_identify(struct call *c, struct call_failure *f, struct err *err)
{
	struct str key = key_of(c), cookie = STR_NONE;
	if (is_owner(c)) {
		c->who = (struct who){ .scope = SCOPE_OWNER, .name = STR("the owner") };
		return true;
	}
	if (key.p)
		return by_token(c, key, f, err) && check_scope(c, err);
	struct session *s = session_of(c, &cookie);
	if (s)
		call_is_session(c, s);
	if (c->route->scope == SCOPE_NONE)
		return check_source(c, f, err);
	if (!s)
		return refuse_nobody(c, f, err);
	return by_session(c, s, cookie, f, err) && check_scope(c, err);
}

bool call_still_may(struct call *c)
{
	struct err err = ERR_INIT;
	struct call_failure f = { 0 };
	if (call_identify(c, &f, &err))
		return true;
	call_fail_with(c, &err, &f);
	return false;
}

struct str who_person(const struct who *who)
{
	return who->token ? str_c(who->token->by) : who->name;
}

struct str who_counts(const struct who *who)
{
	return person_find(who_person(who)) ? who_person(who) : who->name;
}
