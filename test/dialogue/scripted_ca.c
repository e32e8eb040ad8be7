#include "scripted_ca.h"

const struct str ca_names[CA_NAMES] = { STR_INIT("a.test"), STR_INIT("b.test"), STR_INIT("c.test"),
	STR_INIT("d.test") };
const struct str ca_special_names[CA_NAMES] = { STR_INIT("a.test"), STR_INIT("*.a.test"),
	STR_INIT("2001:db8::7"), STR_INIT("d.test") };

const struct str *ca_names_of(const struct ca_script *script)
{
	return script->special ? ca_special_names : ca_names;
}

static struct str name_of(const struct ca *ca, unsigned i)
{
	return ca_names_of(&ca->script)[i];
}

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
	        "\"externalAccountRequired\":");
	buf_add_c(&ca->body, ca->script.bound ? "true" : "false");
	buf_add_c(&ca->body, ",\"profiles\":{\"classic\":\"The default\",\"short\":\"Six days\"}},"
	                     "\"a-random-one\":\"https://community.test/\"}");
}

static void hear_account(struct ca *ca, const struct acme_ask *ask, struct acme_reply *r)
{
	const bool only_existing = contains(ask->payload, "onlyReturnExisting");
	if (!ca->account && only_existing) {
		problem(ca, r, 400, "accountDoesNotExist");
		return;
	}
	const bool bound = contains(ask->payload, "\"externalAccountBinding\":" CA_BINDING);
	if (!ca->account && bound != ca->script.bound)
		complain(ca, "an account that is not bound as it is wanted");
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

static void say_identifier(struct ca *ca, unsigned i, struct str value)
{
	buf_printf(&ca->body, "%s{\"type\":\"%s\",\"value\":\"%.*s\"}", i ? "," : "",
	        str_has(value, ':') ? "ip" : "dns", STR_ARG(value));
}

static void say_order(struct ca *ca, unsigned number, struct acme_reply *r)
{
	const struct ca_order *o = &ca->orders[number];
	const char *status = order_status(ca, o);
	buf_printf(&ca->body,
	        "{\"status\":\"%s\",\"expires\":\"2027-01-01T00:00:00Z\",\"identifiers\":[",
	        status);
	for (unsigned i = 0; i < ca->script.names; i++)
		say_identifier(ca, i, name_of(ca, i));
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
		if (!contains(ask->payload, name_of(ca, i).p))
			complain(ca, "an order that lacks a name");
	if (ca->script.profile && !contains(ask->payload, ca->script.profile))
		complain(ca, "an order that lacks the profile");
	if (contains(ask->payload, "\"2001:db8::7\"") && !contains(ask->payload, "\"type\":\"ip\""))
		complain(ca, "an address that is ordered as a name");
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
	if (!z->valid && !(z->published >> z->type & 1))
		complain(ca, "a proof looked for while its token was not in place");
	z->valid = z->valid || !fails;
	z->failed = !z->valid;
}

static bool not_found(const struct ca *ca, const struct ca_authz *z)
{
	return ca->script.fails || ca->script.not_found >> z->type & 1;
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
			        /* fails= */ i + 1 == ca->script.names &&
			                not_found(ca, &o->authz[i]));
	say_order(ca, number, r);
}

static const char *challenge_status(
        const struct ca *ca, const struct ca_authz *z, enum challenge_type type)
{
	if (z->type != type && (z->valid || z->answered))
		return "pending";
	if (z->failed)
		return "invalid";
	if (z->valid)
		return "valid";
	return z->answered && !ca->script.quiet ? "processing" : "pending";
}

/* A challenge's number in its URL and token is that of the name, and CA_NAMES times its type. */
static void say_challenge(struct ca *ca, unsigned number, unsigned i, enum challenge_type type)
{
	const struct ca_authz *z = &ca->orders[number].authz[i];
	const unsigned at = i + CA_NAMES * type;
	buf_printf(&ca->body,
	        "{\"type\":\"%s\",\"url\":\"https://ca.test/challenge/%u/%u\",\"status\":\"%s\"",
	        challenge_type_name(type), number, at, challenge_status(ca, z, type));
	if (type == CHALLENGE_DNS_PERSIST_01)
		buf_add_c(&ca->body, ",\"accounturi\":\"" CA_ACCOUNT "\"");
	else
		buf_printf(&ca->body, ",\"token\":\"token-of-order-%u-name-%u\"", number, at);
	if (z->failed && z->type == type)
		buf_add_c(&ca->body,
		        ",\"error\":{\"type\":\"urn:ietf:params:acme:error:connection\",\"detail\":"
		        "\"192.0.2.7: Timeout during connect\",\"status\":400}");
	if (z->failed && z->type == type && type == CHALLENGE_HTTP_01)
		buf_printf(&ca->body,
		        ",\"validationRecord\":[{\"url\":\"http://%.*s/.well-known/acme-challenge/"
		        "x\",\"addressUsed\":\"192.0.2.7\"}]",
		        STR_ARG(name_of(ca, i)));
	buf_add_char(&ca->body, '}');
}

static bool is_wildcard(const struct ca *ca, unsigned i)
{
	return str_starts(name_of(ca, i), STR("*."));
}

/* RFC 8555 7.1.3, RFC 8738 4 */
static bool offered(const struct ca *ca, unsigned i, enum challenge_type type)
{
	const bool by_dns = type == CHALLENGE_DNS_01 || type == CHALLENGE_DNS_PERSIST_01;
	const unsigned offers = ca->script.offers ? ca->script.offers : 1u << CHALLENGE_HTTP_01;
	if (is_wildcard(ca, i) && !by_dns)
		return false;
	return offers >> type & 1 && !(by_dns && str_has(name_of(ca, i), ':'));
}

static void say_authz(struct ca *ca, unsigned number, unsigned i)
{
	const struct ca_authz *z = &ca->orders[number].authz[i];
	const struct str name = str_from(name_of(ca, i), is_wildcard(ca, i) ? 2 : 0);
	buf_add_c(&ca->body, "{\"identifier\":");
	say_identifier(ca, 0, name);
	buf_printf(&ca->body,
	        ",\"wildcard\":%s,\"status\":\"%s\",\"expires\":\"2027-01-01T00:00:00Z\","
	        "\"challenges\":[{\"type\":\"dns-account-01\",\"url\":"
	        "\"https://ca.test/challenge/"
	        "dns\",\"token\":\"a-token-for-another-type\",\"status\":"
	        "\"pending\"},{\"type\":\"of-the-future-01\"}",
	        is_wildcard(ca, i) ? "true" : "false",
	        z->failed  ? "invalid"
	        : z->valid ? "valid"
	                   : "pending");
	for (enum challenge_type type = 0; type < CHALLENGE_TYPE_COUNT; type++) {
		if (!offered(ca, i, type))
			continue;
		buf_add_char(&ca->body, ',');
		say_challenge(ca, number, i, type);
	}
	buf_add_c(&ca->body, "]}");
}

static void hear_challenge(struct ca *ca, unsigned number, unsigned at, struct acme_reply *r)
{
	const enum challenge_type type = at / CA_NAMES;
	const unsigned i = at % CA_NAMES;
	struct ca_authz *z = &ca->orders[number].authz[i];
	if (!(z->published >> type & 1))
		complain(ca, "a challenge answered before its token was in place");
	if (!offered(ca, i, type))
		complain(ca, "a challenge answered that was not offered");
	if (z->valid || z->failed || z->answered) {
		if (!ca->script.quiet)
			complain(ca, "a challenge answered twice");
		problem(ca, r, ca->script.quiet ? 409 : 400,
		        ca->script.quiet ? "conflict" : "malformed");
		return;
	}
	z->answered = true;
	z->type = type;
	z->accepted++;
	say_challenge(ca, number, i, type);
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

void ca_publish(struct ca *ca, const struct flow_name *name)
{
	const struct str where =
	        name->type == CHALLENGE_DNS_PERSIST_01 ? name->challenge : name->token;
	char text[128];
	unsigned number = CA_ORDERS, at = CA_NAMES * CHALLENGE_TYPE_COUNT;
	snprintf(text, sizeof text, "%.*s", STR_ARG(where));
	if (sscanf(text, "token-of-order-%u-name-%u", &number, &at) != 2)
		sscanf(text, "https://ca.test/challenge/%u/%u", &number, &at);
	if (number < CA_ORDERS && at < CA_NAMES * CHALLENGE_TYPE_COUNT)
		ca->orders[number].authz[at % CA_NAMES].published |= 1u << at / CA_NAMES;
}

void ca_withdraw_all(struct ca *ca)
{
	for (unsigned number = 0; number < CA_ORDERS; number++)
		for (unsigned i = 0; i < CA_NAMES; i++)
			/* That record stays. */
			ca->orders[number].authz[i].published &= 1u << CHALLENGE_DNS_PERSIST_01;
}

/* RFC 8555 7.4.2: all chains are linked from each. Chain 0 is the default. */
static void say_certificate(struct ca *ca, unsigned number, unsigned chain)
{
	size_t n = 0;
	for (unsigned i = 1; i <= ca->script.chains; i++)
		n += (size_t)snprintf(ca->links + n, sizeof ca->links - n,
		        "<https://ca.test/certificate/%u/%u>;rel=\"alternate\"\n", number, i);
	if (!ca->script.chains)
		buf_add_c(&ca->body, CA_CHAIN);
	else
		buf_add_c(&ca->body,
		        chain && chain == ca->script.chain ? CA_CHAIN_TWO : CA_CHAIN_ONE);
	ca->downloads++;
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
	if (number >= CA_ORDERS || i >= CA_NAMES * CHALLENGE_TYPE_COUNT)
		problem(ca, r, 404, "malformed");
	else if (str_eq_c(what, "new-order"))
		hear_new_order(ca, ask, r);
	else if (str_eq_c(what, "order"))
		hear_order(ca, number, r);
	else if (str_eq_c(what, "authz"))
		say_authz(ca, number, i % CA_NAMES);
	else if (str_eq_c(what, "challenge"))
		hear_challenge(ca, number, i, r);
	else if (str_eq_c(what, "finalize"))
		hear_finalize(ca, ask, number, r);
	else if (str_eq_c(what, "certificate") && ask->accept && ca->orders[number].made)
		say_certificate(ca, number, i);
	else
		problem(ca, r, 404, "malformed");
}

static void answer(struct ca *ca, struct acme_reply *r)
{
	r->body = buf_str(&ca->body);
	r->nonce = str_c(ca->nonce);
	r->location = str_c(ca->location);
	r->links = str_c(ca->links);
}

static void begin(struct ca *ca, struct acme_reply *r)
{
	buf_clear(&ca->body);
	ca->nonce[0] = '\0';
	ca->location[0] = '\0';
	ca->links[0] = '\0';
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
