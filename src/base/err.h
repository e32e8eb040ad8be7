/* A failure that a person can meet: a code for the program and one finished sentence for the page.
 *
 * A fallible function returns bool (or a pointer), must be checked, and takes a last
 * `struct err *`, never NULL, which it sets exactly when it fails. The sentence says what happened,
 * why, and what to do; it starts with a capital and ends with a full stop, and names no function.
 * Library code neither logs nor exits: the caller that decides logs, once. Bugs do not become an
 * err: they abort (CHECK, below). */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/str.h"

#define ERR_CODES(X)                                                                               \
	X(NONE, "none")                                                                            \
	X(INPUT, "input")             /* what was asked cannot be right */                         \
	X(NOT_FOUND, "not-found")     /* no such thing here */                                     \
	X(CONFLICT, "conflict")       /* it changed meanwhile, or stands against something else */ \
	X(REFUSED, "refused")         /* another party said no */                                  \
	X(LIMIT, "limit")             /* a limit was reached, ours or theirs */                    \
	X(UNREACHABLE, "unreachable") /* another party could not be reached */                     \
	X(TIMEOUT, "timeout")         /* another party did not answer in time */                   \
	X(PROTOCOL, "protocol")       /* another party answered something else than it should */   \
	X(PERMISSION, "permission")   /* the system forbids it to us */                            \
	X(BUSY, "busy")               /* somebody else holds it */                                 \
	X(IO, "io")                   /* disk or kernel failed */                                  \
	X(CORRUPT, "corrupt")         /* what is stored cannot be read */                          \
	X(CANCELED, "canceled")

enum err_code {
#define X(name, text) ERR_##name,
	ERR_CODES(X)
#undef X
};

struct err {
	enum err_code code;
	uint16_t why, remedy; /* where in text they begin; 0: not told apart */
	char text[1024];
};

#define ERR_INIT   { .code = ERR_NONE }
#define MUST_CHECK __attribute__((warn_unused_result))

/* Always false, so that a failing function ends in `return err_set(err, …)`. Too long a sentence
 * is cut. Control characters and what is not UTF-8 are replaced by '?': a sentence may carry
 * foreign text. The arguments may point into err->text. */
__attribute__((format(printf, 3, 4))) bool err_set(
        struct err *err, enum err_code code, const char *format, ...);
/* The same with the system's words for errno number `number` appended: "…: No such file." */
__attribute__((format(printf, 4, 5))) bool err_sys(
        struct err *err, enum err_code code, int number, const char *format, ...);
/* Puts words in front of the sentence, with ": " between them unless they end in it:
 * err_prefix(err, "%s", "shop.example.com") gives "shop.example.com: …". Always false. */
__attribute__((format(printf, 2, 3))) bool err_prefix(struct err *err, const char *format, ...);

/* Within a format, in place of the space between two sentences: what follows is the reason, or what
 * to do: "Port 80 is closed." ERR_REMEDY "Open it in the firewall." Where a text has several, the
 * first reason and the last remedy count. */
#define ERR_WHY    "\f"
#define ERR_REMEDY "\v"
/* Parts of the text, without the spaces between them: all before the reason or remedy; the reason;
 * both; what to do. Empty where they are not told apart. */
struct str err_what(const struct err *err);
struct str err_why(const struct err *err);
struct str err_message(const struct err *err);
struct str err_remedy(const struct err *err);

const char *err_code_name(enum err_code code);
bool err_code_from_name(struct str name, enum err_code *ret_code);

/* Bugs: these stay on in production. The condition and the place go to stderr, then abort(). */
#define CHECK(condition) ((condition) ? (void)0 : bug(__FILE__, __LINE__, #condition))
#define BUG(text)        bug(__FILE__, __LINE__, (text))
__attribute__((noreturn)) void bug(const char *file, int line, const char *what);

/* Memory: abort in one place when there is none. */
void *mem_alloc(size_t bytes); /* zeroed */
void *mem_array(size_t size, size_t count);
void *mem_grow(void *p, size_t size, size_t count); /* the new part is not zeroed */
#define mem_new(type) ((type *)mem_alloc(sizeof(type)))

#endif
