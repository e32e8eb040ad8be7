#include "server/visitor.h"
#include "http/forwarded.h"
#include "server/site.h"

/* To the furthest hop that a trusted proxy has told of. */
static enum hop walk(
        const struct exchange *ex, struct hops *hops, struct sockaddr_storage *ret_client)
{
	struct sockaddr_storage hop;
	enum hop kind;
	while ((kind = hops_next(hops, &hop)) == HOP_ADDRESS) {
		*ret_client = hop;
		if (!generation_trusts(ex->generation, &hop))
			break;
	}
	return kind;
}

static void hear_proto(struct exchange *ex)
{
	struct sockaddr_storage ignored;
	struct hops hops;
	struct str said = headers_find(&ex->request.headers, STR("x-forwarded-proto"));
	if (!said.p) {
		hops_init_forwarded(&hops, &ex->request.headers);
		(void)walk(ex, &hops, &ignored); /* BAD: it says nothing */
		said = hops.proto;
	}
	ex->proto = str_eq_nocase(said, STR("https"))  ? STR("https")
	            : str_eq_nocase(said, STR("http")) ? STR("http")
	                                               : STR_NONE;
}

static bool hear_proxies(struct exchange *ex)
{
	struct sockaddr_storage client = ex->client;
	struct hops hops;
	hops_init(&hops, &ex->request.headers);
	enum hop kind = walk(ex, &hops, &client);
	if (kind == HOP_BAD)
		return false;
	if (kind != HOP_UNKNOWN)
		ex->client = client;
	hear_proto(ex);
	return true;
}

bool visitor_find(struct exchange *ex)
{
	ex->peer = ex->client;
	bool trusted = generation_trusts(ex->generation, &ex->peer);
	if (trusted && !hear_proxies(ex))
		return false;
	forwarded_drop(&ex->request.headers, trusted);
	return true;
}
