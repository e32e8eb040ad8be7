/* The certificate that a registration has: its record, and how it gets into handshakes.
 *
 * Record certificate: value {issuer, since, …} for people and scripts; blob: the number of
 * certificates, each as length and DER, then the sealed key. Lengths are four bytes, big-endian. */
#include "renew/import.h"
#include "renew/private.h"

enum { BLOB_MOST = 512 << 10 };

void held_clear(struct held *h)
{
	secret_done(&h->key);
	arena_done(&h->arena);
	*h = (struct held){ .version = h->version };
}

/* The blob */

static void add_length(struct buf *b, size_t n)
{
	char bytes[4] = { (char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n };
	buf_add(b, str_n(bytes, sizeof bytes));
}

static bool take_length(struct str *rest, size_t *ret_n)
{
	const unsigned char *p = (const unsigned char *)rest->p;
	if (rest->n < 4)
		return false;
	*ret_n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	*rest = str_from(*rest, 4);
	return true;
}

static bool take_bytes(struct str *rest, struct str *ret_bytes)
{
	size_t n;
	if (!take_length(rest, &n) || n > rest->n)
		return false;
	*ret_bytes = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return true;
}

bool held_read_chain(
        struct str *rest, struct str ret_chain[CHAIN_MOST], size_t *ret_count, struct err *err)
{
	size_t count;
	if (!take_length(rest, &count) || !count || count > CHAIN_MOST)
		return err_set(err, ERR_CORRUPT,
		        "The stored certificate is damaged." ERR_REMEDY
		        "Restore a backup, or register the name again.");
	for (size_t i = 0; i < count; i++)
		if (!take_bytes(rest, &ret_chain[i]))
			return err_set(err, ERR_CORRUPT,
			        "The stored certificate is damaged." ERR_REMEDY
			        "Restore a backup, or register the name again.");
	*ret_count = count;
	return true;
}

static bool read_chain(struct held *h, struct str *rest, struct err *err)
{
	struct str chain[CHAIN_MOST];
	if (!held_read_chain(rest, chain, &h->chain_count, err))
		return false;
	for (size_t i = 0; i < h->chain_count; i++)
		h->chain[i] = arena_str(&h->arena, chain[i]);
	return cert_read(&h->arena, h->chain[0], &h->leaf, err);
}

/* Writing */

void held_blob(struct buf *out, const struct str *chain, size_t count)
{
	add_length(out, count);
	for (size_t i = 0; i < count; i++) {
		add_length(out, chain[i].n);
		buf_add(out, chain[i]);
	}
}

static void write_value(const struct registration *g, const struct issued *issued, struct buf *out)
{
	struct json_writer w;
	const struct cert *leaf = &issued->leaf;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_text(&w, "issuer", ca_issuer(g));
	json_write_time(&w, "since", loop_wall(g->renewals->needs.loop));
	json_write_array(&w, "names");
	for (size_t i = 0; i < leaf->name_count; i++)
		json_write_text(&w, NULL, leaf->names[i]);
	json_write_end(&w);
	json_write_text(&w, "serial", leaf->serial);
	json_write_time(&w, "not_before", leaf->not_before);
	json_write_time(&w, "not_after", leaf->not_after);
	json_write_c(&w, "thumbprint", leaf->sha1);
	json_write_end(&w);
}

void held_put(struct registration *g, const struct issued *issued, struct store_tx *tx)
{
	BUF_AUTO value = BUF(64 << 10), blob = BUF(BLOB_MOST);
	struct str kind = STR("certificate"), id = str_c(g->id);
	write_value(g, issued, &value);
	held_blob(&blob, issued->chain, issued->chain_count);
	seal(g->renewals->needs.master, (struct seal_for){ kind, id, g->held.version + 1 },
	        issued->key, &blob);
	store_tx_put(tx, kind, id, g->held.version, buf_str(&value), buf_str(&blob));
}

void held_take(struct registration *g, const struct issued *issued)
{
	struct held *h = &g->fresh;
	struct err err = ERR_INIT;
	held_clear(h);
	h->is = true;
	h->version = g->held.version + 1;
	h->since = loop_wall(g->renewals->needs.loop);
	h->issuer = arena_str(&h->arena, ca_issuer(g));
	h->key = secret_copy(secret_bytes(issued->key));
	h->chain_count = issued->chain_count;
	for (size_t i = 0; i < issued->chain_count; i++)
		h->chain[i] = arena_str(&h->arena, issued->chain[i]);
	CHECK(cert_read(&h->arena, h->chain[0], &h->leaf, &err)); /* issue/ has read it before */
}

void held_swap(struct registration *g)
{
	held_clear(&g->held);
	g->held = g->fresh;
	g->fresh = (struct held){ 0 };
}

static struct serving_certificate certificate_of(const struct registration *g)
{
	const struct held *h = &g->held;
	struct serving_certificate c = {
		.id = str_c(g->id),
		.names = h->leaf.names,
		.name_count = h->leaf.name_count,
		.leaf = h->chain[0],
		.chain = h->chain + 1,
		.chain_count = h->chain_count - 1,
		.key = &h->key,
	};
	if (!revoked_at(g))
		staple_show(g->renewals, str_c(h->leaf.sha1), &c);
	return c;
}

static void install(struct registration *g, struct registration *beside)
{
	struct serving *s = g->renewals->needs.serving;
	struct serving_certificate c = certificate_of(g), other;
	if (beside) {
		other = certificate_of(beside);
		c.beside = &other;
	}
	s->ops->install(s, &c);
	for (size_t i = 0; !beside && i < c.name_count; i++)
		imported_install_beside(g->renewals, c.names[i], key_type_is_rsa(g->key_type), &c);
	g->installed = ++g->renewals->installs;
	tell_registration(g);
	if (beside) {
		beside->installed = g->installed;
		tell_registration(beside);
	}
}

void held_install_for(struct registration *g, const struct str *name)
{
	struct serving *s = g->renewals->needs.serving;
	struct serving_certificate c = certificate_of(g);
	c.names = name;
	c.name_count = 1;
	s->ops->install(s, &c);
	tell_registration(g);
}

void held_install(struct registration *g)
{
	struct registration *beside = registration_beside(g);
	if (beside && key_type_is_rsa(g->key_type))
		install(beside, g);
	else
		install(g, beside);
}

void held_leave(const struct registration *g)
{
	if (!g->held.is || registration_asked_for(g))
		return;
	for (struct name_entry *e = names_first(g->renewals, g->names[0]); e; e = names_next(e)) {
		struct registration *other = e->registration;
		if (other->held.is && registration_asked_for(other) &&
		        registration_fits_beside(g, other))
			held_install(other);
	}
}

bool held_superseded(const struct registration *g)
{
	for (struct name_entry *e = names_first(g->renewals, g->names[0]); e; e = names_next(e))
		if (e->registration->installed > g->installed)
			return true;
	return false;
}

/* Loading */

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool read_held(struct registration *g, const struct record *record, struct err *err)
{
	struct held *h = &g->held;
	struct str rest = record->blob;
	BUF_AUTO what = BUF(1024);
	buf_printf(&what, "The key of the certificate for %s", g->id);
	JSON_AUTO *json = json_parse(record->value, "The stored certificate", err);
	if (!json || !read_chain(h, &rest, err))
		return false;
	h->issuer = arena_str(&h->arena, json_text(json, "issuer"));
	clock_from_rfc3339(json_text(json, "since"), &h->since);
	struct seal_for sealed = { record->kind, record->id, record->version };
	return unseal(g->renewals->needs.master, sealed, buf_c(&what), rest, &h->key, err);
}

/* From how certificates are described: "P-256", "RSA 2048". */
static enum key_type key_type_of_leaf(const struct cert *leaf)
{
	BUF_AUTO name = BUF(64);
	enum key_type type;
	for (size_t i = 0; i < leaf->key_type.n; i++) {
		const char c = leaf->key_type.p[i];
		if (c != '-' && c != ' ')
			buf_add_char(&name, (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
	}
	return key_type_from_name(buf_str(&name), &type) ? type : KEY_P256;
}

/* Names that nothing asks for any more are still served, with what the certificate says of them. */
static void adopt_names(struct registration *g)
{
	if (g->name_count)
		return;
	g->name_count = g->held.leaf.name_count;
	g->names = arena_array(&g->arena, struct str, g->name_count);
	for (size_t i = 0; i < g->name_count; i++)
		g->names[i] = arena_str(&g->arena, g->held.leaf.names[i]);
	g->issuer = arena_str(&g->arena, g->held.issuer);
	g->key_type = key_type_of_leaf(&g->held.leaf);
	names_index(g);
}

static bool load_held(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct registration *g = registration_by_id(r, record->id);
	struct err err = ERR_INIT;
	if (!g)
		g = registration_new(r, record->id);
	g->held.version = record->version;
	if (read_held(g, record, &err)) {
		g->held.is = true;
		adopt_names(g);
		return true;
	}
	log_error(r->needs.log, "The certificate %s cannot be served: %s", g->id, err.text);
	held_clear(&g->held);
	g->last_error = err;
	g->last_error_at = loop_wall(r->needs.loop);
	return true;
}

bool held_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_held, .renewals = r };
	return store_each(r->needs.store, STR("certificate"), &load.scan, err);
}
