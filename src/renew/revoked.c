/* Whether CAs have revoked what is held: after start and then every day each certificate's list is
 * asked for, once for all that name it, and its OCSP responder about it. One that is revoked is
 * told of, and renewed at once (when.h). Whoever does not answer stops nothing.
 *
 * Disadvantage: lists of more than 1 MiB are not read. */
#include "certs/revoked.h"
#include "renew/private.h"

enum { ASKING_MOST = 4, ANSWER_MOST = 1 << 20 };

struct question {
	struct map_node node; /* by "URL", or "URL REGISTRATION" */
	struct list to_ask;
	struct renewals *renewals;
	char *id, *url;
	char *about, sha256[65]; /* of OCSP: the registration and its certificate; of a list NULL */
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

/* Hearing */

/* Whether it matters, and an answer could be verified. */
static bool is_asked_about(const struct registration *g)
{
	const struct held *h = &g->held;
	return h->is && h->chain_count > 1 && !revoked_at(g) && !g->revocation &&
	       h->leaf.not_after > wall_now(g->renewals) && !held_superseded(g);
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

static bool hear_list(const struct question *q, struct str body, struct err *err)
{
	struct crl *crl = crl_read(body, err);
	struct str issuer = STR_NONE; /* that has signed it */
	bool ok = crl;
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
	crl_free(&crl);
	return ok;
}

static bool hear_answer(const struct question *q, struct str body, struct err *err)
{
	struct registration *g = registration_by_id(q->renewals, str_c(q->about));
	int64_t at;
	if (!g || !is_asked_about(g) || strcmp(g->held.leaf.sha256, q->sha256) != 0)
		return true; /* it has changed meanwhile */
	const struct ocsp_about about = { g->held.chain[0], g->held.chain[1],
		wall_now(q->renewals) };
	if (!ocsp_read(body, &about, &at, err))
		return false;
	if (at)
		is_revoked(g, q, at);
	return true;
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
	const struct registration *g = registration_by_id(q->renewals, str_c(q->about));
	struct err ignored = ERR_INIT; /* what cannot be read was none of ours */
	return g && is_asked_about(g) &&
	       ocsp_request(g->held.chain[0], g->held.chain[1], body, &ignored);
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

/* g NULL: a list. */
static void add(struct renewals *r, struct str url, const struct registration *g)
{
	BUF_AUTO id = BUF(8 << 10);
	buf_printf(&id, "%.*s%s%s", STR_ARG(url), g ? " " : "", g ? g->id : "");
	if (!url.n || map_find(&r->questions, buf_str(&id)))
		return;
	struct question *q = mem_new(struct question);
	q->renewals = r;
	q->id = str_dup(buf_str(&id));
	q->url = str_dup(url);
	q->about = g ? str_dup(str_c(g->id)) : NULL;
	if (g)
		snprintf(q->sha256, sizeof q->sha256, "%s", g->held.leaf.sha256);
	map_add(&r->questions, str_c(q->id), &q->node);
	list_add_last(&r->to_question, &q->to_ask);
}

void revoked_look(struct renewals *r)
{
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (!is_asked_about(g))
			continue;
		add(r, g->held.leaf.crl_url, NULL);
		add(r, g->held.leaf.ocsp_url, g);
	}
	kick(r);
}

void revoked_stop(struct renewals *r)
{
	MAP_EACH (n, &r->questions)
		question_free(OWNER(n, struct question, node));
	map_done(&r->questions);
}
