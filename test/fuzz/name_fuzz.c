/* A name or an e-mail address as somebody types it: what is taken is a fixed point, what is refused
 * has a sentence. */
#include "base/ip.h"
#include "certs/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void name(struct str typed, bool public_only)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct name first = { 0 }, again = { 0 };
	if (!name_read(&a, typed, public_only, &first, &err)) {
		CHECK(err.code == ERR_INPUT && err.text[0]);
		return;
	}
	CHECK(first.ascii.n > 0 && first.ascii.n <= 253);
	const bool address = ip_is(first.ascii);
	for (size_t i = 0; i < first.ascii.n; i++) {
		char c = first.ascii.p[i];
		CHECK((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		        (address && c == ':'));
	}
	CHECK(name_read_dns(&a, first.ascii, public_only, &again, &err) == !address);
	CHECK(name_read(&a, first.ascii, public_only, &again, &err));
	CHECK(str_eq(first.ascii, again.ascii) && str_eq(first.unicode, again.unicode));
	CHECK(!public_only || name_is_private(first.ascii) ||
	        name_registered_domain(first.ascii).n > 0 || !name_is_public_suffix(first.ascii));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct str email;
	name(str_n(data, size), /* public_only= */ true);
	name(str_n(data, size), /* public_only= */ false);
	if (email_read(str_n(data, size), &email, &err))
		CHECK(str_has(email, '@') && !str_has(email, ' ') && !str_has(email, '\n'));
	return 0;
}
