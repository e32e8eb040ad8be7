#include "keys/password.h"

#include <sodium.h>

enum { PASSES = 2, MEMORY = 64 << 20 };

_Static_assert(crypto_pwhash_STRBYTES <= PASSWORD_HASH, "a hash has its room");

bool password_hash(struct str password, char ret_hash[PASSWORD_HASH], struct err *err)
{
	char hash[PASSWORD_HASH] = "";
	CHECK(sodium_init() >= 0);
	if (crypto_pwhash_str_alg(hash, password.p ? password.p : "", password.n, PASSES, MEMORY,
	            crypto_pwhash_ALG_ARGON2ID13) != 0)
		return err_set(err, ERR_BUSY,
		        "The password cannot be hashed: this needs %d MiB of memory, and the "
		        "system does not give them. Try again in a minute.",
		        MEMORY >> 20);
	memcpy(ret_hash, hash, sizeof hash);
	return true;
}

bool password_fits(const char *hash, struct str password)
{
	char ignored[PASSWORD_HASH];
	struct err err = ERR_INIT;
	CHECK(sodium_init() >= 0);
	if (*hash == '$')
		return crypto_pwhash_str_verify(hash, password.p ? password.p : "", password.n) ==
		       0;
	return !password_hash(password, ignored, &err) && false;
}
