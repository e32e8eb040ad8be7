/* A chain in PEM: what was read is written and read again to the same certificates. */
#include "certs/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct str chain[CHAIN_MOST], again[CHAIN_MOST];
	size_t count = 0, count_again = 0;
	if (!cert_chain_from_pem(&a, str_n(data, size), chain, &count, &err)) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	CHECK(count > 0 && count <= CHAIN_MOST);
	BUF_AUTO pem = BUF_INIT(4 << 20);
	for (size_t i = 0; i < count; i++)
		cert_to_pem(chain[i], &pem);
	CHECK(cert_chain_from_pem(&a, buf_str(&pem), again, &count_again, &err));
	CHECK(count == count_again);
	for (size_t i = 0; i < count; i++)
		CHECK(str_eq(chain[i], again[i]));
	return 0;
}
