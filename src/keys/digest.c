#include "keys/digest.h"
#include "base/err.h"
#include <openssl/evp.h>

void digest_sha256(struct str bytes, unsigned char ret_digest[DIGEST_SHA256])
{
	CHECK(EVP_Digest(bytes.p, bytes.n, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

struct digest {
	EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
	struct digest *d = mem_new(struct digest);
	d->context = EVP_MD_CTX_new();
	CHECK(d->context && EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) == 1);
	return d;
}

void digest_add(struct digest *d, struct str bytes)
{
	CHECK(EVP_DigestUpdate(d->context, bytes.p, bytes.n) == 1);
}

void digest_end(struct digest *d, unsigned char ret_digest[DIGEST_SHA256])
{
	CHECK(EVP_DigestFinal_ex(d->context, ret_digest, NULL) == 1);
}

void digest_free(struct digest **digest)
{
	struct digest *d = *digest;
	if (d)
		EVP_MD_CTX_free(d->context);
	free(d);
	*digest = NULL;
}
