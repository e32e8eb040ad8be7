#include "config/parts.h"

#include "base/clock.h"
#include "base/ip.h"
#include "base/url.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { SECRET_MOST = 64 << 10 };

bool config_value_yes_no(struct str text, bool *ret_value, struct err *err)
{
	const bool yes = str_eq_c(text, "yes");
	if (!yes && !str_eq_c(text, "no"))
		return err_set(err, ERR_INPUT, "\"%.*s\" is neither yes nor no.",
		        STR_ARG(config_shown(text)));
	*ret_value = yes;
	return true;
}

struct unit {
	const char *name;
	int64_t factor;
};
/* From the largest: config_value_show takes the first that divides. */
static const struct unit times[] = {
	{ "y", 365 * DAY },
	{ "d", DAY },
	{ "h", HOUR },
	{ "min", MINUTE },
	{ "s", SECOND },
	{ "ms", 1 },
};
static const struct unit sizes[] = {
	{ "g", 1 << 30 },
	{ "m", 1 << 20 },
	{ "k", 1 << 10 },
	{ "", 1 },
};
enum { TIMES = sizeof times / sizeof *times, SIZES = sizeof sizes / sizeof *sizes };

static size_t digits_of(struct str text)
{
	size_t n = 0;
	while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
		n++;
	return n;
}

static bool with_unit(struct str text, const struct unit *units, size_t count, int64_t *ret)
{
	const size_t digits = digits_of(text);
	uint64_t number;
	if (!str_to_u64(str_head(text, digits), &number))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!str_eq_c(str_from(text, digits), units[i].name))
			continue;
		return number <= INT64_MAX &&
		       !__builtin_mul_overflow((int64_t)number, units[i].factor, ret);
	}
	return false;
}

bool config_value_duration(struct str text, int64_t *ret_ms, struct err *err)
{
	if (with_unit(text, times, TIMES, ret_ms))
		return true;
	const struct str s = config_shown(text);
	if (text.n > 0 && digits_of(text) == text.n)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" has no unit: write %.*ss, %.*smin, %.*sh or %.*sd.", STR_ARG(s),
		        STR_ARG(s), STR_ARG(s), STR_ARG(s), STR_ARG(s));
	return err_set(err, ERR_INPUT,
	        "\"%.*s\" is not a time: write a number and ms, s, min, h, d or y, as in 10s.",
	        STR_ARG(s));
}

bool config_value_size(struct str text, uint64_t *ret_bytes, struct err *err)
{
	int64_t bytes;
	if (!with_unit(text, sizes, SIZES, &bytes))
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is not a size: write a number of bytes, or one with k, m or g, "
		        "as "
		        "in 64k.",
		        STR_ARG(config_shown(text)));
	*ret_bytes = (uint64_t)bytes;
	return true;
}

static bool value_count(struct str text, uint64_t *ret_count, struct err *err)
{
	if (!str_to_u64(text, ret_count))
		return err_set(
		        err, ERR_INPUT, "\"%.*s\" is not a number.", STR_ARG(config_shown(text)));
	return true;
}

void config_value_show(enum setting_type type, int64_t value, struct buf *out)
{
	const struct unit *units = type == SETTING_DURATION ? times : sizes;
	size_t i = type == SETTING_COUNT ? SIZES - 1 : 0;
	while (value == 0 ? units[i].factor != (type == SETTING_DURATION ? SECOND : 1)
	                  : value % units[i].factor != 0)
		i++;
	buf_printf(out, "%lld%s", (long long)(value / units[i].factor), units[i].name);
}

bool config_value_bounded(
        const struct setting *s, struct str text, int64_t *ret_value, struct err *err)
{
	uint64_t number = 0;
	int64_t value = 0;
	if (s->type == SETTING_DURATION   ? !config_value_duration(text, &value, err)
	        : s->type == SETTING_SIZE ? !config_value_size(text, &number, err)
	                                  : !value_count(text, &number, err))
		return false;
	if (s->type != SETTING_DURATION)
		value = number > INT64_MAX ? INT64_MAX : (int64_t)number;
	if (value >= s->least && value <= s->most) {
		*ret_value = value;
		return true;
	}
	BUF_AUTO least = BUF_INIT(64);
	BUF_AUTO most = BUF_INIT(64);
	config_value_show(s->type, s->least, &least);
	config_value_show(s->type, s->most, &most);
	return err_set(err, ERR_INPUT, "`%s` may be %s to %s, not %.*s.", s->name, buf_c(&least),
	        buf_c(&most), STR_ARG(config_shown(text)));
}

static struct str address_text(struct arena *a, const unsigned char *bytes, size_t n)
{
	char text[IP_TEXT];
	return arena_str(a, str_c(ip_text(bytes, n, text)));
}

bool config_value_endpoint(struct arena *a, struct str text, uint16_t default_port,
        struct address *ret_address, struct err *err)
{
	struct str host;
	uint16_t port;
	if (!url_parse_hostport(text, default_port, &host, &port, err))
		return false;
	unsigned char bytes[IP_BYTES];
	const size_t n = ip_read(host, bytes);
	if (n == 0)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is not an IP address: write one, such as 127.0.0.1:%u or "
		        "[::1]:%u.",
		        STR_ARG(config_shown(host)), port, port);
	*ret_address = (struct address){ .host = address_text(a, bytes, n), .port = port };
	return true;
}

/* Clears the bits behind the prefix; true if there were any. */
static bool clear_host_bits(unsigned char *bytes, size_t n, size_t prefix)
{
	bool cleared = false;
	for (size_t i = 0; i < n; i++) {
		const size_t kept = prefix >= (i + 1) * 8 ? 8 : prefix > i * 8 ? prefix - i * 8 : 0;
		const unsigned char mask = (unsigned char)(0xff00U >> kept);
		cleared |= (bytes[i] & (unsigned char)~mask) != 0;
		bytes[i] &= mask;
	}
	return cleared;
}

bool config_value_cidr(struct arena *a, struct str text, struct str *ret_cidr, struct err *err)
{
	const size_t slash = str_find(text, '/');
	unsigned char bytes[IP_BYTES];
	const size_t n = ip_read(str_head(text, slash), bytes);
	uint64_t prefix = n * 8;
	if (n == 0 || (slash < text.n && !str_to_u64(str_from(text, slash + 1), &prefix)) ||
	        prefix > n * 8)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is neither an IP address nor a network such as 10.0.0.0/8.",
		        STR_ARG(config_shown(text)));
	const bool stray = clear_host_bits(bytes, n, (size_t)prefix);
	const struct str network = address_text(a, bytes, n);
	if (stray)
		return err_set(err, ERR_INPUT, "The network of %.*s is %.*s/%u: write that.",
		        STR_ARG(config_shown(text)), STR_ARG(network), (unsigned)prefix);
	*ret_cidr = arena_printf(a, "%.*s/%u", STR_ARG(network), (unsigned)prefix);
	return true;
}

static bool read_all(int fd, struct buf *content, struct str path, struct err *err)
{
	for (;;) {
		char *room = buf_room(content, 16 << 10);
		if (!room)
			return err_set(err, ERR_LIMIT, "\"%.*s\" is larger than %zu KiB.",
			        STR_ARG(config_shown(path)), (content->ceiling - (16 << 10)) >> 10);
		const ssize_t n = read(fd, room, 16 << 10);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, ERR_IO, errno, "\"%.*s\" cannot be read",
			        STR_ARG(config_shown(path)));
		if (n == 0)
			return true;
		buf_grew(content, (size_t)n);
	}
}

bool config_value_file(
        struct arena *a, struct str path, size_t most, struct str *ret_content, struct err *err)
{
	char *name = str_dup(path);
	const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const int number = errno;
	free(name);
	if (fd < 0)
		return err_sys(err, number == ENOENT ? ERR_NOT_FOUND : ERR_IO, number,
		        "\"%.*s\" cannot be read", STR_ARG(config_shown(path)));
	BUF_AUTO content = BUF_INIT(most + (16 << 10));
	struct stat st;
	const bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode)
	                        ? read_all(fd, &content, path, err)
	                        : err_set(err, ERR_INPUT, "\"%.*s\" is not a file.",
	                                  STR_ARG(config_shown(path)));
	close(fd);
	if (ok)
		*ret_content = arena_str(a, buf_str(&content));
	buf_wipe(&content);
	return ok;
}

static bool credential_path(struct arena *a, struct str name, struct str *ret_path, struct err *err)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (name.n == 0 || str_has(name, '/') || str_eq_c(name, ".."))
		return err_set(err, ERR_INPUT, "\"%.*s\" is not the name of a credential.",
		        STR_ARG(config_shown(name)));
	if (!folder)
		return err_set(err, ERR_NOT_FOUND,
		        "There are no credentials here ($CREDENTIALS_DIRECTORY is not set): start "
		        "Everseal "
		        "by systemd with LoadCredential=%.*s:…, or name a file by @FILE.",
		        STR_ARG(config_shown(name)));
	*ret_path = arena_printf(a, "%s/%.*s", folder, STR_ARG(name));
	return true;
}

bool config_value_secret(
        struct arena *a, struct str text, const char *what, struct str *ret_secret, struct err *err)
{
	const struct str credential = STR("credential:");
	struct str path = STR_NONE, content = text;
	if (str_starts(text, STR("@")))
		path = str_from(text, 1);
	else if (str_starts(text, credential) &&
	         !credential_path(a, str_from(text, credential.n), &path, err))
		return false;
	if (path.p && !config_value_file(a, path, SECRET_MOST, &content, err))
		return false;
	while (path.p && (str_ends(content, STR("\n")) || str_ends(content, STR("\r"))))
		content.n--;
	if (content.n == 0)
		return err_set(err, ERR_INPUT, "The %s is empty.", what);
	*ret_secret = arena_str(a, content);
	return true;
}
