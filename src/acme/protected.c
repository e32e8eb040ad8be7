/* The protected header of every request (RFC 8555 6.2). */
#include "acme/flow.h"

void acme_protected(struct buf *out, const struct acme_header *h)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_c(&w, "alg", h->algorithm);
	if (h->kid.n)
		json_write_text(&w, "kid", h->kid);
	else
		json_write_raw(&w, "jwk", h->jwk);
	if (h->nonce.n)
		json_write_text(&w, "nonce", h->nonce);
	json_write_text(&w, "url", h->url);
	json_write_end(&w);
}

void acme_binding_protected(struct buf *out, struct str url, struct str kid)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_c(&w, "alg", "HS256");
	json_write_text(&w, "kid", kid);
	json_write_text(&w, "url", url);
	json_write_end(&w);
}
