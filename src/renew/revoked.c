/* Whether CAs have revoked what is held: after start and then every day each certificate's list is
 * asked for, once for all that name it, and its OCSP responder about it. One that is revoked is
 * told of, and renewed at once (when.h), but for those that were imported. Whoever does not answer
 * stops nothing.
 *
 * Disadvantage: lists of more than 1 MiB are not read. */
#include "certs/revoked.h"
#include "renew/import.h"
#include "renew/private.h"

enum { ASKING_MOST = 4, ANSWER_MOST = 1 << 20, THUMBPRINT = 41 };

struct question {
	struct map_node node; /* by "URL", or "URL ID" */
	struct list to_ask;
	struct renewals *renewals;
	char *id, *url;
	/* Of OCSP: the certificate, by the id of its registration or import, and its thumbprint; of
	 * a list NULL. */
	char *about, thumbprint[THUMBPRINT];
	bool asking;
	struct fetch_call fetch;
};

/* That one was revoked, on its way into the store. */
struct note {
	struct list node;
	struct renewals *renewals;
	struct store_tx tx;
};

static void kick(struct renewals *r);

static void question_free(struct question *q)
{
	q->renewals->questioning -= q->asking;
	map_remove(&q->renewals->questions, &q->node);
	list_remove(&q->to_ask);
	fetch_abort(&q->fetch);
	free(q->id);
	free(q->url);
	free(q->about);
	free(q);
}

/* What is asked about */

/* Whether it matters, and an answer could be verified. */
static bool is_asked_about(const struct registration *g)
{
	const struct held *h = &g->held;
	return h->is && h->chain_count > 1 && !revoked_at(g) && !g->revocation &&
	       h->leaf.not_after > wall_now(g->renewals) && !held_superseded(g);
}

/* The certificate of a registration, or one that was imported. */
struct subject {
	struct registration *registration; /* NULL: imported */
	const struct imported *imported;
	struct imported_asked is;
};

static bool subject_of(struct registration *g, struct subject *ret)
{
	const struct cert *leaf = &g->held.leaf;
	if (!is_asked_about(g))
		return false;
	*ret = (struct subject){ .registration = g,
		.is = { .id = str_c(g->id),
		        .name = g->names[0],
		        .serial = leaf->serial,
		        .thumbprint = str_c(leaf->sha1),
		        .crl_url = leaf->crl_url,
		        .ocsp_url = leaf->ocsp_url } };
	return true;
}

static bool subject_of_imported(const struct imported *m, struct subject *ret)
{
	*ret = (struct subject){ .imported = m };
	return m && imported_asked(m, &ret->is);
}

/* Of a question about one. False: there is nothing to ask any more, or it has changed meanwhile. */
static bool subject_find(const struct question *q, struct subject *ret)
{
	const struct str id = str_c(q->about);
	struct registration *g = registration_by_id(q->renewals, id);
	const bool found =
	        g ? subject_of(g, ret) : subject_of_imported(imported_find(q->renewals, id), ret);
	return found && str_eq(ret->is.id, id) && str_eq_c(ret->is.thumbprint, q->thumbprint);
}

struct ders {
	struct arena arena;
	struct str chain[CHAIN_MOST];
	size_t count;
};

/* Its certificate, and that of who has signed it. */
static bool open_ders(const struct subject *s, struct ders *ret)
{
	const struct registration *g = s->registration;
	struct err none = ERR_INIT; /* what cannot be read is not served either */
	if (g)
		memcpy(ret->chain, g->held.chain, sizeof ret->chain);
	ret->count = g ? g->held.chain_count : 0;
	return g || (imported_chain(s->imported, &ret->arena, ret->chain, &ret->count, &none) &&
	                    ret->count > 1);
}

/* Hearing */

static void note_free(struct note *n)
{
	list_remove(&n->node);
	free(n);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, revoked_tx);
	g->revoked.version += !err;
	if (err)
		log_warning(g->renewals->needs.log,
		        "That the certificate for %.*s is revoked could not be stored, the next "
		        "start asks again: %s",
		        STR_ARG(g->names[0]), err->text);
}

static void is_revoked(struct registration *g, const struct question *q, int64_t at)
{
	const char *blocked = registration_blocked(g);
	char since[CLOCK_TEXT];
	if (g->revoked_tx.store)
		return;
	log_error(g->renewals->needs.log,
	        "The CA has revoked the certificate for %.*s on %s, says %s. %s%s",
	        STR_ARG(g->names[0]), clock_rfc3339(at, since), q->url,
	        blocked ? "No new one is ordered: " : "A new one is ordered.",
	        blocked ? blocked : "");
	revoked_put(g, &g->revoked_tx, g->held.leaf.sha256, at);
	store_tx_start(g->renewals->needs.store, &g->revoked_tx, stored);
	schedule(g);
}

static void noted(struct store_tx *tx, const struct err *err)
{
	struct note *n = OWNER(tx, struct note, tx);
	if (err)
		log_warning(n->renewals->needs.log,
		        "That an imported certificate is revoked could not be stored, the next "
		        "start asks again: %s",
		        err->text);
	note_free(n);
}

static void note(struct renewals *r, const struct imported_asked *what, int64_t at)
{
	BUF_AUTO value = BUF(1024), id = BUF(1024);
	struct json_writer w;
	struct note *n = mem_new(struct note);
	n->renewals = r;
	list_add_last(&r->notes, &n->node);
	store_tx_init(&n->tx);
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_text(&w, "thumbprint", what->thumbprint);
	json_write_time(&w, "at", at);
	json_write_end(&w);
	buf_add(&id, what->id);
	store_tx_put(&n->tx, STR("revoked"), what->id,
	        stored_version(r, STR("revoked"), buf_c(&id)), buf_str(&value), STR_NONE);
	store_tx_start(r->needs.store, &n->tx, noted);
}

static void imported_is_revoked(const struct subject *s, const struct question *q, int64_t at)
{
	struct renewals *r = q->renewals;
	char since[CLOCK_TEXT];
	log_error(r->needs.log,
	        "The CA has revoked the imported certificate for %.*s on %s, says %s. Everseal "
	        "does not renew it: import another one, or register the name.",
	        STR_ARG(s->is.name), clock_rfc3339(at, since), q->url);
	note(r, &s->is, at);
	imported_revoked(r, s->is.id, s->is.thumbprint, at);
}

static void tell_revoked(const struct subject *s, const struct question *q, int64_t at)
{
	if (s->registration)
		is_revoked(s->registration, q, at);
	else
		imported_is_revoked(s, q, at);
}

static bool hear_list_about_issued(const struct question *q, const struct crl *crl, struct err *err)
{
	struct str issuer = STR_NONE; /* that has signed it */
	bool ok = true;
	MAP_EACH (n, &q->renewals->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		int64_t at;
		if (!ok || !is_asked_about(g) || !str_eq_c(g->held.leaf.crl_url, q->url))
			continue;
		if (!str_eq(issuer, g->held.chain[1]))
			ok = crl_signed_by(crl, g->held.chain[1], err);
		issuer = g->held.chain[1];
		if (ok && crl_lists(crl, g->held.chain[0], &at))
			is_revoked(g, q, at);
	}
	return ok;
}

/* Of many only those whose number is in it are read. */
static bool hear_list_about_imported(
        const struct question *q, const struct crl *crl, struct err *err)
{
	bool ok = true;
	MAP_EACH (n, &q->renewals->imports) {
		struct subject s;
		struct ders d = { 0 };
		int64_t at;
		if (!ok || !subject_of_imported(imported_of(n), &s) ||
		        !str_eq_c(s.is.crl_url, q->url) || !crl_has_serial(crl, s.is.serial))
			continue;
		const bool read = open_ders(&s, &d);
		ok = !read || crl_signed_by(crl, d.chain[1], err);
		if (read && ok && crl_lists(crl, d.chain[0], &at))
			imported_is_revoked(&s, q, at);
		arena_done(&d.arena);
	}
	return ok;
}

static bool hear_list(const struct question *q, struct str body, struct err *err)
{
	struct crl *crl = crl_read(body, err);
	const bool ok =
	        crl && hear_list_about_issued(q, crl, err) && hear_list_about_imported(q, crl, err);
	crl_free(&crl);
	return ok;
}

static bool hear_answer(const struct question *q, struct str body, struct err *err)
{
	struct subject s;
	struct ders d = { 0 };
	int64_t at = 0;
	bool ok = true;
	if (subject_find(q, &s) && open_ders(&s, &d)) {
		const struct ocsp_about about = { d.chain[0], d.chain[1], wall_now(q->renewals) };
		ok = ocsp_read(body, &about, &at, err);
	}
	arena_done(&d.arena);
	if (ok && at)
		tell_revoked(&s, q, at);
	return ok;
}

static void heard(struct fetch_call *f, const struct fetch_reply *reply, const struct err *silence)
{
	struct question *q = OWNER(f, struct question, fetch);
	struct renewals *r = q->renewals;
	struct err err = silence ? *silence : (struct err)ERR_INIT;
	bool ok = reply && reply->status == 200;
	if (ok)
		ok = q->about ? hear_answer(q, reply->body, &err) : hear_list(q, reply->body, &err);
	else if (reply)
		err_set(&err, ERR_PROTOCOL,
		        "It answers with status %u." ERR_REMEDY "Nothing to do.", reply->status);
	if (!ok)
		log_warning(r->needs.log,
		        "%s does not say whether certificates are revoked, it is asked again in a "
		        "day: %s",
		        q->url, err.text);
	question_free(q);
	kick(r);
}

/* Asking */

/* RFC 6960 A.1: by POST. */
static bool add_request(const struct question *q, struct buf *body)
{
	struct subject s;
	struct ders d = { 0 };
	struct err ignored = ERR_INIT; /* what cannot be read was none of ours */
	const bool added = subject_find(q, &s) && open_ders(&s, &d) &&
	                   ocsp_request(d.chain[0], d.chain[1], body, &ignored);
	arena_done(&d.arena);
	return added;
}

static void ask(struct question *q)
{
	BUF_AUTO body = BUF(16 << 10);
	if (q->about && !add_request(q, &body)) {
		question_free(q);
		return;
	}
	q->asking = true;
	q->renewals->questioning++;
	q->fetch = (struct fetch_call){ .purpose = "revocation",
		.method = q->about ? "POST" : "GET",
		.url = str_c(q->url),
		.headers = q->about ? STR("Content-Type: application/ocsp-request\n") : STR_NONE,
		.body = buf_str(&body),
		.most = ANSWER_MOST,
		.done = heard };
	fetch_start(q->renewals->needs.fetch, &q->fetch);
}

static void kick(struct renewals *r)
{
	struct list *n;
	while (r->questioning < ASKING_MOST && (n = list_first(&r->to_question))) {
		list_remove(n);
		ask(OWNER(n, struct question, to_ask));
	}
}

/* about NULL: a list. */
static void add(struct renewals *r, struct str url, const struct imported_asked *about)
{
	BUF_AUTO id = BUF(8 << 10);
	buf_printf(&id, "%.*s%s%.*s", STR_ARG(url), about ? " " : "",
	        STR_ARG(about ? about->id : STR_NONE));
	if (!url.n || map_find(&r->questions, buf_str(&id)))
		return;
	struct question *q = mem_new(struct question);
	q->renewals = r;
	q->id = str_dup(buf_str(&id));
	q->url = str_dup(url);
	q->about = about ? str_dup(about->id) : NULL;
	if (about)
		snprintf(q->thumbprint, sizeof q->thumbprint, "%.*s", STR_ARG(about->thumbprint));
	map_add(&r->questions, str_c(q->id), &q->node);
	list_add_last(&r->to_question, &q->to_ask);
}

static void add_both(struct renewals *r, const struct subject *s)
{
	add(r, s->is.crl_url, NULL);
	add(r, s->is.ocsp_url, &s->is);
}

void revoked_look(struct renewals *r)
{
	struct subject s;
	MAP_EACH (n, &r->registrations)
		if (subject_of(OWNER(n, struct registration, node), &s))
			add_both(r, &s);
	MAP_EACH (n, &r->imports)
		if (subject_of_imported(imported_of(n), &s))
			add_both(r, &s);
	kick(r);
}

void revoked_stop(struct renewals *r)
{
	MAP_EACH (n, &r->questions)
		question_free(OWNER(n, struct question, node));
	map_done(&r->questions);
	LIST_EACH (n, &r->notes) {
		struct note *its = OWNER(n, struct note, node);
		store_tx_abort(&its->tx);
		note_free(its);
	}
}
