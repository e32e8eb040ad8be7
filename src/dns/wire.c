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
