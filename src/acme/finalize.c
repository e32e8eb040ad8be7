/* Handing in the certificate request, and collecting what was made of it (RFC 8555 7.4, 7.4.2). */
#include "acme/step.h"
#include "certs/cert.h"

/* DOWNLOADS_AGAIN: after waits of 31 s together. */
enum { ALTERNATES_MOST = 4, DOWNLOADS_AGAIN = 5 };

struct acme_ask ask_finalize(struct flow *f)
{
	if (f->csr.n == 0)
		return (struct acme_ask){ .effect = ACME_CSR };
	BUF_AUTO csr = BUF_INIT(ACME_PAYLOAD_MOST);
	buf_add_base64url(&csr, f->csr);
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	json_write_text(&w, "csr", buf_str(&csr));
	json_write_end(&w);
	return post(f, f->finalize);
}

/* RFC 8555 7.4: orderNotReady leaves the order as it was. */
struct next heard_not_ready(struct flow *f, const struct answer *a)
{
	return poll_again(f, a, ACME_STEP_await, "the CA calls the order not ready");
}

struct acme_ask ask_certificate(struct flow *f)
{
	struct acme_ask ask = post_as_get(f->alternate.n ? f->alternate : f->certificate);
	ask.accept = "application/pem-certificate-chain";
	return ask;
}

/* By the name of the root or of the highest issuer that is sent. */
static bool is_preferred(const struct flow *f, struct str top_der)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err;
	struct cert top;
	if (!f->preferred_chain.n)
		return true;
	return cert_read(&a, top_der, &top, &err) &&
	       (str_eq(top.issuer, f->preferred_chain) || str_eq(top.subject, f->preferred_chain));
}

/* RFC 8555 7.4.2 */
static void keep_alternates(struct flow *f, struct str links)
{
	BUF_AUTO urls = BUF_INIT(64 << 10);
	struct str target;
	for (size_t i = 0; i < ALTERNATES_MOST && acme_next_link(&links, "alternate", &target);)
		if (url_usable(f->directory_url, target))
			buf_printf(&urls, "%s%.*s", i++ ? "\n" : "", STR_ARG(target));
	keep(f, &f->alternates, buf_str(&urls));
}

static struct next take_default(struct flow *f)
{
	f->note =
	        arena_printf(&f->arena, "The CA offers no chain up to %.*s: its default is taken.",
	                STR_ARG(f->preferred_chain));
	return (struct next){ .what = FLOW_DONE };
}

struct next next_chain(struct flow *f)
{
	if (!str_split(&f->alternates, '\n', &f->alternate))
		return take_default(f);
	return go_to(ACME_STEP_download);
}

static struct next no_certificate(struct flow *f, struct str body, const struct err *why)
{
	const bool broken = body.n && memmem(body.p, body.n, "-----BEGIN CERTIFICATE-----", 27);
	BUF_AUTO what = BUF_INIT(sizeof why->text + 64);
	buf_printf(&what, "%s%s", broken ? "what cannot be used: " : body_words(body),
	        broken ? why->text : " instead of PEM.");
	return fail(ERR_PROTOCOL,
	        "%.*s said that the certificate is ready, but %.*s gave %s" ERR_REMEDY
	        "Try again; if it comes back, ask the CA or choose another issuer.",
	        STR_ARG(ca_of(f)), STR_ARG(f->certificate), buf_c(&what));
}

struct next heard_certificate(struct flow *f, const struct answer *a)
{
	ARENA_AUTO arena = ARENA_INIT;
	struct err err = ERR_INIT;
	struct str chain[CHAIN_MOST];
	size_t count = 0;
	const struct str body = a->reply->body;
	const bool is_chain = cert_ders_from_pem(&arena, body, chain, &count, &err);
	if (f->alternate.n && (!is_chain || !is_preferred(f, chain[count - 1])))
		return next_chain(f);
	if (!is_chain)
		return no_certificate(f, body, &err);
	keep(f, &f->chain, body);
	if (is_preferred(f, chain[count - 1]))
		return (struct next){ .what = FLOW_DONE };
	keep_alternates(f, a->reply->links);
	return next_chain(f);
}

/* The order stays valid and its certificate where it is, whatever stands between it and us now:
 * another order would cost the CA's limits. */
struct next download_again(struct flow *f, const struct answer *a, const struct next *failed)
{
	const bool may_pass = failed->err.code == ERR_PROTOCOL || failed->err.code == ERR_REFUSED;
	if (!may_pass || f->downloads >= DOWNLOADS_AGAIN)
		return *failed;
	f->waiting_for = STR("the CA does not give the certificate that it has made");
	struct next n =
	        later(f, a, go_to(ACME_STEP_download), (int64_t)LOST_FIRST << f->downloads++);
	n.ca_at_fault = true;
	return n;
}
