/* Proofs by DNS: where the value is put, who is asked whether it has arrived, what is said, and
 * that it is taken away. */
#include "issue_dns_rig.h"

static void an_update_goes_where_the_alias_leads(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "TXT _acme-challenge.shop.example.com 9.9.9.9:53\n",
		        .outcome = "no-name",
		        .aliases = "a.example.org\nshop.acme.example.net\n" },
		{ .question = "SOA shop.acme.example.net 10.0.0.53:53",
		        .owner = "acme.example.net" },
		{ .question = "NS acme.example.net",
		        .records = "ns1.example.net\nns2.example.net\n" },
		{ .question = "A ns1.example.net", .records = "192.0.2.1\n" },
		{ .question = "AAAA ns1.example.net", .outcome = "none" },
		{ .question = "A ns2.example.net", .outcome = "none" },
		{ .question = "AAAA ns2.example.net", .records = "2001:db8::2\n" },
		{ .question = "TXT shop.acme.example.net 192.0.2.1:53",
		        .records = "other\n" VALUE "\n" },
		{ .question = "TXT shop.acme.example.net [2001:db8::2]:53",
		        .records = VALUE "\n",
		        .from = 1 },
	};
	struct rig r;
	rig_init(&r,
	        "resolver 9.9.9.9\ndns-challenge { update 10.0.0.53; tsig k hmac-sha256 c2VjcmV0 }",
	        script, sizeof script / sizeof *script);
	place(&r, r.prover);
	assert_string_equal(r.err.text, "");
	assert_string_equal(buf_c(&r.changes),
	        "add 10.0.0.53:53 acme.example.net shop.acme.example.net " VALUE
	        " key k hmac-sha256 c2VjcmV0\n");
	assert_string_equal(
	        buf_c(&r.said), "Waiting for ns2.example.net ([2001:db8::2]:53): not yet there.\n");
	prover_withdraw(&r.proving, /* valid= */ true);
	loop_turn(r.loop, 0);
	assert_non_null(strstr(buf_c(&r.changes), "remove 10.0.0.53:53 acme.example.net shop"));
	rig_done(&r);
}

static void who_does_not_answer_is_left_out(void **state)
{
	(void)state;
	struct scripted script[] = {
		{ .question = "TXT _acme-challenge.shop.example.com 192.0.2.1:53",
		        .outcome = "silent" },
		{ .question = "TXT _acme-challenge.shop.example.com 192.0.2.2:5300",
		        .records = VALUE "\n" },
	};
	struct rig r;
	rig_init(&r,
	        "dns-challenge { update 10.0.0.53:53; zone example.com; check 192.0.2.1 "
	        "192.0.2.2:5300 }",
	        script, 2);
	place(&r, r.prover);
	assert_string_equal(r.err.text, "");
	assert_non_null(
	        strstr(buf_c(&r.said), "192.0.2.1:53) does not answer from here and is left out"));
	prover_withdraw(&r.proving, true);
	rig_done(&r);
}

static void waiting_has_an_end(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r,
	        "dns-challenge { update 10.0.0.53:53; zone example.com; check 192.0.2.1; wait 0s }",
	        NULL, 0);
	place(&r, r.prover);
	assert_string_equal(r.err.text, "");
	assert_non_null(
	        strstr(buf_c(&r.said), "has not got the record after 0 s; the authority is"));
	prover_withdraw(&r.proving, true);
	rig_done(&r);
}

static void what_the_server_refuses_is_told(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "dns-challenge { update 10.0.0.53:53; zone example.com; check off }", NULL, 0);
	err_set(&r.update_err, ERR_REFUSED, "No.");
	place(&r, r.prover);
	assert_string_equal(r.err.text, "No.");
	buf_clear(&r.changes);
	prover_withdraw(&r.proving, false);
	loop_turn(r.loop, 0);
	assert_int_equal(r.changes.n, 0); /* nothing is there to be removed */
	rig_done(&r);
	rig_init(&r, "dns-challenge { update 10.0.0.53:53; check off }", NULL, 0);
	place(&r, r.prover);
	assert_non_null(strstr(r.err.text, "has no zone for _acme-challenge.shop.example.com"));
	prover_withdraw(&r.proving, false);
	rig_done(&r);
	rig_init(&r, "dns-challenge { update 10.0.0.53:53; zone example.org }", NULL, 0);
	place(&r, r.prover);
	assert_non_null(strstr(r.err.text, "is not in the zone example.org"));
	prover_withdraw(&r.proving, false);
	rig_done(&r);
}

/* Withdrawn while it is being added: what may have come is taken away. */
static void what_was_under_way_is_taken_away(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "dns-challenge { update 10.0.0.53:53; zone example.com }", NULL, 0);
	prover_place(r.prover, &r.proving, &text);
	for (int i = 0; i < 5 && !r.update; i++)
		loop_turn(r.loop, 0);
	assert_non_null(r.update);
	prover_withdraw(&r.proving, false);
	for (int i = 0; i < 5; i++)
		loop_turn(r.loop, 0);
	assert_non_null(strstr(buf_c(&r.changes), "remove"));
	assert_int_equal(r.ready, 0);
	rig_done(&r);
}

static void the_delegated_zone_needs_its_alias(void **state)
{
	(void)state;
	struct rig r;
	BUF_AUTO record = BUF(1024);
	rig_init(&r, "dns-challenge { delegated acme.example.net; listen 192.0.2.9; check off }",
	        NULL, 0);
	assert_true(dns01_record(
	        dns01_way(r.config, STR("shop.example.com")), STR("*.shop.example.com"), &record));
	place(&r, r.prover);
	assert_non_null(
	        strstr(r.err.text, "No CNAME record leads from _acme-challenge.shop.example"));
	assert_non_null(strstr(r.err.text, buf_c(&record)));
	prover_withdraw(&r.proving, false);

	/* the alias, as the sentence says it */
	char alias[512];
	const char *to = strstr(buf_c(&record), "CNAME ") + 6;
	snprintf(alias, sizeof alias, "%.*s\n", (int)strlen(to) - 1, to);
	assert_non_null(strstr(alias, "shop-example-com-"));
	alias[0] = 'S'; /* as a resolver may write it */
	struct scripted script[] = { { .question = "TXT _acme-challenge.shop.example.com",
		.outcome = "no-name",
		.aliases = alias } };
	r.script = script;
	r.count = 1;
	r.ready = 0;
	prover_place(r.prover, &r.proving, &text);
	for (int i = 0; i < 5; i++)
		loop_turn(r.loop, 0);
	assert_int_equal(r.ready, 0); /* nobody answers it yet */
	assert_int_equal(r.zones->at[0].value_count, 1);
	assert_true(str_starts(r.zones->at[0].values[0].name, STR("shop-example-com-")));
	assert_true(str_eq_c(r.zones->at[0].values[0].text, VALUE));
	assert_true(str_eq_c(r.zones->at[0].server, "ns.acme.example.net"));
	assert_true(str_eq_c(r.zones->at[0].addresses, "192.0.2.9\n"));
	r.zones->served(r.zones, r.zones->number - 1);
	assert_int_equal(r.ready, 0);
	r.zones->served(r.zones, r.zones->number);
	assert_int_equal(r.ready, 1);
	assert_false(r.proving.lapsed);
	r.zones->served(r.zones, 0);
	assert_true(r.proving.lapsed);
	prover_withdraw(&r.proving, true);
	assert_int_equal(r.zones->at[0].value_count, 0);
	rig_done(&r);
}

static void the_nearest_block_counts(void **state)
{
	(void)state;
	struct rig r;
	struct err err = ERR_INIT;
	rig_init(&r,
	        "dns-challenge { persist yes }\nsite example.org { proxy 127.0.0.1:1\n"
	        "dns-challenge { update 10.0.0.1:53 } }",
	        NULL, 0);
	assert_false(prover_can(r.prover, STR("example.com"), &err));
	assert_true(prover_can(r.persist, STR("example.com"), &err));
	assert_true(prover_can(r.prover, STR("*.example.org"), &err));
	assert_true(prover_can(r.prover, STR("example.org"), &err));
	assert_false(prover_can(r.persist, STR("example.org"), &err));
	rig_done(&r);
}

static void a_record_that_stays_is_looked_for(void **state)
{
	(void)state;
	struct rig r;
	rig_init(&r, "dns-challenge { persist yes }", NULL, 0);
	place(&r, r.persist);
	assert_non_null(strstr(r.err.text,
	        "_validation-persist.shop.example.com. TXT \"letsencrypt.org; accounturi=https:"));
	prover_withdraw(&r.proving, false);
	struct scripted script[] = { { .question = "TXT _validation-persist.shop.example.com",
		.records =
		        "x\nletsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/"
		        "acct/7; policy=wildcard\n" } };
	r.script = script;
	r.count = 1;
	r.ready = 0;
	place(&r, r.persist);
	assert_string_equal(r.err.text, "");
	prover_withdraw(&r.proving, true);
	rig_done(&r);
}

static void what_a_record_says_is_read(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool fits;
	} cases[] = {
		{ "ca.example;accounturi=a", true },
		{ " ca.example ; policy=wildcard; AccountURI = a ", true },
		{ "ca.example; accounturi=b", false },
		{ "ca.example", false },
		{ "; accounturi=a", false },
		{ "", false },
		{ "ca.example; accounturi=a; persistUntil=1001", true },
		{ "ca.example; accounturi=a; persistUntil=1000", false },
		{ "ca.example; accounturi=a; persistUntil=x", false },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(
		        dns_persist_fits(str_c(cases[i].text), STR("a"), 1000), cases[i].fits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_goes_where_the_alias_leads),
		cmocka_unit_test(who_does_not_answer_is_left_out),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(what_the_server_refuses_is_told),
		cmocka_unit_test(what_was_under_way_is_taken_away),
		cmocka_unit_test(the_delegated_zone_needs_its_alias),
		cmocka_unit_test(the_nearest_block_counts),
		cmocka_unit_test(a_record_that_stays_is_looked_for),
		cmocka_unit_test(what_a_record_says_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
