/* Programs that the supervisor runs for control: what they get of us, how they end, and that none
 * of theirs is left. Time goes on when the suite says so. */
#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { NOBODY = 65534, OUTPUT_MOST = 16 << 10, SURPLUS = 77 };
#define TIMEOUT  (10 * SECOND)
#define PATIENCE 60 /* real seconds: then it is said what did not happen */

static int64_t now;

static int64_t time_of(const struct clock *c)
{
	(void)c;
	return now;
}

static const struct clock turned = { .wall = time_of, .mono = time_of };

/* What control heard last. */
static struct {
	unsigned answers;
	int64_t id;
	int error, status;
	bool late;
	struct buf output;
} heard;

static struct supervisor supervisor;
static struct link control; /* its end */
static char folder[64], note[96];

static void hears(struct link *l, const struct msg *m)
{
	(void)l;
	assert_int_equal(m->type, MSG_program_ended);
	const struct msg_program_ended *e = &m->is.program_ended;
	heard.answers++;
	heard.id = e->id;
	heard.error = (int)e->error;
	heard.status = (int)e->status;
	heard.late = e->late;
	buf_clear(&heard.output);
	buf_add(&heard.output, e->output);
}

static void ended(struct link *l, const struct err *why)
{
	(void)l, (void)why;
}

static const struct link_ops ops = { hears, ended };

static int setup(void **state)
{
	(void)state;
	int fds[2];
	struct err err = ERR_INIT;
	now = 1000;
	memset(&heard, 0, sizeof heard);
	heard.output = BUF(1 << 20);
	supervisor = (struct supervisor){ .loop = loop_new(&turned) };
	list_init(&supervisor.programs);
	assert_true(link_pair(fds, &err));
	link_init(&supervisor.children[PROCESS_CONTROL].link, supervisor.loop, fds[0], &ops);
	link_init(&control, supervisor.loop, fds[1], &ops);
	snprintf(folder, sizeof folder, "/tmp/everseal-program-XXXXXX");
	assert_non_null(mkdtemp(folder));
	chmod(folder, 0777);
	snprintf(note, sizeof note, "%s/note", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	programs_done(&supervisor);
	link_done(&supervisor.children[PROCESS_CONTROL].link);
	link_done(&control);
	loop_free(&supervisor.loop);
	buf_done(&heard.output);
	unlink(note);
	return rmdir(folder);
}

/* ---- asking ---- */

static struct msg_program asked(struct str arguments)
{
	const bool root = geteuid() == 0;
	return (struct msg_program){ .id = 5,
		.arguments = arguments,
		.uid = root ? NOBODY : -1,
		.gid = root ? NOBODY : -1,
		.timeout = TIMEOUT };
}

static void wait_for(bool (*over)(void), const char *what)
{
	const time_t most = time(NULL) + PATIENCE;
	while (!over()) {
		loop_turn(supervisor.loop, 5);
		if (time(NULL) > most)
			fail_msg("%s did not happen", what);
	}
}

static bool is_answered(void)
{
	return heard.answers;
}

static void run(const struct msg_program *m)
{
	heard.answers = 0;
	program_run(&supervisor, m);
	wait_for(is_answered, "its end");
	assert_int_equal(heard.answers, 1);
	assert_int_equal(heard.id, m->id);
}

/* The words end at the first NULL. */
static void words(struct buf *out, const char *const *all)
{
	for (; *all; all++)
		buf_add(out, str_n(*all, strlen(*all) + 1));
}

static void start_shell(const char *script)
{
	BUF_AUTO text = BUF(4096);
	words(&text, (const char *const[]){ "/bin/sh", "-c", script, "sh", note, NULL });
	const struct msg_program m = asked(buf_str(&text));
	heard.answers = 0;
	program_run(&supervisor, &m);
	assert_int_equal(heard.answers, 0);
}

static void shell(const char *script)
{
	start_shell(script);
	wait_for(is_answered, "its end");
	assert_int_equal(heard.error, 0);
}

static void says(const char *text)
{
	assert_string_equal(buf_c(&heard.output), text);
}

static void exits(int status)
{
	assert_true(WIFEXITED(heard.status));
	assert_int_equal(WEXITSTATUS(heard.status), status);
}

static void dies_of(int signal)
{
	assert_true(WIFSIGNALED(heard.status));
	assert_int_equal(WTERMSIG(heard.status), signal);
}

/* ---- what the script notes ---- */

static bool is_noted(void)
{
	struct stat st;
	return !stat(note, &st) && st.st_size > 0;
}

static pid_t noted(void)
{
	int pid = 0;
	wait_for(is_noted, "its note");
	FILE *f = fopen(note, "re");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &pid), 1);
	fclose(f);
	assert_true(pid > 1);
	return pid;
}

static pid_t watched;

/* Whoever inherited it may not have taken note of its end. */
static bool is_gone(void)
{
	char path[64], letter = 'Z';
	snprintf(path, sizeof path, "/proc/%d/stat", (int)watched);
	FILE *f = fopen(path, "re");
	if (!f)
		return true;
	const int n = fscanf(f, "%*d (%*[^)]) %c", &letter);
	fclose(f);
	return n != 1 || letter == 'Z' || letter == 'X';
}

/* ---- cases ---- */

static void it_ends_as_it_says(void **state)
{
	(void)state;
	shell("echo out; echo err >&2; exit 7");
	exits(7);
	says("out\nerr\n");
	assert_false(heard.late);
	shell("kill -SEGV $$");
	dies_of(SIGSEGV);
	says("");
	BUF_AUTO text = BUF(4096);
	words(&text, (const char *const[]){ "/nowhere/hook", "x", NULL });
	const struct msg_program m = asked(buf_str(&text));
	run(&m);
	exits(127);
	says("/nowhere/hook cannot be run: the system says: No such file or directory.\n");
}

/* No word is seen by a shell. */
static void words_are_words(void **state)
{
	(void)state;
	BUF_AUTO text = BUF(4096);
	words(&text, (const char *const[]){
	                     "/usr/bin/printf", "<%s>", "$HOME `id`", "", "a b;c", NULL });
	const struct msg_program m = asked(buf_str(&text));
	run(&m);
	exits(0);
	says("<$HOME `id`><><a b;c>");
}

static void the_environment_is_what_was_given(void **state)
{
	(void)state;
	BUF_AUTO text = BUF(4096), environment = BUF(4096);
	setenv("EVERSEAL_SECRET", "s3cret", 1);
	words(&text, (const char *const[]){ "/usr/bin/env", NULL });
	struct msg_program m = asked(buf_str(&text));
	run(&m);
	says("");
	words(&environment, (const char *const[]){ "PATH=/usr/bin", "CREDENTIAL=two words", NULL });
	m.environment = buf_str(&environment);
	run(&m);
	says("PATH=/usr/bin\nCREDENTIAL=two words\n");
	unsetenv("EVERSEAL_SECRET");
}

static void no_descriptor_is_left_open(void **state)
{
	(void)state;
	assert_int_equal(dup2(STDOUT_FILENO, SURPLUS), SURPLUS);
	shell("for n in 0 1 2 3 4 5 6 7 8 9 10 20 77; do test -e /proc/$$/fd/$n && echo $n; done; "
	      "readlink /proc/$$/fd/0; wc -c");
	close(SURPLUS);
	/* 10 is the shell's own, where it is. */
	assert_true(str_eq_c(buf_str(&heard.output), "0\n1\n2\n/dev/null\n0\n") ||
	            str_eq_c(buf_str(&heard.output), "0\n1\n2\n10\n/dev/null\n0\n"));
}

static void its_place_is_bare(void **state)
{
	(void)state;
	for (int i = 1; i < SIGRTMIN; i++)
		signal(i,
		        i == SIGPIPE ? SIG_IGN : SIG_DFL); /* whoever started us may ignore some */
	sigset_t blocked, before;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	shell("pwd; umask; ulimit -c; grep -E '^(NoNewPrivs|CapEff|CapAmb|SigBlk|SigIgn)' "
	      "/proc/self/status; test $$ = $(cut -d' ' -f6 /proc/$$/stat) && echo session");
	sigprocmask(SIG_SETMASK, &before, NULL);
	signal(SIGPIPE, SIG_DFL);
	says("/\n0077\n0\n"
	     "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
	     "CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"
	     "NoNewPrivs:\t1\nsession\n");
}

static void it_becomes_its_user(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	shell("id -u; id -ru; id -G; grep -E '^(Uid|Gid)' /proc/self/status");
	says("65534\n65534\n65534\n"
	     "Uid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n");
}

static void what_it_says_is_cut(void **state)
{
	(void)state;
	shell("head -c 1000000 /dev/zero | tr '\\0' x; echo end; exit 2");
	exits(2);
	assert_int_equal(heard.output.n, OUTPUT_MOST);
	for (size_t i = 0; i < heard.output.n; i++)
		assert_int_equal(heard.output.p[i], 'x');
}

/* It has LAST_TIME to end by itself. */
static void it_is_told_that_its_time_is_over(void **state)
{
	(void)state;
	start_shell("trap 'echo bye; exit 3' TERM; echo $$ > $1; while :; do sleep 0.05; done");
	watched = noted();
	now += TIMEOUT - 1;
	for (int i = 0; i < 10; i++)
		loop_turn(supervisor.loop, 5);
	assert_int_equal(heard.answers, 0);
	assert_false(is_gone());
	now += 1;
	wait_for(is_answered, "its end");
	exits(3);
	assert_true(str_ends(buf_str(&heard.output), STR("bye\n")));
	assert_true(heard.late);
}

static void one_that_does_not_listen_is_killed_with_its_own(void **state)
{
	(void)state;
	start_shell("trap '' TERM; sleep 1000 & echo $! > $1; wait");
	watched = noted();
	now += TIMEOUT;
	for (int i = 0; i < 20; i++)
		loop_turn(supervisor.loop, 5);
	assert_int_equal(heard.answers, 0);
	assert_false(is_gone());
	now += 3 * SECOND;
	wait_for(is_answered, "its end");
	dies_of(SIGKILL);
	assert_true(heard.late);
	wait_for(is_gone, "the end of what it had started");
}

/* Nobody waits for a pipe that a child of its holds open. */
static void what_it_leaves_running_is_ended(void **state)
{
	(void)state;
	shell("sleep 1000 & echo $! > $1; echo done");
	exits(0);
	says("done\n");
	assert_false(heard.late);
	watched = noted();
	wait_for(is_gone, "the end of what it had started");
}

static void refused(struct msg_program m, int error)
{
	run(&m);
	assert_int_equal(heard.error, error);
	assert_int_equal(heard.output.n, 0);
	assert_true(list_empty(&supervisor.programs));
}

static void what_is_malformed_is_refused(void **state)
{
	(void)state;
	BUF_AUTO text = BUF(4096), many = BUF(4096);
	words(&text, (const char *const[]){ "/bin/true", NULL });
	const struct msg_program good = asked(buf_str(&text));
	struct msg_program m = good;
	for (int i = 0; i < 65; i++)
		buf_add(&many, str_n("/x", 3));
	const struct str wrong[] = { STR_NONE, STR("/bin/true"), str_n("true", 5), str_n("", 1),
		buf_str(&many) };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		m.arguments = wrong[i];
		refused(m, EINVAL);
	}
	m = good;
	m.environment = STR("A=1");
	refused(m, EINVAL);
	m = good;
	m.uid = INT64_C(1) << 32;
	refused(m, EINVAL);
	m = good;
	m.gid = -1;
	m.uid = 1;
	refused(m, EINVAL);
	if (geteuid() == 0) {
		m = good;
		m.uid = -1;
		refused(m, EPERM);
	}
	run(&good);
	exits(0);
}

static size_t running(void)
{
	size_t count = 0;
	LIST_EACH (n, &supervisor.programs)
		count++;
	return count;
}

static bool all_ended(void)
{
	return list_empty(&supervisor.programs);
}

static bool all_run(void)
{
	struct stat st;
	return !stat(note, &st) && st.st_size == 16;
}

static bool all_are_answered(void)
{
	return heard.answers == 16;
}

static void sixteen_run_at_a_time(void **state)
{
	(void)state;
	for (int i = 0; i < 16; i++)
		start_shell("echo >> $1; exec sleep 1000");
	assert_int_equal(running(), 16);
	wait_for(all_run, "their start");
	BUF_AUTO text = BUF(4096);
	words(&text, (const char *const[]){ "/bin/true", NULL });
	const struct msg_program m = asked(buf_str(&text));
	run(&m);
	assert_int_equal(heard.error, EAGAIN);
	heard.answers = 0;
	now += TIMEOUT;
	wait_for(all_are_answered, "the end of all");
	dies_of(SIGTERM);
	assert_true(all_ended());
}

/* It goes on, and the next control, which has ids of its own, hears nothing. */
static void nobody_is_told_once_control_is_gone(void **state)
{
	(void)state;
	start_shell("while ! test -e $1.go; do sleep 0.05; done; echo $$ > $1");
	programs_control_gone(&supervisor);
	char go[112];
	snprintf(go, sizeof go, "%s.go", note);
	close(open(go, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	wait_for(all_ended, "its end");
	assert_true(noted() > 0);
	unlink(go);
	for (int i = 0; i < 5; i++)
		loop_turn(supervisor.loop, 5);
	assert_int_equal(heard.answers, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_ends_as_it_says),
		T(words_are_words),
		T(the_environment_is_what_was_given),
		T(no_descriptor_is_left_open),
		T(its_place_is_bare),
		T(it_becomes_its_user),
		T(what_it_says_is_cut),
		T(it_is_told_that_its_time_is_over),
		T(one_that_does_not_listen_is_killed_with_its_own),
		T(what_it_leaves_running_is_ended),
		T(what_is_malformed_is_refused),
		T(sixteen_run_at_a_time),
		T(nobody_is_told_once_control_is_gone),
	};
	return cmocka_run_group_tests_name("supervisor_program", tests, NULL, NULL);
}
