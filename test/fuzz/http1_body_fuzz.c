/* Chunked content gives the same bytes and the same end however it is cut into parts. The first
 * byte is the size of the parts. */
#include "base/buf.h"
#include "base/err.h"
#include "http/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http1_result read_in_parts(
        struct str in, size_t part, struct buf *content, size_t *ret_used)
{
	struct http1_body b;
	http1_body_init(&b, BODY_STREAM, 0);
	size_t at = 0, end = 0;
	for (;;) {
		struct str piece;
		size_t used;
		struct refusal why;
		enum http1_result result = http1_body_read(
		        &b, (struct str){ in.p + at, end - at }, &piece, &used, &why);
		if (result == HTTP1_BAD)
			return result;
		CHECK(used <= end - at && piece.n <= used);
		buf_add(content, piece);
		at += used;
		*ret_used = at;
		if (result == HTTP1_DONE || (at == end && end == in.n))
			return result;
		if (at == end)
			end = in.n - end < part ? in.n : end + part;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	BUF_AUTO whole = BUF_INIT(1 << 20);
	BUF_AUTO parts = BUF_INIT(1 << 20);
	struct str in = str_n(data + 1, size - 1);
	size_t used = 0, used_parts = 0;
	enum http1_result result = read_in_parts(in, in.n, &whole, &used);
	enum http1_result result_parts = read_in_parts(in, 1 + data[0] % 32u, &parts, &used_parts);
	CHECK(result == result_parts);
	if (result == HTTP1_BAD)
		return 0;
	CHECK(used == used_parts && str_eq(buf_str(&whole), buf_str(&parts)));
	return 0;
}
