/* Names as people type them. The sentences go to the page, beside the field. */
#include "certs/name.h"

#include "base/ip.h"
#include "certs/idn.h"

enum { NAME_MOST = 253, LABEL_MOST = 63, TYPED_MOST = 1000, MAIL_MOST = 254 };

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str trim(struct str s)
{
	while (s.n > 0 && is_space(s.p[0]))
		s = str_from(s, 1);
	while (s.n > 0 && is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool has_scheme(struct str s)
{
	return str_starts(str_from(s, str_find(s, ':')), STR("://"));
}

/* The bare host of a pasted web address: without scheme, user, port, path, query and final dot. */
static struct str bare(struct str s)
{
	if (has_scheme(s))
		s = str_from(s, str_find(s, ':') + 3);
	s = str_head(s, str_find(s, '/'));
	s = str_head(s, str_find(s, '?'));
	s = str_head(s, str_find(s, '#'));
	if (str_find(s, '@') < s.n)
		s = str_from(s, str_find(s, '@') + 1);
	if (s.n > 0 && s.p[0] == '[')
		return str_head(str_from(s, 1), str_find(s, ']') - 1);
	s = trim(str_head(s, str_find(s, ':')));
	return s.n > 1 && s.p[s.n - 1] == '.' ? str_head(s, s.n - 1) : s;
}

static bool refuse_address(struct str s, struct err *err)
{
	return err_set(err, ERR_INPUT,
	        "%.*s is an IP address; a DNS name is needed, such as shop.example.com.",
	        STR_ARG(s));
}

/* RFC 8555 7.1.3: wildcards stand in front. */
static bool refuse_wildcard(struct str s, struct err *err)
{
	if (ip_is(str_from(s, 2)))
		return refuse_address(str_from(s, 2), err);
	return err_set(err, ERR_INPUT,
	        "A wildcard name needs a DNS challenge (DNS-01), which is not set up here: give "
	        "each name "
	        "by itself, such as www%.*s.",
	        STR_ARG(str_from(s, 1)));
}

/* RFC 4291 2.5.5: the first 96 bits of an IPv4 address that is written as one of IPv6. */
static bool embeds_ipv4(const unsigned char *b)
{
	static const unsigned char zeros[10];
	const bool mapped = b[10] == 0xff && b[11] == 0xff, compatible = !b[10] && !b[11];
	return memcmp(b, zeros, sizeof zeros) == 0 &&
	       (mapped || (compatible && (b[12] || b[13] || b[14])));
}

/* One that a single machine can have (RFC 1122 3.2.1.3, RFC 4291 2.5.2, 2.7). */
static bool is_of_one(const unsigned char *b, size_t n)
{
	static const unsigned char any[IP_BYTES];
	return n == 4 ? b[0] != 0 && b[0] < 224 : b[0] != 0xff && memcmp(b, any, IP_BYTES) != 0;
}

/* An address as a name (RFC 8738), in the form of RFC 5952, so that there is one for each. */
static bool read_address(struct arena *a, struct str s, struct name *ret_name, struct err *err)
{
	unsigned char bytes[IP_BYTES];
	char text[IP_TEXT];
	const size_t n = ip_read(s, bytes);
	if (n == 16 && embeds_ipv4(bytes))
		return err_set(err, ERR_INPUT,
		        "%.*s is an IPv4 address written as one of IPv6. Use %s.", STR_ARG(s),
		        ip_text(bytes + 12, 4, text));
	if (!is_of_one(bytes, n))
		return err_set(err, ERR_INPUT,
		        "%.*s is the address of no single machine: give the one that visitors "
		        "use.",
		        STR_ARG(s));
	ret_name->ascii = arena_str(a, str_c(ip_text(bytes, n, text)));
	ret_name->unicode = ret_name->ascii;
	return true;
}

/* RFC 4007 11: "fe80::1%eth0", with brackets or without. */
static bool refuse_zone(struct str s, struct err *err)
{
	const struct str address = str_head(s, str_find(s, '%'));
	return err_set(err, ERR_INPUT,
	        "%.*s has a zone (%%), which means something on one machine alone. Use %.*s.",
	        STR_ARG(s), STR_ARG(address));
}

static bool read_alone(
        struct arena *a, struct str s, bool public_only, struct name *ret_name, struct err *err);

/* A URL, a port, a path: the bare name is offered if it could be taken. */
static bool refuse_url(struct arena *a, struct str s, bool public_only, struct err *err)
{
	struct name offered;
	struct err why = ERR_INIT;
	const char *what = has_scheme(s) ? "This is a web address; a DNS name is needed."
	                                 : "A DNS name has no port and no path.";
	struct str host = bare(s);
	if (read_alone(a, host, public_only, &offered, &why))
		return err_set(err, ERR_INPUT, "%s Use %.*s.", what, STR_ARG(offered.unicode));
	return err_set(err, ERR_INPUT, "%s", what);
}

static bool check_characters(struct str s, struct err *err)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (is_space(s.p[i]) || c == ',' || c == ';')
			return err_set(err, ERR_INPUT,
			        "A DNS name has no spaces, commas or semicolons. Give further "
			        "names one "
			        "by one.");
		if (c == '_')
			return err_set(err, ERR_INPUT,
			        "A name with an underscore gets no certificate: CAs issue for "
			        "letters, "
			        "digits and hyphens only.");
		bool is_label = c == '-' || c == '.' || c >= 0x80 || (c >= '0' && c <= '9') ||
		                ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
		if (!is_label)
			return err_set(err, ERR_INPUT,
			        "\"%c\" cannot stand in a DNS name: it has letters, digits, "
			        "hyphens and "
			        "dots.",
			        c);
	}
	return true;
}

/* RFC 1035 2.3.4, RFC 5890 2.3.1. */
static bool check_labels(struct str ascii, struct err *err)
{
	struct str rest = ascii, label;
	if (ascii.n > NAME_MOST)
		return err_set(err, ERR_INPUT,
		        "The name is too long: %zu characters, a DNS name has at most %d.", ascii.n,
		        NAME_MOST);
	while (str_split(&rest, '.', &label)) {
		if (label.n == 0)
			return err_set(err, ERR_INPUT,
			        "The name has an empty part: two dots in a row, or a dot in "
			        "front.");
		if (label.n > LABEL_MOST)
			return err_set(err, ERR_INPUT,
			        "\"%.*s\" is too long: a part between two dots has at most %d "
			        "characters.",
			        STR_ARG(label), LABEL_MOST);
		if (label.p[0] == '-' || label.p[label.n - 1] == '-')
			return err_set(err, ERR_INPUT,
			        "\"%.*s\" begins or ends with a hyphen, which a DNS name may not.",
			        STR_ARG(label));
	}
	return true;
}

/* A number at the end would be read as an IPv4 address by browsers; no such domain exists. */
static bool ends_in_number(struct str ascii)
{
	size_t i = ascii.n;
	while (i > 0 && ascii.p[i - 1] >= '0' && ascii.p[i - 1] <= '9')
		i--;
	return i < ascii.n && (i == 0 || ascii.p[i - 1] == '.');
}

static bool check_domain(struct str ascii, bool public_only, struct err *err)
{
	if (ends_in_number(ascii))
		return err_set(err, ERR_INPUT,
		        "%.*s ends in a number, which no domain does. Give a DNS name such as "
		        "shop.example.com.",
		        STR_ARG(ascii));
	/* A bare name in house may well be called like a top-level domain ("shop", "cloud"). */
	if ((public_only || str_has(ascii, '.')) && name_is_public_suffix(ascii))
		return err_set(err, ERR_INPUT,
		        "%.*s is a public suffix: no CA issues for it. Give a name under it, such "
		        "as "
		        "example.%.*s.",
		        STR_ARG(ascii), STR_ARG(ascii));
	if (public_only && !str_has(ascii, '.'))
		return err_set(err, ERR_INPUT,
		        "%.*s has no domain: a public CA issues for full names only, such as "
		        "%.*s.example.com.",
		        STR_ARG(ascii), STR_ARG(ascii));
	return true;
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
	return (struct str){ p, s.n };
}

static bool has_a_label(struct str ascii)
{
	struct str rest = ascii, label;
	while (str_split(&rest, '.', &label))
		if (str_starts(label, STR("xn--")))
			return true;
	return false;
}

/* Both forms of the name; an "xn--" label that stands for nothing is no name either. */
static bool convert(struct arena *a, struct str s, struct name *ret_name, struct err *err)
{
	const char *reason = NULL;
	struct name name = { .ascii = lower(a, s) };
	if (!is_ascii(s) && !idn_to_ascii(a, s, &name.ascii, &reason))
		return err_set(
		        err, ERR_INPUT, "%.*s cannot be a DNS name: %s.", STR_ARG(s), reason);
	name.unicode = name.ascii;
	if (has_a_label(name.ascii) && !idn_to_unicode(a, name.ascii, &name.unicode, &reason))
		return err_set(
		        err, ERR_INPUT, "%.*s cannot be a DNS name: %s.", STR_ARG(s), reason);
	*ret_name = name;
	return true;
}

/* A name without scheme, port or path. */
static bool read_alone(
        struct arena *a, struct str s, bool public_only, struct name *ret_name, struct err *err)
{
	struct name name;
	if (s.n > 1 && s.p[s.n - 1] == '.')
		s = str_head(s, s.n - 1);
	if (s.n == 0)
		return err_set(err, ERR_INPUT, "Give a DNS name, such as shop.example.com.");
	if (str_starts(s, STR("*.")))
		return refuse_wildcard(s, err);
	if (ip_is(s))
		return read_address(a, s, ret_name, err);
	if (ip_is(str_head(s, str_find(s, '%'))))
		return refuse_zone(s, err);
	if (!check_characters(s, err) || !convert(a, s, &name, err))
		return false;
	/* Other dots that IDNA takes for '.' may have stood at the end. */
	if (!is_ascii(s) && name.ascii.n > 1 && name.ascii.p[name.ascii.n - 1] == '.')
		return read_alone(a, name.ascii, public_only, ret_name, err);
	if (!check_labels(name.ascii, err) || !check_domain(name.ascii, public_only, err))
		return false;
	*ret_name = name;
	return true;
}

/* "[2001:db8::1]", as URLs have it. */
static struct str without_brackets(struct str s)
{
	return str_starts(s, STR("[")) && str_ends(s, STR("]")) ? str_n(s.p + 1, s.n - 2) : s;
}

bool name_read(
        struct arena *a, struct str typed, bool public_only, struct name *ret_name, struct err *err)
{
	struct str s = trim(typed);
	if (s.n > TYPED_MOST)
		return err_set(err, ERR_INPUT,
		        "The name is too long: %zu characters, a DNS name has at most %d.", s.n,
		        NAME_MOST);
	if (memchr(s.p ? s.p : "", 0, s.n))
		return err_set(err, ERR_INPUT, "A DNS name holds no control characters.");
	const struct str inner = without_brackets(s);
	if (ip_is(inner) || ip_is(str_head(inner, str_find(inner, '%'))))
		return read_alone(a, inner, public_only, ret_name, err);
	if (str_has(s, '/') || str_has(s, ':') || str_has(s, '?') || str_has(s, '#'))
		return refuse_url(a, s, public_only, err);
	return read_alone(a, s, public_only, ret_name, err);
}

bool name_read_dns(
        struct arena *a, struct str typed, bool public_only, struct name *ret_name, struct err *err)
{
	if (!name_read(a, typed, public_only, ret_name, err))
		return false;
	return !ip_is(ret_name->ascii) || refuse_address(ret_name->ascii, err);
}

bool name_read_wildcard(
        struct arena *a, struct str typed, bool public_only, struct name *ret_name, struct err *err)
{
	struct str s = trim(typed);
	struct name name;
	if (!str_starts(s, STR("*.")))
		return name_read(a, s, public_only, ret_name, err);
	if (!name_read_dns(a, str_from(s, 2), public_only, &name, err))
		return false;
	ret_name->ascii = arena_printf(a, "*.%.*s", STR_ARG(name.ascii));
	ret_name->unicode = arena_printf(a, "*.%.*s", STR_ARG(name.unicode));
	return true;
}

bool name_offered(struct arena *a, struct str typed, struct str *ret_name)
{
	struct name name;
	struct err err = ERR_INIT;
	struct str s = trim(typed);
	if (s.n > TYPED_MOST || memchr(s.p ? s.p : "", 0, s.n) ||
	        !read_alone(a, bare(s), /* public_only= */ false, &name, &err))
		return false;
	*ret_name = name.unicode;
	return true;
}

bool name_is_private(struct str ascii)
{
	/* RFC 6761, RFC 6762, RFC 7686 (.onion needs other proofs), RFC 8375, ICANN's .internal. */
	static const struct str endings[] = { STR_INIT(".localhost"), STR_INIT(".test"),
		STR_INIT(".internal"), STR_INIT(".local"), STR_INIT(".invalid"),
		STR_INIT(".example"), STR_INIT(".onion"), STR_INIT(".home.arpa"), STR_INIT(".lan"),
		STR_INIT(".corp"), STR_INIT(".home") };
	unsigned char address[IP_BYTES];
	const size_t n = ip_read(ascii, address);
	if (n > 0)
		return ip_is_near(address, n);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (str_ends(ascii, endings[i]))
			return true;
	return !str_has(ascii, '.');
}

static bool is_mail_domain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(ascii_lower(s.p[i]) >= 'a' && ascii_lower(s.p[i]) <= 'z') &&
		        !(s.p[i] >= '0' && s.p[i] <= '9') && !strchr("-._", s.p[i]))
			return false;
	return s.n > 0;
}

/* As headers of a message and a contact's URL hold it as it is. */
static bool check_mail_characters(struct str s, struct err *err)
{
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];
		if (c > 0x7f)
			return err_set(err, ERR_INPUT,
			        "An e-mail address has letters without accents only, as others are "
			        "refused on the way: give one such as ops@example.com, its domain "
			        "as xn-- if need be.");
		if (c <= ' ' || c == 0x7f || strchr(",;<>\"()[]\\?&", s.p[i]))
			return err_set(err, ERR_INPUT,
			        "An e-mail address has no spaces and none of , ; < > \" ( ) [ ] \\ "
			        "? &. "
			        "Give one address, such as ops@example.com.");
	}
	return true;
}

/* RFC 8555 7.3: a contact's mailto holds one address and nothing behind it. */
bool email_read(struct str typed, struct str *ret_email, struct err *err)
{
	struct str s = trim(typed);
	const size_t at = str_find(s, '@');
	if (s.n == 0)
		return err_set(err, ERR_INPUT, "Give an e-mail address, such as ops@example.com.");
	if (!check_mail_characters(s, err))
		return false;
	if (at == 0 || !is_mail_domain(str_from(s, at + 1)) || s.n > MAIL_MOST)
		return err_set(err, ERR_INPUT,
		        "%.*s is not an e-mail address: it has the form ops@example.com.",
		        STR_ARG(str_head(s, MAIL_MOST)));
	*ret_email = s;
	return true;
}
