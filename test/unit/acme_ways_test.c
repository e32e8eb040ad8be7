/* What may be wanted of a CA beside a certificate for a name: accounts that are bound, profiles,
 * other chains, other proofs. Their course is test/dialogue's; here is what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "acme/flow.h"
#include "base/clock.h"
#include "certs/cert.h"
#include "keys/authority.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define CA       "https://ca.test"
#define URN      "urn:ietf:params:acme:error:"
static const int64_t now = INT64_C(1795500000000);

#define DIRECTORY(meta)                                                                            \
	"{\"newNonce\":\"" CA "/nonce\",\"newAccount\":\"" CA "/account\",\"newOrder\":\"" CA      \
	"/order\",\"meta\":{" meta "}}"

static struct flow *flow_of(const struct flow_want *more)
{
	static const struct str name = STR_INIT("shop.example.com");
	struct err err = ERR_INIT;
	struct flow_want want = *more;
	want.directory_url = STR(CA "/directory");
	want.terms_agreed = true;
	want.names = want.name_count ? want.names : &name;
	want.name_count = want.name_count ? want.name_count : 1;
	want.now = now;
	struct flow *f = flow_new(&want, &err);
	if (!f)
		fail_msg("%s", err.text);
	return f;
}

static struct next hear_with(struct flow *f, const struct acme_reply *with)
{
	struct acme_reply r = *with;
	r.status = r.status || r.silence ? r.status : 200;
	r.nonce = STR("fresh");
	r.location = STR(CA "/place/1");
	r.retry_after = -1;
	r.now = now;
	if (f->nonce.n == 0)
		buf_add_c(&f->nonce, "nonce");
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static struct next hear(struct flow *f, unsigned status, const char *body)
{
	return hear_with(f, &(struct acme_reply){ .status = status, .body = str_c(body) });
}

static void assert_go(struct next n, enum acme_step step)
{
	if (n.what != FLOW_GO || n.step != step)
		fail_msg("want %s, got %s", acme_step_name(step), n.err.text);
}

static void assert_fail(struct next n, const char *text)
{
	if (n.what != FLOW_FAIL || !strstr(n.err.text, text))
		fail_msg("want \"%s\", got %d \"%s\"", text, (int)n.what, n.err.text);
}

#define FLOW_AUTO __attribute__((cleanup(flow_free))) struct flow

/* Answers that are none */

static void a_kept_directory_is_read_anew_where_nothing_is_there(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	const struct acme_directory before = {
		.new_nonce = STR(CA "/old-nonce"),
		.new_account = STR(CA "/old-account"),
		.new_order = STR(CA "/old-order"),
	};
	flow_know_directory(f, &before);
	f->binding = STR("{}"); /* to the account's old URL */
	assert_go(hear(f, 404, ""), ACME_STEP_directory);
	assert_int_equal(f->binding.n, 0);
	assert_go(flow_lost(f, now), ACME_STEP_directory); /* after a restart, too */
	assert_go(hear(f, 200, DIRECTORY("")), ACME_STEP_account);
	assert_true(str_eq_c(f->directory.new_account, CA "/account"));
	/* One that was read in this attempt is not asked for again. */
	assert_fail(hear(f, 404, "<html>"), "which is not ACME");
}

/* A redirect is followed by nobody (RFC 8555 says nothing of any). */
static void what_is_no_success_is_no_answer(void **state)
{
	(void)state;
	static const unsigned statuses[] = { 199, 300, 302 };
	for (size_t i = 0; i < COUNT(statuses); i++) {
		FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
		assert_fail(hear(f, statuses[i], DIRECTORY("")), "which is not ACME");
	}
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	assert_go(hear(f, 299, DIRECTORY("")), ACME_STEP_account);
}

/* The certificate may have been made: another order would cost another one. */
static void an_unclear_answer_to_the_request_is_read_from_the_order(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	const struct next there = { .what = FLOW_GO, .step = ACME_STEP_finalize };
	flow_take(f, &there);
	f->order = STR(CA "/order/1");
	f->finalize = STR(CA "/finalize/1");
	f->csr = STR("csr");
	assert_go(hear(f, 200, "<html>"), ACME_STEP_await);
}

/* After an account that is there. */
static struct flow *at_order(void)
{
	struct flow *f = flow_of(&(struct flow_want){ 0 });
	hear(f, 200, DIRECTORY(""));
	assert_go(hear(f, 200, "{\"status\":\"valid\"}"), ACME_STEP_order);
	return f;
}

#define ORDERED                                                                                    \
	"{\"status\":\"pending\",\"authorizations\":[\"" CA "/authz\"],\"finalize\":\"" CA         \
	"/finalize\"}"

static void what_an_answer_lacks_is_named(void **state)
{
	(void)state;
	FLOW_AUTO *f = at_order();
	assert_fail(hear(f, 201, "{\"authorizations\":[\"http://other.test/1\"]}"),
	        "has no usable URL in \"authorizations\", so that it cannot be followed.");
	FLOW_AUTO *g = at_order();
	assert_go(hear(g, 201, ORDERED), ACME_STEP_authz);
	assert_fail(hear(g, 200, "{\"challenges\":[]}"), "has no usable \"status\"");
}

static void an_order_that_is_valid_is_downloaded(void **state)
{
	(void)state;
	FLOW_AUTO *f = at_order();
	assert_go(hear(f, 201, "{\"status\":\"valid\",\"certificate\":\"" CA "/certificate\"}"),
	        ACME_STEP_download);
	assert_true(str_eq_c(flow_ask(f).url, CA "/certificate"));
}

static void an_order_that_the_ca_could_not_keep_is_its_fault(void **state)
{
	(void)state;
	static const char *const types[] = { "serverInternal", "unauthorized" };
	for (size_t i = 0; i < COUNT(types); i++) {
		FLOW_AUTO *f = at_order();
		char body[1000];
		snprintf(body, sizeof body,
		        "{\"status\":\"invalid\",\"error\":{\"type\":\"" URN
		        "%s\",\"detail\":\"No\"}}",
		        types[i]);
		const struct next n = hear(f, 201, body);
		assert_fail(n, "ca.test gave the order up: No (");
		assert_int_equal(n.ca_at_fault, i == 0);
	}
}

/* What says nothing of when it will be over is no outage, but once something is ordered. */
static void who_cannot_be_asked_at_all_is_not_asked_again(void **state)
{
	(void)state;
	static const struct {
		enum err_code code;
		bool ordered, lost;
	} cases[] = { { ERR_UNREACHABLE, false, true }, { ERR_TIMEOUT, false, true },
		{ ERR_PROTOCOL, false, false }, { ERR_PROTOCOL, true, true } };
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct err why = { .code = cases[i].code, .text = "It is no web server." };
		FLOW_AUTO *f = at_order();
		f->order = cases[i].ordered ? STR(CA "/order/1") : STR_NONE;
		const struct next n = hear_with(f, &(struct acme_reply){ .silence = &why });
		assert_true(n.ca_at_fault);
		if (cases[i].lost)
			assert_go(n, ACME_STEP_order);
		else
			assert_fail(n, "ca.test cannot be asked: It is no web server. It is tried");
	}
}

static void a_refusal_says_what_to_do(void **state)
{
	(void)state;
	static const struct {
		const char *type, *page, *advice;
		bool ca_at_fault;
	} cases[] = {
		{ "userActionRequired", CA "/agree", "Do what it asks for on " CA "/agree and ",
		        false },
		{ "userActionRequired", "javascript:x", "The CA wants you to agree to ", false },
		{ "malformed", CA "/help", "Try again; if it comes back, show this text", false },
		{ "serverInternal", "", "The fault is the CA's: it is tried again.", true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		FLOW_AUTO *f = at_order();
		char body[1000];
		snprintf(body, sizeof body,
		        "{\"type\":\"" URN "%s\",\"detail\":\"No\",\"instance\":\"%s\"}",
		        cases[i].type, cases[i].page);
		const struct next n = hear(f, 403, body);
		assert_fail(n, cases[i].advice);
		assert_int_equal(n.ca_at_fault, cases[i].ca_at_fault);
	}
}

/* A CA without renewal information does not know of replacing; the 404 of a nonce says nothing of
 * it. */
static void what_is_replaced_is_said_to_whom_it_concerns(void **state)
{
	(void)state;
	static const struct acme_directory kept = { .new_nonce = STR_INIT(CA "/nonce"),
		.new_order = STR_INIT(CA "/order") };
	for (unsigned offered = 0; offered <= 1; offered++) {
		FLOW_AUTO *f = flow_of(&(struct flow_want){ .replaces = STR("aki.serial") });
		flow_know_directory(f, &kept);
		flow_know_account(f, STR(CA "/account/1"));
		f->directory.renewal_info = offered ? STR(CA "/info") : STR_NONE;
		buf_add_c(&f->nonce, "nonce");
		assert_int_equal(str_ends(flow_ask(f).payload, STR("\"replaces\":\"aki.serial\"}")),
		        offered);
		buf_clear(&f->nonce);
		assert_int_equal(flow_ask(f).effect, ACME_HEAD);
		const struct acme_reply none = { .status = 404, .retry_after = -1, .now = now };
		assert_go(flow_heard(f, &none), ACME_STEP_directory);
	}
}

/* External account binding */

static void who_has_no_binding_is_told_where_to_put_it(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	assert_go(hear(f, 200, DIRECTORY("\"externalAccountRequired\":true")), ACME_STEP_account);
	assert_fail(hear(f, 400, "{\"type\":\"" URN "accountDoesNotExist\"}"),
	        "ca.test takes only accounts that are bound to a contract with it (external "
	        "account binding, EAB), and none is configured. Get a key identifier and a key "
	        "there, and put them into the issuer's block in the configuration, as `eab "
	        "IDENTIFIER @FILE`; or choose another issuer.");
	/* One whose directory does not say so. */
	FLOW_AUTO *g = flow_of(&(struct flow_want){ 0 });
	assert_go(hear(g, 200, DIRECTORY("")), ACME_STEP_account);
	assert_fail(hear(g, 403, "{\"type\":\"" URN "externalAccountRequired\"}"),
	        "and none is configured.");
}

static void bind(struct flow *f)
{
	assert_int_equal(flow_ask(f).effect, ACME_BIND);
	flow_set_binding(f, STR("{\"signature\":\"x\"}"));
	assert_go(flow_did(f, NULL), ACME_STEP_account);
	const struct str payload = flow_ask(f).payload;
	assert_true(str_eq_c(payload, "{\"termsOfServiceAgreed\":true,"
	                              "\"externalAccountBinding\":{\"signature\":\"x\"}}"));
}

static void a_refused_binding_is_told_from_a_refused_account(void **state)
{
	(void)state;
	static const struct {
		const char *type, *sentence;
	} cases[] = {
		{ "unauthorized", "ca.test refused to bind the account (external account binding, "
		                  "EAB): No such key (unauthorized). Compare `eab` in the issuer's "
		                  "block with what the CA gave you." },
		{ "externalAccountRequired", "ca.test refused to bind the account" },
		{ "malformed", "ca.test refused to bind the account" },
		{ "invalidContact", "ca.test refused the account: No such key (invalidContact). "
		                    "Give another e-mail address." },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
		BUF_AUTO body = BUF_INIT(1000);
		flow_can_bind(f, true);
		hear(f, 200, DIRECTORY("\"externalAccountRequired\":true"));
		assert_go(hear(f, 403, "{\"type\":\"" URN "externalAccountRequired\"}"),
		        ACME_STEP_account); /* there is none, it means */
		bind(f);
		buf_printf(&body, "{\"type\":\"" URN "%s\",\"detail\":\"No such key\"}",
		        cases[i].type);
		assert_fail(hear(f, 401, buf_c(&body)), cases[i].sentence);
	}
}

/* Who binds nothing is not sent to look at `eab`, and nothing that is no ACME is about it. */
static void a_refused_account_is_not_always_a_refused_binding(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	hear(f, 200, DIRECTORY(""));
	assert_fail(hear(f, 401, "{\"type\":\"" URN "unauthorized\",\"detail\":\"Not you\"}"),
	        "ca.test refused the account: Not you (unauthorized).");
	FLOW_AUTO *g = flow_of(&(struct flow_want){ 0 });
	flow_can_bind(g, true);
	hear(g, 200, DIRECTORY("\"externalAccountRequired\":true"));
	hear(g, 403, "{\"type\":\"" URN "externalAccountRequired\"}");
	bind(g);
	assert_fail(hear(g, 401, "<html>"), "which is not ACME");
}

static void an_account_that_is_there_needs_no_binding(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	hear(f, 200, DIRECTORY("\"externalAccountRequired\":true"));
	assert_go(hear(f, 200, "{\"status\":\"valid\"}"), ACME_STEP_order);
}

/* Profiles */

static void profiles_are_read_with_their_words(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct acme_directory d;
	BUF_AUTO body = BUF_INIT(100000);
	buf_add_c(&body, "{\"newNonce\":\"" CA "/n\",\"newAccount\":\"" CA "/a\",\"newOrder\":\"" CA
	                 "/o\",\"meta\":{\"profiles\":{\"classic\":\"The "
	                 "default\",\"odd\":7,\"\":\"none\",\"empty\":null");
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&body, ",\"p%u\":\"Number %u\"", i, i);
	buf_add_c(&body, "}}}");
	assert_true(acme_directory_read(&a, buf_str(&body), STR(CA "/directory"), &d, &err));
	assert_int_equal(d.profile_count, ACME_PROFILES_MOST);
	assert_true(str_eq_c(d.profiles[0].name, "classic"));
	assert_true(str_eq_c(d.profiles[0].text, "The default"));
	assert_true(str_eq_c(d.profiles[1].name, "odd"));
	assert_int_equal(d.profiles[1].text.n, 0);
	const struct acme_directory copy = acme_directory_copy(&a, &d);
	assert_ptr_not_equal(copy.profiles[0].name.p, d.profiles[0].name.p);
	assert_true(str_eq(copy.new_order, d.new_order) && copy.new_order.p != d.new_order.p);
	assert_true(str_eq_c(copy.profiles[3].text, "Number 0"));
}

static void a_profile_s_name_and_words_have_a_length(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct acme_directory d;
	BUF_AUTO body = BUF_INIT(10000);
	buf_printf(&body,
	        "{\"newNonce\":\"" CA "/n\",\"newAccount\":\"" CA "/a\",\"newOrder\":\"" CA
	        "/o\",\"meta\":{\"profiles\":{\"%065d\":\"x\",\"%064d\":\"%0500d\","
	        "\"b\":\"%0501d\"}}}",
	        1, 2, 3, 4);
	assert_true(acme_directory_read(&a, buf_str(&body), STR(CA "/directory"), &d, &err));
	assert_int_equal(d.profile_count, 2);
	assert_int_equal(d.profiles[0].name.n, 64);
	assert_int_equal(d.profiles[0].text.n, 500);
	assert_int_equal(d.profiles[1].text.n, 0);
}

static void an_unknown_profile_is_refused_before_the_account(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ .profile = STR("tiny") });
	assert_fail(hear(f, 200, DIRECTORY("\"profiles\":{\"classic\":\"A\",\"short\":\"B\"}")),
	        "ca.test offers no profile \"tiny\"; it has classic, short. Choose one of them, or "
	        "none.");
	FLOW_AUTO *g = flow_of(&(struct flow_want){ .profile = STR("tiny") });
	assert_fail(hear(g, 200, DIRECTORY("")), "it has none. Order without a profile.");
	FLOW_AUTO *h = flow_of(&(struct flow_want){ .profile = STR("short") });
	assert_go(hear(h, 200, DIRECTORY("\"profiles\":{\"classic\":\"A\",\"short\":\"B\"}")),
	        ACME_STEP_account);
}

/* Let's Encrypt certifies addresses by that profile alone. */
static void addresses_are_ordered_by_the_profile_for_them(void **state)
{
	(void)state;
	static const struct {
		struct str name, wanted;
		const char *offered, *ordered;
	} cases[] = {
		{ STR_INIT("192.0.2.7"), { 0 }, "\"shortlived\":\"A\"", "shortlived" },
		{ STR_INIT("2001:db8::7"), { 0 }, "\"classic\":\"B\",\"shortlived\":\"A\"",
		        "shortlived" },
		{ STR_INIT("192.0.2.7"), { 0 }, "\"classic\":\"B\"", "" },
		{ STR_INIT("192.0.2.7"), STR_INIT("classic"),
		        "\"classic\":\"B\",\"shortlived\":\"A\"", "classic" },
		{ STR_INIT("shop.example.com"), { 0 }, "\"shortlived\":\"A\"", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct str names[] = { STR("a.example.com"), cases[i].name };
		char directory[2000], profile[100];
		FLOW_AUTO *f = flow_of(&(struct flow_want){
		        .profile = cases[i].wanted, .names = names, .name_count = 2 });
		snprintf(directory, sizeof directory, DIRECTORY("\"profiles\":{%s}"),
		        cases[i].offered);
		assert_go(hear(f, 200, directory), ACME_STEP_account);
		assert_true(str_eq_c(order_profile(f), cases[i].ordered));
		snprintf(profile, sizeof profile, "\"profile\":\"%s\"", cases[i].ordered);
		const struct next order = { .what = FLOW_GO, .step = ACME_STEP_order };
		flow_take(f, &order);
		buf_add_c(&f->nonce, "n");
		struct acme_ask asked = flow_ask(f);
		assert_int_equal(
		        memmem(asked.payload.p, asked.payload.n, profile, strlen(profile)) != NULL,
		        *cases[i].ordered != 0);
	}
}

/* Links */

static void links_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *values, *targets;
	} cases[] = {
		{ "<https://a/1>;rel=\"alternate\"", "https://a/1 " },
		{ "<https://a/1>; rel=alternate\n<https://a/2> ; REL = \"Alternate\"",
		        "https://a/1 https://a/2 " },
		{ "<https://a/0>;rel=\"index\", <https://a/1>;x=\"a,b\";rel=\"up alternate\"",
		        "https://a/1 " },
		{ "<https://a/1>;rel=\"up\";rel=\"alternate\"", "" },
		{ "<https://a/1>", "" },
		{ "<https://a/1", "" },
		{ "https://a/1;rel=\"alternate\"", "" },
		{ "https://a/1>;rel=\"alternate\"", "" },
		{ "<https://a/1>;rel=\"alternate", "https://a/1 " },
		{ "<https://a/1>;rel;rel=;=x;;", "" },
		{ "", "" },
		{ ",,,\n\n <https://a/1>;;rel=alternate,", "https://a/1 " },
		{ "<https://a/1\n;rel=alternate", "" },
		{ "<https://a/1>;title=\"x\"more;rel=alternate", "https://a/1 " },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str rest = str_c(cases[i].values), target;
		BUF_AUTO targets = BUF_INIT(1000);
		while (acme_next_link(&rest, "alternate", &target))
			buf_printf(&targets, "%.*s ", STR_ARG(target));
		assert_string_equal(buf_c(&targets), cases[i].targets);
	}
}

/* Chains */

/* A certificate for shop.example.com by a root of that name, and that root; or one alone. */
static void add_chain(struct buf *out, const char *leaf_of, const char *top)
{
	static const struct str name = STR_INIT("shop.example.com");
	const char *const roots[] = { leaf_of, top };
	struct err err = ERR_INIT;
	for (size_t i = 0; i < COUNT(roots); i++) {
		KEY_AUTO *key = key_new(KEY_P256, &err);
		const struct authority_root root = { .common_name = str_c(roots[i] ? roots[i] : ""),
			.names = &name,
			.count = 1,
			.not_before = now - DAY,
			.not_after = now + DAY };
		const struct authority_leaf leaf = {
			.names = &name, .count = 1, .not_before = now - DAY, .not_after = now + DAY
		};
		BUF_AUTO der = BUF_INIT(10000), leaf_der = BUF_INIT(10000);
		if (!roots[i])
			continue;
		assert_true(authority_root_make(key, &root, &der, &err));
		assert_true(authority_leaf_make(key, buf_str(&der), key, &leaf, &leaf_der, &err));
		cert_to_pem(buf_str(i ? &der : &leaf_der), out);
	}
}

/* Before the download, where a chain up to Root B is wanted. */
static struct flow *at_download(void)
{
	struct flow *f = flow_of(&(struct flow_want){ .preferred_chain = STR("Root B") });
	const struct next there = { .what = FLOW_GO, .step = ACME_STEP_download };
	f->account = STR(CA "/account/1");
	f->certificate = STR(CA "/certificate/1");
	flow_take(f, &there);
	return f;
}

static struct next hear_chain(
        struct flow *f, const char *leaf_of, const char *top, const char *links)
{
	BUF_AUTO pem = BUF_INIT(100000);
	add_chain(&pem, leaf_of, top);
	return hear_with(f, &(struct acme_reply){ .body = buf_str(&pem), .links = str_c(links) });
}

static void a_chain_is_known_by_its_highest_certificate(void **state)
{
	(void)state;
	static const struct {
		const char *leaf_of, *top;
		bool wanted;
	} cases[] = {
		{ "Root B", NULL, true },
		{ "Root A", NULL, false },
		{ "Root A", "Root B", true },
		{ "Root B", "Root A", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		FLOW_AUTO *f = at_download();
		const struct next n = hear_chain(f, cases[i].leaf_of, cases[i].top, "");
		assert_int_equal(n.what, FLOW_DONE);
		assert_true(f->chain.n > 0);
		assert_int_equal(f->note.n == 0, cases[i].wanted);
	}
	FLOW_AUTO *any = at_download();
	any->preferred_chain = STR_NONE;
	const struct next n = hear_chain(any, "Root A", NULL, "<" CA "/chain/1>;rel=\"alternate\"");
	assert_int_equal(n.what, FLOW_DONE);
	assert_int_equal(any->note.n, 0);
}

static void the_first_linked_chain_that_is_wanted_is_taken(void **state)
{
	(void)state;
	static const char links[] = "<" CA "/chain/1>;rel=\"alternate\"\n"
	                            "<http://other.test/2>;rel=\"alternate\"\n"
	                            "<" CA "/chain/3>;rel=\"alternate\"\n"
	                            "<" CA "/chain/4>;rel=\"alternate\"\n"
	                            "<" CA "/chain/5>;rel=\"alternate\"\n"
	                            "<" CA "/chain/6>;rel=\"alternate\"\n";
	for (unsigned found = 0; found <= 1; found++) {
		FLOW_AUTO *f = at_download();
		assert_go(hear_chain(f, "Root A", NULL, links), ACME_STEP_download);
		assert_true(str_eq_c(flow_ask(f).url, CA "/chain/1"));
		assert_go(hear(f, 200, "<html>"), ACME_STEP_download);
		assert_true(str_eq_c(flow_ask(f).url, CA "/chain/3"));
		assert_go(hear_chain(f, "Root C", NULL, ""), ACME_STEP_download);
		assert_true(str_eq_c(flow_ask(f).url, CA "/chain/4"));
		assert_go(hear_chain(f, "Root C", NULL, ""), ACME_STEP_download);
		assert_true(str_eq_c(flow_ask(f).url, CA "/chain/5")); /* the last that is asked */
		BUF_AUTO before = BUF_INIT(10000);
		buf_add(&before, f->chain);
		const struct next n = hear_chain(f, found ? "Root B" : "Root D", NULL, "");
		assert_int_equal(n.what, FLOW_DONE);
		assert_int_equal(str_eq(f->chain, buf_str(&before)), !found);
		assert_true(found ? f->note.n == 0
		                  : str_eq_c(f->note, "The CA offers no chain up to Root B: its "
		                                      "default is taken."));
	}
}

static void after_a_restart_the_chains_are_read_anew(void **state)
{
	(void)state;
	FLOW_AUTO *f = at_download();
	f->binding = STR("{}");
	assert_go(hear_chain(f, "Root A", NULL, "<" CA "/chain/1>;rel=\"alternate\""),
	        ACME_STEP_download);
	assert_true(str_eq_c(flow_ask(f).url, CA "/chain/1"));
	flow_lost(f, now);
	buf_add_c(&f->nonce, "nonce");
	assert_true(str_eq_c(flow_ask(f).url, CA "/certificate/1"));
	assert_int_equal(f->chain.n + f->alternates.n + f->binding.n, 0);
}

/* What came instead of it costs nothing but that chain. */
static void a_chain_that_does_not_come_is_passed_over(void **state)
{
	(void)state;
	static const unsigned statuses[] = { 0, 199, 300, 404, 429, 503 };
	const struct err why = { .code = ERR_TIMEOUT, .text = "No answer came." };
	for (size_t i = 0; i < COUNT(statuses); i++) {
		FLOW_AUTO *f = at_download();
		assert_go(hear_chain(f, "Root A", NULL, "<" CA "/chain/1>;rel=\"alternate\""),
		        ACME_STEP_download);
		const struct next n = hear_with(f, &(struct acme_reply){ .status = statuses[i],
		                                           .silence = statuses[i] ? NULL : &why });
		assert_int_equal(n.what, FLOW_DONE);
		assert_true(f->chain.n && f->note.n);
	}
}

/* Pauses */

static void a_paused_name_shows_where_to_release_it(void **state)
{
	(void)state;
	static const struct {
		const char *body, *sentence;
	} cases[] = {
		{ "{\"type\":\"" URN
		  "rateLimited\",\"detail\":\"Your account is temporarily prevented "
		  "from requesting certificates for shop.example.com. Please visit: "
		  "https://sfe.ca.test/unpause?jwt=a.b.\"}",
		        "Repair what let its proofs fail, then release it on "
		        "https://sfe.ca.test/unpause?jwt=a.b." },
		{ "{\"type\":\"" URN "rateLimited\",\"detail\":\"It is paused.\",\"instance\":"
		  "\"https://ca.test/release\"}",
		        "ca.test has paused the name: It is paused (rateLimited). Repair what let "
		        "its proofs fail, then release it on https://ca.test/release." },
		{ "{\"type\":\"" URN "rateLimited\",\"detail\":\"It is paused (see "
		  "https://sfe.ca.test/release):\"}",
		        "release it on https://sfe.ca.test/release." },
		{ "{\"type\":\"" URN "rateLimited\",\"detail\":\"Too many, see "
		  "https://ca.test/limits\"}",
		        "A limit of ca.test is reached: " },
		{ "{\"type\":\"" URN "rateLimited\",\"detail\":\"It is paused.\",\"instance\":"
		  "\"javascript:x\"}",
		        "A limit of ca.test is reached: " },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
		hear(f, 200, DIRECTORY(""));
		hear(f, 200, "{\"status\":\"valid\"}");
		const struct next n = hear(f, 429, cases[i].body);
		assert_fail(n, cases[i].sentence);
		assert_int_equal(n.err.code, ERR_LIMIT);
	}
}

/* Proofs */

#define AUTHZ(status, challenges)                                                                  \
	"{\"identifier\":{\"type\":\"dns\",\"value\":\"shop.example.com\"},\"status\":\"" status   \
	"\",\"challenges\":[" challenges "]}"
#define CHALLENGE(type, more)                                                                      \
	"{\"type\":\"" type "\",\"url\":\"" CA "/" type "\",\"token\":\"0123456789abcdef\"" more "}"
#define FAILED(type, problem)                                                                      \
	CHALLENGE(type, ",\"status\":\"invalid\",\"error\":{\"type\":\"" URN problem               \
	                "\",\"detail\":\"Not so\"}")

/* At the authorization, with what was offered. */
static struct flow *at_proof(const struct challenge_choice *choice, const char *offered)
{
	struct flow *f = flow_of(&(struct flow_want){ .choices = choice });
	hear(f, 200, DIRECTORY(""));
	hear(f, 200, "{\"status\":\"valid\"}");
	assert_go(hear(f, 201,
	                  "{\"status\":\"pending\",\"authorizations\":[\"" CA "/authz\"],"
	                  "\"finalize\":\"" CA "/finalize\"}"),
	        ACME_STEP_authz);
	assert_go(hear(f, 200, offered), ACME_STEP_answer);
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
	flow_did(f, NULL);
	assert_go(hear(f, 200, "{}"), ACME_STEP_await);
	assert_go(hear(f, 200, "{\"status\":\"invalid\"}"), ACME_STEP_authz);
	return f;
}

static const struct challenge_choice by_tls = { { CHALLENGE_TLS_ALPN_01, CHALLENGE_HTTP_01 }, 2 };

static void another_type_is_tried_where_it_may_help(void **state)
{
	(void)state;
	static const char offered[] =
	        AUTHZ("pending", CHALLENGE("http-01", "") "," CHALLENGE("tls-alpn-01", ""));
	FLOW_AUTO *f = at_proof(&by_tls, offered);
	assert_int_equal(f->names[0].type, CHALLENGE_TLS_ALPN_01);
	f->poll_wait = 5000;
	const struct next n = hear(f, 200, AUTHZ("invalid", FAILED("tls-alpn-01", "tls")));
	assert_go(n, ACME_STEP_order);
	assert_true(n.other_type);
	assert_int_equal(n.at, 0);
	assert_string_equal(n.err.text,
	        "ca.test could not prove control of shop.example.com. It asked "
	        "shop.example.com on port 443 (acme-tls/1) and says: Not so (tls). Something in "
	        "front of this server ends TLS, such as a CDN or a load balancer: use another "
	        "proof, http-01 or dns-01.");
	assert_true(str_eq_c(
	        f->note, "The proof of shop.example.com by tls-alpn-01 failed, http-01 is tried."));
	assert_int_equal(f->names[0].choice.count, 1);
	assert_int_equal(f->order.n, 0);
	assert_int_equal(f->other_types, 1);
	assert_int_equal(f->poll_wait, 50);
	/* The new order is followed like the first one. */
	assert_go(hear(f, 201, ORDERED), ACME_STEP_authz);
	assert_go(hear(f, 200, offered), ACME_STEP_answer);
	assert_int_equal(f->names[0].type, CHALLENGE_HTTP_01);
}

static void another_type_is_not_tried_where_it_cannot_help(void **state)
{
	(void)state;
	static const char offered[] =
	        AUTHZ("pending", CHALLENGE("http-01", "") "," CHALLENGE("tls-alpn-01", ""));
	static const char *const answers[] = {
		AUTHZ("invalid", FAILED("tls-alpn-01", "caa")),
		AUTHZ("invalid", FAILED("tls-alpn-01", "rejectedIdentifier")),
		AUTHZ("invalid", FAILED("tls-alpn-01", "serverInternal")),
		AUTHZ("deactivated", ""),
	};
	for (size_t i = 0; i < COUNT(answers); i++) {
		FLOW_AUTO *f = at_proof(&by_tls, offered);
		const struct next n = hear(f, 200, answers[i]);
		assert_fail(n, "ca.test");
		assert_int_equal(n.ca_at_fault, strstr(answers[i], "serverInternal") != NULL);
		assert_int_equal(f->other_types, 0);
	}
	/* Nor after six others. */
	for (unsigned tried = 5; tried <= 6; tried++) {
		FLOW_AUTO *f = at_proof(&by_tls, offered);
		f->other_types = tried;
		const struct next n = hear(f, 200, AUTHZ("invalid", FAILED("tls-alpn-01", "tls")));
		assert_int_equal(n.what, tried < 6 ? FLOW_GO : FLOW_FAIL);
	}
	/* Nor one that is not offered. */
	FLOW_AUTO *f = at_proof(&by_tls, AUTHZ("pending", CHALLENGE("tls-alpn-01", "")));
	assert_fail(hear(f, 200, AUTHZ("invalid", FAILED("tls-alpn-01", "connection"))),
	        "Open port 443 in the firewall");
}

/* It has no token to be placed. */
static void a_standing_proof_needs_no_token(void **state)
{
	(void)state;
	static const struct challenge_choice by_persist = { { CHALLENGE_DNS_PERSIST_01 }, 1 };
	FLOW_AUTO *f = at_proof(&by_persist,
	        AUTHZ("pending", "{\"type\":\"dns-persist-01\",\"url\":\"" CA "/persist\"}"));
	assert_int_equal(f->names[0].type, CHALLENGE_DNS_PERSIST_01);
	assert_true(f->names[0].published);
}

static void no_record_leads_to_an_address(void **state)
{
	(void)state;
	static const struct {
		const char *name, *authz, *advice;
	} cases[] = {
		{ "192.0.2.7", AUTHZ("invalid", FAILED("http-01", "unauthorized")),
		        "Another server is at that address: forward its ports 80 and 443 here." },
		{ "192.0.2.7", AUTHZ("invalid", FAILED("http-01", "connection")),
		        "Open port 80 in the firewall or forward it here" },
		{ "shop.example.com", AUTHZ("invalid", FAILED("http-01", "unauthorized")),
		        "Another server answers for the name" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		FLOW_AUTO *f = at_proof(NULL, AUTHZ("pending", CHALLENGE("http-01", "")));
		f->names[0].name = str_c(cases[i].name);
		assert_fail(hear(f, 200, cases[i].authz), cases[i].advice);
	}
}

static void what_cannot_be_proved_is_not_begun(void **state)
{
	(void)state;
	static const struct {
		struct str name;
		struct challenge_choice choice;
		const char *sentence;
	} cases[] = {
		{ STR_INIT("*.example.com"), { { CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 }, 2 },
		        "*.example.com is a wildcard: CAs want it proved through DNS (DNS-01), and "
		        "no such proof can be made here. Configure `dns-challenge`, or give the "
		        "names one by one." },
		{ STR_INIT("192.0.2.7"), { { CHALLENGE_DNS_01 }, 1 },
		        "192.0.2.7 can be proved only over HTTP or TLS, and neither can be used "
		        "for it here. Open port 80 or 443 for the CA." },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		const struct flow_want want = { .directory_url = STR(CA "/directory"),
			.names = &cases[i].name,
			.name_count = 1,
			.choices = &cases[i].choice };
		assert_null(flow_new(&want, &err));
		assert_string_equal(err.text, cases[i].sentence);
	}
}

static void an_address_may_be_written_otherwise(void **state)
{
	(void)state;
	static const struct str names[] = { STR_INIT("2001:db8::7"), STR_INIT("192.0.2.7") };
	FLOW_AUTO *f = flow_of(&(struct flow_want){ .names = names, .name_count = 2 });
	hear(f, 200, DIRECTORY(""));
	hear(f, 200, "{\"status\":\"valid\"}");
	hear(f, 201,
	        "{\"status\":\"pending\",\"authorizations\":[\"" CA "/1\",\"" CA "/2\"],"
	        "\"finalize\":\"" CA "/finalize\"}");
	/* The first answer is about the second name. */
	hear(f, 200,
	        "{\"identifier\":{\"type\":\"ip\",\"value\":\"192.0.2.7\"},\"status\":\"valid\"}");
	assert_true(f->names[1].valid && !f->names[0].valid);
	hear(f, 200,
	        "{\"identifier\":{\"type\":\"ip\",\"value\":\"2001:DB8:0::0:7\"},\"status\":"
	        "\"valid\"}");
	assert_true(f->names[0].valid);
}

/* In whatever order the CA asks for them, each is proved as was chosen for it. */
static void each_name_keeps_its_own_ways(void **state)
{
	(void)state;
	static const struct str names[] = { STR_INIT("shop.example.com"),
		STR_INIT("*.shop.example.com") };
	static const struct challenge_choice choices[] = {
		{ { CHALLENGE_TLS_ALPN_01, CHALLENGE_HTTP_01 }, 2 }, { { CHALLENGE_DNS_01 }, 1 }
	};
	FLOW_AUTO *f =
	        flow_of(&(struct flow_want){ .names = names, .name_count = 2, .choices = choices });
	hear(f, 200, DIRECTORY(""));
	hear(f, 200, "{\"status\":\"valid\"}");
	hear(f, 201,
	        "{\"status\":\"pending\",\"authorizations\":[\"" CA "/1\",\"" CA "/2\"],"
	        "\"finalize\":\"" CA "/finalize\"}");
	/* The first answer is about the second name. */
	assert_go(hear(f, 200,
	                  "{\"identifier\":{\"type\":\"dns\",\"value\":\"shop.example.com\"},"
	                  "\"wildcard\":true,\"status\":\"pending\",\"challenges\":[" CHALLENGE(
	                          "dns-01", "") "]}"),
	        ACME_STEP_authz);
	assert_go(hear(f, 200, AUTHZ("pending", CHALLENGE("tls-alpn-01", ""))), ACME_STEP_answer);
	static const enum challenge_type types[] = { CHALLENGE_TLS_ALPN_01, CHALLENGE_DNS_01 };
	static const char *const authzs[] = { CA "/2", CA "/1" };
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(str_eq(f->names[i].name, names[i]));
		assert_true(str_eq_c(f->names[i].authz, authzs[i]));
		assert_int_equal(f->names[i].type, types[i]);
		assert_int_equal(f->names[i].choice.count, choices[i].count);
		assert_int_equal(f->names[i].choice.types[0], types[i]);
	}
}

/* A flow that was saved before there were types, profiles, chains and bindings. */
static void a_flow_of_before_is_loaded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	FLOW_AUTO *f = flow_load(
	        STR("{\"step\":\"answer\",\"at\":0,\"directory_url\":\"" CA
	            "/directory\",\"directory\":{\"new_nonce\":\"" CA "/n\",\"new_account\":\"" CA
	            "/a\",\"new_order\":\"" CA "/o\",\"external_account_required\":false},"
	            "\"account\":\"" CA "/account/1\",\"order\":\"" CA "/order/1\",\"names\":["
	            "{\"name\":\"shop.example.com\",\"authz\":\"" CA
	            "/authz/1\",\"challenge\":\"" CA
	            "/c\",\"token\":\"0123456789abcdef\",\"valid\":false,\"answered\":false,"
	            "\"published\":true,\"refused\":false}]}"),
	        &err);
	assert_non_null(f);
	assert_int_equal(f->names[0].choice.count, 1);
	assert_int_equal(f->names[0].choice.types[0], CHALLENGE_HTTP_01);
	assert_int_equal(f->names[0].type, CHALLENGE_HTTP_01);
	const struct next n = flow_lost(f, now);
	assert_go(n, ACME_STEP_await);
	assert_true(flow_name_to_place(&f->names[0]));
}

static struct flow *reload(const struct flow *f)
{
	BUF_AUTO saved = BUF_INIT(1 << 20);
	struct err err = ERR_INIT;
	flow_save(f, &saved);
	struct flow *loaded = flow_load(buf_str(&saved), &err);
	assert_non_null(loaded);
	return loaded;
}

static void what_a_directory_said_is_saved(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(&(struct flow_want){ 0 });
	hear(f, 200,
	        DIRECTORY("\"externalAccountRequired\":true,\"profiles\":{\"classic\":\"Usual\"}"));
	FLOW_AUTO *loaded = reload(f);
	assert_true(loaded->directory.external_account_required);
	assert_int_equal(loaded->directory.profile_count, 1);
	assert_true(str_eq_c(loaded->directory.profiles[0].name, "classic"));
	assert_true(str_eq_c(loaded->directory.profiles[0].text, "Usual"));
}

/* Of a problem that is too long its words and its page. */
static void the_page_of_a_long_problem_is_saved(void **state)
{
	(void)state;
	BUF_AUTO body = BUF_INIT(1 << 16);
	FLOW_AUTO *f = at_order();
	buf_add_c(&body, "{\"detail\":\"No\",\"instance\":\"" CA "/why\",\"subproblems\":[");
	for (unsigned i = 0; i < 5000; i++)
		buf_add_c(&body, i ? ",7" : "7");
	buf_add_c(&body, "]}");
	hear(f, 403, buf_c(&body));
	FLOW_AUTO *loaded = reload(f);
	assert_int_equal(loaded->problem.json.n, 0);
	assert_true(str_eq_c(loaded->problem.instance, CA "/why"));
}

/* A file may hold what we never wrote. */
static void more_than_fits_is_not_loaded(void **state)
{
	(void)state;
	static const struct {
		const char *types;
		size_t count;
	} cases[] = { { "", 0 }, { "\"none\",\"dns-01\"", 1 },
		{ "\"dns-01\",\"dns-01\",\"dns-01\",\"dns-01\",\"dns-01\",\"dns-01\"",
		        CHALLENGE_TYPE_COUNT } };
	struct err err = ERR_INIT;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[1000];
		snprintf(text, sizeof text,
		        "{\"step\":\"await\",\"directory_url\":\"" CA
		        "/directory\",\"names\":[{\"name\":\"a\",\"choice\":[%s]}]}",
		        cases[i].types);
		FLOW_AUTO *f = flow_load(str_c(text), &err);
		assert_non_null(f);
		assert_int_equal(f->names[0].choice.count, cases[i].count);
	}
	BUF_AUTO many = BUF_INIT(1 << 16);
	buf_add_c(&many, "{\"step\":\"await\",\"directory_url\":\"" CA "/directory\",\"names\":[");
	for (unsigned i = 0; i <= FLOW_NAMES_MOST; i++)
		buf_add_c(&many, i ? ",{\"name\":\"a\"}" : "{\"name\":\"a\"}");
	buf_add_c(&many, "]}");
	assert_null(flow_load(buf_str(&many), &err));
}

/* It has no names, so that it is at none. */
static void a_change_of_an_account_is_loaded(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	FLOW_AUTO *f = flow_load(STR("{\"step\":\"account\",\"at\":0,\"change\":\"rollover\","
	                             "\"directory_url\":\"" CA "/directory\",\"names\":[]}"),
	        &err);
	assert_non_null(f);
	assert_int_equal(f->name_count, 0);
	BUF_AUTO saved = BUF(1 << 16);
	flow_save(f, &saved);
	FLOW_AUTO *again = flow_load(buf_str(&saved), &err);
	assert_non_null(again);
	assert_int_equal(again->change, f->change);
	assert_null(flow_load(STR("{\"step\":\"account\",\"at\":1,\"change\":\"rollover\","
	                          "\"directory_url\":\"" CA "/directory\",\"names\":[]}"),
	        &err));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_kept_directory_is_read_anew_where_nothing_is_there),
		cmocka_unit_test(what_is_no_success_is_no_answer),
		cmocka_unit_test(an_unclear_answer_to_the_request_is_read_from_the_order),
		cmocka_unit_test(what_an_answer_lacks_is_named),
		cmocka_unit_test(an_order_that_is_valid_is_downloaded),
		cmocka_unit_test(an_order_that_the_ca_could_not_keep_is_its_fault),
		cmocka_unit_test(who_cannot_be_asked_at_all_is_not_asked_again),
		cmocka_unit_test(a_refusal_says_what_to_do),
		cmocka_unit_test(what_is_replaced_is_said_to_whom_it_concerns),
		cmocka_unit_test(who_has_no_binding_is_told_where_to_put_it),
		cmocka_unit_test(a_refused_binding_is_told_from_a_refused_account),
		cmocka_unit_test(a_refused_account_is_not_always_a_refused_binding),
		cmocka_unit_test(an_account_that_is_there_needs_no_binding),
		cmocka_unit_test(profiles_are_read_with_their_words),
		cmocka_unit_test(a_profile_s_name_and_words_have_a_length),
		cmocka_unit_test(an_unknown_profile_is_refused_before_the_account),
		cmocka_unit_test(addresses_are_ordered_by_the_profile_for_them),
		cmocka_unit_test(links_are_read),
		cmocka_unit_test(a_chain_is_known_by_its_highest_certificate),
		cmocka_unit_test(the_first_linked_chain_that_is_wanted_is_taken),
		cmocka_unit_test(after_a_restart_the_chains_are_read_anew),
		cmocka_unit_test(a_chain_that_does_not_come_is_passed_over),
		cmocka_unit_test(a_paused_name_shows_where_to_release_it),
		cmocka_unit_test(another_type_is_tried_where_it_may_help),
		cmocka_unit_test(another_type_is_not_tried_where_it_cannot_help),
		cmocka_unit_test(what_cannot_be_proved_is_not_begun),
		cmocka_unit_test(a_standing_proof_needs_no_token),
		cmocka_unit_test(no_record_leads_to_an_address),
		cmocka_unit_test(an_address_may_be_written_otherwise),
		cmocka_unit_test(each_name_keeps_its_own_ways),
		cmocka_unit_test(a_flow_of_before_is_loaded),
		cmocka_unit_test(what_a_directory_said_is_saved),
		cmocka_unit_test(the_page_of_a_long_problem_is_saved),
		cmocka_unit_test(more_than_fits_is_not_loaded),
		cmocka_unit_test(a_change_of_an_account_is_loaded),
	};
	return cmocka_run_group_tests_name("acme_ways", tests, NULL, NULL);
}
