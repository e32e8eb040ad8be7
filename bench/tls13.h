/* A TLS 1.3 client for load only: cheap enough to keep a server busy that shares a machine with it.
 *
 * Not safe and not meant to be: one X25519 key for the whole run, and neither the certificate nor
 * the server's Finished is checked. TLS_AES_128_GCM_SHA256, X25519, psk_dhe_ke (RFC 8446). */
#ifndef BENCH_TLS13_H
#define BENCH_TLS13_H

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS13_HASH = 32, TLS13_TICKET_MOST = 4096, TLS13_FLIGHT_MOST = 64 << 10 };

/* What one connection leaves to the next. */
struct tls13_ticket {
	uint8_t psk[TLS13_HASH];
	uint8_t identity[TLS13_TICKET_MOST];
	size_t n; /* of identity; 0: there is none */
	uint32_t age_add;
};

struct tls13_keys {
	EVP_CIPHER_CTX *cipher;
	uint8_t iv[12];
	uint64_t sequence;
};

struct tls13 {
	SHA256_CTX transcript;
	uint8_t handshake[TLS13_HASH], client[TLS13_HASH]; /* secrets */
	uint8_t resumption[TLS13_HASH];
	struct tls13_keys read, write;
	uint8_t *flight; /* handshake messages that are not whole yet */
	size_t flight_n;
	bool hello_heard, established, resumed;
	struct tls13_ticket *ticket; /* used and renewed; NULL: neither */
};

/* Once. False if this OpenSSL cannot. */
bool tls13_setup(void);

/* A new handshake on memory that was used before, or is zero. The result is the length of the
 * ClientHello's record in out (TLS13_TICKET_MOST + 1024 bytes). */
size_t tls13_begin(
        struct tls13 *t, const char *server_name, struct tls13_ticket *ticket, uint8_t *out);
void tls13_done(struct tls13 *t);

enum tls13_event {
	TLS13_NOTHING, /* a record that concerns only us */
	TLS13_REPLY,   /* out[0 .. *ret_n) is to be sent: the handshake is complete */
	TLS13_DATA,    /* *ret_data[0 .. *ret_n), within the record */
	TLS13_END,     /* close_notify */
	TLS13_BAD,
};
/* One whole record, its header included; it is decrypted in place. out has room for 128 bytes. */
enum tls13_event tls13_record(struct tls13 *t, uint8_t *record, size_t n, uint8_t *out,
        uint8_t **ret_data, size_t *ret_n);

/* One record with this content; out has n + 32 bytes. The result is its length. */
enum { TLS13_ALERT = 21, TLS13_HANDSHAKE = 22, TLS13_APPLICATION = 23 };
size_t tls13_seal(struct tls13 *t, uint8_t type, const void *content, size_t n, uint8_t *out);

#endif
