#include "keys/websocket.h"
#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

static void base64(const unsigned char *bytes, size_t n, char *ret_text, size_t size)
{
	BUF_AUTO text = BUF_INIT(64);
	buf_add_base64(&text, str_n(bytes, n));
	CHECK(text.n + 1 == size);
	memcpy(ret_text, text.p, size);
}

void websocket_key(char ret_key[WEBSOCKET_KEY + 1])
{
	unsigned char random[16];
	CHECK(RAND_bytes(random, sizeof random) == 1);
	base64(random, sizeof random, ret_key, WEBSOCKET_KEY + 1);
}

void websocket_accept(struct str key, char ret_accept[WEBSOCKET_ACCEPT + 1])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	BUF_AUTO text = BUF_INIT(256);
	buf_add(&text, key);
	buf_add(&text, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
	CHECK(buf_ok(&text) && EVP_Digest(text.p, text.n, hash, &n, EVP_sha1(), NULL) == 1);
	base64(hash, n, ret_accept, WEBSOCKET_ACCEPT + 1);
}
