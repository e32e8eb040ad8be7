#include "issue/internal.h"

#include "base/clock.h"
#include "base/ip.h"
#include "certs/name.h"
#include "keys/authority.h"

#include <stdlib.h>

enum { NAMES_MOST = 100 };
#define ROOT_LIFE  (3652 * DAY)
#define ROOT_SPARE (365 * DAY) /* one that ends sooner is replaced */
#define BACKDATED  HOUR        /* for clients whose clocks are behind */
#define PRIVATE    STR("private")

/* What the root for private names permits; as name_is_private has them. */
static const struct str private_names[] = { STR_INIT("localhost"), STR_INIT("test"),
	STR_INIT("internal"), STR_INIT("local"), STR_INIT("lan"), STR_INIT("home"),
	STR_INIT("home.arpa"), STR_INIT("corp"), STR_INIT("example"), STR_INIT("invalid") };
enum { PRIVATE_COUNT = sizeof private_names / sizeof *private_names };

/* Which root */

static bool is_beneath(struct str name, struct str domain)
{
	return str_eq(name, domain) ||
	       (str_ends(name, domain) && name.p[name.n - domain.n - 1] == '.');
}

/* What a root must permit so that the name can stand in its certificates. */
static struct str domain_of(struct str name)
{
	if (ip_is(name))
		return name_is_private(name) ? PRIVATE : name;
	for (size_t i = 0; i < PRIVATE_COUNT; i++)
		if (is_beneath(name, private_names[i]))
			return PRIVATE;
	const struct str bare = str_starts(name, STR("*.")) ? str_from(name, 2) : name;
	const struct str registered = name_registered_domain(bare);
	return registered.n ? registered : bare;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static size_t domains_of(const struct str *names, size_t count, struct str ret_domains[NAMES_MOST])
{
	size_t found = 0;
	for (size_t i = 0; i < count && found < NAMES_MOST; i++)
		ret_domains[found++] = domain_of(names[i]);
	qsort(ret_domains, found, sizeof *ret_domains, by_text);
	size_t kept = 0;
	for (size_t i = 0; i < found; i++)
		if (!kept || !str_eq(ret_domains[kept - 1], ret_domains[i]))
			ret_domains[kept++] = ret_domains[i];
	return kept;
}

static struct str id_of(struct arena *a, const struct str *names, size_t count)
{
	struct str domains[NAMES_MOST];
	struct str id = STR("");
	const size_t n = domains_of(names, count, domains);
	for (size_t i = 0; i < n; i++)
		id = arena_printf(a, "%.*s%s%.*s", STR_ARG(id), i ? " " : "", STR_ARG(domains[i]));
	return id;
}

/* A root that is stored */

struct root {
	int64_t version; /* 0: there is none */
	struct str der;
	struct key *key;
	int64_t not_after;
};

static bool root_read(struct arena *a, const struct record *r, struct str *ret_der,
        struct cert *ret_cert, struct err *err)
{
	struct str chain[CHAIN_MOST];
	size_t count;
	JSON_AUTO *json = json_parse(r->value, "The root of the internal authority", err);
	if (!json || !cert_chain_from_pem(a, json_text(json, "root"), chain, &count, err) ||
	        !cert_read(a, chain[0], ret_cert, err))
		return false;
	*ret_der = chain[0];
	return true;
}

/* True also if there is none yet. One that cannot be read is never replaced by a new one: clients
 * trust it. */
static bool root_load(struct internal_call *c, struct root *ret_root, struct err *err)
{
	struct record r;
	struct cert cert;
	struct root root = { 0 };
	SECRET_AUTO der = SECRET_NONE;
	static const char what[] = "The key of the internal authority";
	if (!store_get(c->needs->store, &c->arena, STR("authority"), c->id, &r, err))
		return err->code == ERR_NOT_FOUND;
	root.version = r.version;
	if (!root_read(&c->arena, &r, &root.der, &cert, err) ||
	        !unseal(c->needs->master, (struct seal_for){ r.kind, r.id, r.version }, what,
	                r.blob, &der, err))
		return false;
	root.not_after = cert.not_after;
	root.key = key_from_der(secret_bytes(&der), what, err);
	*ret_root = root;
	return root.key;
}

/* A new one */

static bool root_make(
        struct internal_call *c, const struct key *key, struct buf *out_der, struct err *err)
{
	struct str names[NAMES_MOST + PRIVATE_COUNT], domains[NAMES_MOST];
	char print[JWK_THUMBPRINT + 1];
	const size_t domain_count = domains_of(c->names, c->name_count, domains);
	const int64_t now = loop_wall(c->needs->loop);
	struct authority_root root = {
		.names = names, .not_before = now - BACKDATED, .not_after = now + ROOT_LIFE
	};
	for (size_t i = 0; i < domain_count; i++) {
		const bool private = str_eq(domains[i], PRIVATE);
		root.addresses |= private;
		if (!private)
			names[root.count++] = domains[i];
		for (size_t k = 0; private && k < PRIVATE_COUNT; k++)
			names[root.count++] = private_names[k];
	}
	/* Two roots of the same name would be taken for each other: RFC 5280 4.1.2.4 leaves the
	 * name to us. 64 characters at most. */
	key_thumbprint(key, print);
	root.common_name =
	        str_head(arena_printf(&c->arena, "Everseal %.8s for %.*s", print,
	                         STR_ARG(str_eq(c->id, PRIVATE) ? STR("private names") : c->id)),
	                64);
	return authority_root_make(key, &root, out_der, err);
}

static void root_stored(struct store_tx *tx, const struct err *err);

static void root_store(
        struct internal_call *c, const struct key *key, struct str der, int64_t replaces)
{
	BUF_AUTO pem = BUF(64 << 10), value = BUF(64 << 10), blob = BUF(4096);
	struct json_writer w;
	const struct str kind = STR("authority");
	SECRET_AUTO secret = key_to_der(key);
	cert_to_pem(der, &pem);
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_text(&w, "root", buf_str(&pem));
	json_write_time(&w, "created", loop_wall(c->needs->loop));
	json_write_end(&w);
	seal(c->needs->master, (struct seal_for){ kind, c->id, replaces + 1 }, &secret, &blob);
	store_tx_put(&c->tx, kind, c->id, replaces, buf_str(&value), buf_str(&blob));
	store_tx_start(c->needs->store, &c->tx, root_stored);
}

/* The certificate */

static void finish(struct internal_call *c, struct str leaf, const struct err *err)
{
	struct arena arena = c->arena;
	c->arena = (struct arena)ARENA_INIT;
	c->needs = NULL;
	c->done(c, leaf, err);
	arena_done(&arena);
}

static void sign(struct internal_call *c, const struct root *root)
{
	BUF_AUTO leaf = BUF(64 << 10);
	const int64_t now = loop_wall(c->needs->loop);
	const struct authority_leaf want = { .names = c->names,
		.count = c->name_count,
		.not_before = now - BACKDATED,
		.not_after = now + INTERNAL_LEAF_LIFE };
	const bool made = authority_leaf_make(root->key, root->der, c->key, &want, &leaf, &c->err);
	finish(c, buf_str(&leaf), made ? NULL : &c->err);
}

static bool replace(struct internal_call *c, int64_t version, struct err *err)
{
	BUF_AUTO der = BUF(64 << 10);
	KEY_AUTO *key = key_new(KEY_P256, err);
	if (!key || !root_make(c, key, &der, err))
		return false;
	root_store(c, key, buf_str(&der), version);
	log_info(c->needs->log,
	        "A new root of the internal authority for %.*s was made: its certificates are "
	        "trusted by who trusts it.",
	        STR_ARG(c->id));
	return true;
}

static void go_on(struct internal_call *c)
{
	struct root root = { 0 };
	if (!root_load(c, &root, &c->err))
		finish(c, STR_NONE, &c->err);
	else if (root.key && root.not_after - loop_wall(c->needs->loop) > ROOT_SPARE)
		sign(c, &root);
	else if (!replace(c, root.version, &c->err))
		finish(c, STR_NONE, &c->err);
	key_free(&root.key);
}

/* Another attempt may have made the same root in the meantime: then that one is the root. */
static void root_stored(struct store_tx *tx, const struct err *err)
{
	struct internal_call *c = OWNER(tx, struct internal_call, tx);
	if (err && err->code != ERR_CONFLICT)
		finish(c, STR_NONE, err);
	else
		go_on(c);
}

static void begin(struct later *l)
{
	go_on(OWNER(l, struct internal_call, later));
}

void internal_start(struct internal_call *c, const struct issue_needs *needs)
{
	c->needs = needs;
	c->arena = (struct arena)ARENA_INIT;
	c->id = id_of(&c->arena, c->names, c->name_count);
	later_start(&c->later, needs->loop, begin);
}

void internal_abort(struct internal_call *c)
{
	if (!c->needs)
		return;
	store_tx_abort(&c->tx);
	later_stop(&c->later);
	arena_done(&c->arena);
	c->needs = NULL;
}

/* For people */

struct roots {
	struct store_scan scan;
	void (*each)(struct roots *r, const struct record *record, struct str der,
	        const struct cert *cert);
	struct json_writer *w;
	struct buf *pem;
	size_t count;
};

static bool read_one(struct store_scan *scan, const struct record *record)
{
	struct roots *r = OWNER(scan, struct roots, scan);
	ARENA_AUTO a = ARENA_INIT;
	struct err ignored = ERR_INIT;
	struct cert cert;
	struct str der;
	if (root_read(&a, record, &der, &cert, &ignored))
		r->each(r, record, der, &cert);
	return true;
}

static void read_all(struct store *store, struct roots *r)
{
	struct err ignored = ERR_INIT;
	r->scan.each = read_one;
	(void)!store_each(store, STR("authority"), &r->scan, &ignored);
}

static void count_one(
        struct roots *r, const struct record *record, struct str der, const struct cert *cert)
{
	(void)record, (void)der, (void)cert;
	r->count++;
}

size_t internal_roots_count(struct store *store)
{
	struct roots r = { .each = count_one };
	read_all(store, &r);
	return r.count;
}

static void add_pem(
        struct roots *r, const struct record *record, struct str der, const struct cert *cert)
{
	(void)record, (void)cert;
	cert_to_pem(der, r->pem);
}

void internal_roots_pem(struct store *store, struct buf *out)
{
	struct roots r = { .each = add_pem, .pem = out };
	read_all(store, &r);
}

static void write_one(
        struct roots *r, const struct record *record, struct str der, const struct cert *cert)
{
	struct json_writer *w = r->w;
	BUF_AUTO pem = BUF(64 << 10);
	cert_to_pem(der, &pem);
	json_write_object(w, NULL);
	json_write_text(w, "for", record->id);
	json_write_text(w, "subject", cert->subject);
	json_write_time(w, "not_before", cert->not_before);
	json_write_time(w, "not_after", cert->not_after);
	json_write_c(w, "sha256", cert->sha256);
	json_write_text(w, "pem", buf_str(&pem));
	json_write_end(w);
}

void internal_roots_write(struct store *store, struct json_writer *w, const char *name)
{
	struct roots r = { .each = write_one, .w = w };
	json_write_array(w, name);
	read_all(store, &r);
	json_write_end(w);
}
