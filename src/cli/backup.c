/* everseal backup: all that the running server keeps, in one file. */
#include "base/list.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/whole.h"
#include "store/archive.h"

struct writing {
	struct pieces pieces;
	struct whole file;
	struct buf begin; /* the first bytes once more, for the words at the end */
	struct err err;
};

static bool take(struct pieces *p, struct str piece)
{
	struct writing *w = OWNER(p, struct writing, pieces);
	if (w->begin.n < ARCHIVE_HEAD_MOST)
		buf_add(&w->begin, str_head(piece, ARCHIVE_HEAD_MOST - w->begin.n));
	return whole_write(&w->file, piece, &w->err);
}

static bool write_backup(struct writing *w, struct str state, struct str body, struct err *err)
{
	ANSWER_AUTO answer = { 0 };
	const struct question q = {
		.method = "POST", .path = STR("/api/backup"), .body = body, .pieces = &w->pieces
	};
	if (!client_ask(state, &q, &answer, err))
		return false;
	if (w->err.code) {
		*err = w->err;
		return false;
	}
	return whole_end(&w->file, err);
}

static bool tell(struct writing *w, const char *file, struct err *err)
{
	struct archive_head head;
	size_t used;
	if (!archive_read_head(buf_str(&w->begin), &head, &used, err))
		return false;
	if (head.with_key)
		printf("The whole state is in %s, with the master key: whoever can read that file "
		       "has every private key in it.\n",
		        file);
	else
		printf("The whole state is in %s; its secrets are sealed. To restore it, the "
		       "master key %s is needed: keep master.key, too, at another place.\n",
		        file, head.key_id);
	return true;
}

int command_backup(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	struct writing w = {
		.pieces.piece = take, .file.fd = -1, .begin = BUF_SECRET_INIT(ARCHIVE_HEAD_MOST)
	};
	if (!c->operand_count) {
		err_set(&err, ERR_INPUT, "Say where to: `everseal backup FILE`.");
		return command_usage(&err);
	}
	const char *file = c->operands[0].p;
	const struct str body = command_has(c, OPTION_WITH_KEY) ? STR("{\"with_key\":true}")
	                                                        : STR("{\"with_key\":false}");
	const bool done = command_state(c, &state, &err) && whole_begin(&w.file, file, &err) &&
	                  write_backup(&w, state, body, &err) && tell(&w, file, &err);
	whole_drop(&w.file);
	buf_wipe(&w.begin);
	return done ? EXIT_DONE : command_fail(&err);
}
