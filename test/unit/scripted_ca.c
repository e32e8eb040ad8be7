#include "scripted_ca.h"

#include "certs/cert.h"
#include "keys/keys.h"
#include "json/json.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* A request on its way, with copies of what it says. */
struct pending {
	struct list node;
	struct scripted_ca *ca;
	struct fetch_call *call;
	struct timer timer;
	char *method, *url, *headers, *body;
};

struct probing {
	struct list node;
	struct scripted_ca *ca;
	struct fetch_probe *probe;
	struct timer timer;
};

struct reply {
	unsigned status;
	struct buf headers, body;
};

struct ca_keys {
	EVP_PKEY *own;
};

#define CA_WINDOWS "https://ca.test/renewal/"

static const char other_root[] =
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBfTCCASOgAwIBAgIUP9DMycEJH0runzHXYQnju6NK2yswCgYIKoZIzj0EAwIw\n"
        "EzERMA8GA1UEAwwIUm9vdCBUd28wIBcNMjYxMTMwMDczMDU2WhgPMjEyNjExMDYw\n"
        "NzMwNTZaMBMxETAPBgNVBAMMCFJvb3QgVHdvMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
        "AQcDQgAEII7S0+HhKGdZPGtmZH3Ug7loocrXnjR5zL0/xmyKjfrgybWbYVXwEUFt\n"
        "1gWoQtHsBEuf5LHzz/RjeO5MOOG2G6NTMFEwHQYDVR0OBBYEFBtVlLAPTb7jJ8XH\n"
        "rvwnKHREjFHxMB8GA1UdIwQYMBaAFBtVlLAPTb7jJ8XHrvwnKHREjFHxMA8GA1Ud\n"
        "EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgINQlfBQjGO2dp2wdFTJRUE50\n"
        "jdK77VFJ7CPVB/Bm2cMCIQCh8sKhJU2Q2euYNyRRbmooqltSbJ9oIrpwUnrltcJo\n"
        "7w==\n"
        "-----END CERTIFICATE-----\n";

static void complain(struct scripted_ca *ca, const char *what)
{
	if (!ca->complaint)
		ca->complaint = what;
}

__attribute__((format(printf, 2, 3))) static void note(
        struct scripted_ca *ca, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (ca->diary)
		buf_vprintf(ca->diary, format, args);
	va_end(args);
}

static void problem(struct reply *r, unsigned status, const char *type, const char *detail)
{
	r->status = status;
	buf_clear(&r->body);
	buf_printf(&r->body,
	        "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"%s\",\"status\":%u}",
	        type, detail, status);
}

static void refuse(struct reply *r, const struct ca_refusal *why)
{
	problem(r, why->status, why->type, why->detail);
	if (why->seconds)
		buf_printf(&r->headers, "retry-after: %lld\n", (long long)why->seconds);
}

static void give_nonce(struct scripted_ca *ca, struct reply *r)
{
	ca->nonce_used[++ca->nonces % CA_NONCES] = 0;
	buf_printf(&r->headers, "replay-nonce: n-%u\n", ca->nonces);
}

static bool take_nonce(struct scripted_ca *ca, struct str nonce)
{
	uint64_t number = 0;
	bool given = str_to_u64(str_from(nonce, 2), &number) && number && number <= ca->nonces &&
	             number + CA_NONCES > ca->nonces;
	if (!given || ca->nonce_used[number % CA_NONCES]) {
		complain(ca, given ? "a nonce used twice" : "a nonce that was never given");
		return false;
	}
	ca->nonce_used[number % CA_NONCES] = 1;
	return true;
}

static struct ca_order *order_at(const struct scripted_ca *ca, unsigned number)
{
	return &ca->orders[number % ca->order_room];
}

/* Certificates */

/* RFC 9773 4.1: half of what a certificate is asked for by; the other is its serial number. */
static void add_key_id(X509 *leaf)
{
	AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
	id->keyid = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(id->keyid, (const unsigned char *)"script", 6);
	X509_add1_ext_i2d(leaf, NID_authority_key_identifier, id, 0, 0);
	AUTHORITY_KEYID_free(id);
}

static void sign_leaf(struct scripted_ca *ca, X509 *leaf, struct ca_order *o)
{
	X509_NAME *issuer = X509_get_issuer_name(leaf);
	X509_set_version(leaf, 2);
	o->serial = 1001 + o->number;
	ASN1_INTEGER_set(X509_get_serialNumber(leaf), (long)o->serial);
	add_key_id(leaf);
	X509_NAME_add_entry_by_txt(
	        issuer, "CN", MBSTRING_ASC, (const unsigned char *)"Script CA", -1, -1, 0);
	ASN1_TIME_set(X509_getm_notBefore(leaf), o->not_before / 1000);
	ASN1_TIME_set(X509_getm_notAfter(leaf), o->not_after / 1000);
	CHECK(X509_sign(leaf, ca->keys->own, EVP_sha256()));
}

static void add_names(X509 *leaf, X509_REQ *request, bool other)
{
	if (other) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(
		        NULL, NULL, NID_subject_alt_name, "DNS:other.example.com");
		X509_add_ext(leaf, e, -1);
		X509_EXTENSION_free(e);
		return;
	}
	STACK_OF(X509_EXTENSION) *all = X509_REQ_get_extensions(request);
	int at = X509v3_get_ext_by_NID(all, NID_subject_alt_name, -1);
	CHECK(at >= 0);
	X509_add_ext(leaf, X509v3_get_ext(all, at), -1);
	sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
}

static void write_pem(X509 *x, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	CHECK(n > 0);
	cert_to_pem(str_n(der, (size_t)n), out);
	OPENSSL_free(der);
}

static void make_certificate(struct scripted_ca *ca, struct ca_order *o, struct str csr)
{
	const unsigned char *p = (const unsigned char *)csr.p;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)csr.n);
	CHECK(request && X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1);
	X509 *leaf = X509_new();
	o->not_before = (loop_wall(ca->loop) + ca->clock_off) / 1000 * 1000;
	o->not_after =
	        o->not_before + (ca->lifetime_of ? ca->lifetime_of(o->names[0]) : ca->lifetime);
	if (ca->leaf == LEAF_EXPIRED) {
		o->not_before -= 2 * DAY;
		o->not_after = loop_wall(ca->loop) / 1000 * 1000;
	}
	if (ca->leaf == LEAF_EARLY)
		o->not_before += DAY + SECOND;
	X509_set_pubkey(
	        leaf, ca->leaf == LEAF_OTHER_KEY ? ca->keys->own : X509_REQ_get0_pubkey(request));
	add_names(leaf, request, ca->leaf == LEAF_OTHER_NAME);
	sign_leaf(ca, leaf, o);
	o->pem = BUF(64 << 10);
	if (ca->leaf == LEAF_NO_PEM)
		buf_add_c(&o->pem, "<html>It works!</html>");
	else
		write_pem(leaf, &o->pem);
	X509_free(leaf);
	X509_REQ_free(request);
}

/* What is said */

static void say_directory(const struct scripted_ca *ca, struct reply *r)
{
	buf_add_c(&r->body, "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":"
	                    "\"https://ca.test/account\",\"newOrder\":\"https://ca.test/order\","
	                    "\"revokeCert\":\"https://ca.test/revoke\","
	                    "\"keyChange\":\"https://ca.test/rollover\",");
	if (ca->window_of || ca->window_body)
		buf_add_c(&r->body, "\"renewalInfo\":\"https://ca.test/renewal\",");
	buf_add_c(&r->body, "\"meta\":{");
	if (*ca->terms)
		buf_printf(&r->body, "\"termsOfService\":\"%s\",", ca->terms);
	buf_add_c(&r->body, "\"profiles\":{\"classic\":\"The default\"}}}");
}

struct ca_order *scripted_ca_order_of(struct scripted_ca *ca, struct str ari_id)
{
	BUF_AUTO bytes = BUF(64);
	const char *dot = memchr(ari_id.p, '.', ari_id.n);
	CHECK(dot && buf_decode_base64url(&bytes, str_from(ari_id, (size_t)(dot - ari_id.p) + 1)));
	unsigned serial = 0;
	for (size_t i = 0; i < bytes.n; i++)
		serial = serial << 8 | (unsigned char)bytes.p[i];
	struct ca_order *o = order_at(ca, serial - 1001);
	return o->serial == serial ? o : NULL;
}

static void say_window(struct scripted_ca *ca, struct str url, struct reply *r)
{
	const struct ca_order *o = scripted_ca_order_of(ca, str_from(url, strlen(CA_WINDOWS)));
	struct ca_window w = { 0 };
	char start[CLOCK_TEXT], end[CLOCK_TEXT];
	ca->windows_asked++;
	note(ca, "ask window %s\n", o ? o->names[0] : "?");
	if (ca->window_again)
		buf_printf(&r->headers, "retry-after: %lld\n", (long long)ca->window_again);
	if (ca->window_body) {
		buf_add_c(&r->body, ca->window_body);
		return;
	}
	if (!o || !ca->window_of || !ca->window_of(ca, o, &w)) {
		problem(r, 404, "malformed", "No such certificate");
		return;
	}
	buf_printf(&r->body, "{\"suggestedWindow\":{\"start\":\"%s\",\"end\":\"%s\"}",
	        clock_rfc3339(w.start, start), clock_rfc3339(w.end, end));
	if (w.explanation)
		buf_printf(&r->body, ",\"explanationURL\":\"%s\"", w.explanation);
	buf_add_c(&r->body, "}");
}

static bool settled(const struct ca_order *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (!o->valid[i])
			return false;
	return true;
}

static const char *order_status(const struct ca_order *o)
{
	for (size_t i = 0; i < o->count; i++)
		if (o->failed[i])
			return "invalid";
	if (!settled(o))
		return "pending";
	if (!o->finalized)
		return "ready";
	return o->polls ? "processing" : "valid";
}

static void say_order(struct ca_order *o, struct reply *r)
{
	const unsigned number = o->number;
	buf_printf(&r->body, "{\"status\":\"%s\",\"authorizations\":[", order_status(o));
	for (unsigned i = 0; i < o->count; i++)
		buf_printf(&r->body, "%s\"https://ca.test/authz/%u/%u\"", i ? "," : "", number, i);
	buf_printf(&r->body, "],\"finalize\":\"https://ca.test/finalize/%u\"", number);
	if (o->finalized && !o->polls)
		buf_printf(&r->body, ",\"certificate\":\"https://ca.test/certificate/%u\"", number);
	buf_add_char(&r->body, '}');
}

static void token_of(const struct scripted_ca *ca, unsigned number, unsigned i, char ret[128])
{
	const struct ca_order *o = order_at(ca, number);
	if (ca->same_tokens)
		snprintf(ret, 128, "the-same-token-for-%zu", strlen(o->names[i]));
	else
		snprintf(ret, 128, "token%s-of-order-%u-name-%u", o->token_changed ? "2" : "",
		        number, i);
}

static const char *second_type(const struct scripted_ca *ca)
{
	return ca->offers_persist ? "dns-persist-01" : "tls-alpn-01";
}

static void say_challenge(
        struct scripted_ca *ca, unsigned number, unsigned i, bool tls, struct reply *r)
{
	const struct ca_order *o = order_at(ca, number);
	char token[128];
	token_of(ca, number, i, token);
	buf_printf(&r->body,
	        "{\"type\":\"%s\",\"url\":\"https://ca.test/challenge/%u/%u\","
	        "\"token\":\"%s\","
	        "\"status\":\"%s\"",
	        tls ? second_type(ca) : "http-01", number, i + (tls ? CA_ORDER_NAMES : 0),
	        tls && ca->offers_persist ? "" : token,
	        tls != o->by_tls[i] ? "pending"
	        : o->failed[i]      ? "invalid"
	        : o->valid[i]       ? "valid"
	                            : "pending");
	if (o->failed[i] && tls == o->by_tls[i])
		buf_add_c(&r->body,
		        ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\","
		        "\"detail\":\"Timeout during connect\"}");
	buf_add_char(&r->body, '}');
}

static void say_authz(struct scripted_ca *ca, unsigned number, unsigned i, struct reply *r)
{
	const struct ca_order *o = order_at(ca, number);
	buf_printf(&r->body,
	        "{\"identifier\":{\"type\":\"dns\",\"value\":\"%s\"},\"status\":\"%s\","
	        "\"challenges\":[",
	        o->names[i],
	        o->failed[i]  ? "invalid"
	        : o->valid[i] ? "valid"
	                      : "pending");
	say_challenge(ca, number, i, /* tls= */ false, r);
	if (ca->offers_tls || ca->offers_persist) {
		buf_add_char(&r->body, ',');
		say_challenge(ca, number, i, /* tls= */ true, r);
	}
	buf_add_c(&r->body, "]}");
}

/* What is heard */

static struct json *decoded(const struct json *jws, const char *key)
{
	struct err err = ERR_INIT;
	BUF_AUTO text = BUF(64 << 10);
	CHECK(buf_decode_base64url(&text, json_text(jws, key)));
	return text.n ? json_parse(buf_str(&text), "The request", &err) : NULL;
}

/* RFC 8555 7.3.4 */
static bool is_bound(const struct scripted_ca *ca, const struct json *binding, struct str jwk)
{
	JSON_AUTO *header = decoded(binding, "protected");
	JSON_AUTO *payload = decoded(binding, "payload");
	BUF_AUTO key = BUF(1024), jws = BUF(4096), given = BUF(4096), head = BUF(1024),
	         body = BUF(1024);
	struct err err = ERR_INIT;
	json_print(binding, &given);
	json_print(payload, &body);
	CHECK(buf_decode_base64url(&head, json_text(binding, "protected")));
	CHECK(buf_decode_base64url(&key, str_c(ca->eab_hmac)));
	BUF_AUTO raw = BUF(1024);
	CHECK(buf_decode_base64url(&raw, json_text(binding, "payload")));
	CHECK(key_jws_hmac(buf_str(&key), buf_str(&head), buf_str(&raw), &jws, &err));
	return str_eq_c(json_text(header, "alg"), "HS256") &&
	       str_eq_c(json_text(header, "kid"), ca->eab_kid) && !json_member(header, "nonce") &&
	       str_eq_c(json_text(header, "url"), "https://ca.test/account") &&
	       str_eq(buf_str(&body), jwk) && str_eq(buf_str(&given), buf_str(&jws));
}

static void hear_account(
        struct scripted_ca *ca, const struct json *payload, struct str jwk, struct reply *r)
{
	bool only_existing = false, agreed = false;
	size_t i = 0;
	json_bool(payload, "onlyReturnExisting", &only_existing);
	json_bool(payload, "termsOfServiceAgreed", &agreed);
	while (i < ca->account_count && !str_eq_c(jwk, ca->accounts[i]))
		i++;
	note(ca, "ask account%s\n", only_existing ? "?" : "");
	if (i == ca->account_count && only_existing) {
		problem(r, 400, "accountDoesNotExist", "There is none");
		return;
	}
	if (i == ca->account_count) {
		CHECK(i < CA_ACCOUNTS);
		if (!agreed)
			complain(ca, "an account without agreement to the terms");
		if (ca->eab_kid &&
		        !is_bound(ca, json_object(payload, "externalAccountBinding"), jwk)) {
			problem(r, 403, "unauthorized", "Not bound");
			return;
		}
		snprintf(ca->accounts[ca->account_count++], sizeof ca->accounts[0], "%.*s",
		        STR_ARG(jwk));
		ca->accounts_made++;
		r->status = 201;
	}
	buf_printf(&r->headers, "location: https://ca.test/account/%zu\n", i + ca->account_base);
	buf_add_c(&r->body, "{\"status\":\"valid\"}");
}

static void hear_order(struct scripted_ca *ca, const struct json *payload, struct reply *r)
{
	const struct json *names = json_array(payload, "identifiers");
	CHECK(json_count(names) <= CA_ORDER_NAMES);
	struct ca_order *o = order_at(ca, ca->order_count);
	buf_done(&o->pem);
	*o = (struct ca_order){ .number = ca->order_count, .count = json_count(names) };
	for (size_t i = 0; i < o->count; i++)
		snprintf(o->names[i], sizeof o->names[i], "%.*s",
		        STR_ARG(json_text(json_at(names, i), "value")));
	for (size_t i = 0; i < o->count; i++)
		o->valid[i] = ca->remembers;
	o->at = loop_wall(ca->loop);
	snprintf(o->replaces, sizeof o->replaces, "%.*s", STR_ARG(json_text(payload, "replaces")));
	snprintf(o->profile, sizeof o->profile, "%.*s", STR_ARG(json_text(payload, "profile")));
	note(ca, "ask order %s\n", o->names[0]);
	struct ca_refusal refusal = { 0 };
	if (ca->rules && ca->rules->refuses_order && ca->rules->refuses_order(ca, o, &refusal)) {
		refuse(r, &refusal);
		return;
	}
	if (ca->limited && !strcmp(ca->limited, o->names[0])) {
		problem(r, ca->limit_status ? ca->limit_status : 429, "rateLimited",
		        ca->limit_detail ? ca->limit_detail : "Too many");
		buf_printf(&r->headers, "retry-after: %lld\n", (long long)ca->limited_for);
		return;
	}
	if (ca->rejected && !strcmp(ca->rejected, o->names[0])) {
		problem(r, 400, "rejectedIdentifier", "Not here");
		return;
	}
	r->status = 201;
	buf_printf(&r->headers, "location: https://ca.test/orders/%u\n", ca->order_count++);
	say_order(o, r);
}

/* Challenges of the second type are numbered behind those of HTTP-01. */
static void hear_challenge(struct scripted_ca *ca, unsigned number, unsigned at, struct reply *r)
{
	const unsigned i = at % CA_ORDER_NAMES;
	const bool tls = at >= CA_ORDER_NAMES;
	const char *type = tls ? second_type(ca) : "http-01";
	struct ca_order *o = order_at(ca, number);
	char token[128];
	note(ca, tls ? "ask challenge of TLS\n" : "ask challenge\n");
	if (o->valid[i] || o->failed[i]) {
		complain(ca, "a challenge answered twice");
		problem(r, 400, "malformed", "It is answered");
		return;
	}
	if (ca->changes_token && !o->token_changed) {
		o->token_changed = true;
		problem(r, 400, "malformed", "Look again");
		return;
	}
	o->accepted[i]++;
	token_of(ca, number, i, token);
	o->by_tls[i] = tls;
	if (!tls && !ca->answers(ca, str_c(token)))
		complain(ca, "a challenge whose token is not in place");
	o->failed[i] = (ca->refused && !strcmp(ca->refused, o->names[i])) ||
	               (ca->refused_type && !strcmp(ca->refused_type, type)) ||
	               (ca->rules && ca->rules->finds && !ca->rules->finds(ca, o, i));
	o->valid[i] = !o->failed[i];
	say_challenge(ca, number, i, tls, r);
}

static void hear_finalize(
        struct scripted_ca *ca, unsigned number, const struct json *payload, struct reply *r)
{
	struct ca_order *o = order_at(ca, number);
	BUF_AUTO csr = BUF(64 << 10);
	note(ca, "ask finalize\n");
	if (o->finalized || !settled(o)) {
		complain(ca, "an order finalized twice, or too early");
		problem(r, 403, "orderNotReady", "Not now");
		return;
	}
	if (ca->keys_refused) {
		ca->keys_refused--;
		problem(r, 400, "badCSR", "invalid public key in CSR: public key is forbidden");
		return;
	}
	CHECK(buf_decode_base64url(&csr, json_text(payload, "csr")));
	o->finalized = true;
	o->polls = ca->processing;
	ca->finalized++;
	make_certificate(ca, o, buf_str(&csr));
	if (ca->rules && ca->rules->issued)
		ca->rules->issued(ca, o);
	say_order(o, r);
}

static void hear_poll(struct scripted_ca *ca, unsigned number, struct reply *r)
{
	struct ca_order *o = order_at(ca, number);
	note(ca, "ask poll\n");
	say_order(o, r);
	o->polls -= o->finalized && o->polls;
}

static void hear_certificate(
        struct scripted_ca *ca, unsigned number, unsigned i, struct pending *p, struct reply *r)
{
	note(ca, "ask certificate\n");
	if (!strstr(p->headers, "accept: application/pem-certificate-chain\n"))
		complain(ca, "a download that does not say what it accepts");
	ca->downloads++;
	if (ca->on_download)
		ca->on_download(ca);
	buf_add(&r->body, buf_str(&order_at(ca, number)->pem));
	if (ca->other_chain && i)
		buf_add_c(&r->body, other_root);
	else if (ca->other_chain)
		buf_printf(&r->headers,
		        "link: <https://ca.test/directory>;rel=\"index\"\n"
		        "link: <https://ca.test/certificate/%u/1>;rel=\"alternate\"\n",
		        number);
}

/* RFC 8555 7.6 */
static void hear_revoke(
        struct scripted_ca *ca, const struct json *payload, bool by_account, struct reply *r)
{
	int64_t reason = -1;
	BUF_AUTO der = BUF(64 << 10);
	json_int(payload, "reason", &reason);
	note(ca, "ask revoke %lld%s\n", (long long)reason, by_account ? "" : " by key");
	if (!buf_decode_base64url(&der, json_text(payload, "certificate")) || !der.n)
		complain(ca, "a revocation without certificate");
	if (ca->revoke_refused && (by_account || !ca->revoke_by_key)) {
		problem(r, 403, ca->revoke_refused, "No");
		return;
	}
	buf_clear(&ca->revoked);
	buf_add_buf(&ca->revoked, &der);
	ca->revocations++;
}

/* RFC 8555 7.3.2, 7.3.6 */
static void hear_change(struct scripted_ca *ca, const struct json *payload, struct reply *r)
{
	BUF_AUTO contact = BUF(1024);
	if (ca->deactivated) {
		problem(r, 401, "unauthorized", "It is deactivated");
		return;
	}
	note(ca, "ask change\n");
	json_print(json_array(payload, "contact"), &contact);
	if (json_array(payload, "contact"))
		snprintf(ca->contact, sizeof ca->contact, "%s", buf_c(&contact));
	ca->deactivated = str_eq_c(json_text(payload, "status"), "deactivated");
	if (ca->deactivated)
		ca->accounts[ca->account_count - 1][0] = 0;
	buf_printf(&r->body, "{\"status\":\"%s\"}", ca->deactivated ? "deactivated" : "valid");
}

/* RFC 8555 7.3.5; the payload is the inner JWS. */
static void hear_rollover(struct scripted_ca *ca, const struct json *inner, struct reply *r)
{
	JSON_AUTO *header = decoded(inner, "protected");
	JSON_AUTO *payload = decoded(inner, "payload");
	BUF_AUTO jwk = BUF(1024), old = BUF(1024);
	char *account = ca->accounts[ca->account_count - 1];
	json_print(json_object(header, "jwk"), &jwk);
	json_print(json_object(payload, "oldKey"), &old);
	note(ca, "ask rollover\n");
	if (json_member(header, "nonce") || json_member(header, "kid") ||
	        !str_eq_c(json_text(header, "url"), "https://ca.test/rollover") ||
	        !json_text(inner, "signature").n)
		complain(ca, "an inner JWS that is none");
	if (str_eq_c(buf_str(&jwk), account)) {
		problem(r, 409, "conflict", "It has this key");
		buf_printf(&r->headers, "location: https://ca.test/account/%u\n",
		        ca->account_count - 1 + ca->account_base);
		return;
	}
	if (!str_eq_c(buf_str(&old), account))
		complain(ca, "another old key than the account's");
	snprintf(account, sizeof ca->accounts[0], "%s", buf_c(&jwk));
	ca->rollovers++;
}

static void route(
        struct scripted_ca *ca, struct pending *p, const struct json *payload, struct reply *r)
{
	char what[32] = "";
	unsigned number = 0, i = 0;
	sscanf(p->url, "https://ca.test/%31[a-z]/%u/%u", what, &number, &i);
	CHECK(i < 2 * CA_ORDER_NAMES);
	if (!strcmp(what, "revoke")) {
		hear_revoke(ca, payload, /* by_account= */ true, r);
	} else if (!strcmp(what, "account")) {
		hear_change(ca, payload, r);
	} else if (!strcmp(what, "rollover")) {
		hear_rollover(ca, payload, r);
	} else if (!strcmp(what, "order")) {
		hear_order(ca, payload, r);
	} else if (order_at(ca, number)->number != number) {
		problem(r, 404, "malformed", "Forgotten");
	} else if (!strcmp(what, "authz")) {
		note(ca, "ask authz\n");
		say_authz(ca, number, i, r);
	} else if (!strcmp(what, "challenge")) {
		hear_challenge(ca, number, i, r);
	} else if (!strcmp(what, "orders")) {
		hear_poll(ca, number, r);
	} else if (!strcmp(what, "finalize")) {
		hear_finalize(ca, number, payload, r);
	} else if (!strcmp(what, "certificate")) {
		hear_certificate(ca, number, i, p, r);
	} else {
		problem(r, 404, "malformed", "No such place");
	}
}

static bool known_account(const struct scripted_ca *ca, struct str kid)
{
	uint64_t number;
	struct str prefix = STR("https://ca.test/account/");
	return str_starts(kid, prefix) && str_to_u64(str_from(kid, prefix.n), &number) &&
	       number >= ca->account_base && number < ca->account_base + ca->account_count;
}

static void hear_post(struct scripted_ca *ca, struct pending *p, struct reply *r)
{
	struct err err = ERR_INIT;
	JSON_AUTO *jws = json_parse(str_c(p->body), "The request", &err);
	CHECK(jws);
	JSON_AUTO *header = decoded(jws, "protected");
	JSON_AUTO *payload = decoded(jws, "payload");
	bool account = !strcmp(p->url, "https://ca.test/account");
	struct str kid = json_text(header, "kid");
	BUF_AUTO jwk = BUF(1024);
	give_nonce(ca, r);
	if (!strstr(p->headers, "content-type: application/jose+json\n"))
		complain(ca, "a POST that is not application/jose+json");
	if (!str_eq_c(json_text(header, "url"), p->url))
		complain(ca, "a signature for another URL");
	if (!json_text(jws, "signature").n)
		complain(ca, "a request without signature");
	if (!take_nonce(ca, json_text(header, "nonce"))) {
		problem(r, 400, "badNonce", "Used");
	} else if (account) {
		json_print(json_object(header, "jwk"), &jwk);
		hear_account(ca, payload, buf_str(&jwk), r);
	} else if (!strcmp(p->url, "https://ca.test/revoke") && json_object(header, "jwk")) {
		hear_revoke(ca, payload, /* by_account= */ false, r);
	} else if (!known_account(ca, kid)) {
		problem(r, 400, "accountDoesNotExist", "Who is it");
	} else {
		route(ca, p, payload, r);
	}
}

/* RFC 9110 6.6.1 */
static void say_time(const struct scripted_ca *ca, struct reply *r)
{
	const time_t now = (time_t)((loop_wall(ca->loop) + ca->clock_off) / SECOND);
	char text[64];
	struct tm tm;
	CHECK(gmtime_r(&now, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %T GMT", &tm));
	buf_printf(&r->headers, "date: %s\n", text);
}

static void hear(struct scripted_ca *ca, struct pending *p, struct reply *r)
{
	struct ca_refusal refusal = { 0 };
	if (ca->rules && ca->rules->refuses_request &&
	        ca->rules->refuses_request(ca, p->url, &refusal)) {
		refuse(r, &refusal);
	} else if (!strncmp(p->url, CA_WINDOWS, strlen(CA_WINDOWS))) {
		say_window(ca, str_c(p->url), r);
	} else if (!strcmp(p->method, "GET")) {
		note(ca, "ask directory\n");
		if (strncmp(p->url, ca->directory, strlen(ca->directory)) != 0)
			complain(ca, "a GET for something else than the directory");
		say_directory(ca, r);
		if (ca->busy_for) {
			problem(r, 503, "serverInternal", "Busy");
			buf_printf(&r->headers, "retry-after: %lld\n", (long long)ca->busy_for);
		}
	} else if (!strcmp(p->method, "HEAD")) {
		note(ca, "ask nonce\n");
		give_nonce(ca, r);
	} else {
		hear_post(ca, p, r);
	}
}

/* Struct fetch */

static void pending_free(struct pending *p)
{
	timer_stop(&p->timer);
	list_remove(&p->node);
	free(p->method);
	free(p->url);
	free(p->headers);
	free(p->body);
	free(p);
}

static void answer(struct pending *p, const struct fetch_reply *reply, const struct err *err)
{
	struct fetch_call *call = p->call;
	call->fetch = NULL;
	pending_free(p);
	call->done(call, reply, err);
}

static void silence(struct pending *p)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_UNREACHABLE, "ca.test does not answer.");
	answer(p, NULL, &err);
}

static void heard(struct pending *p, enum ca_fault fault)
{
	struct scripted_ca *ca = p->ca;
	struct reply r = { .status = 200, .headers = BUF(4096), .body = BUF(64 << 10) };
	say_time(ca, &r);
	hear(ca, p, &r);
	struct fetch_reply reply = { r.status, buf_str(&r.headers), buf_str(&r.body) };
	if (fault == FAULT_STOP_AFTER)
		ca->stopped = true;
	else if (fault == FAULT_UNANSWERED)
		silence(p);
	else
		answer(p, &reply, NULL);
	buf_done(&r.headers);
	buf_done(&r.body);
}

static bool is_down(const struct scripted_ca *ca, const struct pending *p)
{
	return ca->down || (ca->down_at && !strcmp(ca->down_at, p->url));
}

static void asked(struct timer *t)
{
	struct pending *p = OWNER(t, struct pending, timer);
	const unsigned status = p->ca->may(p->ca, p->url);
	const struct fetch_reply reply = { .status = status };
	if (status)
		answer(p, &reply, NULL);
	else
		silence(p);
}

static void arrived(struct timer *t)
{
	struct pending *p = OWNER(t, struct pending, timer);
	struct scripted_ca *ca = p->ca;
	enum ca_fault fault = ++ca->requests == ca->fault_at ? ca->fault : FAULT_NONE;
	if (ca->stopped || fault == FAULT_STOP_BEFORE) {
		ca->stopped = true;
	} else if (is_down(ca, p) || fault == FAULT_LOST) {
		note(ca, "ask nobody\n");
		silence(p);
	} else if (ca->silent_at && !strcmp(ca->silent_at, p->url)) {
		ca->down = true;
		heard(p, FAULT_UNANSWERED);
	} else {
		heard(p, fault);
	}
}

static void start(struct fetch *f, struct fetch_call *call)
{
	struct scripted_ca *ca = OWNER(f, struct scripted_ca, fetch);
	struct pending *p = mem_new(struct pending);
	const bool asks = ca->may && !strcmp(call->purpose, "ask");
	if (!asks && strcmp(call->purpose, "acme") != 0)
		complain(ca, "a purpose other than acme");
	if (!asks && !str_eq_c(call->trust, "the root"))
		complain(ca, "a request without the issuer's trust");
	p->ca = ca;
	p->call = call;
	p->method = str_dup(str_c(call->method));
	p->url = str_dup(call->url);
	p->headers = str_dup(call->headers);
	p->body = str_dup(call->body);
	call->fetch = f;
	list_add_last(&ca->pending, &p->node);
	timer_start(&p->timer, ca->loop, ca->latency, asks ? asked : arrived);
}

static void abort_call(struct fetch *f, struct fetch_call *call)
{
	struct scripted_ca *ca = OWNER(f, struct scripted_ca, fetch);
	call->fetch = NULL;
	LIST_EACH (n, &ca->pending)
		if (OWNER(n, struct pending, node)->call == call)
			pending_free(OWNER(n, struct pending, node));
}

static void probing_free(struct probing *p)
{
	timer_stop(&p->timer);
	list_remove(&p->node);
	free(p);
}

static void shaken(struct timer *t)
{
	struct probing *p = OWNER(t, struct probing, timer);
	struct fetch_probe *probe = p->probe;
	struct scripted_ca *ca = p->ca;
	struct err err = ERR_INIT;
	BUF_AUTO pem = BUF(64 << 10);
	probing_free(p);
	probe->fetch = NULL;
	ca->probes++;
	bool ok = ca->shows(ca, probe, &pem, &err);
	probe->done(probe, buf_str(&pem), ok ? NULL : &err);
}

static void start_probe(struct fetch *f, struct fetch_probe *probe)
{
	struct scripted_ca *ca = OWNER(f, struct scripted_ca, fetch);
	struct probing *p = mem_new(struct probing);
	p->ca = ca;
	p->probe = probe;
	probe->fetch = f;
	list_add_last(&ca->probing, &p->node);
	timer_start(&p->timer, ca->loop, ca->latency, shaken);
}

static void abort_probe(struct fetch *f, struct fetch_probe *probe)
{
	struct scripted_ca *ca = OWNER(f, struct scripted_ca, fetch);
	probe->fetch = NULL;
	LIST_EACH (n, &ca->probing)
		if (OWNER(n, struct probing, node)->probe == probe)
			probing_free(OWNER(n, struct probing, node));
}

static const struct fetch_ops ops = {
	.start = start,
	.abort = abort_call,
	.probe = start_probe,
	.probe_abort = abort_probe,
};

void scripted_ca_remember(struct scripted_ca *ca, unsigned orders)
{
	CHECK(!ca->order_count);
	free(ca->orders);
	ca->order_room = orders;
	ca->orders = mem_array(sizeof *ca->orders, orders);
}

void scripted_ca_init(struct scripted_ca *ca, struct loop *loop)
{
	*ca = (struct scripted_ca){
		.fetch.ops = &ops,
		.loop = loop,
		.lifetime = 90 * DAY,
		.revoked = BUF_INIT(64 << 10),
		.directory = CA_DIRECTORY,
		.terms = "https://ca.test/terms",
	};
	list_init(&ca->pending);
	list_init(&ca->probing);
	scripted_ca_remember(ca, CA_ORDERS);
	ca->keys = mem_new(struct ca_keys);
	ca->keys->own = EVP_EC_gen("P-256");
}

void scripted_ca_done(struct scripted_ca *ca)
{
	for (unsigned i = 0; i < ca->order_room; i++)
		buf_done(&ca->orders[i].pem);
	CHECK(list_empty(&ca->pending) && list_empty(&ca->probing));
	free(ca->orders);
	buf_done(&ca->revoked);
	EVP_PKEY_free(ca->keys->own);
	free(ca->keys);
}
