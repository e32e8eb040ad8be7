#include "base/clock.h"
#include "fetch/fetch.h"

struct str fetch_header(const struct fetch_reply *reply, const char *name, unsigned nth)
{
	return fetch_header_of(reply->headers, name, nth);
}

struct str fetch_header_of(struct str headers, const char *name, unsigned nth)
{
	struct str rest = headers, line;
	while (str_split(&rest, '\n', &line)) {
		size_t colon = str_find(line, ':');
		if (colon == line.n || !str_eq_nocase(str_head(line, colon), str_c(name)))
			continue;
		if (nth-- == 0)
			return str_trim(str_from(line, colon + 1));
	}
	return STR_NONE;
}

/* RFC 9110 10.2.3: seconds or a date. */
int64_t fetch_retry_after(const struct fetch_reply *reply, int64_t now_wall)
{
	static const uint64_t most =
	        366 * 24 * 3600; /* longer waits are no wait that one can mean */
	struct str value = fetch_header(reply, "retry-after", 0);
	uint64_t seconds;
	int64_t date;
	if (str_to_u64(value, &seconds))
		return (int64_t)(seconds < most ? seconds : most) * SECOND;
	if (!value.n || !clock_from_http_date(value, &date))
		return -1;
	return date > now_wall ? date - now_wall : 0;
}
