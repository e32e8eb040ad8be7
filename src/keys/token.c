#include "keys/token.h"
#include "base/err.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

struct secret token_new(size_t bytes)
{
	unsigned char random[64];
	CHECK(bytes <= sizeof random && sodium_init() >= 0);
	randombytes_buf(random, bytes);
	struct secret s = secret_copy(str_n(random, bytes));
	wipe(random, sizeof random);
	return s;
}

void token_digest(const char *label, struct str bytes, char ret_hex[DIGEST_HEX + 1])
{
	unsigned char hash[DIGEST_HEX / 2];
	size_t n = strlen(label);
	CHECK(n >= crypto_generichash_KEYBYTES_MIN && n <= crypto_generichash_KEYBYTES_MAX);
	CHECK(crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.p, bytes.n,
	              (const unsigned char *)label, n) == 0);
	sodium_bin2hex(ret_hex, DIGEST_HEX + 1, hash, sizeof hash);
}

bool token_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || sodium_memcmp(a.p, b.p, a.n) == 0);
}

void hmac_sha1(struct str key, struct str message, unsigned char ret_mac[HMAC_SHA1])
{
	unsigned n = HMAC_SHA1;
	CHECK(HMAC(EVP_sha1(), key.p, (int)key.n, (const unsigned char *)message.p, message.n,
	        ret_mac, &n));
	CHECK(n == HMAC_SHA1);
}

void hmac_sha256(struct str key, struct str message, unsigned char ret_mac[HMAC_SHA256])
{
	unsigned n = HMAC_SHA256;
	CHECK(HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)message.p, message.n,
	        ret_mac, &n));
	CHECK(n == HMAC_SHA256);
}

void base32_add(struct buf *out, struct str bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	unsigned held = 0, bits = 0;
	for (size_t i = 0; i < bytes.n; i++) {
		held = (held << 8 | (unsigned char)bytes.p[i]) & 0xfffu;
		for (bits += 8; bits >= 5; bits -= 5)
			buf_add_char(out, digits[held >> (bits - 5) & 31]);
	}
	if (bits)
		buf_add_char(out, digits[held << (5 - bits) & 31]);
}
