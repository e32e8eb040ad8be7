#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define VARIABLE "EVERSEAL_HANDOVER"
enum { TEXT_MOST = 1 << 20, WORDS = 4 };

/* The name of our own program among those of the processes. */
#define OWN "everseal"

/* --- what exec leaves open */

void leave_open(int fd, bool open)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, open ? 0 : FD_CLOEXEC);
}

static void leave_all_open(const struct supervisor *s, bool open)
{
	leave_open(s->upgrade.own, open);
	leave_open(s->upgrade.back, open);
	sockets_leave_open(&s->sockets, open);
	for (size_t i = 0; i < PROCESS_COUNT; i++) {
		leave_open(s->children[i].program, open);
		leave_open(s->children[i].tickets, open);
		leave_open(s->upgrade.back_to[i], open);
		if (s->children[i].pid)
			leave_open(s->children[i].link.fd, open);
	}
	LIST_EACH (node, &s->others)
		leave_open(OWNER(node, struct child, node)->link.fd, open);
}

/* --- writing */

static void write_child(struct buf *out, const struct child *c, bool draining)
{
	if (c->pid && link_alive(&c->link))
		buf_printf(out, "child %s %d %d %s\n", process_name(c->process), (int)c->pid,
		        c->link.fd, draining ? "draining" : "current");
}

static void write_children(const struct supervisor *s, struct buf *out)
{
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		write_child(out, &s->children[i], /* draining= */ false);
	LIST_EACH (node, &s->others) {
		const struct child *c = OWNER(node, struct child, node);
		write_child(out, c, c->state == DRAINING);
	}
}

static void write_programs(const struct supervisor *s, bool back, struct buf *out)
{
	const struct upgrade *u = &s->upgrade;
	buf_printf(out, "program " OWN " %d\n", back ? u->back : u->own);
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		buf_printf(out, "program %s %d\n", process_name((enum process)i),
		        back ? u->back_to[i] : s->children[i].program);
}

static void write_tickets(const struct supervisor *s, struct buf *out)
{
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		if (s->children[i].tickets >= 0)
			buf_printf(out, "tickets %s %d\n", process_name((enum process)i),
			        s->children[i].tickets);
}

static int write_memory(struct str text, struct err *err)
{
	int fd = memfd_create("everseal-handover", 0);
	if (fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	err_sys(err, ERR_IO, errno, "What the next program needs cannot be left to it");
	if (fd >= 0)
		close(fd);
	return -1;
}

int handover_write(const struct supervisor *s, bool back, struct err *err)
{
	BUF_AUTO text = BUF_INIT(TEXT_MOST);
	char number[16];
	buf_printf(&text, "version %s\npath %s\n", EVERSEAL_VERSION, s->upgrade.path);
	if (back)
		buf_printf(&text, "back %s\n", s->upgrade.sentence);
	if (s->identified)
		buf_printf(&text, "identity %d %u %u %lld\n", s->become, s->uid, s->gid,
		        (long long)s->workers);
	write_programs(s, back, &text);
	sockets_write(&s->sockets, &text);
	write_tickets(s, &text);
	write_children(s, &text);
	int fd = write_memory(buf_str(&text), err);
	if (fd < 0)
		return -1;
	snprintf(number, sizeof number, "%d", fd);
	setenv(VARIABLE, number, /* overwrite= */ 1);
	leave_all_open(s, /* open= */ true);
	return fd;
}

void handover_undo(const struct supervisor *s, int fd)
{
	leave_all_open(s, /* open= */ false);
	unsetenv(VARIABLE);
	close(fd);
}

/* --- reading */

/* What stands behind the first word, or STR_NONE if that is another one. */
static struct str behind(struct str line, struct str word)
{
	if (!str_starts(line, word) || line.n <= word.n || line.p[word.n] != ' ')
		return STR_NONE;
	return str_from(line, word.n + 1);
}

static void find_texts(struct handover *h)
{
	struct str rest = buf_str(&h->text), line;
	while (str_split(&rest, '\n', &line)) {
		struct str version = behind(line, STR("version")), back = behind(line, STR("back"));
		if (version.n)
			h->version = version;
		if (back.n) {
			h->back = true;
			h->sentence = back;
		}
	}
}

bool handover_take(struct handover *ret)
{
	const char *number = getenv(VARIABLE);
	uint64_t fd;
	if (!number)
		return false;
	bool named = str_to_u64(str_c(number), &fd) && fd <= INT_MAX;
	unsetenv(VARIABLE);
	if (!named)
		return false;
	*ret = (struct handover){ .text = BUF(TEXT_MOST) };
	char *room = buf_room(&ret->text, TEXT_MOST - 1);
	ssize_t n = read((int)fd, room, TEXT_MOST - 1);
	close((int)fd);
	buf_grew(&ret->text, n > 0 ? (size_t)n : 0);
	find_texts(ret);
	return n > 0;
}

static bool number_of(struct str word, int *ret)
{
	uint64_t n;
	if (!str_to_u64(word, &n) || n > INT_MAX)
		return false;
	*ret = (int)n;
	return true;
}

/* A descriptor that is open: it is ours again. */
static bool descriptor(struct str word, int *ret)
{
	return number_of(word, ret) && fcntl(*ret, F_SETFD, FD_CLOEXEC) == 0;
}

static bool process_named(struct str name, size_t *ret)
{
	for (size_t i = 0; i < PROCESS_COUNT; i++) {
		if (!str_eq_c(name, process_name((enum process)i)))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static void take_socket(const struct handover *h, struct supervisor *s, struct str word[WORDS])
{
	int fd, port;
	(void)h;
	if (descriptor(word[0], &fd) &&
	        (!number_of(word[2], &port) || !sockets_adopt(&s->sockets, fd, word[1], port)))
		close(fd);
}

static void take_program(const struct handover *h, struct supervisor *s, struct str word[WORDS])
{
	struct upgrade *u = &s->upgrade;
	size_t process;
	int fd;
	if (!descriptor(word[1], &fd))
		return;
	if (str_eq_c(word[0], OWN))
		*(h->back ? &u->own : &u->back) = fd;
	else if (process_named(word[0], &process))
		*(h->back ? &s->children[process].program : &u->back_to[process]) = fd;
	else
		close(fd);
}

/* Going back, who has served all the while is current again. */
static void take_child(const struct handover *h, struct supervisor *s, struct str word[WORDS])
{
	size_t process;
	int pid, fd;
	bool draining = str_eq_c(word[3], "draining");
	if (!process_named(word[0], &process) || !number_of(word[1], &pid) ||
	        !descriptor(word[2], &fd))
		return;
	struct child *c = &s->children[process];
	if (!h->back || draining || c->pid) {
		c = mem_new(struct child);
		*c = (struct child){ .process = (enum process)process,
			.state = draining ? DRAINING : AWAITING,
			.supervisor = s };
		list_add_last(&s->others, &c->node);
	}
	child_adopt(c, pid, fd);
}

static void take_tickets(const struct handover *h, struct supervisor *s, struct str word[WORDS])
{
	size_t process;
	int fd;
	(void)h;
	if (!process_named(word[0], &process) || !descriptor(word[1], &fd))
		return;
	tickets_done(&s->children[process]);
	s->children[process].tickets = fd;
}

static void take_identity(const struct handover *h, struct supervisor *s, struct str word[WORDS])
{
	uint64_t become, uid, gid, workers;
	(void)h;
	if (!str_to_u64(word[0], &become) || !str_to_u64(word[1], &uid) ||
	        !str_to_u64(word[2], &gid) || !str_to_u64(word[3], &workers))
		return;
	s->identified = true;
	s->become = become;
	s->uid = (uid_t)uid;
	s->gid = (gid_t)gid;
	s->workers = (int64_t)workers;
}

static void take_path(struct supervisor *s, struct str path)
{
	snprintf(s->upgrade.path, sizeof s->upgrade.path, "%.*s", STR_ARG(path));
}

void handover_restore(const struct handover *h, struct supervisor *s)
{
	static const struct {
		const char *word;
		void (*take)(
		        const struct handover *h, struct supervisor *s, struct str word[WORDS]);
	} lines[] = { { "socket", take_socket }, { "program", take_program },
		{ "child", take_child }, { "tickets", take_tickets },
		{ "identity", take_identity } };
	struct str rest = buf_str(&h->text), line;
	while (str_split(&rest, '\n', &line)) {
		struct str words[WORDS] = { STR_NONE }, first = STR_NONE, path;
		if (h->back && (path = behind(line, STR("path"))).n)
			take_path(s, path);
		(void)str_split(&line, ' ', &first);
		for (size_t i = 0; i < WORDS && str_split(&line, ' ', &words[i]); i++)
			;
		for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
			if (str_eq_c(first, lines[i].word))
				lines[i].take(h, s, words);
	}
}
