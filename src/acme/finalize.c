/* Handing in the certificate request, and collecting what was made of it (RFC 8555 7.4, 7.4.2). */
#include "acme/step.h"
#include "certs/cert.h"

enum { ALTERNATES_MOST = 4 };

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

static bool contains(struct str s, struct str part)
{
	for (; s.n >= part.n; s = str_from(s, 1))
		if (str_starts(s, part))
			return true;
	return false;
}

/* By the name of the root or of the highest issuer that is sent. */
static bool is_preferred(const struct flow *f, struct str pem)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert top;
	if (!f->preferred_chain.n)
		return true;
	return cert_chain_from_pem(&a, pem, chain, &count, &err) &&
	       cert_read(&a, chain[count - 1], &top, &err) &&
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
	f->alternate = STR_NONE;
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

struct next heard_certificate(struct flow *f, const struct answer *a)
{
	const struct str body = a->reply->body;
	const bool is_chain = contains(body, STR("-----BEGIN CERTIFICATE-----")) &&
	                      contains(body, STR("-----END CERTIFICATE-----"));
	if (f->alternate.n && (!is_chain || !is_preferred(f, body)))
		return next_chain(f);
	if (!is_chain)
		return fail(ERR_PROTOCOL,
		        "%.*s said that the certificate is ready, but %.*s gave %s "
		        "instead of PEM." ERR_REMEDY "Try again; "
		        "if it comes back, ask the CA or choose another issuer.",
		        STR_ARG(ca_of(f)), STR_ARG(f->certificate), body_words(body));
	keep(f, &f->chain, body);
	f->alternate = STR_NONE;
	if (is_preferred(f, body))
		return (struct next){ .what = FLOW_DONE };
	keep_alternates(f, a->reply->links);
	return next_chain(f);
}
