#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/show.h"
#include "cli/status.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { ARGUMENTS = 24 };
static char folder[] = "/tmp/everseal-cli-XXXXXX";

/* ---- a run of the program, its output caught ---- */

struct outcome {
	int status;
	char out[16 << 10], err[16 << 10];
};

static int never_run(const struct cli_run_want *want)
{
	printf("run %s %s\n", want->config ? want->config : "-", want->state ? want->state : "-");
	return 0;
}

static int catch_output(int fd, char *path)
{
	fflush(NULL);
	const int kept = dup(fd), file = mkstemp(path);
	assert_true(kept >= 0 && file >= 0);
	assert_true(dup2(file, fd) >= 0);
	close(file);
	return kept;
}

static void release_output(int fd, int kept, const char *path, char *ret, size_t size)
{
	fflush(NULL);
	assert_true(dup2(kept, fd) >= 0);
	close(kept);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	ret[fread(ret, 1, size - 1, f)] = '\0';
	fclose(f);
	unlink(path);
}

/* The words of a command line, separated by one space. */
static void run(const char *line, struct outcome *ret)
{
	char text[2048], *argv[ARGUMENTS] = { text };
	char out[] = "/tmp/everseal-out-XXXXXX", err[] = "/tmp/everseal-err-XXXXXX";
	int argc = 1;
	snprintf(text, sizeof text, "everseal %s", line);
	for (char *p = text; (p = strchr(p, ' ')) && argc < ARGUMENTS - 1;) {
		*p++ = '\0';
		if (*p)
			argv[argc++] = p;
	}
	const int kept_out = catch_output(1, out), kept_err = catch_output(2, err);
	ret->status = cli_main(argc, argv, never_run);
	release_output(1, kept_out, out, ret->out, sizeof ret->out);
	release_output(2, kept_err, err, ret->err, sizeof ret->err);
}

/* ---- a server that answers what it was told to, one connection after the other ---- */

struct server {
	pthread_t thread;
	int listener;
	const char *const *answers; /* NULL ends them */
	unsigned asked;
	char heard[8][4096];
};

/* At the end of an answer: nothing more comes, the connection stays until the asker closes it. */
#define HELD "\1"

static void answer(struct server *s, int fd, const char *text)
{
	char *heard = s->heard[s->asked++ % 8];
	size_t n = 0;
	const char *body;
	do {
		const ssize_t got = recv(fd, heard + n, sizeof s->heard[0] - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		heard[n] = '\0';
		body = strstr(heard, "\r\n\r\n");
		const char *length = strstr(heard, "content-length: ");
		if (body && (!length || strlen(body + 4) >= strtoul(length + 16, NULL, 10)))
			break;
	} while (n < sizeof s->heard[0] - 1);
	/* In small pieces: an answer may come as it likes. */
	const size_t all = strcspn(text, HELD);
	for (size_t i = 0; i < all; i += 7)
		if (send(fd, text + i, all - i < 7 ? all - i : 7, MSG_NOSIGNAL) < 0)
			break;
	while (text[all] && recv(fd, &(char){ 0 }, 1, 0) > 0)
		;
	close(fd);
}

static void *serve(void *context)
{
	struct server *s = context;
	for (size_t i = 0; s->answers[i]; i++) {
		const int fd = accept(s->listener, NULL, NULL);
		if (fd < 0)
			break;
		answer(s, fd, s->answers[i]);
	}
	return NULL;
}

static int listen_at(const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock", dir);
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	unlink(address.sun_path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Runs the command against a server with these answers. */
static void run_with(
        const char *line, const char *const *answers, struct server *s, struct outcome *ret)
{
	char text[1024];
	*s = (struct server){ .answers = answers };
	s->listener = listen_at(folder);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	snprintf(text, sizeof text, "%s --state %s", line, folder);
	run(text, ret);
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	snprintf(text, sizeof text, "%s/control.sock", folder);
	unlink(text);
}

#define OK      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
#define CHUNKED OK "transfer-encoding: chunked\r\n\r\n"

/* ---- words ---- */

struct mistake {
	const char *line, *want;
};

static void a_wrong_word_is_named(void **state)
{
	(void)state;
	static const struct mistake mistakes[] = {
		{ "chek", "There is no command \"chek\": the nearest is `check`; `everseal help` "
		          "lists "
		          "all.\n" },
		{ "help chek",
		        "There is no command \"chek\": the nearest is `check`; `everseal help` "
		        "lists all.\n" },
		{ "help xyzzyplugh",
		        "There is no command \"xyzzyplugh\"; `everseal help` lists all.\n" },
		{ "status --xyzzyplugh",
		        "There is no option --xyzzyplugh; `everseal help` lists the commands.\n" },
		{ "lets-encrypt", "`everseal lets-encrypt` needs one of: register, status, renew, "
		                  "disable, revoke, diagnose.\n" },
		{ "lets-encrypt renw", "There is no command \"lets-encrypt renw\": the nearest is "
		                       "`lets-encrypt renew`; `everseal help` lists all.\n" },
		{ "lets-encrypt export",
		        "There is no command \"lets-encrypt export\": the nearest is "
		        "`export`; `everseal help` lists all.\n" },
		{ "register", "There is no command \"register\": the nearest is `lets-encrypt "
		              "register`; `everseal help` lists all.\n" },
		{ "status --jsn",
		        "There is no option --jsn: the nearest is --json; `everseal help` "
		        "lists the commands.\n" },
		{ "status -j",
		        "There is no option -j: options have two hyphens; `everseal help` lists "
		        "the commands.\n" },
		{ "status --name x",
		        "`everseal status` takes no --name; see `everseal help status`.\n" },
		{ "status x", "\"x\" is one word too many; see `everseal help status`.\n" },
		{ "lets-encrypt register",
		        "`everseal lets-encrypt register` needs --name NAME; see "
		        "`everseal help lets-encrypt register`.\n" },
		{ "lets-encrypt register --name --wait", "--name needs a value: --name NAME.\n" },
		{ "run --config", "--config needs a value: --config FILE.\n" },
		{ "run --config a --config=b", "--config was given twice: give it once.\n" },
		{ "status --json=1", "--json takes no value.\n" },
		{ "lets-encrypt register --name a --port 70000",
		        "\"70000\" is not a port: give a number from 1 to 65535.\n" },
	};
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		struct outcome o;
		run(mistakes[i].line, &o);
		if (strcmp(o.err, mistakes[i].want) != 0 || o.status != 2 || o.out[0])
			fail_msg("%s: %d\ngot:  %s%swant: %s", mistakes[i].line, o.status, o.out,
			        o.err, mistakes[i].want);
	}
	struct outcome o;
	run("", &o);
	assert_int_equal(o.status, 2);
	assert_non_null(strstr(o.err, "Usage: everseal COMMAND"));
}

static void options_stand_anywhere_and_in_two_ways(void **state)
{
	(void)state;
	struct outcome o;
	run("--config=/a run --state /b", &o);
	assert_string_equal(o.out, "run /a /b\n");
	assert_int_equal(o.status, 0);
	run("run", &o);
	assert_string_equal(o.out, "run - -\n");
	run("run --", &o);
	assert_string_equal(o.out, "run - -\n");
	char *argv[] = { (char[]){ "everseal" }, (char[]){ "lets-encrypt" }, (char[]){ "--name=a" },
		(char[]){ "register" }, (char[]){ "--name" }, (char[]){ "b" },
		(char[]){ "--agree-tos" } };
	struct command c = { 0 };
	struct err err = ERR_INIT;
	assert_true(command_parse(&c, 7, argv, &err));
	assert_int_equal(c.verb, VERB_REGISTER);
	assert_int_equal(c.name_count, 2);
	assert_string_equal(c.names[1], "b");
	assert_true(command_has(&c, OPTION_AGREE_TOS) && !command_has(&c, OPTION_WAIT));
	arena_done(&c.arena);
}

static void every_command_has_help_and_manual(void **state)
{
	(void)state;
	struct outcome o;
	BUF_AUTO manual = BUF_INIT(1 << 20);
	assert_true(cli_manual_complete());
	cli_manual_commands(&manual);
	cli_manual_options(&manual);
	for (enum verb v = 0; v < VERB_COUNT; v++) {
		char line[256];
		snprintf(line, sizeof line, "help %s", verbs[v].words);
		run(line, &o);
		assert_int_equal(o.status, 0);
		snprintf(line, sizeof line, "Usage: everseal %s", verbs[v].words);
		assert_int_equal(strncmp(o.out, line, strlen(line)), 0);
		for (const char *p = o.out; *p; p = strchr(p, '\n') + 1)
			assert_true(strchr(p, '\n') && strchr(p, '\n') - p <= 80);
		snprintf(line, sizeof line, "*everseal %s*", verbs[v].words);
		assert_non_null(strstr(buf_c(&manual), line));
	}
	static const char *const ways[] = { "--help", "-h", "help" };
	for (size_t i = 0; i < 3; i++) {
		run(ways[i], &o);
		assert_int_equal(o.status, 0);
		assert_non_null(strstr(o.out, "lets-encrypt register"));
	}
	run("lets-encrypt --help", &o);
	assert_non_null(strstr(o.out, "lets-encrypt renew"));
	run("lets-encrypt register --help", &o);
	assert_non_null(strstr(o.out, "--agree-tos"));
	run("--version", &o);
	assert_string_equal(o.out, "everseal " EVERSEAL_VERSION "\n");
}

/* ---- the file ---- */

static void put_file(const char *name, const char *content, char ret_path[256])
{
	snprintf(ret_path, 256, "%s/%s", folder, name);
	FILE *f = fopen(ret_path, "w");
	assert_non_null(f);
	fputs(content, f);
	assert_int_equal(fclose(f), 0);
}

static void a_configuration_is_checked(void **state)
{
	(void)state;
	struct outcome o;
	char path[256], line[512], want[1024];
	put_file("c", "idle-timeout 5s\nsite a.test { proxy 127.0.0.1:1 }", path);
	snprintf(line, sizeof line, "check --config %s", path);
	run(line, &o);
	assert_int_equal(o.status, 0);
	snprintf(want, sizeof want, "%s has no errors. Sites: 1.\n", path);
	assert_string_equal(o.out, want);
	put_file("c", "workers x\nidle-timeout 5\n", path);
	run(line, &o);
	assert_int_equal(o.status, 1);
	snprintf(want, sizeof want,
	        "%s:1:9: \"x\" is not a number.\n"
	        "%s:2:14: \"5\" has no unit: write 5s, 5min, 5h or 5d.\n",
	        path, path);
	assert_string_equal(o.err, want);
	unlink(path);
	run(line, &o);
	assert_int_equal(o.status, 1);
	snprintf(want, sizeof want,
	        "The configuration file \"%s\" cannot be read: No such file or directory.\n", path);
	assert_string_equal(o.err, want);
	snprintf(line, sizeof line, "status --config %s", path);
	run(line, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, want);
}

static void a_configuration_is_checked_for_programs(void **state)
{
	(void)state;
	struct outcome o;
	char path[256], line[512], want[1024];
	put_file("c", "site a.test { proxy 127.0.0.1:1 }", path);
	snprintf(line, sizeof line, "check --json --config %s", path);
	run(line, &o);
	assert_int_equal(o.status, 0);
	snprintf(want, sizeof want,
	        "{\"file\":\"%s\",\"exists\":true,\"sites\":1,\"errors\":[],\"warnings\":[]}\n",
	        path);
	assert_string_equal(o.out, want);
	put_file("c", "workers x\nidle-timeout 5\n", path);
	run(line, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, "");
	snprintf(want, sizeof want,
	        "{\"file\":\"%s\",\"exists\":true,\"sites\":null,\"errors\":["
	        "{\"file\":\"%s\",\"line\":1,\"column\":9,\"message\":\"\\\"x\\\" is not a "
	        "number.\"},"
	        "{\"file\":\"%s\",\"line\":2,\"column\":14,\"message\":\"\\\"5\\\" has no unit: "
	        "write 5s, 5min, 5h or 5d.\"}],\"warnings\":[]}\n",
	        path, path, path);
	assert_string_equal(o.out, want);
	unlink(path);
	run(line, &o);
	assert_int_equal(o.status, 1);
	snprintf(want, sizeof want,
	        "{\"file\":\"%s\",\"exists\":false,\"sites\":null,\"errors\":["
	        "{\"file\":null,\"line\":null,\"column\":null,\"message\":\"The configuration "
	        "file \\\"%s\\\" cannot be read: No such file or directory.\"}],\"warnings\":[]}\n",
	        path, path);
	assert_string_equal(o.out, want);
}

static void a_reload_tells_programs(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *out, *err;
	} cases[] = {
		{ OK "\r\n{}", "{\"errors\":[],\"warnings\":[]}\n", "" },
		{ "HTTP/1.1 422 x\r\n\r\n{\"message\":\"/a:b/c:3:14: It is: odd.\"}",
		        "{\"errors\":[{\"file\":\"/a:b/c\",\"line\":3,\"column\":14,"
		        "\"message\":\"It is: odd.\"}],\"warnings\":[]}\n",
		        "" },
		{ "HTTP/1.1 409 x\r\n\r\n{\"message\":\"A port is taken.\"}", "",
		        "A port is taken.\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const answers[] = { cases[i].answer, NULL };
		struct server s;
		struct outcome o;
		run_with("reload --json", answers, &s, &o);
		assert_string_equal(o.out, cases[i].out);
		assert_string_equal(o.err, cases[i].err);
		assert_int_equal(o.status, i > 0);
	}
}

/* ---- the server ---- */

static void nobody_there_is_said(void **state)
{
	(void)state;
	struct outcome o;
	char line[512], want[1024], path[256];
	snprintf(line, sizeof line, "reload --state %s", folder);
	run(line, &o);
	assert_int_equal(o.status, 1);
	snprintf(want, sizeof want, "No Everseal is running on %s: start it with `everseal run`.\n",
	        folder);
	assert_string_equal(o.err, want);
	run("reload --state /nowhere/at-all", &o);
	assert_string_equal(o.err,
	        "No Everseal is running on /nowhere/at-all, which does not exist: "
	        "start it with `everseal run`, or name its directory by --config or "
	        "--state.\n");
	/* A socket that was left behind is nobody, too. */
	close(listen_at(folder));
	run(line, &o);
	assert_string_equal(o.err, want);
	/* The configuration says where to look. */
	snprintf(want, sizeof want, "state %s/deeper", folder);
	put_file("c", want, path);
	snprintf(line, sizeof line, "reload --config %s", path);
	run(line, &o);
	assert_non_null(strstr(o.err, "/deeper, which does not exist"));
	unlink(path);
	snprintf(path, sizeof path, "%s/control.sock", folder);
	unlink(path);
}

static void *open_late(void *context)
{
	struct server *s = context;
	const struct timespec while_starting = { .tv_nsec = 300000000 };
	nanosleep(&while_starting, NULL);
	s->listener = listen_at(folder);
	return serve(s);
}

static void a_server_that_starts_is_waited_for(void **state)
{
	(void)state;
	static const char *const answers[] = { OK "content-length: 2\r\n\r\n{}", NULL };
	struct server s = { .answers = answers };
	struct outcome o;
	char line[512], path[256];
	put_file("lock", "", path);
	const int lock = open(path, O_RDWR);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(pthread_create(&s.thread, NULL, open_late, &s), 0);
	snprintf(line, sizeof line, "reload --state %s", folder);
	run(line, &o);
	pthread_join(s.thread, NULL);
	close(s.listener);
	close(lock);
	unlink(path);
	snprintf(path, sizeof path, "%s/control.sock", folder);
	unlink(path);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "The configuration is in force.\n");
	assert_int_equal(o.status, 0);
}

static void a_long_path_is_reached(void **state)
{
	(void)state;
	static const char *const answers[] = { OK "content-length: 2\r\n\r\n{}", NULL };
	char name[101], path[256], line[512], link[256];
	memset(name, 'd', 100);
	name[100] = '\0';
	snprintf(path, sizeof path, "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0700), 0);
	struct server s = { .answers = answers };
	struct outcome o;
	/* bind() takes a short path only: through a link. */
	snprintf(link, sizeof link, "%s/l", folder);
	assert_int_equal(symlink(path, link), 0);
	s.listener = listen_at(link);
	assert_int_equal(pthread_create(&s.thread, NULL, serve, &s), 0);
	snprintf(line, sizeof line, "reload --state %s", path);
	run(line, &o);
	shutdown(s.listener, SHUT_RDWR);
	pthread_join(s.thread, NULL);
	close(s.listener);
	assert_int_equal(o.status, 0);
	snprintf(line, sizeof line, "%s/control.sock", path);
	unlink(line);
	unlink(link);
	rmdir(path);
}

static void what_the_server_refuses_is_said_in_its_words(void **state)
{
	(void)state;
	static const struct {
		const char *line, *answer, *want;
	} cases[] = {
		{ "lets-encrypt renew a.test",
		        "HTTP/1.1 404 Not Found\r\ncontent-length: 55\r\n\r\n"
		        "{\"code\":\"not-found\",\"message\":\"There is no such name.\"}",
		        "There is no such name.\n" },
		{ "lets-encrypt renew a.test",
		        "HTTP/1.1 409 Conflict\r\n\r\n"
		        "{\"code\":\"conflict\",\"message\":\"No.\",\"remedy\":\"Wait.\"}",
		        "No. Wait.\n" },
		{ "reload",
		        "HTTP/1.1 422 x\r\ntransfer-encoding: "
		        "chunked\r\n\r\n11\r\n{\"message\":\"f:1\\n\r\n"
		        "5\r\ng:2\"}\r\n0\r\n\r\n",
		        "f:1\ng:2\n" },
		{ "status", "HTTP/1.1 500 x\r\ncontent-length: 4\r\n\r\noops",
		        "Everseal answered with status 500 and no reason.\n" },
		{ "status", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{}",
		        "Everseal went away before it had answered: its log says why.\n" },
		{ "status", "", "Everseal went away before it had answered: its log says why.\n" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *const answers[] = { cases[i].answer, NULL };
		struct server s;
		struct outcome o;
		run_with(cases[i].line, answers, &s, &o);
		if (strcmp(o.err, cases[i].want) != 0 || o.status != 1 || o.out[0])
			fail_msg("%zu: %d\ngot:  %s%swant: %s", i, o.status, o.out, o.err,
			        cases[i].want);
	}
	static const char *const odd[] = { "SMTP ready\r\n\r\n", NULL };
	struct server s;
	struct outcome o;
	run_with("status", odd, &s, &o);
	assert_non_null(strstr(o.err, "does not speak as Everseal does"));
	assert_int_equal(o.status, 1);
}

static void register_says_what_it_wants(void **state)
{
	(void)state;
	static const char *const answers[] = {
		"HTTP/1.1 201 Created\r\ncontent-length: 41\r\n\r\n"
		"{\"id\":\"a\",\"task\":\"t1\",\"existing\":false}\n\n",
		NULL
	};
	struct server s;
	struct outcome o;
	run_with("lets-encrypt register --name a.test --name=b.test --email m@a.test --agree-tos "
	         "--proxy "
	         "127.0.0.1:1 --issuer corp --address 127.0.0.1 --port 8443 --key-type P-256 "
	         "--profile x",
	        answers, &s, &o);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	assert_string_equal(o.out,
	        "a.test is registered, its certificate is being ordered: `everseal "
	        "lets-encrypt status a.test` shows how it goes.\n");
	assert_int_equal(strncmp(s.heard[0], "POST /api/registrations HTTP/1.1\r\n", 34), 0);
	assert_non_null(strstr(s.heard[0], "host: localhost\r\n"));
	assert_string_equal(strstr(s.heard[0], "\r\n\r\n") + 4,
	        "{\"names\":[\"a.test\",\"b.test\"],\"email\":\"m@a.test\",\"agree_tos\":true,"
	        "\"proxy\":\"127.0.0.1:1\",\"issuer\":\"corp\",\"address\":\"127.0.0.1\",\"port\":"
	        "8443,"
	        "\"key_type\":\"P-256\",\"profile\":\"x\"}");
	static const char *const there[] = {
		OK "\r\n{\"id\":\"a\",\"task\":null,\"existing\":true}", NULL
	};
	run_with("lets-encrypt register --name a.test --wait", there, &s, &o);
	assert_int_equal(o.status, 0);
	assert_non_null(strstr(o.out, "a.test is registered already, nothing was ordered"));
	run_with("lets-encrypt register --name Bücher.test", there, &s, &o);
	assert_string_equal(o.out,
	        "bücher.test (xn--bcher-kva.test) is registered already, nothing was ordered: "
	        "`everseal lets-encrypt status Bücher.test` shows what is there.\n");
	run_with("lets-encrypt register --name xn--bcher-kva.test", answers, &s, &o);
	assert_non_null(strstr(o.out, "bücher.test (xn--bcher-kva.test) is registered, its"));
	run_with("lets-encrypt register --name a.test --json", there, &s, &o);
	assert_string_equal(o.out, "{\"id\":\"a\",\"task\":null,\"existing\":true}\n");
}

#define TASK OK "\r\n{\"id\":\"a\",\"task\":\"t1\",\"existing\":false}"
#define EVENT(seq, ms, text)                                                                       \
	"{\"seq\":" #seq ",\"ms\":" #ms ",\"text\":\"" text "\",\"state\":\"Executing\"}\n"

static void add_chunk(char text[1024], const char *chunk)
{
	const size_t n = strlen(text);
	snprintf(text + n, 1024 - n, "%zx\r\n%s\r\n", strlen(chunk), chunk);
}

static void waiting_shows_each_step_once(void **state)
{
	(void)state;
	/* The server dies between the second and the third step. */
	char first[1024] = CHUNKED, second[1024] = CHUNKED;
	add_chunk(first, EVENT(0, 12, "Asking the directory.") EVENT(1, 120, "Ordering a.test."));
	add_chunk(second, EVENT(2, 1500, "The order is ready.") "{\"seq\":3,\"ms\":2345,");
	add_chunk(second, "\"text\":\"It is served.\",\"state\":\"Success\"}\n");
	add_chunk(second, "");
	const char *const answers[] = { TASK, first, second, NULL };
	struct server s;
	struct outcome o;
	run_with("lets-encrypt register --name a.test --wait", answers, &s, &o);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "    0.0 s  Asking the directory.\n"
	                           "    0.1 s  Ordering a.test.\n"
	                           "    1.5 s  The order is ready.\n"
	                           "    2.3 s  It is served.\n");
	assert_int_equal(o.status, 0);
	assert_int_equal(strncmp(s.heard[1], "GET /api/tasks/t1/events?from=0 HTTP", 36), 0);
	assert_int_equal(strncmp(s.heard[2], "GET /api/tasks/t1/events?from=2 HTTP", 36), 0);
}

static void waiting_ends_with_the_outcome(void **state)
{
	(void)state;
	static const char *const failed[] = { TASK,
		OK "\r\n" EVENT(0, 1,
		        "Asking.") "{\"seq\":1,\"state\":\"Failed\",\"text\":\"No.\",\"error\":"
		                   "{\"code\":\"refused\",\"message\":\"The CA said no.\"}}\n",
		NULL };
	static const char *const silent[] = { TASK, OK "\r\n{\"seq\":0,\"state\":\"Canceled\"}\n",
		NULL };
	static const char *const unknown[] = { TASK,
		"HTTP/1.1 404 x\r\n\r\n{\"code\":\"not-found\",\"message\":\"No such task.\"}",
		NULL };
	struct server s;
	struct outcome o;
	run_with("lets-encrypt renew a.test --wait", failed, &s, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, "The CA said no.\n");
	assert_string_equal(o.out, "    0.0 s  Asking.\n");
	assert_int_equal(strncmp(s.heard[0], "POST /api/certificates/a.test/renew HTTP", 40), 0);
	static const char *const again[] = { TASK,
		OK "\r\n{\"seq\":1,\"state\":\"Failed\",\"error\":{\"message\":\"No.\"},"
		   "\"next_try\":\"2020-01-12T09:14:00Z\"}\n",
		NULL };
	setenv("TZ", "UTC", 1);
	run_with("lets-encrypt renew a.test --wait", again, &s, &o);
	assert_non_null(strstr(o.err, "No. The next try is on 12 Jan 2020, 09:14 ("));
	run_with("lets-encrypt renew a.test --wait", silent, &s, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, "It did not succeed, and no reason was given.\n");
	run_with("lets-encrypt renew a.test --wait", unknown, &s, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, "No such task. What was asked is stored: `everseal lets-encrypt "
	                           "status` shows how it goes.\n");
	run_with("lets-encrypt renew a.test --wait --json", failed, &s, &o);
	assert_int_equal(o.status, 1);
	assert_non_null(
	        strstr(o.out, "{\"id\":\"a\",\"task\":\"t1\",\"existing\":false}\n{\"seq\":0,"));
}

/* At a limit it may be days: who waits is told until when, and goes. What went on since does not
 * count, nor does a server that dies meanwhile. */
static void waiting_does_not_outlast_a_limit(void **state)
{
	(void)state;
#define LIMIT(seq, text)                                                                           \
	"{\"seq\":" #seq ",\"ms\":5,\"step\":\"limit\",\"text\":\"" text                           \
	"\",\"state\":\"Queued\"}\n"
	char parked[1024] = CHUNKED, past[1024] = CHUNKED, died[1024] = CHUNKED;
	add_chunk(parked, LIMIT(0, "50 are used. Next try 2 Jan."));
	snprintf(parked + strlen(parked), 8, "%s", HELD);
	add_chunk(past, LIMIT(0, "50 are used.") EVENT(1, 9, "Ordering."));
	add_chunk(past, "{\"seq\":2,\"text\":\"Served.\",\"state\":\"Success\"}\n");
	add_chunk(past, "");
	add_chunk(died, LIMIT(0, "50 are used. Next try 2 Jan."));
	const char *const at_limit[] = { TASK, parked, NULL },
	                  *const before[] = { TASK, past, NULL },
	                  *const dead[] = { TASK, died, NULL };
	struct server s;
	struct outcome o;
	run_with("lets-encrypt register --name a.test --wait", at_limit, &s, &o);
	assert_int_equal(o.status, 3);
	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "50 are used. Next try 2 Jan. It goes on by itself then: "
	                           "`everseal lets-encrypt status` shows how it goes.\n");
	run_with("lets-encrypt renew a.test --wait", dead, &s, &o);
	assert_int_equal(o.status, 3);
	run_with("lets-encrypt renew a.test --wait", before, &s, &o);
	assert_int_equal(o.status, 0);
	assert_string_equal(o.err, "");
}

static void an_export_overwrites_nothing(void **state)
{
	(void)state;
	static const char *const pem[] = { OK "\r\nthe key\nthe certificate\n", NULL };
	static const char *const no[] = { "HTTP/1.1 404 x\r\n\r\n{\"code\":\"not-found\","
		                          "\"message\":\"None.\",\"remedy\":\"Look.\"}",
		NULL };
	struct server s;
	struct outcome o;
	struct stat is;
	char line[512], file[256], text[64] = "";
	snprintf(file, sizeof file, "%s/out.pem", folder);
	snprintf(line, sizeof line, "export a.test --to %s", file);
	run_with(line, no, &s, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err, "None. Look.\n");
	assert_int_equal(access(file, F_OK), -1);
	run_with(line, pem, &s, &o);
	assert_string_equal(o.err, "");
	assert_int_equal(o.status, 0);
	assert_int_equal(
	        strncmp(s.heard[0], "GET /api/certificates/a.test/export?with=key HTTP", 49), 0);
	assert_int_equal(stat(file, &is), 0);
	assert_int_equal(is.st_mode & 07777, 0600);
	FILE *f = fopen(file, "r");
	assert_int_equal(fread(text, 1, sizeof text - 1, f), 24);
	fclose(f);
	assert_string_equal(text, "the key\nthe certificate\n");
	run_with(line, pem, &s, &o);
	assert_int_equal(o.status, 1);
	assert_non_null(strstr(o.err, "out.pem exists already and is left as it is. Give another "
	                              "file, or remove it first.\n"));
	unlink(file);
	snprintf(line, sizeof line, "export a.test --format jks --to %s", file);
	run(line, &o);
	assert_int_equal(o.status, 2);
	assert_string_equal(o.err, "Everseal exports PEM and PKCS#12, not jks. Use --format pem or "
	                           "--format pkcs12.\n");
	run("export --to x", &o);
	assert_int_equal(o.status, 2);
	assert_string_equal(o.err, "Say which certificate to export, by a name of it.\n");
	run("export a.test --to /nowhere/at/all", &o);
	assert_int_equal(o.status, 1);
}

static void a_name_may_be_left_out_if_there_is_one(void **state)
{
	(void)state;
	static const char *const one[] = {
		OK "\r\n{\"certificates\":[{\"names\":[\"a.test\",\"b.test\"]}]}", OK "\r\n{}", NULL
	};
	static const char *const two[] = { OK "\r\n{\"certificates\":[{\"names\":[\"a.test\",\"b."
		                              "test\"]},{\"names\":[\"c.test\"]}]}",
		NULL };
	static const char *const none[] = { OK "\r\n{\"certificates\":[]}", NULL };
	static const char *const revoked[] = { OK "\r\n{}", NULL };
	struct server s;
	struct outcome o;
	run_with("lets-encrypt disable --despite-hsts", one, &s, &o);
	assert_string_equal(o.out,
	        "a.test is no longer renewed. A certificate that it has is served until it "
	        "expires.\n");
	assert_int_equal(strncmp(s.heard[1], "POST /api/certificates/a.test/disable HTTP", 42), 0);
	assert_non_null(strstr(s.heard[1], "\r\n\r\n{\"despite_hsts\":true}"));
	run_with("lets-encrypt revoke a.test --reason superseded --despite-hsts", revoked, &s, &o);
	assert_string_equal(o.out,
	        "a.test will be revoked, once a new certificate is there: `everseal lets-encrypt "
	        "status` shows how it goes.\n");
	assert_int_equal(strncmp(s.heard[0], "POST /api/certificates/a.test/revoke HTTP", 41), 0);
	assert_non_null(
	        strstr(s.heard[0], "\r\n\r\n{\"reason\":\"superseded\",\"despite_hsts\":true}"));
	run_with("lets-encrypt disable", two, &s, &o);
	assert_int_equal(o.status, 2);
	assert_string_equal(o.err, "There are several certificates, say which: a.test, c.test.\n");
	run_with("lets-encrypt renew", none, &s, &o);
	assert_int_equal(o.status, 1);
	assert_string_equal(o.err,
	        "No name is registered yet: `everseal lets-encrypt register` does "
	        "it.\n");
}

static void a_path_carries_any_name(void **state)
{
	(void)state;
	static const char *const answers[] = { OK "\r\n{\"names\":[\"a/b\"]}", NULL };
	struct server s;
	struct outcome o;
	run_with("lets-encrypt status ä/b?c", answers, &s, &o);
	assert_int_equal(strncmp(s.heard[0], "GET /api/certificates/%C3%A4%2Fb%3Fc HTTP", 41), 0);
	assert_int_equal(o.status, 0);
}

static const char status_json[] =
        "{\"draining\":true,"
        "\"version\":\"0.1.0\",\"started\":\"2026-11-24T15:43:00Z\",\"state\":\"/var/lib/"
        "everseal\","
        "\"fences\":[{\"process\":\"serve\",\"standing\":\"landlock, no-new-privs\"}],"
        "\"listeners\":[{\"address\":\"0.0.0.0\",\"port\":80,\"scheme\":\"http\",\"state\":"
        "\"failed\","
        "\"holder\":\"nginx (812)\",\"error\":\"Address already in use\"},"
        "{\"address\":\"::\",\"port\":443,\"scheme\":\"https\",\"state\":\"listening\","
        "\"holder\":null,\"error\":null}],"
        "\"sites\":[{\"names\":[\"*\"],\"upstreams\":[\"127.0.0.1:3000\"],\"force_ssl\":true,"
        "\"hsts\":31536000,\"source\":{\"file\":\"/etc/everseal/everseal.conf\",\"line\":12}},"
        "{\"names\":[\"b\\u00fccher.test\",\"b.test\",\"c.test\"],\"upstreams\":[],\"hsts\":null,"
        "\"source\":\"store\"}],"
        "\"certificates\":[{\"names\":[\"a.test\"],\"issuer\":\"corp\",\"state\":\"ok\","
        "\"not_after\":\"2027-01-12T09:14:00Z\",\"next_renewal\":\"2026-12-22T09:14:00Z\","
        "\"reason\":\"21 days before it expires\",\"rehearsing\":false,"
        "\"window\":{\"start\":\"2026-12-21T09:14:00Z\",\"end\":\"2026-12-23T09:14:00Z\","
        "\"explanation\":\"https://ca.test/why\"},\"issuers\":[\"corp\",\"spare\"],"
        "\"issued_from\":\"corp\",\"next_issuer\":\"spare\",\"wanted_key_type\":\"rsa2048\","
        "\"profile\":\"classic\",\"last_error\":\"The CA did not "
        "answer.\\u001b[2J\"},"
        "{\"names\":[\"r.test\"],\"issuer\":\"corp\",\"state\":\"revoked\","
        "\"revoked\":\"2026-11-24T17:42:00Z\"},"
        "{\"names\":[\"d.test\"],\"issuer\":null,\"state\":\"temporary\",\"not_after\":null,"
        "\"temporary\":true,\"next_renewal\":null,\"reason\":\"an attempt is under way\","
        "\"rehearsing\":true,"
        "\"served\":\"stored\",\"served_at\":\"2026-11-24T17:42:00Z\","
        "\"seen_from_outside\":\"2026-11-23T17:42:00Z\"}]}";

static void status_is_laid_out_for_people(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	int64_t now;
	setenv("TZ", "UTC", 1);
	assert_true(clock_from_rfc3339(STR("2026-11-24T17:43:00Z"), &now));
	JSON_AUTO *json = json_parse(str_c(status_json), "It", &err);
	BUF_AUTO out = BUF_INIT(1 << 20);
	status_show(json, now, &out);
	assert_string_equal(buf_c(&out),
	        "Everseal 0.1.0, started 24 Nov 2026, 15:43 (2 hours ago), state in "
	        "/var/lib/everseal\n"
	        "\n"
	        "Load balancers are told to send no visitors here: `everseal drain off` ends "
	        "that.\n"
	        "\n"
	        "Listeners\n"
	        "  ADDRESS     PROTOCOL  STATE\n"
	        "  0.0.0.0:80  http      failed\n"
	        "    Address already in use\n"
	        "    held by nginx (812)\n"
	        "  [::]:443    https     listening\n"
	        "\n"
	        "Sites\n"
	        "  NAMES                                                APPLICATION     FORCE SSL  "
	        "HSTS      SET IN\n"
	        "  *                                                    127.0.0.1:3000  yes        "
	        "365 days  "
	        "everseal.conf, "
	        "line 12\n"
	        "  bücher.test (xn--bcher-kva.test), b.test and 1 more  -               -          "
	        "-         page or "
	        "command\n"
	        "\n"
	        "Certificates\n"
	        "  NAMES   ISSUER  STATE        VALID UNTIL                      NEXT RENEWAL\n"
	        "  a.test  corp    valid        12 Jan 2027, 09:14 (in 48 days)  22 Dec 2026, "
	        "09:14 (in "
	        "27 days)\n"
	        "    renewal: 21 days before it expires\n"
	        "    suggested by the CA: 21 Dec 2026, 09:14 (in 26 days) to 23 Dec 2026, 09:14 "
	        "(in 28 days); it says why: https://ca.test/why\n"
	        "    issuers: corp, spare; it is from corp; next asked: spare, since those before "
	        "it have failed\n"
	        "    key type: rsa2048, profile: classic\n"
	        "    last error: The CA did not answer.?[2J\n"
	        "  r.test  corp    revoked      -                                -\n"
	        "    revoked: 24 Nov 2026, 17:42 (60 seconds ago), clients may refuse it\n"
	        "  d.test  -       self-signed  -                                -\n"
	        "    renewal: an attempt is under way\n"
	        "    rehearsal: it is first tried on the CA's staging\n"
	        "    served: this certificate, seen by a handshake 24 Nov 2026, 17:42 (60 seconds "
	        "ago)\n"
	        "    reached from outside: 23 Nov 2026, 17:42 (24 hours ago)\n"
	        "\n"
	        "Fences\n"
	        "  PROCESS  STANDING\n"
	        "  serve    landlock, no-new-privs\n");
}

static void spans_are_told_in_words(void **state)
{
	(void)state;
	static const struct {
		int64_t ms;
		const char *want;
	} spans[] = {
		{ 0, "0 seconds" },
		{ SECOND, "1 second" },
		{ 119 * SECOND, "119 seconds" },
		{ 120 * SECOND, "2 minutes" },
		{ 47 * HOUR, "47 hours" },
		{ 48 * HOUR, "2 days" },
		{ 400 * DAY, "400 days" },
	};
	struct arena a = ARENA_INIT;
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
		assert_true(str_eq_c(show_span(&a, spans[i].ms), spans[i].want));
	assert_true(str_eq_c(show_date(&a, STR("never"), 0), "-"));
	assert_true(str_eq_c(show_date(&a, STR_NONE, 0), "-"));
	arena_done(&a);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_word_is_named),
		cmocka_unit_test(options_stand_anywhere_and_in_two_ways),
		cmocka_unit_test(every_command_has_help_and_manual),
		cmocka_unit_test(a_configuration_is_checked),
		cmocka_unit_test(a_configuration_is_checked_for_programs),
		cmocka_unit_test(a_reload_tells_programs),
		cmocka_unit_test(nobody_there_is_said),
		cmocka_unit_test(a_server_that_starts_is_waited_for),
		cmocka_unit_test(a_long_path_is_reached),
		cmocka_unit_test(what_the_server_refuses_is_said_in_its_words),
		cmocka_unit_test(register_says_what_it_wants),
		cmocka_unit_test(waiting_shows_each_step_once),
		cmocka_unit_test(waiting_ends_with_the_outcome),
		cmocka_unit_test(waiting_does_not_outlast_a_limit),
		cmocka_unit_test(an_export_overwrites_nothing),
		cmocka_unit_test(a_name_may_be_left_out_if_there_is_one),
		cmocka_unit_test(a_path_carries_any_name),
		cmocka_unit_test(status_is_laid_out_for_people),
		cmocka_unit_test(spans_are_told_in_words),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
