/* What the ways of proofs by DNS ask and send: updates, the delegated zones as they are told of,
 * and the record that stays. */
#include "issue_dns_rig.h"

#define RECORD    "_acme-challenge.shop.example.com"
#define BY_UPDATE "dns-challenge { update 10.0.0.53; zone example.com; check off; "
#define SIGNED    "tsig k hmac-sha256 c2VjcmV0 }"
#define CHANGE(what)                                                                               \
	what " 10.0.0.53:53 example.com " RECORD " " VALUE " key k hmac-sha256 c2VjcmV0\n"

static struct rig rig;

/* The texts are borrowed while it is placed, and no longer. */
static void place_only(struct prover *p)
{
	char name[] = "shop.example.com", token[64], thumbprint[64], account[128];
	struct proof_text mine = text;
	memcpy(token, text.token.p, text.token.n);
	memcpy(thumbprint, text.thumbprint.p, text.thumbprint.n);
	memcpy(account, text.account.p, text.account.n);
	mine.name = str_c(name);
	mine.token.p = token;
	mine.thumbprint.p = thumbprint;
	mine.account.p = account;
	prover_place(p, &rig.proving, &mine);
	memset(name, '?', sizeof name - 1);
	memset(token, '?', sizeof token);
	memset(thumbprint, '?', sizeof thumbprint);
	memset(account, '?', sizeof account);
}

static void begin(const char *file, struct scripted *script, size_t count)
{
	rig_init(&rig, file, script, count);
	place_only(rig.prover);
	turn_until_ready(&rig);
}

static void an_update_is_signed_and_taken_back(void **state)
{
	(void)state;
	begin("resolver 9.9.9.9\nresolver 8.8.8.8\n" BY_UPDATE SIGNED, NULL, 0);
	assert_string_equal(rig.err.text, "");
	assert_string_equal(
	        buf_c(&rig.asked), "TXT " RECORD " 10000 at 9.9.9.9:53\n8.8.8.8:53\n\n");
	assert_string_equal(buf_c(&rig.changes), CHANGE("add"));
	assert_int_equal(rig.proving.lapsed, false);
	prover_withdraw(&rig.proving, /* valid= */ true);
	assert_null(rig.proving.state);
	assert_string_equal(buf_c(&rig.changes), CHANGE("add") CHANGE("remove"));
	turns(&rig, 3);
	assert_string_equal(buf_c(&logged), "");
	rig_done(&rig);
}

static void what_stays_there_is_logged(void **state)
{
	(void)state;
	begin(BY_UPDATE SIGNED, NULL, 0);
	err_set(&rig.update_err, ERR_REFUSED, "No.");
	prover_withdraw(&rig.proving, /* valid= */ true);
	turns(&rig, 3);
	assert_string_equal(
	        buf_c(&logged), "warning: The TXT record \"" VALUE "\" of " RECORD " stays: No.\n");
	rig_done(&rig);
}

/* Who did not answer in time may have done it all the same. */
static void what_may_be_there_is_taken_away(void **state)
{
	(void)state;
	rig_init(&rig, BY_UPDATE SIGNED, NULL, 0);
	err_set(&rig.update_err, ERR_TIMEOUT, "Late.");
	place_only(rig.prover);
	turn_until_ready(&rig);
	assert_string_equal(rig.err.text, "Late.");
	prover_withdraw(&rig.proving, /* valid= */ false);
	assert_string_equal(buf_c(&rig.changes), CHANGE("add") CHANGE("remove"));
	rig_done(&rig);

	rig_init(&rig, BY_UPDATE SIGNED, NULL, 0); /* withdrawn, then refused */
	err_set(&rig.update_err, ERR_REFUSED, "No.");
	place_only(rig.prover);
	turns(&rig, 1);
	rig.mute = true;
	turns(&rig, 5);
	assert_non_null(rig.update);
	prover_withdraw(&rig.proving, /* valid= */ false);
	rig_answer(&rig);
	turns(&rig, 3);
	assert_string_equal(buf_c(&rig.changes), CHANGE("add"));
	assert_int_equal(rig.ready, 0);
	rig_done(&rig);
}

static void the_zone_is_the_primary_s_to_say(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "TXT", .first = "error" },
		{ .question = "SOA", .owner = "example.com" },
	};
	begin("dns-challenge { update 10.0.0.53:530; check off }", script, 2);
	assert_string_equal(rig.err.text, "");
	assert_string_equal(buf_c(&rig.asked),
	        "TXT " RECORD " 10000 at \nSOA " RECORD " authoritative 10000 at 10.0.0.53:530\n");
	assert_true(str_starts(
	        buf_str(&rig.changes), STR("add 10.0.0.53:530 example.com " RECORD " ")));
	prover_withdraw(&rig.proving, /* valid= */ true);
	rig_done(&rig);
	static const char *const firsts[] = { "error", "silent" };
	static const char *const whys[] = { "(There is no fetch process.)", "(silent)" };
	for (size_t i = 0; i < 2; i++) {
		struct scripted none[] = { { .question = "SOA", .first = firsts[i] } };
		begin("dns-challenge { update 10.0.0.53; check off }", none, 1);
		assert_int_equal(rig.err.code, ERR_NOT_FOUND);
		assert_true(str_starts(str_c(rig.err.text),
		        STR("The name server 10.0.0.53:53 has no zone for " RECORD " (")));
		assert_non_null(strstr(rig.err.text, whys[i]));
		assert_string_equal(buf_c(&rig.changes), "");
		prover_withdraw(&rig.proving, /* valid= */ false);
		rig_done(&rig);
	}
}

static void what_is_not_in_the_zone_is_not_sent(void **state)
{
	(void)state;
	static const struct {
		const char *alias;
		bool is;
	} cases[] = { { "example.net\n", true }, { "a.example.net\n", true },
		{ "b.example.org\na.example.net\n", true }, { "aexample.net\n", false },
		{ "a.example.net\nb.example.org\n", false }, { "net\n", false },
		{ "example.net.example.org\n", false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scripted script[] = {
			{ .question = "TXT", .outcome = "none", .aliases = cases[i].alias }
		};
		begin("dns-challenge { update 10.0.0.53; zone example.net; check off }", script, 1);
		assert_int_equal(rig.err.code, cases[i].is ? ERR_NONE : ERR_INPUT);
		assert_int_equal(rig.changes.n > 0, cases[i].is);
		prover_withdraw(&rig.proving, /* valid= */ false);
		rig_done(&rig);
	}
}

static void without_a_way_it_is_said_later(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	begin("", NULL, 0);
	assert_string_equal(rig.err.text, "DNS is not set up to prove names. Add a "
	                                  "`dns-challenge` block to the configuration.");
	assert_string_equal(buf_c(&rig.asked), "");
	prover_withdraw(&rig.proving, /* valid= */ false);
	rig.ready = 0;
	place_only(rig.prover);
	prover_withdraw(&rig.proving, /* valid= */ false);
	prover_withdraw(&rig.proving, /* valid= */ false);
	turns(&rig, 3);
	assert_int_equal(rig.ready, 0);
	assert_false(prover_can(rig.prover, STR("example.com"), &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	rig_done(&rig);
}

/* ---- what the fetch process is told to answer ---- */

#define DELEGATED                                                                                  \
	"dns-challenge { delegated acme.example.net; "                                             \
	"listen 192.0.2.9 0.0.0.0:5353 [2001:db8::9] }\n"
#define SITE(name, zone)                                                                           \
	"site " name " { proxy 127.0.0.1:1; dns-challenge { delegated " zone                       \
	"; listen 192.0.2.8 } }\n"

static const struct fetch_zone *zone(size_t i)
{
	assert_true(i < rig.zones->count);
	return &rig.zones->at[i];
}

static void each_zone_is_told_once(void **state)
{
	(void)state;
	rig_init(&rig,
	        DELEGATED SITE("a.example.org", "one.example.org ns.example.com")
	                SITE("b.example.org", "one.example.org")
	                        SITE("c.example.org", "two.example.org nstwo.example.org"),
	        NULL, 0);
	assert_int_equal(rig.zones->count, 3);
	assert_true(str_eq_c(zone(0)->zone, "acme.example.net"));
	assert_true(str_eq_c(zone(0)->server, "ns.acme.example.net"));
	/* addresses that a resolver can go to, if the server's name is ours to answer for */
	assert_true(str_eq_c(zone(0)->addresses, "192.0.2.9\n2001:db8::9\n"));
	assert_true(str_eq_c(zone(1)->zone, "one.example.org"));
	assert_true(str_eq_c(zone(1)->server, "ns.example.com"));
	assert_int_equal(zone(1)->addresses.n, 0);
	assert_true(str_eq_c(zone(2)->zone, "two.example.org"));
	assert_int_equal(zone(2)->addresses.n, 0);
	assert_int_equal(zone(2)->value_count, 0);
	assert_int_equal(rig.zones_told, 1);
	assert_int_equal(rig.zones->number, 1);
	assert_int_equal(rig.sockets_told, 0);

	const int sockets[] = { 7, 8 };
	dns_table_listen(dns01_table(rig.prover), sockets, 2);
	assert_int_equal(rig.sockets_told, 1);
	assert_int_equal(rig.zones->number, 2);
	assert_int_equal(rig.zones->socket_count, 2);
	assert_ptr_equal(rig.zones->sockets, sockets);

	const struct config_source source = { .file = "t" };
	struct err err = ERR_INIT;
	struct config *none = config_parse(&source, STR(""), NULL, &err);
	dns01_configure(rig.prover, none);
	assert_int_equal(rig.zones->count, 0); /* told that there is none any more */
	assert_int_equal(rig.zones_told, 3);
	dns01_configure(rig.prover, none);
	assert_int_equal(rig.zones_told, 3);
	dns01_configure(rig.prover, rig.config);
	assert_int_equal(rig.zones->count, 3);
	config_free(&none);
	dns01_free(&rig.prover);
	assert_null(rig.zones);
	assert_int_equal(rig.sockets_told, 2);
	dns01_free(&rig.prover);
	rig_done(&rig);
}

static void without_zones_nothing_is_told(void **state)
{
	(void)state;
	rig_init(&rig, BY_UPDATE "}", NULL, 0);
	assert_int_equal(rig.zones_told, 0);
	dns01_free(&rig.prover);
	assert_int_equal(rig.zones_told, 0);
	rig_done(&rig);
}

struct entry {
	struct dns_entry is;
	unsigned served, lapsed;
};

static void entry_served(struct dns_entry *e)
{
	OWNER(e, struct entry, is)->served++;
}

static void entry_lapsed(struct dns_entry *e)
{
	OWNER(e, struct entry, is)->lapsed++;
}

static void add(struct entry *e, const char *name, const char *value)
{
	*e = (struct entry){ .is = { .name = str_c(name),
		                     .value = str_c(value),
		                     .served = entry_served,
		                     .lapsed = entry_lapsed } };
	dns_table_add(dns01_table(rig.prover), &e->is);
}

static void each_value_is_told_in_its_zone(void **state)
{
	(void)state;
	struct entry a, b, c, apex;
	struct dns_table *t;
	rig_init(&rig, DELEGATED SITE("a.example.org", "example.org"), NULL, 0);
	t = dns01_table(rig.prover);
	add(&a, "x.acme.example.net", "1");
	add(&b, "y.example.org", "2");
	add(&apex, "acme.example.net", "3");
	assert_int_equal(rig.zones_told, 1); /* once for all of a turn */
	turns(&rig, 3);
	assert_int_equal(rig.zones_told, 2);
	assert_int_equal(zone(0)->value_count, 1);
	assert_true(str_eq_c(zone(0)->values[0].name, "x.acme.example.net"));
	assert_true(str_eq_c(zone(0)->values[0].text, "1"));
	assert_int_equal(zone(1)->value_count, 1);
	assert_true(str_eq_c(zone(1)->values[0].text, "2"));
	assert_int_equal(rig.sockets_told, 0);
	add(&c, "zexample.org", "4");
	turns(&rig, 3);
	assert_int_equal(zone(1)->value_count, 1);

	rig.zones->served(rig.zones, 1);
	assert_int_equal(a.served, 0);
	rig.zones->served(rig.zones, 2);
	assert_int_equal(a.served, 1);
	assert_int_equal(b.served, 1);
	assert_int_equal(c.served, 0);
	rig.zones->served(rig.zones, 0); /* the process is gone: c was not answered yet */
	assert_int_equal(a.lapsed, 1);
	assert_int_equal(c.lapsed, 0);
	rig.zones->served(rig.zones, 3);
	assert_int_equal(a.served, 1);
	assert_int_equal(c.served, 1);
	assert_int_equal(a.lapsed, 1);

	const unsigned told = rig.zones_told;
	dns_table_remove(&a.is, t);
	assert_int_equal(rig.zones_told, told + 1);
	assert_int_equal(zone(0)->value_count, 0);
	dns_table_remove(&a.is, t);
	assert_int_equal(rig.zones_told, told + 1);
	dns_table_remove(&b.is, t);
	dns_table_remove(&c.is, t);
	dns_table_remove(&apex.is, t);
	rig_done(&rig);
}

/* The alias stands in the other zone for years. */
static void a_name_s_place_is_the_same_for_all_time(void **state)
{
	(void)state;
	static const struct {
		const char *name, *is;
	} cases[] = {
		{ "shop.example.com", "shop-example-com-951623a2.acme.example.net" },
		{ "a1234567890123456789012345678901234567890.example.com",
		        "a1234567890123456789012345678901234567890-example--"
		        "493907e8.acme.example.net" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO name = BUF_INIT(1024);
		dns_table_name(str_c(cases[i].name), STR("acme.example.net"), &name);
		assert_string_equal(buf_c(&name), cases[i].is);
	}
	BUF_AUTO record = BUF_INIT(1024);
	rig_init(&rig,
	        DELEGATED SITE("a.example.org",
	                "example.org") "site b.example.org { proxy 127.0.0.1:1; dns-challenge { "
	                               "update 10.0.0.1 } }\n",
	        NULL, 0);
	assert_true(dns01_record(dns01_way(rig.config, STR("shop.example.com")),
	        STR("*.shop.example.com"), &record));
	assert_string_equal(
	        buf_c(&record), RECORD ". CNAME shop-example-com-951623a2.acme.example.net.");
	assert_false(dns01_record(
	        dns01_way(rig.config, STR("b.example.org")), STR("b.example.org"), &record));
	rig_done(&rig);
}

/* ---- the record that stays ---- */

static void persisted(const char *file, struct scripted *script, const char *account)
{
	struct proof_text mine = text;
	rig_init(&rig, file, script, script ? 1 : 0);
	mine.account = str_c(account);
	prover_place(rig.persist, &rig.proving, &mine);
	assert_int_equal(rig.ready, 0);
	turn_until_ready(&rig);
}

static void persisted_done(void)
{
	prover_withdraw(&rig.proving, /* valid= */ true);
	assert_null(rig.proving.state);
	rig_done(&rig);
}

#define PERSIST "resolver 9.9.9.9\ndns-challenge { persist yes }"

static void the_record_is_said_as_it_must_be(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "https://acme-v02.api.letsencrypt.org/acme/acct/7", "letsencrypt.org" },
		{ "https://ca.example/acct/7", "ca.example" },
		{ "https://notletsencrypt.org/acct/7", "notletsencrypt.org" },
		{ "seven", "CA" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char want[512];
		snprintf(want, sizeof want,
		        "_validation-persist.shop.example.com has no TXT record for this account. "
		        "Add this one, with \"; policy=wildcard\" behind it for wildcards: "
		        "_validation-persist.shop.example.com. TXT \"%s; accounturi=%s\"",
		        cases[i][1], cases[i][0]);
		persisted(PERSIST, NULL, cases[i][0]);
		assert_int_equal(rig.err.code, ERR_NOT_FOUND);
		assert_string_equal(rig.err.text, want);
		assert_string_equal(buf_c(&rig.asked),
		        "TXT _validation-persist.shop.example.com 10000 at 9.9.9.9:53\n\n");
		persisted_done();
	}
}

static void a_record_of_the_past_does_not_count(void **state)
{
	(void)state;
	/* the world's time is 1800000000 */
	struct scripted past = { .question = "TXT",
		.records = "ca; accounturi=a; persistUntil=1800000000\n" };
	struct scripted now = { .question = "TXT",
		.records = "ca; accounturi=b\n\nca; accounturi=a; persistUntil=1800000001\n" };
	struct scripted gone = {
		.question = "TXT", .first = "error", .records = "ca; accounturi=a"
	};
	persisted(PERSIST, &past, "a");
	assert_int_equal(rig.err.code, ERR_NOT_FOUND);
	persisted_done();
	persisted(PERSIST, &now, "a");
	assert_int_equal(rig.err.code, ERR_NONE);
	persisted_done();
	persisted(PERSIST, &gone, "a");
	assert_int_equal(rig.err.code, ERR_NOT_FOUND);
	persisted_done();
}

static void withdrawn_it_is_not_told(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	rig_init(&rig, PERSIST, NULL, 0);
	place_only(rig.persist);
	prover_withdraw(&rig.proving, /* valid= */ false);
	assert_int_equal(rig.resolve_count, 0);
	turns(&rig, 3);
	assert_int_equal(rig.ready, 0);
	rig_done(&rig);
	rig_init(&rig, "site *.example.org { proxy 127.0.0.1:1; dns-challenge { persist yes } }",
	        NULL, 0);
	assert_true(prover_can(rig.persist, STR("example.org"), &err));
	assert_false(prover_can(rig.persist, STR("example.com"), &err));
	assert_string_equal(err.text, "Records that stay are not used to prove names. Write "
	                              "`persist yes` into `dns-challenge` if they are to be.");
	dns_persist_free(&rig.persist);
	assert_null(rig.persist);
	rig_done(&rig);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(an_update_is_signed_and_taken_back),
		T(what_stays_there_is_logged),
		T(what_may_be_there_is_taken_away),
		T(the_zone_is_the_primary_s_to_say),
		T(what_is_not_in_the_zone_is_not_sent),
		T(without_a_way_it_is_said_later),
		T(each_zone_is_told_once),
		T(without_zones_nothing_is_told),
		T(each_value_is_told_in_its_zone),
		T(a_name_s_place_is_the_same_for_all_time),
		T(the_record_is_said_as_it_must_be),
		T(a_record_of_the_past_does_not_count),
		T(withdrawn_it_is_not_told),
	};
	return cmocka_run_group_tests_name("issue_dns_ways", tests, NULL, NULL);
}
