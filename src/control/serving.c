/* Which certificates are served, and what renew asks of control. A name without a certificate gets
 * a temporary one, all of them with one key. */
#include "certs/cert.h"
#include "control/control.h"

#include "net/address.h"
#include <errno.h>

enum { NAMES_MOST = 250 }; /* in one record of the segments */

struct installed {
	struct map_node node;
	bool temporary, unused; /* unused: no site has it */
	char name[];
};

static struct control *control_of(struct serving *s)
{
	return OWNER(s, struct control, serving);
}

static struct installed *installed(const struct control *c, struct str name)
{
	struct map_node *n = map_find(&c->installed, name);
	return n ? OWNER(n, struct installed, node) : NULL;
}

static void note(struct control *c, struct str name, bool temporary)
{
	struct installed *i = installed(c, name);
	if (!i) {
		i = mem_alloc(sizeof *i + name.n);
		memcpy(i->name, name.p, name.n);
		map_add(&c->installed, str_n(i->name, name.n), &i->node);
	}
	i->temporary = temporary;
}

static void install(struct serving *s, const struct serving_certificate *cert)
{
	struct control *c = control_of(s);
	struct err err = ERR_INIT;
	if (page_install(c, cert))
		return;
	if (!feed_certificate(&c->feed, cert->names, cert->name_count, cert, &err)) {
		log_error(&c->log,
		        "The certificate for %.*s cannot be served, keeping the old one: %s",
		        STR_ARG(cert->names[0]), err.text);
		return;
	}
	for (size_t i = 0; i < cert->name_count; i++)
		note(c, cert->names[i], /* temporary= */ false);
}

/* ---- temporary certificates ---- */

static bool self_sign(
        struct control *c, const struct str *names, size_t count, struct buf *der, struct err *err)
{
	/* `site *` stands in the table as "*"; its certificate needs a name that can be one. */
	const struct str shown = STR("localhost");
	bool star = count == 1 && str_eq_c(names[0], "*");
	int64_t now = loop_wall(c->loop);
	if (!c->temporary_key && !(c->temporary_key = key_new(KEY_P256, err)))
		return false;
	return key_self_signed(c->temporary_key, star ? &shown : names, count, now - DAY,
	        now + 3650 * DAY, der, err);
}

static bool put_temporary(struct control *c, const struct str *names, size_t count, struct err *err)
{
	BUF_AUTO der = BUF(64 << 10);
	if (!self_sign(c, names, count, &der, err))
		return false;
	SECRET_AUTO key = key_to_der(c->temporary_key);
	struct cert_record record = {
		.flags = CERT_TEMPORARY,
		.leaf = buf_str(&der),
		.key = secret_bytes(&key),
	};
	if (!feed_add(&c->feed, names, count, &record, err))
		return false;
	for (size_t i = 0; i < count; i++)
		note(c, names[i], /* temporary= */ true);
	return true;
}

void serving_cover(struct control *c, const struct str *names, size_t count)
{
	struct str missing[NAMES_MOST];
	struct err err = ERR_INIT;
	size_t n = 0;
	for (size_t i = 0; i < count && n < NAMES_MOST; i++)
		if (!installed(c, names[i]))
			missing[n++] = names[i];
	if (n && !put_temporary(c, missing, n, &err))
		log_error(&c->log, "No temporary certificate for %.*s: %s", STR_ARG(missing[0]),
		        err.text);
}

/* The name of a site in a row, or STR_NONE. */
static struct str name_in(const struct msg *m)
{
	if (m->type == MSG_site_name)
		return m->is.site_name.name;
	return m->type == MSG_site && m->is.site.fallback ? STR("*") : STR_NONE;
}

/* A generation that was taken back into force may have names whose certificates are forgotten. */
static void use_names(struct control *c)
{
	for (size_t i = 0; c->current && i < c->current->count; i++) {
		struct str name = name_in(&c->current->at[i]);
		if (!name.n)
			continue;
		serving_cover(c, &name, 1);
		struct installed *is = installed(c, name);
		if (is)
			is->unused = false;
	}
}

static void forget(struct control *c, struct installed *i)
{
	struct err err = ERR_INIT;
	if (!feed_forget(&c->feed, i->node.key, &err)) {
		log_error(&c->log, "%s", err.text);
		return;
	}
	map_remove(&c->installed, &i->node);
	free(i);
}

void serving_settle(struct control *c)
{
	MAP_EACH (n, &c->installed)
		OWNER(n, struct installed, node)->unused = true;
	use_names(c);
	MAP_EACH (n, &c->installed) {
		struct installed *i = OWNER(n, struct installed, node);
		if (i->temporary && i->unused)
			forget(c, i);
	}
}

static bool has_site(const struct control *c, struct str name)
{
	for (size_t i = 0; c->current && i < c->current->count; i++)
		if (str_eq(name_in(&c->current->at[i]), name))
			return true;
	return false;
}

/* A temporary one takes its place with one record, so that no visitor finds none. */
static void let_go(struct control *c, struct installed *i)
{
	struct err err = ERR_INIT;
	if (!has_site(c, i->node.key))
		forget(c, i);
	else if (!i->temporary && !put_temporary(c, &i->node.key, 1, &err))
		log_error(&c->log, "%s", err.text);
}

static void forget_names(struct serving *s, const struct str *names, size_t count)
{
	struct control *c = control_of(s);
	for (size_t i = 0; i < count; i++) {
		struct installed *is = installed(c, names[i]);
		if (page_is_named(c, names[i]))
			page_certs_forget(c, names[i]);
		if (is)
			let_go(c, is);
	}
}

/* ---- what renew asks for ---- */

static void change(struct serving *s, struct serving_change *change)
{
	generation_want(control_of(s), NULL, change);
}

static void change_abort(struct serving *s, struct serving_change *change)
{
	(void)s;
	generation_change_abort(change);
}

static size_t addresses(
        struct serving *s, struct str name, struct serving_address *ret, size_t most)
{
	struct control *c = control_of(s);
	size_t count = 0;
	if (page_is_named(c, name))
		return page_addresses(c, ret, most);
	/* Every TLS listener serves every DNS name; one that hears a proxy first is not for us. */
	LIST_EACH (n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		const struct str to = address_dialled(str_c(b->host), name);
		if (b->tls && b->fd >= 0 && !b->proxy_protocol && to.n && count < most)
			ret[count++] = (struct serving_address){ to, b->port };
	}
	return count;
}

static bool bound(struct serving *s, const struct address *a, struct err *err)
{
	struct control *c = control_of(s);
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->port != a->port || !str_eq_c(a->host, b->host))
			continue;
		return b->fd >= 0 || binding_error(b, err);
	}
	return err_set(
	        err, ERR_BUSY, "Port %u of %.*s is not bound yet.", a->port, STR_ARG(a->host));
}

/* Listeners of the generation in force that speak TLS, or plain HTTP. */
static bool listens(const struct control *c, bool tls)
{
	for (size_t i = 0; c->current && i < c->current->count; i++) {
		const struct msg *m = &c->current->at[i];
		if (m->type == MSG_listener && m->is.listener.tls == tls)
			return true;
	}
	return false;
}

static uint16_t asked_port(const struct control *c, bool tls)
{
	return tls ? c->config->challenge_https : c->config->challenge_http;
}

/* The one whose failure tells most: of the port that the CA asks on, else any. */
static const struct binding *failed_binding(const struct control *c, bool tls)
{
	const struct binding *found = NULL;
	const uint16_t asked = asked_port(c, tls);
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->tls != tls || b->fd >= 0 || !b->error || b->error == EAFNOSUPPORT)
			continue;
		if (!found || (b->port == asked && found->port != b->port))
			found = b;
	}
	return found;
}

/* Always false. */
static bool say_obstacle(const struct binding *failed, struct err *err)
{
	if (failed->holder && *failed->holder)
		return err_set(err, ERR_BUSY,
		        "Port %u is held by %s, the CA's question would reach that program "
		        "instead: stop it%s. Everseal goes on by itself then.",
		        failed->port, failed->holder,
		        failed->tls ? ""
		                    : ", or let it pass /.well-known/acme-challenge/ on to "
		                      "another `http` address of Everseal's");
	if (!binding_error(failed, err))
		err_set(err, err->code, "%s Without it the CA's question cannot reach Everseal.",
		        err->text);
	return false;
}

static bool unobstructed(struct serving *s, struct err *err)
{
	struct control *c = control_of(s);
	const struct binding *failed = failed_binding(c, /* tls= */ false);
	return !failed || failed->port != c->config->challenge_http || say_obstacle(failed, err);
}

/* An address on the port that CAs ask on, of which the supervisor has not said yet whether it is
 * ours; or NULL. */
static const struct binding *awaited(const struct control *c, bool tls)
{
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->tls == tls && b->fd < 0 && !b->error && b->port == asked_port(c, tls))
			return b;
	}
	return NULL;
}

static bool is_open(const struct control *c, bool tls, struct err *err)
{
	const struct binding *failed = failed_binding(c, tls), *unknown = awaited(c, tls);
	if (unknown)
		return err_set(err, ERR_BUSY,
		        "Port %u of %s, where the CA will ask, is not bound yet.", unknown->port,
		        unknown->host);
	if (listens(c, tls))
		return true;
	if (failed)
		return say_obstacle(failed, err);
	return err_set(err, ERR_BUSY,
	        "Everseal does not listen for %s yet, so the CA's question could not reach it.",
	        tls ? "HTTPS" : "plain HTTP");
}

static bool open_by_http(struct approach *a, struct err *ret_why_not)
{
	return is_open(OWNER(a, struct control, by_http), /* tls= */ false, ret_why_not);
}

static bool open_by_tls(struct approach *a, struct err *ret_why_not)
{
	return is_open(OWNER(a, struct control, by_tls), /* tls= */ true, ret_why_not);
}

/* Of all that is in the way what a person can do something about. Always false. */
static bool say_closed(const struct control *c, struct err *err)
{
	const struct binding *http = failed_binding(c, /* tls= */ false),
	                     *https = failed_binding(c, /* tls= */ true);
	if (http && https && http->holder && *http->holder && https->holder && *https->holder)
		return err_set(err, ERR_BUSY,
		        "Port %u is held by %s and port %u by %s, the CA's question would reach "
		        "them instead: stop one of them, or let the first pass "
		        "/.well-known/acme-challenge/ on to another `http` address of Everseal's. "
		        "Everseal goes on by itself then.",
		        http->port, http->holder, https->port, https->holder);
	return is_open(c, /* tls= */ false, err);
}

/* Until it is known whether the first way is open, the second is not taken. What no listener has to
 * prove does not wait for one: the attempt says what is missing. */
static bool provable(struct serving *s, struct str name, struct err *err)
{
	struct control *c = control_of(s);
	struct err unused;
	if (acme_is_wildcard(name))
		return true;
	if (awaited(c, /* tls= */ false))
		return !issuers_cannot(c->issuers, name, err);
	return issuers_can_prove(c->issuers, name, &unused) || say_closed(c, err);
}

static size_t list_addresses(
        const struct list *bindings, struct address *ret, size_t count, size_t most)
{
	LIST_EACH (n, bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (count < most)
			ret[count++] = (struct address){ .host = str_c(b->host), .port = b->port };
	}
	return count;
}

static size_t listeners(struct serving *s, struct address *ret, size_t most)
{
	const struct control *c = control_of(s);
	size_t count = list_addresses(&c->page.bindings, ret, 0, most);
	return list_addresses(&c->bindings, ret, count, most);
}

static const struct serving_ops serving_ops = {
	.install = install,
	.change = change,
	.change_abort = change_abort,
	.bound = bound,
	.provable = provable,
	.unobstructed = unobstructed,
	.forget = forget_names,
	.addresses = addresses,
	.listeners = listeners,
};

void serving_init(struct control *c)
{
	c->serving.ops = &serving_ops;
	c->by_http.open = open_by_http;
	c->by_tls.open = open_by_tls;
	feed_init(&c->feed, &c->serve);
}

void serving_done(struct control *c)
{
	MAP_EACH (n, &c->installed) {
		map_remove(&c->installed, n);
		free(OWNER(n, struct installed, node));
	}
	map_done(&c->installed);
	feed_done(&c->feed);
	key_free(&c->temporary_key);
}
