#include "store/archive.h"
#include "store/db.h"

enum { FORMAT = 1 };

void archive_write_head(const struct archive_head *head, struct buf *out)
{
	buf_printf(out,
	        "Everseal backup %d\n"
	        "database-format %d\n"
	        "database-bytes %lld\n"
	        "master-key %s %s\n\n",
	        FORMAT, db_schema.count, (long long)head->database, head->key_id,
	        head->with_key ? "included" : "needed");
}

/* A line that is `word`, a space, and what is left in *ret_rest. */
static bool read_line(struct str *text, struct str word, struct str *ret_rest)
{
	struct str line = str_head(*text, str_find(*text, '\n'));
	if (line.n == text->n || !str_starts(line, word))
		return false;
	*text = str_from(*text, line.n + 1);
	*ret_rest = str_from(line, word.n);
	return true;
}

static bool read_number(struct str *text, struct str word, int64_t *ret_number)
{
	struct str digits;
	uint64_t number = 0;
	if (!read_line(text, word, &digits) || !str_to_u64(digits, &number) ||
	        number > INT64_MAX / 2)
		return false;
	*ret_number = (int64_t)number;
	return true;
}

static bool read_key(struct str *text, struct archive_head *ret)
{
	struct str rest;
	if (!read_line(text, STR("master-key "), &rest) || rest.n < MASTER_ID)
		return false;
	for (size_t i = 0; i < MASTER_ID; i++)
		if (!strchr("0123456789abcdef", rest.p[i]) || !rest.p[i])
			return false;
	snprintf(ret->key_id, sizeof ret->key_id, "%.*s", MASTER_ID, rest.p);
	rest = str_from(rest, MASTER_ID);
	ret->with_key = str_eq(rest, STR(" included"));
	return ret->with_key || str_eq(rest, STR(" needed"));
}

static bool is_newer(struct err *err)
{
	return err_set(err, ERR_CONFLICT,
	        "It was made by a newer Everseal: install that version, and restore it by that.");
}

static bool damaged(struct err *err)
{
	return err_set(err, ERR_CORRUPT, "The backup is damaged or cut off: take another copy.");
}

bool archive_read_head(
        struct str begin, struct archive_head *ret_head, size_t *ret_used, struct err *err)
{
	struct archive_head head = { 0 };
	struct str text = begin, nothing;
	int64_t format = 0;
	if (!str_starts(begin, STR("Everseal backup ")))
		return err_set(err, ERR_INPUT,
		        "It is no backup of Everseal: give a file that `everseal backup` made.");
	if (!read_number(&text, STR("Everseal backup "), &format))
		return damaged(err);
	if (format > FORMAT)
		return is_newer(err);
	if (!read_number(&text, STR("database-format "), &format))
		return damaged(err);
	if (format > db_schema.count)
		return is_newer(err);
	if (!read_number(&text, STR("database-bytes "), &head.database) ||
	        !read_key(&text, &head) || !read_line(&text, STR(""), &nothing) || nothing.n)
		return damaged(err);
	*ret_head = head;
	*ret_used = begin.n - text.n;
	return true;
}
