/* A change of a zone (RFC 2136), signed (RFC 8945), and what its answer means. */
#include "base/secret.h"
#include "dns/wire.h"
#include <inttypes.h>

enum { FUDGE = 300 /* s: RFC 8945 10 */ };
enum { TSIG_ALGORITHM, TSIG_TIME, TSIG_FUDGE, TSIG_MAC, TSIG_ID, TSIG_ERROR, TSIG_OTHER };
enum { BADSIG = 16, BADKEY = 17, BADTIME = 18 };

static const char *const hmacs[] = {
#define X(name, text) text,
	DNS_HMACS(X)
#undef X
};

bool dns_hmac_known(struct str name)
{
	for (size_t i = 0; i < sizeof hmacs / sizeof *hmacs; i++)
		if (str_eq_c(name, hmacs[i]))
			return true;
	return false;
}

/* ---- the request ---- */

/* RFC 2136 2.5.1 and 2.5.4: of class IN it is added, of class NONE removed. */
static ldns_rr *record_of(const struct dns_change *c)
{
	uint8_t text[1 + DNS_TXT_MOST];
	ldns_rdf *name = dns_name_rdf(c->name);
	if (!name || c->value.n > DNS_TXT_MOST) {
		ldns_rdf_deep_free(name);
		return NULL;
	}
	text[0] = (uint8_t)c->value.n;
	memcpy(text + 1, c->value.p, c->value.n);
	ldns_rr *rr = ldns_rr_new();
	CHECK(rr);
	ldns_rr_set_owner(rr, name);
	ldns_rr_set_type(rr, LDNS_RR_TYPE_TXT);
	ldns_rr_set_class(rr, c->remove ? LDNS_RR_CLASS_NONE : LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, c->remove ? 0 : DNS_TXT_TTL);
	ldns_rr_push_rdf(
	        rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, (size_t)c->value.n + 1, text));
	return rr;
}

static ldns_pkt *request_of(const struct dns_change *c)
{
	ldns_rdf *zone = dns_name_rdf(c->zone);
	ldns_rr *record = zone ? record_of(c) : NULL;
	if (!record) {
		ldns_rdf_deep_free(zone);
		return NULL;
	}
	ldns_rr_list *changes = ldns_rr_list_new();
	CHECK(changes && ldns_rr_list_push_rr(changes, record));
	ldns_pkt *p = ldns_update_pkt_new(zone, LDNS_RR_CLASS_IN, NULL, changes, NULL);
	ldns_rr_list_deep_free(changes); /* the message has copies */
	CHECK(p);
	ldns_pkt_set_rd(p, false);
	return p;
}

/* Texts as ldns wants them. */
struct key_texts {
	char name[DNS_NAME_MOST + 2], hmac[32], secret[1024];
};

/* What ldns refuses it does not free: it is refused before. */
static bool is_base64(struct str secret)
{
	BUF_AUTO bytes = BUF_SECRET_INIT(1024);
	return buf_decode_base64(&bytes, secret) && bytes.n;
}

static bool key_texts(const struct dns_change *c, struct key_texts *ret)
{
	if (c->key_name.n > DNS_NAME_MOST || c->hmac.n + 2 > sizeof ret->hmac ||
	        c->secret.n >= sizeof ret->secret || !dns_hmac_known(c->hmac) ||
	        !is_base64(c->secret))
		return false;
	snprintf(ret->name, sizeof ret->name, "%.*s", STR_ARG(c->key_name));
	snprintf(ret->hmac, sizeof ret->hmac, "%.*s.", STR_ARG(c->hmac));
	snprintf(ret->secret, sizeof ret->secret, "%.*s", STR_ARG(c->secret));
	return true;
}

static bool sign(ldns_pkt *p, const struct dns_change *c, struct buf *ret_mac)
{
	struct key_texts key;
	if (!key_texts(c, &key))
		return false;
	const bool made = ldns_pkt_tsig_sign(p, key.name, key.secret, FUDGE, key.hmac, NULL) ==
	                          LDNS_STATUS_OK &&
	                  ldns_pkt_tsig(p);
	wipe(&key, sizeof key);
	if (!made)
		return false;
	const ldns_rdf *mac = ldns_rr_rdf(ldns_pkt_tsig(p), TSIG_MAC);
	buf_clear(ret_mac);
	buf_add(ret_mac, str_n(ldns_rdf_data(mac), ldns_rdf_size(mac)));
	return buf_ok(ret_mac);
}

bool dns_update_make(struct buf *out, const struct dns_change *c, uint16_t id, struct buf *ret_mac)
{
	ldns_pkt *p = request_of(c);
	if (!p)
		return false;
	ldns_pkt_set_id(p, id);
	const bool made = (!c->key_name.n || sign(p, c, ret_mac)) && dns_add_wire(out, p);
	ldns_pkt_free(p);
	return made;
}

/* ---- the answer ---- */

static bool by_code(const struct dns_updated *u, unsigned code, struct err *err)
{
	const struct dns_change *c = u->change;
	switch (code) {
	case LDNS_RCODE_NOERROR:
		return true;
	case LDNS_RCODE_REFUSED:
		return err_set(err, ERR_REFUSED,
		        "The name server %.*s refuses to change TXT records of %.*s." ERR_REMEDY
		        "Allow that to %s%.*s there (BIND: `update-policy` of the zone %.*s).",
		        STR_ARG(u->server), STR_ARG(c->name),
		        c->key_name.n ? "the key " : "this machine", STR_ARG(c->key_name),
		        STR_ARG(c->zone));
	case LDNS_RCODE_NOTAUTH:
		return err_set(err, ERR_REFUSED,
		        "The name server %.*s is not the primary server of the zone %.*s "
		        "(NOTAUTH)." ERR_REMEDY
		        "Name the primary server in `update`, or the right zone in `zone`.",
		        STR_ARG(u->server), STR_ARG(c->zone));
	case LDNS_RCODE_NOTZONE:
		return err_set(err, ERR_REFUSED,
		        "The name server %.*s says that %.*s is not in the zone %.*s "
		        "(NOTZONE)." ERR_REMEDY
		        "Correct `zone` in the configuration, or leave it out.",
		        STR_ARG(u->server), STR_ARG(c->name), STR_ARG(c->zone));
	case LDNS_RCODE_SERVFAIL:
		return err_set(err, ERR_UNREACHABLE,
		        "The name server %.*s could not change the zone %.*s (SERVFAIL)." ERR_REMEDY
		        "Its log says why; often it may not write the zone's journal.",
		        STR_ARG(u->server), STR_ARG(c->zone));
	case LDNS_RCODE_NOTIMPL:
	case LDNS_RCODE_FORMERR:
		return err_set(err, ERR_PROTOCOL,
		        "The name server %.*s does not understand updates (RFC 2136)." ERR_REMEDY
		        "Name one that does, or use `program` or `delegated` instead.",
		        STR_ARG(u->server));
	default:
		return err_set(err, ERR_PROTOCOL,
		        "The name server %.*s did not change the zone %.*s: it answered with code "
		        "%u." ERR_REMEDY "Look at its log, which says why.",
		        STR_ARG(u->server), STR_ARG(c->zone), code);
	}
}

static uint64_t number(const uint8_t *p, size_t n)
{
	uint64_t value = 0;
	while (n--)
		value = value << 8 | *p++;
	return value;
}

static bool bad_time(const struct dns_updated *u, const ldns_rdf *other, struct err *err)
{
	/* RFC 8945 5.2.3: two bytes of length, then the server's time. */
	if (ldns_rdf_size(other) != 8)
		return err_set(err, ERR_REFUSED,
		        "The clocks of this machine and of the name server %.*s differ too much "
		        "(BADTIME)." ERR_REMEDY "Set both by NTP.",
		        STR_ARG(u->server));
	const int64_t theirs = (int64_t)number(ldns_rdf_data(other) + 2, 6);
	const int64_t ahead = u->now - theirs;
	return err_set(err, ERR_REFUSED,
	        "This machine's clock is %" PRId64
	        " seconds %s that of the name server %.*s, which "
	        "takes no more than %d (BADTIME)." ERR_REMEDY "Set both clocks by NTP.",
	        ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of", STR_ARG(u->server),
	        FUDGE);
}

static bool bad_key(const struct dns_updated *u, struct err *err)
{
	return err_set(err, ERR_REFUSED,
	        "The name server %.*s does not know the key %.*s with %.*s (BADKEY)." ERR_REMEDY
	        "Compare the key's name and algorithm on both sides.",
	        STR_ARG(u->server), STR_ARG(u->change->key_name), STR_ARG(u->change->hmac));
}

static bool bad_signature(const struct dns_updated *u, struct err *err)
{
	return err_set(err, ERR_REFUSED,
	        "The name server %.*s does not accept what is signed by the key %.*s: its secret "
	        "there is another (BADSIG)." ERR_REMEDY "Copy the key's secret anew.",
	        STR_ARG(u->server), STR_ARG(u->change->key_name));
}

static bool same_name(const ldns_rdf *name, struct str wanted)
{
	ldns_rdf *w = dns_name_rdf(wanted);
	const bool same = w && name && ldns_dname_compare(name, w) == 0;
	ldns_rdf_deep_free(w);
	return same;
}

static bool is_in_time(const ldns_rr *tsig, int64_t now)
{
	const ldns_rdf *time = ldns_rr_rdf(tsig, TSIG_TIME);
	const int64_t fudge = ldns_rdf2native_int16(ldns_rr_rdf(tsig, TSIG_FUDGE));
	if (ldns_rdf_size(time) != 6)
		return false;
	const int64_t late = now - (int64_t)number(ldns_rdf_data(time), 6);
	return late <= fudge && -late <= fudge;
}

/* ldns takes the algorithm from the answer: it has to be ours. */
static bool is_signed_by(ldns_pkt *p, struct str bytes, const struct dns_updated *u)
{
	const ldns_rr *tsig = ldns_pkt_tsig(p);
	struct key_texts key;
	if (!key_texts(u->change, &key) || !same_name(ldns_rr_owner(tsig), u->change->key_name) ||
	        !same_name(ldns_rr_rdf(tsig, TSIG_ALGORITHM), u->change->hmac) ||
	        !is_in_time(tsig, u->now))
		return false;
	ldns_rdf *mac = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_INT16_DATA, u->mac.n, u->mac.p);
	const bool fits = ldns_pkt_tsig_verify(
	        p, (const uint8_t *)bytes.p, bytes.n, key.name, key.secret, mac);
	ldns_rdf_deep_free(mac);
	wipe(&key, sizeof key);
	return fits;
}

static bool judge_signed(
        ldns_pkt *p, struct str bytes, const struct dns_updated *u, struct err *err)
{
	const ldns_rr *tsig = ldns_pkt_tsig(p);
	const unsigned code = ldns_pkt_get_rcode(p);
	const bool whole = tsig && ldns_rr_rd_count(tsig) == TSIG_OTHER + 1;
	const unsigned bad = whole ? ldns_rdf2native_int16(ldns_rr_rdf(tsig, TSIG_ERROR)) : 0;
	if (bad == BADKEY)
		return bad_key(u, err);
	if (bad == BADSIG)
		return bad_signature(u, err);
	if (bad == BADTIME)
		return bad_time(u, ldns_rr_rdf(tsig, TSIG_OTHER), err);
	if (code != LDNS_RCODE_NOERROR)
		return by_code(u, code, err);
	if (!whole || !is_signed_by(p, bytes, u))
		return err_set(err, ERR_PROTOCOL,
		        "What answers as the name server %.*s did not sign its answer with the key "
		        "%.*s, so that it is not believed." ERR_REMEDY
		        "Look whether something between here and there changes DNS messages.",
		        STR_ARG(u->server), STR_ARG(u->change->key_name));
	return true;
}

bool dns_update_read(struct str bytes, const struct dns_updated *u, struct err *ret_err)
{
	ldns_pkt *p = NULL;
	if (!dns_packet_read(bytes, &p))
		return false;
	const bool ours = ldns_pkt_id(p) == u->id && ldns_pkt_qr(p) &&
	                  ldns_pkt_get_opcode(p) == LDNS_PACKET_UPDATE;
	ret_err->code = ERR_NONE;
	if (ours && u->change->key_name.n)
		(void)judge_signed(p, bytes, u, ret_err);
	else if (ours)
		(void)by_code(u, ldns_pkt_get_rcode(p), ret_err);
	ldns_pkt_free(p);
	return ours;
}
