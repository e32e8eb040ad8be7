/* Content codings: what is accepted, which types become shorter, gzip as a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/coding.h"

#include <zlib.h>

static void codings_that_are_accepted(void **state)
{
	static const struct {
		const char *value;
		bool gzip, br;
	} cases[] = {
		{ NULL, false, false },
		{ "", false, false },
		{ "gzip", true, false },
		{ "gzip, br", true, true },
		{ "GZip;q=0.5 , br;q=1", true, true },
		{ "gzip;q=0, br", false, true },
		{ "gzip; q=0.000", false, false },
		{ "gzip;q=0.001", true, false },
		{ "*", true, true },
		{ "*;q=0, br", false, true },
		{ "gzip;q=0, *", false, true },
		{ "identity", false, false },
		{ "xgzip, gzipx", false, false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct arena a = ARENA_INIT;
		struct headers h = { 0 };
		if (cases[i].value)
			headers_add(&h, &a, STR("accept-encoding"), str_c(cases[i].value));
		if (http_accepts(&h, STR("gzip")) != cases[i].gzip ||
		        http_accepts(&h, STR("br")) != cases[i].br)
			fail_msg("%s", cases[i].value);
		arena_done(&a);
	}
}

static void types_that_compress(void **state)
{
	static const char *const yes[] = { "text/html", "TEXT/plain; charset=utf-8",
		"application/json", "application/problem+json", "image/svg+xml",
		"application/javascript;x" },
	                         *const no[] = { "", "text", "image/png", "video/mp4",
		                         "application/octet-stream", "application/gzip", "xml" };
	(void)state;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(http_type_compresses(str_c(yes[i])));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(http_type_compresses(str_c(no[i])));
	assert_false(http_type_compresses(STR_NONE));
}

/* What can be read of the stream so far. */
static void assert_read(const struct buf *stream, struct str want, bool whole)
{
	static unsigned char text[1 << 20];
	z_stream z = { 0 };
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (unsigned char *)stream->p;
	z.avail_in = (unsigned)stream->n;
	z.next_out = text;
	z.avail_out = sizeof text;
	int result = inflate(&z, Z_SYNC_FLUSH);
	assert_int_equal(result, whole ? Z_STREAM_END : Z_OK);
	assert_true(str_eq(str_n(text, sizeof text - z.avail_out), want));
	inflateEnd(&z);
}

static void a_stream(void **state)
{
	struct arena a = ARENA_INIT;
	BUF_AUTO out = BUF_INIT(4 << 20);
	BUF_AUTO all = BUF_INIT(4 << 20);
	(void)state;
	struct gzip *g = gzip_new(&a);
	gzip_add(g, STR("data: 1\n\n"), GZIP_FLUSH, &out);
	assert_read(&out, STR("data: 1\n\n"), false);
	gzip_add(g, STR("data: 2\n\n"), GZIP_FLUSH, &out);
	assert_read(&out, STR("data: 1\n\ndata: 2\n\n"), false);
	buf_add_c(&all, "data: 1\n\ndata: 2\n\n");
	uint32_t random = 1;
	for (size_t i = 0; i < 200 << 10; i++) { /* does not compress */
		random = random * 1664525 + 1013904223;
		buf_add_char(&all, (char)(random >> 24));
	}
	gzip_add(g, str_from(buf_str(&all), 18), GZIP_GO_ON, &out);
	gzip_add(g, STR_NONE, GZIP_END, &out);
	assert_read(&out, buf_str(&all), true);
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codings_that_are_accepted),
		cmocka_unit_test(types_that_compress),
		cmocka_unit_test(a_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
