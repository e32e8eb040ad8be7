/* What one read takes, a read in two parts takes, too; and what was read, written and read again is
 * the same message. */
#include "base/err.h"
#include "http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct request *a, const struct request *b)
{
	CHECK(str_eq(a->method, b->method) && str_eq(a->path, b->path));
	CHECK(str_eq(a->authority, b->authority) && str_eq(a->host, b->host) && a->port == b->port);
	CHECK(a->body == b->body && a->length == b->length && a->websocket == b->websocket);
	CHECK(a->headers.count == b->headers.count);
	for (size_t i = 0; i < a->headers.count; i++) {
		CHECK(str_eq(a->headers.at[i].name, b->headers.at[i].name));
		CHECK(str_eq(a->headers.at[i].value, b->headers.at[i].value));
	}
}

static void check_round_trip(struct request *r, struct arena *a)
{
	/* What is written is longer than what was read by our own lines and spaces. */
	BUF_AUTO out = BUF_INIT(1 << 20);
	r->keep_alive = true;
	http1_write_request(&out, r);
	CHECK(buf_ok(&out));
	if (out.n > HTTP1_HEAD_MOST || r->headers.count > HTTP1_HEADERS_MOST - 4)
		return;
	struct http1_scan scan = { 0 };
	struct request again;
	struct refusal why;
	size_t used;
	CHECK(http1_read_request(&scan, buf_str(&out), a, &again, &used, &why) == HTTP1_DONE);
	CHECK(used == out.n);
	check_same(r, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = ARENA_INIT;
	struct http1_scan scan = { 0 }, scan_parts = { 0 };
	struct str in = str_n(data, size);
	struct request r = { 0 }, parts = { 0 };
	struct refusal why = { 0 }, why_parts = { 0 };
	size_t used = 0, used_parts = 0;
	enum http1_result result = http1_read_request(&scan, in, &a, &r, &used, &why);
	enum http1_result result_parts = http1_read_request(
	        &scan_parts, str_head(in, size / 2), &a, &parts, &used_parts, &why_parts);
	if (result_parts == HTTP1_MORE)
		result_parts =
		        http1_read_request(&scan_parts, in, &a, &parts, &used_parts, &why_parts);
	CHECK(result == result_parts && used == used_parts);
	if (result == HTTP1_BAD)
		CHECK(why.status >= 400 && why.why);
	if (result != HTTP1_DONE)
		return 0;
	CHECK(used <= size);
	check_same(&r, &parts);
	check_round_trip(&r, &a);
	return 0;
}
