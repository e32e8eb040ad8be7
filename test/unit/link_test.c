/* Links: what is sent arrives, what is not ours ends the link, nothing leaks. */
#include "link/fence.h"
#include "link/link.h"
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

struct end {
	struct link link;
	struct msg last;
	char text[1024]; /* the last message's first text */
	unsigned heard, ended;
	unsigned free_at; /* link_done when that many were heard */
	enum err_code why;
};

static void heard(struct link *l, const struct msg *m)
{
	struct end *e = OWNER(l, struct end, link);
	e->last = *m;
	e->heard++;
	if (m->type == MSG_log)
		snprintf(e->text, sizeof e->text, "%.*s", STR_ARG(m->is.log.text));
	if (e->heard == e->free_at)
		link_done(l);
}

static void ended(struct link *l, const struct err *why)
{
	struct end *e = OWNER(l, struct end, link);
	e->ended++;
	e->why = why->code;
}

static const struct link_ops ops = { heard, ended };

struct pair {
	struct loop *loop;
	struct end a, b;
};

static void pair_init(struct pair *p)
{
	*p = (struct pair){ .loop = loop_new(&clock_system) };
	int fds[2];
	struct err err = ERR_INIT;
	assert_true(link_pair(fds, &err));
	link_init(&p->a.link, p->loop, fds[0], &ops);
	link_init(&p->b.link, p->loop, fds[1], &ops);
}

static void pair_done(struct pair *p)
{
	link_done(&p->a.link);
	link_done(&p->b.link);
	loop_free(&p->loop);
}

static void turns(struct pair *p, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		loop_turn(p->loop, 20);
}

static unsigned open_fds(void)
{
	unsigned count = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		count++;
	closedir(d);
	return count;
}

static void fields_arrive(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	assert_true(link_send(&p.a.link, listener, .id = -7, .address = STR("::1"), .port = 443,
	        .tls = true, .default_name = STR_NONE));
	turns(&p, 3);
	assert_int_equal(p.b.heard, 1);
	assert_int_equal(p.b.last.type, MSG_listener);
	assert_int_equal(p.b.last.is.listener.id, -7);
	assert_int_equal(p.b.last.is.listener.port, 443);
	assert_true(p.b.last.is.listener.tls);
	assert_int_equal(p.b.last.is.listener.address.n, 3);
	assert_int_equal(p.b.last.is.listener.fd, -1);
	assert_true(link_send(&p.b.link, reload));
	assert_true(link_send(&p.b.link, log, .level = 1, .text = STR("a \n line")));
	turns(&p, 3);
	assert_int_equal(p.a.heard, 2);
	assert_string_equal(p.a.text, "a \n line");
	pair_done(&p);
}

static void descriptors_arrive(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	unsigned before = open_fds();
	assert_true(link_send(&p.a.link, segment, .index = 3, .fd = null));
	turns(&p, 3);
	assert_int_equal(p.b.last.is.segment.index, 3);
	int got = p.b.last.is.segment.fd;
	assert_true(got >= 0 && got != null);
	assert_int_equal(fcntl(got, F_GETFD), FD_CLOEXEC);
	close(got);
	assert_int_equal(open_fds(), before);
	close(null);
	pair_done(&p);
}

/* Beyond what the socket takes, messages queue in order; beyond the ceiling they are refused. */
static void queue_has_a_ceiling(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	static const char piece[60000];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int64_t sent = 0;
	while (link_send(&p.a.link, fetch_body, .id = sent, .piece = str_n(piece, sizeof piece)))
		sent++;
	assert_true(sent > 200);
	assert_true(link_queued(&p.a.link) <= LINK_QUEUE_MOST);
	assert_true(link_queued(&p.a.link) > LINK_QUEUE_MOST - LINK_MESSAGE_MOST);
	while (p.b.heard < sent) {
		loop_turn(p.loop, 100);
		assert_int_equal(p.b.last.is.fetch_body.id, (int64_t)p.b.heard - 1);
	}
	assert_int_equal(link_queued(&p.a.link), 0);
	unsigned before = open_fds();
	while (link_queued(&p.a.link) == 0)
		link_send(&p.a.link, fetch_body, .piece = str_n(piece, sizeof piece));
	assert_true(link_send(&p.a.link, segment, .index = 9, .fd = null));
	assert_int_equal(open_fds(), before + 1); /* the queue has its own */
	link_done(&p.a.link);
	assert_int_equal(open_fds(), before - 1); /* without it and the link's own */
	close(null);
	pair_done(&p);
}

static void too_large_is_refused(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	static const char piece[LINK_MESSAGE_MOST];
	assert_false(link_send(&p.a.link, fetch_body, .piece = str_n(piece, sizeof piece)));
	/* 1 byte type, 8 of id, 4 of length */
	assert_true(link_send(&p.a.link, fetch_body, .piece = str_n(piece, sizeof piece - 13)));
	turns(&p, 3);
	assert_int_equal(p.b.heard, 1);
	assert_int_equal(p.b.ended, 0);
	pair_done(&p);
}

static void the_end_is_told_once(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	assert_true(link_send(&p.a.link, commit, .number = 5));
	turns(&p, 1);
	assert_true(link_send(&p.a.link, commit, .number = 6));
	link_done(&p.a.link);
	assert_false(link_send(&p.a.link, commit, .number = 7));
	turns(&p, 4);
	assert_int_equal(p.b.heard, 2); /* what came before the end */
	assert_int_equal(p.b.last.is.commit.number, 6);
	assert_int_equal(p.b.ended, 1);
	assert_int_equal(p.b.why, ERR_UNREACHABLE);
	assert_false(link_send(&p.b.link, commit, .number = 8));
	assert_false(link_alive(&p.b.link));
	pair_done(&p);
}

static void done_within_a_callback(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	p.b.free_at = 2;
	for (int i = 0; i < 200; i++)
		assert_true(link_send(&p.a.link, commit, .number = i));
	turns(&p, 4);
	assert_int_equal(p.b.heard, 2);
	assert_int_equal(p.b.ended, 0);
	assert_int_equal(p.a.ended, 1);
	pair_done(&p);
}

static void many_take_several_rounds(void **state)
{
	(void)state;
	struct pair p;
	pair_init(&p);
	for (int i = 0; i < 1000; i++)
		assert_true(link_send(&p.a.link, commit, .number = i));
	while (p.b.heard < 1000)
		loop_turn(p.loop, 100);
	assert_int_equal(p.b.last.is.commit.number, 999);
	pair_done(&p);
}

/* Every message survives; cut at any byte, or longer by one, it does not decode. */
static void every_message_decodes_whole_only(void **state)
{
	(void)state;
	union {
		struct msg m;
		struct str texts[sizeof(struct msg) / sizeof(struct str)];
	} empty = { .m.type = MSG_none };
	for (enum msg_type t = MSG_none + 1; t < MSG_COUNT; t++) {
		BUF_AUTO out = BUF_INIT(LINK_MESSAGE_MOST);
		int fd;
		struct err err = ERR_INIT;
		struct msg m;
		msg_encode(t, &empty.m.is, &out, &fd);
		assert_true(msg_decode(buf_str(&out), fd, &m, &err));
		assert_int_equal(m.type, t);
		for (size_t n = 0; n < out.n; n++) {
			err = (struct err)ERR_INIT;
			assert_false(msg_decode(str_head(buf_str(&out), n), fd, &m, &err));
			assert_int_equal(err.code, ERR_PROTOCOL);
		}
		buf_add_char(&out, 0);
		assert_false(msg_decode(buf_str(&out), fd, &m, &err));
	}
}

/* What a process in foreign hands might send. fds: how many descriptors go with it. */
static const struct {
	const char *what;
	struct str bytes;
	int fds;
	enum err_code why;
} foreign[] = {
	{ "unknown type", STR_INIT("\xff"), 0, ERR_PROTOCOL },
	{ "type none", STR_INIT("\0"), 0, ERR_PROTOCOL },
	{ "cut short", STR_INIT("\x01\x01"), 0, ERR_PROTOCOL },
	{ "a descriptor that the message does not have", STR_INIT("\x03"), 1, ERR_PROTOCOL },
	{ "announced, but none came",
	        STR_INIT("\x01"
	                 "11111111"
	                 "22222222"
	                 "\x01"),
	        0, ERR_PROTOCOL },
	{ "not announced, but one came",
	        STR_INIT("\x01"
	                 "11111111"
	                 "22222222"
	                 "\0"),
	        1, ERR_PROTOCOL },
	{ "two descriptors",
	        STR_INIT("\x01"
	                 "11111111"
	                 "22222222"
	                 "\x01"),
	        2, ERR_PROTOCOL },
	{ "more than we look at",
	        STR_INIT("\x01"
	                 "11111111"
	                 "22222222"
	                 "\x01"),
	        20, ERR_PROTOCOL },
	{ "nothing", STR_INIT(""), 0, ERR_UNREACHABLE },
};

static void send_raw(int socket, struct str bytes, int count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(32 * sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec iov = { (char *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[32] = { 0 };
	if (count > 0) {
		size_t n = (size_t)count * sizeof(int);
		control.header = (struct cmsghdr){ CMSG_LEN(n), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), fds, n);
		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(n);
	}
	assert_true(sendmsg(socket, &h, 0) >= 0);
}

static void foreign_bytes_end_the_link(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		struct pair p;
		pair_init(&p);
		unsigned before = open_fds();
		send_raw(p.a.link.fd, foreign[i].bytes, foreign[i].fds);
		turns(&p, 3);
		if (p.b.ended != 1 || p.b.heard || p.b.why != foreign[i].why)
			fail_msg("%s: ended %u, heard %u, %s", foreign[i].what, p.b.ended,
			        p.b.heard, err_code_name(p.b.why));
		assert_int_equal(open_fds(), before - 2); /* both ends are closed, and all else */
		pair_done(&p);
	}
}

/* In a process of its own, since fences stand for ever. Bit 0: read what is allowed; 1: no other
 * file; 2: write where allowed; 3: not elsewhere; 4: all three are told. */
static int behind_fences(const char *folder)
{
	char inside[256];
	snprintf(inside, sizeof inside, "%s/new", folder);
	BUF_AUTO standing = BUF_INIT(256);
	size_t count = fence_process(
	        &(struct fence_want){
	                .read = (const char *const[]){ "/etc/hostname", "/no/such", NULL },
	                .write = (const char *const[]){ folder, NULL } },
	        &standing);
	int allowed = open("/etc/hostname", O_RDONLY);
	int other = open("/etc/passwd", O_RDONLY);
	int made = open(inside, O_RDWR | O_CREAT | O_TRUNC, 0600);
	int elsewhere = open("/tmp/everseal-fence-elsewhere", O_RDWR | O_CREAT, 0600);
	unlink(inside);
	bool told = count == 4 && str_eq_c(buf_str(&standing),
	                                  "no-capabilities undumpable no-new-privileges landlock");
	return (allowed >= 0) | (other < 0) << 1 | (made >= 0) << 2 | (elsewhere < 0) << 3 |
	       told << 4;
}

static void fences_stand(void **state)
{
	(void)state;
	char folder[] = "/tmp/everseal-fence-XXXXXX";
	assert_non_null(mkdtemp(folder));
	pid_t pid = fork();
	if (pid == 0)
		_exit(behind_fences(folder));
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmdir(folder);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_arrive),
		cmocka_unit_test(descriptors_arrive),
		cmocka_unit_test(queue_has_a_ceiling),
		cmocka_unit_test(too_large_is_refused),
		cmocka_unit_test(the_end_is_told_once),
		cmocka_unit_test(done_within_a_callback),
		cmocka_unit_test(many_take_several_rounds),
		cmocka_unit_test(every_message_decodes_whole_only),
		cmocka_unit_test(foreign_bytes_end_the_link),
		cmocka_unit_test(fences_stand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
