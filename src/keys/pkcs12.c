#include "keys/pkcs12.h"
#include "base/secret.h"
#include "keys/foreign.h"
#include "keys/key.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>

enum {
	CERTIFICATES_MOST = 32,
	BAGS_MOST = 64,
	PARTS_MOST = 8,
	ROUNDS_MADE = 100000,
};

/* What is found in a file. */
struct found {
	const char
	        *password; /* NUL-terminated; NULL: none, which is not the same as an empty one */
	int length;
	int64_t rounds; /* left */
	X509 *certificates[CERTIFICATES_MOST];
	size_t count, bags;
	PKCS8_PRIV_KEY_INFO *key;
};

static void found_done(struct found *f)
{
	for (size_t i = 0; i < f->count; i++)
		X509_free(f->certificates[i]);
	PKCS8_PRIV_KEY_INFO_free(f->key);
}

bool pkcs12_is(struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	PKCS12 *file = bytes.n && p[0] == 0x30 && bytes.n <= PKCS12_MOST
	                       ? d2i_PKCS12(NULL, &p, (long)bytes.n)
	                       : NULL;
	PKCS12_free(file);
	ERR_clear_error();
	return file;
}

static bool damaged(struct err *err)
{
	ERR_clear_error();
	return err_set(
	        err, ERR_INPUT, "The PKCS#12 file is damaged, or of a form that is not read.");
}

static bool wrong_password(struct err *err)
{
	ERR_clear_error();
	return err_set(err, ERR_PERMISSION, "The password of the PKCS#12 file is wrong.");
}

static bool too_much_work(struct err *err)
{
	return err_set(err, ERR_LIMIT,
	        "The PKCS#12 file asks for more than %d rounds to try its password." ERR_REMEDY
	        "Write it anew with fewer: openssl pkcs12 -export -iter 100000.",
	        PKCS12_ROUNDS);
}

static bool unknown_cipher(struct err *err)
{
	ERR_clear_error();
	return err_set(err, ERR_INPUT,
	        "The PKCS#12 file is encrypted in a way that OpenSSL does not know "
	        "here." ERR_REMEDY "Write it anew with AES: `openssl pkcs12 -legacy -nodes`, then "
	        "`openssl pkcs12 -export`.");
}

/* ---- how much work ---- */

static int64_t rounds_of_pbkdf2(const X509_ALGOR *kdf)
{
	PBKDF2PARAM *p = NULL;
	int64_t rounds = -1;
	if (OBJ_obj2nid(kdf->algorithm) == NID_id_pbkdf2)
		p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), kdf->parameter);
	if (p && !ASN1_INTEGER_get_int64(&rounds, p->iter))
		rounds = INT64_MAX;
	PBKDF2PARAM_free(p);
	return rounds;
}

static int64_t rounds_of_pbe2(const X509_ALGOR *how)
{
	PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), how->parameter);
	const int64_t rounds = p ? rounds_of_pbkdf2(p->keyfunc) : -1;
	PBE2PARAM_free(p);
	return rounds;
}

static int64_t rounds_of_pbe1(const X509_ALGOR *how)
{
	PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), how->parameter);
	int64_t rounds = -1;
	if (p && p->iter && !ASN1_INTEGER_get_int64(&rounds, p->iter))
		rounds = INT64_MAX;
	PBEPARAM_free(p);
	return rounds;
}

/* Takes them off what is left. scrypt, and whatever else has no count of rounds, is unknown. */
static bool pay(struct found *f, int64_t rounds, struct err *err)
{
	if (rounds < 0)
		return unknown_cipher(err);
	if (rounds > f->rounds)
		return too_much_work(err);
	f->rounds -= rounds;
	return true;
}

static bool pay_for(struct found *f, const X509_ALGOR *how, struct err *err)
{
	const int nid = OBJ_obj2nid(how->algorithm);
	return pay(f, nid == NID_pbes2 ? rounds_of_pbe2(how) : rounds_of_pbe1(how), err);
}

/* ---- what is in it ---- */

/* What was encrypted cannot be read: by a cipher that is not there, or by that password. */
static bool not_opened(struct err *err)
{
	for (unsigned long e; (e = ERR_get_error());)
		if (ERR_GET_LIB(e) == ERR_LIB_EVP && ERR_GET_REASON(e) != EVP_R_BAD_DECRYPT)
			return unknown_cipher(err);
	return wrong_password(err);
}

static bool take_certificate(struct found *f, const PKCS12_SAFEBAG *bag, struct err *err)
{
	if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
		return true;
	if (f->count == CERTIFICATES_MOST)
		return err_set(err, ERR_LIMIT, "There are more than %d certificates in it.",
		        CERTIFICATES_MOST);
	X509 *certificate = PKCS12_SAFEBAG_get1_cert(bag);
	if (!certificate)
		return damaged(err);
	f->certificates[f->count++] = certificate;
	return true;
}

/* Owned. NULL with an err. */
static PKCS8_PRIV_KEY_INFO *open_key(struct found *f, PKCS12_SAFEBAG *bag, struct err *err)
{
	PKCS8_PRIV_KEY_INFO *key = NULL;
	if (PKCS12_SAFEBAG_get_nid(bag) == NID_keyBag) {
		key = ASN1_item_dup(
		        ASN1_ITEM_rptr(PKCS8_PRIV_KEY_INFO), PKCS12_SAFEBAG_get0_p8inf(bag));
		if (!key)
			damaged(err);
		return key;
	}
	const X509_ALGOR *how = NULL;
	X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &how, NULL);
	if (!how || !pay_for(f, how, err))
		return NULL;
	key = PKCS12_decrypt_skey(bag, f->password, f->length);
	if (!key)
		not_opened(err);
	return key;
}

static bool take_key(struct found *f, PKCS12_SAFEBAG *bag, struct err *err)
{
	if (f->key)
		return err_set(err, ERR_INPUT, "There are several private keys in it.");
	f->key = open_key(f, bag, err);
	return f->key;
}

static bool take_bag(struct found *f, PKCS12_SAFEBAG *bag, struct err *err)
{
	if (++f->bags > BAGS_MOST)
		return err_set(err, ERR_LIMIT, "There are more than %d things in it.", BAGS_MOST);
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_certBag:
		return take_certificate(f, bag, err);
	case NID_keyBag:
	case NID_pkcs8ShroudedKeyBag:
		return take_key(f, bag, err);
	default:
		return true;
	}
}

/* Owned. NULL with an err. */
static STACK_OF(PKCS12_SAFEBAG) * open_part(struct found *f, PKCS7 *part, struct err *err)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	if (PKCS7_type_is_data(part)) {
		bags = part->d.data ? PKCS12_unpack_p7data(part) : NULL;
		if (!bags)
			damaged(err);
		return bags;
	}
	if (!PKCS7_type_is_encrypted(part) || !part->d.encrypted || !part->d.encrypted->enc_data ||
	        !part->d.encrypted->enc_data->algorithm) {
		damaged(err);
		return NULL;
	}
	if (!pay_for(f, part->d.encrypted->enc_data->algorithm, err))
		return NULL;
	bags = PKCS12_unpack_p7encdata(part, f->password, f->length);
	if (!bags)
		not_opened(err);
	return bags;
}

static bool take_part(struct found *f, PKCS7 *part, struct err *err)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = open_part(f, part, err);
	bool done = bags;
	for (int i = 0; done && i < sk_PKCS12_SAFEBAG_num(bags); i++)
		done = take_bag(f, sk_PKCS12_SAFEBAG_value(bags, i), err);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return done;
}

static bool take_parts(struct found *f, PKCS12 *file, struct err *err)
{
	STACK_OF(PKCS7) *parts = PKCS12_unpack_authsafes(file);
	bool done = parts && sk_PKCS7_num(parts) <= PARTS_MOST;
	if (!done)
		damaged(err);
	for (int i = 0; done && i < sk_PKCS7_num(parts); i++)
		done = take_part(f, sk_PKCS7_value(parts, i), err);
	sk_PKCS7_pop_free(parts, PKCS7_free);
	return done;
}

/* ---- the password ---- */

/* RFC 9579: PBMAC1 has its rounds where PBES2 has them. */
static bool pay_for_mac(struct found *f, const PKCS12 *file, struct err *err)
{
	const ASN1_INTEGER *iter = NULL;
	const X509_ALGOR *how = NULL;
	int64_t rounds = 1;
	PKCS12_get0_mac(NULL, &how, NULL, &iter, file);
	if (iter && !ASN1_INTEGER_get_int64(&rounds, iter))
		rounds = INT64_MAX;
	if (how && how->parameter && how->parameter->type == V_ASN1_SEQUENCE)
		rounds = rounds_of_pbe2(how);
	return pay(f, rounds, err);
}

static bool mac_fits(struct found *f, PKCS12 *file, struct str password)
{
	f->password = password.n ? password.p : NULL;
	f->length = (int)password.n;
	if (PKCS12_verify_mac(file, f->password, f->length))
		return true;
	/* No password may have been an empty one. */
	f->password = password.n ? password.p : "";
	return !password.n && PKCS12_verify_mac(file, "", 0);
}

static bool try_password(struct found *f, PKCS12 *file, struct str password, struct err *err)
{
	f->password = password.p;
	f->length = (int)password.n;
	if (!PKCS12_mac_present(file))
		return true;
	if (!pay_for_mac(f, file, err) || (!password.n && !pay_for_mac(f, file, err)))
		return false;
	if (mac_fits(f, file, password))
		return true;
	const bool knows = !ERR_peek_error();
	return knows ? wrong_password(err) : unknown_cipher(err);
}

/* ---- as PEM ---- */

static bool is_issuer(X509 *issuer, X509 *certificate)
{
	return X509_check_issued(issuer, certificate) == X509_V_OK;
}

static size_t find_leaf(const struct found *f, EVP_PKEY *key)
{
	size_t i = 0;
	while (i < f->count && X509_check_private_key(f->certificates[i], key) != 1)
		i++;
	return i;
}

static X509 *next_of(const struct found *f, X509 *certificate)
{
	if (is_issuer(certificate, certificate))
		return NULL;
	for (size_t i = 0; i < f->count; i++)
		if (is_issuer(f->certificates[i], certificate) &&
		        !is_issuer(f->certificates[i], f->certificates[i]))
			return f->certificates[i];
	return NULL;
}

/* A chain that runs in a circle ends when there are as many as there can be. */
static bool write_chain(const struct found *f, X509 *leaf, BIO *out)
{
	bool written = true;
	size_t count = 0;
	for (X509 *c = leaf; c && written && count <= f->count; c = next_of(f, c), count++)
		written = PEM_write_bio_X509(out, c) == 1;
	return written;
}

static bool write_pem(const struct found *f, BIO *out, struct err *err)
{
	if (!f->key)
		return err_set(err, ERR_INPUT, "There is no private key in it.");
	EVP_PKEY *key = EVP_PKCS82PKEY(f->key);
	const size_t leaf = key ? find_leaf(f, key) : 0;
	EVP_PKEY_free(key);
	if (!key)
		return damaged(err);
	if (leaf == f->count)
		return err_set(err, ERR_INPUT,
		        "There is no certificate for its private key in the PKCS#12 file.");
	return (write_chain(f, f->certificates[leaf], out) &&
	               PEM_write_bio_PKCS8_PRIV_KEY_INFO(out, f->key) == 1) ||
	       damaged(err);
}

/* Moves what was written, and wipes the place where it was. */
static void take_text(BIO *bio, struct buf *out)
{
	char *p = NULL;
	const long n = BIO_get_mem_data(bio, &p);
	if (n > 0) {
		buf_add(out, str_n(p, (size_t)n));
		wipe(p, (size_t)n);
	}
}

/* `password`: NUL-terminated. */
static bool read_file(PKCS12 *file, struct str password, struct buf *out, struct err *err)
{
	struct found f = { .rounds = PKCS12_ROUNDS };
	BIO *bio = BIO_new(BIO_s_mem());
	CHECK(bio);
	const bool done = try_password(&f, file, password, err) && take_parts(&f, file, err) &&
	                  write_pem(&f, bio, err);
	if (done)
		take_text(bio, out);
	BIO_free(bio);
	found_done(&f);
	ERR_clear_error();
	return done && (buf_ok(out) || damaged(err));
}

bool pkcs12_to_pem(struct str bytes, struct str password, struct buf *out_pem, struct err *err)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	struct buf text = BUF_SECRET(1024);
	/* Absent on some systems: then what needs it has its own sentence. */
	OSSL_PROVIDER *legacy = OSSL_PROVIDER_try_load(NULL, "legacy", /* retain_fallbacks= */ 1);
	ERR_clear_error();
	PKCS12 *file = bytes.n <= PKCS12_MOST ? d2i_PKCS12(NULL, &p, (long)bytes.n) : NULL;
	buf_add(&text, password);
	bool done = false;
	if (!buf_ok(&text) || str_has(password, '\0'))
		wrong_password(err);
	else if (!file)
		damaged(err);
	else
		done = read_file(file, buf_str(&text), out_pem, err);
	PKCS12_free(file);
	if (legacy)
		OSSL_PROVIDER_unload(legacy);
	buf_wipe(&text);
	return done;
}

/* ---- made ---- */

static STACK_OF(X509) * read_chain(BIO *pem)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	CHECK(chain);
	for (X509 *c; (c = PEM_read_bio_X509(pem, NULL, NULL, NULL));)
		CHECK(sk_X509_push(chain, c));
	ERR_clear_error();
	return chain;
}

static PKCS12 *make(STACK_OF(X509) * chain, EVP_PKEY *key, const char *password)
{
	X509 *leaf = sk_X509_shift(chain);
	PKCS12 *made = PKCS12_create(password, NULL, key, leaf, chain, NID_aes_256_cbc,
	        NID_aes_256_cbc, ROUNDS_MADE, -1, 0);
	X509_free(leaf);
	if (made && PKCS12_set_mac(made, password, -1, NULL, 0, ROUNDS_MADE, EVP_sha256()))
		return made;
	PKCS12_free(made);
	return NULL;
}

static EVP_PKEY *read_key(struct str pem, struct err *err)
{
	SECRET_AUTO der = SECRET_NONE;
	if (!foreign_key_from_pem(pem, &der, err))
		return NULL;
	const unsigned char *p = der.p;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
	if (!key)
		key_openssl_failed(err, "The private key cannot be read");
	return key;
}

bool pkcs12_from_pem(struct str pem, struct str password, struct buf *out, struct err *err)
{
	EVP_PKEY *key = read_key(pem, err);
	if (!key)
		return false;
	struct buf text = BUF_SECRET(1024);
	buf_add(&text, password);
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	CHECK(bio);
	STACK_OF(X509) *chain = read_chain(bio);
	unsigned char *der = NULL;
	PKCS12 *made =
	        buf_ok(&text) && sk_X509_num(chain) > 0 ? make(chain, key, buf_c(&text)) : NULL;
	const int n = made ? i2d_PKCS12(made, &der) : 0;
	const bool done = n > 0 && key_add_der(out, der, n);
	PKCS12_free(made);
	sk_X509_pop_free(chain, X509_free);
	BIO_free(bio);
	EVP_PKEY_free(key);
	buf_wipe(&text);
	return done || key_openssl_failed(err, "The PKCS#12 file cannot be made");
}
