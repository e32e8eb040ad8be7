/* Any bytes as PKCS#12 under a password: a chain and a key that are made into PKCS#12 again and
 * read from that, or a sentence. */
#include "keys/foreign.h"
#include "keys/pkcs12.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Into PKCS#12 and out of it. A key of a kind that is not served with may not be written again. */
static bool turn(struct str pem, struct buf *out)
{
	struct err err = ERR_INIT;
	struct buf made = BUF_SECRET(PKCS12_MOST * 2);
	SECRET_AUTO der = SECRET_NONE;
	const bool is = foreign_key_from_pem(pem, &der, &err) &&
	                pkcs12_from_pem(pem, STR("other"), &made, &err);
	if (is) {
		CHECK(pkcs12_is(buf_str(&made)));
		CHECK(!pkcs12_to_pem(buf_str(&made), STR("secret"), out, &err));
		CHECK(err.code == ERR_PERMISSION);
		CHECK(pkcs12_to_pem(buf_str(&made), STR("other"), out, &err));
	}
	buf_wipe(&made);
	return is;
}

/* The first time around a key may lose what is odd in its form. */
static void check_again(struct str pem)
{
	struct buf once = BUF_SECRET(PKCS12_MOST * 2), twice = BUF_SECRET(PKCS12_MOST * 2);
	if (turn(pem, &once))
		CHECK(turn(buf_str(&once), &twice) && str_eq(buf_str(&once), buf_str(&twice)));
	buf_wipe(&once);
	buf_wipe(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct str bytes = str_n(data, size);
	struct buf pem = BUF_SECRET(PKCS12_MOST * 2);
	if (pkcs12_to_pem(bytes, STR("secret"), &pem, &err)) {
		CHECK(pkcs12_is(bytes) && pem.n > 0);
		check_again(buf_str(&pem));
	} else {
		CHECK(err.code != ERR_NONE && err.text[0] && !pem.n);
	}
	buf_wipe(&pem);
	return 0;
}
