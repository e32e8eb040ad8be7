#include "http/message.h"

void headers_add(struct headers *h, struct arena *a, struct str name, struct str value)
{
	if (h->count == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		struct header *at = arena_array(a, struct header, cap);
		if (h->count)
			memcpy(at, h->at, h->count * sizeof *at);
		h->at = at;
		h->cap = cap;
	}
	h->at[h->count++] = (struct header){ name, value };
}

static bool is_named(const struct header *h, struct str name)
{
	return h->name.n == name.n && memcmp(h->name.p, name.p, name.n) == 0;
}

struct str headers_find(const struct headers *h, struct str name)
{
	for (size_t i = 0; i < h->count; i++)
		if (is_named(&h->at[i], name))
			return h->at[i].value;
	return STR_NONE;
}

size_t headers_remove(struct headers *h, struct str name)
{
	size_t kept = 0;
	for (size_t i = 0; i < h->count; i++)
		if (!is_named(&h->at[i], name))
			h->at[kept++] = h->at[i];
	size_t removed = h->count - kept;
	h->count = kept;
	return removed;
}

static bool is_same_folded(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if ((a.p[i] == '_' ? '-' : a.p[i]) != (b.p[i] == '_' ? '-' : b.p[i]))
			return false;
	return true;
}

void headers_remove_folded(struct headers *h, struct str name)
{
	size_t kept = 0;
	for (size_t i = 0; i < h->count; i++)
		if (!is_same_folded(h->at[i].name, name))
			h->at[kept++] = h->at[i];
	h->count = kept;
}

bool header_is_folded(struct str name, struct str as)
{
	bool prefix = str_ends(as, STR("-"));
	if (name.n < as.n || (!prefix && name.n > as.n))
		return false;
	for (size_t i = 0; i < as.n; i++)
		if ((name.p[i] == '_' ? '-' : name.p[i]) != as.p[i])
			return false;
	return true;
}

static bool list_has(struct str list, struct str token)
{
	struct str part;
	while (str_split(&list, ',', &part))
		if (str_eq_nocase(str_trim(part), token))
			return true;
	return false;
}

bool headers_list_has(const struct headers *h, struct str name, struct str token)
{
	for (size_t i = 0; i < h->count; i++)
		if (is_named(&h->at[i], name) && list_has(h->at[i].value, token))
			return true;
	return false;
}

/* clang-format off */
#define REASONS(X)                                                                                 \
	X(100, "Continue") X(101, "Switching Protocols") X(102, "Processing")                      \
	X(103, "Early Hints") X(200, "OK") X(201, "Created") X(202, "Accepted")                    \
	X(203, "Non-Authoritative Information") X(204, "No Content") X(205, "Reset Content")       \
	X(206, "Partial Content") X(207, "Multi-Status") X(208, "Already Reported")                \
	X(226, "IM Used") X(300, "Multiple Choices") X(301, "Moved Permanently") X(302, "Found")   \
	X(303, "See Other") X(304, "Not Modified") X(305, "Use Proxy")                             \
	X(307, "Temporary Redirect") X(308, "Permanent Redirect") X(400, "Bad Request")            \
	X(401, "Unauthorized") X(402, "Payment Required") X(403, "Forbidden") X(404, "Not Found")  \
	X(405, "Method Not Allowed") X(406, "Not Acceptable")                                      \
	X(407, "Proxy Authentication Required") X(408, "Request Timeout") X(409, "Conflict")       \
	X(410, "Gone") X(411, "Length Required") X(412, "Precondition Failed")                     \
	X(413, "Content Too Large") X(414, "URI Too Long") X(415, "Unsupported Media Type")        \
	X(416, "Range Not Satisfiable") X(417, "Expectation Failed")                               \
	X(421, "Misdirected Request") X(422, "Unprocessable Content") X(423, "Locked")             \
	X(424, "Failed Dependency") X(425, "Too Early") X(426, "Upgrade Required")                 \
	X(428, "Precondition Required") X(429, "Too Many Requests")                                \
	X(431, "Request Header Fields Too Large") X(451, "Unavailable For Legal Reasons")          \
	X(500, "Internal Server Error") X(501, "Not Implemented") X(502, "Bad Gateway")            \
	X(503, "Service Unavailable") X(504, "Gateway Timeout")                                    \
	X(505, "HTTP Version Not Supported") X(506, "Variant Also Negotiates")                     \
	X(507, "Insufficient Storage") X(508, "Loop Detected") X(510, "Not Extended")              \
	X(511, "Network Authentication Required")
/* clang-format on */

const char *http_reason(unsigned status)
{
	switch (status) {
#define X(number, text)                                                                            \
	case number:                                                                               \
		return text;
		REASONS(X)
#undef X
	default:
		return "";
	}
}
