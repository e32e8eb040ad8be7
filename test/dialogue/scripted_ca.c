#include "scripted_ca.h"

const struct str ca_names[CA_NAMES] = { STR_INIT("a.test"), STR_INIT("b.test"), STR_INIT("c.test"),
	STR_INIT("d.test") };

void ca_init(struct ca *ca, const struct ca_script *script)
{
	*ca = (struct ca){ .script = *script,
		.account = script->has_account,
		.noise = 12345 + script->luck,
		.body = BUF_INIT(1 << 16) };
}

void ca_done(struct ca *ca)
{
	buf_done(&ca->body);
}

static void complain(struct ca *ca, const char *what)
{
	if (!ca->complaint)
		ca->complaint = what;
}

static void give_nonce(struct ca *ca)
{
	CHECK(ca->nonce_count + 1 < CA_NONCES);
	ca->nonces[++ca->nonce_count] = 1;
	snprintf(ca->nonce, sizeof ca->nonce, "n-%u", ca->nonce_count);
}

static void problem(struct ca *ca, struct acme_reply *r, unsigned status, const char *type)
{
	r->status = status;
	buf_clear(&ca->body);
	buf_printf(&ca->body,
	        "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"The script says %s\","
	        "\"status\":%u}",
	        type, type, status);
}

static bool nonce_good(struct ca *ca, struct str nonce)
{
	uint64_t number = 0;
	if (!str_to_u64(str_from(nonce, 2), &number) || number > ca->nonce_count) {
		complain(ca, "a nonce that was never given");
		return false;
	}
	if (ca->nonces[number] != 1)
		complain(ca, "a nonce used twice");
	ca->nonces[number] = 2;
	ca->noise = ca->noise * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (ca->noise >> 33) % 100 >= ca->script.nonces_refused;
}

static bool contains(struct str s, const char *part)
{
	return s.n && memmem(s.p, s.n, part, strlen(part));
}

/* Messages */

static void say_directory(struct ca *ca)
{
	buf_add_c(&ca->body,
	        "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/"
	        "new-account\","
	        "\"newOrder\":\"https://ca.test/new-order\",\"revokeCert\":\"https://ca.test/"
	        "revoke\","
	        "\"keyChange\":\"https://ca.test/key-change\",\"renewalInfo\":\"https://ca.test/"
	        "ari\","
	        "\"meta\":{\"termsOfService\":\"https://ca.test/terms\",\"website\":\"https://"
	        "ca.test/\","
	        "\"externalAccountRequired\":false,\"profiles\":{\"classic\":\"The default\"}},"
	        "\"a-random-one\":\"https://community.test/\"}");
}

static void hear_account(struct ca *ca, const struct acme_ask *ask, struct acme_reply *r)
{
	const bool only_existing = contains(ask->payload, "onlyReturnExisting");
	if (!ca->account && only_existing) {
		problem(ca, r, 400, "accountDoesNotExist");
		return;
	}
	if (!ca->account && !contains(ask->payload, "\"termsOfServiceAgreed\":true"))
		complain(ca, "an account without agreement to the terms");
	r->status = ca->account ? 200 : 201;
	ca->accounts_made += !ca->account;
	ca->account = true;
	snprintf(ca->location, sizeof ca->location, CA_ACCOUNT);
	buf_add_c(&ca->body, "{\"status\":\"valid\",\"contact\":[\"mailto:a@a.test\"],"
	                     "\"orders\":\"https://ca.test/orders/1\"}");
}

static const char *order_status(const struct ca *ca, const struct ca_order *o)
{
	bool all = true;
	for (unsigned i = 0; i < ca->script.names; i++) {
		if (o->authz[i].failed)
			return "invalid";
		all = all && o->authz[i].valid;
	}
	if (!all)
		return "pending";
	if (!o->finalized)
		return "ready";
	return o->made ? "valid" : "processing";
}

static void say_order(struct ca *ca, unsigned number, struct acme_reply *r)
{
	const struct ca_order *o = &ca->orders[number];
	const char *status = order_status(ca, o);
	buf_printf(&ca->body,
	        "{\"status\":\"%s\",\"expires\":\"2027-01-01T00:00:00Z\",\"identifiers\":[",
	        status);
	for (unsigned i = 0; i < ca->script.names; i++)
		buf_printf(&ca->body, "%s{\"type\":\"dns\",\"value\":\"%.*s\"}", i ? "," : "",
		        STR_ARG(ca_names[i]));
	buf_add_c(&ca->body, "],\"authorizations\":[");
	for (unsigned i = 0; i < ca->script.names; i++)
		buf_printf(&ca->body, "%s\"https://ca.test/authz/%u/%u\"", i ? "," : "", number,
		        ca->script.reversed ? ca->script.names - 1 - i : i);
	buf_printf(&ca->body, "],\"finalize\":\"https://ca.test/finalize/%u\"", number);
	if (o->made)
		buf_printf(
		        &ca->body, ",\"certificate\":\"https://ca.test/certificate/%u\"", number);
	if (str_eq_c(str_c(status), "invalid"))
		buf_add_c(&ca->body, ",\"error\":{\"type\":\"urn:ietf:params:acme:error:compound\","
		                     "\"detail\":\"An authorization failed\"}");
	buf_add_char(&ca->body, '}');
	if (ca->script.retry_after)
		r->retry_after = ca->script.retry_after;
}

static void hear_new_order(struct ca *ca, const struct acme_ask *ask, struct acme_reply *r)
{
	for (unsigned i = 0; i < ca->script.names; i++)
		if (!contains(ask->payload, ca_names[i].p))
			complain(ca, "an order that lacks a name");
	if (ca->script.replaced && contains(ask->payload, "\"replaces\"")) {
		problem(ca, r, 409, "alreadyReplaced");
		return;
	}
	CHECK(ca->order_count < CA_ORDERS);
	const unsigned number = ca->order_count++;
	struct ca_order *o = &ca->orders[number];
	*o = (struct ca_order){ .pending = ca->script.pending,
		.processing = ca->script.processing };
	for (unsigned i = 0; i < ca->script.names; i++)
		o->authz[i].valid = ca->script.reused >> i & 1;
	r->status = 201;
	snprintf(ca->location, sizeof ca->location, "https://ca.test/order/%u", number);
	say_order(ca, number, r);
}

static void check_proof(struct ca *ca, struct ca_authz *z, bool fails)
{
	if (!z->valid && !z->published)
		complain(ca, "a proof looked for while its token was not in place");
	z->valid = z->valid || !fails;
	z->failed = !z->valid;
}

/* Each look at the order is a poll: the checks end, and the certificate is made, after as many. */
static void hear_order(struct ca *ca, unsigned number, struct acme_reply *r)
{
	struct ca_order *o = &ca->orders[number];
	bool answered = true;
	for (unsigned i = 0; i < ca->script.names; i++)
		answered = answered && (o->authz[i].valid || o->authz[i].answered);
	if (o->finalized && !o->made && o->processing-- == 0)
		o->made = true;
	if (answered && !o->finalized && (o->pending == 0 || o->pending-- == 0))
		for (unsigned i = 0; i < ca->script.names; i++)
			check_proof(ca, &o->authz[i],
			        /* fails= */ ca->script.fails && i + 1 == ca->script.names);
	say_order(ca, number, r);
}

static const char *challenge_status(const struct ca *ca, const struct ca_authz *z)
{
	if (z->failed)
		return "invalid";
	if (z->valid)
		return "valid";
	return z->answered && !ca->script.quiet ? "processing" : "pending";
}

static void say_challenge(struct ca *ca, unsigned number, unsigned i)
{
	const struct ca_authz *z = &ca->orders[number].authz[i];
	buf_printf(&ca->body,
	        "{\"type\":\"http-01\",\"url\":\"https://ca.test/challenge/%u/%u\","
	        "\"token\":\"token-of-order-%u-name-%u\",\"status\":\"%s\"",
	        number, i, number, i, challenge_status(ca, z));
	if (z->failed)
		buf_printf(&ca->body,
		        ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\",\"detail\":"
		        "\"192.0.2.7: "
		        "Timeout during connect\",\"status\":400},\"validationRecord\":[{\"url\":"
		        "\"http://%.*s/.well-known/acme-challenge/"
		        "x\",\"addressUsed\":\"192.0.2.7\"}]",
		        STR_ARG(ca_names[i]));
	buf_add_char(&ca->body, '}');
}

static void say_authz(struct ca *ca, unsigned number, unsigned i)
{
	const struct ca_authz *z = &ca->orders[number].authz[i];
	buf_printf(&ca->body,
	        "{\"identifier\":{\"type\":\"dns\",\"value\":\"%.*s\"},\"status\":\"%s\","
	        "\"expires\":\"2027-01-01T00:00:00Z\",\"challenges\":[{\"type\":\"dns-01\",\"url\":"
	        "\"https://ca.test/challenge/"
	        "dns\",\"token\":\"a-token-for-another-type\",\"status\":"
	        "\"pending\"},{\"type\":\"dns-persist-01\",\"accounturi\":\"" CA_ACCOUNT "\"},",
	        STR_ARG(ca_names[i]),
	        z->failed  ? "invalid"
	        : z->valid ? "valid"
	                   : "pending");
	say_challenge(ca, number, i);
	buf_add_c(&ca->body, "]}");
}

static void hear_challenge(struct ca *ca, unsigned number, unsigned i, struct acme_reply *r)
{
	struct ca_authz *z = &ca->orders[number].authz[i];
	if (!z->published)
		complain(ca, "a challenge answered before its token was in place");
	if (z->valid || z->failed || z->answered) {
		if (!ca->script.quiet)
			complain(ca, "a challenge answered twice");
		problem(ca, r, ca->script.quiet ? 409 : 400,
		        ca->script.quiet ? "conflict" : "malformed");
		return;
	}
	z->answered = true;
	z->accepted++;
	say_challenge(ca, number, i);
}

static void hear_finalize(
        struct ca *ca, const struct acme_ask *ask, unsigned number, struct acme_reply *r)
{
	struct ca_order *o = &ca->orders[number];
	if (!str_eq_c(str_c(order_status(ca, o)), "ready")) {
		complain(ca,
		        o->finalized ? "an order finalized twice" : "an order finalized too early");
		problem(ca, r, 403, "orderNotReady");
		return;
	}
	if (!contains(ask->payload, "\"csr\":\"Y3Ny\""))
		complain(ca, "another certificate request than the one that was made");
	o->finalized = true;
	ca->finalized++;
	o->made = o->processing == 0;
	if (!o->made)
		o->processing--;
	say_order(ca, number, r);
}

void ca_publish(struct ca *ca, struct str token)
{
	char text[64];
	unsigned number = CA_ORDERS, i = CA_NAMES;
	snprintf(text, sizeof text, "%.*s", STR_ARG(token));
	sscanf(text, "token-of-order-%u-name-%u", &number, &i);
	if (number < CA_ORDERS && i < CA_NAMES)
		ca->orders[number].authz[i].published = true;
}

void ca_withdraw_all(struct ca *ca)
{
	for (unsigned number = 0; number < CA_ORDERS; number++)
		for (unsigned i = 0; i < CA_NAMES; i++)
			ca->orders[number].authz[i].published = false;
}

/* The URL's path is /WORD[/NUMBER[/NUMBER]]. */
static void route(struct ca *ca, const struct acme_ask *ask, struct acme_reply *r)
{
	char word[32] = "";
	unsigned number = 0, i = 0;
	char url[128];
	snprintf(url, sizeof url, "%.*s", STR_ARG(ask->url));
	sscanf(url, "https://ca.test/%31[a-z-]/%u/%u", word, &number, &i);
	const struct str what = str_c(word);
	if (number >= CA_ORDERS || i >= CA_NAMES)
		problem(ca, r, 404, "malformed");
	else if (str_eq_c(what, "new-order"))
		hear_new_order(ca, ask, r);
	else if (str_eq_c(what, "order"))
		hear_order(ca, number, r);
	else if (str_eq_c(what, "authz"))
		say_authz(ca, number, i);
	else if (str_eq_c(what, "challenge"))
		hear_challenge(ca, number, i, r);
	else if (str_eq_c(what, "finalize"))
		hear_finalize(ca, ask, number, r);
	else if (str_eq_c(what, "certificate") && ask->accept && ca->orders[number].made)
		buf_add_c(&ca->body, CA_CHAIN);
	else
		problem(ca, r, 404, "malformed");
}

static void answer(struct ca *ca, struct acme_reply *r)
{
	r->body = buf_str(&ca->body);
	r->nonce = str_c(ca->nonce);
	r->location = str_c(ca->location);
}

static void begin(struct ca *ca, struct acme_reply *r)
{
	buf_clear(&ca->body);
	ca->nonce[0] = '\0';
	ca->location[0] = '\0';
	*r = (struct acme_reply){ .status = 200, .retry_after = -1, .now = r->now };
}

static void hear_post(
        struct ca *ca, const struct acme_ask *ask, struct str kid, struct acme_reply *r)
{
	const bool good = nonce_good(ca, ask->nonce);
	give_nonce(ca);
	if (!good)
		problem(ca, r, 400, "badNonce");
	else if (ask->effect == ACME_POST_JWK)
		hear_account(ca, ask, r);
	else if (!ca->account || !str_eq_c(kid, CA_ACCOUNT))
		problem(ca, r, 400, "accountDoesNotExist");
	else
		route(ca, ask, r);
}

void ca_hear(
        struct ca *ca, const struct acme_ask *ask, struct str kid, struct acme_reply *ret_reply)
{
	begin(ca, ret_reply);
	if (ask->effect == ACME_HEAD)
		give_nonce(ca);
	else if (ask->effect == ACME_GET)
		say_directory(ca);
	else
		hear_post(ca, ask, kid, ret_reply);
	answer(ca, ret_reply);
}

void ca_refuse_nonce(struct ca *ca, const struct acme_ask *ask, struct acme_reply *ret_reply)
{
	begin(ca, ret_reply);
	nonce_good(ca, ask->nonce);
	give_nonce(ca);
	problem(ca, ret_reply, 400, "badNonce");
	answer(ca, ret_reply);
}
