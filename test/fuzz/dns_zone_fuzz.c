/* The bytes of a question to the delegated zone: the first says by which way it comes. What comes
 * back is an answer with the asker's id, no longer than allowed, and nobody answers that. */
#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dns_value values[] = {
		{ STR_INIT("shop-1.acme.example.net"), STR_INIT("one") },
		{ STR_INIT("a.b.acme.example.net"), STR_INIT("two") },
	};
	static const struct dns_zone zone = { .zone = STR_INIT("acme.example.net"),
		.server = STR_INIT("ns.acme.example.net"),
		.addresses = STR_INIT("192.0.2.1\n"),
		.values = values,
		.value_count = 2 };
	static const size_t mosts[] = { 0, DNS_REPLY_MOST, UINT16_MAX };
	if (size < 1)
		return 0;
	const size_t most = mosts[data[0] % 3];
	BUF_AUTO out = BUF(UINT16_MAX), again = BUF(UINT16_MAX);
	const struct str question = str_n(data + 1, size - 1);
	if (!dns_zone_answer(&zone, 1, question, most, &out))
		return 0;
	CHECK(out.n >= 12 && out.p[0] == question.p[0] && out.p[1] == question.p[1]);
	CHECK(most == UINT16_MAX || out.n <= (most ? most : question.n + 12));
	CHECK(!dns_zone_answer(&zone, 1, buf_str(&out), most, &again));
	return 0;
}
