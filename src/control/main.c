/* everseal-control: started by the supervisor with its rights and its link on descriptor 3. Reads
 * the file, tells whom the others become, becomes the state directory's owner, and only then opens
 * anything else. */
#include "control/control.h"
#include "link/child.h"
#include "link/fence.h"
#include "server/settings.h"

static bool read_config(struct control *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO errors = BUF(64 << 10);
	c->config = config_read(&c->source, &errors, &err);
	if (!c->config)
		fprintf(stderr, "%.*s\n",
		        STR_ARG(errors.n ? str_trim(buf_str(&errors)) : str_c(err.text)));
	return c->config;
}

static void say_what_counts(const struct control *c)
{
	if (c->source.optional && access(c->source.file, F_OK) != 0)
		log_info(&c->log,
		        "There is no %s: the defaults hold, and what was set by page or command.",
		        c->source.file);
}

static bool settle_identity(struct control *c, struct err *err)
{
	struct stat owner;
	if (!identity_state(c->state, &owner, err) ||
	        !identity_choose(c, geteuid(), owner.st_uid, err))
		return false;
	link_send(&c->supervisor, identity, .user = c->config->user, .uid = c->uid, .gid = c->gid,
	        .workers = (int64_t)c->config->workers);
	return identity_become(&owner, err);
}

static void raise_fences(struct control *c)
{
	const char *read[] = { "/", NULL };
	char *logs = access_log_folder(c->config);
	const char *write[] = { c->state, "/dev/null", "/var/log/everseal", logs, NULL };
	fence_process(
	        &(struct fence_want){ .read = read, .write = write }, &c->fences[PROCESS_CONTROL]);
	free(logs);
}

static bool open_all(struct control *c, struct err *err)
{
	if (!settle_identity(c, err))
		return false;
	raise_fences(c);
	return control_open(c, err);
}

static bool start(struct control *c, const char *state)
{
	struct err err = ERR_INIT;
	c->state = str_dup(state ? str_c(state) : c->config->state);
	say_what_counts(c);
	if (open_all(c, &err))
		return true;
	fprintf(stderr, "%s\n", err.text);
	return false;
}

static void read_arguments(struct control *c, int argc, char **argv, const char **ret_state)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--config")) {
			c->source.file = argv[i + 1];
			c->source.optional = false;
		} else if (!strcmp(argv[i], "--state")) {
			*ret_state = argv[i + 1];
		} else if (!strcmp(argv[i], "--dev-page")) {
			c->dev_page = argv[i + 1];
		}
	}
}

int main(int argc, char **argv)
{
	struct control c = { .source = { .file = "/etc/everseal/everseal.conf",
		                     .optional = true,
		                     SERVER_SETTINGS } };
	const char *state = NULL;
	read_arguments(&c, argc, argv, &state);
	log_set_process("control");
	if (!child_started()) {
		fprintf(stderr, "everseal-control is started by `everseal run`.\n");
		return 2;
	}
	struct loop *loop = loop_new(&clock_system);
	control_init(&c, loop, CHILD_LINK);
	bool up = read_config(&c) && start(&c, state);
	if (up)
		loop_run(loop);
	control_done(&c);
	loop_free(&loop);
	return up ? 0 : 1;
}
