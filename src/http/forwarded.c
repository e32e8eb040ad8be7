#include "http/forwarded.h"
#include "http/chars.h"

#define X_FORWARDED_FOR STR("x-forwarded-for")
#define FORWARDED       STR("forwarded")

void hops_init_forwarded(struct hops *h, const struct headers *headers)
{
	*h = (struct hops){ .headers = headers, .name = FORWARDED, .field = headers->count };
}

void hops_init(struct hops *h, const struct headers *headers)
{
	hops_init_forwarded(h, headers);
	if (headers_find(headers, X_FORWARDED_FOR).p)
		h->name = X_FORWARDED_FOR;
}

/* ---- one address ---- */

static bool is_port(struct str text)
{
	uint64_t port;
	return text.n <= 5 && str_to_u64(text, &port) && port <= UINT16_MAX;
}

static bool read_bracketed(struct str text, struct sockaddr_storage *ret_address)
{
	size_t close = str_find(text, ']');
	struct str rest = str_from(text, close + 1);
	if (close == text.n || (rest.n > 0 && !(rest.p[0] == ':' && is_port(str_from(rest, 1)))))
		return false;
	struct str host = str_n(text.p + 1, close - 1);
	return str_has(host, ':') && address_parse(host, 0, ret_address);
}

/* IPv4 with or without a port, IPv6 in brackets. */
static bool read_node(struct str text, struct sockaddr_storage *ret_address)
{
	if (str_starts(text, STR("[")))
		return read_bracketed(text, ret_address);
	size_t colon = str_find(text, ':');
	return (colon == text.n || is_port(str_from(text, colon + 1))) &&
	       address_parse(str_head(text, colon), 0, ret_address);
}

static bool read_usual(struct str text, struct sockaddr_storage *ret_address)
{
	return read_node(text, ret_address) ||
	       (str_has(text, ':') && address_parse(text, 0, ret_address));
}

/* ---- Forwarded ---- */

/* RFC 9110 5.6.4. Nothing that needs a backslash is an address: with one it is no hop of ours. */
static bool take_quoted(struct str *rest, struct str *ret_value)
{
	struct str text = str_from(*rest, 1);
	size_t end = str_find(text, '"');
	if (end == text.n || str_has(str_head(text, end), '\\'))
		return false;
	*ret_value = str_head(text, end);
	*rest = str_from(text, end + 1);
	return true;
}

static struct str take_token(struct str *rest)
{
	size_t n = 0;
	while (n < rest->n && http_token_lower[(unsigned char)rest->p[n]])
		n++;
	struct str token = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return token;
}

static bool take_value(struct str *rest, struct str *ret_value)
{
	if (str_starts(*rest, STR("\"")))
		return take_quoted(rest, ret_value);
	*ret_value = take_token(rest);
	return ret_value->n > 0;
}

/* Both empty if there is none. */
static bool take_pair(struct str *rest, struct str *ret_name, struct str *ret_value)
{
	struct str name = take_token(rest);
	if (name.n == 0)
		return true;
	if (!str_starts(*rest, STR("=")))
		return false;
	*rest = str_from(*rest, 1);
	*ret_name = name;
	return take_value(rest, ret_value);
}

/* The parameters that are wanted. False: it is there already. */
static bool keep_pair(struct forwarded_element *e, struct str name, struct str value)
{
	struct str *place = str_eq_nocase(name, STR("for"))     ? &e->for_
	                    : str_eq_nocase(name, STR("proto")) ? &e->proto
	                                                        : NULL;
	if (!place)
		return true;
	if (place->p)
		return false;
	*place = value;
	return true;
}

/* RFC 7239 4: [ pair ] *( ";" [ pair ] ), no parameter twice. */
static bool take_element(struct str *rest, struct forwarded_element *ret_element)
{
	struct forwarded_element e = { 0 };
	for (;;) {
		struct str name = STR_NONE, value = STR_NONE;
		if (!take_pair(rest, &name, &value) || !keep_pair(&e, name, value))
			return false;
		if (!str_starts(*rest, STR(";")))
			break;
		*rest = str_from(*rest, 1);
	}
	*ret_element = e;
	return true;
}

static struct str skip_space(struct str s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_from(s, 1);
	return s;
}

/* Quotes may hold commas, so a field is read from its beginning and as a whole. */
static bool split_field(struct hops *h, struct str rest)
{
	h->element_count = 0;
	for (;;) {
		rest = skip_space(rest);
		if (h->element_count == FORWARDED_HOPS_MOST ||
		        !take_element(&rest, &h->elements[h->element_count++]))
			return false;
		rest = skip_space(rest);
		if (rest.n == 0)
			return true;
		if (rest.p[0] != ',')
			return false;
		rest = str_from(rest, 1);
	}
}

/* ---- the way ---- */

static bool next_field(struct hops *h)
{
	while (h->field > 0) {
		const struct header *f = &h->headers->at[--h->field];
		if (!str_eq(f->name, h->name))
			continue;
		h->list = f->value;
		h->in_field = true;
		return true;
	}
	return false;
}

/* Elements of a list from its end. */
static struct str take_last(struct hops *h)
{
	size_t comma = h->list.n;
	while (comma > 0 && h->list.p[comma - 1] != ',')
		comma--;
	struct str last = str_trim(str_from(h->list, comma));
	h->in_field = comma > 0;
	h->list = str_head(h->list, comma > 0 ? comma - 1 : 0);
	return last;
}

enum hop hops_next(struct hops *h, struct sockaddr_storage *ret_address)
{
	bool usual = str_eq(h->name, X_FORWARDED_FOR), fresh = !h->in_field;
	if (fresh && !next_field(h))
		return HOP_NONE;
	h->proto = STR_NONE;
	if (h->hop_count++ == FORWARDED_HOPS_MOST)
		return HOP_UNKNOWN;
	if (usual)
		return read_usual(take_last(h), ret_address) ? HOP_ADDRESS : HOP_UNKNOWN;
	if (fresh && !split_field(h, h->list))
		return HOP_BAD;
	const struct forwarded_element *element = &h->elements[--h->element_count];
	h->in_field = h->element_count > 0;
	h->proto = element->proto;
	return read_node(element->for_, ret_address) ? HOP_ADDRESS : HOP_UNKNOWN;
}

/* ---- what strangers may not say ---- */

/* As header_is_folded() takes them. The two last move the whole application, where its server is
 * one of Python's. */
static const struct str whence[] = { STR_INIT("forwarded"), STR_INIT("x-forwarded"),
	STR_INIT("x-forwarded-"), STR_INIT("x-original-"), STR_INIT("x-rewrite-url"),
	/* for whom */
	STR_INIT("x-real-ip"), STR_INIT("x-client-ip"), STR_INIT("x-cluster-client-ip"),
	STR_INIT("true-client-ip"), STR_INIT("client-ip"),
	/* by HTTPS or not */
	STR_INIT("front-end-https"), STR_INIT("x-scheme"), STR_INIT("x-url-scheme"),
	/* beneath which path */
	STR_INIT("script-name"), STR_INIT("path-info") };

bool forwarded_is_whence(struct str name)
{
	if (name.n == 0 || !memchr("xfctsp", name.p[0], 6))
		return false;
	for (size_t i = 0; i < sizeof whence / sizeof *whence; i++)
		if (header_is_folded(name, whence[i]))
			return true;
	return false;
}

void forwarded_drop(struct headers *headers, bool trusted)
{
	size_t kept = 0;
	for (size_t i = 0; i < headers->count; i++) {
		struct str name = headers->at[i].name;
		if ((trusted && !str_has(name, '_')) || !forwarded_is_whence(name))
			headers->at[kept++] = headers->at[i];
	}
	headers->count = kept;
}
