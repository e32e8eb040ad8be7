/* The cookie by which visitors stay with their upstream: a mark that tells nothing, made of the
 * upstream with a key. */
#include "proxy/passage.h"

#include <inttypes.h>

enum { MARK_DIGITS = 16 };

static struct str cookie_name(const struct exchange *ex)
{
	return ex->site->upstreams->sticky;
}

static bool read_mark(struct str text, uint64_t *ret_mark)
{
	uint64_t mark = 0;
	if (text.n != MARK_DIGITS)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit && !(c >= 'a' && c <= 'f'))
			return false;
		mark = mark << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
	}
	*ret_mark = mark;
	return true;
}

/* RFC 6265 4.2.1 */
static bool find_mark(struct str cookies, struct str name, uint64_t *ret_mark)
{
	struct str pair;
	while (str_split(&cookies, ';', &pair)) {
		pair = str_trim(pair);
		size_t equals = str_find(pair, '=');
		if (str_eq(str_head(pair, equals), name) &&
		        read_mark(str_from(pair, equals + 1), ret_mark))
			return true;
	}
	return false;
}

uint64_t sticky_mark(const struct exchange *ex)
{
	const struct headers *h = &ex->request.headers;
	uint64_t mark = 0;
	if (!cookie_name(ex).n)
		return 0;
	for (size_t i = 0; i < h->count; i++)
		if (str_eq_c(h->at[i].name, "cookie") &&
		        find_mark(h->at[i].value, cookie_name(ex), &mark))
			break;
	return mark;
}

void sticky_set(struct exchange *ex, uint64_t mark)
{
	if (!cookie_name(ex).n || !mark)
		return;
	headers_add(&ex->also, ex->arena, STR("set-cookie"),
	        arena_printf(ex->arena, "%.*s=%016" PRIx64 "; Path=/; HttpOnly; SameSite=Lax%s",
	                STR_ARG(cookie_name(ex)), mark, ex->tls ? "; Secure" : ""));
}
