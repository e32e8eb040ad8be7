#include "server/visitor.h"
#include "http/forwarded.h"
#include "server/site.h"

static bool hear_proxies(struct exchange *ex)
{
	struct sockaddr_storage hop, client = ex->client;
	struct hops hops;
	hops_init(&hops, &ex->request.headers);
	for (;;) {
		enum hop kind = hops_next(&hops, &hop);
		if (kind == HOP_UNKNOWN || kind == HOP_BAD)
			return kind == HOP_UNKNOWN;
		if (kind == HOP_NONE)
			break;
		client = hop;
		if (!generation_trusts(ex->generation, &hop))
			break;
	}
	ex->client = client;
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
