/* A run's driver: asks, waits, puts what came into the facts. */
#include "diagnose/run.h"
#include "base/url.h"
#include "certs/cert.h"
#include "net/address.h"
#include <sys/random.h>

#define RUN_MOST       (25 * SECOND)
#define DIAL_MOST      (10 * SECOND)
#define RESOLVE_MOST   (8 * SECOND)
#define BOARD_PATIENCE (3 * SECOND)
enum { FAMILY_MOST = ADDRESSES_MOST / 2, NONCE_BYTES = 32, PATH_COUNT = ADDRESSES_MOST + 2 };

static int64_t now(const struct run *run)
{
	return loop_wall(run->needs->loop);
}

static struct str kept(struct run *run, struct str s)
{
	return s.n ? arena_str(&run->arena, s) : STR_NONE;
}

static bool is_under_way(const struct run *run)
{
	bool any = run->asking_directory || !run->dialling;
	any |= run->facts.delegation.name.n && !run->facts.delegation.asked.done;
	for (size_t i = 0; i < QUESTIONS; i++)
		any |= !run->facts.questions[i].done;
	for (size_t i = 0; i < PATH_COUNT; i++)
		any |= run->chases[i].under_way;
	for (size_t i = 0; i <= ADDRESSES_MOST; i++)
		any |= run->looks[i].under_way;
	return any;
}

static void try_dialling(struct run *run);

/* Something has come, or will not come any more. */
static void moved(struct run *run)
{
	try_dialling(run);
	if (run->facts.over)
		return;
	run->facts.now = now(run);
	if (!is_under_way(run)) {
		run_stop(run);
		run->facts.over = true;
	}
	run->changed(run);
}

/* ---- a chain of GETs ---- */

static void chase_end(struct chase *c)
{
	c->path->done = true;
	c->under_way = false;
	moved(c->run);
}

static void chase_go(struct chase *c);

static struct str host_of(struct str url)
{
	struct err ignored = ERR_INIT;
	struct url parsed;
	return url_parse(url, &parsed, &ignored) ? parsed.host : STR_NONE;
}

static bool may_dial(struct run *run, struct str host, struct str address)
{
	struct sockaddr_storage a;
	const struct diagnose_host *h = run->needs->host;
	return address_parse(address, 1, &a) &&
	       (address_is_public(&a) || h->ops->configured(run->needs->host, host));
}

static void dialled(
        struct fetch_dial *dial, const struct fetch_dialled *answer, const struct err *err)
{
	struct chase *c = OWNER(dial, struct chase, dial);
	struct run *run = c->run;
	struct fact_hop *h = &c->path->hops[c->path->count++];
	struct str url;
	*h = (struct fact_hop){ .url = c->url, .address = c->address, .at = c->began };
	h->ms = now(run) - c->began;
	if (err) {
		h->err = *err;
	} else {
		h->status = answer->status;
		h->headers = kept(run, answer->headers);
		h->matched = answer->matched;
		h->ms = answer->ms;
	}
	if (!c->follow || !chain_next(&run->arena, &run->facts, run->nonce, c->path, &url)) {
		chase_end(c);
		return;
	}
	struct str host = host_of(url);
	/* Another name leads elsewhere; the same one is asked at the address that is judged. */
	if (!str_eq_nocase(host, host_of(c->url)))
		c->address = STR_NONE;
	c->url = url;
	chase_go(c);
}

static void chase_dial(struct chase *c)
{
	struct run *run = c->run;
	struct str host = host_of(c->url);
	if (!may_dial(run, host, c->address)) {
		c->path->end = CHAIN_PRIVATE;
		c->path->next = c->url;
		chase_end(c);
		return;
	}
	c->began = now(run);
	c->dial = (struct fetch_dial){ .url = c->url,
		.address = c->address,
		.expected = run->expected,
		.http_port = run->facts.http_port,
		.https_port = run->facts.https_port,
		.anywhere = run->needs->host->ops->configured(run->needs->host, host),
		.timeout = DIAL_MOST,
		.done = dialled };
	fetch_dial(run->needs->fetch, &c->dial);
}

static void found_one(struct chase *c, unsigned which, const struct fetch_resolved *r)
{
	if (r)
		c->found[which] = kept(c->run, str_head(r->records, str_find(r->records, '\n')));
	if (--c->resolving)
		return;
	/* A CA tries IPv6 first, and after a redirect nothing else. */
	c->address = c->found[1].n ? c->found[1] : c->found[0];
	if (c->address.n) {
		chase_dial(c);
		return;
	}
	c->path->end = CHAIN_UNKNOWN;
	c->path->next = c->url;
	chase_end(c);
}

static void found_a(
        struct fetch_resolve *r, const struct fetch_resolved *resolved, const struct err *err)
{
	(void)err;
	found_one(OWNER(r, struct chase, resolves[0]), 0, resolved);
}

static void found_aaaa(
        struct fetch_resolve *r, const struct fetch_resolved *resolved, const struct err *err)
{
	(void)err;
	found_one(OWNER(r, struct chase, resolves[1]), 1, resolved);
}

static void chase_resolve(struct chase *c)
{
	static const char *const types[] = { "A", "AAAA" };
	struct str host = host_of(c->url);
	c->resolving = 2;
	for (size_t i = 0; i < 2; i++) {
		c->found[i] = STR_NONE;
		c->resolves[i] = (struct fetch_resolve){ .name = host,
			.servers = c->run->here.servers,
			.type = types[i],
			.timeout = RESOLVE_MOST,
			.done = i ? found_aaaa : found_a };
		fetch_resolve(c->run->needs->fetch, &c->resolves[i]);
	}
}

static void chase_go(struct chase *c)
{
	struct sockaddr_storage a;
	struct str host = host_of(c->url);
	if (!c->address.n && address_parse(host, 1, &a))
		c->address = host;
	if (c->address.n)
		chase_dial(c);
	else
		chase_resolve(c);
}

static void chase_start(
        struct run *run, size_t index, struct fact_path *path, struct str url, struct str address)
{
	struct chase *c = &run->chases[index];
	c->run = run;
	c->path = path;
	c->url = url;
	c->address = address;
	c->under_way = true;
	c->follow = index < ADDRESSES_MOST;
	path->wanted = true;
}

static void chase_stop(struct chase *c)
{
	fetch_dial_abort(&c->dial);
	fetch_resolve_abort(&c->resolves[0]);
	fetch_resolve_abort(&c->resolves[1]);
	c->under_way = false;
}

/* ---- handshakes ---- */

static void take_leaf(struct run *run, struct fact_address *at, struct str pem)
{
	struct arena *a = &run->arena;
	struct str chain[CHAIN_MOST], names = STR_NONE;
	size_t count;
	struct cert leaf;
	if (!cert_chain_from_pem(a, pem, chain, &count, &at->probe_err) ||
	        !cert_read(a, chain[0], &leaf, &at->probe_err))
		return;
	for (size_t i = 0; i < leaf.name_count && i < 4; i++)
		names = names.n ? arena_printf(
		                          a, "%.*s, %.*s", STR_ARG(names), STR_ARG(leaf.names[i]))
		                : leaf.names[i];
	at->leaf_sha = arena_str(a, str_c(leaf.sha256));
	at->leaf_names = names;
	at->leaf_issuer = leaf.self_signed ? STR_NONE : leaf.issuer;
}

static void looked(struct fetch_probe *probe, struct str leaf_pem, const struct err *err)
{
	struct look *l = OWNER(probe, struct look, probe);
	struct run *run = l->run;
	struct fact_address own = { 0 }, *at = l->at ? l->at : &own;
	if (err)
		at->probe_err = *err;
	else
		take_leaf(run, at, leaf_pem);
	at->probed = true;
	l->under_way = false;
	if (!l->at) {
		run->facts.own_leaf_sha = own.leaf_sha;
		run->facts.own_leaf_done = true;
	}
	moved(run);
}

static void look_at(struct run *run, size_t index, struct fact_address *at, struct str address)
{
	struct look *l = &run->looks[index];
	l->run = run;
	l->at = at;
	l->under_way = true;
	l->probe = (struct fetch_probe){ .address = address,
		.server_name = run->facts.is_address ? STR_NONE : run->facts.name,
		.port = at ? run->facts.https_port : run->here.own_port,
		.done = looked };
	if (at)
		at->probe_at = now(run);
	fetch_probe(run->needs->fetch, &l->probe);
}

/* ---- the name's own addresses ---- */

static size_t take_addresses(struct run *run, enum dns_type type, struct local_addresses *local)
{
	struct facts *f = &run->facts;
	struct str rest = f->questions[type].records, line;
	size_t more = 0, taken = 0;
	while (str_split(&rest, '\n', &line)) {
		struct sockaddr_storage a;
		if (!line.n || !address_parse(line, 1, &a))
			continue;
		if (taken == FAMILY_MOST) {
			more++;
			continue;
		}
		taken++;
		f->addresses[f->address_count++] = (struct fact_address){ .text = line,
			.ipv6 = type == DNS_AAAA,
			.is_public = address_is_public(&a),
			.ours = address_is_ours(local, &a, loop_mono(run->needs->loop)),
			.dialled = may_dial(run, f->name, line) };
	}
	return more;
}

static bool has_public_ipv4(const struct local_addresses *local)
{
	for (size_t i = 0; i < local->count; i++)
		if (local->at[i].ss_family == AF_INET && address_is_public(&local->at[i]))
			return true;
	return false;
}

static void gather_addresses(struct run *run)
{
	struct facts *f = &run->facts;
	struct local_addresses local = { 0 };
	struct sockaddr_storage any;
	if (address_parse(STR("192.0.2.1"), 1, &any))
		address_is_ours(&local, &any, loop_mono(run->needs->loop)); /* asks the kernel */
	f->behind_router = !has_public_ipv4(&local);
	f->address_more = take_addresses(run, DNS_A, &local);
	f->address_more += take_addresses(run, DNS_AAAA, &local);
	f->addresses_done = true;
	local_addresses_done(&local);
}

static struct str nonce_url(struct run *run, bool https, struct str host)
{
	uint16_t port = https ? run->facts.https_port : run->facts.http_port;
	struct str shown =
	        port == (https ? 443 : 80) ? STR_NONE : arena_printf(&run->arena, ":%u", port);
	return arena_printf(&run->arena,
	        str_has(host, ':') ? "%s://[%.*s]%.*s/.well-known/acme-challenge/%.*s"
	                           : "%s://%.*s%.*s/.well-known/acme-challenge/%.*s",
	        https ? "https" : "http", STR_ARG(host), STR_ARG(shown), STR_ARG(run->nonce));
}

static const struct fact_address *first_to_dial(const struct facts *f)
{
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].dialled)
			return &f->addresses[i];
	return NULL;
}

/* All are marked as under way before the first goes: none ends the run by being the only one. */
static void dial_all(struct run *run)
{
	struct facts *f = &run->facts;
	const struct fact_address *first = first_to_dial(f);
	struct str url = nonce_url(run, /* https= */ false, f->name);
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].dialled)
			chase_start(run, i, &f->addresses[i].path, url, f->addresses[i].text);
	if (first)
		chase_start(run, ADDRESSES_MOST, &f->https,
		        nonce_url(run, /* https= */ true, f->name), first->text);
	if (first && f->parent.n)
		chase_start(run, ADDRESSES_MOST + 1, &f->parent_https,
		        nonce_url(run, /* https= */ true, f->parent), STR_NONE);
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].dialled)
			look_at(run, i, &f->addresses[i], f->addresses[i].text);
	for (size_t i = 0; i < PATH_COUNT; i++)
		if (run->chases[i].under_way)
			chase_go(&run->chases[i]);
}

static void try_dialling(struct run *run)
{
	struct facts *f = &run->facts;
	if (run->dialling || !f->answer_done || !f->questions[DNS_A].done ||
	        !f->questions[DNS_AAAA].done)
		return;
	run->dialling = true;
	gather_addresses(run);
	dial_all(run);
}

/* ---- what is asked at once ---- */

static void take_answer(struct run *run, struct fact_question *q, const struct fetch_resolved *r,
        const struct err *err)
{
	q->outcome = DNS_GARBLED;
	if (err)
		q->err = *err;
	else if (dns_outcome_from_name(r->outcome, &q->outcome)) {
		q->owner = kept(run, r->owner);
		q->aliases = kept(run, r->aliases);
		q->records = kept(run, r->records);
		q->server = kept(run, r->server);
		q->ms = r->ms;
	}
}

static void resolved(
        struct run *run, enum dns_type type, const struct fetch_resolved *r, const struct err *err)
{
	struct fact_question *q = &run->facts.questions[type];
	q->done = true;
	take_answer(run, q, r, err);
	moved(run);
}

#define X(name, text)                                                                              \
	static void resolved_##name(                                                               \
	        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err) \
	{                                                                                          \
		resolved(OWNER(r, struct run, questions[DNS_##name]), DNS_##name, came, err);      \
	}
DNS_NAME_TYPES(X)
#undef X

/* It is its own address. RFC 8738 5: no CAA record is about it. */
static void know_address(struct run *run)
{
	const struct facts *f = &run->facts;
	const bool six = str_has(f->name, ':');
	for (enum dns_type t = DNS_A; t <= DNS_CAA; t++) {
		const bool its = t == (six ? DNS_AAAA : DNS_A);
		run->facts.questions[t] = (struct fact_question){ .done = true,
			.outcome = its ? DNS_FOUND : DNS_NONE,
			.records = its ? f->name : STR_NONE };
	}
}

static void ask_dns(struct run *run)
{
	static void (*const done[])(
	        struct fetch_resolve *, const struct fetch_resolved *, const struct err *) = {
#define X(name, text) [DNS_##name] = resolved_##name,
		DNS_NAME_TYPES(X)
#undef X
	};
	for (enum dns_type t = DNS_A; t <= DNS_CAA; t++) {
		run->facts.questions[t].at = now(run);
		run->questions[t] = (struct fetch_resolve){ .name = run->facts.name,
			.servers = run->here.servers,
			.type = dns_type_name(t),
			.timeout = RESOLVE_MOST,
			.done = done[t] };
		fetch_resolve(run->needs->fetch, &run->questions[t]);
	}
}

static void ask_delegation(struct run *run, enum dns_type type,
        void (*done)(
                struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err))
{
	run->delegation = (struct fetch_resolve){ .name = run->facts.delegation.name,
		.servers = run->here.servers,
		.type = dns_type_name(type),
		.timeout = RESOLVE_MOST,
		.done = done };
	fetch_resolve(run->needs->fetch, &run->delegation);
}

static void heard_cname(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct run *run = OWNER(r, struct run, delegation);
	struct fact_question *q = &run->facts.delegation.asked;
	if (!err)
		q->aliases = kept(run, came->records);
	q->done = true;
	moved(run);
}

/* Where nobody answers behind it, the CNAME itself may still be there. */
static void heard_delegation(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct run *run = OWNER(r, struct run, delegation);
	struct fact_question *q = &run->facts.delegation.asked;
	take_answer(run, q, came, err);
	if (!err && q->outcome == DNS_FAILED) {
		ask_delegation(run, DNS_CNAME, heard_cname);
		return;
	}
	q->done = true;
	moved(run);
}

static void take_identities(struct run *run, struct str body)
{
	struct err ignored = ERR_INIT;
	JSON_AUTO *json = json_parse(body, "The directory", &ignored);
	const struct json *list = json_array(json_object(json, "meta"), "caaIdentities");
	BUF_AUTO out = BUF(4096);
	for (size_t i = 0; i < json_count(list); i++) {
		struct str one = json_value_text(json_at(list, i));
		if (!one.n || str_has(one, '\n'))
			continue;
		buf_add(&out, one);
		buf_add_char(&out, '\n');
	}
	if (out.n)
		run->facts.ca.identities = kept(run, buf_str(&out));
}

static void heard_directory(
        struct fetch_call *call, const struct fetch_reply *reply, const struct err *err)
{
	struct run *run = OWNER(call, struct run, directory);
	struct facts *f = &run->facts;
	run->asking_directory = false;
	f->ca.done = true;
	f->ca.at = now(run);
	if (err) {
		f->ca.err = *err;
	} else {
		int64_t date;
		if (clock_from_http_date(fetch_header(reply, "date", 0), &date))
			f->ca.date = date;
		take_identities(run, reply->body);
	}
	moved(run);
}

static void ask_directory(struct run *run)
{
	if (!run->here.directory.n)
		return;
	run->asking_directory = true;
	run->directory = (struct fetch_call){ .purpose = "acme",
		.method = "GET",
		.url = run->here.directory,
		.trust = run->here.trust,
		.timeout = DIAL_MOST,
		.done = heard_directory };
	fetch_start(run->needs->fetch, &run->directory);
}

static void random_text(struct run *run, struct str *ret_text)
{
	unsigned char bytes[NONCE_BYTES];
	BUF_AUTO text = BUF(64);
	CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
	buf_add_base64url(&text, str_n(bytes, sizeof bytes));
	*ret_text = kept(run, buf_str(&text));
}

static void is_published(struct notice *n)
{
	struct run *run = OWNER(n, struct run, notice);
	timer_stop(&run->patience);
	run->facts.answering = run->facts.answer_done = true;
	moved(run);
}

/* Whoever answers is asked all the same. */
static void not_published(struct timer *t)
{
	struct run *run = OWNER(t, struct run, patience);
	run->facts.answer_done = true;
	moved(run);
}

/* What has not ended by now is told as silence. */
static void give_up_waiting(struct run *run, struct chase *c)
{
	struct fact_path *p = c->path;
	if (c->under_way && p->count < HOPS_MOST) {
		struct fact_hop *h = &p->hops[p->count++];
		*h = (struct fact_hop){ .url = c->url, .address = c->address, .at = c->began };
		h->ms = now(run) - c->began;
		err_set(&h->err, ERR_TIMEOUT,
		        "No answer before the run ended." ERR_REMEDY "Run it again.");
		p->end = CHAIN_SILENT;
		p->done = true;
	}
}

static void deadline(struct timer *t)
{
	struct run *run = OWNER(t, struct run, deadline);
	for (size_t i = 0; i < PATH_COUNT; i++)
		if (run->chases[i].run)
			give_up_waiting(run, &run->chases[i]);
	run_stop(run);
	run->facts.now = now(run);
	run->facts.over = true;
	run->changed(run);
}

void run_start(struct run *run)
{
	run->began = now(run);
	run->facts.now = run->began;
	run->needs->host->ops->here(run->needs->host, &run->arena, &run->facts, &run->here);
	random_text(run, &run->nonce);
	random_text(run, &run->rest);
	run->expected =
	        arena_printf(&run->arena, "%.*s.%.*s", STR_ARG(run->nonce), STR_ARG(run->rest));
	timer_start(&run->deadline, run->needs->loop, RUN_MOST, deadline);
	timer_start(&run->patience, run->needs->loop, BOARD_PATIENCE, not_published);
	board_publish(run->needs->board, &run->notice,
	        &(struct notice_text){
	                .token = run->nonce, .thumbprint = run->rest, .name = run->facts.name },
	        is_published);
	if (run->facts.is_address)
		know_address(run);
	else
		ask_dns(run);
	if (run->facts.delegation.name.n) {
		run->facts.delegation.asked.at = now(run);
		ask_delegation(run, DNS_TXT, heard_delegation);
	}
	ask_directory(run);
	if (run->here.own_address.n)
		look_at(run, ADDRESSES_MOST, NULL, run->here.own_address);
	else
		run->facts.own_leaf_done = true;
}

void run_stop(struct run *run)
{
	if (run->facts.over)
		return;
	run->took = now(run) - run->began;
	timer_stop(&run->deadline);
	timer_stop(&run->patience);
	board_withdraw(&run->notice);
	fetch_abort(&run->directory);
	fetch_resolve_abort(&run->delegation);
	for (size_t i = 0; i < QUESTIONS; i++)
		fetch_resolve_abort(&run->questions[i]);
	for (size_t i = 0; i < PATH_COUNT; i++)
		chase_stop(&run->chases[i]);
	for (size_t i = 0; i <= ADDRESSES_MOST; i++)
		fetch_probe_abort(&run->looks[i].probe);
}

void run_done(struct run *run)
{
	run_stop(run);
	arena_done(&run->arena);
}
