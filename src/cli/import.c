/* everseal import: certificates that somebody else has issued, with chain and key. PKCS#12 is
 * turned into PEM here, by a process that holds nothing else. */
#include "cli/client.h"
#include "cli/command.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "keys/pkcs12.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* So many bytes and certificates go in one request; the server takes 4 MiB and 256. */
enum { FILE_MOST = 64 << 10, PASSWORD_MOST = 1024, BATCH_BYTES = 3 << 20, BATCH_MOST = 256 };

struct batch {
	struct str state;
	struct buf body;
	struct json_writer writer;
	size_t count, all;
};

static bool read_file(int folder, const char *name, struct buf *out, struct err *err)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n = -1;
	while (fd >= 0) {
		char *room = buf_room(out, 4096);
		n = room ? read(fd, room, 4096) : 0;
		if (!room || n == 0 || (n < 0 && errno != EINTR))
			break;
		buf_grew(out, n > 0 ? (size_t)n : 0);
	}
	int number = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_sys(err, ERR_IO, number, "%s cannot be read", name);
	return buf_ok(out) || err_set(err, ERR_LIMIT,
	                              "%s is larger than %d KiB, which no certificate with chain "
	                              "and key is.",
	                              name, FILE_MOST >> 10);
}

static void begin(struct batch *b)
{
	buf_wipe(&b->body);
	b->body = BUF_SECRET(BATCH_BYTES * 2);
	b->count = 0;
	json_write_init(&b->writer, &b->body);
	json_write_object(&b->writer, NULL);
	json_write_array(&b->writer, "certificates");
}

static bool send_batch(struct batch *b, struct err *err)
{
	ANSWER_AUTO answer = { 0 };
	if (b->count == 0)
		return true;
	json_write_end(&b->writer);
	json_write_end(&b->writer);
	const struct question q = {
		.method = "POST", .path = STR("/api/certificates/import"), .body = buf_str(&b->body)
	};
	if (!client_ask(b->state, &q, &answer, err))
		return false;
	b->all += b->count;
	begin(b);
	return true;
}

static bool add(struct batch *b, struct str name, struct str pem, struct err *err)
{
	size_t bytes = pem.n + pem.n / 16 + name.n + 100; /* a line break takes two */
	if ((b->count == BATCH_MOST || b->body.n + bytes > BATCH_BYTES) && !send_batch(b, err))
		return false;
	json_write_object(&b->writer, NULL);
	json_write_text(&b->writer, "name", name);
	json_write_text(&b->writer, "pem", pem);
	json_write_end(&b->writer);
	b->count++;
	return true;
}

static bool add_file(
        struct batch *b, int folder, const char *file, struct str name, struct err *err)
{
	struct buf pem = BUF_SECRET(FILE_MOST);
	bool done = read_file(folder, file, &pem, err) && add(b, name, buf_str(&pem), err);
	buf_wipe(&pem);
	return done;
}

/* shop.example.com.pem; _.example.com.pem is *.example.com, which many file systems and shells do
 * not like. False: the file is none of ours. */
static bool name_in(struct command *c, const char *file, struct str *ret_name)
{
	struct str name = str_c(file);
	if (!str_ends(name, STR(".pem")) || name.n == 4 || str_starts(name, STR(".")))
		return false;
	name = str_head(name, name.n - 4);
	*ret_name = str_starts(name, STR("_."))
	                    ? arena_printf(&c->arena, "*%.*s", STR_ARG(str_from(name, 1)))
	                    : arena_str(&c->arena, name);
	return true;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* By name, as the store lists them: rows that are read one after the other lie so. */
static bool add_files(struct command *c, struct batch *b, int folder, struct err *err)
{
	struct dirent **files;
	const int count = scandirat(folder, ".", &files, NULL, by_name);
	bool done = count >= 0 ||
	            err_sys(err, ERR_IO, errno, "The folder of certificates cannot be read");
	struct str name;
	for (int i = 0; i < count; i++) {
		if (done && name_in(c, files[i]->d_name, &name))
			done = add_file(b, folder, files[i]->d_name, name, err);
		free(files[i]);
	}
	if (count >= 0)
		free(files);
	return done;
}

static bool add_folder(struct command *c, struct batch *b, const char *path, struct err *err)
{
	const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_sys(err, ERR_IO, errno, "%s cannot be read", path);
	const bool done = add_files(c, b, folder, err);
	(void)close(folder);
	if (done && b->count + b->all == 0)
		return err_set(err, ERR_INPUT,
		        "%s has no file NAME.pem, such as shop.example.com.pem.", path);
	return done;
}

static bool add_pkcs12(struct command *c, struct batch *b, struct str bytes, struct err *err)
{
	struct buf password = BUF_SECRET(PASSWORD_MOST), pem = BUF_SECRET(FILE_MOST);
	const struct secret_file file = { .path = c->operands[1].p,
		.from = c->values[OPTION_PASSWORD_FILE] };
	bool done = secret_of_file(&file, &password, err);
	if (done && !pkcs12_to_pem(bytes, buf_str(&password), &pem, err))
		done = err_prefix(err, "%s cannot be imported", c->operands[1].p);
	done = done && add(b, c->operands[0], buf_str(&pem), err);
	buf_wipe(&password);
	buf_wipe(&pem);
	return done;
}

static bool add_pem(struct command *c, struct batch *b, struct str pem, struct err *err)
{
	const struct str mark = STR("-----BEGIN ");
	if (!memmem(pem.p, pem.n, mark.p, mark.n))
		return err_set(err, ERR_INPUT,
		        "%.*s cannot be imported: %s holds neither PEM nor PKCS#12, or is cut off.",
		        STR_ARG(c->operands[0]), c->operands[1].p);
	return add(b, c->operands[0], pem, err);
}

static bool add_one(struct command *c, struct batch *b, struct err *err)
{
	struct buf bytes = BUF_SECRET(FILE_MOST);
	bool done = read_file(AT_FDCWD, c->operands[1].p, &bytes, err);
	if (done)
		done = pkcs12_is(buf_str(&bytes)) ? add_pkcs12(c, b, buf_str(&bytes), err)
		                                  : add_pem(c, b, buf_str(&bytes), err);
	buf_wipe(&bytes);
	return done;
}

static bool import(struct command *c, struct batch *b, struct err *err)
{
	const char *many = c->values[OPTION_MANY];
	if (many)
		return add_folder(c, b, many, err) && send_batch(b, err);
	return add_one(c, b, err) && send_batch(b, err);
}

static int remove_one(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	const struct str name = command_value(c, OPTION_REMOVE);
	const struct question q = { .method = "DELETE",
		.path = arena_printf(
		        &c->arena, "/api/certificates/%.*s", STR_ARG(command_escaped(c, name))),
		.body = command_has(c, OPTION_DESPITE_HSTS) ? STR("{\"despite_hsts\":true}")
		                                            : STR("{}") };
	JSON_AUTO *answer =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	if (!answer)
		return command_fail(&err);
	printf("The imported certificate for %.*s is removed. %.*s\n",
	        STR_ARG(show_name(&c->arena, name)),
	        STR_ARG(show_clean(&c->arena, json_text(answer, "served"))));
	return EXIT_DONE;
}

int command_import(struct command *c)
{
	struct err err = ERR_INIT;
	struct batch b = { 0 };
	const bool removes = command_has(c, OPTION_REMOVE), many = command_has(c, OPTION_MANY);
	const size_t operands = removes || many ? 0 : 2;
	if (c->operand_count != operands || (removes && many)) {
		err_set(&err, ERR_INPUT,
		        "Say what to import: `everseal import NAME FILE`, or `everseal import "
		        "--many DIR`; or what to remove: `everseal import --remove NAME`.");
		return command_usage(&err);
	}
	if (removes)
		return remove_one(c);
	if (!command_state(c, &b.state, &err))
		return command_fail(&err);
	begin(&b);
	bool done = import(c, &b, &err);
	buf_wipe(&b.body);
	if (b.all > 0)
		printf("%zu certificate%s imported and served.\n", b.all,
		        b.all > 1 ? "s are" : " is");
	return done ? EXIT_DONE : command_fail(&err);
}
