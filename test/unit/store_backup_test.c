/* Copies of the database while it is used, and the head of a backup. */
#include "keys/digest.h"
#include "store/archive.h"
#include "store_place.h"
#include <fcntl.h>
#include <sys/stat.h>

struct copying_test {
	struct store_copy copy;
	int ended, fd;
	struct err err;
};

static void copied(struct store_copy *c, int fd, const struct err *err)
{
	struct copying_test *t = OWNER(c, struct copying_test, copy);
	t->ended++;
	t->fd = fd;
	t->err = err ? *err : (struct err)ERR_INIT;
}

static void wait_for(struct place *p, struct copying_test *t)
{
	while (!t->ended)
		loop_turn(p->loop, -1);
}

/* Opens what was copied as a state of its own. */
static void open_copy(struct place *to, int fd)
{
	char bytes[4096];
	place_init(to);
	assert_int_equal(mkdir(to->dir, 0700), 0);
	int out = open(to->db, O_WRONLY | O_CREAT, 0600);
	assert_true(out >= 0);
	for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	close(out);
	close(fd);
	open_store(to);
}

static void copies_what_was_committed(void **state)
{
	(void)state;
	struct place p, q;
	place_open(&p);
	save(&p, "a", 0, "one");
	save(&p, "a", 1, "two");
	struct copying_test t = { 0 };
	store_copy_start(p.store, &t.copy, copied);
	assert_int_equal(t.ended, 0);
	save(&p, "b", 0, "later");
	wait_for(&p, &t);
	assert_int_equal(t.err.code, ERR_NONE);
	assert_true(t.fd >= 0);
	open_copy(&q, t.fd);
	assert_int_equal(version_of(&q, "a"), 2);
	save(&q, "a", 2, "three");
	assert_int_equal(version_of(&p, "a"), 2);
	place_done(&q);
	place_done(&p);
}

static void leaves_nothing_beside_the_database(void **state)
{
	(void)state;
	struct place p;
	struct stat st;
	char path[120];
	place_open(&p);
	snprintf(path, sizeof path, "%s.copy", p.db);
	struct copying_test t = { 0 };
	store_copy_start(p.store, &t.copy, copied);
	wait_for(&p, &t);
	close(t.fd);
	assert_int_not_equal(stat(path, &st), 0);
	/* What a server that was killed has left. */
	close(open(path, O_WRONLY | O_CREAT, 0600));
	store_close(&p.store);
	open_store(&p);
	assert_int_not_equal(stat(path, &st), 0);
	place_done(&p);
}

static void makes_one_at_a_time(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct copying_test first = { 0 }, second = { 0 };
	store_copy_start(p.store, &first.copy, copied);
	store_copy_start(p.store, &second.copy, copied);
	wait_for(&p, &second);
	wait_for(&p, &first);
	assert_int_equal(second.err.code, ERR_BUSY);
	assert_int_equal(second.fd, -1);
	assert_int_equal(first.err.code, ERR_NONE);
	close(first.fd);
	first.ended = 0;
	store_copy_start(p.store, &first.copy, copied);
	wait_for(&p, &first);
	assert_int_equal(first.err.code, ERR_NONE);
	close(first.fd);
	place_done(&p);
}

static void is_told_nothing_after_an_abort(void **state)
{
	(void)state;
	struct place p;
	place_open(&p);
	struct copying_test t = { 0 }, refused = { 0 };
	store_copy_start(p.store, &t.copy, copied);
	store_copy_start(p.store, &refused.copy, copied);
	store_copy_abort(&refused.copy);
	store_copy_abort(&t.copy);
	store_copy_abort(&t.copy);
	store_close(&p.store);
	open_store(&p);
	store_copy_start(p.store, &t.copy, copied);
	store_close(&p.store); /* under way */
	assert_int_equal(t.ended + refused.ended, 0);
	place_done(&p);
}

static void says_why_there_is_no_copy(void **state)
{
	(void)state;
	struct place p;
	char path[120];
	place_open(&p);
	snprintf(path, sizeof path, "%s.copy", p.db);
	assert_int_equal(mkdir(path, 0700), 0);
	struct copying_test t = { 0 };
	store_copy_start(p.store, &t.copy, copied);
	assert_int_equal(t.ended, 0);
	wait_for(&p, &t);
	assert_int_equal(t.err.code, ERR_IO);
	assert_non_null(strstr(t.err.text, "everseal.db.copy"));
	place_done(&p);
}

static void reads_heads(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words; /* words NULL: it is one */
	} cases[] = {
		{ "Everseal backup 1\ndatabase-format 1\ndatabase-bytes 28672\n"
		  "master-key 94d3c1fe0a2b7788 included\n\nrest",
		        NULL },
		{ "Everseal backup 1\ndatabase-format 0\ndatabase-bytes 0\n"
		  "master-key 94d3c1fe0a2b7788 needed\n\n",
		        NULL },
		{ "", "no backup of Everseal" },
		{ "SQLite format 3", "no backup of Everseal" },
		{ "Everseal backup 2\n", "newer Everseal" },
		{ "Everseal backup 1\ndatabase-format 2\n", "newer Everseal" },
		{ "Everseal backup 1", "damaged or cut off" },
		{ "Everseal backup 1\ndatabase-format 1\ndatabase-bytes -1\n",
		        "damaged or cut off" },
		{ "Everseal backup 1\ndatabase-format 1\ndatabase-bytes 1\n"
		  "master-key 94d3c1fe0a2b778 needed\n\n",
		        "damaged or cut off" },
		{ "Everseal backup 1\ndatabase-format 1\ndatabase-bytes 1\n"
		  "master-key 94d3c1fe0a2b7788 needed\n",
		        "damaged or cut off" },
		{ "Everseal backup 1\ndatabase-format 1\ndatabase-bytes 1\n"
		  "master-key 94d3c1fe0a2b7788 needed\nmore\n\n",
		        "damaged or cut off" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct archive_head head;
		struct err err = ERR_INIT;
		size_t used = 0;
		bool read = archive_read_head(str_c(cases[i].text), &head, &used, &err);
		if (read != !cases[i].words || (!read && !strstr(err.text, cases[i].words)))
			fail_msg("case %zu: %s", i, err.text);
	}
	struct archive_head head;
	struct err err = ERR_INIT;
	size_t used = 0;
	assert_true(archive_read_head(str_c(cases[0].text), &head, &used, &err));
	assert_int_equal(head.database, 28672);
	assert_true(head.with_key);
	assert_string_equal(head.key_id, "94d3c1fe0a2b7788");
	assert_string_equal(cases[0].text + used, "rest");
}

static void digests_in_pieces(void **state)
{
	(void)state;
	unsigned char whole[DIGEST_SHA256], pieces[DIGEST_SHA256];
	struct digest *d = digest_new();
	digest_add(d, STR("a"));
	digest_add(d, STR(""));
	digest_add(d, STR("bc"));
	digest_end(d, pieces);
	digest_free(&d);
	assert_null(d);
	digest_free(&d);
	digest_sha256(STR("abc"), whole);
	assert_memory_equal(whole, pieces, sizeof whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_what_was_committed),
		cmocka_unit_test(leaves_nothing_beside_the_database),
		cmocka_unit_test(makes_one_at_a_time),
		cmocka_unit_test(is_told_nothing_after_an_abort),
		cmocka_unit_test(says_why_there_is_no_copy),
		cmocka_unit_test(reads_heads),
		cmocka_unit_test(digests_in_pieces),
	};
	return cmocka_run_group_tests_name("store_backup", tests, NULL, NULL);
}
