/* Whether CAs have revoked what is held: after start and then every day each certificate's list is
 * asked for, once for all that name it, and its OCSP responder about it. One that is revoked is
 * told of, and renewed at once (when.h), but for those that were imported. A responder is also
 * asked when there is no answer to show in handshakes, or an old one (staples.c). Whoever does not
 * answer stops nothing.
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
	        g ? subject_of(g, ret) : subject_of_imported(imported_by_id(q->renewals, id), ret);
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
	g->revoked.compromised = false;
	revoked_put(g, &g->revoked_tx, g->held.leaf.sha256, at);
	store_tx_start(g->renewals->needs.store, &g->revoked_tx, stored);
	schedule(g);
}

static void note(struct renewals *r, const struct imported_asked *what, int64_t at)
{
	BUF_AUTO value = BUF(1024);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_text(&w, "thumbprint", what->thumbprint);
	json_write_time(&w, "at", at);
	json_write_end(&w);
	note_put(r, STR("revoked"), what->id, buf_str(&value), STR_NONE);
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

/* ---- answers that are shown ---- */

static void serve_again(const struct subject *s)
{
	if (s->registration)
		held_install(s->registration);
	else
		imported_serve_again(s->imported);
}

static void hear_good(const struct question *q, const struct subject *s, struct str body,
        const struct ocsp_said *said)
{
	const struct staple_answer answer = { body, said->from, said->until };
	if (staple_take(q->renewals, s->is.thumbprint, &answer))
		serve_again(s);
}

/* Whether browsers refuse it without one. */
static bool must_staple(const struct subject *s)
{
	struct ders d = { 0 };
	struct cert leaf;
	struct err none = ERR_INIT;
	const bool must = open_ders(s, &d) && cert_read(&d.arena, d.chain[0], &leaf, &none) &&
	                  leaf.must_staple;
	arena_done(&d.arena);
	return must;
}

static void hear_nothing(const struct question *q, const struct subject *s)
{
	const bool missed = staple_missed(q->renewals, s->is.thumbprint, must_staple(s));
	if (missed && s->imported)
		imported_tell(s->imported);
	if (missed)
		log_error(q->renewals->needs.log,
		        "The certificate for %.*s may only be shown with an answer of its OCSP "
		        "responder (must-staple), and %s gives none: browsers refuse it. It is "
		        "asked again within a day.",
		        STR_ARG(s->is.name), q->url);
}

/* What was heard may have changed what it was about: that is looked for anew. */
static void after_answer(const struct question *q, struct str body, const struct ocsp_said *said)
{
	struct subject s;
	if (!subject_find(q, &s))
		return;
	if (said->until)
		hear_good(q, &s, body, said);
	else
		hear_nothing(q, &s);
}

static bool hear_answer(
        const struct question *q, struct str body, struct ocsp_said *ret_said, struct err *err)
{
	struct subject s;
	struct ders d = { 0 };
	bool ok = true;
	if (subject_find(q, &s) && open_ders(&s, &d)) {
		const struct ocsp_about about = { d.chain[0], d.chain[1], wall_now(q->renewals) };
		ok = ocsp_read(body, &about, ret_said, err);
	}
	arena_done(&d.arena);
	if (ok && ret_said->revoked)
		tell_revoked(&s, q, ret_said->revoked);
	return ok;
}

static void heard(struct fetch_call *f, const struct fetch_reply *reply, const struct err *silence)
{
	struct question *q = OWNER(f, struct question, fetch);
	struct renewals *r = q->renewals;
	struct err err = silence ? *silence : (struct err)ERR_INIT;
	struct ocsp_said said = { 0 };
	bool ok = reply && reply->status == 200;
	if (ok)
		ok = q->about ? hear_answer(q, reply->body, &said, &err)
		              : hear_list(q, reply->body, &err);
	else if (reply)
		err_set(&err, ERR_PROTOCOL,
		        "It answers with status %u." ERR_REMEDY "Nothing to do.", reply->status);
	if (!ok)
		log_warning(r->needs.log,
		        "%s does not say whether certificates are revoked, it is asked again "
		        "within a day: %s",
		        q->url, err.text);
	if (q->about)
		after_answer(q, reply ? reply->body : STR_NONE, &said);
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

void revoked_refresh(struct renewals *r)
{
	struct subject s;
	staples_mark(r);
	MAP_EACH (n, &r->registrations)
		if (subject_of(OWNER(n, struct registration, node), &s) && s.is.ocsp_url.n &&
		        staple_due(r, s.is.thumbprint))
			add(r, s.is.ocsp_url, &s.is);
	MAP_EACH (n, &r->imports)
		if (subject_of_imported(imported_of(n), &s) && s.is.ocsp_url.n &&
		        staple_due(r, s.is.thumbprint))
			add(r, s.is.ocsp_url, &s.is);
	staples_sweep(r);
	kick(r);
}

void revoked_ask(struct registration *g)
{
	struct subject s;
	if (subject_of(g, &s))
		add(g->renewals, s.is.ocsp_url, &s.is);
	kick(g->renewals);
}

void revoked_ask_imported(struct renewals *r, struct str name)
{
	struct subject s;
	if (subject_of_imported(imported_find(r, name), &s))
		add(r, s.is.ocsp_url, &s.is);
	kick(r);
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
}
