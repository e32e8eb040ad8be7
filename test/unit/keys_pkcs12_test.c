/* PKCS#12: what openssl has written is read, what is made is read again, hostile files end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/keys.h"
#include "keys/pkcs12.h"

#include <fcntl.h>
#include <unistd.h>

#define CERTIFICATE STR("-----BEGIN CERTIFICATE-----\n")
#define KEY         STR("-----BEGIN PRIVATE KEY-----\n")

static void read_corpus(const char *name, struct buf *out)
{
	char path[512];
	snprintf(path, sizeof path, TEST_DATA "/corpus/pkcs12/%s", name);
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	char *room = buf_room(out, 8192);
	ssize_t n = read(fd, room, 8192);
	assert_true(n >= 0);
	buf_grew(out, (size_t)n);
	close(fd);
}

static unsigned count(struct str text, struct str what)
{
	unsigned found = 0;
	for (const char *at; (at = memmem(text.p, text.n, what.p, what.n)); found++)
		text = str_from(text, (size_t)(at - text.p) + 1);
	return found;
}

static const struct {
	const char *file, *password, *words; /* words NULL: a certificate with its key */
} files[] = {
	{ "modern", "secret", NULL },
	{ "legacy", "secret", NULL },
	{ "plain", "", NULL },
	{ "plain", "any", NULL },
	{ "mac_only", "secret", NULL },
	{ "other_password", "other", NULL },
	{ "no_password", "", NULL },
	{ "modern", "Secret", "The password of the PKCS#12 file is wrong." },
	{ "modern", "", "The password of the PKCS#12 file is wrong." },
	{ "no_password", "secret", "The password of the PKCS#12 file is wrong." },
	{ "mac_only", "other", "The password of the PKCS#12 file is wrong." },
	{ "key_alone", "secret", "There is no certificate for its private key" },
	{ "certificate_alone", "secret", "There is no private key in it." },
	{ "many_rounds", "secret", "asks for more than 3000000 rounds" },
	{ "certificate", "secret", "is damaged, or of a form that is not read" },
	{ "cut_off", "secret", "is damaged, or of a form that is not read" },
	{ "empty", "secret", "is damaged, or of a form that is not read" },
};

static void reads_what_others_wrote(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		BUF_AUTO bytes = BUF_INIT(16 << 10);
		struct buf pem = BUF_SECRET(16 << 10);
		struct err err = ERR_INIT;
		read_corpus(files[i].file, &bytes);
		bool read = pkcs12_to_pem(buf_str(&bytes), str_c(files[i].password), &pem, &err);
		if (read != !files[i].words || (!read && !strstr(err.text, files[i].words)))
			fail_msg("%s with \"%s\": %s", files[i].file, files[i].password,
			        read ? "was read" : err.text);
		/* A root is left out. */
		assert_int_equal(count(buf_str(&pem), CERTIFICATE), read);
		assert_int_equal(count(buf_str(&pem), KEY), read);
		buf_wipe(&pem);
	}
}

static void knows_it_by_content(void **state)
{
	(void)state;
	static const char *const yes[] = { "modern", "legacy", "plain", "many_rounds", NULL };
	static const char *const no[] = { "certificate", "cut_off", "empty", NULL };
	for (size_t i = 0; yes[i]; i++) {
		BUF_AUTO bytes = BUF_INIT(16 << 10);
		read_corpus(yes[i], &bytes);
		assert_true(pkcs12_is(buf_str(&bytes)));
	}
	for (size_t i = 0; no[i]; i++) {
		BUF_AUTO bytes = BUF_INIT(16 << 10);
		read_corpus(no[i], &bytes);
		assert_false(pkcs12_is(buf_str(&bytes)));
	}
	assert_false(pkcs12_is(STR("-----BEGIN CERTIFICATE-----\n")));
	assert_false(pkcs12_is(STR_NONE));
}

static void bounds_their_size(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	BUF_AUTO bytes = BUF_INIT(PKCS12_MOST * 2), pem = BUF_INIT(1024);
	read_corpus("modern", &bytes);
	char *room = buf_room(&bytes, PKCS12_MOST);
	memset(room, 0, PKCS12_MOST);
	buf_grew(&bytes, PKCS12_MOST);
	assert_false(pkcs12_is(buf_str(&bytes)));
	assert_false(pkcs12_to_pem(buf_str(&bytes), STR("secret"), &pem, &err));
	assert_int_equal(err.code, ERR_INPUT);
}

static void reads_what_it_made(void **state)
{
	(void)state;
	BUF_AUTO bytes = BUF_INIT(16 << 10);
	struct buf pem = BUF_SECRET(16 << 10), made = BUF_SECRET(16 << 10);
	struct buf again = BUF_SECRET(16 << 10);
	struct err err = ERR_INIT;
	read_corpus("modern", &bytes);
	assert_true(pkcs12_to_pem(buf_str(&bytes), STR("secret"), &pem, &err));
	assert_true(pkcs12_from_pem(buf_str(&pem), STR("another"), &made, &err));
	assert_false(pkcs12_to_pem(buf_str(&made), STR("secret"), &again, &err));
	assert_int_equal(err.code, ERR_PERMISSION);
	assert_true(pkcs12_to_pem(buf_str(&made), STR("another"), &again, &err));
	assert_true(str_eq(buf_str(&pem), buf_str(&again)));
	err = (struct err)ERR_INIT;
	assert_false(pkcs12_from_pem(STR("nothing"), STR("x"), &made, &err));
	assert_non_null(strstr(err.text, "There is no private key in it"));
	buf_wipe(&pem);
	buf_wipe(&made);
	buf_wipe(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_others_wrote),
		cmocka_unit_test(knows_it_by_content),
		cmocka_unit_test(bounds_their_size),
		cmocka_unit_test(reads_what_it_made),
	};
	return cmocka_run_group_tests_name("keys_pkcs12", tests, NULL, NULL);
}
