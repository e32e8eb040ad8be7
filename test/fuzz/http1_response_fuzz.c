/* What was read as a response and written to a client reads again as the same response. */
#include "base/err.h"
#include "http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_round_trip(
        const struct response *r, struct arena *a, const struct request *request)
{
	BUF_AUTO out = BUF_INIT(1 << 20);
	http1_write_response(&out, r, HTTP_1_1, r->keep_alive);
	CHECK(buf_ok(&out));
	if (out.n > HTTP1_HEAD_MOST || r->headers.count > HTTP1_HEADERS_MOST - 4)
		return;
	struct http1_scan scan = { 0 };
	struct response again;
	struct refusal why;
	size_t used;
	CHECK(http1_read_response(&scan, buf_str(&out), a, request, &again, &used, &why) ==
	        HTTP1_DONE);
	CHECK(used == out.n && again.status == r->status && again.head_only == r->head_only);
	CHECK(again.headers.count == r->headers.count);
	if (!r->head_only)
		CHECK(again.body == r->body && again.length == r->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct request plain = { .method = STR_INIT("GET"), .version = HTTP_1_1 };
	static const struct request head = { .method = STR_INIT("HEAD"), .version = HTTP_1_1 };
	if (size == 0)
		return 0;
	const struct request *request = data[0] & 1 ? &head : &plain;
	ARENA_AUTO a = ARENA_INIT;
	struct http1_scan scan = { 0 };
	struct response r;
	struct refusal why = { 0 };
	size_t used = 0;
	enum http1_result result =
	        http1_read_response(&scan, str_n(data + 1, size - 1), &a, request, &r, &used, &why);
	if (result == HTTP1_BAD)
		CHECK(why.status == 502 && why.why);
	if (result != HTTP1_DONE)
		return 0;
	CHECK(used <= size - 1);
	check_round_trip(&r, &a, request);
	return 0;
}
