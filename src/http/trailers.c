#include "http/trailers.h"
#include "http/forwarded.h"
#include "http/http1.h"

/* As header_is_folded() takes them. */
static const struct str refused[] = {
	/* framing and connection */
	STR_INIT("connection"), STR_INIT("content-length"), STR_INIT("expect"), STR_INIT("host"),
	STR_INIT("keep-alive"), STR_INIT("max-forwards"), STR_INIT("te"), STR_INIT("trailer"),
	STR_INIT("transfer-encoding"), STR_INIT("upgrade"),
	/* conditions and control */
	STR_INIT("age"), STR_INIT("cache-control"), STR_INIT("date"), STR_INIT("expires"),
	STR_INIT("if-"), STR_INIT("location"), STR_INIT("pragma"), STR_INIT("range"),
	STR_INIT("retry-after"), STR_INIT("strict-transport-security"), STR_INIT("vary"),
	/* who it is */
	STR_INIT("authorization"), STR_INIT("cookie"), STR_INIT("proxy"), STR_INIT("proxy-"),
	STR_INIT("set-cookie"), STR_INIT("www-authenticate"),
	/* what it is */
	STR_INIT("content-"),
	/* where it came from */
	STR_INIT("via"), STR_INIT("x-client-cert-")
};

bool trailer_may_pass(struct str name)
{
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (header_is_folded(name, refused[i]))
			return false;
	return !forwarded_is_whence(name);
}

/* The grammar was checked as the bytes came (body.c). */
struct headers http1_body_trailers(const struct http1_body *b, struct arena *a)
{
	struct headers trailers = { 0 };
	struct str rest = str_n(b->trailers, b->trailers ? b->trailer_bytes : 0), line;
	while (str_split(&rest, '\n', &line)) {
		size_t colon = str_find(line, ':');
		if (colon == line.n)
			continue; /* the empty line */
		char *name = b->trailers + (line.p - b->trailers);
		for (size_t i = 0; i < colon; i++)
			name[i] = ascii_lower(name[i]);
		struct str value = str_from(line, colon + 1);
		value = str_trim(str_head(value, value.n - 1)); /* CR */
		if (trailer_may_pass(str_head(line, colon)))
			headers_add(&trailers, a, str_head(line, colon), value);
	}
	return trailers;
}
