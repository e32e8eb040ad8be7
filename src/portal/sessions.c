/* Sessions: 256 random bits in a cookie, of which only the hash is kept. */
#include "portal/events.h"
#include "portal/people.h"

enum { COOKIES_TRIED = 8 };
#define USED_SAVED (5 * MINUTE) /* how old the stored time of the last use may get */

static const char session_label[] = "everseal session cookie",
                  csrf_label[] = "everseal csrf header";

static struct map sessions;
static struct timer expiry;

static struct session *session_of_row(const struct row *r)
{
	return OWNER((struct row *)r, struct session, row);
}

static void write_session(
        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob)
{
	struct session *s = session_of_row(r);
	(void)version, (void)blob;
	json_write_c(w, "person", s->person->name);
	json_write_time(w, "created", s->created);
	json_write_time(w, "last_used", s->last_used);
	json_write_c(w, "address", s->address);
	json_write_c(w, "agent", s->agent);
	s->saved_used = s->last_used;
}

static void session_free(struct session *s)
{
	row_done(&s->row);
	map_remove(&sessions, &s->node);
	list_remove(&s->of_person);
	free(s);
}

static void removed(struct row *r)
{
	session_free(session_of_row(r));
}

static const struct row_kind session_kind = {
	.name = STR_INIT("session"),
	.write = write_session,
	.removed = removed,
};

static struct session *session_new(struct person *p, struct str hash)
{
	struct session *s = mem_new(struct session);
	snprintf(s->hash, sizeof s->hash, "%.*s", STR_ARG(hash));
	snprintf(s->id, sizeof s->id, "%.16s", s->hash);
	s->person = p;
	s->created = s->last_used = loop_wall(portal.loop);
	row_init(&s->row, &session_kind, s->hash, 0);
	map_add(&sessions, str_c(s->hash), &s->node);
	if (p)
		list_add_last(&p->sessions, &s->of_person);
	return s;
}

/* ---- expiry ---- */

int64_t session_idle_expires(const struct session *s)
{
	return s->last_used + SESSION_IDLE;
}

int64_t session_expires(const struct session *s)
{
	return s->created + SESSION_LIFE;
}

static int64_t ends_at(const struct session *s)
{
	int64_t idle = session_idle_expires(s), life = session_expires(s);
	return idle < life ? idle : life;
}

static bool is_live(const struct session *s)
{
	return !s->row.leaving && loop_wall(portal.loop) < ends_at(s);
}

static void expire(struct timer *t)
{
	int64_t next = INT64_MAX;
	MAP_EACH (n, &sessions) {
		struct session *s = OWNER(n, struct session, node);
		if (!s->row.leaving && !is_live(s))
			session_end(s, NULL);
		else if (!s->row.leaving && ends_at(s) < next)
			next = ends_at(s);
	}
	if (next != INT64_MAX)
		timer_start_wall(t, portal.loop, next, expire);
}

/* ---- loading ---- */

struct load {
	struct store_scan scan;
	struct err *err;
};

static bool load_session(struct store_scan *scan, const struct record *record)
{
	struct load *l = OWNER(scan, struct load, scan);
	JSON_AUTO *value = json_parse(record->value, "A session's record", l->err);
	struct person *p = person_find(json_text(value, "person"));
	if (record->id.n != DIGEST_HEX)
		return true;
	struct session *s = session_new(p, record->id);
	s->row.version = record->version;
	if (!p) { /* who was removed together with it, but for a crash in between */
		row_remove(&s->row, NULL);
		return true;
	}
	clock_from_rfc3339(json_text(value, "created"), &s->created);
	clock_from_rfc3339(json_text(value, "last_used"), &s->last_used);
	s->saved_used = s->last_used;
	snprintf(s->address, sizeof s->address, "%.*s", STR_ARG(json_text(value, "address")));
	snprintf(s->agent, sizeof s->agent, "%.*s", STR_ARG(json_text(value, "agent")));
	return true;
}

bool sessions_load(struct err *err)
{
	struct load l = { .scan.each = load_session, .err = err };
	if (!store_each(portal.store, STR("session"), &l.scan, err))
		return false;
	timer_start(&expiry, portal.loop, 0, expire);
	return true;
}

void sessions_close(void)
{
	timer_stop(&expiry);
	MAP_EACH (n, &sessions)
		session_free(OWNER(n, struct session, node));
	map_done(&sessions);
	sessions = (struct map)MAP_INIT;
}

/* ---- finding ---- */

/* RFC 6265bis 4.1.3.2: what is named __Host- was set by this very origin, over HTTPS. */
static struct str cookie_name(const struct call *c)
{
	return c->ex->tls ? STR("__Host-everseal") : STR("everseal");
}

/* The next one of that name; *cookies is then what follows it. */
static bool read_cookie(struct str *cookies, struct str name, struct str *ret_value)
{
	struct str part;
	while (str_split(cookies, ';', &part)) {
		part = str_trim(part);
		size_t equals = str_find(part, '=');
		if (!str_eq(str_head(part, equals), name))
			continue;
		*ret_value = str_from(part, equals + 1);
		return true;
	}
	return false;
}

static struct session *find_live(struct str token)
{
	char hash[DIGEST_HEX + 1];
	token_digest(session_label, token, hash);
	struct map_node *n = map_find(&sessions, str_c(hash));
	return n && is_live(OWNER(n, struct session, node)) ? OWNER(n, struct session, node) : NULL;
}

/* A neighbour on another port or path may have set one of the same name (RFC 6265bis 8.5, 8.6), and
 * a browser sends that as well, perhaps first. */
struct session *session_of(const struct call *c, struct str *ret_token)
{
	const struct headers *h = &c->ex->request.headers;
	struct session *found = NULL;
	int left = COOKIES_TRIED;
	for (size_t i = 0; i < h->count; i++) {
		struct str cookies = h->at[i].value, token;
		if (!str_eq_c(h->at[i].name, "cookie"))
			continue;
		while (!found && left-- > 0 && read_cookie(&cookies, cookie_name(c), &token)) {
			found = find_live(token);
			*ret_token = token;
		}
	}
	return found;
}

void session_use(struct session *s)
{
	s->last_used = loop_wall(portal.loop);
	if (s->last_used - s->saved_used < USED_SAVED && s->last_used >= s->saved_used)
		return;
	s->person->last_seen = s->last_used;
	row_save(&s->row, NULL);
	row_save(&s->person->row, NULL);
}

void session_csrf(struct str token, char ret_hex[DIGEST_HEX + 1])
{
	token_digest(csrf_label, token, ret_hex);
}

/* ---- beginning and ending ---- */

static void end_oldest(struct person *p)
{
	struct session *oldest = NULL;
	size_t count = 0;
	LIST_EACH (n, &p->sessions) {
		struct session *s = OWNER(n, struct session, of_person);
		if (s->row.leaving)
			continue;
		count++;
		if (!oldest || s->last_used < oldest->last_used)
			oldest = s;
	}
	if (count > SESSIONS_EACH)
		session_end(oldest, NULL);
}

static void set_cookie(struct call *c, struct str token)
{
	struct str name = cookie_name(c);
	call_header(c, STR("set-cookie"),
	        arena_printf(&c->arena,
	                "%.*s=%.*s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s",
	                STR_ARG(name), STR_ARG(token),
	                token.n ? (long long)(SESSION_LIFE / SECOND) : 0LL,
	                c->ex->tls ? "; Secure" : ""));
}

void session_forget_cookie(struct call *c)
{
	set_cookie(c, STR(""));
}

struct beginning {
	struct call_part part;
	struct row_wait wait;
	struct call *call;
	struct str token;
	unsigned status;
};

static void let_go(struct call_part *p)
{
	row_wait_abort(&OWNER(p, struct beginning, part)->wait);
}

static void begun(struct row_wait *wait, const struct err *err)
{
	struct beginning *b = OWNER(wait, struct beginning, wait);
	struct call *c = b->call;
	struct session *s = find_live(b->token);
	struct err ended = ERR_INIT;
	if (err && s)
		session_end(s, NULL);
	if (!s)
		err_set(&ended, ERR_CANCELED, "The session was ended before it had begun.");
	if (err || !s) {
		call_fail(c, err ? err : &ended);
		return;
	}
	set_cookie(c, b->token);
	call_is_session(c, s);
	session_answer(c, b->token, b->status);
}

static void describe(struct session *s, const struct call *c)
{
	BUF_AUTO agent = BUF_INIT(AGENT_TEXT - 1);
	struct str said = headers_find(&c->ex->request.headers, STR("user-agent"));
	for (size_t n; (n = str_utf8(said)) && buf_ok(&agent); said = str_from(said, n))
		buf_add(&agent, str_head(said, n));
	snprintf(s->agent, sizeof s->agent, "%s", buf_c(&agent));
	address_text(&c->ex->client, s->address);
}

void session_begin(struct call *c, struct person *p, unsigned status)
{
	struct beginning *b = arena_new(&c->arena, struct beginning);
	SECRET_AUTO random = token_new(TOKEN_BYTES);
	BUF_AUTO text = BUF_SECRET_INIT(64);
	char hash[DIGEST_HEX + 1], address[ADDRESS_TEXT];
	buf_add_base64url(&text, secret_bytes(&random));
	token_digest(session_label, buf_str(&text), hash);
	struct str old;
	struct session *before = session_of(c, &old);
	if (before) /* rotated: what was known before the sign-in is worth nothing after it */
		session_end(before, NULL);
	struct session *s = session_new(p, str_c(hash));
	*b = (struct beginning){
		.call = c, .token = arena_str(&c->arena, buf_str(&text)), .status = status
	};
	b->wait.done = begun;
	describe(s, c);
	end_oldest(p);
	call_address(c, address);
	person_saw(p, str_c(address));
	person_save(p, NULL);
	call_keep(c, &b->part, let_go);
	row_save(&s->row, &b->wait);
	timer_start(&expiry, portal.loop, 0, expire);
}

void session_end(struct session *s, struct row_wait *wait)
{
	if (!s->row.leaving)
		events_session_ended(s);
	row_remove(&s->row, wait);
}

void sessions_end_all(struct person *p, const struct session *but)
{
	LIST_EACH (n, &p->sessions) {
		struct session *s = OWNER(n, struct session, of_person);
		if (s != but && !s->row.leaving)
			session_end(s, NULL);
	}
}
