/* Records of certificates as serve reads them. Each record of the input is given its length and a
 * rising number where the first byte asks for it, so that more than the first check is reached. */
#include "certs/record.h"
#include "certs/table.h"

#include <fcntl.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MOST = 64 << 10 };

static int segment(const char *bytes, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && ftruncate(fd, SEGMENT_BYTES) == 0);
	CHECK(pwrite(fd, bytes, n, 0) == (ssize_t)n);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	return fd;
}

static void number_records(char *bytes, size_t n)
{
	struct record_head head;
	uint64_t number = 1;
	for (size_t at = 0; n - at >= sizeof head;) {
		memcpy(&head, bytes + at, sizeof head);
		head.number = number++;
		memcpy(bytes + at, &head, sizeof head);
		if (head.bytes < sizeof head || head.bytes > n - at)
			return;
		at += head.bytes;
	}
}

/* Touches every byte, for the sanitizers. */
static bool within(struct str s, size_t n)
{
	volatile char last = 0;
	for (size_t i = 0; i < s.n; i++)
		last = s.p[i];
	(void)last;
	return s.n <= n;
}

static void check(const struct cert_record *r, size_t n)
{
	CHECK(within(r->leaf, n) && within(r->key, n) && within(r->staple, n));
	CHECK(r->chain_count <= RECORD_CHAIN_MOST);
	for (size_t i = 0; i < r->chain_count; i++)
		CHECK(within(r->chain[i], n));
	CHECK(r->leaf.n > 0 && r->key.n > 0);
}

static void look(const struct cert_table *t, struct str name, size_t n)
{
	struct cert_record r, beside;
	if (!cert_table_find(t, name, &r))
		return;
	check(&r, n);
	if (cert_table_beside(t, &r, &beside))
		check(&beside, n);
}

/* Asks for every short text of the input as a name. */
static void look_for_all(const struct cert_table *t, struct str bytes)
{
	struct record r;
	for (size_t at = 0; at < bytes.n; at += RECORD_ALIGN) {
		struct str rest, item;
		if (!record_open(bytes, at, &r))
			continue;
		rest = r.items;
		for (int i = 0; i < 300 && record_item(&rest, &item); i++)
			look(t, item, bytes.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	if (size < 2 || size > INPUT_MOST)
		return 0;
	char *bytes = str_dup(str_n(data + 1, size - 1));
	size_t n = (size - 1) / RECORD_ALIGN * RECORD_ALIGN;
	if (data[0] & 1)
		number_records(bytes, n);
	struct cert_table *t = cert_table_new();
	CHECK(cert_table_map(t, 0, segment(bytes, n), &err));
	size_t first = data[0] & 2 ? n / 2 / RECORD_ALIGN * RECORD_ALIGN : n;
	bool ok = cert_table_advance(t, 0, first, &err);
	if (ok)
		ok = cert_table_advance(t, 0, n, &err);
	CHECK(ok || (err.code == ERR_PROTOCOL && err.text[0]));
	look_for_all(t, str_n(bytes, n));
	CHECK(cert_table_map(t, 0, segment(bytes, 0), &err));
	cert_table_sweep(t);
	CHECK(cert_table_count(t) == 0);
	cert_table_free(&t);
	free(bytes);
	return 0;
}
