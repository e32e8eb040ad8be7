#include "http/head.h"
#include "base/err.h"

#include "http/chars.h"

bool head_refuse(struct head *h, unsigned status, const char *why)
{
	h->refusal = (struct refusal){ status, why };
	return false;
}

static enum http1_result refuse(struct refusal *ret_refusal, unsigned status, const char *why)
{
	*ret_refusal = (struct refusal){ status, why };
	return HTTP1_BAD;
}

#define TARGET_TOO_LONG "The request target is too long."

/* Limits that hold whether or not the head is complete. */
static enum http1_result check_limits(
        const struct http1_scan *scan, size_t bytes, struct refusal *ret_refusal)
{
	if (scan->lines == 0 && bytes - scan->line > HTTP1_LINE_MOST)
		return refuse(ret_refusal, 414, TARGET_TOO_LONG);
	if (bytes > HTTP1_HEAD_MOST)
		return refuse(ret_refusal, 431, "The header section has more than 32 KiB.");
	if (scan->lines > HTTP1_HEADERS_MOST + 1)
		return refuse(ret_refusal, 431, "The header section has more than 100 fields.");
	return HTTP1_MORE;
}

/* The head ends with the line before `end`. */
static enum http1_result found(const struct http1_scan *scan, struct str in, size_t end,
        size_t *ret_start, size_t *ret_used, struct refusal *ret_refusal)
{
	if (check_limits(scan, end, ret_refusal) == HTTP1_BAD)
		return HTTP1_BAD;
	*ret_start = str_starts(in, STR("\r\n")) ? 2 : 0;
	*ret_used = end;
	return HTTP1_DONE;
}

enum http1_result head_find(struct http1_scan *scan, struct str in, size_t *ret_start,
        size_t *ret_used, struct refusal *ret_refusal)
{
	const char *lf;
	while (scan->seen < in.n && (lf = memchr(in.p + scan->seen, '\n', in.n - scan->seen))) {
		const size_t end = (size_t)(lf - in.p) + 1, line = scan->line, length = end - line;
		if (length < 2 || lf[-1] != '\r')
			return refuse(ret_refusal, 400, "A line ends without CR.");
		scan->seen = scan->line = end;
		if (length > 2) {
			if (scan->lines++ == 0 && length > HTTP1_LINE_MOST)
				return refuse(ret_refusal, 414, TARGET_TOO_LONG);
			continue;
		}
		if (scan->lines > 0)
			return found(scan, in, end, ret_start, ret_used, ret_refusal);
		if (line > 0) /* RFC 9112 2.2: one empty line before the first is let pass */
			return refuse(ret_refusal, 400, "The request line is empty.");
	}
	scan->seen = in.n;
	return check_limits(scan, in.n, ret_refusal);
}

void head_init(struct head *h, struct arena *a, struct str text, unsigned lines)
{
	char *copy = arena_alloc(a, text.n);
	memcpy(copy, text.p, text.n);
	*h = (struct head){ .copy = copy, .at = copy, .end = copy + text.n };
	h->headers.cap = lines + 8; /* handlers add some */
	h->headers.at = arena_array(a, struct header, h->headers.cap);
}

/* What the fields that concern framing and connection mean. Each is told its value. */

static bool hear_nothing(struct head *h, struct str value)
{
	(void)h;
	(void)value;
	return true;
}

static bool hear_host(struct head *h, struct str value)
{
	h->hosts++;
	h->host = value;
	return true;
}

/* RFC 9112 6.3, narrowed by law: once, digits only. */
static bool hear_content_length(struct head *h, struct str value)
{
	if (h->has_length)
		return head_refuse(h, 400, "There is more than one Content-Length.");
	if (value.n > 19 || !str_to_u64(value, &h->length))
		return head_refuse(h, 400, "Content-Length is not a number of at most 19 digits.");
	h->has_length = true;
	return true;
}

static bool hear_transfer_encoding(struct head *h, struct str value)
{
	struct str chunked = STR("chunked");
	if (h->chunked)
		return head_refuse(h, 400, "There is more than one Transfer-Encoding.");
	if (!(h->is_request ? str_eq(value, chunked) : str_eq_nocase(value, chunked)))
		return head_refuse(h, 400, "Transfer-Encoding is other than chunked.");
	h->chunked = true;
	return true;
}

static bool hear_connection(struct head *h, struct str value)
{
	if (h->connection_count == CONNECTION_FIELDS_MOST)
		return head_refuse(h, 400, "There are too many Connection fields.");
	h->connection[h->connection_count++] = value;
	return true;
}

/* RFC 9110 10.1.4. Transfer codings other than chunked are of no use to us. */
static bool hear_te(struct head *h, struct str value)
{
	struct str part;
	while (str_split(&value, ',', &part))
		if (str_eq_nocase(str_trim(part), STR("trailers")))
			h->te_trailers = true;
	return true;
}

static bool hear_upgrade(struct head *h, struct str value)
{
	h->upgrade_websocket = str_eq_nocase(value, STR("websocket"));
	return true;
}

/* RFC 9110 10.1.1: 100-continue is the only expectation there is. */
static bool hear_expect(struct head *h, struct str value)
{
	if (!str_eq_nocase(value, STR("100-continue")))
		return head_refuse(h, 417, "The expectation is other than 100-continue.");
	h->expects_continue = true;
	return true;
}

/* Fields that the message's canonical form does not keep, by the length of their names. */
struct special {
	const char *name;
	bool (*hear)(struct head *h, struct str value);
	bool requests_only;
};
enum { SPECIAL_LENGTHS = 20 };
static const struct special specials[SPECIAL_LENGTHS][2] = {
	[2] = { { "te", hear_te, true } },
	[4] = { { "host", hear_host, true } },
	[6] = { { "expect", hear_expect, true } },
	[7] = { { "upgrade", hear_upgrade, false }, { "trailer", hear_nothing, false } },
	[10] = { { "connection", hear_connection, false }, { "keep-alive", hear_nothing, false } },
	[14] = { { "content-length", hear_content_length, false } },
	[16] = { { "proxy-connection", hear_nothing, false } },
	[17] = { { "transfer-encoding", hear_transfer_encoding, false } },
	[18] = { { "proxy-authenticate", hear_nothing, false } },
	[19] = { { "proxy-authorization", hear_nothing, true } },
};

static const struct special *special_named(const struct head *h, struct str name)
{
	if (name.n >= SPECIAL_LENGTHS)
		return NULL;
	const struct special *s = specials[name.n];
	for (unsigned i = 0; i < 2 && s[i].name; i++)
		if (s[i].name[0] == name.p[0] && memcmp(s[i].name, name.p, name.n) == 0)
			return s[i].requests_only && !h->is_request ? NULL : &s[i];
	return NULL;
}

static bool refuse_name(struct head *h, const char *name, const char *stop)
{
	if (*name == ' ' || *name == '\t')
		return head_refuse(h, 400, "A header field is folded over lines.");
	if (stop == name)
		return head_refuse(h, 400, "A header field has no name, or one that is no token.");
	if (*stop == ' ' || *stop == '\t')
		return head_refuse(
		        h, 400, "White space stands before the colon of a header field.");
	return head_refuse(h, 400, "The name of a header field is no token, or has no colon.");
}

/* Puts the token at p in lower case; its length. */
static size_t lower_token(char *p)
{
	size_t n = 0;
	for (unsigned char lower; (lower = http_token_lower[(unsigned char)p[n]]); n++)
		p[n] = (char)lower;
	return n;
}

static bool read_field(struct head *h)
{
	char *name = h->at, *p = name + lower_token(name);
	if (*p != ':' || p == name)
		return refuse_name(h, name, p);
	struct str field = { name, (size_t)(p - name) };
	for (p++; *p == ' ' || *p == '\t'; p++)
		;
	char *value = p;
	p += http_text_span(p, (size_t)(h->end - p));
	if (p[0] != '\r' || p[1] != '\n')
		return head_refuse(h, 400, "A header field has a control character in its value.");
	h->at = p + 2;
	while (p > value && (p[-1] == ' ' || p[-1] == '\t'))
		p--;
	struct str text = { value, (size_t)(p - value) };
	const struct special *special = special_named(h, field);
	if (special)
		return special->hear(h, text);
	h->headers.at[h->headers.count++] = (struct header){ field, text };
	return true;
}

/* RFC 9110 7.6.1: what Connection lists is for us alone. */
static bool drop_listed(struct head *h, struct str option)
{
	char name[64];
	if (option.n > sizeof name)
		return head_refuse(h, 400, "Connection lists a name that is too long.");
	for (size_t i = 0; i < option.n; i++)
		name[i] = (char)http_token_lower[(unsigned char)option.p[i]];
	headers_remove(&h->headers, str_n(name, option.n));
	return true;
}

static bool hear_option(struct head *h, struct str option)
{
	if (!http_is_token(option))
		return head_refuse(h, 400, "Connection lists what is no token.");
	if (str_eq_nocase(option, STR("keep-alive")))
		h->keep_alive = true;
	else if (str_eq_nocase(option, STR("close")))
		h->close = true;
	else if (str_eq_nocase(option, STR("upgrade")))
		h->upgrade = true;
	else if (str_eq_nocase(option, STR("te")))
		h->te = true;
	else
		return drop_listed(h, option);
	return true;
}

static bool hear_options(struct head *h)
{
	unsigned options = 0;
	for (size_t i = 0; i < h->connection_count; i++) {
		struct str list = h->connection[i], option;
		while (str_split(&list, ',', &option)) {
			option = str_trim(option);
			if (option.n == 0)
				continue;
			if (++options > CONNECTION_NAMES_MOST)
				return head_refuse(h, 400, "Connection lists too many names.");
			if (!hear_option(h, option))
				return false;
		}
	}
	return true;
}

bool head_read_fields(struct head *h)
{
	while (h->at < h->end - 2)
		if (!read_field(h))
			return false;
	if (h->chunked && h->has_length)
		return head_refuse(h, 400, "There are both Content-Length and Transfer-Encoding.");
	return hear_options(h);
}
