/* Any bytes as values of Link: targets that lie within them, and an end. */
#include "acme/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct str all = str_n(data, size);
	struct str rest = all, target;
	while (acme_next_link(&rest, "alternate", &target)) {
		CHECK(target.p >= all.p && target.p + target.n < all.p + all.n);
		CHECK(!str_has(target, '>') && !str_has(target, '\n'));
		CHECK(rest.n < all.n);
	}
	CHECK(rest.n == 0);
	return 0;
}
