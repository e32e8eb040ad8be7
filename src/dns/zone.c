/* The answers of a small zone of our own. */
#include "dns/wire.h"
#include "net/address.h"

enum {
	HEADER = 12,
	UDP_LEAST = 512, /* RFC 1035 4.2.1: of who says nothing else */
	VALUE_TTL = 1,   /* s: a value lives for seconds, and so does its absence */
	ZONE_TTL = 300,
};

/* What is being answered. */
struct answer {
	ldns_pkt *p;
	const struct dns_zone *zone;
	const ldns_rdf *name;
	ldns_rr_type type;
};

static void push_rdf(ldns_rr *rr, ldns_rdf *rdf)
{
	CHECK(rdf && ldns_rr_push_rdf(rr, rdf));
}

static ldns_rr *rr_new(const ldns_rdf *owner, ldns_rr_type type, uint32_t ttl)
{
	ldns_rr *rr = ldns_rr_new();
	CHECK(rr);
	ldns_rr_set_owner(rr, ldns_rdf_clone(owner));
	ldns_rr_set_type(rr, type);
	ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
	ldns_rr_set_ttl(rr, ttl);
	return rr;
}

static ldns_rdf *name_of(struct str name)
{
	ldns_rdf *rdf = dns_name_rdf(name);
	CHECK(rdf);
	return rdf;
}

static ldns_rr *soa_new(const struct dns_zone *z, uint32_t ttl)
{
	static const uint32_t refresh = 3600, retry = 600, expire = 86400;
	const uint32_t numbers[] = { z->serial, refresh, retry, expire, VALUE_TTL };
	ldns_rdf *zone = name_of(z->zone), *person = name_of(STR("hostmaster"));
	CHECK(ldns_dname_cat(person, zone) == LDNS_STATUS_OK);
	ldns_rr *rr = rr_new(zone, LDNS_RR_TYPE_SOA, ttl);
	push_rdf(rr, name_of(z->server));
	push_rdf(rr, person);
	push_rdf(rr, ldns_native2rdf_int32(LDNS_RDF_TYPE_INT32, numbers[0]));
	for (size_t i = 1; i < sizeof numbers / sizeof *numbers; i++)
		push_rdf(rr, ldns_native2rdf_int32(LDNS_RDF_TYPE_PERIOD, numbers[i]));
	ldns_rdf_deep_free(zone);
	return rr;
}

static bool asks(const struct answer *a, ldns_rr_type type)
{
	return a->type == type || a->type == LDNS_RR_TYPE_ANY;
}

static void add(struct answer *a, ldns_rr *rr)
{
	CHECK(ldns_pkt_push_rr(a->p, LDNS_SECTION_ANSWER, rr));
}

static void add_values(struct answer *a, const struct dns_value *v)
{
	uint8_t text[1 + DNS_TXT_MOST];
	ldns_rr *rr = rr_new(a->name, LDNS_RR_TYPE_TXT, VALUE_TTL);
	text[0] = (uint8_t)v->text.n;
	memcpy(text + 1, v->text.p, v->text.n);
	push_rdf(rr, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_STR, v->text.n + 1, text));
	add(a, rr);
}

/* Whether a name is that one, or lies above it. */
enum relation { ELSEWHERE, ABOVE, SAME };
static enum relation relate(const ldns_rdf *name, struct str to)
{
	ldns_rdf *t = name_of(to);
	const enum relation r = ldns_dname_compare(name, t) == 0   ? SAME
	                        : ldns_dname_is_subdomain(t, name) ? ABOVE
	                                                           : ELSEWHERE;
	ldns_rdf_deep_free(t);
	return r;
}

static void answer_apex(struct answer *a)
{
	if (asks(a, LDNS_RR_TYPE_SOA))
		add(a, soa_new(a->zone, ZONE_TTL));
	if (asks(a, LDNS_RR_TYPE_NS)) {
		ldns_rr *rr = rr_new(a->name, LDNS_RR_TYPE_NS, ZONE_TTL);
		push_rdf(rr, name_of(a->zone->server));
		add(a, rr);
	}
}

static void answer_server(struct answer *a)
{
	struct str lines = a->zone->addresses, line;
	while (str_split(&lines, '\n', &line)) {
		const bool six = str_has(line, ':');
		const ldns_rr_type type = six ? LDNS_RR_TYPE_AAAA : LDNS_RR_TYPE_A;
		char text[ADDRESS_TEXT];
		snprintf(text, sizeof text, "%.*s", STR_ARG(line));
		ldns_rdf *address =
		        ldns_rdf_new_frm_str(six ? LDNS_RDF_TYPE_AAAA : LDNS_RDF_TYPE_A, text);
		if (!address || !asks(a, type)) {
			ldns_rdf_deep_free(address);
			continue;
		}
		ldns_rr *rr = rr_new(a->name, type, ZONE_TTL);
		push_rdf(rr, address);
		add(a, rr);
	}
}

/* Whether the name is there: with records, or since one beneath it is. */
static bool answer_below(struct answer *a)
{
	const struct dns_zone *z = a->zone;
	enum relation r = relate(a->name, z->server);
	bool there = r != ELSEWHERE;
	if (r == SAME)
		answer_server(a);
	for (size_t i = 0; i < z->value_count; i++) {
		r = relate(a->name, z->values[i].name);
		there |= r != ELSEWHERE;
		if (r == SAME && asks(a, LDNS_RR_TYPE_TXT))
			add_values(a, &z->values[i]);
	}
	return there;
}

static void answer_zone(struct answer *a)
{
	bool there = true;
	ldns_pkt_set_aa(a->p, true);
	if (relate(a->name, a->zone->zone) == SAME)
		answer_apex(a);
	else
		there = answer_below(a);
	if (!there)
		ldns_pkt_set_rcode(a->p, LDNS_RCODE_NXDOMAIN);
	/* RFC 2308 3: what is not there is not there for that long. */
	if (!ldns_rr_list_rr_count(ldns_pkt_answer(a->p)))
		CHECK(ldns_pkt_push_rr(a->p, LDNS_SECTION_AUTHORITY, soa_new(a->zone, VALUE_TTL)));
}

static const struct dns_zone *zone_of(
        const struct dns_zone *zones, size_t count, const ldns_rdf *name)
{
	const struct dns_zone *best = NULL;
	for (size_t i = 0; i < count; i++) {
		ldns_rdf *zone = name_of(zones[i].zone);
		const bool in =
		        ldns_dname_compare(name, zone) == 0 || ldns_dname_is_subdomain(name, zone);
		if (in && (!best || zones[i].zone.n > best->zone.n))
			best = &zones[i];
		ldns_rdf_deep_free(zone);
	}
	return best;
}

/* Of another class, or all of it at once: nobody gets that here. */
static bool is_refused(const ldns_rr *q)
{
	const ldns_rr_type type = ldns_rr_get_type(q);
	return ldns_rr_get_class(q) != LDNS_RR_CLASS_IN || type == LDNS_RR_TYPE_AXFR ||
	       type == LDNS_RR_TYPE_IXFR;
}

static void answer(
        struct answer *a, const ldns_pkt *asked, const struct dns_zone *zones, size_t count)
{
	if (ldns_pkt_get_opcode(asked) != LDNS_PACKET_QUERY) {
		ldns_pkt_set_rcode(a->p, LDNS_RCODE_NOTIMPL);
		return;
	}
	const ldns_rr *q = ldns_rr_list_rr(ldns_pkt_question(asked), 0);
	if (!q || ldns_pkt_qdcount(asked) != 1 || !ldns_rr_owner(q)) {
		ldns_pkt_set_rcode(a->p, LDNS_RCODE_FORMERR);
		return;
	}
	CHECK(ldns_pkt_push_rr(a->p, LDNS_SECTION_QUESTION, ldns_rr_clone(q)));
	a->name = ldns_rr_owner(q);
	a->type = ldns_rr_get_type(q);
	a->zone = zone_of(zones, count, a->name);
	if (ldns_pkt_edns(asked) && ldns_pkt_edns_version(asked))
		ldns_pkt_set_edns_extended_rcode(a->p, 1); /* RFC 6891 6.1.3: BADVERS is 16 */
	else if (!a->zone || is_refused(q))
		ldns_pkt_set_rcode(a->p, LDNS_RCODE_REFUSED);
	else
		answer_zone(a);
}

/* As long as who asks can take it, and as we may send it. */
static size_t room(const ldns_pkt *asked, size_t most)
{
	const size_t said = ldns_pkt_edns(asked) ? ldns_pkt_edns_udp_size(asked) : 0;
	const size_t able = said < UDP_LEAST ? UDP_LEAST : said;
	return most > DNS_REPLY_MOST || most < able ? most : able;
}

static void cut(ldns_pkt *p)
{
	ldns_rr_list_deep_free(ldns_pkt_answer(p));
	ldns_rr_list_deep_free(ldns_pkt_authority(p));
	ldns_pkt_set_answer(p, ldns_rr_list_new());
	ldns_pkt_set_authority(p, ldns_rr_list_new());
	ldns_pkt_set_ancount(p, 0);
	ldns_pkt_set_nscount(p, 0);
	ldns_pkt_set_tc(p, true);
}

static ldns_pkt *reply_to(const ldns_pkt *asked)
{
	ldns_pkt *p = ldns_pkt_new();
	CHECK(p);
	ldns_pkt_set_id(p, ldns_pkt_id(asked));
	ldns_pkt_set_qr(p, true);
	ldns_pkt_set_opcode(p, ldns_pkt_get_opcode(asked));
	ldns_pkt_set_rd(p, ldns_pkt_rd(asked));
	if (ldns_pkt_edns(asked))
		ldns_pkt_set_edns_udp_size(p, DNS_REPLY_MOST);
	return p;
}

/* What can be said to bytes that are no message: their id, and that. */
static bool refuse_garbage(struct str question, struct buf *out)
{
	const char header[HEADER] = { question.p[0], question.p[1], (char)0x80,
		LDNS_RCODE_FORMERR };
	buf_add(out, str_n(header, sizeof header));
	return buf_ok(out);
}

bool dns_zone_answer(const struct dns_zone *zones, size_t count, struct str question, size_t most,
        struct buf *out)
{
	ldns_pkt *asked = NULL;
	/* An answer is answered by nobody: two servers could go on for ever. */
	if (question.n < HEADER || question.p[2] & 0x80)
		return false;
	if (!dns_packet_read(question, &asked))
		return refuse_garbage(question, out);
	struct answer a = { .p = reply_to(asked) };
	answer(&a, asked, zones, count);
	BUF_AUTO wire = BUF(UINT16_MAX);
	bool made = dns_add_wire(&wire, a.p);
	if (made && wire.n > room(asked, most)) {
		cut(a.p);
		buf_clear(&wire);
		made = dns_add_wire(&wire, a.p);
	}
	buf_add_buf(out, &wire);
	ldns_pkt_free(a.p);
	ldns_pkt_free(asked);
	return made && buf_ok(out);
}
