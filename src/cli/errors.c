#include "cli/errors.h"

/* Takes the number behind the last colon off *s, with the colon. */
static bool take_number(struct str *s, int64_t *ret_number)
{
	uint64_t number;
	size_t colon = s->n;
	while (colon > 0 && s->p[colon - 1] != ':')
		colon--;
	if (colon < 2 || !str_to_u64(str_from(*s, colon), &number))
		return false;
	*ret_number = (int64_t)number;
	*s = str_head(*s, colon - 1);
	return true;
}

struct error {
	struct str file, message;
	int64_t line, column;
};

/* "FILE:LINE:COLUMN: SENTENCE". False: the line has no such place. */
static bool error_read(struct str line, struct error *ret)
{
	for (size_t end = 0; (end += str_find(str_from(line, end), ':')) < line.n; end++) {
		struct error e = { .file = str_head(line, end) };
		if (!str_starts(str_from(line, end), STR(": ")) ||
		        !take_number(&e.file, &e.column) || !take_number(&e.file, &e.line))
			continue;
		e.message = str_from(line, end + 2);
		*ret = e;
		return true;
	}
	return false;
}

static void write_error(struct json_writer *w, struct str line)
{
	struct error e;
	json_write_object(w, NULL);
	if (error_read(line, &e)) {
		json_write_text(w, "file", e.file);
		json_write_int(w, "line", e.line);
		json_write_int(w, "column", e.column);
		json_write_text(w, "message", e.message);
	} else {
		json_write_null(w, "file");
		json_write_null(w, "line");
		json_write_null(w, "column");
		json_write_text(w, "message", line);
	}
	json_write_end(w);
}

void errors_write(struct json_writer *w, const char *key, struct str lines)
{
	json_write_array(w, key);
	while (lines.n > 0) {
		const size_t end = str_find(lines, '\n');
		write_error(w, str_head(lines, end));
		lines = str_from(lines, end < lines.n ? end + 1 : lines.n);
	}
	json_write_end(w);
}
