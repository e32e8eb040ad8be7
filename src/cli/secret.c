#include "cli/secret.h"
#include "base/secret.h"

#include <errno.h>
#include <termios.h>

enum { LINE_MOST = 1024 };

/* A line without its newline; unbuffered, so that no copy stays behind. */
static bool read_line(struct buf *out, struct err *err)
{
	char c;
	for (;;) {
		ssize_t n = read(STDIN_FILENO, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "The password cannot be read");
		if (n == 0 || c == '\n')
			break;
		buf_add_char(out, c);
	}
	wipe(&c, sizeof c);
	if (!buf_ok(out))
		return err_set(err, ERR_INPUT, "The password is too long.");
	return out->n || err_set(err, ERR_INPUT,
	                         "No password was given: type it at the terminal, or give it on "
	                         "standard input, as one line.");
}

static bool ask_once(const char *question, const char *whom, struct buf *out, struct err *err)
{
	struct termios before, silent;
	fprintf(stderr, "%s %s: ", question, whom);
	if (tcgetattr(STDIN_FILENO, &before))
		return err_sys(err, ERR_IO, errno, "The terminal cannot be silenced");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	bool ok = read_line(out, err);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return ok;
}

bool secret_ask(const char *for_whom, struct buf *ret_password, struct err *err)
{
	BUF_AUTO again = BUF_SECRET_INIT(LINE_MOST);
	if (!isatty(STDIN_FILENO))
		return read_line(ret_password, err);
	if (!ask_once("New password for", for_whom, ret_password, err) ||
	        !ask_once("Once more, for", for_whom, &again, err))
		return false;
	return str_eq(buf_str(ret_password), buf_str(&again)) ||
	       err_set(err, ERR_INPUT, "The two passwords differ: nothing was changed.");
}
