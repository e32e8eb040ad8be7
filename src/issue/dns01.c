#include "issue/dns01.h"
#include "base/clock.h"
#include "issue/dns_look.h"
#include "keys/digest.h"

struct dns01 {
	struct prover prover;
	struct dns01_needs needs;
	const struct config *config;
	struct dns_table table;
	struct list proofs; /* struct proof, those that are being taken away as well */
};

/* One value, from its placing until it is taken away. */
struct proof {
	struct list node;
	struct dns01 *dns;
	struct proving *at; /* NULL: withdrawn */
	bool valid;
	bool put; /* it may be there */
	struct arena arena;
	struct config_dns way; /* texts in the arena, as all that follow */
	struct str name, record, target, value, token, zone, resolvers, check;
	struct timer soon;
	struct fetch_resolve resolve;
	struct fetch_update update;
	struct program_call program;
	struct dns_entry entry;
	struct dns_look look;
	struct err err;
};

const struct config_dns *dns01_way(const struct config *config, struct str name)
{
	for (size_t i = 0; i < config->site_count; i++) {
		const struct config_site *s = &config->sites[i];
		for (size_t k = 0; s->dns.at.line && k < s->name_count; k++)
			if (str_eq(acme_without_wildcard(s->names[k]), name))
				return &s->dns;
	}
	return &config->dns;
}

void dns01_resolvers(const struct config *config, struct buf *out)
{
	for (size_t i = 0; i < config->resolver_count; i++)
		buf_printf(out, "%.*s\n", STR_ARG(config->resolvers[i]));
}

static const struct config_dns *way_of(const struct dns01 *d, struct str name)
{
	static const struct config_dns none;
	return d->config ? dns01_way(d->config, acme_without_wildcard(name)) : &none;
}

bool dns01_target(const struct config_dns *way, struct str name, struct buf *ret_target)
{
	if (way->way != CONFIG_DNS_DELEGATED)
		return false;
	dns_table_name(acme_without_wildcard(name), way->delegated, ret_target);
	return true;
}

bool dns01_record(const struct config_dns *way, struct str name, struct buf *ret_line)
{
	BUF_AUTO target = BUF(512);
	if (!dns01_target(way, name, &target))
		return false;
	buf_printf(ret_line, DNS01_PREFIX "%.*s. CNAME %s.", STR_ARG(acme_without_wildcard(name)),
	        buf_c(&target));
	return true;
}

static bool can(struct prover *prover, struct str name, struct err *ret_why_not)
{
	if (way_of(OWNER(prover, struct dns01, prover), name)->way != CONFIG_DNS_NONE)
		return true;
	return err_set(ret_why_not, ERR_NOT_FOUND,
	        "DNS is not set up to prove names." ERR_REMEDY
	        "Add a `dns-challenge` block to the configuration.");
}

/* ---- its end ---- */

/* Withdrawn: only what takes it away may be under way. */
static void proof_free(struct proof *p)
{
	fetch_update_abort(&p->update);
	program_abort(&p->program);
	dns_table_remove(&p->entry, &p->dns->table);
	list_remove(&p->node);
	arena_done(&p->arena);
	free(p);
}

static void say(struct proof *p, struct str words)
{
	if (p->at && p->at->said)
		p->at->said(p->at, words);
}

/* Whoever is told may withdraw it, which may be its end: nothing of it is touched afterwards. */
static void tell_ready(struct proof *p, const struct err *err)
{
	if (p->at)
		p->at->ready(p->at, err);
}

static void fail_soon(struct timer *t)
{
	struct proof *p = OWNER(t, struct proof, soon);
	const struct err err = p->err;
	tell_ready(p, &err);
}

/* ---- looking whether it has arrived ---- */

static void look_said(struct dns_look *l, struct str words)
{
	say(OWNER(l, struct proof, look), words);
}

static void look_done(struct dns_look *l)
{
	tell_ready(OWNER(l, struct proof, look), NULL);
}

static void look(struct proof *p)
{
	if (p->way.unchecked) {
		tell_ready(p, NULL);
		return;
	}
	p->look = (struct dns_look){ .loop = p->dns->needs.loop,
		.fetch = p->dns->needs.fetch,
		.resolvers = p->resolvers,
		.name = p->target,
		.value = p->value,
		.zone = p->zone,
		.check = p->check,
		.wait = p->way.wait,
		.said = look_said,
		.done = look_done };
	dns_look_start(&p->look);
}

/* ---- by update ---- */

static void change(
        struct proof *p, bool remove, void (*done)(struct fetch_update *u, const struct err *err))
{
	const struct config_dns *w = &p->way;
	p->update = (struct fetch_update){ .server = w->server,
		.zone = p->zone,
		.name = p->target,
		.value = p->value,
		.remove = remove,
		.key_name = w->key_name,
		.hmac = w->hmac,
		.secret = w->secret,
		.done = done };
	fetch_update(p->dns->needs.fetch, &p->update);
}

static void removed(struct fetch_update *u, const struct err *err)
{
	struct proof *p = OWNER(u, struct proof, update);
	if (err)
		log_warning(p->dns->needs.log, "The TXT record \"%.*s\" of %.*s stays: %s",
		        STR_ARG(p->value), STR_ARG(p->target), err->text);
	proof_free(p);
}

static void take_away_update(struct proof *p)
{
	if (p->update.fetch)
		return; /* it is taken away once it was added */
	if (p->put)
		change(p, /* remove= */ true, removed);
	else
		proof_free(p);
}

static void added(struct fetch_update *u, const struct err *err)
{
	struct proof *p = OWNER(u, struct proof, update);
	p->put = !err || err->code == ERR_TIMEOUT;
	if (!p->at)
		take_away_update(p);
	else if (err)
		tell_ready(p, err);
	else
		look(p);
}

static bool lies_in(struct str name, struct str zone)
{
	return str_eq(name, zone) || (str_ends(name, zone) && name.p[name.n - zone.n - 1] == '.');
}

static void have_zone(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct proof *p = OWNER(r, struct proof, resolve);
	if (!err && str_eq_c(came->outcome, "found")) {
		p->zone = arena_str(&p->arena, came->owner);
		change(p, /* remove= */ false, added);
		return;
	}
	err_set(&p->err, ERR_NOT_FOUND,
	        "The name server %.*s has no zone for %.*s (%s%.*s)." ERR_REMEDY
	        "Name the primary server of that zone in `update`.",
	        STR_ARG(p->way.server), STR_ARG(p->target), err ? err->text : "",
	        STR_ARG(err ? STR_NONE : came->outcome));
	const struct err why = p->err;
	tell_ready(p, &why);
}

static void update(struct proof *p)
{
	if (!p->zone.n) {
		p->resolve = (struct fetch_resolve){ .name = p->target,
			.servers = p->way.server,
			.type = "SOA",
			.authoritative = true,
			.timeout = 10 * SECOND,
			.done = have_zone };
		fetch_resolve(p->dns->needs.fetch, &p->resolve);
		return;
	}
	if (lies_in(p->target, p->zone)) {
		change(p, /* remove= */ false, added);
		return;
	}
	err_set(&p->err, ERR_INPUT,
	        "%.*s is not in the zone %.*s." ERR_REMEDY "Correct `zone`, or leave it out.",
	        STR_ARG(p->target), STR_ARG(p->zone));
	const struct err why = p->err;
	tell_ready(p, &why);
}

/* ---- by program ---- */

static void run(struct proof *p, const char *what,
        void (*done)(struct program_call *c, struct str output, const struct err *err))
{
	const struct config_dns *w = &p->way;
	struct str *argv = arena_array(&p->arena, struct str, w->argc + 5);
	size_t n = 0;
	for (; n < w->argc; n++)
		argv[n] = w->argv[n];
	argv[n++] = str_c(what);
	argv[n++] = STR("dns-01");
	argv[n++] = p->name;
	argv[n++] = p->token;
	argv[n++] = p->value;
	program_start(p->dns->needs.programs, &p->program,
	        &(struct program_want){
	                .argv = argv,
	                .argc = n,
	                .user = w->user,
	                .home = w->home,
	                .uid = w->uid,
	                .gid = w->gid,
	                .timeout = w->timeout,
	        });
	p->program.done = done;
}

/* The end of it, as one line. */
static struct str shown_output(struct arena *a, struct str output)
{
	enum { SHOWN = 600 };
	if (output.n > SHOWN)
		output = str_from(output, output.n - SHOWN);
	output = arena_str(a, output);
	char *p = (char *)(uintptr_t)output.p;
	for (size_t i = 0; i < output.n; i++)
		p[i] = p[i] == '\n' || p[i] == '\r' ? ' ' : p[i];
	return str_trim(output);
}

static void ran_end(struct program_call *c, struct str output, const struct err *err)
{
	struct proof *p = OWNER(c, struct proof, program);
	const struct log *log = p->dns->needs.log;
	const struct str shown = shown_output(&p->arena, output);
	if (err)
		log_warning(log, "After the proof of %.*s: %s%s%.*s", STR_ARG(p->name), err->text,
		        shown.n ? " It printed: " : "", STR_ARG(shown));
	else if (output.n)
		log_info(log, "%.*s printed: %.*s", STR_ARG(p->way.argv[0]), STR_ARG(output));
	proof_free(p);
}

static void take_away_program(struct proof *p)
{
	if (p->program.programs)
		return; /* it is run once more when it has ended */
	if (p->put)
		run(p, p->valid ? "done" : "failed", ran_end);
	else
		proof_free(p);
}

static void ran_begin(struct program_call *c, struct str output, const struct err *err)
{
	struct proof *p = OWNER(c, struct proof, program);
	const struct str shown = shown_output(&p->arena, output);
	BUF_AUTO words = BUF(1024);
	buf_printf(&words, "%.*s printed: %.*s", STR_ARG(p->way.argv[0]), STR_ARG(shown));
	if (shown.n && p->at)
		say(p, buf_str(&words));
	if (!p->at) {
		take_away_program(p);
		return;
	}
	if (!err) {
		look(p);
		return;
	}
	const struct str message = err_message(err), remedy = err_remedy(err);
	err_set(&p->err, err->code, "%.*s%s%.*s%s%.*s", STR_ARG(message),
	        shown.n ? ERR_WHY "It printed: " : "", STR_ARG(shown), remedy.n ? ERR_REMEDY : "",
	        STR_ARG(remedy));
	const struct err why = p->err;
	tell_ready(p, &why);
}

static void begin_program(struct proof *p)
{
	p->put = true;
	run(p, "begin", ran_begin);
}

/* ---- by our own zone ---- */

static void entry_served(struct dns_entry *e)
{
	look(OWNER(e, struct proof, entry));
}

static void entry_lapsed(struct dns_entry *e)
{
	const struct proof *p = OWNER(e, struct proof, entry);
	if (p->at)
		p->at->lapsed = true;
}

static void publish(struct proof *p)
{
	BUF_AUTO ours = BUF(512), record = BUF(1024);
	dns_table_name(p->name, p->way.delegated, &ours);
	p->zone = p->way.delegated;
	if (!str_eq_nocase(p->target, buf_str(&ours))) {
		dns01_record(&p->way, p->name, &record);
		err_set(&p->err, ERR_NOT_FOUND,
		        "No CNAME record leads from %.*s to the delegated zone." ERR_REMEDY
		        "Add this one to the zone of %.*s: %s",
		        STR_ARG(p->record), STR_ARG(p->name), buf_c(&record));
		const struct err why = p->err;
		tell_ready(p, &why);
		return;
	}
	p->target = arena_str(&p->arena, buf_str(&ours));
	p->entry = (struct dns_entry){
		.name = p->target, .value = p->value, .served = entry_served, .lapsed = entry_lapsed
	};
	dns_table_add(&p->dns->table, &p->entry);
}

/* ---- its beginning ---- */

static void put(struct proof *p)
{
	switch (p->way.way) {
	case CONFIG_DNS_UPDATE:
		update(p);
		break;
	case CONFIG_DNS_PROGRAM:
		begin_program(p);
		break;
	case CONFIG_DNS_DELEGATED:
		publish(p);
		break;
	case CONFIG_DNS_NONE:
		BUG("there is a way");
	}
}

static struct str last_line(struct str lines)
{
	struct str line, last = STR_NONE;
	while (str_split(&lines, '\n', &line))
		last = line.n ? line : last;
	return last;
}

/* RFC 8555 8.4: CNAMEs are followed. Who cannot be asked says nothing against the record itself. */
static void have_alias(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct proof *p = OWNER(r, struct proof, resolve);
	const struct str alias = err ? STR_NONE : last_line(came->aliases);
	p->target = alias.n ? arena_str(&p->arena, alias) : p->record;
	put(p);
}

static void ask_alias(struct proof *p)
{
	p->resolve = (struct fetch_resolve){ .name = p->record,
		.servers = p->resolvers,
		.type = "TXT",
		.timeout = 10 * SECOND,
		.done = have_alias };
	fetch_resolve(p->dns->needs.fetch, &p->resolve);
}

static struct config_dns copy_way(struct arena *a, const struct config_dns *from)
{
	struct config_dns way = *from;
	struct str *const texts[] = { &way.server, &way.zone, &way.key_name, &way.hmac, &way.secret,
		&way.user, &way.home, &way.delegated, &way.name_server };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = texts[i]->n ? arena_str(a, *texts[i]) : STR_NONE;
	way.argv = arena_array(a, struct str, way.argc);
	for (size_t i = 0; i < way.argc; i++)
		way.argv[i] = arena_str(a, from->argv[i]);
	way.listen = NULL;
	way.check = NULL;
	return way;
}

/* RFC 8555 8.4: base64url of the digest of the key authorization. */
static struct str value_of(struct arena *a, const struct proof_text *text)
{
	unsigned char digest[DIGEST_SHA256];
	BUF_AUTO authorization = BUF(1024), value = BUF(64);
	challenge_key_authorization(text->token, text->thumbprint, &authorization);
	digest_sha256(buf_str(&authorization), digest);
	buf_add_base64url(&value, str_n(digest, sizeof digest));
	return arena_str(a, buf_str(&value));
}

static void set_texts(struct proof *p, const struct proof_text *text)
{
	const struct config_dns *from = way_of(p->dns, text->name);
	struct arena *a = &p->arena;
	BUF_AUTO resolvers = BUF(4096), check = BUF(4096);
	p->way = copy_way(a, from);
	p->name = arena_str(a, text->name);
	p->token = arena_str(a, text->token);
	p->value = value_of(a, text);
	p->record = p->target = arena_printf(a, DNS01_PREFIX "%.*s", STR_ARG(text->name));
	p->zone = p->way.zone;
	for (size_t i = 0; i < from->check_count; i++)
		buf_printf(&check, "%.*s\n", STR_ARG(from->check[i]));
	if (p->dns->config)
		dns01_resolvers(p->dns->config, &resolvers);
	p->check = arena_str(a, buf_str(&check));
	p->resolvers = arena_str(a, buf_str(&resolvers));
}

static void place(struct prover *prover, struct proving *at, const struct proof_text *text)
{
	struct dns01 *d = OWNER(prover, struct dns01, prover);
	struct proof *p = mem_new(struct proof);
	p->dns = d;
	p->at = at;
	at->state = p;
	list_add_last(&d->proofs, &p->node);
	set_texts(p, text);
	if (can(prover, text->name, &p->err))
		ask_alias(p);
	else
		timer_start(&p->soon, d->needs.loop, 0, fail_soon);
}

static void withdraw(struct proving *at, bool valid)
{
	struct proof *p = at->state;
	at->state = NULL;
	p->at = NULL;
	p->valid = valid;
	timer_stop(&p->soon);
	fetch_resolve_abort(&p->resolve);
	dns_look_abort(&p->look);
	if (p->way.way == CONFIG_DNS_UPDATE)
		take_away_update(p);
	else if (p->way.way == CONFIG_DNS_PROGRAM)
		take_away_program(p);
	else
		proof_free(p);
}

static const struct prover_ops ops = { .can = can, .place = place, .withdraw = withdraw };

struct prover *dns01_new(const struct dns01_needs *needs)
{
	struct dns01 *d = mem_new(struct dns01);
	d->prover.ops = &ops;
	d->needs = *needs;
	list_init(&d->proofs);
	dns_table_init(&d->table, needs->loop, needs->fetch);
	return &d->prover;
}

void dns01_free(struct prover **prover)
{
	if (!*prover)
		return;
	struct dns01 *d = OWNER(*prover, struct dns01, prover);
	LIST_EACH (node, &d->proofs) {
		struct proof *p = OWNER(node, struct proof, node);
		CHECK(!p->at);
		proof_free(p);
	}
	dns_table_done(&d->table);
	free(d);
	*prover = NULL;
}

void dns01_configure(struct prover *prover, const struct config *config)
{
	struct dns01 *d = OWNER(prover, struct dns01, prover);
	d->config = config;
	dns_table_configure(&d->table, config);
}

struct dns_table *dns01_table(struct prover *prover)
{
	return &OWNER(prover, struct dns01, prover)->table;
}
