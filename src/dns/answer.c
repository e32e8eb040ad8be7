/* One DNS message, by ldns: a question's bytes, and what an answer says. */
#include "dns/wire.h"

enum { UDP_MOST = 1232 }; /* passes every path unfragmented (DNS flag day 2020) */

static const ldns_rr_type wire_types[] = {
	[DNS_A] = LDNS_RR_TYPE_A,
	[DNS_AAAA] = LDNS_RR_TYPE_AAAA,
	[DNS_CAA] = LDNS_RR_TYPE_CAA,
	[DNS_TXT] = LDNS_RR_TYPE_TXT,
	[DNS_NS] = LDNS_RR_TYPE_NS,
	[DNS_SOA] = LDNS_RR_TYPE_SOA,
	[DNS_CNAME] = LDNS_RR_TYPE_CNAME,
};

void dns_answer_init(struct dns_answer *a)
{
	*a = (struct dns_answer){ .aliases = BUF_INIT(DNS_ALIASES_MOST * 1024),
		.records = BUF_INIT(40 << 10) };
}

void dns_answer_done(struct dns_answer *a)
{
	buf_done(&a->aliases);
	buf_done(&a->records);
}

bool dns_question(struct buf *out, const struct dns_asked *asked)
{
	ldns_rdf *rdf = dns_name_rdf(asked->name);
	ldns_pkt *p = rdf ? ldns_pkt_query_new(rdf, wire_types[asked->type], LDNS_RR_CLASS_IN,
	                            asked->authoritative ? 0 : LDNS_RD)
	                  : NULL;
	if (!p)
		return false;
	ldns_pkt_set_id(p, asked->id);
	ldns_pkt_set_edns_udp_size(p, UDP_MOST);
	const bool made = dns_add_wire(out, p);
	ldns_pkt_free(p);
	return made;
}

/* ---- reading ---- */

/* Names and values come from strangers: what is no printable character becomes '?'. */
static void add_clean(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		buf_add_char(out, text.p[i] >= ' ' && text.p[i] < 127 ? text.p[i] : '?');
}

static void add_name(struct buf *out, const ldns_rdf *name)
{
	char *text = ldns_rdf2str(name);
	struct str s = str_c(text);
	if (s.n > 1 && s.p[s.n - 1] == '.')
		s.n--;
	add_clean(out, s);
	buf_add_char(out, '\n');
	free(text);
}

static struct str rdf_bytes(const ldns_rdf *rdf)
{
	return str_n(ldns_rdf_data(rdf), ldns_rdf_size(rdf));
}

static bool add_address(struct buf *out, const ldns_rr *rr)
{
	char *text = ldns_rr_rd_count(rr) ? ldns_rdf2str(ldns_rr_rdf(rr, 0)) : NULL;
	if (text)
		buf_add_c(out, text);
	buf_add_char(out, '\n');
	free(text);
	return text;
}

/* RFC 8659 4.1: flags, the tag with its length before it, the value. */
static bool add_caa(struct buf *out, const ldns_rr *rr)
{
	if (ldns_rr_rd_count(rr) != 3)
		return false;
	buf_add_u64(out, ldns_rdf2native_int8(ldns_rr_rdf(rr, 0)));
	buf_add_char(out, ' ');
	add_clean(out, str_from(rdf_bytes(ldns_rr_rdf(rr, 1)), 1));
	buf_add_char(out, ' ');
	add_clean(out, rdf_bytes(ldns_rr_rdf(rr, 2)));
	buf_add_char(out, '\n');
	return true;
}

/* RFC 1035 3.3.14: texts with their lengths before them, read as one. */
static bool add_txt(struct buf *out, const ldns_rr *rr)
{
	BUF_AUTO whole = BUF(DNS_RECORD_MOST - 1);
	for (size_t i = 0; i < ldns_rr_rd_count(rr); i++)
		buf_add(&whole, str_from(rdf_bytes(ldns_rr_rdf(rr, i)), 1));
	/* Too long for any that is looked for. */
	if (!buf_ok(&whole))
		buf_clear(&whole);
	add_clean(out, buf_str(&whole));
	buf_add_char(out, '\n');
	return true;
}

static bool add_first_name(struct buf *out, const ldns_rr *rr)
{
	if (!ldns_rr_rd_count(rr) || ldns_rdf_get_type(ldns_rr_rdf(rr, 0)) != LDNS_RDF_TYPE_DNAME)
		return false;
	add_name(out, ldns_rr_rdf(rr, 0));
	return true;
}

static bool add_record(struct buf *out, const ldns_rr *rr, enum dns_type type)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		return add_address(out, rr);
	case DNS_CAA:
		return add_caa(out, rr);
	case DNS_TXT:
		return add_txt(out, rr);
	case DNS_NS:
	case DNS_SOA:
	case DNS_CNAME:
		return add_first_name(out, rr);
	}
	return false;
}

static bool is_question(const ldns_pkt *p, const ldns_rdf *name, enum dns_type type, uint16_t id)
{
	if (ldns_pkt_id(p) != id || !ldns_pkt_qr(p) ||
	        ldns_pkt_get_opcode(p) != LDNS_PACKET_QUERY || ldns_pkt_qdcount(p) != 1)
		return false;
	const ldns_rr *q = ldns_rr_list_rr(ldns_pkt_question(p), 0);
	return q && ldns_rr_get_type(q) == wire_types[type] &&
	       ldns_rr_get_class(q) == LDNS_RR_CLASS_IN &&
	       ldns_dname_compare(ldns_rr_owner(q), name) == 0;
}

static bool is_of(const ldns_rr *rr, const ldns_rdf *owner, ldns_rr_type type)
{
	return ldns_rr_get_type(rr) == type && ldns_rr_get_class(rr) == LDNS_RR_CLASS_IN &&
	       ldns_rr_owner(rr) && ldns_dname_compare(ldns_rr_owner(rr), owner) == 0;
}

/* RFC 2181 8: a time with the highest bit set is none. */
static void lower_ttl(uint32_t *ttl, const ldns_rr *rr)
{
	uint32_t own = ldns_rr_ttl(rr);
	own = own > INT32_MAX ? 0 : own;
	*ttl = own < *ttl ? own : *ttl;
}

/* RFC 1034 3.6.2: where the aliases lead, in the order in which they lead there. */
static const ldns_rdf *follow(
        const ldns_rr_list *list, const ldns_rdf *name, struct buf *aliases, uint32_t *ttl)
{
	for (unsigned hops = 0; hops < DNS_ALIASES_MOST; hops++) {
		const ldns_rdf *next = NULL;
		for (size_t i = 0; !next && i < ldns_rr_list_rr_count(list); i++) {
			const ldns_rr *rr = ldns_rr_list_rr(list, i);
			if (!is_of(rr, name, LDNS_RR_TYPE_CNAME) || !ldns_rr_rd_count(rr))
				continue;
			next = ldns_rr_rdf(rr, 0);
			lower_ttl(ttl, rr);
		}
		if (!next)
			break;
		add_name(aliases, next);
		name = next;
	}
	return name;
}

/* One record that cannot be read makes the whole unread: what it forbids must not be missed. */
static void collect(
        const ldns_rr_list *list, const ldns_rdf *name, enum dns_type type, struct dns_answer *a)
{
	unsigned taken = 0;
	uint32_t ttl = INT32_MAX;
	const ldns_rdf *owner = type == DNS_CNAME ? name : follow(list, name, &a->aliases, &ttl);
	for (size_t i = 0; i < ldns_rr_list_rr_count(list) && taken < DNS_RECORDS_MOST; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(list, i);
		if (!is_of(rr, owner, wire_types[type]))
			continue;
		if (!add_record(&a->records, rr, type))
			return;
		lower_ttl(&ttl, rr);
		taken++;
	}
	a->ttl = taken ? ttl : 0;
	a->outcome = taken ? DNS_FOUND : DNS_NONE;
}

static void judge(const ldns_pkt *p, const ldns_rdf *name, const struct dns_asked *asked,
        struct dns_answer *ret_a)
{
	ret_a->cut = ldns_pkt_tc(p);
	switch (ldns_pkt_get_rcode(p)) {
	case LDNS_RCODE_NOERROR:
		collect(ldns_pkt_answer(p), name, asked->type, ret_a);
		break;
	case LDNS_RCODE_NXDOMAIN:
		follow(ldns_pkt_answer(p), name, &ret_a->aliases, &(uint32_t){ 0 });
		ret_a->outcome = DNS_NO_NAME;
		break;
	case LDNS_RCODE_SERVFAIL:
		ret_a->outcome = DNS_FAILED;
		return;
	default:
		ret_a->outcome = DNS_REFUSED;
		return;
	}
	if (asked->authoritative && !ldns_pkt_aa(p))
		ret_a->outcome = DNS_REFUSED;
}

bool dns_read(struct str bytes, const struct dns_asked *asked, struct dns_answer *ret_a)
{
	ldns_pkt *p = NULL;
	ldns_rdf *wanted = dns_name_rdf(asked->name);
	buf_clear(&ret_a->aliases);
	buf_clear(&ret_a->records);
	ret_a->cut = false;
	ret_a->ttl = 0;
	ret_a->outcome = DNS_GARBLED;
	bool ours = false;
	if (wanted && dns_packet_read(bytes, &p))
		ours = is_question(p, wanted, asked->type, asked->id);
	if (ours)
		judge(p, wanted, asked, ret_a);
	ldns_pkt_free(p);
	ldns_rdf_deep_free(wanted);
	if (!buf_ok(&ret_a->aliases) || !buf_ok(&ret_a->records)) {
		ret_a->outcome = DNS_GARBLED;
		buf_clear(&ret_a->aliases);
		buf_clear(&ret_a->records);
	}
	return ours;
}
