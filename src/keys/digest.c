#include "keys/digest.h"
#include "base/err.h"
#include <openssl/evp.h>

void digest_sha256(struct str bytes, unsigned char ret_digest[DIGEST_SHA256])
{
	CHECK(EVP_Digest(bytes.p, bytes.n, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}
