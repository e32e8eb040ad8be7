/* A WebSocket that comes over HTTP/2 has no key (RFC 8441 5): towards an application of HTTP/1.1 it
 * gets one of ours, and what answers it is ours to check. Over HTTP/1.1 both are the client's; if
 * the application is then reached by HTTP/2, the answer is ours to give. */
#include "proxy/passage.h"

#include "keys/websocket.h"

#define KEY    STR("sec-websocket-key")
#define ACCEPT STR("sec-websocket-accept")

void passage_offer_websocket(struct passage *p)
{
	char key[WEBSOCKET_KEY + 1];
	if (!p->request.websocket || p->request.version != HTTP_2)
		return;
	websocket_key(key);
	p->websocket_key = arena_str(p->ex->arena, str_c(key));
	(void)headers_remove(&p->request.headers, KEY);
	headers_add(&p->request.headers, p->ex->arena, KEY, p->websocket_key);
}

bool passage_websocket_accepted(const struct passage *p, struct response *r)
{
	char accept[WEBSOCKET_ACCEPT + 1];
	if (!p->request.websocket || !r->websocket)
		return false;
	if (!p->websocket_key.n)
		return true;
	websocket_accept(p->websocket_key, accept);
	bool right = str_eq_c(headers_find(&r->headers, ACCEPT), accept);
	(void)headers_remove(&r->headers, ACCEPT);
	return right;
}

bool passage_websocket_request(const struct passage *p, struct request *ret_request)
{
	struct request r = p->request;
	r.headers = (struct headers){ 0 };
	for (size_t i = 0; i < p->request.headers.count; i++) {
		const struct header *h = &p->request.headers.at[i];
		if (!str_eq(h->name, KEY))
			headers_add(&r.headers, p->ex->arena, h->name, h->value);
	}
	*ret_request = r;
	return headers_find(&p->request.headers, KEY).n > 0;
}

void passage_websocket_taken(const struct passage *p, struct response *r)
{
	char accept[WEBSOCKET_ACCEPT + 1];
	(void)headers_remove(&r->headers, ACCEPT);
	if (p->websocket_key.n)
		return;
	websocket_accept(headers_find(&p->request.headers, KEY), accept);
	headers_add(&r->headers, p->ex->arena, ACCEPT, arena_str(p->ex->arena, str_c(accept)));
}
