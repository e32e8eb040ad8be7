/* How much of what is a nuisance we bear: a leaking bucket for each kind. */
#include "http/http2_inside.h"

enum { UNIT = 1000 };

static const struct {
	int64_t at_once, per_second;
	const char *of_client, *of_application;
} measures[] = {
#define X(name, at_once, per_second, what)                                                         \
	{ at_once, per_second, "The client " what ".", "The application " what "." },
	HTTP2_NUISANCES(X)
#undef X
};

static void leak(struct http2 *h)
{
	struct http2_patience *p = &h->patience;
	int64_t passed = h->now - p->at;
	if (passed <= 0)
		return;
	p->at = h->now;
	for (unsigned i = 0; i < HTTP2_NUISANCE_COUNT; i++) {
		int64_t gone = passed > INT32_MAX ? p->spent[i] : passed * measures[i].per_second;
		p->spent[i] = p->spent[i] > gone ? p->spent[i] - gone : 0;
	}
}

bool http2_bears(struct http2 *h, enum http2_nuisance what)
{
	leak(h);
	h->patience.spent[what] += UNIT;
	if (h->patience.spent[what] <= measures[what].at_once * UNIT)
		return true;
	h->fault = h->client ? measures[what].of_application : measures[what].of_client;
	h->code = HTTP2_ENHANCE_YOUR_CALM;
	return false;
}

void http2_forgives(struct http2 *h, enum http2_nuisance what, int64_t times)
{
	int64_t *spent = &h->patience.spent[what], gone = times * UNIT;
	*spent = *spent > gone ? *spent - gone : 0;
}
