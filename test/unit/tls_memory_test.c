/* The memory of libcrypto: what was written stays, at every size and through every change of it. */
#include "tls/tls.h"
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const size_t sizes[] = { 1, 31, 32, 33, 63, 64, 65, 100, 1000, 2047, 2048, 2049, 5000, 16384,
	17000, 18431, 18432, 18433, 70000 };
enum { SIZES = sizeof sizes / sizeof *sizes, MANY = 20000 };

static void assert_filled(const unsigned char *p, size_t n, int with)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], with);
}

static void pieces_are_apart(void **state)
{
	(void)state;
	unsigned char *p[SIZES];
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < SIZES; i++) {
			p[i] = OPENSSL_malloc(sizes[i]);
			assert_int_equal((uintptr_t)p[i] % 16, 0);
			memset(p[i], (int)i + 1, sizes[i]);
		}
		for (size_t i = 0; i < SIZES; i++)
			assert_filled(p[i], sizes[i], (int)i + 1);
		for (size_t i = 0; i < SIZES; i++)
			OPENSSL_free(p[i]);
	}
}

static void content_survives_a_change_of_size(void **state)
{
	(void)state;
	for (size_t from = 0; from < SIZES; from++)
		for (size_t to = 0; to < SIZES; to++) {
			size_t least = sizes[from] < sizes[to] ? sizes[from] : sizes[to];
			unsigned char *p = OPENSSL_malloc(sizes[from]);
			memset(p, 7, sizes[from]);
			p = OPENSSL_realloc(p, sizes[to]);
			assert_filled(p, least, 7);
			memset(p, 8, sizes[to]);
			OPENSSL_free(p);
		}
}

static void nothing_is_nothing(void **state)
{
	(void)state;
	assert_null(OPENSSL_malloc(0));
	OPENSSL_free(NULL);
	unsigned char *p = OPENSSL_realloc(NULL, 10);
	assert_non_null(p);
	assert_null(OPENSSL_realloc(p, 0));
}

static void more_than_is_kept(void **state)
{
	(void)state;
	static void *p[MANY];
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < MANY; i++)
			memset(p[i] = OPENSSL_malloc(100), 1, 100);
		for (size_t i = 0; i < MANY; i++)
			OPENSSL_free(p[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_apart),
		cmocka_unit_test(content_survives_a_change_of_size),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(more_than_is_kept),
	};
	tls_memory_use();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
