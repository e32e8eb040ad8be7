/* The disk fails, or the machine loses its power, or the process is killed, at the n-th operation
 * on the disk of an issue, a renewal, a change of the account's key and an import, for every n
 * until all is over without it. What was served is served; what is stored is the old or the new
 * one, whole; the next attempt succeeds; and the CA is asked for no more than it needs. */
#include "disk.h"
#include "issue/account.h"
#include "keys/keys.h"
#include "renew/import.h"
#include "renew_world.h"

#define NAME "shop.example.com"

/* What is under way, and what was before. */
static struct {
	struct wish wish;
	struct account_call call;
	struct import import;
	bool told;
	struct err err;
	struct buf before, brought[2]; /* PEM */
} way;

/* Whatever failed once heals by itself within two hours, or else is a fault. */
static void wait_for(bool (*over)(void), bool off)
{
	const int64_t most = loop_wall(place->loop) + 2 * HOUR;
	while (!over() && !(off && disk_failed()) && loop_wall(place->loop) < most)
		loop_turn(place->loop, -1);
	if (!over() && !(off && disk_failed()))
		fail_msg("It does not end. %s is %s, %s; logged:\n%s and done:\n%s", NAME,
		        said(NAME, "state"), said(NAME, "last_error"), buf_c(&logged),
		        buf_c(&place->diary));
}

static struct registration *registration(void)
{
	return registration_find(world.renewals, STR(NAME));
}

static bool at_rest(void)
{
	const struct registration *g = registration();
	return g && !g->attempting && g->held.is && g->served_at && !g->failures;
}

static const char *shown(void)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (!strcmp(world.shown[i].name, NAME))
			return buf_c(&world.shown[i].pem);
	return "";
}

static bool is_told(void)
{
	return way.told;
}

static void keep_shown(void)
{
	buf_clear(&way.before);
	buf_add_c(&way.before, shown());
}

/* Issue */

static void start_issue(void)
{
	wish_name(&way.wish, NAME);
}

static bool issue_over(void)
{
	return way.wish.done && (way.wish.err.code || at_rest());
}

static void issue(void)
{
	start_issue();
	wait_for(issue_over, /* off= */ false);
	assert_string_equal(way.wish.err.text, "");
}

static bool is_issued(void)
{
	const struct str pem = str_c(shown());
	bool known = false;
	for (unsigned i = 0; i < place->ca.order_count && pem.n; i++)
		known |= str_starts(buf_str(&place->ca.orders[i].pem), pem);
	return known;
}

/* The one before or, whole, another one that the CA has given out; `install` looks at the key. */
static void old_or_issued(void)
{
	if (strcmp(shown(), buf_c(&way.before)))
		assert_true(is_issued());
}

/* Renewal */

static void prepare_issued(void)
{
	issue();
	keep_shown();
	assert_true(is_issued());
}

static void start_renewal(void)
{
	wish_renew(&way.wish, NAME);
}

static bool renewal_over(void)
{
	return way.wish.done &&
	       (way.wish.err.code || (at_rest() && strcmp(shown(), buf_c(&way.before))));
}

static void renew(void)
{
	keep_shown();
	start_renewal();
	wait_for(renewal_over, /* off= */ false);
	assert_string_equal(way.wish.err.text, "");
	assert_true(is_issued());
}

/* Rollover */

static void changed(struct account_call *call, const struct err *err)
{
	assert_ptr_equal(call, &way.call);
	way.told = true;
	way.err = err ? *err : (struct err)ERR_INIT;
}

static void start_rollover(void)
{
	way.told = false;
	account_rollover(place->issuers, STR("ca"), &way.call, changed);
}

static void stop_rollover(void)
{
	if (!way.told)
		account_abort(&way.call);
}

static void restart(void)
{
	world_kill();
	for (size_t i = 0; i < INSTALLED; i++)
		buf_clear(&world.shown[i].pem);
	world_start(NULL);
}

/* By whichever key it is now, the account is the one that there was. */
static void rollover_again(void)
{
	renew();
	start_rollover();
	wait_for(is_told, /* off= */ false);
	assert_string_equal(way.err.text, "");
	assert_in_range(place->ca.rollovers, 1, 2);
	restart();
	record_delete(place, "account", CA_DIRECTORY);
	restart();
	renew();
	assert_int_equal(place->ca.accounts_made, 1);
	assert_int_equal(record_version(place, "flow", "account/ca"), 0);
}

/* Import */

static void sign(struct buf *pem)
{
	struct err err = ERR_INIT;
	const struct str name = STR(NAME);
	const int64_t now = loop_wall(place->loop);
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF(8192);
	SECRET_AUTO secret = key_to_der(key);
	assert_true(key_self_signed(key, &name, 1, now - DAY, now + 90 * DAY, &der, &err));
	cert_to_pem(buf_str(&der), pem);
	buf_add_c(pem, "-----BEGIN EC PRIVATE KEY-----\n");
	buf_add_base64(pem, secret_bytes(&secret));
	buf_add_c(pem, "\n-----END EC PRIVATE KEY-----\n");
}

static void told(struct import *i, const struct err *err)
{
	assert_ptr_equal(i, &way.import);
	way.told = true;
	way.err = err ? *err : (struct err)ERR_INIT;
}

static void bring(const struct buf *pem)
{
	const struct import_want want = { STR(NAME), buf_str(pem) };
	way.told = false;
	import_start(world.renewals, &way.import, &want, 1, told);
}

static bool shows_brought(size_t i)
{
	return *shown() && str_starts(buf_str(&way.brought[i]), str_c(shown()));
}

static void prepare_brought(void)
{
	sign(&way.brought[0]);
	sign(&way.brought[1]);
	bring(&way.brought[0]);
	wait_for(is_told, /* off= */ false);
	assert_string_equal(way.err.text, "");
	keep_shown();
	assert_true(shows_brought(0));
}

static void start_import(void)
{
	bring(&way.brought[1]);
}

static void stop_import(void)
{
	if (!way.told)
		import_abort(&way.import);
}

static void old_or_brought(void)
{
	assert_true(shows_brought(0) || shows_brought(1));
	if (way.told && !way.err.code)
		assert_true(shows_brought(1));
}

static void import_again(void)
{
	start_import();
	wait_for(is_told, /* off= */ false);
	assert_string_equal(way.err.text, "");
	assert_true(shows_brought(1));
	restart();
	assert_true(shows_brought(1));
}

/* The ways */

static void nothing(void)
{
}

static const struct way {
	const char *name;
	void (*prepare)(void);
	void (*start)(void);
	bool (*over)(void);
	void (*stop)(void); /* who asked goes away */
	void (*is_whole)(void);
	void (*again)(void);
	unsigned orders; /* in all, with two attempts and nothing lost */
} ways[] = {
	{ "issue", nothing, start_issue, issue_over, nothing, old_or_issued, issue, 1 },
	{ "renewal", prepare_issued, start_renewal, renewal_over, nothing, old_or_issued, renew,
	        3 },
	{ "rollover", prepare_issued, start_rollover, is_told, stop_rollover, old_or_issued,
	        rollover_again, 3 },
	{ "import", prepare_brought, start_import, is_told, stop_import, old_or_brought,
	        import_again, 0 },
};

static const struct fate {
	const char *name;
	enum op op;
	int code; /* 0: as an input or output error */
	bool off; /* all that comes after it fails too: what is left is then */
	enum leaves leaves;
} fates[] = {
	{ "each write fails", OP_WRITE, 0, .off = false, LEAVES_ALL },
	{ "the disk is full at each write", OP_WRITE, /* SQLITE_FULL */ 13, .off = false,
	        LEAVES_ALL },
	{ "each sync fails", OP_SYNC, 0, .off = false, LEAVES_ALL },
	{ "killed at each operation", OP_ANY, 0, .off = true, LEAVES_ALL },
	{ "power lost at each operation", OP_ANY, 0, .off = true, LEAVES_NOTHING },
	{ "power lost, some sectors written", OP_ANY, 0, .off = true, LEAVES_SOME },
};

/* False: it was over before that operation. */
static bool fails_at(const struct way *w, const struct fate *f, long n)
{
	memset(&way, 0, sizeof way);
	way.before = way.brought[0] = way.brought[1] = BUF(16 << 10);
	disk_start(f->off);
	world_setup(NULL);
	world_start(BASE);
	run_until_idle();
	w->prepare();
	disk_fail(f->op, n, f->code);
	w->start();
	wait_for(w->over, f->off);
	const bool failed = disk_failed();
	w->is_whole();
	w->stop();
	world_kill();
	if (f->off)
		disk_power_loss(f->leaves);
	disk_reset();
	for (size_t i = 0; i < INSTALLED; i++)
		buf_clear(&world.shown[i].pem);
	world_start(NULL);
	w->is_whole();
	run_until_idle();
	w->is_whole();
	w->again();
	if (place->ca.order_count > w->orders + failed)
		fail_msg("%u orders, with a fault at the %ldth; done:\n%s", place->ca.order_count,
		        n, buf_c(&place->diary));
	assert_true(place->ca.accounts_made <= 1);
	world_teardown(NULL);
	buf_done(&way.before);
	buf_done(&way.brought[0]);
	buf_done(&way.brought[1]);
	return failed;
}

struct wanted {
	const struct way *way;
	const struct fate *fate;
	char name[80];
};

static void fails(void **state)
{
	const struct wanted *w = *state;
	long n = 1;
	disk_seed(1);
	while (fails_at(w->way, w->fate, n))
		n++;
	print_message("# %s: up to the %ldth\n", w->name, n - 1);
	assert_true(n > 1);
}

enum { WAYS = sizeof ways / sizeof *ways, FATES = sizeof fates / sizeof *fates };

int main(void)
{
	static struct wanted wanted[WAYS * FATES];
	struct CMUnitTest tests[WAYS * FATES];
	for (size_t i = 0; i < WAYS * FATES; i++) {
		struct wanted *w = &wanted[i];
		w->way = &ways[i / FATES];
		w->fate = &fates[i % FATES];
		snprintf(w->name, sizeof w->name, "%s: %s", w->way->name, w->fate->name);
		tests[i] = (struct CMUnitTest){ w->name, fails, NULL, NULL, w };
	}
	disk_install();
	return cmocka_run_group_tests_name("renew_fault", tests, NULL, NULL);
}
