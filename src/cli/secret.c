#include "cli/secret.h"
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>

enum { LINE_MOST = 1024, QUESTION_MOST = 512 };

/* Some write lines of a file that end with CR LF, which nobody types. */
static void drop_return(struct buf *line)
{
	if (str_ends(buf_str(line), STR("\r")))
		line->p[--line->n] = '\0';
}

/* A line without its end; unbuffered, so that no copy stays behind. */
static bool read_any_line(int fd, const char *secret, struct buf *out, struct err *err)
{
	char c;
	while (buf_ok(out)) {
		ssize_t n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "The %s cannot be read", secret);
		if (n == 0 || c == '\n')
			break;
		buf_add_char(out, c);
	}
	wipe(&c, sizeof c);
	drop_return(out);
	if (str_has(buf_str(out), '\0'))
		return err_set(err, ERR_INPUT, "The %s has a NUL in it: is it a text?", secret);
	return buf_ok(out) || err_set(err, ERR_INPUT, "The %s is too long.", secret);
}

static bool read_line(const char *secret, struct buf *out, struct err *err)
{
	if (!read_any_line(STDIN_FILENO, secret, out, err))
		return false;
	return out->n || err_set(err, ERR_INPUT,
	                         "No %s was given: type it at the terminal, or give it on "
	                         "standard input, as one line.",
	                         secret);
}

static bool ask_once(const char *question, const char *secret, struct buf *out, struct err *err)
{
	struct termios before, silent;
	fputs(question, stderr);
	if (tcgetattr(STDIN_FILENO, &before))
		return err_sys(err, ERR_IO, errno, "The terminal cannot be silenced");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	bool ok = read_line(secret, out, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return ok;
}

static bool ask_twice(
        const char *secret, const char *for_whom, struct buf *ret_secret, struct err *err)
{
	char question[QUESTION_MOST];
	BUF_AUTO again = BUF_SECRET_INIT(LINE_MOST);
	snprintf(question, sizeof question, "New %s for %s: ", secret, for_whom);
	if (!ask_once(question, secret, ret_secret, err))
		return false;
	snprintf(question, sizeof question, "Once more, for %s: ", for_whom);
	if (!ask_once(question, secret, &again, err))
		return false;
	return str_eq(buf_str(ret_secret), buf_str(&again)) ||
	       err_set(err, ERR_INPUT, "The two %ss differ: nothing was changed.", secret);
}

bool secret_ask(const char *secret, const char *for_whom, struct buf *ret_secret, struct err *err)
{
	if (!isatty(STDIN_FILENO))
		return read_line(secret, ret_secret, err);
	return ask_twice(secret, for_whom, ret_secret, err);
}

static bool read_from(const char *path, struct buf *ret_password, struct err *err)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "%s cannot be read", path);
	const bool done = read_any_line(fd, "password", ret_password, err);
	close(fd);
	return done;
}

bool secret_of_file(const struct secret_file *file, struct buf *ret_password, struct err *err)
{
	if (file->from)
		return read_from(file->from, ret_password, err) &&
		       (ret_password->n || !file->is_new ||
		               err_set(err, ERR_INPUT,
		                       "%s has an empty first line, and a key under no password is "
		                       "open to everybody: write one there, or use --format pem.",
		                       file->from));
	if (!isatty(STDIN_FILENO))
		return err_set(err, ERR_INPUT,
		        "%s %s a password: give it with --password-file FILE, or at a terminal.",
		        file->path, file->is_new ? "needs" : "has");
	if (file->is_new)
		return ask_twice("password", file->path, ret_password, err);
	char question[QUESTION_MOST];
	snprintf(question, sizeof question, "Password of %s: ", file->path);
	return ask_once(question, "password", ret_password, err);
}
