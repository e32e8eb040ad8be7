#include "proxy/forward.h"

#include "server/site.h"

/* RFC 7239, RFC 9110 7.6.3, and the usual ones. Those of strangers are gone (server/visitor.h), but
 * for Via; what a trusted proxy said is continued. `Proxy` is dropped whoever sends it
 * (CVE-2016-5385). */
enum forwarding { X_FOR, X_PROTO, X_HOST, FORWARDED, VIA, PROXY, FORWARDING_COUNT };
static const struct str names[FORWARDING_COUNT] = {
	[X_FOR] = STR_INIT("x-forwarded-for"),
	[X_PROTO] = STR_INIT("x-forwarded-proto"),
	[X_HOST] = STR_INIT("x-forwarded-host"),
	[FORWARDED] = STR_INIT("forwarded"),
	[VIA] = STR_INIT("via"),
	[PROXY] = STR_INIT("proxy"),
};

/* What the fields said, those of one name joined to a list. */
struct said {
	struct str of[FORWARDING_COUNT];
};

static struct str append_to_list(struct arena *a, struct str list, struct str element)
{
	return list.n ? ARENA_JOIN(a, list, STR(", "), element) : element;
}

/* Ours alone, whoever sends one: an application may take it for proof. */
static bool is_client_cert(struct str name)
{
	return header_is_folded(name, STR("x-client-cert-"));
}

static enum forwarding forwarding_named(struct str name)
{
	char first = name.p[0];
	if (first != 'x' && first != 'f' && first != 'v' && first != 'p')
		return FORWARDING_COUNT;
	for (enum forwarding f = 0; f < FORWARDING_COUNT; f++)
		if (str_eq(name, names[f]))
			return f;
	return FORWARDING_COUNT;
}

/* Copies all but the forwarding fields, and gathers those. */
static void sort_headers(const struct exchange *ex, struct said *said, struct headers *out)
{
	const struct headers *in = &ex->request.headers;
	out->cap = in->count + FORWARDING_COUNT;
	out->at = arena_array(ex->arena, struct header, out->cap);
	for (size_t i = 0; i < in->count; i++) {
		if (is_client_cert(in->at[i].name))
			continue;
		enum forwarding f = forwarding_named(in->at[i].name);
		if (f == FORWARDING_COUNT)
			out->at[out->count++] = in->at[i];
		else
			said->of[f] = append_to_list(ex->arena, said->of[f], in->at[i].value);
	}
}

static bool has_passed(struct str list, struct str via)
{
	struct str hop;
	while (str_split(&list, ',', &hop)) {
		hop = str_trim(hop);
		hop = str_trim(str_from(hop, str_find(hop, ' ')));
		if (str_eq_nocase(str_head(hop, str_find(hop, ' ')), via))
			return true;
	}
	return false;
}

static struct str forwarded_element(const struct exchange *ex, struct str client, struct str proto)
{
	bool ipv6 = str_has(client, ':');
	return ARENA_JOIN(ex->arena, ipv6 ? STR("for=\"[") : STR("for="), client,
	        ipv6 ? STR("]\";host=\"") : STR(";host=\""), ex->request.authority,
	        STR("\";proto="), proto);
}

static void set(struct headers *h, const struct exchange *ex, enum forwarding f, struct str value)
{
	if (value.n)
		headers_add(h, ex->arena, names[f], value);
}

static void set_ours(
        const struct exchange *ex, struct str via, const struct said *said, struct headers *h)
{
	char text[ADDRESS_TEXT];
	struct arena *a = ex->arena;
	struct str client = arena_str(a, str_c(address_text(&ex->peer, text)));
	struct str proto = ex->tls ? STR("https") : STR("http");
	struct str protocol = ex->request.version == HTTP_2     ? STR("2.0 ")
	                      : ex->request.version == HTTP_1_1 ? STR("1.1 ")
	                                                        : STR("1.0 ");
	set(h, ex, X_FOR, append_to_list(a, said->of[X_FOR], client));
	set(h, ex, X_PROTO,
	        said->of[X_PROTO].n ? said->of[X_PROTO]
	        : ex->proto.n       ? ex->proto
	                            : proto);
	set(h, ex, X_HOST, said->of[X_HOST].n ? said->of[X_HOST] : ex->request.authority);
	set(h, ex, FORWARDED,
	        append_to_list(a, said->of[FORWARDED], forwarded_element(ex, client, proto)));
	set(h, ex, VIA, append_to_list(a, said->of[VIA], ARENA_JOIN(a, protocol, via)));
}

static void set_client_cert(const struct exchange *ex, struct headers *h)
{
	const struct tls_client *peer = ex->secured ? ex->secured->client : NULL;
	if (!peer)
		return;
	headers_add(h, ex->arena, STR("x-client-cert-subject"), str_trim(str_c(peer->subject)));
	headers_add(h, ex->arena, STR("x-client-cert-fingerprint"), str_c(peer->fingerprint));
	headers_add(h, ex->arena, STR("x-client-cert-serial"), str_c(peer->serial));
}

bool forward_request(const struct exchange *ex, struct str via, struct request *ret_request)
{
	struct said said = { 0 };
	struct headers headers = { 0 };
	sort_headers(ex, &said, &headers);
	/* Via is heard in any case: a loop leads through us, and we are no trusted proxy. */
	if (has_passed(said.of[VIA], via))
		return false;
	if (!generation_trusts(ex->generation, &ex->peer))
		said.of[VIA] = STR_NONE;
	set_ours(ex, via, &said, &headers);
	set_client_cert(ex, &headers);
	*ret_request = ex->request;
	ret_request->headers = headers;
	ret_request->keep_alive = true;
	return true;
}
