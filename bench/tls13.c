#include "tls13.h"
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENT_HELLO = 1, SERVER_HELLO = 2, NEW_SESSION_TICKET = 4, FINISHED = 20 };
enum { RECORD_HEAD = 5, TAG = 16, KEY = 16, SHARE = 32 };

static EVP_PKEY *private_key;
static uint8_t public_share[SHARE], empty_hash[TLS13_HASH];
static uint8_t extensions[256]; /* those that are the same in each ClientHello */
static size_t extensions_n;

/* --- writing */

struct out {
	uint8_t *at;
};

static void put(struct out *o, const void *p, size_t n)
{
	memcpy(o->at, p, n);
	o->at += n;
}

static void put8(struct out *o, unsigned value)
{
	*o->at++ = (uint8_t)value;
}

static void put16(struct out *o, unsigned value)
{
	put8(o, value >> 8);
	put8(o, value & 255);
}

static void put32(struct out *o, uint32_t value)
{
	put16(o, value >> 16);
	put16(o, value & 0xffff);
}

static void set16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void set24(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 16);
	set16(at + 1, value);
}

static size_t get16(const uint8_t *at)
{
	return (size_t)at[0] << 8 | at[1];
}

static size_t get24(const uint8_t *at)
{
	return (size_t)at[0] << 16 | get16(at + 1);
}

/* --- the key schedule (RFC 8446 7.1) */

static void hmac(const uint8_t key[TLS13_HASH], const void *data, size_t n, uint8_t *ret)
{
	unsigned size = TLS13_HASH;
	(void)HMAC(EVP_sha256(), key, TLS13_HASH, data, n, ret, &size);
}

static void expand_label(const uint8_t secret[TLS13_HASH], const char *label,
        const uint8_t *context, size_t context_n, uint8_t *ret, size_t n)
{
	uint8_t info[512], hash[TLS13_HASH];
	struct out o = { info };
	size_t label_n = strlen(label);
	put16(&o, (unsigned)n);
	put8(&o, (unsigned)(6 + label_n));
	put(&o, "tls13 ", 6);
	put(&o, label, label_n);
	put8(&o, (unsigned)context_n);
	if (context_n)
		put(&o, context, context_n);
	put8(&o, 1);
	hmac(secret, info, (size_t)(o.at - info), hash);
	memcpy(ret, hash, n);
}

static void derive(const uint8_t secret[TLS13_HASH], const char *label,
        const uint8_t hash[TLS13_HASH], uint8_t ret[TLS13_HASH])
{
	expand_label(secret, label, hash, TLS13_HASH, ret, TLS13_HASH);
}

/* HKDF-Extract with what "derived" makes of the secret before. */
static void next_secret(
        const uint8_t before[TLS13_HASH], const uint8_t input[TLS13_HASH], uint8_t ret[TLS13_HASH])
{
	uint8_t salt[TLS13_HASH];
	derive(before, "derived", empty_hash, salt);
	hmac(salt, input, TLS13_HASH, ret);
}

static void early_secret(const struct tls13_ticket *ticket, uint8_t ret[TLS13_HASH])
{
	static const uint8_t zeros[TLS13_HASH];
	hmac(zeros, ticket ? ticket->psk : zeros, TLS13_HASH, ret);
}

static void transcript_now(const struct tls13 *t, uint8_t ret[TLS13_HASH])
{
	SHA256_CTX copy = t->transcript;
	SHA256_Final(ret, &copy);
}

static void finished(
        const uint8_t secret[TLS13_HASH], const uint8_t hash[TLS13_HASH], uint8_t ret[TLS13_HASH])
{
	uint8_t key[TLS13_HASH];
	expand_label(secret, "finished", NULL, 0, key, sizeof key);
	hmac(key, hash, TLS13_HASH, ret);
}

static void use_keys(struct tls13_keys *k, const uint8_t secret[TLS13_HASH], int encrypt)
{
	uint8_t key[KEY];
	expand_label(secret, "key", NULL, 0, key, sizeof key);
	expand_label(secret, "iv", NULL, 0, k->iv, sizeof k->iv);
	k->sequence = 0;
	if (!k->cipher)
		k->cipher = EVP_CIPHER_CTX_new();
	EVP_CipherInit_ex(k->cipher, EVP_aes_128_gcm(), NULL, key, NULL, encrypt);
}

/* --- records */

static void use_nonce(struct tls13_keys *k)
{
	uint8_t nonce[12];
	memcpy(nonce, k->iv, sizeof nonce);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(k->sequence >> (8 * i));
	k->sequence++;
	EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, nonce, -1);
}

size_t tls13_seal(struct tls13 *t, uint8_t type, const void *content, size_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *c = t->write.cipher;
	uint8_t *at = out + RECORD_HEAD;
	int size;
	memcpy(out, (uint8_t[]){ TLS13_APPLICATION, 3, 3 }, 3);
	set16(out + 3, n + 1 + TAG);
	use_nonce(&t->write);
	EVP_CipherUpdate(c, NULL, &size, out, RECORD_HEAD);
	EVP_CipherUpdate(c, at, &size, content, (int)n);
	EVP_CipherUpdate(c, at + n, &size, &type, 1);
	EVP_CipherFinal_ex(c, at + n + 1, &size);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, at + n + 1);
	return RECORD_HEAD + n + 1 + TAG;
}

/* The content stands where the ciphertext did; its type, or -1. */
static int unseal(struct tls13 *t, uint8_t *record, size_t n, size_t *ret_n)
{
	EVP_CIPHER_CTX *c = t->read.cipher;
	uint8_t *at = record + RECORD_HEAD;
	int size;
	if (n < RECORD_HEAD + TAG + 1)
		return -1;
	size_t length = n - RECORD_HEAD - TAG;
	use_nonce(&t->read);
	EVP_CipherUpdate(c, NULL, &size, record, RECORD_HEAD);
	EVP_CipherUpdate(c, at, &size, at, (int)length);
	EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, at + length);
	if (EVP_CipherFinal_ex(c, at + length, &size) != 1)
		return -1;
	while (length > 0 && at[length - 1] == 0)
		length--;
	if (length == 0)
		return -1;
	*ret_n = length - 1;
	return at[length - 1];
}

/* --- ClientHello */

static void put_extension(struct out *o, unsigned type, const void *content, size_t n)
{
	put16(o, type);
	put16(o, (unsigned)n);
	put(o, content, n);
}

static void put_share(struct out *o)
{
	put16(o, 51);
	put16(o, 2 + 4 + SHARE);
	put16(o, 4 + SHARE);
	put16(o, 29);
	put16(o, SHARE);
	put(o, public_share, SHARE);
}

static void put_server_name(struct out *o, const char *name)
{
	size_t n = strlen(name);
	put16(o, 0);
	put16(o, (unsigned)n + 5);
	put16(o, (unsigned)n + 3);
	put8(o, 0);
	put16(o, (unsigned)n);
	put(o, name, n);
}

bool tls13_setup(void)
{
	static const uint8_t groups[] = { 0, 2, 0, 29 };
	static const uint8_t signatures[] = { 0, 6, 4, 3, 8, 4, 4, 1 };
	static const uint8_t versions[] = { 2, 3, 4 };
	static const uint8_t psk_modes[] = { 1, 1 };
	size_t n = SHARE;
	private_key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	if (!private_key || EVP_PKEY_get_raw_public_key(private_key, public_share, &n) != 1)
		return false;
	(void)SHA256((const uint8_t *)"", 0, empty_hash);
	struct out o = { extensions };
	put_extension(&o, 10, groups, sizeof groups);
	put_extension(&o, 13, signatures, sizeof signatures);
	put_extension(&o, 43, versions, sizeof versions);
	put_share(&o);
	put_extension(&o, 45, psk_modes, sizeof psk_modes);
	extensions_n = (size_t)(o.at - extensions);
	return true;
}

/* RFC 8446 4.2.11: the last extension, whose binders are counted but not hashed. */
static void put_psk(struct out *o, const struct tls13_ticket *ticket)
{
	put16(o, 41);
	put16(o, (unsigned)(2 + 2 + ticket->n + 4 + 2 + 1 + TLS13_HASH));
	put16(o, (unsigned)(2 + ticket->n + 4));
	put16(o, (unsigned)ticket->n);
	put(o, ticket->identity, ticket->n);
	put32(o, ticket->age_add); /* its age is taken for 0 */
}

static void put_binder(struct out *o, const struct tls13_ticket *ticket, const uint8_t *message)
{
	uint8_t early[TLS13_HASH], key[TLS13_HASH], hash[TLS13_HASH];
	(void)SHA256(message, (size_t)(o->at - message), hash);
	early_secret(ticket, early);
	derive(early, "res binder", empty_hash, key);
	put16(o, 1 + TLS13_HASH);
	put8(o, TLS13_HASH);
	finished(key, hash, o->at);
	o->at += TLS13_HASH;
}

size_t tls13_begin(
        struct tls13 *t, const char *server_name, struct tls13_ticket *ticket, uint8_t *out)
{
	bool resumes = ticket && ticket->n > 0;
	uint8_t *message = out + RECORD_HEAD, random[64];
	struct out o = { message + 4 };
	RAND_bytes(random, sizeof random);
	put16(&o, 0x0303);
	put(&o, random, 32);
	put8(&o, 32); /* the session id of the compatibility mode, as browsers send it */
	put(&o, random + 32, 32);
	put(&o, (uint8_t[]){ 0, 2, 0x13, 0x01, 1, 0 }, 6);
	uint8_t *length = o.at;
	o.at += 2;
	put_server_name(&o, server_name);
	put(&o, extensions, extensions_n);
	size_t binder = resumes ? 2 + 1 + TLS13_HASH : 0;
	if (resumes)
		put_psk(&o, ticket);
	size_t n = (size_t)(o.at - message) + binder;
	set16(length, (size_t)(o.at - length) - 2 + binder);
	message[0] = CLIENT_HELLO;
	set24(message + 1, n - 4);
	if (resumes)
		put_binder(&o, ticket, message);
	memcpy(out, (uint8_t[]){ TLS13_HANDSHAKE, 3, 1 }, 3);
	set16(out + 3, n);
	SHA256_Init(&t->transcript);
	SHA256_Update(&t->transcript, message, n);
	t->ticket = ticket;
	t->flight_n = 0;
	t->hello_heard = t->established = t->resumed = false;
	return RECORD_HEAD + n;
}

void tls13_done(struct tls13 *t)
{
	EVP_CIPHER_CTX_free(t->read.cipher);
	EVP_CIPHER_CTX_free(t->write.cipher);
	free(t->flight);
	*t = (struct tls13){ 0 };
}

/* --- the server's messages */

/* Its share of the key, if this is a ServerHello that we can go on with. */
static const uint8_t *find_share(struct tls13 *t, const uint8_t *body, size_t n)
{
	const uint8_t *share = NULL;
	size_t at = 2 + 32 + 1 + (n > 34 ? body[34] : 0) + 3 + 2;
	while (at + 4 <= n) {
		size_t type = get16(body + at), size = get16(body + at + 2);
		if (at + 4 + size > n)
			return NULL;
		if (type == 51 && size == 4 + SHARE)
			share = body + at + 8;
		t->resumed = t->resumed || type == 41;
		at += 4 + size;
	}
	return share;
}

static bool agree(const uint8_t share[SHARE], uint8_t ret[TLS13_HASH])
{
	size_t n = TLS13_HASH;
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, share, SHARE);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(private_key, NULL);
	bool ok = peer && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, peer) == 1 &&
	          EVP_PKEY_derive(c, ret, &n) == 1;
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(peer);
	return ok;
}

static enum tls13_event hear_hello(struct tls13 *t, const uint8_t *message, size_t n)
{
	uint8_t early[TLS13_HASH], shared[TLS13_HASH], hash[TLS13_HASH], server[TLS13_HASH];
	if (n < 4 || message[0] != SERVER_HELLO || get24(message + 1) != n - 4)
		return TLS13_BAD;
	SHA256_Update(&t->transcript, message, n);
	const uint8_t *share = find_share(t, message + 4, n - 4);
	if (!share || !agree(share, shared))
		return TLS13_BAD;
	early_secret(t->resumed ? t->ticket : NULL, early);
	next_secret(early, shared, t->handshake);
	transcript_now(t, hash);
	derive(t->handshake, "c hs traffic", hash, t->client);
	derive(t->handshake, "s hs traffic", hash, server);
	use_keys(&t->read, server, /* encrypt= */ 0);
	use_keys(&t->write, t->client, /* encrypt= */ 1);
	t->hello_heard = true;
	return TLS13_NOTHING;
}

/* Our Finished, and the keys of what follows. */
static size_t reply(struct tls13 *t, uint8_t *out)
{
	static const uint8_t zeros[TLS13_HASH];
	uint8_t master[TLS13_HASH], hash[TLS13_HASH], secret[TLS13_HASH];
	uint8_t message[4 + TLS13_HASH] = { FINISHED, 0, 0, TLS13_HASH };
	transcript_now(t, hash);
	finished(t->client, hash, message + 4);
	size_t n = tls13_seal(t, TLS13_HANDSHAKE, message, sizeof message, out);
	next_secret(t->handshake, zeros, master);
	derive(master, "s ap traffic", hash, secret);
	use_keys(&t->read, secret, /* encrypt= */ 0);
	derive(master, "c ap traffic", hash, secret);
	use_keys(&t->write, secret, /* encrypt= */ 1);
	SHA256_Update(&t->transcript, message, sizeof message);
	transcript_now(t, hash);
	derive(master, "res master", hash, t->resumption);
	t->established = true;
	return n;
}

/* RFC 8446 4.6.1 */
static void hear_ticket(struct tls13 *t, const uint8_t *body, size_t n)
{
	struct tls13_ticket *ticket = t->ticket;
	if (!ticket || n < 9 || n < 9u + body[8] + 2)
		return;
	const uint8_t *nonce = body + 9;
	size_t nonce_n = body[8], size = get16(nonce + nonce_n);
	if (size > sizeof ticket->identity || 9 + nonce_n + 2 + size > n)
		return;
	expand_label(t->resumption, "resumption", nonce, nonce_n, ticket->psk, TLS13_HASH);
	memcpy(ticket->identity, nonce + nonce_n + 2, size);
	ticket->n = size;
	ticket->age_add = (uint32_t)(get16(body + 4) << 16 | get16(body + 6));
}

/* The whole messages at the front of the flight: how many bytes they are. */
static enum tls13_event hear_messages(struct tls13 *t, uint8_t *out, size_t *ret_n)
{
	size_t at = 0;
	enum tls13_event event = TLS13_NOTHING;
	while (at + 4 <= t->flight_n) {
		const uint8_t *message = t->flight + at;
		size_t n = 4 + get24(message + 1);
		if (at + n > t->flight_n)
			break;
		if (t->established && message[0] == NEW_SESSION_TICKET)
			hear_ticket(t, message + 4, n - 4);
		else if (!t->established)
			SHA256_Update(&t->transcript, message, n);
		if (!t->established && message[0] == FINISHED) {
			*ret_n = reply(t, out);
			event = TLS13_REPLY;
		}
		at += n;
	}
	memmove(t->flight, t->flight + at, t->flight_n - at);
	t->flight_n -= at;
	return event;
}

static enum tls13_event hear_handshake(
        struct tls13 *t, const uint8_t *content, size_t n, uint8_t *out, size_t *ret_n)
{
	if (!t->flight)
		t->flight = malloc(TLS13_FLIGHT_MOST);
	if (!t->flight || t->flight_n + n > TLS13_FLIGHT_MOST)
		return TLS13_BAD;
	memcpy(t->flight + t->flight_n, content, n);
	t->flight_n += n;
	return hear_messages(t, out, ret_n);
}

enum tls13_event tls13_record(
        struct tls13 *t, uint8_t *record, size_t n, uint8_t *out, uint8_t **ret_data, size_t *ret_n)
{
	enum { CHANGE_CIPHER_SPEC = 20 };
	size_t length = 0;
	if (record[0] == CHANGE_CIPHER_SPEC)
		return TLS13_NOTHING;
	if (!t->hello_heard)
		return record[0] == TLS13_HANDSHAKE
		               ? hear_hello(t, record + RECORD_HEAD, n - RECORD_HEAD)
		               : TLS13_BAD;
	int type = unseal(t, record, n, &length);
	*ret_data = record + RECORD_HEAD;
	if (type == TLS13_HANDSHAKE)
		return hear_handshake(t, *ret_data, length, out, ret_n);
	if (type == TLS13_ALERT)
		return length == 2 && (*ret_data)[1] == 0 ? TLS13_END : TLS13_BAD;
	if (type != TLS13_APPLICATION)
		return TLS13_BAD;
	*ret_n = length;
	return TLS13_DATA;
}
