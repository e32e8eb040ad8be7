/* Signing in and out, and the first administrator. */
#include "portal/events.h"
#include "portal/hashing.h"
#include "portal/people.h"
#include "portal/throttle.h"

/* ---- the session object ---- */

static void write_times(const struct session *s, struct json_writer *w)
{
	json_write_time(w, "expires", s ? session_expires(s) : 0);
	json_write_time(w, "idle_expires", s ? session_idle_expires(s) : 0);
}

void session_answer(struct call *c, struct str token, unsigned status)
{
	struct json_writer w;
	char csrf[DIGEST_HEX + 1], host[256];
	session_csrf(token, csrf);
	page_host(host);
	call_object(c, &w);
	json_write_text(&w, "name", c->who.name);
	json_write_c(&w, "scope", scope_name(c->who.scope));
	json_write_c(&w, "csrf", token.n ? csrf : NULL);
	json_write_bool(&w, "second_factor", c->who.person && factor_is_on(c->who.person));
	write_times(c->who.session, &w);
	json_write_c(&w, "host", host);
	json_write_c(&w, "version", EVERSEAL_VERSION);
	json_write_c(&w, "boot", events_boot());
	json_write_time(&w, "server_time", loop_wall(portal.loop));
	json_write_bool(&w, "self_made", call_is_self_made(c));
	json_write_end(&w);
	call_answer(c, status);
}

static void get_session(struct call *c)
{
	struct str token = STR_NONE;
	(void)session_of(c, &token);
	session_answer(c, c->who.session ? token : STR_NONE, 200);
}

static void delete_session(struct call *c)
{
	if (!c->who.session) {
		call_done(c);
		return;
	}
	session_forget_cookie(c);
	audit_add(c, "Signed out", STR_NONE, STR_NONE, STR_NONE);
	session_end(c->who.session, &call_saving(c, NULL)->wait);
}

/* ---- signing in ---- */

struct signing_in {
	struct call_part part;
	struct hashing hashing;
	struct call *call;
	struct str name; /* lower case, at most PERSON_NAME bytes */
	char address[ADDRESS_TEXT];
	bool known;          /* this person has signed in from there */
	struct str known_as; /* the name at that address */
};

static void let_go(struct call_part *p)
{
	hashing_abort(&OWNER(p, struct signing_in, part)->hashing);
}

/* The tries of this name from this address: charged first, given back if it was right. */
static int64_t wait_of(const struct signing_in *s)
{
	int64_t now = loop_mono(portal.loop);
	if (s->known)
		return throttle_wait(THROTTLE_KNOWN, s->known_as, now);
	int64_t address = throttle_wait(THROTTLE_ADDRESS, str_c(s->address), now);
	int64_t account = throttle_wait(THROTTLE_ACCOUNT, s->name, now);
	return address > account ? address : account;
}

static void charge(const struct signing_in *s)
{
	int64_t now = loop_mono(portal.loop);
	throttle_charge(THROTTLE_ADDRESS, str_c(s->address), now);
	if (s->known)
		throttle_charge(THROTTLE_KNOWN, s->known_as, now);
	else
		throttle_charge(THROTTLE_ACCOUNT, s->name, now);
}

static void give_back(const struct signing_in *s)
{
	throttle_give_back(THROTTLE_ADDRESS, str_c(s->address));
	if (s->known)
		throttle_give_back(THROTTLE_KNOWN, s->known_as);
	else
		throttle_give_back(THROTTLE_ACCOUNT, s->name);
}

static enum hashing_rank rank_of(const struct signing_in *s)
{
	if (s->call->who.scope == SCOPE_OWNER)
		return HASHING_OWNER;
	return s->known ? HASHING_KNOWN : HASHING_ANYBODY;
}

static void refuse(struct signing_in *s, const struct person *p, bool code_needed)
{
	struct err err = ERR_INIT;
	struct call *c = s->call;
	/* The name as typed may be a password in the wrong field: it is not repeated. */
	audit_failure(c, p ? str_c(p->name) : STR("a name that is not known"));
	err_set(&err, ERR_PERMISSION, "Name, password or code is wrong.");
	call_fail_with(c, &err,
	        &(struct call_failure){ .status = 401,
	                .code = "unauthenticated",
	                .details = code_needed ? STR("{\"code_needed\":true}") : STR_NONE });
}

static void ask_code(struct signing_in *s)
{
	struct err err = ERR_INIT;
	give_back(s);
	err_set(&err, ERR_PERMISSION,
	        "Give the code that your app shows, or one of the recovery codes.");
	call_fail_with(s->call, &err,
	        &(struct call_failure){ .status = 401,
	                .code = "unauthenticated",
	                .details = STR("{\"code_needed\":true}") });
}

static void let_in(struct signing_in *s, struct person *p)
{
	struct call *c = s->call;
	give_back(s);
	c->who.name = arena_str(&c->arena, str_c(p->name));
	audit_add(c, "Signed in", STR_NONE, STR_NONE, STR_NONE);
	session_begin(c, p, 200);
}

/* The password was right. */
static void check_code(struct signing_in *s, struct person *p)
{
	struct call *c = s->call;
	struct str code = json_text(c->json, "code");
	int64_t now = loop_mono(portal.loop);
	if (!code.n) {
		ask_code(s);
		return;
	}
	if (call_wait(c, throttle_wait(THROTTLE_CODE, s->name, now)))
		return;
	throttle_charge(THROTTLE_CODE, s->name, now);
	if (!factor_take(p, code)) {
		refuse(s, p, /* code_needed= */ true);
		return;
	}
	throttle_forget(THROTTLE_CODE, s->name);
	let_in(s, p);
}

static void compared(struct hashing *h)
{
	struct signing_in *s = OWNER(h, struct signing_in, hashing);
	struct person *p = person_find(s->name);
	if (!h->fits || !p)
		refuse(s, p, /* code_needed= */ false);
	else if (factor_is_on(p))
		check_code(s, p);
	else
		let_in(s, p);
}

static bool read_credentials(struct call *c, struct str *ret_password, struct err *err)
{
	*ret_password = json_text(c->json, "password");
	if (!str_trim(json_text(c->json, "name")).n) {
		err_set(err, ERR_INPUT, "Give your name.");
		return call_wrong(c, err, "name");
	}
	if (ret_password->n)
		return true;
	err_set(err, ERR_INPUT, "Give your password.");
	return call_wrong(c, err, "password");
}

static void post_session(struct call *c)
{
	struct err err = ERR_INIT;
	struct str password;
	char name[PERSON_NAME + 1] = "";
	if (!read_credentials(c, &password, &err))
		return;
	struct signing_in *s = arena_new(&c->arena, struct signing_in);
	s->call = c;
	/* What cannot be a name is tried all the same, as a name that nobody has. */
	if (person_name(json_text(c->json, "name"), name, &err))
		s->name = arena_str(&c->arena, str_c(name));
	const struct person *p = s->name.n ? person_find(s->name) : NULL;
	call_address(c, s->address);
	s->known = p && person_knows(p, str_c(s->address));
	s->known_as = arena_printf(&c->arena, "%s %s", s->address, name);
	call_keep(c, &s->part, let_go);
	if (call_wait(c, wait_of(s)))
		return;
	charge(s);
	struct hashing_of what = { rank_of(s), password, p ? p->hash : "" };
	if (hashing_start(&s->hashing, what, compared, &err))
		return;
	give_back(s);
	call_fail(c, &err);
}

/* ---- the first administrator, and further ones by a link ---- */

static bool link_fits(struct call *c)
{
	struct err err = ERR_INIT;
	struct call_failure f = { 0 };
	if (link_is_good(json_text(c->json, "token"), &f, &err))
		return true;
	call_fail_with(c, &err, &f);
	return false;
}

static void post_setup_check(struct call *c)
{
	if (link_fits(c))
		call_done(c);
}

struct setting_up {
	struct call_part part;
	struct str token;
};

static void setting_up_let_go(struct call_part *p)
{
	link_put_back(OWNER(p, struct setting_up, part)->token);
}

static void set_up(struct call *c, const char *hash)
{
	struct err err = ERR_INIT;
	struct str name = json_text(c->json, "name");
	char lower[PERSON_NAME + 1];
	if (!person_may_be_added(name, &err) || !person_name(name, lower, &err)) {
		call_wrong(c, &err, "name");
		return;
	}
	link_use(json_text(c->json, "token"));
	struct person *p = person_new(str_c(lower), SCOPE_ADMINISTER, hash);
	c->who.name = arena_str(&c->arena, str_c(lower));
	audit_add(c, "Administrator made by setup link", str_c(lower), STR_NONE, STR("administer"));
	session_begin(c, p, 201);
}

static bool new_person_fits(struct call *c)
{
	struct err err = ERR_INIT;
	struct str name = json_text(c->json, "name"), password = json_text(c->json, "password");
	if (!person_may_be_added(name, &err))
		return call_wrong(c, &err, "name");
	return person_password(password, name, &err) || call_wrong(c, &err, "password");
}

static void post_setup(struct call *c)
{
	if (!link_fits(c) || !new_person_fits(c))
		return;
	struct setting_up *s = arena_new(&c->arena, struct setting_up);
	s->token = json_text(c->json, "token");
	link_take(s->token);
	call_keep(c, &s->part, setting_up_let_go);
	call_hash(c, json_text(c->json, "password"), set_up);
}

const struct route session_routes[] = {
	{ "GET", "/api/session", SCOPE_READ, get_session },
	{ "POST", "/api/session", SCOPE_NONE, post_session },
	{ "DELETE", "/api/session", SCOPE_READ, delete_session },
	{ "POST", "/api/setup/check", SCOPE_NONE, post_setup_check },
	{ "POST", "/api/setup", SCOPE_NONE, post_setup },
	{ 0 },
};
