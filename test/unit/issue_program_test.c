/* Programs over a real link to a supervisor that the test plays: what they get, how many run, how
 * their end is told; and the proof by DNS that they do. */
#include "issue_dns_rig.h"
#include <errno.h>
#include <signal.h>

#define HOOK      "/usr/local/bin/hook"
#define PATH_WORD "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"

static struct rig rig;

static int set_up(void **state)
{
	(void)state;
	rig_init(&rig, "", NULL, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	rig_done(&rig);
	return 0;
}

struct call {
	struct program_call is;
	unsigned done;
	char output[64];
	struct err err;
};

static void call_done(struct program_call *c, struct str output, const struct err *err)
{
	struct call *call = OWNER(c, struct call, is);
	assert_null(c->programs);
	call->done++;
	snprintf(call->output, sizeof call->output, "%.*s", STR_ARG(output));
	call->err = err ? *err : (struct err)ERR_INIT;
}

static void start(struct call *c, const struct program_want *want)
{
	*c = (struct call){ .is.done = call_done };
	program_start(rig.programs, &c->is, want);
	assert_int_equal(c->done, 0);
	turns(&rig, 3);
}

static void start_plain(struct call *c)
{
	const struct str argv[] = { STR("/bin/x") };
	start(c, &(struct program_want){ .argv = argv, .argc = 1, .timeout = HOUR });
}

static void ends(int64_t id, int status, const char *output)
{
	link_send(&rig.supervisor, program_ended, .id = id, .status = status,
	        .output = str_c(output));
	turns(&rig, 3);
}

static unsigned runs(void)
{
	unsigned count = 0;
	struct str rest = buf_str(&rig.ran), line;
	while (str_split(&rest, '\n', &line))
		count += str_starts(line, STR("run "));
	return count;
}

static void it_gets_its_words_and_no_other_environment(void **state)
{
	(void)state;
	struct call c;
	const struct str argv[] = { STR("/bin/x"), STR("a b"), STR("") };
	start(&c, &(struct program_want){ .argv = argv,
	                  .argc = 3,
	                  .user = STR("www"),
	                  .home = STR("/srv/www"),
	                  .uid = 5,
	                  .gid = 6,
	                  .timeout = 7 * SECOND });
	assert_string_equal(buf_c(&rig.ran),
	        "run 1 as 5:6 for 7000\n/bin/x\na b\n\n" PATH_WORD
	        "LANG=C.UTF-8\nHOME=/srv/www\nUSER=www\nLOGNAME=www\n");
	buf_clear(&rig.ran);
	struct call other;
	start(&other, &(struct program_want){
	                      .argv = argv, .argc = 1, .uid = -1, .gid = -1, .timeout = SECOND });
	assert_string_equal(buf_c(&rig.ran),
	        "run 2 as -1:-1 for 1000\n/bin/x\n" PATH_WORD "LANG=C.UTF-8\nHOME=/\n");
	ends(1, 0, "well");
	assert_int_equal(c.done, 1);
	assert_string_equal(c.output, "well");
	assert_int_equal(c.err.code, ERR_NONE);
	assert_int_equal(other.done, 0);
	program_abort(&other.is);
}

static void its_end_is_told_by_what_it_was(void **state)
{
	(void)state;
	static const struct {
		struct msg_program_ended ended;
		enum err_code code;
		const char *text;
	} cases[] = {
		{ { .status = 0 }, ERR_NONE, "" },
		{ { .status = 3 << 8, .output = STR_INIT("No") }, ERR_REFUSED,
		        "/bin/x failed with status 3. Look at what it printed." },
		{ { .status = SIGKILL, .output = STR_INIT("No") }, ERR_IO,
		        "/bin/x was ended by signal 9 (Killed). Look at what it printed." },
		{ { .status = 3 << 8, .output = STR_INIT("\n") }, ERR_REFUSED,
		        "/bin/x failed with status 3 and printed nothing. Run it by hand as the "
		        "same user to see why." },
		{ { .status = SIGKILL }, ERR_IO,
		        "/bin/x was ended by signal 9 (Killed) and printed nothing. Run it by hand "
		        "as the same user to see why." },
		{ { .status = SIGKILL, .late = true }, ERR_TIMEOUT,
		        "/bin/x was ended: it did not finish within 3600 s. See what it waits for, "
		        "or give it more by `timeout`." },
		{ { .error = EPERM }, ERR_PERMISSION,
		        "/bin/x is not run: Everseal would run it as root, or may not run it as "
		        "that user. Say by `run-as USER` who it runs as; only root may choose." },
		{ { .error = ENOENT }, ERR_IO, "/bin/x cannot be run: No such file or directory" },
		{ { .error = 4095 }, ERR_IO, "/bin/x cannot be run: error 4095." },
		{ { .error = 4096, .status = 1 << 8 }, ERR_REFUSED,
		        "/bin/x failed with status 1 " },
		{ { .error = -1, .status = 1 << 8 }, ERR_REFUSED, "/bin/x failed with status 1 " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct call c;
		struct msg_program_ended ended = cases[i].ended;
		start_plain(&c);
		ended.id = c.is.id;
		link_send_message(&rig.supervisor, MSG_program_ended, &ended);
		turns(&rig, 3);
		assert_int_equal(c.done, 1);
		assert_int_equal(c.err.code, cases[i].code);
		if (!str_starts(str_c(c.err.text), str_c(cases[i].text)))
			assert_string_equal(c.err.text, cases[i].text);
	}
}

static void eight_run_at_a_time(void **state)
{
	(void)state;
	struct call calls[12];
	for (size_t i = 0; i < 11; i++)
		start_plain(&calls[i]);
	assert_int_equal(runs(), 8);
	program_abort(&calls[8].is); /* it waited */
	ends(3, 0, "");
	assert_int_equal(calls[2].done, 1);
	assert_int_equal(runs(), 9);
	assert_int_equal(calls[9].is.id, 9); /* in their order */
	assert_int_equal(calls[10].is.id, 0);
	ends(3, 0, ""); /* nobody's any more */
	ends(77, 0, "");
	assert_int_equal(calls[2].done, 1);
	assert_int_equal(runs(), 9);
	program_abort(&calls[0].is); /* it ran: its place is another's */
	program_abort(&calls[0].is);
	start_plain(&calls[11]);
	assert_int_equal(runs(), 10);
	assert_int_equal(calls[10].is.id, 10);
	assert_int_equal(calls[11].is.id, 0);
	ends(1, 0, "");
	assert_int_equal(calls[0].done, 0);
	assert_int_equal(calls[8].done, 0);
	programs_free(&rig.programs);
	assert_null(rig.programs);
	programs_free(&rig.programs);
	for (size_t i = 0; i < 12; i++) {
		assert_null(calls[i].is.programs);
		program_abort(&calls[i].is);
	}
	rig.programs = programs_new(&rig.ours);
}

/* ---- proofs ---- */

#define BY_HOOK "dns-challenge { program " HOOK " --zone x; run-as nobody; timeout 20s; "

static void hook_init(const char *rest, struct scripted *script, size_t count)
{
	char file[512];
	rig_done(&rig);
	snprintf(file, sizeof file, BY_HOOK "%s }", rest);
	rig_init(&rig, file, script, count);
	prover_place(rig.prover, &rig.proving, &text);
	turns(&rig, 6);
	assert_int_equal(runs(), 1);
	assert_int_equal(rig.ready, 0);
}

static bool ran(const char *what)
{
	char words[512];
	snprintf(words, sizeof words, HOOK "\n--zone\nx\n%s\ndns-01\nshop.example.com\n%.*s\n%s\n",
	        what, STR_ARG(text.token), VALUE);
	return strstr(buf_c(&rig.ran), words);
}

static void a_proof_is_begun_and_done(void **state)
{
	(void)state;
	hook_init("check off", NULL, 0);
	assert_true(ran("begin"));
	assert_non_null(strstr(buf_c(&rig.ran), " for 20000\n"));
	assert_non_null(strstr(buf_c(&rig.ran), "\nUSER=nobody\nLOGNAME=nobody\n"));
	assert_null(strstr(buf_c(&rig.ran), "HOME=/\n"));
	assert_null(strstr(buf_c(&rig.ran), " as -1:"));
	ends(1, 0, " one\r\ntwo\n");
	assert_int_equal(rig.ready, 1);
	assert_string_equal(rig.err.text, "");
	assert_string_equal(buf_c(&rig.said), HOOK " printed: one  two\n");
	prover_withdraw(&rig.proving, /* valid= */ true);
	turns(&rig, 3);
	assert_true(ran("done"));
	assert_false(ran("failed"));
	ends(2, 0, "bye");
	assert_string_equal(buf_c(&logged), "info: " HOOK " printed: bye\n");
	assert_int_equal(runs(), 2);
	assert_int_equal(rig.ready, 1);
}

/* What is said and kept is its end, as one line. */
static void what_fails_tells_what_it_printed(void **state)
{
	(void)state;
	char printed[702] = "";
	memset(printed, 'x', 700);
	hook_init("check off", NULL, 0);
	ends(1, 1 << 8, printed);
	assert_int_equal(rig.ready, 1);
	assert_int_equal(rig.err.code, ERR_REFUSED);
	char want[800];
	snprintf(want, sizeof want, "It printed: %s", printed + 100);
	assert_true(str_eq_c(err_what(&rig.err), HOOK " failed with status 1."));
	assert_true(str_eq_c(err_why(&rig.err), want));
	assert_true(str_eq_c(err_remedy(&rig.err), "Look at what it printed."));
	prover_withdraw(&rig.proving, /* valid= */ false);
	turns(&rig, 3);
	assert_true(ran("failed"));
	assert_false(ran("done"));
	ends(2, 2 << 8, "No.");
	assert_true(str_starts(
	        buf_str(&logged), STR("warning: After the proof of shop.example.com: " HOOK
	                              " failed with status 2. ")));
	assert_non_null(strstr(buf_c(&logged), " It printed: No.\n"));
	hook_init("check off", NULL, 0);
	ends(1, 3 << 8, " \n");
	assert_true(
	        str_eq_c(err_what(&rig.err), HOOK " failed with status 3 and printed nothing."));
	assert_int_equal(err_why(&rig.err).n, 0);
	assert_true(str_eq_c(err_remedy(&rig.err), "Run it by hand as the same user to see why."));
	assert_string_equal(buf_c(&rig.said), "");
	prover_withdraw(&rig.proving, /* valid= */ false);
	turns(&rig, 3);
	ends(2, 0, "\n");
	assert_string_equal(buf_c(&logged), "");
	hook_init("check off", NULL, 0);
	ends(1, 0, "");
	prover_withdraw(&rig.proving, /* valid= */ true);
	turns(&rig, 3);
	ends(2, 9, "\n");
	assert_string_equal(buf_c(&logged),
	        "warning: After the proof of shop.example.com: " HOOK " was ended by signal 9 "
	        "(Killed) and printed nothing. Run it by hand as the same user to see why.\n");
}

static void what_it_put_is_looked_for(void **state)
{
	(void)state;
	struct scripted script[] = { { .question =
		                               "TXT _acme-challenge.shop.example.com 192.0.2.1:53",
		.records = VALUE "\n" } };
	hook_init("check 192.0.2.1", script, 1);
	ends(1, 0, "");
	turn_until_ready(&rig);
	assert_string_equal(rig.err.text, "");
	assert_int_equal(script[0].asked, 1);
	prover_withdraw(&rig.proving, /* valid= */ true);
}

/* It may have put something: it is run once more, when it has ended. */
static void withdrawn_while_it_runs(void **state)
{
	(void)state;
	hook_init("check off", NULL, 0);
	prover_withdraw(&rig.proving, /* valid= */ false);
	turns(&rig, 3);
	assert_int_equal(runs(), 1);
	ends(1, 0, "words");
	assert_int_equal(runs(), 2);
	assert_true(ran("failed"));
	assert_int_equal(rig.ready, 0);
	assert_string_equal(buf_c(&rig.said), "");
}

static void withdrawn_before_it_runs(void **state)
{
	(void)state;
	rig_done(&rig);
	rig_init(&rig, BY_HOOK "check off }", NULL, 0);
	prover_place(rig.prover, &rig.proving, &text);
	assert_int_equal(rig.resolve_count, 1);
	prover_withdraw(&rig.proving, /* valid= */ false);
	assert_int_equal(rig.resolve_count, 0);
	turns(&rig, 6);
	assert_int_equal(runs(), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(it_gets_its_words_and_no_other_environment),
		T(its_end_is_told_by_what_it_was),
		T(eight_run_at_a_time),
		T(a_proof_is_begun_and_done),
		T(what_fails_tells_what_it_printed),
		T(what_it_put_is_looked_for),
		T(withdrawn_while_it_runs),
		T(withdrawn_before_it_runs),
	};
	return cmocka_run_group_tests_name("issue_program", tests, NULL, NULL);
}
