#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static char dir[64], path[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/seal_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/master.key", dir);
	unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	rmdir(path);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left there */
	return 0;
}

static void write_key_file(size_t size, mode_t mode, int fill)
{
	char bytes[100];
	assert_true(size <= sizeof bytes);
	memset(bytes, fill, sizeof bytes);
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static struct master *loaded(bool may_create)
{
	struct err err = ERR_INIT;
	struct master *m = master_load(dir, may_create, &err);
	if (!m)
		fail_msg("%s", err.text);
	return m;
}

static const struct seal_for account = { STR_INIT("account"), STR_INIT("letsencrypt"), 3 };

static struct buf sealed(const struct master *m, struct str plain)
{
	struct buf out = BUF_INIT(10000);
	SECRET_AUTO s = secret_copy(plain);
	seal(m, account, &s, &out);
	assert_true(buf_ok(&out));
	return out;
}

static void assert_sentence(
        const struct master *m, struct seal_for what, struct str blob, const char *sentence)
{
	struct err err = ERR_INIT;
	struct secret plain = SECRET_NONE;
	assert_false(unseal(m, what, "The account key for letsencrypt", blob, &plain, &err));
	assert_null(plain.p);
	assert_int_equal(err.code, ERR_CORRUPT);
	if (strncmp(err.text, sentence, strlen(sentence)) != 0)
		fail_msg("got \"%s\", want \"%s…\"", err.text, sentence);
}

static void the_key_is_made_once_and_kept(void **state)
{
	(void)state;
	struct master *first = loaded(/* may_create= */ true);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0400);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(master_source(first), MASTER_BESIDE);
	BUF_AUTO blob = sealed(first, STR("secret"));
	master_free(&first);
	assert_null(first);
	struct master *again = loaded(/* may_create= */ false);
	struct err err = ERR_INIT;
	SECRET_AUTO plain = SECRET_NONE;
	assert_true(unseal(again, account, "It", buf_str(&blob), &plain, &err));
	assert_true(secret_eq(&plain, STR("secret")));
	master_free(&again);
}

/* In the place of libc's: the fail_at-th of both together fails. */
static int calls, fail_at;

static bool fails(void)
{
	const bool now = ++calls == fail_at;
	errno = now ? EIO : errno;
	return now;
}

int fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	return fails() ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* Nothing is sealed under a key that the disk may not keep; the next start makes one that stays. */
static void a_disk_that_fails_while_it_is_made_is_said(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct master *m = NULL;
	for (int n = 1; !m; n++) {
		calls = 0;
		fail_at = n;
		m = master_load(dir, /* may_create= */ true, &err);
		fail_at = 0;
		if (m) {
			assert_int_equal(n, 1 + calls); /* all of them failed once */
			assert_int_equal(n, 4);
			break;
		}
		assert_int_equal(err.code, ERR_IO);
		assert_non_null(strstr(err.text, "master.key cannot be written"));
		char id[MASTER_ID + 1], again[MASTER_ID + 1];
		struct master *next = loaded(/* may_create= */ true);
		master_id(next, id);
		master_free(&next);
		next = loaded(/* may_create= */ false);
		master_id(next, again);
		master_free(&next);
		assert_string_equal(again, id);
		unlink(path);
	}
	master_free(&m);
}

static void what_a_crash_left_does_not_matter(void **state)
{
	(void)state;
	char unfinished[128];
	snprintf(unfinished, sizeof unfinished, "%s.new", path);
	int fd = open(unfinished, O_WRONLY | O_CREAT | O_EXCL, 0400);
	assert_true(fd >= 0);
	close(fd);
	struct master *m = loaded(/* may_create= */ true);
	master_free(&m);
}

static void a_missing_key_is_not_made_when_records_need_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_null(master_load(dir, /* may_create= */ false, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	char want[512];
	snprintf(want, sizeof want,
	        "The master key is missing, and the database holds records sealed under it. Put it "
	        "back as "
	        "%s (mode 0400) or as the credential master.key; without it the keys cannot be "
	        "read.",
	        path);
	assert_string_equal(err.text, want);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_file_that_others_can_read_is_refused(void **state)
{
	(void)state;
	static const mode_t modes[] = { 0440, 0404, 0420, 0644 };
	for (size_t i = 0; i < COUNT(modes); i++) {
		struct err err = ERR_INIT;
		write_key_file(32, modes[i], 'k');
		assert_null(master_load(dir, /* may_create= */ true, &err));
		assert_int_equal(err.code, ERR_PERMISSION);
		char want[512];
		snprintf(want, sizeof want,
		        "The master key %s can be read or changed by others (mode %04o). Run: "
		        "chmod 0400 %s - "
		        "and make a new master key if somebody may have copied it.",
		        path, (unsigned)modes[i], path);
		assert_string_equal(err.text, want);
	}
	write_key_file(32, 0600, 'k');
	struct master *m = loaded(/* may_create= */ false);
	master_free(&m);
}

static void a_file_of_another_size_is_refused_and_kept(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 31, 33, 64 };
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct err err = ERR_INIT;
		write_key_file(sizes[i], 0400, 'k');
		assert_null(master_load(dir, /* may_create= */ true, &err));
		char want[512];
		snprintf(want, sizeof want,
		        "%s is not a master key: it has %zu bytes, a master key has exactly 32. "
		        "Put back the "
		        "file that was there.",
		        path, sizes[i]);
		assert_string_equal(err.text, want);
		struct stat st;
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
	}
}

static void a_folder_is_no_key(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_null(master_load(dir, /* may_create= */ true, &err));
	char want[512];
	snprintf(
	        want, sizeof want, "%s is not a file; the master key is a file of 32 bytes.", path);
	assert_string_equal(err.text, want);
}

static void a_state_that_is_not_there_is_said(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_null(master_load("/nonexistent/everseal", /* may_create= */ true, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_non_null(strstr(err.text, "/nonexistent/everseal/master.key cannot be written: "));
}

static void a_credential_comes_first(void **state)
{
	(void)state;
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	struct err err = ERR_INIT;
	write_key_file(32, 0440, 'c'); /* as systemd grants it by an ACL */
	struct master *m = master_load("/nonexistent", /* may_create= */ true, &err);
	assert_non_null(m);
	assert_int_equal(master_source(m), MASTER_CREDENTIAL);
	master_free(&m);
	write_key_file(32, 0444, 'c');
	assert_null(master_load("/nonexistent", /* may_create= */ true, &err));
	assert_int_equal(err.code, ERR_PERMISSION);
	/* a directory of credentials without ours: the key beside the database counts */
	setenv("CREDENTIALS_DIRECTORY", "/nonexistent", 1);
	write_key_file(32, 0400, 'c');
	m = loaded(/* may_create= */ false);
	assert_int_equal(master_source(m), MASTER_BESIDE);
	master_free(&m);
}

static void any_length_comes_back(void **state)
{
	(void)state;
	struct master *m = loaded(/* may_create= */ true);
	char bytes[300];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7);
	for (size_t n = 0; n < sizeof bytes; n += 37) {
		struct err err = ERR_INIT;
		SECRET_AUTO plain = SECRET_NONE;
		BUF_AUTO blob = sealed(m, str_n(bytes, n));
		BUF_AUTO second = sealed(m, str_n(bytes, n));
		assert_int_equal(blob.n, 2 + 8 + 24 + n + 16);
		assert_false(str_eq(buf_str(&blob), buf_str(&second))); /* own nonces */
		assert_true(unseal(m, account, "It", buf_str(&blob), &plain, &err));
		assert_true(secret_eq(&plain, str_n(bytes, n)));
	}
	master_free(&m);
}

static void a_full_buf_takes_no_box(void **state)
{
	(void)state;
	struct master *m = loaded(/* may_create= */ true);
	BUF_AUTO out = BUF_INIT(40);
	SECRET_AUTO s = secret_copy(STR("secret"));
	seal(m, account, &s, &out);
	assert_false(buf_ok(&out));
	master_free(&m);
}

static void another_master_key_is_named(void **state)
{
	(void)state;
	write_key_file(32, 0400, 'a');
	struct master *a = loaded(/* may_create= */ false);
	write_key_file(32, 0400, 'b');
	struct master *b = loaded(/* may_create= */ false);
	BUF_AUTO blob = sealed(a, STR("secret"));
	assert_sentence(b, account, buf_str(&blob),
	        "The account key for letsencrypt cannot be opened: it is sealed under another "
	        "master key (");
	master_free(&a);
	master_free(&b);
}

static void every_changed_byte_is_noticed(void **state)
{
	(void)state;
	struct master *m = loaded(/* may_create= */ true);
	BUF_AUTO blob = sealed(m, STR("secret"));
	for (size_t i = 0; i < blob.n; i++) {
		blob.p[i] ^= 0x20;
		assert_sentence(m, account, buf_str(&blob),
		        i < 2 ? "The account key for letsencrypt cannot be opened: what is stored "
		                "in "
		                "its place is not a sealed record."
		        : i < 10
		                ? "The account key for letsencrypt cannot be opened: it is sealed "
		                  "under "
		                  "another master key"
		                : "The account key for letsencrypt cannot be opened: its bytes are "
		                  "damaged or belong to another record.");
		blob.p[i] ^= 0x20;
	}
	for (size_t n = 0; n < blob.n; n++)
		assert_sentence(m, account, str_head(buf_str(&blob), n),
		        "The account key for letsencrypt cannot be opened: ");
	master_free(&m);
}

static void a_blob_opens_for_its_own_record_only(void **state)
{
	(void)state;
	static const struct seal_for others[] = {
		{ STR_INIT("account"), STR_INIT("letsencrypt"), 4 },
		{ STR_INIT("account"), STR_INIT("corp"), 3 },
		{ STR_INIT("order"), STR_INIT("letsencrypt"), 3 },
		{ STR_INIT("accountl"), STR_INIT("etsencrypt"), 3 },
		{ STR_INIT(""), STR_INIT("accountletsencrypt"), 3 },
	};
	struct master *m = loaded(/* may_create= */ true);
	BUF_AUTO blob = sealed(m, STR("secret"));
	for (size_t i = 0; i < COUNT(others); i++)
		assert_sentence(m, others[i], buf_str(&blob),
		        "The account key for letsencrypt cannot be opened: its bytes are damaged "
		        "or belong to "
		        "another record. Restore it from a backup.");
	master_free(&m);
}

int main(void)
{
	umask(022);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(the_key_is_made_once_and_kept),
		CASE(a_disk_that_fails_while_it_is_made_is_said),
		CASE(what_a_crash_left_does_not_matter),
		CASE(a_missing_key_is_not_made_when_records_need_it),
		CASE(a_file_that_others_can_read_is_refused),
		CASE(a_file_of_another_size_is_refused_and_kept),
		CASE(a_folder_is_no_key),
		CASE(a_state_that_is_not_there_is_said),
		CASE(a_credential_comes_first),
		CASE(any_length_comes_back),
		CASE(a_full_buf_takes_no_box),
		CASE(another_master_key_is_named),
		CASE(every_changed_byte_is_noticed),
		CASE(a_blob_opens_for_its_own_record_only),
	};
	return cmocka_run_group_tests_name("keys_seal", tests, NULL, NULL);
}
