/* The flow as JSON: what survives a restart. Names of members are those of struct flow. */
#include "acme/step.h"

#define TEXTS(X)                                                                                   \
	X(directory_url)                                                                           \
	X(email)                                                                                   \
	X(profile)                                                                                 \
	X(preferred_chain)                                                                         \
	X(alternates)                                                                              \
	X(alternate)                                                                               \
	X(note)                                                                                    \
	X(binding)                                                                                 \
	X(inner)                                                                                   \
	X(refusal)                                                                                 \
	X(replaces) X(account) X(order) X(finalize) X(certificate) X(chain) X(revoke) X(waiting_for)
#define YES_NOS(X)                                                                                 \
	X(terms_agreed)                                                                            \
	X(can_bind)                                                                                \
	X(account_looked_up)                                                                       \
	X(account_forgotten)                                                                       \
	X(order_invalid) X(change_sent) X(in_doubt) X(neither) X(has_key) X(by_key)
#define COUNTS(X)                                                                                  \
	X(turns)                                                                                   \
	X(bad_nonces)                                                                              \
	X(lost)                                                                                    \
	X(polls)                                                                                   \
	X(other_types)                                                                             \
	X(downloads)                                                                               \
	X(key_changes)                                                                             \
	X(bad_nonces_in_row)                                                                       \
	X(http_port)                                                                               \
	X(https_port)                                                                              \
	X(lost_in_row) X(poll_wait) X(started) X(deadline) X(deadline_most) X(revoke_reason)
#define DIRECTORY_TEXTS(X)                                                                         \
	X(new_nonce)                                                                               \
	X(new_account) X(new_order) X(revoke_cert) X(key_change) X(renewal_info) X(terms) X(website)
#define NAME_TEXTS(X)   X(name) X(authz) X(challenge) X(token)
#define NAME_YES_NOS(X) X(valid) X(answered) X(published) X(refused)

static void write_text(struct json_writer *w, const char *key, struct str text)
{
	if (text.n)
		json_write_text(w, key, text);
}

static void write_directory(struct json_writer *w, const struct acme_directory *d)
{
	json_write_object(w, "directory");
#define X(member) write_text(w, #member, d->member);
	DIRECTORY_TEXTS(X)
#undef X
	json_write_bool(w, "external_account_required", d->external_account_required);
	json_write_object(w, "profiles");
	for (size_t i = 0; i < d->profile_count; i++)
		json_write_text(w, d->profiles[i].name.p, d->profiles[i].text);
	json_write_end(w);
	json_write_end(w);
}

/* The types that are left, the first first. */
static void write_choice(struct json_writer *w, const struct challenge_choice *choice)
{
	json_write_array(w, "choice");
	for (size_t i = 0; i < choice->count; i++)
		json_write_c(w, NULL, challenge_type_name(choice->types[i]));
	json_write_end(w);
}

static void write_name(struct json_writer *w, const struct flow_name *name)
{
	json_write_object(w, NULL);
#define X(member) write_text(w, #member, name->member);
	NAME_TEXTS(X)
#undef X
#define X(member) json_write_bool(w, #member, name->member);
	NAME_YES_NOS(X)
#undef X
	json_write_c(w, "type", challenge_type_name(name->type));
	json_write_int(w, "offered", name->offered);
	json_write_int(w, "conflicts", name->conflicts);
	write_choice(w, &name->choice);
	json_write_end(w);
}

static void write_problem(struct json_writer *w, const struct problem *p)
{
	json_write_object(w, "problem");
	write_text(w, "type", p->type);
	write_text(w, "detail", p->detail);
	write_text(w, "instance", p->instance);
	json_write_int(w, "status", p->status);
	if (p->json.n)
		json_write_raw(w, "json", p->json);
	json_write_end(w);
}

static void write_members(struct json_writer *w, const struct flow *f)
{
#define X(member) write_text(w, #member, f->member);
	TEXTS(X)
#undef X
#define X(member) json_write_bool(w, #member, f->member);
	YES_NOS(X)
#undef X
#define X(member) json_write_int(w, #member, (int64_t)f->member);
	COUNTS(X)
#undef X
}

static const char *const changes[] = {
#define X(name) #name,
	ACME_CHANGES(X)
#undef X
};

void flow_save(const struct flow *f, struct buf *out_json)
{
	struct json_writer w;
	json_write_init(&w, out_json);
	json_write_object(&w, NULL);
	json_write_c(&w, "step", acme_step_name(f->step));
	json_write_int(&w, "at", (int64_t)f->at);
	json_write_c(&w, "change", changes[f->change]);
	write_members(&w, f);
	write_directory(&w, &f->directory);
	json_write_array(&w, "names");
	for (size_t i = 0; i < f->name_count; i++)
		write_name(&w, &f->names[i]);
	json_write_end(&w);
	BUF_AUTO csr = BUF_INIT(ACME_PAYLOAD_MOST);
	buf_add_base64url(&csr, f->csr);
	write_text(&w, "csr", buf_str(&csr));
	write_problem(&w, &f->problem);
	json_write_end(&w);
}

static enum acme_change read_change(struct str name)
{
	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
		if (str_eq_c(name, changes[i]))
			return (enum acme_change)i;
	return CHANGE_none;
}

static bool read_step(struct str name, enum acme_step *ret_step)
{
	for (enum acme_step step = 0; step < ACME_STEP_COUNT; step++)
		if (str_eq_c(name, acme_step_name(step))) {
			*ret_step = step;
			return true;
		}
	return false;
}

static void read_members(struct flow *f, const struct json *root)
{
	int64_t value;
#define X(member) keep(f, &f->member, json_text(root, #member));
	TEXTS(X)
#undef X
#define X(member) json_bool(root, #member, &f->member);
	YES_NOS(X)
#undef X
#define X(member)                                                                                  \
	if (json_int(root, #member, &value))                                                       \
		f->member = (__typeof__(f->member))value;
	COUNTS(X)
#undef X
}

static void read_directory(struct flow *f, const struct json *from)
{
	struct acme_directory *d = &f->directory;
#define X(member) keep(f, &d->member, json_text(from, #member));
	DIRECTORY_TEXTS(X)
#undef X
	json_bool(from, "external_account_required", &d->external_account_required);
	directory_read_profiles(&f->arena, json_object(from, "profiles"), d);
}

/* Flows that know of no types are of a time when there was one. */
static void read_choice(struct challenge_choice *choice, const struct json *list)
{
	for (size_t i = 0; i < json_count(list) && choice->count < CHALLENGE_TYPE_COUNT; i++)
		choice->count += challenge_type_from_name(
		        json_value_text(json_at(list, i)), &choice->types[choice->count]);
	if (!list)
		*choice = (struct challenge_choice){ { CHALLENGE_HTTP_01 }, 1 };
}

static void read_name(struct flow *f, struct flow_name *name, const struct json *from)
{
#define X(member) keep(f, &name->member, json_text(from, #member));
	NAME_TEXTS(X)
#undef X
#define X(member) json_bool(from, #member, &name->member);
	NAME_YES_NOS(X)
#undef X
	int64_t offered = 0, conflicts = 0;
	json_int(from, "offered", &offered);
	json_int(from, "conflicts", &conflicts);
	name->offered = (unsigned)offered;
	name->conflicts = (unsigned)conflicts;
	challenge_type_from_name(json_text(from, "type"), &name->type);
	read_choice(&name->choice, json_array(from, "choice"));
}

static bool read_names(struct flow *f, const struct json *list)
{
	f->name_count = json_count(list);
	if ((f->name_count == 0 && !f->change) || f->name_count > FLOW_NAMES_MOST)
		return false;
	f->names = arena_array(&f->arena, struct flow_name, f->name_count);
	for (size_t i = 0; i < f->name_count; i++) {
		read_name(f, &f->names[i], json_at(list, i));
		if (f->names[i].name.n == 0)
			return false;
	}
	return true;
}

static bool read_csr(struct flow *f, struct str text)
{
	BUF_AUTO der = BUF_INIT(ACME_PAYLOAD_MOST);
	if (text.n && !buf_decode_base64url(&der, text))
		return false;
	flow_set_csr(f, buf_str(&der));
	return true;
}

static void read_problem(struct flow *f, const struct json *from)
{
	int64_t status = 0;
	json_int(from, "status", &status);
	const struct json *whole = json_object(from, "json");
	problem_keep(f, whole ? whole : from, (unsigned)status);
	if (!whole)
		f->problem.json = STR_NONE;
}

static bool read_flow(struct flow *f, const struct json *root)
{
	int64_t at = 0;
	enum acme_step step;
	json_int(root, "at", &at);
	f->change = read_change(json_text(root, "change"));
	if (!read_step(json_text(root, "step"), &step) || !read_names(f, json_array(root, "names")))
		return false;
	if (at < 0 || (uint64_t)at >= f->name_count + !f->name_count ||
	        !read_csr(f, json_text(root, "csr")))
		return false;
	read_members(f, root);
	read_directory(f, json_object(root, "directory"));
	read_problem(f, json_object(root, "problem"));
	const struct next n = go_to_name(step, (size_t)at);
	flow_take(f, &n);
	return f->directory_url.n > 0;
}

struct flow *flow_load(struct str json, struct err *err)
{
	JSON_AUTO *root = json_parse(json, "The stored attempt", err);
	struct flow *f = root ? mem_new(struct flow) : NULL;
	if (f) {
		f->http_port = 80; /* unless it says otherwise */
		f->https_port = 443;
		f->nonce = BUF(1024);
		f->payload = BUF(ACME_PAYLOAD_MOST);
	}
	if (f && read_flow(f, root))
		return f;
	flow_free(&f);
	err_set(err, ERR_CORRUPT,
	        "The stored attempt at a certificate cannot be read. It is dropped; a new one is "
	        "begun.");
	return NULL;
}
