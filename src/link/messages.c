/* The bytes of a message: its type (one byte), then its fields in order.
 *
 *	INT   8 bytes, least first
 *	FLAG  1 byte, 0 or 1
 *	TEXT  4 bytes of length, least first, and the bytes
 *	FD    1 byte, 1 if a descriptor travels with the message
 *
 * One pair of functions walks the table of fields; nothing is written per message. */
#include "link/link.h"

enum field_kind { FIELD_END, FIELD_INT, FIELD_FLAG, FIELD_TEXT, FIELD_FD };
struct field {
	enum field_kind kind;
	size_t offset;
};

/* A function per message, so that FIELD_… knows the struct by the same name in each. */
#define TABLE_INT(field)  { FIELD_INT, offsetof(message, field) },
#define TABLE_FLAG(field) { FIELD_FLAG, offsetof(message, field) },
#define TABLE_TEXT(field) { FIELD_TEXT, offsetof(message, field) },
#define TABLE_FD(field)   { FIELD_FD, offsetof(message, field) },
#define X(name, ...)                                                                               \
	static const struct field *fields_of_##name(void)                                          \
	{                                                                                          \
		typedef struct msg_##name message;                                                 \
		static const struct field fields[] = { __VA_ARGS__{                                \
			FIELD_END, offsetof(message, _) } };                                       \
		return fields;                                                                     \
	}
MESSAGES(X, TABLE_INT, TABLE_FLAG, TABLE_TEXT, TABLE_FD)
#undef X

static const struct field *fields_of(enum msg_type type)
{
	static const struct field *(*const by_type[MSG_COUNT])(void) = {
#define X(name, ...) [MSG_##name] = fields_of_##name,
		MESSAGES(X, , , , )
#undef X
	};
	CHECK(type > MSG_none && type < MSG_COUNT);
	return by_type[type]();
}

const char *msg_name(enum msg_type type)
{
	static const char *const names[MSG_COUNT] = { [MSG_none] = "none",
#define X(name, ...) [MSG_##name] = #name,
		MESSAGES(X, , , , )
#undef X
	};
	return type >= 0 && type < MSG_COUNT ? names[type] : "unknown";
}

const char *process_name(enum process p)
{
	static const char *const names[PROCESS_COUNT] = {
		[PROCESS_CONTROL] = "control",
		[PROCESS_FETCH] = "fetch",
		[PROCESS_SERVE] = "serve",
		[PROCESS_PAGE] = "page",
	};
	return p >= 0 && p < PROCESS_COUNT ? names[p] : "unknown";
}

static void add_number(struct buf *out, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_char(out, (char)(value >> 8 * i));
}

static void encode_field(enum field_kind kind, const void *field, struct buf *out, int *ret_fd)
{
	switch (kind) {
	case FIELD_INT:
		add_number(out, (uint64_t)*(const int64_t *)field, 8);
		break;
	case FIELD_FLAG:
		add_number(out, *(const bool *)field, 1);
		break;
	case FIELD_TEXT: {
		const struct str *text = field;
		add_number(out, text->n, 4);
		buf_add(out, *text);
		break;
	}
	case FIELD_FD: {
		int fd = *(const int *)field;
		add_number(out, fd > 0, 1);
		*ret_fd = fd > 0 ? fd : -1;
		break;
	}
	case FIELD_END:
		break;
	}
}

void msg_encode(enum msg_type type, const void *fields, struct buf *out, int *ret_fd)
{
	*ret_fd = -1;
	buf_add_char(out, (char)type);
	for (const struct field *f = fields_of(type); f->kind != FIELD_END; f++)
		encode_field(f->kind, (const char *)fields + f->offset, out, ret_fd);
}

void msg_close_fd(const struct msg *m)
{
	for (const struct field *f = fields_of(m->type); f->kind != FIELD_END; f++) {
		if (f->kind != FIELD_FD)
			continue;
		int fd = *(const int *)((const char *)&m->is + f->offset);
		if (fd >= 0)
			close(fd);
	}
}

static bool take(struct str *rest, size_t n, struct str *ret_part)
{
	if (rest->n < n)
		return false;
	*ret_part = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return true;
}

static bool take_number(struct str *rest, size_t bytes, uint64_t *ret_value)
{
	struct str part;
	if (!take(rest, bytes, &part))
		return false;
	uint64_t value = 0;
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)(unsigned char)part.p[i] << 8 * i;
	*ret_value = value;
	return true;
}

/* *fd is what came with the message; the field takes it. */
static bool decode_field(enum field_kind kind, struct str *rest, int *fd, void *ret_field)
{
	uint64_t number = 0;
	static const size_t bytes[] = {
		[FIELD_INT] = 8, [FIELD_FLAG] = 1, [FIELD_TEXT] = 4, [FIELD_FD] = 1
	};
	if (!take_number(rest, bytes[kind], &number))
		return false;
	switch (kind) {
	case FIELD_INT:
		*(int64_t *)ret_field = (int64_t)number;
		return true;
	case FIELD_FLAG:
		*(bool *)ret_field = number == 1;
		return number <= 1;
	case FIELD_TEXT:
		return take(rest, (size_t)number, ret_field);
	case FIELD_FD:
		*(int *)ret_field = *fd;
		if (number != (*fd >= 0))
			return false;
		*fd = -1;
		return true;
	case FIELD_END:
		break;
	}
	return false;
}

bool msg_decode(struct str bytes, int fd, struct msg *ret_msg, struct err *err)
{
	uint64_t type = 0;
	struct str rest = bytes;
	if (!take_number(&rest, 1, &type) || type == MSG_none || type >= MSG_COUNT)
		return err_set(err, ERR_PROTOCOL,
		        "A message of unknown type %u came over the link.", (unsigned)type);
	struct msg m = { .type = (enum msg_type)type };
	for (const struct field *f = fields_of(m.type); f->kind != FIELD_END; f++) {
		if (!decode_field(f->kind, &rest, &fd, (char *)&m.is + f->offset))
			return err_set(err, ERR_PROTOCOL,
			        "A message \"%s\" with a field that is cut short or wrong came "
			        "over "
			        "the link.",
			        msg_name(m.type));
	}
	if (rest.n > 0 || fd >= 0)
		return err_set(err, ERR_PROTOCOL,
		        "A message \"%s\" with something behind its last field came over the link.",
		        msg_name(m.type));
	*ret_msg = m;
	return true;
}
