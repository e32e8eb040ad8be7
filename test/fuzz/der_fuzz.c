/* Certificates and keys in DER: read or refused with a sentence, and what was read agrees with
 * itself. */
#include "certs/cert.h"
#include "keys/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void certificate(struct str der)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct cert c;
	if (!cert_read(&a, der, &c, &err)) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return;
	}
	for (size_t i = 0; i < c.name_count; i++)
		CHECK(c.names[i].n > 0 && cert_covers(&c, c.names[i]));
	CHECK(c.serial.n > 0 && strlen(c.sha1) == 40 && strlen(c.sha256) == 64);
	BUF_AUTO pem = BUF_INIT(1 << 20);
	cert_to_pem(der, &pem);
	struct str chain[CHAIN_MOST];
	size_t count = 0;
	if (der.n <= 64 << 10)
		CHECK(cert_chain_from_pem(&a, buf_str(&pem), chain, &count, &err) && count == 1 &&
		        str_eq(chain[0], der));
}

static void key(struct str der)
{
	struct err err = ERR_INIT;
	KEY_AUTO *k = key_from_der(der, "The key", &err);
	if (!k) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return;
	}
	SECRET_AUTO out = key_to_der(k);
	KEY_AUTO *again = key_from_der(secret_bytes(&out), "The key", &err);
	CHECK(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	certificate(str_n(data, size));
	key(str_n(data, size));
	return 0;
}
