/* URLs, ADDRESS:PORT and both forms of dates, as peers and people write them. */
#include "base/clock.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct str part, struct str whole)
{
	return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void fuzz_url(struct str text)
{
	struct url u;
	struct err err = ERR_INIT;
	if (!url_parse(text, &u, &err)) {
		CHECK(err.text[0]);
		return;
	}
	CHECK(u.host.n && u.port);
	CHECK(!u.path.n || u.path.p[0] == '/');
	CHECK(within(u.host, text) && within(u.path, text) && within(u.query, text));
	CHECK(!str_has(u.path, ' ') && !str_has(u.query, '#'));
}

static void fuzz_hostport(struct str text)
{
	struct str host;
	uint16_t port;
	struct err err = ERR_INIT;
	if (url_parse_hostport(text, 0, &host, &port, &err))
		CHECK(host.n && port && within(host, text));
	else
		CHECK(err.text[0]);
	if (url_parse_hostport(text, 80, &host, &port, &err))
		CHECK(host.n && port && within(host, text));
}

/* What was understood is written and understood again. */
static void fuzz_dates(struct str text)
{
	int64_t ms, again;
	char written[CLOCK_TEXT];
	if (clock_from_http_date(text, &ms)) {
		CHECK(clock_from_rfc3339(str_c(clock_rfc3339(ms, written)), &again));
		CHECK(again == ms || ms > again);
	}
	if (clock_from_rfc3339(text, &ms))
		CHECK(clock_from_rfc3339(str_c(clock_rfc3339(ms, written)), &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str text = str_n(data, size);
	fuzz_url(text);
	fuzz_hostport(text);
	fuzz_dates(text);
	return 0;
}
