#include "dns/wire.h"

ldns_rdf *dns_name_rdf(struct str name)
{
	char text[DNS_NAME_MOST + 2];
	if (name.n == 0 || name.n > DNS_NAME_MOST || str_has(name, '\\') || str_has(name, '\0'))
		return NULL;
	snprintf(text, sizeof text, "%.*s", STR_ARG(name));
	return ldns_dname_new_frm_str(text);
}

bool dns_add_wire(struct buf *out, const ldns_pkt *p)
{
	uint8_t *wire = NULL;
	size_t size = 0;
	const bool made = ldns_pkt2wire(&wire, p, &size) == LDNS_STATUS_OK;
	if (made)
		buf_add(out, str_n(wire, size));
	free(wire);
	return made && buf_ok(out);
}

static bool read_record(struct str bytes, size_t *at, ldns_pkt_section section, ldns_rr_type *ret)
{
	ldns_rr *rr = NULL;
	if (ldns_wire2rr(&rr, (const uint8_t *)bytes.p, bytes.n, at, section) != LDNS_STATUS_OK)
		return false;
	*ret = ldns_rr_get_type(rr);
	ldns_rr_free(rr);
	return true;
}

static bool has_one_of_each(struct str bytes)
{
	const uint8_t *wire = (const uint8_t *)bytes.p;
	const size_t questions = LDNS_QDCOUNT(wire);
	const size_t all = questions + LDNS_ANCOUNT(wire) + LDNS_NSCOUNT(wire) + LDNS_ARCOUNT(wire);
	size_t at = LDNS_HEADER_SIZE, options = 0;
	for (size_t i = 0; i < all; i++) {
		ldns_rr_type type = 0;
		if (!read_record(bytes, &at,
		            i < questions ? LDNS_SECTION_QUESTION : LDNS_SECTION_ANSWER, &type))
			return false;
		options += type == LDNS_RR_TYPE_OPT;
		if (options > 1 || (type == LDNS_RR_TYPE_TSIG && i + 1 < all))
			return false;
	}
	return true;
}

bool dns_packet_read(struct str bytes, ldns_pkt **ret)
{
	return bytes.n >= LDNS_HEADER_SIZE && has_one_of_each(bytes) &&
	       ldns_wire2pkt(ret, (const uint8_t *)bytes.p, bytes.n) == LDNS_STATUS_OK;
}
