/* The ways in which an attempt may be wanted: types of key, keys used again, proofs, accounts that
 * are bound, profiles, chains. */
#include "issue_place.h"

#include "issue/limits.h"
#include "json/json.h"

static struct place place;

struct job {
	struct attempt attempt;
	struct attempt_want want;
	struct store_tx tx;
	bool ended, issued;
	size_t chain_count;
	char name[64]; /* the first of the certificate */
	struct err err;
	bool ca_at_fault;
	struct secret key;
	struct buf words; /* what it waited for */
	struct buf notes; /* why another type was tried */
};

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->ended = true;
}

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	if (next->unplaced)
		buf_printf(&OWNER(a, struct job, attempt)->notes, "%.*s %s\n", STR_ARG(flow->note),
		        next->err.text);
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)flow;
	store_tx_init(&j->tx);
	attempt_clear(a, &j->tx);
	j->issued = issued;
	if (issued) {
		j->key = secret_copy(secret_bytes(issued->key));
		j->chain_count = issued->chain_count;
		snprintf(j->name, sizeof j->name, "%.*s", STR_ARG(issued->leaf.names[0]));
	} else {
		j->err = failed->err;
		j->ca_at_fault = failed->ca_at_fault;
	}
	store_tx_put(&j->tx, STR("done"), j->want.id, 0, STR("{}"), STR_NONE);
	store_tx_start(place.store, &j->tx, stored);
}

static void waits(struct attempt *a, struct str name, struct str words)
{
	struct job *j = OWNER(a, struct job, attempt);
	buf_printf(&j->words, "%.*s: %.*s\n", STR_ARG(name), STR_ARG(words));
}

static const struct str names[] = { STR_INIT("shop.example.com"), STR_INIT("www.example.com") };

static void job_init(struct job *j, const char *id)
{
	*j = (struct job){ .attempt = { .moved = moved, .done = done, .waits = waits },
		.words = BUF_INIT(10000),
		.notes = BUF_INIT(10000),
		.want = { .id = str_c(id),
		        .issuer = STR("ca"),
		        .terms_agreed = true,
		        .names = names,
		        .name_count = 1 } };
}

static void job_done(struct job *j)
{
	attempt_abort(&j->attempt);
	store_tx_abort(&j->tx);
	secret_done(&j->key);
	buf_done(&j->words);
	buf_done(&j->notes);
}

static void job_run(struct job *j)
{
	attempt_start(place.issuers, &j->attempt, &j->want);
	turn_until(&place, j->ended);
}

static void job_succeeds(struct job *j)
{
	job_run(j);
	if (!j->issued)
		fail_msg("%s", j->err.text);
}

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	place_one_ca(&place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

static void restart(struct job *j)
{
	attempt_abort(&j->attempt);
	place_close(&place);
	place_open(&place);
	place_one_ca(&place);
}

static void assert_type(const struct secret *der, enum key_type type)
{
	struct err err = ERR_INIT;
	enum key_type got = KEY_TYPE_COUNT;
	KEY_AUTO *key = key_from_der(secret_bytes(der), "It", &err);
	assert_non_null(key);
	assert_true(key_type_of(key, &got));
	assert_int_equal(got, type);
}

static void a_key_of_the_wanted_type_is_made(void **state)
{
	(void)state;
	static const enum key_type types[] = { KEY_P256, KEY_P384, KEY_RSA2048 };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct job j;
		job_init(&j, key_type_name(types[i]));
		j.want.key_type = types[i];
		job_succeeds(&j);
		assert_type(&j.key, types[i]);
		job_done(&j);
	}
}

static void the_wanted_type_survives_a_restart(void **state)
{
	(void)state;
	struct job j;
	struct err err = ERR_INIT;
	job_init(&j, "shop");
	j.want.key_type = KEY_RSA2048;
	attempt_start(place.issuers, &j.attempt, &j.want);
	turn_until(&place, diary_count(&place, "ask challenge"));
	restart(&j);
	assert_true(attempt_resume(place.issuers, &j.attempt, STR("shop"), &err));
	turn_until(&place, j.ended);
	assert_true(j.issued && j.attempt.interrupted);
	assert_type(&j.key, KEY_RSA2048);
	job_done(&j);
}

/* While an RSA key is made, others go on; aborted, it is nobody's. */
static void a_key_that_nobody_wants_any_more_is_dropped(void **state)
{
	(void)state;
	struct job j, other;
	job_init(&j, "slow");
	job_init(&other, "other");
	j.want.key_type = KEY_RSA4096;
	attempt_start(place.issuers, &j.attempt, &j.want);
	turn_until(&place, diary_count(&place, "ask poll"));
	loop_turn(place.loop, 0);
	job_done(&j);
	job_succeeds(&other);
	assert_type(&other.key, KEY_P256);
	assert_int_equal(place.ca.finalized, 1);
	job_done(&other);
}

static void a_key_is_used_again_if_that_is_wanted(void **state)
{
	(void)state;
	struct job first, second, third;
	struct err err = ERR_INIT;
	job_init(&first, "first");
	job_succeeds(&first);
	job_init(&second, "second");
	second.want.reuse_key = &first.key;
	attempt_start(place.issuers, &second.attempt, &second.want);
	turn_until(&place, diary_count(&place, "ask challenge") == 2);
	restart(&second);
	assert_true(attempt_resume(place.issuers, &second.attempt, STR("second"), &err));
	turn_until(&place, second.ended);
	assert_true(second.issued);
	assert_true(secret_eq(&second.key, secret_bytes(&first.key)));
	assert_int_equal(record_version(&place, "flow-key", "second"), 0);
	job_init(&third, "third");
	SECRET_AUTO none = secret_copy(STR("no key"));
	third.want.reuse_key = &none;
	job_run(&third);
	assert_string_equal(third.err.text,
	        "The key to be used again is not a private key in DER (SEC 1 or PKCS#8).");
	job_done(&first);
	job_done(&second);
	job_done(&third);
}

/* Proofs. A prover of TLS-ALPN-01 that keeps what it is given, and says when it is in place. */

struct fake_proof {
	struct proving *at; /* NULL once withdrawn */
	struct later later;
};
struct fake_prover {
	struct prover prover;
	struct fake_proof proofs[8];
	unsigned placed, withdrawn;
	char text[256]; /* of the last one */
	bool unable, refuses, lapses;
};
static struct fake_prover by_tls;

static bool fake_can(struct prover *p, struct str name, struct err *ret_why_not)
{
	(void)p;
	if (!by_tls.unable)
		return true;
	return err_set(ret_why_not, ERR_INPUT, "No listener serves %.*s.", STR_ARG(name));
}

static void fake_ready(struct later *l)
{
	struct err err = ERR_INIT;
	struct proving *at = OWNER(l, struct fake_proof, later)->at;
	err_set(&err, ERR_IO, "The certificate for the proof could not be made.");
	at->lapsed = by_tls.lapses;
	at->ready(at, by_tls.refuses ? &err : NULL);
}

static void fake_place(struct prover *p, struct proving *at, const struct proof_text *text)
{
	struct fake_proof *proof = &by_tls.proofs[by_tls.placed++];
	(void)p;
	assert_in_range(by_tls.placed, 1, 8);
	proof->at = at;
	at->state = proof;
	snprintf(by_tls.text, sizeof by_tls.text, "%s %.*s %.*s %zu %.*s",
	        challenge_type_name(text->type), STR_ARG(text->name), STR_ARG(text->token),
	        text->thumbprint.n, STR_ARG(text->account));
	at->said(at, STR("being made"));
	later_start(&proof->later, place.loop, fake_ready);
}

static void fake_withdraw(struct proving *at, bool valid)
{
	struct fake_proof *proof = at->state;
	assert_ptr_equal(at, proof->at);
	proof->at = NULL;
	by_tls.withdrawn++;
	buf_printf(&place.diary, "withdrawn %d\n", valid);
	later_stop(&proof->later);
}

static const struct prover_ops fake_ops = {
	.can = fake_can, .place = fake_place, .withdraw = fake_withdraw
};

/* The place is opened again with both provers. */
static void with_tls(void)
{
	by_tls = (struct fake_prover){ .prover.ops = &fake_ops };
	place.tls_alpn01 = place.dns_persist01 = &by_tls.prover;
	place_close(&place);
	place_open(&place);
	place_one_ca(&place);
	place.ca.offers_tls = true;
}

static const enum challenge_type tls_first[] = { CHALLENGE_TLS_ALPN_01, CHALLENGE_HTTP_01 };

static void job_by(struct job *j, const enum challenge_type *types, size_t count)
{
	job_init(j, "shop");
	j->want.types = types;
	j->want.type_count = count;
}

static void the_preferred_type_is_proved_with(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	job_by(&j, tls_first, 2);
	job_succeeds(&j);
	assert_string_equal(by_tls.text, "tls-alpn-01 shop.example.com token-of-order-0-name-0 43 "
	                                 "https://ca.test/account/0");
	assert_string_equal(buf_c(&j.words), "shop.example.com: being made\n");
	assert_int_equal(diary_count(&place, "ask challenge of TLS"), 1);
	assert_int_equal(diary_count(&place, "ask challenge"), 1);
	assert_int_equal(diary_count(&place, "withdrawn 1"), 1);
	assert_string_equal(
	        buf_c(&logged), "info : The account at ca is https://ca.test/account/0.\n");
	job_done(&j);
}

static void a_type_that_fails_is_followed_by_the_next(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	place.ca.refused_type = "tls-alpn-01";
	job_by(&j, tls_first, 2);
	j.want.name_count = 2;
	job_succeeds(&j);
	assert_int_equal(place.ca.order_count, 3); /* each of the two names fails once */
	assert_non_null(strstr(buf_c(&logged),
	        "warning : The proof of shop.example.com by tls-alpn-01 failed, http-01 is tried. "
	        "ca.test could not prove control of shop.example.com."));
	assert_int_equal(diary_count(&place, "withdrawn 0"), by_tls.withdrawn);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
	job_done(&j);
}

/* Whom nobody answered for a while, the CA tells nothing of the type by. */
static void a_type_whose_proof_lapsed_is_not_followed_by_another(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	by_tls.lapses = true;
	place.ca.refused_type = "tls-alpn-01";
	job_by(&j, tls_first, 2);
	job_run(&j);
	assert_false(j.issued);
	assert_true(j.attempt.interrupted);
	assert_int_equal(place.ca.order_count, 1);
	assert_int_equal(by_tls.withdrawn, 1);
	job_done(&j);
	by_tls.lapses = false;
	job_by(&j, tls_first, 2);
	j.want.id = STR("other");
	job_succeeds(&j);
	assert_false(j.attempt.interrupted);
	job_done(&j);
}

#define LETS_ENCRYPT "https://acme-v02.api.letsencrypt.org/directory"

/* Another type is another order. */
static void a_type_is_followed_by_another_while_there_may_be_orders(void **state)
{
	(void)state;
	const struct issuer_row row = {
		.name = STR("ca"), .directory = STR(LETS_ENCRYPT), .trust = STR("the root")
	};
	for (unsigned left = 1; left <= 2; left++) {
		struct job j;
		with_tls();
		issuers_set(place.issuers, &row, 1);
		place.ca.directory = LETS_ENCRYPT;
		place.ca.refused_type = "tls-alpn-01";
		for (unsigned i = 0; i < 300 - left; i++)
			limits_spent(issuers_limits(place.issuers), SPENT_ORDER, STR(LETS_ENCRYPT),
			        names, 1);
		job_by(&j, tls_first, 2);
		job_run(&j);
		assert_int_equal(j.issued, left == 2);
		assert_int_equal(place.ca.order_count, left);
		if (left == 1)
			assert_non_null(strstr(j.err.text, "could not prove control of shop"));
		assert_false(j.ca_at_fault);
		job_done(&j);
		teardown(state);
		setup(state);
	}
}

static void the_next_type_survives_a_restart(void **state)
{
	(void)state;
	struct job j;
	struct err err = ERR_INIT;
	with_tls();
	place.ca.refused_type = "tls-alpn-01";
	job_by(&j, tls_first, 2);
	attempt_start(place.issuers, &j.attempt, &j.want);
	turn_until(&place, diary_count(&place, "ask order shop") == 2);
	restart(&j);
	assert_true(attempt_resume(place.issuers, &j.attempt, STR("shop"), &err));
	turn_until(&place, j.ended);
	assert_true(j.issued);
	assert_int_equal(diary_count(&place, "ask challenge of TLS"), 1);
	job_done(&j);
}

static void what_cannot_work_here_is_left_out(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	by_tls.unable = true;
	job_by(&j, tls_first, 2);
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask challenge of TLS"), 0);
	job_done(&j);
	job_by(&j, tls_first, 1);
	j.want.id = STR("again");
	job_run(&j);
	assert_string_equal(j.err.text, "shop.example.com cannot be proved from here. tls-alpn-01: "
	                                "No listener serves shop.example.com.");
	job_done(&j);
}

static void a_proof_that_cannot_be_placed_ends_the_attempt(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	by_tls.refuses = true;
	job_by(&j, tls_first, 1);
	job_run(&j);
	assert_string_equal(j.err.text, "The certificate for the proof could not be made.");
	assert_int_equal(by_tls.withdrawn, 1);
	job_done(&j);
}

/* Nothing was said to the CA of what is not there: the same order is proved by another type. */
static void a_proof_that_cannot_be_placed_is_followed_by_the_next(void **state)
{
	(void)state;
	struct job j;
	with_tls();
	by_tls.refuses = true;
	job_by(&j, tls_first, 2);
	j.want.name_count = 2;
	job_succeeds(&j);
	assert_int_equal(place.ca.order_count, 1);
	assert_int_equal(diary_count(&place, "ask challenge of TLS"), 0);
	assert_int_equal(diary_count(&place, "ask challenge"), 2);
	assert_int_equal(by_tls.withdrawn, by_tls.placed);
	assert_int_equal(serve_tokens(&place.serves[0]), 0);
	assert_string_equal(buf_c(&j.notes),
	        "The proof of shop.example.com by tls-alpn-01 could not be put in place, http-01 "
	        "is tried. The certificate for the proof could not be made.\n"
	        "The proof of www.example.com by tls-alpn-01 could not be put in place, http-01 "
	        "is tried. The certificate for the proof could not be made.\n");
	assert_non_null(strstr(buf_c(&logged),
	        "warning : The proof of shop.example.com by tls-alpn-01 could not be put in "
	        "place, http-01 is tried. The certificate for the proof could not be made.\n"));
	job_done(&j);
}

/* DNS-PERSIST-01 has none. */
static void a_proof_without_a_token_is_placed(void **state)
{
	(void)state;
	static const enum challenge_type type = CHALLENGE_DNS_PERSIST_01;
	struct job j;
	with_tls();
	place.ca.offers_persist = true;
	job_by(&j, &type, 1);
	job_succeeds(&j);
	assert_int_equal(by_tls.placed, 1);
	assert_string_equal(
	        by_tls.text, "dns-persist-01 shop.example.com  43 https://ca.test/account/0");
	job_done(&j);
}

static bool never(struct prover *p, struct str name, struct err *ret_why_not)
{
	(void)p;
	(void)name;
	return err_set(ret_why_not, ERR_INPUT, "No.");
}

static bool closed(struct approach *a, struct err *ret_why_not)
{
	(void)a;
	return err_set(ret_why_not, ERR_INPUT, "No.");
}

/* Who sets up proofs by DNS means them. */
static void dns_comes_first_where_it_is_set_up(void **state)
{
	(void)state;
	struct job j;
	static const struct prover_ops ops = { .can = never };
	struct prover none = { .ops = &ops };
	struct approach approach = { .open = closed };
	place_close(&place);
	place.by_http = &approach;
	place.tls_alpn01 = place.dns01 = place.dns_persist01 = &none;
	place_open(&place);
	place_one_ca(&place);
	job_init(&j, "shop");
	job_run(&j);
	assert_string_equal(j.err.text,
	        "shop.example.com cannot be proved from here. dns-persist-01: No. dns-01: No. "
	        "http-01: No. tls-alpn-01: No.");
	job_done(&j);
}

/* Accounts, profiles, chains */

static void an_account_is_bound_by_what_is_configured(void **state)
{
	(void)state;
	struct job j;
	struct issuer_row row = { .name = STR("ca"),
		.directory = STR(CA_DIRECTORY),
		.trust = STR("the root"),
		.eab_kid = STR("kid-1"),
		.eab_hmac = STR("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ") };
	static const struct {
		const char *id, *kid, *hmac, *sentence;
	} wrong[] = {
		{ "1", "kid-2", "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ",
		        "ca.test refused to bind the account" },
		{ "2", "kid-1", "Zm9v", "ca.test refused to bind the account" },
		{ "3", "kid-1", "???", "The key of `eab` is not base64url: copy it again." },
	};
	place.ca.eab_kid = "kid-1";
	place.ca.eab_hmac = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ";
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		row.eab_kid = str_c(wrong[i].kid);
		row.eab_hmac = str_c(wrong[i].hmac);
		issuers_set(place.issuers, &row, 1);
		job_init(&j, wrong[i].id);
		job_run(&j);
		assert_true(str_starts(str_c(j.err.text), str_c(wrong[i].sentence)));
		assert_false(j.ca_at_fault);
		job_done(&j);
	}
	row.eab_hmac = STR("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ");
	issuers_set(place.issuers, &row, 1);
	job_init(&j, "again");
	job_succeeds(&j);
	assert_int_equal(place.ca.accounts_made, 1);
	job_done(&j);
}

static void an_unknown_profile_is_not_ordered(void **state)
{
	(void)state;
	struct job j;
	job_init(&j, "shop");
	j.want.profile = STR("tiny");
	job_run(&j);
	assert_string_equal(j.err.text,
	        "ca.test offers no profile \"tiny\"; it has classic. Choose "
	        "one of them, or none.");
	assert_int_equal(place.ca.order_count, 0);
	job_done(&j);
	job_init(&j, "again");
	j.want.profile = STR("classic");
	job_succeeds(&j);
	job_done(&j);
}

static void what_a_directory_said_is_described(void **state)
{
	(void)state;
	struct job j;
	BUF_AUTO text = BUF_INIT(1000);
	struct json_writer w;
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	assert_false(issuers_describe(place.issuers, STR("ca"), &w));
	assert_false(issuers_describe(place.issuers, STR("nobody"), &w));
	job_init(&j, "shop");
	job_succeeds(&j);
	assert_true(issuers_describe(place.issuers, STR("ca"), &w));
	json_write_end(&w);
	assert_string_equal(buf_c(&text),
	        "{\"terms\":\"https://ca.test/terms\",\"website\":\"\",\"eab_required\":false,"
	        "\"profiles\":[{\"name\":\"classic\",\"text\":\"The default\"}]}");
	job_done(&j);
}

static void the_wanted_chain_is_taken(void **state)
{
	(void)state;
	struct job j;
	place.ca.other_chain = true;
	job_init(&j, "shop");
	j.want.preferred_chain = STR("Root Two");
	job_succeeds(&j);
	assert_int_equal(j.chain_count, 2);
	assert_int_equal(place.ca.downloads, 2);
	job_done(&j);
	job_init(&j, "default");
	j.want.preferred_chain = STR("Script CA");
	job_succeeds(&j);
	assert_int_equal(j.chain_count, 1);
	assert_int_equal(place.ca.downloads, 3);
	job_done(&j);
	job_init(&j, "none");
	j.want.preferred_chain = STR("Root Nine");
	job_succeeds(&j);
	assert_int_equal(j.chain_count, 1);
	assert_int_equal(place.ca.downloads, 5);
	job_done(&j);
}

/* Only a fault of the CA casts doubt on its directory. */
static void after_a_refusal_the_directory_is_still_known(void **state)
{
	(void)state;
	struct job j;
	place.ca.rejected = "shop.example.com";
	job_init(&j, "shop");
	job_run(&j);
	assert_false(j.issued || j.ca_at_fault);
	job_done(&j);
	place.ca.rejected = NULL;
	job_init(&j, "again");
	job_succeeds(&j);
	assert_int_equal(diary_count(&place, "ask directory"), 1);
	job_done(&j);
}

/* Whoever is told the same does not come back in the same instant, but not before it either, and a
 * tenth later at most; what is short is waited for exactly. */
static void waits_that_the_ca_wants_are_spread(void **state)
{
	for (int64_t seconds = 59; seconds <= 60; seconds++) {
		int64_t first = 0;
		bool differ = false;
		for (unsigned i = 0; i < 4; i++) {
			struct job j;
			char id[8];
			snprintf(id, sizeof id, "job%u", i);
			place.ca.limited = "shop.example.com";
			place.ca.limited_for = seconds;
			job_init(&j, id);
			attempt_start(place.issuers, &j.attempt, &j.want);
			turn_until(&place, diary_count(&place, "ask order") == 2 * i + 1);
			const int64_t begun = loop_wall(place.loop);
			place.ca.limited = NULL;
			turn_until(&place, diary_count(&place, "ask order") == 2 * i + 2);
			const int64_t waited = loop_wall(place.loop) - begun;
			assert_in_range(waited, seconds * SECOND,
			        seconds < 60 ? seconds * SECOND : seconds * SECOND * 11 / 10);
			differ |= i && waited != first;
			first = waited;
			turn_until(&place, j.ended);
			job_done(&j);
		}
		assert_int_equal(differ, seconds >= 60);
		teardown(state);
		setup(state);
	}
}

struct times {
	struct issuers_time is;
	unsigned heard;
};

static void heard_time(struct issuers_time *t, int64_t ca_says)
{
	OWNER(t, struct times, is)->heard++;
	assert_in_range(ca_says, loop_wall(place.loop) - 2 * SECOND, loop_wall(place.loop));
}

static void each_answer_tells_the_time(void **state)
{
	(void)state;
	struct job j;
	struct times times = { .is.heard = heard_time };
	issuers_watch_time(place.issuers, &times.is);
	job_init(&j, "shop");
	job_succeeds(&j);
	assert_int_equal(times.heard, place.ca.requests);
	issuers_watch_time(place.issuers, NULL);
	job_done(&j);
}

/* What is wanted is borrowed while an attempt is started, and no longer. */
static void the_internal_authority_remembers_the_names(void **state)
{
	(void)state;
	struct job j;
	const struct issuer_row row = { .name = STR("internal") };
	char name[] = "app.localhost";
	const struct str own[] = { str_c(name) };
	issuers_set(place.issuers, &row, 1);
	job_init(&j, "one");
	j.want.issuer = STR("internal");
	j.want.names = own;
	attempt_start(place.issuers, &j.attempt, &j.want);
	memset(name, 'x', sizeof name - 1);
	turn_until(&place, j.ended);
	assert_true(j.issued);
	assert_int_equal(j.chain_count, 1);
	assert_string_equal(j.name, "app.localhost");
	struct job again;
	job_init(&again, "two");
	again.want = j.want;
	again.want.id = STR("two");
	again.want.reuse_key = &j.key;
	memcpy(name, "app.localhost", sizeof name);
	job_succeeds(&again);
	assert_true(secret_eq(&again.key, secret_bytes(&j.key)));
	job_done(&again);
	job_done(&j);
}

/* Nobody else is held back by what is wrong with it. */
static void a_fault_of_the_internal_authority_is_no_fault_of_a_ca(void **state)
{
	(void)state;
	struct job j;
	const struct issuer_row row = { .name = STR("internal") };
	const struct str own[] = { STR("app.localhost") };
	issuers_set(place.issuers, &row, 1);
	record_put(&place, "authority", "private", STR("{\"root\":\"none\"}"), STR("key"));
	job_init(&j, "one");
	j.want.issuer = STR("internal");
	j.want.names = own;
	job_run(&j);
	assert_false(j.issued);
	assert_string_not_equal(j.err.text, "");
	assert_false(j.ca_at_fault);
	job_done(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_key_of_the_wanted_type_is_made),
		T(the_wanted_type_survives_a_restart),
		T(a_key_that_nobody_wants_any_more_is_dropped),
		T(a_key_is_used_again_if_that_is_wanted),
		T(the_preferred_type_is_proved_with),
		T(a_type_that_fails_is_followed_by_the_next),
		T(a_type_whose_proof_lapsed_is_not_followed_by_another),
		T(a_type_is_followed_by_another_while_there_may_be_orders),
		T(the_next_type_survives_a_restart),
		T(what_cannot_work_here_is_left_out),
		T(a_proof_that_cannot_be_placed_ends_the_attempt),
		T(a_proof_that_cannot_be_placed_is_followed_by_the_next),
		T(a_proof_without_a_token_is_placed),
		T(dns_comes_first_where_it_is_set_up),
		T(an_account_is_bound_by_what_is_configured),
		T(the_internal_authority_remembers_the_names),
		T(a_fault_of_the_internal_authority_is_no_fault_of_a_ca),
		T(an_unknown_profile_is_not_ordered),
		T(what_a_directory_said_is_described),
		T(the_wanted_chain_is_taken),
		T(after_a_refusal_the_directory_is_still_known),
		T(waits_that_the_ca_wants_are_spread),
		T(each_answer_tells_the_time),
	};
	return cmocka_run_group_tests_name("issue_ways", tests, NULL, NULL);
}
