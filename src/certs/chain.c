/* PEM: the chain that a CA sends. */
#include "certs/cert.h"

enum { DER_MOST = 64 << 10, PEM_LINE = 64 };

static const struct str begin_line = STR_INIT("-----BEGIN CERTIFICATE-----");
static const struct str end_line = STR_INIT("-----END CERTIFICATE-----");

/* Index of the first `what`, or s.n. */
static size_t find_text(struct str s, struct str what)
{
	const char *at = s.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

/* RFC 7468 2: white space within the base64 text is ignored. */
static bool decode(struct arena *a, struct str body, struct str *ret_der)
{
	BUF_AUTO text = BUF_INIT(2 * DER_MOST), der = BUF_INIT(DER_MOST);
	for (size_t i = 0; i < body.n; i++)
		if (!strchr(" \t\r\n\v\f", body.p[i]) || !body.p[i])
			buf_add_char(&text, body.p[i]);
	if (!buf_ok(&text) || text.n == 0 || !buf_decode_base64(&der, buf_str(&text)))
		return false;
	*ret_der = arena_str(a, buf_str(&der));
	return true;
}

/* The next certificate of the text; *rest moves behind it. False at the end, or, with *ret_der
 * STR_NONE and rest left, when it is broken. */
static bool next_block(struct arena *a, struct str *rest, struct str *ret_der)
{
	*ret_der = STR_NONE;
	struct str body = str_from(*rest, find_text(*rest, begin_line) + begin_line.n);
	if (body.n == 0) {
		*rest = STR_NONE;
		return false;
	}
	size_t end = find_text(body, end_line);
	if (end == body.n || !decode(a, str_head(body, end), ret_der))
		return false;
	*rest = str_from(body, end + end_line.n);
	return true;
}

/* Other kinds of PEM blocks, a private key above all, are never taken over: what is served is made
 * anew from the certificates' DER (RFC 8555 11.4 warns of CAs that send more). */
bool cert_ders_from_pem(struct arena *a, struct str pem, struct str ret_der[CHAIN_MOST],
        size_t *ret_count, struct err *err)
{
	struct str found[CHAIN_MOST], der, rest = pem;
	size_t count = 0;
	while (next_block(a, &rest, &der)) {
		if (count == CHAIN_MOST)
			return err_set(err, ERR_INPUT, "The chain has more than %d certificates.",
			        CHAIN_MOST);
		found[count++] = der;
	}
	if (rest.n > 0)
		return err_set(err, ERR_INPUT,
		        "Certificate %zu of the chain cannot be read: its PEM is broken or cut "
		        "off.",
		        count + 1);
	if (count == 0)
		return err_set(err, ERR_INPUT,
		        "There is no certificate in PEM in the text. One begins with "
		        "-----BEGIN CERTIFICATE-----.");
	memcpy(ret_der, found, count * sizeof *found);
	*ret_count = count;
	return true;
}

bool cert_chain_from_pem(struct arena *a, struct str pem, struct str ret_der[CHAIN_MOST],
        size_t *ret_count, struct err *err)
{
	struct str found[CHAIN_MOST];
	size_t count;
	if (!cert_ders_from_pem(a, pem, found, &count, err))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct err why = ERR_INIT;
		struct cert ignored;
		if (!cert_read(a, found[i], &ignored, &why))
			return err_set(err, ERR_INPUT,
			        "Certificate %zu of the chain cannot be used: %s", i + 1, why.text);
	}
	memcpy(ret_der, found, count * sizeof *found);
	*ret_count = count;
	return true;
}

bool certs_from_pem(struct str pem, struct buf *ret_ders, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str rest = pem, der;
	size_t count = 0;
	while (next_block(&a, &rest, &der)) {
		struct err why = ERR_INIT;
		struct cert ignored;
		count++;
		if (!cert_read(&a, der, &ignored, &why))
			return err_set(err, ERR_INPUT, "Certificate %zu cannot be used: %s", count,
			        why.text);
		buf_add(ret_ders, der);
	}
	if (rest.n > 0)
		return err_set(err, ERR_INPUT,
		        "Certificate %zu cannot be read: its PEM is broken or cut off.", count + 1);
	if (count == 0)
		return err_set(err, ERR_INPUT,
		        "There is no certificate in PEM in the text. One begins with "
		        "-----BEGIN CERTIFICATE-----.");
	return buf_ok(ret_ders) || err_set(err, ERR_LIMIT, "These are too many certificates.");
}

/* RFC 7468 2, 5.1: lines of 64 characters. */
void cert_to_pem(struct str der, struct buf *out)
{
	BUF_AUTO text = BUF_INIT(2 * der.n + 4);
	buf_add_base64(&text, der);
	buf_add(out, begin_line);
	buf_add_char(out, '\n');
	for (struct str rest = buf_str(&text); rest.n > 0; rest = str_from(rest, PEM_LINE)) {
		buf_add(out, str_head(rest, PEM_LINE));
		buf_add_char(out, '\n');
	}
	buf_add(out, end_line);
	buf_add_char(out, '\n');
}
