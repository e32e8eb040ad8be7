/* everseal-control: started by the supervisor with its rights and its link on descriptor 3. Reads
 * the file, tells whom the others become, becomes the state directory's owner, and only then opens
 * anything else. */
#include "control/control.h"
#include "link/child.h"
#include "link/fence.h"
#include "server/settings.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

static bool read_config(struct control *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO errors = BUF(64 << 10);
	c->config = config_read(&c->source, &errors, &err);
	if (!c->config)
		fprintf(stderr, "%s\n", errors.n ? buf_c(&errors) : err.text);
	return c->config;
}

/* Whom fetch and the serves become: `user`, by default everseal-net if it exists, else nobody. */
static bool choose_user(struct control *c, uid_t owner, struct err *err)
{
	const struct config *conf = c->config;
	c->uid = (int)geteuid();
	c->gid = (int)getegid();
	if (geteuid() != 0)
		return true;
	struct passwd *p = NULL;
	ARENA_AUTO a = ARENA_INIT;
	if (conf->user_set)
		p = getpwnam(arena_str(&a, conf->user).p);
	else if (!(p = getpwnam("everseal-net")))
		p = getpwnam("nobody");
	if (!p)
		return err_set(err, ERR_INPUT, "The system has no user %.*s. Make it, or name another one "
			"with `user` in the configuration.", STR_ARG(conf->user));
	if (p->pw_uid == owner)
		return err_set(err, ERR_INPUT, "The user %s owns the state directory %s, so whoever breaks "
			"into the data plane could read the keys. Name another user with `user`, or give "
			"the directory to another one.", p->pw_name, c->state);
	c->uid = (int)p->pw_uid;
	c->gid = (int)p->pw_gid;
	return true;
}

/* Makes the state directory if there is none, and tells its owner. */
static bool state_owner(struct control *c, struct stat *ret_stat, struct err *err)
{
	if (mkdir(c->state, 0700) && errno != EEXIST)
		return err_sys(err, ERR_PERMISSION, errno, "The state directory %s cannot be made; make it "
			"yourself, or name another one with `state` or --state", c->state);
	if (stat(c->state, ret_stat))
		return err_sys(err, ERR_PERMISSION, errno, "The state directory %s cannot be read",
			c->state);
	return true;
}

static bool become_owner(const struct stat *owner, struct err *err)
{
	if (geteuid() != 0 || owner->st_uid == 0)
		return true;
	if (setgroups(0, NULL) || setresgid(owner->st_gid, owner->st_gid, owner->st_gid) ||
		setresuid(owner->st_uid, owner->st_uid, owner->st_uid))
		return err_sys(err, ERR_PERMISSION, errno,
			"Everseal cannot become the owner of the state directory");
	child_end_with_parent();
	return true;
}

static bool settle_identity(struct control *c, struct err *err)
{
	struct stat owner;
	if (!state_owner(c, &owner, err) || !choose_user(c, owner.st_uid, err))
		return false;
	link_send(&c->supervisor, identity, .user = c->config->user, .uid = c->uid, .gid = c->gid,
		.workers = (int64_t)c->config->workers);
	return become_owner(&owner, err);
}

static void raise_fences(struct control *c)
{
	const char *read[] = { "/", NULL };
	const char *write[] = { c->state, "/dev/null", NULL };
	c->fences[PROCESS_CONTROL] = BUF(1024);
	c->fences[PROCESS_SERVE] = c->fences[PROCESS_FETCH] = c->fences[PROCESS_PAGE] = BUF(1024);
	fence_process(&(struct fence_want){ .read = read, .write = write },
		&c->fences[PROCESS_CONTROL]);
}

static void set_issuers(struct control *c)
{
	ARENA_AUTO a = ARENA_INIT;
	struct issuer_row *rows = arena_array(&a, struct issuer_row, c->config->issuer_count);
	for (size_t i = 0; i < c->config->issuer_count; i++) {
		const struct config_issuer *issuer = &c->config->issuers[i];
		rows[i] = (struct issuer_row){ issuer->name, issuer->directory, issuer->trust };
	}
	issuers_set(c->issuers, rows, c->config->issuer_count);
}

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
	const char *kinds[] = { "account-key", "certificate", "flow-key" };
	struct sealed_scan scan = { .scan.each = found_sealed };
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !scan.found; i++)
		if (!store_each(c->store, str_c(kinds[i]), &scan.scan, err))
			return false;
	c->master = master_load(c->state, /* may_create= */ !scan.found, err);
	return c->master;
}

static bool open_state(struct control *c, struct err *err)
{
	c->store = store_open(c->loop, c->state, err);
	return c->store && socket_open(c, err) && open_master(c, err);
}

static bool open_renewals(struct control *c, struct err *err)
{
	c->fetch = fetch_link_new(c->loop);
	c->board = board_new(c->loop);
	c->issuers = issuers_new(&(struct issue_needs){ .loop = c->loop, .store = c->store,
		.master = c->master, .fetch = c->fetch, .board = c->board, .log = &c->log });
	set_issuers(c);
	serving_init(c);
	c->renewals = renewals_new(&(struct renew_needs){ .loop = c->loop, .store = c->store,
		.master = c->master, .issuers = c->issuers, .fetch = c->fetch, .serving = &c->serving,
		.log = &c->log }, err);
	if (!c->renewals)
		return false;
	renewals_configure(c->renewals, c->config); /* before anybody can ask for anything */
	portal_init(&c->host, c->renewals);
	return true;
}

static void have_thumbprint(struct issuer_key_call *call, const struct key *key,
                            const struct err *err)
{
	struct control *c = OWNER(call, struct control, key_call);
	if (err)
		log_error(&c->log, "Challenges of other nodes cannot be answered: %s", err->text);
	else
		key_thumbprint(key, c->thumbprint);
	generation_want(c, NULL, NULL);
}

static bool start(struct control *c, struct err *err)
{
	if (!settle_identity(c, err))
		return false;
	raise_fences(c);
	if (!open_state(c, err) || !open_renewals(c, err))
		return false;
	struct str issuer = c->config->issuer.n ? c->config->issuer : STR("letsencrypt");
	issuer_key(c->issuers, issuer, &c->key_call, have_thumbprint);
	return true;
}

static void finish(struct control *c)
{
	socket_close(c);
	renewals_free(&c->renewals);
	issuers_free(&c->issuers);
	board_free(&c->board);
	fetch_link_free(&c->fetch);
	store_close(&c->store);
	master_free(&c->master);
	serving_done(c);
	link_done(&c->serve);
	link_done(&c->supervisor);
}

int main(int argc, char **argv)
{
	struct control c = {
		.source = { .file = "/etc/everseal/everseal.conf", .optional = true },
		.socket_fd = -1,
	};
	struct err err = ERR_INIT;
	const char *state = NULL;
	c.source.extra = server_settings;
	c.source.extra_count = server_setting_count;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--config")) {
			c.source.file = argv[i + 1];
			c.source.optional = false;
		} else if (!strcmp(argv[i], "--state")) {
			state = argv[i + 1];
		}
	}
	log_set_process("control");
	if (!child_started()) {
		fprintf(stderr, "everseal-control is started by `everseal run`.\n");
		return 2;
	}
	c.loop = loop_new(&clock_system);
	c.started = loop_wall(c.loop);
	generation_init(&c);
	host_init(&c);
	peers_init(&c, CHILD_LINK);
	if (!read_config(&c))
		return 1;
	c.state = state ? str_dup(str_c(state)) : str_dup(c.config->state);
	if (!start(&c, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	loop_run(c.loop);
	finish(&c);
	return 0;
}
