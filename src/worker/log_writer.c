#include "worker/log_writer.h"
#include "base/log.h"
#include "loop/loop.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

enum { WAITING_MOST = 8 << 20, TOLD_EVERY = 60000, WAIT_MOST = 1000 };

enum what { LINES, FILE_CHANGED, THE_END };
struct parcel {
	struct letter letter;
	enum what what;
	struct buf lines;
	unsigned count;
	int fd;
};

/* One per process, like the sink of the log (worker/events.h). */
static struct {
	struct loop *loop;
	struct mailbox *in;
	pthread_t id;
	bool ending, is_file, stuck;
	int fd;
	int64_t told; /* mono ms of the last complaint, 0: none */
	unsigned lost;
	atomic_size_t waiting; /* bytes */
	atomic_uint dropped;   /* lines */
} writer = { .fd = -1 };

static void complain(const char *why)
{
	int64_t now = loop_mono(writer.loop);
	unsigned lost = writer.lost + atomic_exchange(&writer.dropped, 0);
	if (lost == 0 || (writer.told != 0 && now - writer.told < TOLD_EVERY)) {
		writer.lost = lost;
		return;
	}
	writer.told = now;
	writer.lost = 0;
	log_warning(NULL, "%u lines of the access log are lost: %s.", lost, why);
}

/* A pipe that nobody reads must not hold up the end of the process: it is waited for once. Room for
 * PIPE_BUF bytes is what poll tells of. */
static bool has_room(void)
{
	struct pollfd p = { .fd = writer.fd, .events = POLLOUT };
	if (writer.is_file)
		return true;
	writer.stuck = poll(&p, 1, writer.stuck ? 0 : WAIT_MOST) != 1;
	if (writer.stuck)
		errno = EAGAIN;
	return !writer.stuck;
}

/* Whole lines, so that others who write there do so between them. */
static struct str next_part(struct str text)
{
	if (writer.is_file || text.n <= PIPE_BUF)
		return text;
	size_t n = PIPE_BUF;
	while (n > 0 && text.p[n - 1] != '\n')
		n--;
	return str_head(text, n > 0 ? n : PIPE_BUF);
}

static bool put(struct str text)
{
	while (text.n > 0) {
		struct str part = next_part(text);
		if (!has_room())
			return false;
		ssize_t n = write(writer.fd, part.p, part.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		text = str_from(text, (size_t)n);
	}
	return true;
}

static void write_lines(const struct parcel *p)
{
	atomic_fetch_sub(&writer.waiting, p->lines.n);
	if (writer.fd < 0)
		return;
	if (!put(buf_str(&p->lines))) {
		writer.lost += p->count;
		complain(strerrordesc_np(errno));
	} else {
		complain("what takes them is too slow");
	}
}

static void use(int fd)
{
	if (writer.fd >= 0)
		(void)close(writer.fd);
	writer.fd = fd;
	struct stat st;
	writer.is_file = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	writer.stuck = false;
}

static void open_parcel(struct mailbox *m, struct letter *l)
{
	struct parcel *p = OWNER(l, struct parcel, letter);
	(void)m;
	if (p->what == LINES)
		write_lines(p);
	else if (p->what == FILE_CHANGED)
		use(p->fd);
	else
		writer.ending = true;
	buf_done(&p->lines);
	free(p);
}

static void post(enum what what, struct buf lines, unsigned count, int fd)
{
	struct parcel *p = mem_new(struct parcel);
	*p = (struct parcel){ .what = what, .lines = lines, .count = count, .fd = fd };
	mail_post(writer.in, &p->letter);
}

void log_writer_use(int fd)
{
	post(FILE_CHANGED, BUF(0), 0, fd);
}

void log_writer_take(struct buf *lines, unsigned count)
{
	size_t bytes = lines->n;
	if (atomic_fetch_add(&writer.waiting, bytes) + bytes > WAITING_MOST) {
		atomic_fetch_sub(&writer.waiting, bytes);
		atomic_fetch_add(&writer.dropped, count);
		return;
	}
	post(LINES, *lines, count, -1);
	*lines = BUF(lines->ceiling);
}

static void *run(void *unused)
{
	while (!writer.ending)
		loop_turn(writer.loop, -1);
	return unused;
}

bool log_writer_start(struct err *err)
{
	writer.loop = loop_new(&clock_system);
	writer.in = mailbox_new(writer.loop, open_parcel);
	int number = pthread_create(&writer.id, NULL, run, NULL);
	return number == 0 ||
	       err_sys(err, ERR_IO, number, "The thread of the access log cannot be started");
}

void log_writer_end(void)
{
	post(THE_END, BUF(0), 0, -1);
	CHECK(pthread_join(writer.id, NULL) == 0);
	mailbox_free(&writer.in);
	loop_free(&writer.loop);
	use(-1);
	writer.ending = false;
}
