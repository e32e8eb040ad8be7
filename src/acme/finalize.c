/* Handing in the certificate request, and collecting what was made of it (RFC 8555 7.4, 7.4.2). */
#include "acme/step.h"

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
	struct acme_ask ask = post_as_get(f->certificate);
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

struct next heard_certificate(struct flow *f, const struct answer *a)
{
	const struct str body = a->reply->body;
	if (!contains(body, STR("-----BEGIN CERTIFICATE-----")) ||
	        !contains(body, STR("-----END CERTIFICATE-----")))
		return fail(ERR_PROTOCOL,
		        "%.*s said that the certificate is ready, but %.*s gave %s "
		        "instead of PEM." ERR_REMEDY "Try again; "
		        "if it comes back, ask the CA or choose another issuer.",
		        STR_ARG(ca_of(f)), STR_ARG(f->certificate), body_words(body));
	keep(f, &f->chain, body);
	return (struct next){ .what = FLOW_DONE };
}
