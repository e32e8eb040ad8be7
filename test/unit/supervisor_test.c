/* The supervisor whole, with this program in the place of its four children: a copy of it lies
 * beside copies named everseal-control, -fetch and -serve, and plays the one that it is called, the
 * last one for the page, too.
 * What the children see they tell on a socket whose path EVERSEAL_TEST gives. */
#include "link/child.h"
#include "link/link.h"
#include "supervisor/inside.h"
#include "supervisor/supervisor.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- the children ---- */

static struct {
	struct loop *loop;
	struct link supervisor, peers[PROCESS_COUNT];
	enum process self;
	int out;
} me;

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
	char line[512];
	int n = snprintf(line, sizeof line, "%s %d ", process_name(me.self), (int)getpid());
	va_list args;
	va_start(args, format);
	vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	va_end(args);
	(void)!write(me.out, line, strlen(line));
}

static void peer_heard(struct link *l, const struct msg *m)
{
	ptrdiff_t who = l - me.peers;
	if (m->type == MSG_log)
		tell("hears %s say %.*s", process_name((enum process)who), STR_ARG(m->is.log.text));
	msg_close_fd(m);
}

static void peer_ended(struct link *l, const struct err *why)
{
	(void)why;
	link_done(l);
}

static const struct link_ops peer_ops = { peer_heard, peer_ended };

static void heard(struct link *l, const struct msg *m)
{
	(void)l;
	if (m->type == MSG_peer) {
		struct link *p = &me.peers[m->is.peer.process];
		link_done(p);
		link_init(p, me.loop, m->is.peer.fd, &peer_ops);
		link_send(p, log, .text = str_c(process_name(me.self)));
	} else if (m->type == MSG_bound) {
		struct stat st = { 0 };
		fstat(m->is.bound.fd, &st);
		msg_close_fd(m);
		tell("bound %d error %d inode %lu holder %.*s", (int)m->is.bound.id,
		        (int)m->is.bound.error, (unsigned long)st.st_ino,
		        STR_ARG(m->is.bound.holder));
	} else {
		tell("is told %s", msg_name(m->type));
		if (m->type == MSG_stop && !getenv("EVERSEAL_TEST_STUBBORN"))
			loop_stop(me.loop);
	}
}

static void ended(struct link *l, const struct err *why)
{
	(void)l;
	(void)why;
	loop_stop(me.loop);
}

static const struct link_ops ops = { heard, ended };

/* The test's orders come back on the socket, to control only: "bind 1 127.0.0.1 80", … */
static void ordered(struct watch *w, unsigned events)
{
	char line[256], address[64];
	int id, port, uid;
	ssize_t n;
	(void)events;
	while ((n = recv(w->fd, line, sizeof line - 1, MSG_DONTWAIT)) > 0) {
		line[n] = '\0';
		if (sscanf(line, "bind %d %63s %d", &id, address, &port) == 3)
			link_send(&me.supervisor, bind, .id = id, .address = str_c(address),
			        .port = port);
		else if (sscanf(line, "release %d", &id) == 1)
			link_send(&me.supervisor, release, .id = id);
		else if (sscanf(line, "identity %d", &uid) == 1)
			link_send(&me.supervisor, identity, .user = STR("x"), .uid = uid,
			        .gid = uid, .workers = 3);
		else if (strcmp(line, "ready") == 0)
			link_send(&me.supervisor, ready, .status = STR("serving"));
		else if (strcmp(line, "garbage") == 0)
			(void)!write(CHILD_LINK, "\xff", 1);
		else if (sscanf(line, "exit %d", &id) == 1)
			_exit(id);
	}
}

static int connect_test(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const char *path = getenv("EVERSEAL_TEST");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (!path || strlen(path) >= sizeof to.sun_path)
		return -1;
	memcpy(to.sun_path, path, strlen(path));
	return connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ? fd : -1;
}

static unsigned inherited(void)
{
	unsigned count = 0;
	for (int fd = CHILD_LINK + 1; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int play(enum process self, int argc, char **argv)
{
	unsigned surplus = inherited();
	me.self = self;
	if (!child_started())
		return 2;
	me.out = connect_test();
	if (me.out < 0)
		return 3;
	char args[256] = "", comm[32] = "";
	for (int i = 1; i < argc; i++)
		snprintf(args + strlen(args), sizeof args - strlen(args), " %s", argv[i]);
	FILE *f = fopen("/proc/self/comm", "re");
	(void)!fgets(comm, sizeof comm, f);
	fclose(f);
	tell("begins uid %d surplus %u home %s proxy %s comm %.15s args%s", (int)geteuid(), surplus,
	        getenv("HOME") ? "yes" : "no", getenv("https_proxy") ? "yes" : "no", comm, args);
	struct watch orders = { 0 };
	me.loop = loop_new(&clock_system);
	link_init(&me.supervisor, me.loop, CHILD_LINK, &ops);
	watch_start(&orders, me.loop, me.out, ordered);
	loop_run(me.loop);
	tell("ends");
	_exit(0);
}

/* ---- the test's side ---- */

struct stage {
	char folder[64];
	int listener;
	pid_t supervisor;
	struct {
		int fd; /* 0: free */
		enum process process;
		int pid;
	} children[32];
	char seen[1 << 16]; /* every line, in order */
	size_t n;
};

static void copy_self(const struct stage *s, const char *name)
{
	char path[128], block[1 << 16];
	snprintf(path, sizeof path, "%s/%s", s->folder, name);
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_true(from >= 0 && to >= 0);
	for (ssize_t n; (n = read(from, block, sizeof block)) > 0;)
		assert_int_equal(write(to, block, (size_t)n), n);
	close(from);
	close(to);
}

static const char *const programs[] = { "everseal", "everseal-control", "everseal-fetch",
	"everseal-serve" };

static void launch(struct stage *s)
{
	char path[128];
	snprintf(path, sizeof path, "%s/everseal", s->folder);
	s->supervisor = fork();
	if (s->supervisor)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
	setenv("HOME", "/root", 1);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	execl(path, "everseal", (char *)NULL);
	_exit(9);
}

static void stage_init(struct stage *s)
{
	*s = (struct stage){ .folder = "/tmp/everseal-sup-XXXXXX" };
	assert_non_null(mkdtemp(s->folder));
	for (size_t i = 0; i < 4; i++)
		copy_self(s, programs[i]);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "%s/test", s->folder);
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listener, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(s->listener, 64), 0);
	chmod(at.sun_path, 0777);
	chmod(s->folder, 0711);
	setenv("EVERSEAL_TEST", at.sun_path, 1);
	launch(s);
}

static void hear_child(struct stage *s, size_t i)
{
	char line[512], who[16];
	ssize_t n = recv(s->children[i].fd, line, sizeof line - 1, MSG_DONTWAIT);
	if (n <= 0) {
		close(s->children[i].fd);
		s->children[i].fd = 0;
		return;
	}
	line[n] = '\0';
	sscanf(line, "%15s %d", who, &s->children[i].pid);
	for (enum process p = PROCESS_CONTROL; p < PROCESS_COUNT; p++)
		if (strcmp(who, process_name(p)) == 0)
			s->children[i].process = p;
	s->n += (size_t)snprintf(s->seen + s->n, sizeof s->seen - s->n, "%s\n", line);
}

static void hear(struct stage *s, int ms)
{
	struct pollfd fds[33] = { { .fd = s->listener, .events = POLLIN } };
	for (size_t i = 0; i < 32; i++)
		fds[i + 1] = (struct pollfd){ .fd = s->children[i].fd ? s->children[i].fd : -1,
			.events = POLLIN };
	if (poll(fds, 33, ms) <= 0)
		return;
	for (size_t i = 0; i < 32; i++)
		if (fds[i + 1].revents)
			hear_child(s, i);
	if (!fds[0].revents)
		return;
	size_t free_place = 0;
	while (s->children[free_place].fd)
		free_place++;
	s->children[free_place].fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
}

static int64_t now(void)
{
	return clock_system.mono(&clock_system);
}

/* Waits for the text to be said after `*from`; moves *from behind it. */
static void expect_within(struct stage *s, size_t *from, const char *text, int64_t ms)
{
	int64_t until = now() + ms;
	for (;;) {
		char *at = strstr(s->seen + *from, text);
		if (at) {
			*from = (size_t)(at - s->seen) + strlen(text);
			return;
		}
		if (now() >= until)
			fail_msg("\"%s\" was not said within %d ms; what was:\n%s", text, (int)ms,
			        s->seen + *from);
		hear(s, 20);
	}
}

static void expect(struct stage *s, const char *text)
{
	size_t from = 0;
	expect_within(s, &from, text, 5000);
}

static int pid_of(const struct stage *s, enum process p)
{
	for (size_t i = 0; i < 32; i++)
		if (s->children[i].fd && s->children[i].process == p && s->children[i].pid)
			return s->children[i].pid;
	return 0;
}

__attribute__((format(printf, 2, 3))) static void order(struct stage *s, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	int pid = pid_of(s, PROCESS_CONTROL);
	for (size_t i = 0; i < 32; i++)
		if (s->children[i].fd && s->children[i].pid == pid)
			assert_true(send(s->children[i].fd, line, strlen(line), MSG_NOSIGNAL) > 0);
}

/* Waits until the child has said who it is; others may have spoken of it before. Returns when its
 * end was read, so that it is not taken for its successor. */
static void kill_child(struct stage *s, enum process p)
{
	int pid = pid_of(s, p);
	for (int tries = 0; pid == 0 && tries < 250; tries++) {
		hear(s, 20);
		pid = pid_of(s, p);
	}
	assert_true(pid > 0);
	kill(pid, SIGKILL);
	while (pid_of(s, p) == pid)
		hear(s, 20);
}

/* From start to four children, linked. */
static void begin(struct stage *s)
{
	stage_init(s);
	expect(s, "control ");
	order(s, "identity %d", geteuid() == 0 ? 65534 : 1);
	expect(s, "hears serve say serve");
	expect(s, "hears fetch say fetch");
	expect(s, "hears page say page");
	expect(s, "hears control say control");
	order(s, "ready");
}

static int wait_end(struct stage *s, int64_t ms)
{
	int status = 0;
	int64_t until = now() + ms;
	while (waitpid(s->supervisor, &status, WNOHANG) == 0) {
		if (now() >= until)
			fail_msg("The supervisor did not end within %d ms.", (int)ms);
		hear(s, 20);
	}
	hear(s, 20);
	s->supervisor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void stage_done(struct stage *s)
{
	char path[128];
	if (s->supervisor) {
		kill(s->supervisor, SIGTERM);
		assert_int_equal(wait_end(s, 5000), 0);
	}
	for (size_t i = 0; i < 32; i++)
		if (s->children[i].fd)
			close(s->children[i].fd);
	close(s->listener);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", s->folder, programs[i]);
		unlink(path);
	}
	snprintf(path, sizeof path, "%s/test", s->folder);
	unlink(path);
	assert_int_equal(rmdir(s->folder), 0);
}

static int bound_elsewhere(unsigned *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&in, &size);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

/* ---- the tests ---- */

/* A second is what a person may wait; a machine busy with other tests gets more. */
enum { SOON = 3000 };

static void children_start_clean_and_linked(void **state)
{
	(void)state;
	struct stage s;
	begin(&s);
	bool root = geteuid() == 0;
	size_t at = 0;
	expect_within(&s, &at,
	        root ? "begins uid 0 surplus 0 home no proxy no comm everseal-contro args"
	             : " surplus 0 home no proxy no comm everseal-contro args",
	        5000);
	expect(&s, root ? "begins uid 65534 surplus 0 home no proxy yes comm everseal-fetch"
	                : " surplus 0 home no proxy yes comm everseal-fetch");
	expect(&s, root ? "begins uid 65534 surplus 0 home no proxy no comm everseal-serve\n args "
	                  "--workers 3"
	                : " surplus 0 home no proxy no comm everseal-serve\n args --workers 3");
	expect(&s, root ? "begins uid 65534 surplus 0 home no proxy no comm everseal-page\n args "
	                  "--workers 1"
	                : " surplus 0 home no proxy no comm everseal-page\n args --workers 1");
	kill(s.supervisor, SIGHUP);
	expect(&s, "is told reload");
	kill(s.supervisor, SIGTERM);
	assert_int_equal(wait_end(&s, 3000), 0);
	expect(&s, "is told stop");
	stage_done(&s);
}

/* Each is killed; it is back and linked to the living within a second. */
static void the_killed_come_back(void **state)
{
	(void)state;
	struct stage s;
	begin(&s);
	static const struct {
		enum process killed;
		const char *says, *hears;
	} cases[] = {
		{ PROCESS_SERVE, "hears serve say serve", "hears control say control" },
		{ PROCESS_FETCH, "hears fetch say fetch", "hears control say control" },
		{ PROCESS_CONTROL, "hears serve say serve", "hears fetch say fetch" },
		{ PROCESS_PAGE, "hears page say page", "hears control say control" },
		{ PROCESS_SERVE, "hears serve say serve", "hears control say control" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t from = s.n, other = s.n;
		kill_child(&s, cases[i].killed);
		expect_within(&s, &from, cases[i].says, SOON);
		expect_within(&s, &other, cases[i].hears, SOON);
	}
	/* In foreign hands: what does not decode ends the process, too. */
	size_t from = s.n;
	order(&s, "garbage");
	expect_within(&s, &from, "hears serve say serve", SOON);
	stage_done(&s);
}

static void all_end_with_the_supervisor(void **state)
{
	(void)state;
	struct stage s;
	setenv("EVERSEAL_TEST_STUBBORN", "1", 1);
	begin(&s);
	unsetenv("EVERSEAL_TEST_STUBBORN");
	kill(s.supervisor, SIGKILL);
	assert_int_equal(wait_end(&s, 1000), -SIGKILL);
	int64_t until = now() + SOON;
	while (pid_of(&s, PROCESS_CONTROL) || pid_of(&s, PROCESS_FETCH) ||
	        pid_of(&s, PROCESS_SERVE) || pid_of(&s, PROCESS_PAGE)) {
		assert_true(now() < until);
		hear(&s, 20);
	}
	stage_done(&s);
}

static void a_control_that_cannot_begin_ends_all(void **state)
{
	(void)state;
	struct stage s;
	stage_init(&s);
	expect(&s, "control ");
	order(&s, "exit 1");
	assert_int_equal(wait_end(&s, 3000), 1);
	assert_null(strstr(strstr(s.seen, "begins") + 1, "begins"));
	stage_done(&s);
}

static void a_control_that_fails_later_comes_back(void **state)
{
	(void)state;
	struct stage s;
	begin(&s);
	size_t from = s.n;
	order(&s, "exit 1");
	expect_within(&s, &from, "control ", SOON);
	expect_within(&s, &from, "hears serve say serve", SOON);
	stage_done(&s);
}

static void a_missing_program_is_said(void **state)
{
	(void)state;
	struct stage s = { .folder = "/tmp/everseal-sup-XXXXXX" };
	assert_non_null(mkdtemp(s.folder));
	copy_self(&s, "everseal");
	s.listener = -1;
	launch(&s);
	int status = 0;
	assert_int_equal(waitpid(s.supervisor, &status, 0), s.supervisor);
	assert_int_equal(WEXITSTATUS(status), 1);
	char path[128];
	snprintf(path, sizeof path, "%s/everseal", s.folder);
	unlink(path);
	rmdir(s.folder);
}

static unsigned long inode_bound(struct stage *s, size_t *from, int id)
{
	char text[64];
	unsigned long inode = 0;
	snprintf(text, sizeof text, "bound %d error 0 inode ", id);
	expect_within(s, from, text, 5000);
	sscanf(s->seen + *from, "%lu", &inode);
	return inode;
}

/* The same address gives the same socket, also to the next control; what it does not ask for again
 * is closed when it is ready. */
static void sockets_outlive_control(void **state)
{
	(void)state;
	struct stage s;
	begin(&s);
	unsigned port, port6;
	close(bound_elsewhere(&port));
	close(bound_elsewhere(&port6));
	size_t from = s.n;
	order(&s, "bind 1 127.0.0.1 %u", port);
	unsigned long first = inode_bound(&s, &from, 1);
	order(&s, "bind 2 ::1 %u", port6);
	unsigned long second = inode_bound(&s, &from, 2);
	assert_int_not_equal(second, first);
	/* The same once more is given to nobody: the data plane and the page share no socket. */
	char busy[128];
	order(&s, "bind 3 127.0.0.1 %u", port);
	snprintf(busy, sizeof busy, "bound 3 error %d inode 0 holder everseal (process %d)",
	        EADDRINUSE, (int)s.supervisor);
	expect_within(&s, &from, busy, 5000);
	order(&s, "release 3");
	kill_child(&s, PROCESS_CONTROL);
	expect_within(&s, &from, "hears serve say serve", SOON);
	order(&s, "bind 1 127.0.0.1 %u", port);
	assert_int_equal(inode_bound(&s, &from, 1), first);
	order(&s, "ready");
	/* ::1 was not asked for: a socket of that address is a new one. */
	order(&s, "bind 9 ::1 %u", port6);
	assert_int_not_equal(inode_bound(&s, &from, 9), second);
	order(&s, "release 1");
	order(&s, "bind 4 127.0.0.1 %u", port);
	assert_int_not_equal(inode_bound(&s, &from, 4), first);
	stage_done(&s);
}

static void a_busy_port_is_waited_for(void **state)
{
	(void)state;
	struct stage s;
	begin(&s);
	unsigned port;
	int other = bound_elsewhere(&port);
	char text[128], holder[64];
	size_t from = s.n;
	int64_t before = now();
	order(&s, "bind 1 0.0.0.0 %u", port);
	snprintf(text, sizeof text, "bound 1 error %d", EADDRINUSE);
	expect_within(&s, &from, text, 4000);
	assert_in_range(now() - before, 1900, 3500);
	snprintf(holder, sizeof holder, "holder supervisor_test (process %d)", (int)getpid());
	expect_within(&s, &from, holder, 100);
	close(other);
	before = now();
	inode_bound(&s, &from, 1);
	assert_in_range(now() - before, 0, 1500);
	/* Given up within two seconds: nothing is said but success. */
	other = bound_elsewhere(&port);
	order(&s, "bind 2 127.0.0.1 %u", port);
	for (int64_t until = now() + 500; now() < until;)
		hear(&s, 20);
	close(other);
	snprintf(text, sizeof text, "bound 2 error %d", EADDRINUSE);
	size_t since = from;
	inode_bound(&s, &from, 2);
	assert_null(strstr(s.seen + since, text));
	/* What is no address is answered, too. */
	order(&s, "bind 5 example.com 80");
	snprintf(text, sizeof text, "bound 5 error %d", EINVAL);
	expect_within(&s, &from, text, SOON);
	stage_done(&s);
}

static void the_service_manager_is_told(void **state)
{
	(void)state;
	char folder[] = "/tmp/everseal-notify-XXXXXX", text[128];
	assert_non_null(mkdtemp(folder));
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", folder);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	struct stage s;
	begin(&s);
	ssize_t n = recv(fd, text, sizeof text, 0);
	assert_true(str_eq_c(str_n(text, (size_t)n), "READY=1\nSTATUS=serving"));
	stage_done(&s);
	n = recv(fd, text, sizeof text, 0);
	assert_true(str_eq_c(str_n(text, (size_t)n), "STOPPING=1"));
	unsetenv("NOTIFY_SOCKET");
	close(fd);
	unlink(at.sun_path);
	rmdir(folder);
}

int main(int argc, char **argv)
{
	const char *name = program_invocation_short_name;
	for (enum process p = PROCESS_CONTROL; p < PROCESS_COUNT; p++)
		if (strncmp(name, "everseal-", 9) == 0 && strcmp(name + 9, process_name(p)) == 0)
			return play(p, argc, argv);
	if (strcmp(name, "everseal") == 0)
		return supervisor_run(&(struct supervisor_want){ .config = NULL });
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(children_start_clean_and_linked),
		cmocka_unit_test(the_killed_come_back),
		cmocka_unit_test(all_end_with_the_supervisor),
		cmocka_unit_test(a_control_that_cannot_begin_ends_all),
		cmocka_unit_test(a_control_that_fails_later_comes_back),
		cmocka_unit_test(a_missing_program_is_said),
		cmocka_unit_test(sockets_outlive_control),
		cmocka_unit_test(a_busy_port_is_waited_for),
		cmocka_unit_test(the_service_manager_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
