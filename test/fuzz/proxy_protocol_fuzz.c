/* The PROXY protocol: what comes in two parts is read like what comes at once, and what was told is
 * written in both versions and read again. */
#include "base/err.h"
#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	CHECK(address_same_host(a, b) && address_port(a) == address_port(b));
}

static void check_written(struct str written, const struct proxy_preface *p)
{
	struct proxy_preface again;
	CHECK(proxy_protocol_read(written, &again) == PROXY_PROTOCOL_DONE);
	CHECK(again.size == written.n && again.told);
	check_same(&p->from, &again.from);
	check_same(&p->to, &again.to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_preface p = { 0 }, part = { 0 };
	struct str in = str_n(data, size);
	char text[PROXY_PROTOCOL_WRITTEN];
	enum proxy_protocol result = proxy_protocol_read(in, &p);
	for (size_t n = 0; n < size && n < 64; n++) {
		enum proxy_protocol begun = proxy_protocol_read(str_head(in, n), &part);
		CHECK(begun != PROXY_PROTOCOL_DONE || (result == begun && part.size == p.size));
		CHECK(begun != PROXY_PROTOCOL_BAD || result == begun);
	}
	CHECK(result != PROXY_PROTOCOL_MORE || size < PROXY_PROTOCOL_MOST);
	if (result != PROXY_PROTOCOL_DONE)
		return 0;
	CHECK(p.size <= size);
	if (!p.told)
		return 0;
	check_written(proxy_protocol_v1(&p.from, &p.to, text), &p);
	check_written(proxy_protocol_v2(&p.from, &p.to, text), &p);
	return 0;
}
