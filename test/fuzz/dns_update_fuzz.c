/* The bytes of an answer to a signed update: none of them is believed. */
#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dns_change change = { .zone = STR_INIT("example.com"),
		.name = STR_INIT("_acme-challenge.shop.example.com"),
		.value = STR_INIT("abc"),
		.key_name = STR_INIT("acme-key"),
		.hmac = STR_INIT("hmac-sha256"),
		.secret = STR_INIT("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0") };
	static const char mac[34] = { 0, 32 };
	const struct dns_updated u = { .change = &change,
		.id = 7,
		.mac = str_n(mac, sizeof mac),
		.server = STR("192.0.2.1:53"),
		.now = 1000 };
	struct err err = ERR_INIT;
	if (dns_update_read(str_n(data, size), &u, &err))
		CHECK(err.code != ERR_NONE);
	return 0;
}
