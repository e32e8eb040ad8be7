#include "issue/ari.h"
#include "issue/issuer.h"

/* A CA that is down is left alone so long; one that asks for patience, for a day at most. */
enum { QUIET = 5 * MINUTE };

static struct issue_needs *needs_of(const struct ari_call *c)
{
	return &c->issuer->issuers->needs;
}

static void finish(struct ari_call *c, const struct renewal_info *window, const struct err *err)
{
	struct issuer *r = c->issuer;
	char *id = c->id;
	c->issuer = NULL;
	c->id = NULL;
	c->done(c, window, c->retry_after, err);
	issuer_unref(&r);
	free(id);
}

static void fail_later(struct later *l)
{
	struct ari_call *c = OWNER(l, struct ari_call, later);
	const struct err err = c->err;
	finish(c, NULL, &err);
}

/* Nobody asks this CA for a while. */
static void be_quiet(struct ari_call *c, const struct err *err)
{
	struct issuer *r = c->issuer;
	int64_t wait = c->retry_after < QUIET ? QUIET : c->retry_after;
	if (wait > DAY)
		wait = DAY;
	r->ari_quiet_until = loop_mono(needs_of(c)->loop) + wait;
	r->ari_quiet_why = *err;
}

static void fail(struct ari_call *c, const struct fetch_reply *reply, const struct err *silence)
{
	struct err err = silence ? *silence : (struct err)ERR_INIT;
	if (reply)
		err_set(&err, ERR_PROTOCOL,
		        "%.*s answers the question when to renew with status %u." ERR_REMEDY
		        "Nothing to do: it is asked again, and the rule counts meanwhile.",
		        STR_ARG(acme_ca_name(str_c(c->issuer->directory_url))), reply->status);
	if (!reply || reply->status == 429 || reply->status >= 500)
		be_quiet(c, &err);
	finish(c, NULL, &err);
}

static void start(struct ari_call *c, struct str url,
        void (*done)(struct fetch_call *, const struct fetch_reply *, const struct err *))
{
	c->fetch = (struct fetch_call){ .purpose = "acme",
		.method = "GET",
		.url = url,
		.trust = str_c(c->issuer->trust),
		.done = done };
	fetch_start(needs_of(c)->fetch, &c->fetch);
}

/* True: it is an answer that can be read. */
static bool answered(struct ari_call *c, const struct fetch_reply *reply, const struct err *err)
{
	c->retry_after = reply ? fetch_retry_after(reply, loop_wall(needs_of(c)->loop)) : -1;
	if (reply)
		issuer_heard_time(c->issuer, reply);
	if (reply && reply->status == 200)
		return true;
	fail(c, reply, err);
	return false;
}

static void heard_window(
        struct fetch_call *f, const struct fetch_reply *reply, const struct err *silence)
{
	struct ari_call *c = OWNER(f, struct ari_call, fetch);
	ARENA_AUTO a = ARENA_INIT;
	struct renewal_info window;
	struct err err = ERR_INIT;
	if (!answered(c, reply, silence))
		return;
	if (acme_renewal_info_read(&a, reply->body, &window, &err))
		finish(c, &window, NULL);
	else
		finish(c, NULL, &err);
}

/* RFC 9773 4.1: the URL is made of the directory's member and the certificate's id. */
static void ask_window(struct ari_call *c, const struct acme_directory *d)
{
	BUF_AUTO url = BUF(16 << 10);
	if (d->renewal_info.n) {
		acme_renewal_info_url(d->renewal_info, str_c(c->id), &url);
		start(c, buf_str(&url), heard_window);
		return;
	}
	c->retry_after = DAY;
	err_set(&c->err, ERR_NOT_FOUND,
	        "%.*s suggests no times to renew." ERR_REMEDY "Nothing to do: the rule counts.",
	        STR_ARG(acme_ca_name(str_c(c->issuer->directory_url))));
	later_start(&c->later, needs_of(c)->loop, fail_later);
}

static void heard_directory(
        struct fetch_call *f, const struct fetch_reply *reply, const struct err *silence)
{
	struct ari_call *c = OWNER(f, struct ari_call, fetch);
	ARENA_AUTO a = ARENA_INIT;
	struct acme_directory d;
	struct err err = ERR_INIT;
	if (!answered(c, reply, silence))
		return;
	if (!acme_directory_read(&a, reply->body, str_c(c->issuer->directory_url), &d, &err)) {
		be_quiet(c, &err);
		finish(c, NULL, &err);
		return;
	}
	issuer_keep_directory(c->issuer, &d);
	if (c->id)
		ask_window(c, &c->issuer->directory);
	else
		finish(c, NULL, NULL);
}

static bool begin(struct issuers *i, struct ari_call *c, struct str issuer)
{
	struct issuer *r = issuer_find(i, issuer);
	CHECK(!c->issuer);
	c->err = (struct err)ERR_INIT;
	c->issuer = r ? issuer_ref(r) : NULL;
	return r;
}

void ari_ask(struct issuers *i, struct ari_call *c, struct str issuer, struct str ari_id)
{
	CHECK(begin(i, c, issuer));
	struct issuer *r = c->issuer;
	c->id = str_dup(ari_id);
	const int64_t quiet = r->ari_quiet_until - loop_mono(i->needs.loop);
	if (quiet > 0) {
		c->retry_after = quiet;
		c->err = r->ari_quiet_why;
		later_start(&c->later, i->needs.loop, fail_later);
	} else if (issuer_directory(r)) {
		ask_window(c, issuer_directory(r));
	} else {
		start(c, str_c(r->directory_url), heard_directory);
	}
}

void ari_ask_time(struct issuers *i, struct ari_call *c, struct str issuer)
{
	CHECK(begin(i, c, issuer));
	start(c, str_c(c->issuer->directory_url), heard_directory);
}

void ari_abort(struct ari_call *c)
{
	if (!c->issuer)
		return;
	fetch_abort(&c->fetch);
	later_stop(&c->later);
	issuer_unref(&c->issuer);
	free(c->id);
	c->id = NULL;
}
