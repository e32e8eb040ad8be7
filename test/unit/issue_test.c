/* One attempt at a certificate, with the real store and keys, against a scripted CA. */
#include "issue_place.h"

#include "json/json.h"

static struct place place;

/* An attempt, and the caller's side of it: the outcome is stored together with what the attempt
 * wants forgotten. */
struct job {
	struct attempt attempt;
	struct place *place;
	struct store_tx tx;
	char id[32];
	struct str names[4];
	size_t name_count;
	const char *email;
	unsigned moves, told, followed, fetched;
	bool issued, ended;
	size_t chain_count;
	int64_t not_after;
	struct next failed;
	struct list node; /* in live */
};
static struct list live; /* aborted at the end of a case, also of one that failed */

static void outcome_stored(struct store_tx *tx, const struct err *err)
{
	struct job *j = OWNER(tx, struct job, tx);
	assert_null(err);
	list_remove(&j->node);
	j->ended = true;
}

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	struct job *j = OWNER(a, struct job, attempt);
	j->moves++;
	assert_non_null(flow);
	assert_in_range(next->what, FLOW_GO, FLOW_FAIL);
}

static void follows(struct attempt *a)
{
	OWNER(a, struct job, attempt)->followed++;
}

static void may_go_on(struct attempt *a)
{
	attempt_go_on(a);
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	struct err err = ERR_INIT;
	j->told++;
	assert_true((issued != NULL) != (failed != NULL));
	store_tx_init(&j->tx);
	attempt_clear(a, &j->tx);
	if (failed) {
		j->failed = *failed;
		assert_int_equal(failed->what, FLOW_FAIL);
	} else {
		assert_non_null(flow);
		j->issued = true;
		j->chain_count = issued->chain_count;
		j->not_after = issued->leaf.not_after;
		KEY_AUTO *key = key_from_der(secret_bytes(issued->key), "It", &err);
		assert_non_null(key);
		assert_true(key_fits(key, issued->chain[0]));
		for (size_t i = 0; i < j->name_count; i++)
			assert_true(cert_covers(&issued->leaf, j->names[i]));
		store_tx_put(&j->tx, STR("certificate"), str_c(j->id), 0, STR("{}"), STR_NONE);
	}
	store_tx_start(j->place->store, &j->tx, outcome_stored);
}

static void job_init(struct job *j, const char *id, const char *name, const char *second)
{
	*j = (struct job){ .place = &place,
		.attempt = { .moved = moved,
		        .done = done,
		        .follows = follows,
		        .may_go_on = may_go_on } };
	snprintf(j->id, sizeof j->id, "%s", id);
	j->names[j->name_count++] = str_c(name);
	if (second)
		j->names[j->name_count++] = str_c(second);
}

static void job_start_at(struct job *j, const char *issuer)
{
	attempt_start(place.issuers, &j->attempt,
	        &(struct attempt_want){
	                .id = str_c(j->id),
	                .issuer = str_c(issuer),
	                .email = str_c(j->email),
	                .terms_agreed = true,
	                .names = j->names,
	                .name_count = j->name_count,
	        });
	assert_non_null(j->attempt.state);
	assert_int_equal(j->told, 0);
	list_remove(&j->node);
	list_add_last(&live, &j->node);
}

static void job_start(struct job *j)
{
	job_start_at(j, "ca");
}

static void job_end(struct job *j)
{
	turn_until(&place, j->ended);
	assert_int_equal(j->told, 1);
	assert_null(j->attempt.state);
	assert_int_equal(record_version(&place, "flow", j->id), 0);
	assert_int_equal(record_version(&place, "flow-key", j->id), 0);
}

static void job_succeeds(struct job *j)
{
	job_end(j);
	if (!j->issued)
		fail_msg("%s", j->failed.err.text);
}

static void job_fails(struct job *j, enum err_code code, const char *sentence)
{
	job_end(j);
	assert_false(j->issued);
	assert_string_equal(j->failed.err.text, sentence);
	assert_int_equal(j->failed.err.code, code);
}

static const struct issuer_row rows[] = {
	{ .name = STR_INIT("ca"),
	        .directory = STR_INIT(CA_DIRECTORY),
	        .trust = STR_INIT("the root") },
	{ .name = STR_INIT("again"),
	        .directory = STR_INIT(CA_DIRECTORY "?2"),
	        .trust = STR_INIT("the root") },
	{ .name = STR_INIT("letsencrypt"),
	        .directory = STR_INIT("https://acme-v02.api.letsencrypt.org/directory") },
	{ .name = STR_INIT("staging"),
	        .directory = STR_INIT("https://acme-staging-v02.api.letsencrypt.org/directory") },
};

static void set_rows(void)
{
	issuers_set(place.issuers, rows, sizeof rows / sizeof *rows);
}

static int setup(void **state)
{
	(void)state;
	list_init(&live);
	place_init(&place);
	set_rows();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	LIST_EACH (n, &live) {
		attempt_abort(&OWNER(n, struct job, node)->attempt);
		store_tx_abort(&OWNER(n, struct job, node)->tx);
	}
	place_done(&place);
	return 0;
}

static void restart(struct job *j)
{
	attempt_abort(&j->attempt);
	store_tx_abort(&j->tx);
	list_remove(&j->node);
	place_close(&place);
	place_open(&place);
	set_rows();
}

/* The law: stored before use */

static void what_is_stored_comes_before_what_is_said(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	j.email = "ops@example.com";
	job_start(&j);
	job_succeeds(&j);
	/* A flow is put before each ask; twice in a row when it was kept that a token is in place,
	 * and the request with the stored key. */
	assert_string_equal(buf_c(&place.diary),
	        "put account-key\n"
	        "put flow\nask directory\n"
	        "put flow\nask nonce\n"
	        "put flow\nask account?\n"
	        "put flow\nask account\n"
	        "put account\nput flow\nask order shop.example.com\n"
	        "put flow\nask authz\n"
	        "put flow\nput flow\nask challenge\n"
	        "put flow\nask poll\n"
	        "put flow\nput flow-key\nput flow\nask finalize\n"
	        "put flow\nask certificate\n"
	        "delete flow\ndelete flow-key\nput certificate\n");
	assert_int_equal(j.chain_count, 1);
	assert_int_equal(j.not_after, place.ca.orders[0].not_after);
	run_for(&place, 10);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
}

/* One account */

static void twenty_attempts_make_one_account(void **state)
{
	(void)state;
	static struct job jobs[20];
	static char names[20][32];
	for (int i = 0; i < 20; i++) {
		snprintf(names[i], sizeof names[i], "n%d.example.com", i);
		job_init(&jobs[i], names[i], names[i], NULL);
		job_start(&jobs[i]);
	}
	for (int i = 0; i < 20; i++)
		job_succeeds(&jobs[i]);
	assert_int_equal(place.ca.accounts_made, 1);
	assert_int_equal(diary_count(&place, "ask account"), 2);
	assert_int_equal(diary_count(&place, "put account-key"), 1);
	assert_int_equal(diary_count(&place, "put account\n"), 0);
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), 1);
	assert_int_equal(place.ca.order_count, 20);
	assert_int_equal(place.ca.finalized, 20);
}

/* Killed at every step */

static void check_whole(struct job *j, unsigned orders)
{
	assert_int_equal(place.ca.accounts_made, 1);
	assert_int_equal(place.ca.finalized, 1);
	assert_int_equal(place.ca.order_count, orders);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 1);
	assert_int_equal(record_version(&place, "certificate", j->id), 1);
	for (unsigned i = 0; i < orders; i++)
		for (size_t k = 0; k < j->name_count; k++)
			assert_in_range(place.ca.orders[i].accepted[k], i + 1 == orders, 1);
}

static void go_on(struct job *j)
{
	struct err err = ERR_INIT;
	restart(j);
	j->told = 0;
	if (record_version(&place, "certificate", j->id))
		return;
	if (!attempt_resume(place.issuers, &j->attempt, str_c(j->id), &err)) {
		assert_int_equal(err.code, ERR_NOT_FOUND);
		job_start(j);
	}
	turn_until(&place, j->ended);
	if (!j->issued)
		fail_msg("%s", j->failed.err.text);
}

static bool killed(enum ca_fault fault, unsigned at, unsigned names)
{
	static struct job j;
	job_init(&j, "shop", "shop.example.com", names > 1 ? "www.example.com" : NULL);
	place.ca.fault = fault;
	place.ca.fault_at = fault == FAULT_NONE ? 0 : at;
	place.kill_at = fault == FAULT_NONE ? at : 0;
	place.ca.processing = 1;
	job_start(&j);
	turn_until(&place, j.ended || place.ca.stopped);
	bool hit = place.ca.stopped;
	BUF_AUTO before = BUF(1 << 20);
	buf_add_buf(&before, &place.diary);
	if (hit)
		go_on(&j);
	bool order_lost = fault == FAULT_STOP_AFTER &&
	                  str_ends(buf_str(&before), STR("ask order shop.example.com\n"));
	check_whole(&j, order_lost ? 2 : 1);
	return hit;
}

static void killed_at_any_step_it_goes_on(void **state)
{
	(void)state;
	static const enum ca_fault faults[] = { FAULT_STOP_BEFORE, FAULT_STOP_AFTER, FAULT_NONE };
	unsigned kills = 0;
	for (unsigned names = 1; names <= 2; names++)
		for (size_t i = 0; i < 3; i++)
			for (unsigned at = 1;; at++) {
				bool hit = killed(faults[i], at, names);
				kills += hit;
				teardown(NULL);
				setup(NULL);
				if (!hit)
					break;
			}
	print_message("# killed %u times\n", kills);
	assert_in_range(kills, 90, 200);
}

static void a_lost_answer_is_like_a_kill(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 12; at++) {
		static struct job j;
		job_init(&j, "shop", "shop.example.com", NULL);
		place.ca.fault = at % 2 ? FAULT_UNANSWERED : FAULT_LOST;
		place.ca.fault_at = at;
		job_start(&j);
		job_succeeds(&j);
		assert_int_equal(place.ca.accounts_made, 1);
		teardown(NULL);
		setup(NULL);
	}
}

/* What the CA sends must be what was asked for */

static void a_wrong_certificate_is_refused(void **state)
{
	(void)state;
	static const struct {
		enum ca_leaf leaf;
		const char *sentence;
	} cases[] = {
		{ LEAF_OTHER_KEY, "ca sent a certificate for another key. Ask the CA why." },
		{ LEAF_OTHER_NAME,
		        "ca sent a certificate that is not for shop.example.com. It is tried "
		        "again; if it comes back, ask the CA." },
		{ LEAF_EXPIRED, "ca sent a certificate that has expired already. Check this "
		                "machine's clock; if it is right, the CA is at fault." },
		{ LEAF_EARLY, "ca sent a certificate that is not valid yet. Check this machine's "
		              "clock; if it is right, the CA is at fault." },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		static struct job j;
		job_init(&j, "shop", "shop.example.com", NULL);
		place.ca.leaf = cases[i].leaf;
		job_start(&j);
		job_fails(&j, ERR_PROTOCOL, cases[i].sentence);
		assert_true(j.failed.ca_at_fault);
	}
	/* The second of its names counts as well. */
	static struct job j;
	job_init(&j, "other", "other.example.com", "shop.example.com");
	place.ca.leaf = LEAF_OTHER_NAME;
	job_start(&j);
	job_fails(&j, ERR_PROTOCOL, cases[1].sentence);
}

static void what_is_no_certificate_is_refused(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	place.ca.leaf = LEAF_NO_PEM;
	job_start(&j);
	turn_until(&place, j.ended);
	assert_false(j.issued);
	assert_true(j.failed.ca_at_fault);
	assert_int_equal(place.ca.downloads, 6);
	assert_int_equal(place.ca.order_count, 1);
}

static void a_refused_proof_comes_with_the_words_of_the_ca(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "www.example.com", "shop.example.com");
	place.ca.refused = "shop.example.com";
	job_start(&j);
	job_end(&j);
	assert_non_null(strstr(j.failed.err.text, "Timeout during connect"));
	assert_non_null(strstr(j.failed.err.text, "shop.example.com"));
	assert_false(j.failed.ca_at_fault);
	run_for(&place, 10);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
}

/* Its caller may begin it anew, and is told so once: the next attempt is told of by itself. */
static void a_proof_that_nobody_answered_for_is_interrupted(void **state)
{
	(void)state;
	static struct job j;
	for (int lapsed = 1; lapsed >= 0; lapsed--) {
		struct attempt before = j.attempt;
		job_init(&j, "shop", "shop.example.com", NULL);
		j.attempt.interrupted = before.interrupted;
		place.ca.refused = "shop.example.com";
		buf_clear(&place.diary);
		job_start(&j);
		turn_until(&place, diary_count(&place, "ask challenge"));
		if (lapsed) {
			serve_detach(&place, 0);
			serve_attach(&place, 0);
		}
		job_end(&j);
		assert_int_equal(j.failed.err.code, ERR_REFUSED);
		assert_int_equal(j.attempt.interrupted, lapsed);
	}
}

/* The account key */

static void an_account_key_that_cannot_be_read_is_kept(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	record_put(&place, "account-key", CA_DIRECTORY, STR("{}"), STR("no sealed key"));
	for (int i = 0; i < 2; i++) {
		job_init(&j, "shop", "shop.example.com", NULL);
		job_start(&j);
		job_fails(&j, ERR_CORRUPT,
		        "The account key for " CA_DIRECTORY " cannot be opened: what is stored "
		        "in its place is not a sealed record. Restore it from a backup.");
		assert_false(j.failed.ca_at_fault);
	}
	assert_int_equal(place.ca.requests, 0);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 1);
}

static void account_key_is_refused(const struct secret *secret, const char *sentence)
{
	static struct job j;
	BUF_AUTO blob = BUF(1024);
	struct seal_for what = { STR("account-key"), STR(CA_DIRECTORY), 1 };
	seal(place.master, what, secret, &blob);
	record_put(&place, "account-key", CA_DIRECTORY, STR("{}"), buf_str(&blob));
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	job_end(&j);
	if (!strstr(j.failed.err.text, sentence))
		fail_msg("%s", j.failed.err.text);
	assert_int_equal(place.ca.requests, 0);
}

static void what_is_sealed_as_account_key_must_be_a_key(void **state)
{
	(void)state;
	SECRET_AUTO none = secret_copy(STR("not a key"));
	account_key_is_refused(&none, "The account key for " CA_DIRECTORY);
	teardown(NULL);
	setup(NULL);
	struct err err = ERR_INIT;
	KEY_AUTO *key = key_new(KEY_P384, &err);
	SECRET_AUTO other = key_to_der(key);
	account_key_is_refused(
	        &other, "The account key for " CA_DIRECTORY " is not an ECDSA P-256 key.");
}

static void a_full_disk_makes_no_account(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	store_full(&place, true);
	/* Nothing can be stored, the outcome neither. */
	job_start(&j);
	turn_until(&place, j.told);
	store_full(&place, false);
	assert_int_equal(j.failed.err.code, ERR_IO);
	assert_false(j.failed.ca_at_fault);
	assert_int_equal(place.ca.requests, 0);
	store_tx_abort(&j.tx);
	list_remove(&j.node);
	run_for(&place, 1);
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(place.ca.accounts_made, 1);
	assert_int_equal(diary_count(&place, "put account-key"), 1);
}

struct key_call {
	struct issuer_key_call call;
	unsigned told;
	const struct key *key;
};

static void have_key(struct issuer_key_call *c, const struct key *key, const struct err *err)
{
	struct key_call *k = OWNER(c, struct key_call, call);
	assert_true((key != NULL) != (err != NULL));
	k->told++;
	k->key = key;
}

static void ask_key(struct key_call *k, const char *issuer)
{
	*k = (struct key_call){ 0 };
	issuer_key(place.issuers, str_c(issuer), &k->call, have_key);
	assert_int_equal(k->told, 0);
}

static void each_issuer_has_a_key_but_lets_encrypt_one_for_both(void **state)
{
	(void)state;
	struct key_call ca, again, le, staging, aborted;
	ask_key(&ca, "ca");
	ask_key(&again, "again");
	ask_key(&le, "letsencrypt");
	ask_key(&staging, "staging");
	ask_key(&aborted, "ca");
	issuer_key_abort(&aborted.call);
	turn_until(&place, ca.told && again.told && le.told && staging.told);
	assert_ptr_equal(le.key, staging.key);
	assert_ptr_not_equal(le.key, ca.key);
	assert_ptr_not_equal(again.key, ca.key);
	assert_int_equal(record_version(&place, "account-key", "letsencrypt"), 1);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 1);
	struct key_call later;
	ask_key(&later, "ca");
	turn_until(&place, later.told);
	assert_ptr_equal(later.key, ca.key);
	run_for(&place, 10);
	assert_int_equal(ca.told + again.told + le.told + staging.told + later.told, 5);
	assert_int_equal(aborted.told, 0);
	char before[JWK_THUMBPRINT + 1], after[JWK_THUMBPRINT + 1];
	key_thumbprint(ca.key, before);
	ask_key(&later, "again");
	place_close(&place);
	issuer_key_abort(&later.call);
	place_open(&place);
	set_rows();
	ask_key(&ca, "ca");
	turn_until(&place, ca.told);
	key_thumbprint(ca.key, after);
	assert_string_equal(before, after);
	assert_int_equal(later.told, 0);
}

/* What is known of a CA */

static void what_is_known_is_not_asked_again(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "a", "a.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 1);
	assert_int_equal(diary_count(&place, "ask account"), 2);
	run_for(&place, HOUR - 1 - (loop_wall(place.loop) - place.ca.orders[0].at));
	job_init(&j, "b", "b.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 1);
	run_for(&place, 10);
	job_init(&j, "c", "c.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 2);
	assert_int_equal(diary_count(&place, "ask account"), 2);
	restart(&j);
	job_init(&j, "d", "d.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 3);
	assert_int_equal(diary_count(&place, "ask account"), 2);
}

/* What stands there may have changed, and is the reason. */
static void after_a_fault_of_the_ca_its_directory_is_read_anew(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "a", "a.example.com", NULL);
	place.ca.leaf = LEAF_NO_PEM;
	job_start(&j);
	turn_until(&place, j.ended);
	assert_true(j.failed.ca_at_fault);
	assert_int_equal(diary_count(&place, "ask directory"), 1);
	place.ca.leaf = LEAF_GOOD;
	job_init(&j, "b", "b.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 2);
}

static void an_account_that_the_ca_forgot_is_made_anew(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "a", "a.example.com", NULL);
	j.email = "ops@example.com";
	job_start(&j);
	job_succeeds(&j);
	BUF_AUTO stored = BUF(4096);
	record_value(&place, "account", CA_DIRECTORY, &stored);
	assert_string_equal(buf_c(&stored),
	        "{\"url\":\"https://ca.test/account/0\",\"email\":"
	        "\"ops@example.com\",\"terms\":\"https://ca.test/terms\"}");
	place.ca.account_count = 0;
	place.ca.account_base = 5;
	job_init(&j, "b", "b.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(place.ca.accounts_made, 2);
	assert_int_equal(diary_count(&place, "put account-key"), 1);
	buf_clear(&stored);
	record_value(&place, "account", CA_DIRECTORY, &stored);
	assert_string_equal(buf_c(&stored), "{\"url\":\"https://ca.test/account/5\",\"email\":"
	                                    "\"\",\"terms\":\"https://ca.test/terms\"}");
	job_init(&j, "c", "c.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask account"), 4);
}

static void another_row_of_the_name_counts_from_the_next_attempt_on(void **state)
{
	(void)state;
	static struct job j;
	struct issuer_row changed = rows[0];
	changed.directory = STR(CA_DIRECTORY "?new");
	job_init(&j, "a", "a.example.com", NULL);
	job_start(&j);
	turn_until(&place, diary_count(&place, "ask order"));
	issuers_set(place.issuers, &changed, 1);
	job_succeeds(&j);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 1);
	struct key_call k;
	ask_key(&k, "ca");
	turn_until(&place, k.told);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY "?new"), 1);
	/* The same row again keeps what is known. */
	set_rows();
	job_init(&j, "b", "b.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	set_rows();
	unsigned asked = diary_count(&place, "ask directory");
	job_init(&j, "c", "c.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), asked);
	/* Other trust is another CA. */
	changed = rows[0];
	changed.trust = STR("the root of another");
	issuers_set(place.issuers, &changed, 1);
	set_rows();
	job_init(&j, "d", "d.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), asked + 1);
}

/* Who finds out the account */

static void the_next_one_leads_when_the_first_fails(void **state)
{
	(void)state;
	static struct job a, b, c;
	job_init(&a, "a", "a.example.com", NULL);
	job_init(&b, "b", "b.example.com", NULL);
	job_init(&c, "c", "c.example.com", NULL);
	place.ca.down = true;
	job_start(&a);
	job_start(&b);
	job_start(&c);
	turn_until(&place, a.ended);
	assert_int_equal(a.failed.err.code, ERR_UNREACHABLE);
	assert_true(a.failed.ca_at_fault);
	assert_false(b.ended || c.ended);
	assert_int_equal(a.followed, 0);
	assert_int_equal(b.followed * c.followed, 1);
	place.ca.down = false;
	job_succeeds(&b);
	job_succeeds(&c);
	assert_int_equal(diary_count(&place, "ask account"), 2);
}

static void who_waits_goes_on_once_the_account_is_known(void **state)
{
	(void)state;
	static struct job a, b;
	job_init(&a, "a", "a.example.com", NULL);
	job_init(&b, "b", "b.example.com", NULL);
	job_start(&a);
	job_start(&b);
	turn_until(&place, diary_count(&place, "ask certificate"));
	assert_int_equal(diary_count(&place, "ask order"), 2);
	job_succeeds(&a);
	job_succeeds(&b);
}

static void those_who_wait_are_not_forgotten(void **state)
{
	(void)state;
	static struct job a, b, c, d;
	job_init(&a, "a", "a.example.com", NULL);
	job_init(&b, "b", "b.example.com", NULL);
	job_init(&c, "c", "c.example.com", NULL);
	job_init(&d, "d", "d.example.com", NULL);
	job_start(&a);
	job_start(&b);
	job_start(&c);
	job_start(&d);
	turn_until(&place, place.ca.requests == 1);
	attempt_abort(&c.attempt); /* one that waits */
	attempt_abort(&a.attempt); /* the one that leads */
	attempt_abort(&b.attempt); /* the next one, before it goes on */
	job_succeeds(&d);
	assert_int_equal(a.told + b.told + c.told, 0);
}

/* Resuming */

static void resume_fails(const char *id, enum err_code code, const char *sentence)
{
	static struct job j;
	struct err err = ERR_INIT;
	job_init(&j, id, "shop.example.com", NULL);
	assert_false(attempt_resume(place.issuers, &j.attempt, str_c(id), &err));
	assert_null(j.attempt.state);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, sentence))
		fail_msg("%s", err.text);
}

/* Runs until that line is written into the diary, and ends the process there. */
static void run_and_kill(struct job *j, const char *line)
{
	job_init(j, "shop", "shop.example.com", NULL);
	job_start(j);
	turn_until(&place, str_ends(buf_str(&place.diary), str_c(line)));
}

static void a_flow_that_cannot_go_on_is_replaced(void **state)
{
	(void)state;
	static const struct {
		const char *value, *sentence;
		enum err_code code;
	} cases[] = {
		{ "{\"issuer\":\"gone\",\"flow\":{}}",
		        "The issuer of the attempt is not configured any more.", ERR_NOT_FOUND },
		{ "[", "The stored attempt is not JSON", ERR_INPUT },
		{ "{\"issuer\":\"ca\",\"flow\":{}}", "", ERR_CORRUPT },
		{ "{\"issuer\":\"ca\"}", "", ERR_CORRUPT },
	};
	static struct job j;
	resume_fails("shop", ERR_NOT_FOUND, "");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		record_put(&place, "flow", "shop", str_c(cases[i].value), STR_NONE);
		resume_fails("shop", cases[i].code, cases[i].sentence);
	}
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
}

static void a_flow_whose_key_is_unreadable_is_replaced(void **state)
{
	(void)state;
	static struct job j;
	run_and_kill(&j, "ask finalize\n");
	restart(&j);
	record_put(&place, "flow-key", "shop", STR("{}"), STR("damaged"));
	resume_fails("shop", ERR_CORRUPT,
	        "The key of the certificate that was under way cannot be opened: what is stored");
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(place.ca.order_count, 2);
}

static struct buf flow_now, flow_before;

static void keep_flow(struct store_watch *w, struct str kind, struct str id, int64_t version)
{
	(void)w;
	(void)kind;
	(void)id;
	(void)version;
	buf_clear(&flow_before);
	buf_add_buf(&flow_before, &flow_now);
	buf_clear(&flow_now);
	record_value(&place, "flow", "shop", &flow_now);
}

/* The key was stored, the flow that has its request was not. */
static void a_stored_key_is_used_again(void **state)
{
	(void)state;
	static struct job j;
	struct err err = ERR_INIT;
	struct store_watch watch;
	flow_now = BUF(1 << 20);
	flow_before = BUF(1 << 20);
	store_watch_start(place.store, &watch, STR("flow"), keep_flow);
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	turn_until(&place, diary_count(&place, "put flow-key"));
	restart(&j);
	assert_null(strstr(buf_c(&flow_before), "\"csr\""));
	assert_non_null(strstr(buf_c(&flow_now), "\"csr\""));
	record_put(&place, "flow", "shop", buf_str(&flow_before), STR_NONE);
	buf_done(&flow_before);
	buf_done(&flow_now);
	assert_true(attempt_resume(place.issuers, &j.attempt, STR("shop"), &err));
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "put flow-key"), 1);
	assert_int_equal(place.ca.order_count, 1);
	assert_int_equal(place.ca.finalized, 1);
}

/* The full disk on the way */

static void nothing_is_said_that_is_not_stored(void **state)
{
	(void)state;
	static const char *const lines[] = { "put account-key\n", "ask directory\n",
		"ask order shop.example.com\n", "ask challenge\n", "ask poll\n" };
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		static struct job j;
		run_and_kill(&j, lines[i]);
		if (i) /* what was being stored then is */
			run_for(&place, 0);
		unsigned before = place.ca.requests;
		store_full(&place, true);
		turn_until(&place, j.told);
		store_full(&place, false);
		assert_int_equal(j.failed.err.code, ERR_IO);
		assert_false(j.failed.ca_at_fault);
		assert_in_range(place.ca.requests, before, before + 1);
		teardown(NULL);
		setup(NULL);
	}
}

/* Tokens */

static void attempts_may_get_the_same_token(void **state)
{
	(void)state;
	static struct job a, b;
	place.ca.same_tokens = true;
	job_init(&a, "a", "shop.example.com", NULL);
	job_init(&b, "b", "shop.example.com", "www.example.com");
	job_start(&a);
	job_start(&b);
	job_end(&a);
	job_end(&b);
	assert_true(a.issued && b.issued);
	run_for(&place, 10);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
}

static void a_token_that_changes_is_replaced(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	place.ca.changes_token = true;
	job_start(&j);
	turn_until(&place, diary_count(&place, "ask poll"));
	assert_int_equal(serve_tokens(&place.serves[0]), 1);
	job_succeeds(&j);
	run_for(&place, 10);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
}

/* Who asked for the certificate hears of the beginning, of every answer, and of the token and the
 * certificate request, for which nobody is asked. */
static void every_move_is_told(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	job_start(&j);
	job_succeeds(&j);
	assert_int_equal(j.moves, 3 + diary_count(&place, "ask "));
}

static void a_proof_waits_for_serve(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	serve_detach(&place, 0);
	job_start(&j);
	run_for(&place, MINUTE);
	assert_false(j.ended);
	assert_int_equal(diary_count(&place, "ask challenge"), 0);
	serve_attach(&place, 0);
	job_succeeds(&j);
}

static void fetched(struct attempt *a, struct str name, struct str client)
{
	assert_true(str_eq_c(name, "shop.example.com") && str_eq_c(client, "192.0.2.1"));
	OWNER(a, struct job, attempt)->fetched++;
}

static void who_fetches_a_token_is_told(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "shop.example.com", NULL);
	j.attempt.fetched = fetched;
	job_start(&j);
	turn_until(&place, diary_count(&place, "ask challenge"));
	const struct str text = str_c(place.serves[0].tokens[0]);
	board_heard_seen(place.board, str_head(text, str_find(text, ' ')), STR("192.0.2.1"));
	job_succeeds(&j);
	assert_int_equal(j.fetched, 1);
}

static void an_attempt_without_names_is_refused(void **state)
{
	(void)state;
	static struct job j;
	job_init(&j, "shop", "*.example.com", NULL);
	job_start(&j);
	job_end(&j);
	assert_non_null(strstr(j.failed.err.text, "*.example.com is a wildcard"));
	assert_int_equal(j.moves, 0);
}

/* `done` may start the next attempt with the same struct. */
static struct job twice;

static void done_again(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	if (issued) {
		done(a, flow, issued, failed);
		return;
	}
	attempt_abort(a);
	job_start(&twice);
}

static void an_attempt_may_be_followed_by_another_at_once(void **state)
{
	(void)state;
	job_init(&twice, "shop", "shop.example.com", NULL);
	twice.attempt.done = done_again;
	place.ca.leaf = LEAF_OTHER_KEY;
	job_start(&twice);
	turn_until(&place, diary_count(&place, "ask certificate"));
	place.ca.leaf = LEAF_GOOD;
	job_succeeds(&twice);
	assert_int_equal(place.ca.order_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(what_is_stored_comes_before_what_is_said),
		T(twenty_attempts_make_one_account),
		T(killed_at_any_step_it_goes_on),
		T(a_lost_answer_is_like_a_kill),
		T(a_wrong_certificate_is_refused),
		T(what_is_no_certificate_is_refused),
		T(a_refused_proof_comes_with_the_words_of_the_ca),
		T(a_proof_that_nobody_answered_for_is_interrupted),
		T(an_account_key_that_cannot_be_read_is_kept),
		T(what_is_sealed_as_account_key_must_be_a_key),
		T(a_full_disk_makes_no_account),
		T(each_issuer_has_a_key_but_lets_encrypt_one_for_both),
		T(what_is_known_is_not_asked_again),
		T(after_a_fault_of_the_ca_its_directory_is_read_anew),
		T(an_account_that_the_ca_forgot_is_made_anew),
		T(another_row_of_the_name_counts_from_the_next_attempt_on),
		T(the_next_one_leads_when_the_first_fails),
		T(who_waits_goes_on_once_the_account_is_known),
		T(those_who_wait_are_not_forgotten),
		T(a_flow_that_cannot_go_on_is_replaced),
		T(a_flow_whose_key_is_unreadable_is_replaced),
		T(a_stored_key_is_used_again),
		T(nothing_is_said_that_is_not_stored),
		T(attempts_may_get_the_same_token),
		T(a_token_that_changes_is_replaced),
		T(every_move_is_told),
		T(a_proof_waits_for_serve),
		T(who_fetches_a_token_is_told),
		T(an_attempt_without_names_is_refused),
		T(an_attempt_may_be_followed_by_another_at_once),
	};
	return cmocka_run_group_tests_name("issue", tests, NULL, NULL);
}
