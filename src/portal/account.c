/* One's own account: password, second factor, sessions. */
#include "portal/people.h"
#include <qrencode.h>

enum { FACTOR_BYTES = 20, QR_MARGIN = 4 };

/* ---- what there is ---- */

static void write_session(const struct session *s, bool current, struct json_writer *w)
{
	json_write_object(w, NULL);
	json_write_c(w, "id", s->id);
	json_write_time(w, "created", s->created);
	json_write_time(w, "last_used", s->last_used);
	json_write_c(w, "address", s->address);
	json_write_c(w, "agent", s->agent);
	json_write_bool(w, "current", current);
	json_write_end(w);
}

/* The person who has signed in, or NULL: then the call has failed. */
static struct person *self(struct call *c)
{
	struct err err = ERR_INIT;
	if (c->who.person)
		return c->who.person;
	err_set(&err, ERR_PERMISSION,
	        "Only people who have signed in have an account, which %.*s has not.",
	        STR_ARG(c->who.name));
	call_fail(c, &err);
	return NULL;
}

static void get_account(struct call *c)
{
	const struct person *p = self(c);
	struct json_writer w;
	if (!p)
		return;
	call_object(c, &w);
	json_write_c(&w, "name", p->name);
	json_write_c(&w, "scope", scope_name(p->scope));
	json_write_bool(&w, "second_factor", factor_is_on(p));
	json_write_int(&w, "recovery_codes_left", (int64_t)factor_recovery_left(p));
	json_write_array(&w, "sessions");
	LIST_EACH (n, &p->sessions) {
		const struct session *s = OWNER(n, struct session, of_person);
		if (!s->row.leaving)
			write_session(s, s == c->who.session, &w);
	}
	json_write_end(&w);
	json_write_end(&w);
	call_answer(c, 200);
}

static void delete_session(struct call *c)
{
	struct err err = ERR_INIT;
	struct person *p = self(c);
	if (!p)
		return;
	LIST_EACH (n, &p->sessions) {
		struct session *s = OWNER(n, struct session, of_person);
		if (s->row.leaving || !str_eq_c(c->item, s->id))
			continue;
		audit_add(c, "Session ended", str_c(s->address), STR_NONE, STR_NONE);
		session_end(s, &call_saving(c, NULL)->wait);
		return;
	}
	err_set(&err, ERR_NOT_FOUND, "You have no session %.*s: it may have ended.",
	        STR_ARG(c->item));
	call_fail(c, &err);
}

/* ---- password ---- */

static void password_hashed(struct call *c, const char *hash)
{
	struct str token;
	struct err err = ERR_INIT;
	struct person *p = person_find(c->who.name);
	if (!p) {
		err_set(&err, ERR_NOT_FOUND, "There is no %.*s any more.", STR_ARG(c->who.name));
		call_fail(c, &err);
		return;
	}
	snprintf(p->hash, sizeof p->hash, "%s", hash);
	sessions_end_all(p, session_of(c, &token));
	audit_add(c, "Password changed", str_c(p->name), STR_NONE, STR_NONE);
	person_save(p, &call_saving(c, NULL)->wait);
}

static void password_confirmed(struct call *c, struct person *p)
{
	(void)p;
	call_hash(c, json_text(c->json, "new"), password_hashed);
}

static void put_password(struct call *c)
{
	struct err err = ERR_INIT;
	if (!person_password(json_text(c->json, "new"), c->who.name, &err))
		call_wrong(c, &err, "new");
	else
		call_confirm(c, json_text(c->json, "current"), "current", password_confirmed);
}

/* ---- second factor ---- */

/* The dark modules of each row as runs: one path, drawn in module units. */
static void draw(const QRcode *qr, struct buf *out)
{
	for (int y = 0; y < qr->width; y++) {
		const unsigned char *row = qr->data + (ptrdiff_t)y * qr->width;
		for (int x = 0, end; x < qr->width; x = end) {
			for (end = x; end < qr->width && (row[end] & 1) == (row[x] & 1);)
				end++;
			if (row[x] & 1)
				buf_printf(out, "M%d %dh%dv1h-%dz", x + QR_MARGIN, y + QR_MARGIN,
				        end - x, end - x);
		}
	}
}

static void add_uri_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char ch = (unsigned char)text.p[i];
		bool plain = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') ||
		             (ch >= 'A' && ch <= 'Z') || ch == '-' || ch == '.' || ch == '_';
		buf_printf(out, plain ? "%c" : "%%%02X", ch);
	}
}

static void add_uri(const struct call *c, const struct person *p, struct str key, struct buf *out)
{
	buf_add_c(out, "otpauth://totp/Everseal%20");
	add_uri_text(out, c->ex->request.host);
	buf_add_char(out, ':');
	add_uri_text(out, str_c(p->name));
	buf_add_c(out, "?secret=");
	buf_add(out, key);
	buf_add_c(out, "&issuer=Everseal%20");
	add_uri_text(out, c->ex->request.host);
}

static void offer(struct call *c, struct person *p)
{
	struct json_writer w;
	BUF_AUTO key = BUF_SECRET_INIT(64), uri = BUF_SECRET_INIT(4096);
	BUF_AUTO path = BUF_SECRET_INIT(256 << 10);
	secret_done(&p->offered);
	p->offered = token_new(FACTOR_BYTES);
	base32_add(&key, secret_bytes(&p->offered));
	add_uri(c, p, buf_str(&key), &uri);
	QRcode *qr = QRcode_encodeString(buf_c(&uri), 0, QR_ECLEVEL_M, QR_MODE_8, 1);
	if (qr)
		draw(qr, &path);
	call_object(c, &w);
	json_write_text(&w, "key", buf_str(&key));
	json_write_text(&w, "uri", buf_str(&uri));
	json_write_text(&w, "svg_path", buf_str(&path));
	json_write_int(&w, "svg_size", qr ? qr->width + 2 * QR_MARGIN : 0);
	json_write_end(&w);
	QRcode_free(qr);
	call_answer(c, 200);
}

static void post_factor(struct call *c)
{
	call_confirm(c, json_text(c->json, "password"), "password", offer);
}

static void put_factor(struct call *c)
{
	struct err err = ERR_INIT;
	struct person *p = self(c);
	int64_t step = 0;
	if (!p)
		return;
	struct str code = json_text(c->json, "code");
	if (!p->offered.n) {
		err_set(&err, ERR_CONFLICT,
		        "No key was shown yet, or the server was started anew meanwhile." ERR_REMEDY
		        "Begin again with your password.");
		call_fail(c, &err);
		return;
	}
	if (!factor_fits(secret_bytes(&p->offered), code, loop_wall(portal.loop), &step)) {
		err_set(&err, ERR_INPUT,
		        "This is not the code that belongs to the key now." ERR_REMEDY
		        "Type the six digits that the app shows; the clocks of phone and server "
		        "must agree to half a minute.");
		call_wrong(c, &err, "code");
		return;
	}
	struct json_writer w;
	call_object(c, &w);
	factor_on(p, &w);
	p->factor_step = step;
	json_write_end(&w);
	audit_add(c, "Second factor on", str_c(p->name), STR_NONE, STR_NONE);
	person_save(p, &call_saving(c, call_ok)->wait);
}

static void turn_off(struct call *c, struct person *p)
{
	factor_off(p);
	audit_add(c, "Second factor off", str_c(p->name), STR_NONE, STR_NONE);
	person_save(p, &call_saving(c, NULL)->wait);
}

static void post_factor_off(struct call *c)
{
	call_confirm(c, json_text(c->json, "password"), "password", turn_off);
}

const struct route account_routes[] = {
	{ "GET", "/api/account", SCOPE_READ, get_account },
	{ "PUT", "/api/account/password", SCOPE_READ, put_password },
	{ "DELETE", "/api/account/sessions/*", SCOPE_READ, delete_session },
	{ "POST", "/api/account/second-factor", SCOPE_READ, post_factor },
	{ "PUT", "/api/account/second-factor", SCOPE_READ, put_factor },
	{ "POST", "/api/account/second-factor/off", SCOPE_READ, post_factor_off },
	{ 0 },
};
