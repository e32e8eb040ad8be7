/* The bytes of a DNS answer: the first says which type was asked for, the two after it are the id.
 * What is taken has lines of printable characters only, and a question of our own reads back as no
 * answer. */
#include "dns/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_lines(const struct buf *b)
{
	for (size_t i = 0; i < b->n; i++)
		CHECK(b->p[i] == '\n' || (b->p[i] >= ' ' && b->p[i] < 127));
	CHECK(!b->n || b->p[b->n - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	const enum dns_type type = (enum dns_type)(data[0] % 7);
	const uint16_t id = (uint16_t)(data[1] << 8 | data[2]);
	const struct dns_asked asked = { STR("shop.example.com"), type, id, data[0] & 0x80 };
	struct dns_answer a;
	dns_answer_init(&a);
	if (dns_read(str_n(data + 1, size - 1), &asked, &a)) {
		check_lines(&a.aliases);
		check_lines(&a.records);
		CHECK(a.outcome != DNS_FOUND || a.records.n > 0);
	}
	dns_answer_done(&a);
	return 0;
}
