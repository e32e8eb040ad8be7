#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Both ends in one process: what control would tell serve is done at once. */
struct ends {
	struct segments *segments;
	struct cert_table *table;
	size_t mapped;
};

static void ends_init(struct ends *e)
{
	*e = (struct ends){ .segments = segments_new(), .table = cert_table_new() };
}

static void ends_done(struct ends *e)
{
	segments_free(&e->segments);
	cert_table_free(&e->table);
	assert_null(e->segments);
	assert_null(e->table);
}

static void must(bool ok, const struct err *err)
{
	if (!ok)
		fail_msg("%s", err->text);
}

static void tell(struct ends *e)
{
	struct err err = ERR_INIT;
	for (size_t i = e->mapped ? e->mapped - 1 : 0; i < segments_count(e->segments); i++) {
		if (i == e->mapped) {
			int fd = fcntl(segments_fd(e->segments, i), F_DUPFD_CLOEXEC, 0);
			must(cert_table_map(e->table, i, fd, &err), &err);
			e->mapped++;
		}
		must(cert_table_advance(e->table, i, segments_valid(e->segments, i), &err), &err);
	}
}

static uint64_t add(struct ends *e, const char *name, const char *leaf)
{
	struct err err = ERR_INIT;
	uint64_t number = 0;
	struct str names[] = { str_c(name) };
	struct cert_record record = { .leaf = str_c(leaf), .key = STR("key") };
	must(segments_add(e->segments, names, 1, &record, &number, &err), &err);
	tell(e);
	return number;
}

static void forget(struct ends *e, const char *name)
{
	struct err err = ERR_INIT;
	struct str names[] = { str_c(name) };
	must(segments_forget(e->segments, names, 1, &err), &err);
	tell(e);
}

static void assert_leaf(const struct ends *e, const char *name, const char *leaf)
{
	struct cert_record record;
	bool found = cert_table_find(e->table, str_c(name), &record);
	if (found != (leaf != NULL))
		fail_msg("%s is %sthere", name, found ? "" : "not ");
	if (leaf && !str_eq_c(record.leaf, leaf))
		fail_msg("%s: got %.*s, want %s", name, STR_ARG(record.leaf), leaf);
}

static void a_record_is_found_whole_under_each_name(void **state)
{
	(void)state;
	struct ends e;
	struct err err = ERR_INIT;
	struct str names[] = { STR("a.example"), STR("b.example"), STR("*.c.example"), STR("*") };
	struct cert_record record = { .leaf = STR("leaf"),
		.key = STR("key\0\xff"),
		.flags = CERT_TEMPORARY,
		.chain = { STR("first"), STR("second") },
		.chain_count = 2 };
	uint64_t number;
	ends_init(&e);
	must(segments_add(e.segments, names, COUNT(names), &record, &number, &err), &err);
	tell(&e);
	static const char *const asked[] = { "a.example", "B.Example", "x.c.example", "*.c.example",
		"*" };
	for (size_t i = 0; i < COUNT(asked); i++) {
		struct cert_record got;
		assert_true(cert_table_find(e.table, str_c(asked[i]), &got));
		assert_true(got.number == number);
		assert_int_equal(got.flags, CERT_TEMPORARY);
		assert_true(str_eq(got.leaf, record.leaf));
		assert_true(str_eq(got.key, record.key));
		assert_int_equal(got.chain_count, 2);
		assert_true(str_eq(got.chain[0], record.chain[0]));
		assert_true(str_eq(got.chain[1], record.chain[1]));
		assert_true(got.chain_number > 0 && got.chain_number < number);
	}
	static const char *const not_there[] = { "", ".", ".c.example", "c.example",
		"x.y.c.example", "d.example", "example", "a.exampl" };
	for (size_t i = 0; i < COUNT(not_there); i++)
		assert_leaf(&e, not_there[i], NULL);
	assert_int_equal(cert_table_count(e.table), 4);
	ends_done(&e);
}

/* With its own chain, behind a segment's end too; the next certificate stands alone again. */
/* What its responder says of it, until when; with and without one that stands beside it. */
static void a_staple_comes_with_its_certificate(void **state)
{
	(void)state;
	for (int beside = 0; beside < 2; beside++) {
		struct ends e;
		struct err err = ERR_INIT;
		struct str names[] = { STR("a.example"), STR("b.example") };
		struct cert_record record = { .leaf = STR("leaf"),
			.key = STR("key"),
			.flags = CERT_TEMPORARY,
			.staple = STR("good"),
			.staple_until = INT64_C(1) << 40 };
		struct cert_record other = { .leaf = STR("other"), .key = STR("its key") }, got;
		uint64_t number;
		ends_init(&e);
		if (beside)
			must(segments_add_beside(e.segments, &other, &record.beside, &err), &err);
		must(segments_add(e.segments, names, 2, &record, &number, &err), &err);
		add(&e, "c.example", "plain");
		assert_true(cert_table_find(e.table, STR("b.example"), &got));
		assert_true(str_eq(got.staple, record.staple));
		assert_true(got.staple_until == record.staple_until);
		assert_int_equal(got.flags, CERT_TEMPORARY);
		assert_int_equal(cert_table_beside(e.table, &got, &other), beside);
		assert_int_equal(other.staple.n, 0);
		assert_leaf(&e, "c.example", "plain");
		assert_true(cert_table_find(e.table, STR("c.example"), &got) && !got.staple.n);
		ends_done(&e);
	}
}

static void one_that_stands_beside_has_its_own_staple(void **state)
{
	(void)state;
	struct ends e;
	struct err err = ERR_INIT;
	struct str names[] = { STR("a.example") };
	struct cert_record record = { .leaf = STR("leaf"), .key = STR("key") }, got, its;
	const struct cert_record other = { .leaf = STR("other"),
		.key = STR("its key"),
		.staple = STR("its own"),
		.staple_until = 7 };
	uint64_t number;
	ends_init(&e);
	must(segments_add_beside(e.segments, &other, &record.beside, &err), &err);
	must(segments_add(e.segments, names, 1, &record, &number, &err), &err);
	tell(&e);
	assert_true(cert_table_find(e.table, STR("a.example"), &got) && !got.staple.n);
	assert_true(cert_table_beside(e.table, &got, &its));
	assert_true(str_eq_c(its.staple, "its own") && its.staple_until == 7);
	ends_done(&e);
}

static void one_of_another_kind_stands_beside(void **state)
{
	(void)state;
	static char large[1 << 20];
	struct ends e;
	struct err err = ERR_INIT;
	struct cert_record first, got,
	        other = { .leaf = STR("rsa leaf"),
		        .key = STR("rsa key"),
		        .chain = { STR("rsa chain") },
		        .chain_count = 1 };
	struct cert_record record = { .leaf = str_n(large, sizeof large),
		.key = STR("key"),
		.chain = { STR("chain") },
		.chain_count = 1 };
	struct str names[] = { STR("a.example"), STR("*.b.example") };
	uint64_t number, other_number = 0;
	ends_init(&e);
	for (int i = 0; i < 5; i++) {
		must(segments_add_beside(e.segments, &other, &record.beside, &err), &err);
		must(segments_add(e.segments, names, COUNT(names), &record, &number, &err), &err);
		tell(&e);
		assert_true(cert_table_find(e.table, STR("x.b.example"), &first));
		assert_true(first.number == number);
		assert_true(cert_table_find(e.table, STR("a.example"), &first));
		assert_true(first.leaf.n == sizeof large && str_eq_c(first.chain[0], "chain"));
		assert_true(cert_table_beside(e.table, &first, &got));
		assert_true(str_eq_c(got.leaf, "rsa leaf") && str_eq_c(got.key, "rsa key"));
		assert_true(got.chain_count == 1 && str_eq_c(got.chain[0], "rsa chain"));
		assert_true(got.number > other_number && got.number < number && !got.beside);
		assert_true(got.chain_number != first.chain_number);
		other_number = got.number;
	}
	assert_int_equal(segments_count(e.segments), 2);
	assert_int_equal(cert_table_count(e.table), 2);
	add(&e, "a.example", "alone");
	assert_true(cert_table_find(e.table, STR("a.example"), &first));
	assert_false(cert_table_beside(e.table, &first, &got));
	forget(&e, "*.b.example");
	assert_leaf(&e, "x.b.example", NULL);
	ends_done(&e);
}

static void the_exact_name_comes_before_the_wildcard(void **state)
{
	(void)state;
	struct ends e;
	ends_init(&e);
	add(&e, "*.example.com", "wild");
	assert_leaf(&e, "shop.example.com", "wild");
	add(&e, "shop.example.com", "exact");
	assert_leaf(&e, "shop.example.com", "exact");
	assert_leaf(&e, "other.example.com", "wild");
	forget(&e, "shop.example.com");
	assert_leaf(&e, "shop.example.com", "wild");
	ends_done(&e);
}

static void later_records_replace_and_forget(void **state)
{
	(void)state;
	struct ends e;
	ends_init(&e);
	uint64_t first = add(&e, "a.example", "one");
	uint64_t second = add(&e, "a.example", "two");
	assert_true(second > first);
	assert_leaf(&e, "a.example", "two");
	assert_int_equal(cert_table_count(e.table), 1);
	forget(&e, "a.example");
	forget(&e, "never.example");
	assert_leaf(&e, "a.example", NULL);
	assert_int_equal(cert_table_count(e.table), 0);
	add(&e, "a.example", "three");
	assert_leaf(&e, "a.example", "three");
	/* one name comes and goes: the index does not fill with what is gone */
	char name[32];
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		add(&e, name, "x");
		forget(&e, name);
	}
	assert_leaf(&e, "a.example", "three");
	assert_leaf(&e, "n4999.example", NULL);
	assert_int_equal(cert_table_count(e.table), 1);
	ends_done(&e);
}

static void a_chain_is_written_once(void **state)
{
	(void)state;
	static char big[100000];
	struct ends e;
	struct err err = ERR_INIT;
	struct cert_record got, record = { .leaf = STR("leaf"),
		.key = STR("key"),
		.chain = { str_n(big, sizeof big) },
		.chain_count = 1 };
	uint64_t number, chain_number = 0;
	char name[32];
	memset(big, 'c', sizeof big);
	ends_init(&e);
	for (int i = 0; i < 200; i++) { /* 20 MB if it were written each time */
		struct str names[] = { str_n(name, (size_t)snprintf(name, sizeof name, "n%d", i)) };
		must(segments_add(e.segments, names, 1, &record, &number, &err), &err);
		tell(&e);
		assert_true(cert_table_find(e.table, names[0], &got));
		assert_true(str_eq(got.chain[0], record.chain[0]));
		assert_true(i == 0 || got.chain_number == chain_number);
		chain_number = got.chain_number;
	}
	assert_int_equal(segments_count(e.segments), 1);
	assert_true(segments_valid(e.segments, 0) < 200000);
	ends_done(&e);
}

static void full_segments_are_followed_by_new_ones(void **state)
{
	(void)state;
	enum { RECORDS = 20000 };
	static char leaf[1000];
	struct ends e;
	struct err err = ERR_INIT;
	struct cert_record got,
	        record = { .key = STR("key"), .chain = { STR("ca") }, .chain_count = 1 };
	uint64_t number;
	char name[32];
	ends_init(&e);
	for (int i = 0; i < RECORDS; i++) {
		struct str names[] = { str_n(
			name, (size_t)snprintf(name, sizeof name, "n%d.example", i)) };
		memset(leaf, 'a' + i % 26, sizeof leaf);
		record.leaf = str_n(leaf, sizeof leaf);
		must(segments_add(e.segments, names, 1, &record, &number, &err), &err);
		if (i % 1000 == 0)
			tell(&e);
	}
	tell(&e);
	assert_true(segments_count(e.segments) >= 5);
	assert_int_equal(cert_table_count(e.table), RECORDS);
	for (int i = 0; i < RECORDS; i++) {
		snprintf(name, sizeof name, "n%d.example", i);
		assert_true(cert_table_find(e.table, str_c(name), &got));
		assert_int_equal(got.leaf.p[999], 'a' + i % 26);
		assert_true(str_eq_c(got.chain[0], "ca"));
	}
	/* a serve that was started anew maps them again */
	cert_table_free(&e.table);
	e.table = cert_table_new();
	e.mapped = 0;
	tell(&e);
	assert_int_equal(cert_table_count(e.table), RECORDS);
	ends_done(&e);
}

static void what_cannot_be_written_is_refused(void **state)
{
	(void)state;
	static char huge[SEGMENT_BYTES];
	static struct str many[251];
	struct ends e;
	struct err err = ERR_INIT;
	uint64_t number = 42;
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = STR("a.example");
	ends_init(&e);
	struct cert_record good = { .leaf = STR("leaf"), .key = STR("key") };
	struct cert_record no_key = { .leaf = STR("leaf") };
	struct cert_record large = { .leaf = str_n(huge, sizeof huge - 40), .key = STR("key") };
	struct cert_record larger = { .leaf = str_n(huge, sizeof huge), .key = STR("key") };
	struct str long_name = str_n(huge, 254), empty = STR("");
	assert_false(segments_add(e.segments, many, 0, &good, &number, &err));
	assert_false(segments_add(e.segments, many, 251, &good, &number, &err));
	assert_string_equal(err.text, "A certificate is served for 1 to 250 names, not 251.");
	assert_false(segments_add(e.segments, &long_name, 1, &good, &number, &err));
	assert_false(segments_add(e.segments, &empty, 1, &good, &number, &err));
	assert_false(segments_add(e.segments, many, 1, &no_key, &number, &err));
	assert_false(segments_add(e.segments, many, 1, &large, &number, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_false(segments_add(e.segments, many, 1, &larger, &number, &err));
	assert_false(segments_forget(e.segments, &empty, 1, &err));
	assert_true(number == 42);
	assert_int_equal(segments_count(e.segments), 0);
	assert_true(segments_add(e.segments, many, 250, &good, &number, &err));
	tell(&e);
	assert_int_equal(cert_table_count(e.table), 1);
	ends_done(&e);
}

static void whoever_gets_a_segment_can_only_read(void **state)
{
	(void)state;
	struct ends e;
	ends_init(&e);
	add(&e, "a.example", "leaf");
	int fd = segments_fd(e.segments, 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	ends_done(&e);
}

/* A control that was started anew: its run takes the place of the earlier one, in its own time. */
static void a_new_run_replaces_the_earlier_one(void **state)
{
	(void)state;
	struct ends e;
	struct cert_reader reader;
	ends_init(&e);
	cert_reader_add(e.table, &reader);
	uint64_t before = add(&e, "kept.example", "old");
	add(&e, "gone.example", "old");
	struct segments *earlier = e.segments;
	e.segments = segments_new();
	e.mapped = 0;
	assert_true(add(&e, "kept.example", "new") > before);
	add(&e, "more.example", "new");
	assert_leaf(&e, "kept.example", "new");
	assert_leaf(&e, "gone.example", "old");
	struct cert_record held;
	assert_true(cert_table_find(e.table, STR("gone.example"), &held));
	cert_table_sweep(e.table);
	assert_leaf(&e, "kept.example", "new");
	assert_leaf(&e, "more.example", "new");
	assert_leaf(&e, "gone.example", NULL);
	assert_int_equal(cert_table_count(e.table), 2);
	/* still mapped for the reader that holds it, until he is quiet */
	cert_table_sweep(e.table);
	assert_int_equal(cert_table_mapped(e.table), 2);
	assert_true(str_eq_c(held.leaf, "old"));
	cert_reader_quiet(&reader);
	add(&e, "more.example", "newer");
	assert_int_equal(cert_table_mapped(e.table), 1);
	assert_leaf(&e, "more.example", "newer");
	cert_reader_remove(e.table, &reader);
	segments_free(&earlier);
	ends_done(&e);
}

static void many_runs_go_round_the_ring(void **state)
{
	(void)state;
	struct ends e;
	struct cert_reader reader;
	ends_init(&e);
	cert_reader_add(e.table, &reader);
	add(&e, "a.example", "first");
	struct segments *one = e.segments;
	for (int run = 0; run < 20; run++) {
		e.segments = segments_new();
		e.mapped = 0;
		add(&e, "a.example", run % 2 ? "odd" : "even");
		segments_free(&one);
		one = e.segments;
		cert_table_sweep(e.table);
		cert_reader_quiet(&reader);
	}
	assert_leaf(&e, "a.example", "odd");
	cert_table_sweep(e.table);
	assert_int_equal(cert_table_mapped(e.table), 1);
	cert_reader_remove(e.table, &reader);
	ends_done(&e);
}

static void nothing_is_given_back_without_readers(void **state)
{
	(void)state;
	struct ends e;
	ends_init(&e);
	add(&e, "a.example", "old");
	struct cert_record held;
	assert_true(cert_table_find(e.table, STR("a.example"), &held));
	segments_free(&e.segments);
	e.segments = segments_new();
	e.mapped = 0;
	add(&e, "a.example", "new");
	cert_table_sweep(e.table);
	assert_int_equal(cert_table_mapped(e.table), 2);
	assert_true(str_eq_c(held.leaf, "old"));
	ends_done(&e);
}

static int foreign_segment(const void *bytes, size_t n, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SEGMENT_BYTES), 0);
	assert_int_equal(pwrite(fd, bytes, n, 0), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void what_is_no_segment_is_not_mapped(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct cert_table *t = cert_table_new();
	assert_false(cert_table_map(t, 0, open("/dev/null", O_RDONLY | O_CLOEXEC), &err));
	assert_false(cert_table_map(t, 0, foreign_segment("", 0, F_SEAL_GROW), &err));
	assert_string_equal(err.text, "What came is not a segment of certificates.");
	assert_false(cert_table_map(t, 1, foreign_segment("", 0, F_SEAL_SHRINK), &err));
	assert_string_equal(err.text, "Segment 1 of the certificates came out of order.");
	assert_false(cert_table_advance(t, 0, 0, &err));
	assert_string_equal(err.text, "Segment 0 of the certificates is not here.");
	assert_true(cert_table_map(t, 0, foreign_segment("", 0, F_SEAL_SHRINK), &err));
	assert_true(cert_table_advance(t, 0, 0, &err));
	assert_false(cert_table_advance(t, 0, SEGMENT_BYTES + 8, &err));
	assert_false(cert_table_advance(t, 0, 64, &err));
	assert_string_equal(err.text, "Segment 0 of the certificates has a broken record at 0, "
	                              "keeping what was read before it.");
	cert_table_free(&t);
}

/* The bytes of a good segment with a chain, a certificate, what stands beside it, and a forget
 * record. */
static size_t good_bytes(char *ret_bytes, size_t most)
{
	struct ends e;
	struct err err = ERR_INIT;
	struct str names[] = { STR("a.example"), STR("b.example") };
	struct cert_record record = { .leaf = STR("leaf"),
		.key = STR("key"),
		.chain = { STR("one"), STR("two") },
		.chain_count = 2,
		.staple = STR("good"),
		.staple_until = 7 };
	uint64_t number;
	ends_init(&e);
	must(segments_add_beside(e.segments, &record, &record.beside, &err), &err);
	must(segments_add(e.segments, names, 2, &record, &number, &err), &err);
	must(segments_forget(e.segments, names, 1, &err), &err);
	size_t n = segments_valid(e.segments, 0);
	assert_true(n <= most);
	assert_int_equal(pread(segments_fd(e.segments, 0), ret_bytes, n, 0), n);
	ends_done(&e);
	return n;
}

/* Whatever a byte is changed to: it is refused or read, and all that is found lies within. */
static void changed_bytes_never_lead_outside(void **state)
{
	(void)state;
	char bytes[1000];
	size_t n = good_bytes(bytes, sizeof bytes);
	unsigned refused = 0;
	static const char changes[] = { 1, 2, 4, 0x10, 0x40, (char)0x80, (char)0xff };
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < COUNT(changes); k++) {
			struct err err = ERR_INIT;
			struct cert_record got;
			struct cert_table *t = cert_table_new();
			bytes[i] = (char)(bytes[i] ^ changes[k]);
			must(cert_table_map(t, 0, foreign_segment(bytes, n, F_SEAL_SHRINK), &err),
			        &err);
			refused += !cert_table_advance(t, 0, n, &err);
			if (cert_table_find(t, STR("b.example"), &got)) {
				assert_true(got.leaf.n < n && got.key.n < n && got.staple.n < n &&
				            got.chain_count <= 10);
				for (size_t c = 0; c < got.chain_count; c++)
					assert_true(got.chain[c].n < n);
				if (cert_table_beside(t, &got, &got))
					assert_true(got.leaf.n < n && got.key.n < n);
			}
			cert_table_free(&t);
			bytes[i] = (char)(bytes[i] ^ changes[k]);
		}
	}
	assert_true(refused > n); /* of n × 7 */
}

static void cut_off_segments_are_refused(void **state)
{
	(void)state;
	char bytes[1000];
	size_t n = good_bytes(bytes, sizeof bytes);
	for (size_t valid = 1; valid < n; valid++) {
		struct err err = ERR_INIT;
		struct cert_table *t = cert_table_new();
		must(cert_table_map(t, 0, foreign_segment(bytes, n, F_SEAL_SHRINK), &err), &err);
		bool ok = cert_table_advance(t, 0, valid, &err);
		assert_true(ok || err.code == ERR_PROTOCOL);
		/* what is left is read later, and only once */
		if (ok) {
			assert_true(cert_table_advance(t, 0, n, &err));
			assert_false(cert_table_advance(t, 0, 0, &err));
		}
		cert_table_free(&t);
	}
}

enum { NAMES = 300, ROUNDS = 40, READERS = 3 };

struct reader_thread {
	struct cert_reader reader;
	const struct cert_table *table;
	_Atomic(bool) *done;
	size_t found, wrong;
	pthread_t thread;
};

/* Names of the first half are always there; each leaf begins with its own name. */
static void look(struct reader_thread *r, unsigned i)
{
	char name[32];
	struct cert_record got;
	int n = snprintf(name, sizeof name, "n%u.example", i % NAMES);
	if (!cert_table_find(r->table, str_n(name, (size_t)n), &got)) {
		r->wrong += i % NAMES < NAMES / 2;
		return;
	}
	r->found++;
	r->wrong += !str_starts(got.leaf, str_n(name, (size_t)n)) || got.chain_count != 1 ||
	            !str_eq_c(got.chain[0], "ca");
}

static void *read_all_the_time(void *thread)
{
	struct reader_thread *r = thread;
	for (unsigned i = 0; !atomic_load(r->done) || !r->found; i += 7) { /* may come late */
		look(r, i);
		if (i % 64 == 0)
			cert_reader_quiet(&r->reader);
	}
	return NULL;
}

static void write_round(struct ends *e, int round)
{
	struct err err = ERR_INIT;
	char text[64];
	uint64_t number;
	for (int i = 0; i < NAMES; i++) {
		int n = snprintf(text, sizeof text, "n%d.example", i);
		struct str names[] = { str_n(text, (size_t)n) };
		int m = snprintf(text + n, sizeof text - (size_t)n, " %d", round);
		struct cert_record record = { .leaf = str_n(text, (size_t)(n + m)),
			.key = STR("key"),
			.chain = { STR("ca") },
			.chain_count = 1 };
		must(segments_add(e->segments, names, 1, &record, &number, &err), &err);
		if (i >= NAMES / 2 && round % 2)
			must(segments_forget(e->segments, names, 1, &err), &err);
	}
	tell(e);
}

static void readers_see_whole_records_while_one_writes(void **state)
{
	(void)state;
	struct ends e;
	_Atomic(bool) done = false;
	struct reader_thread readers[READERS];
	ends_init(&e);
	write_round(&e, 0);
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader_thread){ .table = e.table, .done = &done };
		cert_reader_add(e.table, &readers[i].reader);
		assert_int_equal(
		        pthread_create(&readers[i].thread, NULL, read_all_the_time, &readers[i]),
		        0);
	}
	for (int round = 1; round < ROUNDS; round++) {
		struct segments *earlier = e.segments;
		if (round % 4 == 0) {
			e.segments = segments_new();
			e.mapped = 0;
		}
		write_round(&e, round);
		if (round % 4 == 0) {
			cert_table_sweep(e.table);
			segments_free(&earlier);
		}
	}
	atomic_store(&done, true);
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		cert_reader_quiet(&readers[i].reader);
		assert_int_equal(readers[i].wrong, 0);
		assert_true(readers[i].found > 0);
	}
	cert_table_sweep(e.table);
	assert_int_equal(cert_table_mapped(e.table), 1);
	for (int i = 0; i < READERS; i++)
		cert_reader_remove(e.table, &readers[i].reader);
	ends_done(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_found_whole_under_each_name),
		cmocka_unit_test(a_staple_comes_with_its_certificate),
		cmocka_unit_test(one_that_stands_beside_has_its_own_staple),
		cmocka_unit_test(one_of_another_kind_stands_beside),
		cmocka_unit_test(the_exact_name_comes_before_the_wildcard),
		cmocka_unit_test(later_records_replace_and_forget),
		cmocka_unit_test(a_chain_is_written_once),
		cmocka_unit_test(full_segments_are_followed_by_new_ones),
		cmocka_unit_test(what_cannot_be_written_is_refused),
		cmocka_unit_test(whoever_gets_a_segment_can_only_read),
		cmocka_unit_test(a_new_run_replaces_the_earlier_one),
		cmocka_unit_test(many_runs_go_round_the_ring),
		cmocka_unit_test(nothing_is_given_back_without_readers),
		cmocka_unit_test(what_is_no_segment_is_not_mapped),
		cmocka_unit_test(changed_bytes_never_lead_outside),
		cmocka_unit_test(cut_off_segments_are_refused),
		cmocka_unit_test(readers_see_whole_records_while_one_writes),
	};
	return cmocka_run_group_tests_name("certs_table", tests, NULL, NULL);
}
