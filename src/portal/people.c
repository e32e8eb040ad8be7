/* People: who may use the page, kept as records. */
#include "portal/people.h"
#include "portal/throttle.h"

struct map people;

static const struct row_kind person_kind;

static struct person *person_of(const struct row *r)
{
	return OWNER((struct row *)r, struct person, row);
}

/* ---- as a record ---- */

static void write_known(const struct person *p, struct json_writer *w)
{
	json_write_array(w, "known");
	for (size_t i = 0; i < KNOWN_ADDRESSES; i++)
		if (*p->known[i])
			json_write_c(w, NULL, p->known[i]);
	json_write_end(w);
}

static void write_factor(const struct person *p, struct json_writer *w)
{
	json_write_int(w, "factor_step", p->factor_step);
	json_write_array(w, "recovery");
	for (size_t i = 0; i < RECOVERY_CODES; i++)
		if (*p->recovery[i])
			json_write_c(w, NULL, p->recovery[i]);
	json_write_end(w);
}

static void write_person(
        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob)
{
	const struct person *p = person_of(r);
	json_write_c(w, "scope", scope_name(p->scope));
	json_write_c(w, "hash", p->hash);
	json_write_time(w, "created", p->created);
	json_write_time(w, "last_seen", p->last_seen);
	write_known(p, w);
	if (!p->factor.n)
		return;
	write_factor(p, w);
	seal(portal.master, (struct seal_for){ STR("person"), str_c(p->name), version }, &p->factor,
	        blob);
}

static void person_free(struct person *p)
{
	LIST_EACH (n, &p->sessions) /* they are leaving, too */
		list_remove(n);
	row_done(&p->row);
	map_remove(&people, &p->node);
	secret_done(&p->factor);
	secret_done(&p->offered);
	wipe(p->hash, sizeof p->hash);
	free(p);
}

static void removed(struct row *r)
{
	person_free(person_of(r));
}

static const struct row_kind person_kind = {
	.name = STR_INIT("person"),
	.write = write_person,
	.removed = removed,
};

static void read_texts(const struct json *list, char *to, size_t each, size_t most)
{
	for (size_t i = 0; i < json_count(list) && i < most; i++)
		snprintf(to + i * each, each, "%.*s", STR_ARG(json_value_text(json_at(list, i))));
}

static bool read_factor(
        struct person *p, const struct json *value, const struct record *record, struct err *err)
{
	if (!record->blob.n)
		return true;
	json_int(value, "factor_step", &p->factor_step);
	read_texts(json_array(value, "recovery"), p->recovery[0], sizeof p->recovery[0],
	        RECOVERY_CODES);
	struct seal_for what = { record->kind, record->id, record->version };
	return unseal(
	        portal.master, what, "The key of a second factor", record->blob, &p->factor, err);
}

static bool read_person(
        struct person *p, const struct json *value, const struct record *record, struct err *err)
{
	if (!value || !read_factor(p, value, record, err))
		return false;
	snprintf(p->hash, sizeof p->hash, "%.*s", STR_ARG(json_text(value, "hash")));
	return true;
}

/* One that cannot be read keeps nobody from starting, and nobody from being given a password. */
static bool load_person(struct store_scan *scan, const struct record *record)
{
	struct err err = ERR_INIT;
	JSON_AUTO *value = json_parse(record->value, "A person's record", &err);
	enum scope scope = SCOPE_READ;
	(void)scan;
	if (record->id.n > PERSON_NAME)
		return true;
	scope_from_name(json_text(value, "scope"), &scope);
	struct person *p = person_new(record->id, scope, "");
	clock_from_rfc3339(json_text(value, "created"), &p->created);
	clock_from_rfc3339(json_text(value, "last_seen"), &p->last_seen);
	read_texts(json_array(value, "known"), p->known[0], ADDRESS_TEXT, KNOWN_ADDRESSES);
	p->row.version = record->version;
	if (!read_person(p, value, record, &err))
		log_error(portal.log,
		        "What is stored of %s cannot be read: until `everseal admin password %s` "
		        "gives a new password, %s cannot sign in. %s",
		        p->name, p->name, p->name, err.text);
	return true;
}

bool people_load(struct err *err)
{
	struct store_scan scan = { .each = load_person };
	return store_each(portal.store, STR("person"), &scan, err);
}

void people_close(void)
{
	MAP_EACH (n, &people)
		person_free(OWNER(n, struct person, node));
	map_done(&people);
	people = (struct map)MAP_INIT;
}

/* ---- finding, checking, changing ---- */

bool people_any(void)
{
	MAP_EACH (n, &people)
		if (!OWNER(n, struct person, node)->row.leaving)
			return true;
	return false;
}

struct person *person_find(struct str name)
{
	char lower[PERSON_NAME + 1];
	struct err err = ERR_INIT;
	if (!person_name(name, lower, &err))
		return NULL;
	struct map_node *n = map_find(&people, str_c(lower));
	struct person *p = n ? OWNER(n, struct person, node) : NULL;
	return p && !p->row.leaving ? p : NULL;
}

static uint32_t code_point(struct str text)
{
	size_t n = str_utf8(text);
	uint32_t code = (unsigned char)*text.p;
	if (n > 1)
		code &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++)
		code = code << 6 | ((unsigned char)text.p[i] & 0x3f);
	return code;
}

bool is_unseen(struct str text)
{
	/* Unicode's general categories Zs, Zl, Zp, Cc, Cf and its Default_Ignorable_Code_Point. */
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0x80, 0xa0 }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x600, 0x605 },
		{ 0x61c, 0x61c }, { 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 },
		{ 0x8e2, 0x8e2 }, { 0x115f, 0x1160 }, { 0x1680, 0x1680 }, { 0x17b4, 0x17b5 },
		{ 0x180b, 0x180f }, { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
		{ 0x2800, 0x2800 }, { 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xfe00, 0xfe0f },
		{ 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xfffb }, { 0x110bd, 0x110bd },
		{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
		{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff } };
	uint32_t code = code_point(text);
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	return false;
}

static bool fits_in_name(struct str rest)
{
	unsigned char c = (unsigned char)*rest.p;
	if (c >= 0x80)
		return !is_unseen(rest);
	return (c > ' ' && c != 0x7f && !strchr("/?#%\"'<>\\*", c));
}

bool person_name(struct str text, char ret_name[PERSON_NAME + 1], struct err *err)
{
	text = str_trim(text);
	if (!text.n)
		return err_set(err, ERR_INPUT, "Give a name to sign in with.");
	if (text.n > PERSON_NAME)
		return err_set(err, ERR_INPUT,
		        "The name is too long: it has at most %d characters.", PERSON_NAME);
	for (struct str rest = text; rest.n; rest = str_from(rest, str_utf8(rest)))
		if (!str_utf8(rest) || !fits_in_name(rest))
			return err_set(err, ERR_INPUT,
			        "A name has letters, digits and . _ - @, and no spaces.");
	for (size_t i = 0; i < text.n; i++)
		ret_name[i] = ascii_lower(text.p[i]);
	ret_name[text.n] = '\0';
	return true;
}

bool person_password(struct str password, struct str name, struct err *err)
{
	size_t characters = 0;
	for (struct str rest = password; rest.n; characters++) {
		size_t n = str_utf8(rest);
		rest = str_from(rest, n ? n : 1);
	}
	if (characters < PASSWORD_LEAST)
		return err_set(err, ERR_INPUT,
		        "The password is too short: give at least %d characters, three words for "
		        "example.",
		        PASSWORD_LEAST);
	if (password.n > PASSWORD_MOST)
		return err_set(err, ERR_INPUT, "The password is too long: at most %d bytes.",
		        PASSWORD_MOST);
	if (str_eq_nocase(password, str_trim(name)))
		return err_set(err, ERR_INPUT, "The password is the name: choose another one.");
	return true;
}

bool person_may_be_added(struct str name, struct err *err)
{
	char lower[PERSON_NAME + 1];
	if (!person_name(name, lower, err))
		return false;
	if (map_find(&people, str_c(lower)))
		return err_set(err, ERR_CONFLICT,
		        "There is somebody named %s already: choose another name.", lower);
	if (people.count >= PEOPLE_MOST)
		return err_set(err, ERR_LIMIT, "There are %d people, and no more fit: remove one.",
		        PEOPLE_MOST);
	return true;
}

struct person *person_new(struct str name, enum scope scope, const char *hash)
{
	struct person *p = mem_new(struct person);
	snprintf(p->name, sizeof p->name, "%.*s", STR_ARG(name));
	snprintf(p->hash, sizeof p->hash, "%s", hash);
	p->scope = scope;
	p->created = loop_wall(portal.loop);
	list_init(&p->sessions);
	row_init(&p->row, &person_kind, p->name, 0);
	map_add(&people, str_c(p->name), &p->node);
	return p;
}

void person_save(struct person *p, struct row_wait *wait)
{
	row_save(&p->row, wait);
}

void person_remove(struct person *p, struct row_wait *wait)
{
	sessions_end_all(p, NULL);
	row_remove(&p->row, wait);
}

bool person_is_last_administrator(const struct person *p)
{
	if (p->scope != SCOPE_ADMINISTER)
		return false;
	MAP_EACH (n, &people) {
		const struct person *other = OWNER(n, struct person, node);
		if (other != p && other->scope == SCOPE_ADMINISTER && !other->row.leaving)
			return false;
	}
	return true;
}

bool person_knows(const struct person *p, struct str address)
{
	for (size_t i = 0; i < KNOWN_ADDRESSES; i++)
		if (*p->known[i] && str_eq_c(address, p->known[i]))
			return true;
	return false;
}

/* The newest first. */
void person_saw(struct person *p, struct str address)
{
	size_t i = 0;
	while (i < KNOWN_ADDRESSES - 1 && !str_eq_c(address, p->known[i]))
		i++;
	memmove(p->known[1], p->known[0], i * ADDRESS_TEXT);
	snprintf(p->known[0], ADDRESS_TEXT, "%.*s", STR_ARG(address));
	p->last_seen = loop_wall(portal.loop);
}
