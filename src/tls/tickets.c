#include "base/secret.h"
#include "tls/inside.h"
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <sys/random.h>

bool tls_ticket_keys_rotate(struct tls_ticket_keys *k, struct err *err)
{
	struct tls_ticket_key new;
	if (getrandom(&new, sizeof new, 0) != sizeof new)
		return err_sys(err, ERR_IO, errno, "The kernel gives no random bytes for tickets");
	k->previous = k->current;
	k->current = new;
	wipe(&new, sizeof new);
	return true;
}

void tls_worker_ticket_keys(struct tls_worker *w, const struct tls_ticket_keys *keys)
{
	w->tickets = *keys;
}

static struct tls_worker *worker_of(SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static bool set_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *key)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		        OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 0),
		OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* RFC 5077 4: key name, IV, content encrypted and then authenticated. */
static int seal(struct tls_worker *w, unsigned char *name, unsigned char *iv,
        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct tls_ticket_key *key = &w->tickets.current;
	memcpy(name, key->name, sizeof key->name);
	bool ok = RAND_bytes_ex(w->lib, iv, 16, 0) == 1 &&
	          EVP_EncryptInit_ex(cipher, w->ticket_cipher, NULL, key->cipher, iv) == 1 &&
	          set_mac(mac, key);
	return ok ? 1 : -1;
}

/* Zeros, which everybody knows, are no key. */
static bool is_named(const struct tls_ticket_key *key, const unsigned char *name)
{
	static const unsigned char none[sizeof key->name];
	return memcmp(key->name, none, sizeof none) != 0 &&
	       memcmp(key->name, name, sizeof key->name) == 0;
}

/* 0: not ours, a full handshake follows; 2: still good, but a new ticket is due. */
static int open_ticket(struct tls_worker *w, const unsigned char *name, unsigned char *iv,
        EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct tls_ticket_key *key = &w->tickets.current;
	int verdict = 1;
	if (!is_named(key, name)) {
		key = &w->tickets.previous;
		verdict = 2;
	}
	if (!is_named(key, name))
		return 0;
	bool ok = EVP_DecryptInit_ex(cipher, w->ticket_cipher, NULL, key->cipher, iv) == 1 &&
	          set_mac(mac, key);
	return ok ? verdict : -1;
}

static int ticket_key(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
        EVP_MAC_CTX *mac, int sealing)
{
	struct tls_worker *w = worker_of(ssl);
	return sealing ? seal(w, name, iv, cipher, mac) : open_ticket(w, name, iv, cipher, mac);
}

void tls_tickets_use(SSL_CTX *ctx)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
}
