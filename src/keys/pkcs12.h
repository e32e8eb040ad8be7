/* PKCS#12 (RFC 7292), in which others keep a certificate with its chain and key: read into PEM, and
 * made from PEM. Foreign bytes are bounded in size and in the work that they ask for: PBKDF2 and
 * the older schemes, PKCS12_ROUNDS in all.
 *
 * Disadvantage: files from before 2022 use ciphers that OpenSSL has in a provider of its own
 * ("legacy"), which the process has loaded meanwhile; so this is for commands, not for servers. */
#ifndef KEYS_PKCS12_H
#define KEYS_PKCS12_H

#include "base/buf.h"
#include "base/err.h"

enum { PKCS12_MOST = 256 << 10, PKCS12_ROUNDS = 3000000 };

/* By content: whether it is worth to read it as PKCS#12. */
bool pkcs12_is(struct str bytes);
/* Appends leaf, chain (each followed by its issuer's, a root left out) and key; certificates that
 * do not belong to the key's are dropped. out: a BUF_SECRET. ERR_PERMISSION: the password is
 * wrong. */
MUST_CHECK bool pkcs12_to_pem(
        struct str bytes, struct str password, struct buf *out_pem, struct err *err);
/* pem: leaf, chain and key. AES-256, PBKDF2 and a MAC with SHA-256. */
MUST_CHECK bool pkcs12_from_pem(
        struct str pem, struct str password, struct buf *out, struct err *err);

#endif
