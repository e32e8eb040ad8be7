/* From the file to the loop: what control opens, in its order, and closes again. */
#include "control/control.h"
#include <sys/random.h>
#include <sys/stat.h>

void control_init(struct control *c, struct loop *loop, int supervisor_fd)
{
	c->loop = loop;
	c->started = loop_wall(loop);
	c->socket_fd = -1;
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		c->fences[i] = BUF(1024);
	generation_init(c);
	host_init(c);
	counted_init(c);
	page_init(c);
	peers_init(c, supervisor_fd);
}

/* ---- the master key ---- */

/* Whether the store has anything sealed: then a missing master key is not made anew. */
struct sealed_scan {
	struct store_scan scan;
	bool found;
};

static bool found_sealed(struct store_scan *s, const struct record *record)
{
	struct sealed_scan *scan = OWNER(s, struct sealed_scan, scan);
	scan->found |= record->blob.n > 0;
	return !scan->found;
}

static bool open_master(struct control *c, struct err *err)
{
	const char *kinds[] = { "account-key", "certificate", "flow-key", "person", "target" };
	struct sealed_scan scan = { .scan.each = found_sealed };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !scan.found; i++)
		if (!store_each(c->store, str_c(kinds[i]), &scan.scan, err))
			return false;
	c->master = master_load(c->state, /* may_create= */ !scan.found, err);
	return c->master;
}

/* ---- the key of marks in cookies ---- */

static void sticky_key_stored(struct store_tx *tx, const struct err *err)
{
	struct control *c = OWNER(tx, struct control, sticky_tx);
	if (err)
		log_warning(&c->log,
		        "The key for `sticky` is not stored, visitors may change to another "
		        "application after the next start: %s",
		        err->text);
}

static bool read_sticky_key(struct control *c, struct seal_for what, struct str blob)
{
	struct err ignored = ERR_INIT;
	SECRET_AUTO plain = SECRET_NONE;
	if (!unseal(c->master, what, "The key for `sticky`", blob, &plain, &ignored) ||
	        plain.n != sizeof c->sticky_key)
		return false;
	memcpy(c->sticky_key, plain.p, plain.n);
	return true;
}

/* Of no worth to anybody else: one that cannot be read is made anew. */
static void open_sticky_key(struct control *c)
{
	struct seal_for what = { STR("sticky-key"), STR("serve"), 0 };
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO sealed = BUF(1024);
	struct record r = { 0 };
	struct err ignored = ERR_INIT;
	if (store_get(c->store, &a, what.kind, what.id, &r, &ignored)) {
		what.version = r.version;
		if (read_sticky_key(c, what, r.blob))
			return;
	}
	what.version++;
	CHECK(getrandom(c->sticky_key, sizeof c->sticky_key, 0) == sizeof c->sticky_key);
	SECRET_AUTO plain = secret_copy(str_n(c->sticky_key, sizeof c->sticky_key));
	seal(c->master, what, &plain, &sealed);
	store_tx_put(
	        &c->sticky_tx, what.kind, what.id, what.version - 1, STR("{}"), buf_str(&sealed));
	store_tx_start(c->store, &c->sticky_tx, sticky_key_stored);
}

static void sticky_key_done(struct control *c)
{
	store_tx_abort(&c->sticky_tx);
	wipe(c->sticky_key, sizeof c->sticky_key);
}

/* ---- what a configuration means outside of generations ---- */

static void set_issuers(struct control *c)
{
	ARENA_AUTO a = ARENA_INIT;
	size_t count;
	const struct issuer_row *rows = renew_issuer_rows(&a, c->config, &count);
	issuers_set(c->issuers, rows, count);
}

/* The first generation waits for this; later ones take what there is. */
static void have_thumbprint(
        struct issuer_key_call *call, const struct key *key, const struct err *err)
{
	struct control *c = OWNER(call, struct control, key_call);
	char thumbprint[sizeof c->thumbprint] = "";
	if (err)
		log_error(&c->log, "Challenges of other nodes cannot be answered: %s", err->text);
	else
		key_thumbprint(key, thumbprint);
	bool changed = strcmp(thumbprint, c->thumbprint) != 0;
	memcpy(c->thumbprint, thumbprint, sizeof thumbprint);
	if (changed)
		page_configured(c);
	if (changed || !c->begun)
		generation_want(c, NULL, NULL);
}

/* That of the file's first issuer, else of Let's Encrypt. `internal` has no account. */
static struct str default_issuer(const struct config *config)
{
	const struct config_issuer *first = config_issuer(config, config->issuer);
	return first && first->directory.n ? first->name : STR("letsencrypt");
}

static void ask_thumbprint(struct control *c)
{
	issuer_key_abort(&c->key_call);
	issuer_key(c->issuers, default_issuer(c->config), &c->key_call, have_thumbprint);
}

static void rekeyed(struct rekeyed *r)
{
	ask_thumbprint(OWNER(r, struct control, rekeyed));
}

void control_configured(struct control *c)
{
	set_issuers(c);
	access_log_reopen(c);
	delegated_configured(c);
	renewals_configure(c->renewals, c->config);
	notify_configure(c->notify, c->config);
	ask_thumbprint(c);
	page_configured(c);
}

/* ---- opening and closing ---- */

static bool open_renewals(struct control *c, struct err *err)
{
	c->fetch = fetch_link_new(c->loop);
	c->board = board_new(c->loop);
	serving_init(c);
	c->http01 = http01_new(c->board, &c->by_http);
	c->alpn01 = alpn01_new(c->loop, c->board, &c->by_tls);
	c->programs = programs_new(&c->supervisor);
	delegated_init(c);
	c->rekeyed.tell = rekeyed;
	c->issuers = issuers_new(&(struct issue_needs){ .loop = c->loop,
	        .store = c->store,
	        .master = c->master,
	        .fetch = c->fetch,
	        .provers = { [CHALLENGE_HTTP_01] = c->http01,
	                [CHALLENGE_TLS_ALPN_01] = c->alpn01,
	                [CHALLENGE_DNS_01] = c->dns01,
	                [CHALLENGE_DNS_PERSIST_01] = c->dns_persist },
	        .rekeyed = &c->rekeyed,
	        .log = &c->log });
	c->renewals = renewals_new(&(struct renew_needs){ .loop = c->loop,
	                                   .store = c->store,
	                                   .master = c->master,
	                                   .issuers = c->issuers,
	                                   .fetch = c->fetch,
	                                   .serving = &c->serving,
	                                   .kept = &c->kept,
	                                   .log = &c->log },
	        err);
	if (c->renewals)
		demand_init(c);
	return c->renewals;
}

/* The key is made after the database: one without the other means that something was lost. */
static bool database_is_lost(struct control *c, struct err *err)
{
	BUF_AUTO key = BUF(4096), database = BUF(4096);
	struct stat st;
	buf_printf(&key, "%s/master.key", c->state);
	buf_printf(&database, "%s/everseal.db", c->state);
	if (stat(buf_c(&key), &st) || (!stat(buf_c(&database), &st) && st.st_size))
		return false;
	err_set(err, ERR_CORRUPT,
	        "%s is there, but the database beside it is gone or empty, and accounts and "
	        "certificates "
	        "are lost with it. Put back a copy of everseal.db; or, to begin anew with a new "
	        "account, remove master.key.",
	        buf_c(&key));
	return true;
}

static bool open_store(struct control *c, struct err *err)
{
	c->store = store_open(c->loop, c->state, err);
	int newer = c->store ? store_went_back(c->store) : 0;
	if (newer)
		log_warning(&c->log,
		        "A newer Everseal did not take over and had changed the database, going on "
		        "with what was before. What it had made lies in %s/everseal.db.after-%d: "
		        "remove that when nobody needs it.",
		        c->state, newer);
	return c->store != NULL;
}

bool control_open(struct control *c, struct err *err)
{
	if (database_is_lost(c, err))
		return false;
	if (!open_store(c, err) || !socket_open(c, err) || !open_master(c, err))
		return false;
	open_sticky_key(c);
	if (!kept_open(&c->kept, c->store, &c->log, err) || !open_renewals(c, err) ||
	        !notified_open(c, err))
		return false;
	struct portal_needs needs = { .loop = c->loop,
		.store = c->store,
		.master = c->master,
		.renewals = c->renewals,
		.notify = c->notify,
		.issuers = c->issuers,
		.fetch = c->fetch,
		.board = c->board,
		.host = &c->host,
		.log = &c->log,
		.dev_page = c->dev_page };
	if (!portal_open(&needs, err) || !page_open(c, err))
		return false;
	control_configured(c);
	portal_greet();
	return true;
}

void control_done(struct control *c)
{
	socket_close(c);
	page_close(c);
	passwords_forget(c); /* before what compares them ends */
	portal_close();
	issuer_key_abort(&c->key_call);
	if (c->notify)
		notified_done(c);
	renewals_free(&c->renewals);
	issuers_free(&c->issuers);
	http01_free(&c->http01);
	alpn01_free(&c->alpn01);
	if (c->dns01)
		delegated_done(c);
	programs_free(&c->programs);
	board_free(&c->board);
	resolve_done(c);
	upstreams_forget(c);
	sticky_key_done(c);
	fetch_link_free(&c->fetch);
	kept_done(&c->kept);
	timer_stop(&c->proof);
	store_close(&c->store);
	master_free(&c->master);
	serving_done(c);
	host_done(c);
	counted_done(c);
	link_done(&c->serve);
	generation_done(c);
	page_done(c);
	link_done(&c->supervisor);
	config_free(&c->config);
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		buf_done(&c->fences[i]);
	free(c->state);
}
