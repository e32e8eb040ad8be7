/* The page's certificates, in a feed of their own: that of its name, once there is one, and under
 * "*" a self-made one for everything else: the address, localhost, and the name until then.
 *
 * Record page-certificate, id self: value {"names":[…]}; blob: sealed, the key's length in two
 * bytes, the key, the certificate. It is kept, so that who has once compared its fingerprint is not
 * asked again. */
#include "certs/cert.h"
#include "control/control.h"

enum { BLOB_MOST = 64 << 10 };
static const int64_t LIFE = 3650 * DAY, RENEWED_BEFORE = 90 * DAY;
#define KIND STR("page-certificate")
#define ID   STR("self")

void page_certs_init(struct control *c)
{
	feed_init(&c->page.feed, &c->page.serve);
}

void page_certs_done(struct control *c)
{
	store_tx_abort(&c->page.tx);
	feed_done(&c->page.feed);
	free((char *)c->page.self_made.p);
}

bool page_certs_put(struct control *c, const struct serving_certificate *cert, struct err *err)
{
	struct str name = c->page.configured ? c->page.name : c->config->page_name;
	return feed_certificate(&c->page.feed, &name, 1, cert, err);
}

void page_certs_forget(struct control *c, struct str name)
{
	struct err err = ERR_INIT;
	if (name.n && !feed_forget(&c->page.feed, name, &err))
		log_error(&c->log, "%s", err.text);
}

/* ---- the self-made one ---- */

struct self_made {
	struct arena arena;
	struct str names[3];
	size_t count;
	struct secret key;
	struct str leaf;
	int64_t version; /* of its record, 0: none */
};
static void self_made_done(struct self_made *s)
{
	secret_done(&s->key);
	arena_done(&s->arena);
}

static void choose_names(const struct page *p, struct self_made *s)
{
	if (p->name.n)
		s->names[s->count++] = p->name;
	if (!str_eq(p->listen.host, STR("0.0.0.0")) && !str_eq(p->listen.host, STR("::")))
		s->names[s->count++] = p->listen.host;
	if (!str_eq(p->name, STR("localhost")))
		s->names[s->count++] = STR("localhost");
}

static void write_names(const struct self_made *s, struct buf *out)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_array(&w, "names");
	for (size_t i = 0; i < s->count; i++)
		json_write_text(&w, NULL, s->names[i]);
	json_write_end(&w);
	json_write_end(&w);
}

/* False if the bytes are not what `store` wrote. */
static bool take_apart(struct self_made *s, struct str plain)
{
	if (plain.n < 2)
		return false;
	size_t n = (size_t)(unsigned char)plain.p[0] << 8 | (unsigned char)plain.p[1];
	if (plain.n - 2 < n)
		return false;
	s->key = secret_copy(str_n(plain.p + 2, n));
	s->leaf = arena_str(&s->arena, str_from(plain, 2 + n));
	return true;
}

/* The one in the store, if it is for these names and will live for a while. */
static bool load(struct control *c, struct str value, struct self_made *s, struct cert *ret_cert)
{
	struct record r;
	struct err err = ERR_INIT;
	SECRET_AUTO plain = SECRET_NONE;
	if (!store_get(c->store, &s->arena, KIND, ID, &r, &err))
		return false;
	s->version = r.version;
	struct seal_for what = { KIND, ID, r.version };
	return str_eq(r.value, value) &&
	       unseal(c->master, what, "The page's self-made certificate", r.blob, &plain, &err) &&
	       take_apart(s, secret_bytes(&plain)) &&
	       cert_read(&s->arena, s->leaf, ret_cert, &err) &&
	       ret_cert->not_after > loop_wall(c->loop) + RENEWED_BEFORE;
}

static bool make(struct control *c, struct self_made *s, struct cert *ret_cert, struct err *err)
{
	KEY_AUTO *key = key_new(KEY_P256, err);
	BUF_AUTO der = BUF(BLOB_MOST);
	int64_t now = loop_wall(c->loop);
	if (!key || !key_self_signed(key, s->names, s->count, now - DAY, now + LIFE, &der, err))
		return false;
	secret_done(&s->key);
	s->key = key_to_der(key);
	s->leaf = arena_str(&s->arena, buf_str(&der));
	return cert_read(&s->arena, s->leaf, ret_cert, err);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct control *c = OWNER(tx, struct control, page.tx);
	if (err)
		log_warning(&c->log,
		        "The page's self-made certificate is not kept, the next start makes "
		        "another one: %s",
		        err->text);
}

static void store(struct control *c, struct str value, const struct self_made *s)
{
	BUF_AUTO plain = BUF(BLOB_MOST), blob = BUF(BLOB_MOST);
	struct str key = secret_bytes(&s->key);
	buf_add_char(&plain, (char)(key.n >> 8));
	buf_add_char(&plain, (char)key.n);
	buf_add(&plain, key);
	buf_add(&plain, s->leaf);
	SECRET_AUTO all = secret_copy(buf_str(&plain));
	wipe(plain.p, plain.n);
	seal(c->master, (struct seal_for){ KIND, ID, s->version + 1 }, &all, &blob);
	store_tx_abort(&c->page.tx);
	store_tx_put(&c->page.tx, KIND, ID, s->version, value, buf_str(&blob));
	store_tx_start(c->store, &c->page.tx, stored);
}

static bool have_self_made(struct control *c, struct str value, struct err *err)
{
	__attribute__((cleanup(self_made_done))) struct self_made s = { 0 };
	struct cert cert;
	choose_names(&c->page, &s);
	if (!load(c, value, &s, &cert)) {
		if (!make(c, &s, &cert, err))
			return false;
		store(c, value, &s);
	}
	struct cert_record record = {
		.flags = CERT_TEMPORARY,
		.leaf = s.leaf,
		.key = secret_bytes(&s.key),
	};
	const struct str every = STR("*");
	if (!feed_add(&c->page.feed, &every, 1, &record, err))
		return false;
	memcpy(c->page.fingerprint, cert.sha256, sizeof c->page.fingerprint);
	return true;
}

void page_certs_settle(struct control *c)
{
	struct page *p = &c->page;
	struct self_made s = { 0 };
	struct err err = ERR_INIT;
	BUF_AUTO value = BUF(4096);
	if (!p->listen.host.n)
		return;
	choose_names(p, &s);
	write_names(&s, &value);
	if (str_eq(buf_str(&value), p->self_made))
		return;
	free((char *)p->self_made.p);
	char *kept = str_dup(buf_str(&value));
	p->self_made = str_c(kept);
	if (!have_self_made(c, buf_str(&value), &err))
		log_error(&c->log, "The page has no certificate of its own: %s", err.text);
}
