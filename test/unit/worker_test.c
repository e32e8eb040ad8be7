/* The serve process within this one: the test is supervisor and control, and visitors come through
 * real ports, since the workers are threads of their own. */
#include "net/address.h"
#include "net/conn.h"
#include "worker/serve.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct rig {
	struct loop *loop;
	struct serve serve;
	struct link supervisor, control;
	struct buf said; /* by serve to control */
	int listener;
	struct sockaddr_storage address;
};

static struct rig *rig;

static void heard(struct link *l, const struct msg *m)
{
	(void)l;
	struct buf *said = &rig->said;
	if (m->type == MSG_credit || m->type == MSG_log)
		return;
	buf_add_c(said, msg_name(m->type));
	if (m->type == MSG_prepared)
		buf_printf(said, " %lld", (long long)m->is.prepared.number);
	else if (m->type == MSG_committed)
		buf_printf(said, " %lld", (long long)m->is.committed.number);
	else if (m->type == MSG_refused)
		buf_printf(said, ": %.*s", STR_ARG(m->is.refused.sentence));
	else if (m->type == MSG_challenge_ready)
		buf_printf(said, " %.*s", STR_ARG(m->is.challenge_ready.token));
	buf_add_char(said, '\n');
}

static void ended(struct link *l, const struct err *why)
{
	(void)why;
	link_done(l);
}

static const struct link_ops ops = { heard, ended };

/* Turns until serve has said that, or five seconds have gone by. */
static void until(const char *said)
{
	int64_t end = loop_mono(rig->loop) + 5 * SECOND;
	while (!strstr(buf_c(&rig->said), said)) {
		if (loop_mono(rig->loop) > end)
			fail_msg("not said: %s, but: %s", said, buf_c(&rig->said));
		loop_turn(rig->loop, 50);
	}
	buf_clear(&rig->said);
}

static void new_control(void)
{
	struct err err;
	int fds[2];
	assert_true(link_pair(fds, &err));
	link_done(&rig->control);
	link_init(&rig->control, rig->loop, fds[0], &ops);
	assert_true(link_send(&rig->supervisor, peer, .process = PROCESS_CONTROL, .fd = fds[1]));
	close(fds[1]);
	until("fences\n");
}

static int setup(void **state)
{
	struct err err;
	int fds[2];
	(void)state;
	rig = mem_new(struct rig);
	rig->loop = loop_new(&clock_system);
	rig->said = BUF(64 << 10);
	assert_true(link_pair(fds, &err));
	assert_true(serve_start(&rig->serve, rig->loop, fds[1], 2, &err));
	link_init(&rig->supervisor, rig->loop, fds[0], &ops);
	assert_true(address_parse(STR("127.0.0.1"), 0, &rig->address));
	rig->listener = conn_listen(&rig->address);
	assert_true(rig->listener >= 0);
	assert_true(conn_local_address(rig->listener, &rig->address));
	new_control();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	link_done(&rig->control);
	link_done(&rig->supervisor);
	serve_done(&rig->serve);
	loop_free(&rig->loop);
	if (rig->listener >= 0)
		close(rig->listener);
	buf_done(&rig->said);
	free(rig);
	return 0;
}

static void begin(int64_t number)
{
	link_send(&rig->control, generation, .number = number, .thumbprint = STR("DEFAULT"));
}

static void listener_row(void)
{
	link_send(&rig->control, listener, .id = 1, .address = STR("127.0.0.1"),
	        .fd = rig->listener, .port = address_port(&rig->address));
}

static void site_row(const char *name)
{
	link_send(&rig->control, site, .id = 1, .name = str_c(name), .kind = SITE_NONE,
	        .hsts_age = -1);
	link_send(&rig->control, site_name, .site = 1, .name = str_c(name));
}

static void end(int64_t number)
{
	link_send(&rig->control, generation_end, .number = number);
}

static void commit(int64_t number)
{
	link_send(&rig->control, commit, .number = number);
}

static void generation_of(int64_t number, const char *name)
{
	begin(number);
	listener_row();
	site_row(name);
	end(number);
	until("prepared");
	commit(number);
	until("committed");
}

/* The status of the answer to a request for that host, 0 if nobody answers. */
static unsigned status_of(const char *path, const char *host, struct buf *ret_answer)
{
	char text[2000];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct timeval patience = { .tv_sec = 5 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&rig->address, address_size(&rig->address)) != 0) {
		close(fd);
		return 0;
	}
	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
	        path, host);
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
	for (ssize_t n; (n = recv(fd, text, sizeof text, 0)) > 0;)
		buf_add(ret_answer, str_n(text, (size_t)n));
	close(fd);
	unsigned status = 0;
	(void)sscanf(buf_c(ret_answer), "HTTP/1.1 %u", &status);
	return status;
}

static unsigned asked(const char *path, const char *host)
{
	BUF_AUTO answer = BUF_INIT(64 << 10);
	return status_of(path, host, &answer);
}

static void generations_replace_each_other(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	assert_int_equal(asked("/", "one.test"), 404);
	assert_int_equal(asked("/", "two.test"), 421);
	generation_of(2, "two.test");
	assert_int_equal(asked("/", "one.test"), 421);
	assert_int_equal(asked("/", "two.test"), 404);
}

static void nothing_changes_before_commit(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	begin(2);
	listener_row();
	site_row("two.test");
	end(2);
	until("prepared 2");
	assert_int_equal(asked("/", "two.test"), 421);
	link_send(&rig->control, abort, .number = 2);
	commit(2);
	generation_of(3, "three.test");
	assert_int_equal(asked("/", "two.test"), 421);
	assert_int_equal(asked("/", "three.test"), 404);
}

static void refusals_have_a_sentence(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	begin(2);
	listener_row();
	link_send(&rig->control, limit, .name = STR("no-such"), .value = 1);
	link_send(&rig->control, limit, .name = STR("nor-this"), .value = 1);
	end(2);
	until("refused: There is no setting no-such in the data plane.\n");
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	begin(3);
	link_send(&rig->control, listener, .id = 1, .address = STR("::1"), .port = 80, .fd = udp);
	end(3);
	until("refused: The socket for ::1, port 80, does not listen.\n");
	close(udp);
	assert_int_equal(asked("/", "one.test"), 404);
}

static void released_listener_is_closed(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	close(rig->listener);
	rig->listener = -1;
	assert_int_equal(asked("/", "one.test"), 404);
	begin(2);
	site_row("one.test");
	end(2);
	until("prepared 2");
	commit(2);
	until("committed 2");
	assert_int_equal(asked("/", "one.test"), 0);
}

static void challenges_are_ready_when_said(void **state)
{
	(void)state;
	BUF_AUTO answer = BUF_INIT(64 << 10);
	generation_of(1, "one.test");
	link_send(&rig->control, challenge, .token = STR("abcdefghijklmnop"),
	        .thumbprint = STR("THUMB"), .name = STR("new.test"));
	until("challenge_ready abcdefghijklmnop\n");
	for (int i = 0; i < 8; i++) { /* whichever worker accepts */
		buf_clear(&answer);
		assert_int_equal(status_of("/.well-known/acme-challenge/abcdefghijklmnop",
		                         "new.test", &answer),
		        200);
		assert_non_null(strstr(buf_c(&answer), "\r\n\r\nabcdefghijklmnop.THUMB"));
	}
	link_send(&rig->control, challenge_gone, .token = STR("abcdefghijklmnop"));
	link_send(&rig->control, challenge, .token = STR("ponmlkjihgfedcba"),
	        .thumbprint = STR("TWO"), .name = STR("new.test"));
	until("challenge_ready ponmlkjihgfedcba\n");
	buf_clear(&answer);
	status_of("/.well-known/acme-challenge/abcdefghijklmnop", "new.test", &answer);
	assert_non_null(strstr(buf_c(&answer), "\r\n\r\nabcdefghijklmnop.DEFAULT"));
}

static void new_control_takes_over(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	begin(2);
	listener_row();
	site_row("two.test");
	end(2);
	until("prepared 2");
	new_control();
	commit(2); /* not his: he has prepared nothing */
	assert_int_equal(asked("/", "one.test"), 404);
	generation_of(1, "again.test");
	assert_int_equal(asked("/", "two.test"), 421);
	assert_int_equal(asked("/", "again.test"), 404);
	link_done(&rig->control);
	for (int i = 0; i < 3; i++)
		loop_turn(rig->loop, 10);
	assert_int_equal(asked("/", "again.test"), 404);
}

static void stop_ends_the_loop(void **state)
{
	(void)state;
	generation_of(1, "one.test");
	link_send(&rig->supervisor, stop);
	loop_run(rig->loop);
	assert_int_equal(rig->serve.threads.at[0].worker.connection_count, 0);
}

static void orphan_ends(void **state)
{
	(void)state;
	link_done(&rig->supervisor);
	loop_run(rig->loop);
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(generations_replace_each_other),
		RIGGED(nothing_changes_before_commit),
		RIGGED(refusals_have_a_sentence),
		RIGGED(released_listener_is_closed),
		RIGGED(challenges_are_ready_when_said),
		RIGGED(new_control_takes_over),
		RIGGED(stop_ends_the_loop),
		RIGGED(orphan_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
