/* Any bytes as a list of revoked certificates and as an answer about one: nobody who has not the
 * issuer's key gets one believed. */
#include "base/arena.h"
#include "certs/revoked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct arena files;

static struct str file(const char *name)
{
	BUF_AUTO path = BUF(1024);
	char bytes[2048];
	buf_printf(&path, TEST_DATA "/corpus/revoked/%s", name);
	FILE *f = fopen(buf_c(&path), "rb");
	CHECK(f);
	const size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	return arena_str(&files, str_n(bytes, n));
}

static void as_list(struct str der, const struct ocsp_about *about)
{
	struct err err = ERR_INIT;
	int64_t at;
	struct crl *crl = crl_read(der, &err);
	CHECK(crl || (err.code != ERR_NONE && err.text[0]));
	if (!crl)
		return;
	if (!crl_signed_by(crl, about->issuer, &err))
		CHECK(err.code != ERR_NONE && err.text[0]);
	crl_lists(crl, about->leaf, &at);
	crl_has_serial(crl, STR("0123456789abcdef"));
	crl_free(&crl);
}

static void as_answer(struct str der, const struct ocsp_about *about)
{
	struct err err = ERR_INIT;
	struct ocsp_said said;
	BUF_AUTO request = BUF(16 << 10);
	if (!ocsp_read(der, about, &said, &err))
		CHECK(err.code != ERR_NONE && err.text[0]);
	struct err other = ERR_INIT;
	if (!ocsp_request(der, about->issuer, &request, &other))
		CHECK(other.code != ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ocsp_about about;
	if (!about.leaf.n)
		about = (struct ocsp_about){ .leaf = file("leaf"),
			.issuer = file("issuer"),
			.now = INT64_C(1780531200000) };
	as_list(str_n(data, size), &about);
	as_answer(str_n(data, size), &about);
	return 0;
}
