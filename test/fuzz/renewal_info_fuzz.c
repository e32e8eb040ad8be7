/* Any bytes as a CA's renewal information: a window that has a length and can be shown, or a
 * sentence. */
#include "acme/renewal_info.h"
#include "base/clock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct renewal_info info;
	if (!acme_renewal_info_read(&a, str_n(data, size), &info, &err)) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	CHECK(info.start < info.end && info.end - info.start < 101 * 366 * DAY);
	/* RFC 3986 3.1: a scheme may be in capitals. */
	CHECK(!info.explanation.n || str_eq_nocase(str_head(info.explanation, 7), STR("http://")) ||
	        str_eq_nocase(str_head(info.explanation, 8), STR("https://")));
	return 0;
}
