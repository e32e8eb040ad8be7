#include "issue/program.h"
#include <errno.h>
#include <sys/wait.h>

enum { RUNNING_MOST = 8, WORDS_MOST = 40 << 10 /* with the longest message to people */ };

struct programs {
	struct link *supervisor;
	struct list calls; /* struct program_call, oldest first */
	int64_t last_id;
	size_t running;
};

struct programs *programs_new(struct link *supervisor)
{
	struct programs *p = mem_new(struct programs);
	p->supervisor = supervisor;
	list_init(&p->calls);
	return p;
}

static void forget(struct program_call *c)
{
	struct programs *p = c->programs;
	p->running -= c->id != 0;
	list_remove(&c->node);
	buf_done(&c->arguments);
	buf_done(&c->environment);
	free(c->path);
	c->programs = NULL;
}

void programs_free(struct programs **programs)
{
	if (!*programs)
		return;
	LIST_EACH (node, &(*programs)->calls)
		forget(OWNER(node, struct program_call, node));
	free(*programs);
	*programs = NULL;
}

/* As many as may run; if the link is gone, so are we. */
static void run_more(struct programs *p)
{
	LIST_EACH (node, &p->calls) {
		struct program_call *c = OWNER(node, struct program_call, node);
		if (p->running >= RUNNING_MOST)
			return;
		if (c->id)
			continue;
		c->id = ++p->last_id;
		p->running++;
		link_send(p->supervisor, program, .id = c->id, .arguments = buf_str(&c->arguments),
		        .environment = buf_str(&c->environment), .uid = c->uid, .gid = c->gid,
		        .timeout = c->timeout);
	}
}

static void add_word(struct buf *b, const char *name, struct str value)
{
	buf_add_c(b, name);
	buf_add(b, value);
	buf_add_char(b, '\0');
}

void program_start(struct programs *p, struct program_call *c, const struct program_want *want)
{
	c->programs = p;
	c->id = 0;
	c->uid = want->uid;
	c->gid = want->gid;
	c->timeout = want->timeout;
	c->path = str_dup(want->argv[0]);
	c->arguments = BUF(WORDS_MOST);
	c->environment = BUF(WORDS_MOST);
	for (size_t i = 0; i < want->argc; i++)
		add_word(&c->arguments, "", want->argv[i]);
	add_word(&c->environment,
	        "PATH=", STR("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	add_word(&c->environment, "LANG=", STR("C.UTF-8"));
	add_word(&c->environment, "HOME=", want->home.n ? want->home : STR("/"));
	if (want->user.n) {
		add_word(&c->environment, "USER=", want->user);
		add_word(&c->environment, "LOGNAME=", want->user);
	}
	list_add_last(&p->calls, &c->node);
	run_more(p);
}

void program_abort(struct program_call *c)
{
	if (c->programs)
		forget(c);
}

static bool not_run(const char *path, int64_t number, struct err *err)
{
	if (number == EPERM)
		return err_set(err, ERR_PERMISSION,
		        "%s is not run: Everseal would run it as root, or may not run it as that "
		        "user." ERR_REMEDY "Say by `run-as USER` who it runs as; only root may "
		        "choose.",
		        path);
	return err_sys(err, ERR_IO, (int)number, "%s cannot be run", path);
}

static bool is_blank(char c)
{
	return (unsigned char)c <= ' ';
}

/* Without line ends and blanks around it: who prints a lone newline has printed nothing. */
static struct str printed(struct str output)
{
	while (output.n && is_blank(output.p[output.n - 1]))
		output.n--;
	while (output.n && is_blank(output.p[0]))
		output = str_from(output, 1);
	return output;
}

static bool judge(const struct program_call *c, const struct msg_program_ended *m, struct err *err)
{
	const int status = (int)m->status;
	if (m->error > 0 && m->error < 4096)
		return not_run(c->path, m->error, err);
	if (m->late)
		return err_set(err, ERR_TIMEOUT,
		        "%s was ended: it did not finish within %lld s." ERR_REMEDY
		        "See what it waits for, or give it more by `timeout`.",
		        c->path, (long long)(c->timeout / 1000));
	const bool silent = !printed(m->output).n;
	if (WIFSIGNALED(status) && silent)
		return err_set(err, ERR_IO,
		        "%s was ended by signal %d (%s) and printed nothing." ERR_REMEDY
		        "Run it by hand as the same user to see why.",
		        c->path, WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WIFSIGNALED(status))
		return err_set(err, ERR_IO,
		        "%s was ended by signal %d (%s)." ERR_REMEDY "Look at what it printed.",
		        c->path, WTERMSIG(status), strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) && silent)
		return err_set(err, ERR_REFUSED,
		        "%s failed with status %d and printed nothing." ERR_REMEDY
		        "Run it by hand as the same user to see why.",
		        c->path, WEXITSTATUS(status));
	if (WEXITSTATUS(status))
		return err_set(err, ERR_REFUSED,
		        "%s failed with status %d." ERR_REMEDY "Look at what it printed.", c->path,
		        WEXITSTATUS(status));
	return true;
}

void programs_heard(struct programs *p, const struct msg_program_ended *m)
{
	LIST_EACH (node, &p->calls) {
		struct program_call *c = OWNER(node, struct program_call, node);
		struct err err = ERR_INIT;
		if (c->id != m->id)
			continue;
		const bool well = judge(c, m, &err);
		forget(c);
		run_more(p);
		c->done(c, printed(m->output), well ? NULL : &err);
		return;
	}
}
