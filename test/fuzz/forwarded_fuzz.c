/* Lines of X-Forwarded-For and Forwarded, one per line of the input, the first byte of which
 * chooses. Every hop is an address that is written and read again. */
#include "base/err.h"
#include "http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct hops *hops)
{
	struct sockaddr_storage a, again;
	char text[ADDRESS_TEXT];
	unsigned count = 0;
	while (hops_next(hops, &a) == HOP_ADDRESS) {
		CHECK(++count <= FORWARDED_HOPS_MOST);
		CHECK(address_parse(str_c(address_text(&a, text)), 0, &again));
		CHECK(address_same_host(&a, &again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = ARENA_INIT;
	struct headers headers = { 0 };
	struct str rest = str_n(data, size), line;
	while (str_split(&rest, '\n', &line)) {
		bool usual = str_starts(line, STR("x"));
		headers_add(&headers, &a, usual ? STR("x-forwarded-for") : STR("forwarded"),
		        str_trim(str_from(line, 1)));
	}
	struct hops hops;
	hops_init(&hops, &headers);
	walk(&hops);
	hops_init_forwarded(&hops, &headers);
	walk(&hops);
	return 0;
}
