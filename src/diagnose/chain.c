/* The redirects that a CA follows when it asks for a challenge: at most ten, by 301, 302, 307 and
 * 308, to http on port 80 and https on port 443. */
#include "base/url.h"
#include "diagnose/facts.h"
#include "fetch/fetch.h"

enum { REDIRECTS_MOST = 10 };

static bool has_scheme(struct str s)
{
	size_t colon = str_find(s, ':');
	for (size_t i = 0; i < colon; i++) {
		char c = ascii_lower(s.p[i]);
		if (!(c >= 'a' && c <= 'z') && !(i && ((c >= '0' && c <= '9') || strchr("+-.", c))))
			return false;
	}
	return colon > 0 && colon < s.n;
}

/* "http://host:port" of a URL that was parsed before. */
static struct str origin(struct str url)
{
	size_t start = str_find(url, ':') + 3;
	struct str rest = str_from(url, start);
	size_t end = 0;
	while (end < rest.n && !strchr("/?#", rest.p[end]))
		end++;
	return str_head(url, start + end);
}

struct str chain_resolve(struct arena *a, struct str base, struct str location)
{
	struct str root = origin(base), path = str_from(base, root.n);
	location = str_head(location, str_find(location, '#'));
	path = str_head(path, str_find(str_head(path, str_find(path, '?')), '#'));
	if (has_scheme(location))
		return arena_str(a, location);
	if (str_starts(location, STR("//")))
		return arena_printf(a, "%.*s:%.*s", STR_ARG(str_head(base, str_find(base, ':'))),
		        STR_ARG(location));
	if (str_starts(location, STR("/")))
		return arena_printf(a, "%.*s%.*s", STR_ARG(root), STR_ARG(location));
	if (!str_starts(location, STR("?")))
		while (path.n && path.p[path.n - 1] != '/')
			path.n--;
	return arena_printf(a, "%.*s%.*s%.*s%.*s", STR_ARG(root), STR_ARG(path),
	        STR_ARG(path.n ? STR_NONE : STR("/")), STR_ARG(location));
}

static bool is_redirect(unsigned status)
{
	return status >= 300 && status <= 399 && status != 304 && status != 300;
}

static bool is_followed(unsigned status)
{
	return status == 301 || status == 302 || status == 307 || status == 308;
}

static bool seen(const struct fact_path *path, struct str url)
{
	for (size_t i = 0; i < path->count; i++)
		if (str_eq(path->hops[i].url, url))
			return true;
	return false;
}

static bool is_web(struct str url)
{
	struct str scheme = str_head(url, str_find(url, ':'));
	return str_eq_nocase(scheme, STR("http")) || str_eq_nocase(scheme, STR("https"));
}

static enum chain_end judge_next(
        const struct facts *f, struct str nonce, const struct fact_path *path, struct str url)
{
	struct err ignored = ERR_INIT;
	struct url parsed;
	if (!is_web(url))
		return CHAIN_SCHEME;
	if (!url_parse(url, &parsed, &ignored))
		return CHAIN_NOWHERE;
	if (parsed.port != (parsed.https ? f->https_port : f->http_port))
		return CHAIN_PORT;
	if (seen(path, url))
		return CHAIN_LOOP;
	if (path->count > REDIRECTS_MOST)
		return CHAIN_LONG;
	if (!memmem(url.p, url.n, nonce.p, nonce.n))
		return CHAIN_LOST;
	return CHAIN_NONE;
}

bool chain_next(struct arena *a, const struct facts *f, struct str nonce, struct fact_path *path,
        struct str *ret_url)
{
	const struct fact_hop *last = &path->hops[path->count - 1];
	if (last->err.code != ERR_NONE) {
		path->end = CHAIN_SILENT;
		return false;
	}
	if (!is_redirect(last->status)) {
		path->end = CHAIN_ANSWER;
		return false;
	}
	struct str location = fetch_header_of(last->headers, "location", 0);
	if (!is_followed(last->status) || !location.n) {
		path->end = is_followed(last->status) ? CHAIN_NOWHERE : CHAIN_KIND;
		path->next = location;
		return false;
	}
	struct str url = chain_resolve(a, last->url, location);
	path->end = judge_next(f, nonce, path, url);
	path->next = url;
	if (path->end != CHAIN_NONE)
		return false;
	*ret_url = url;
	return true;
}
