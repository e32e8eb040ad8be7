/* Members of a request's body that are of another type than the API says. */
#include "portal/call.h"

static bool is_texts(const struct json *object, const char *name)
{
	const struct json *list = json_array(object, name);
	if (json_text(object, name).p)
		return true;
	for (size_t i = 0; i < json_count(list); i++)
		if (!json_value_text(json_at(list, i)).p)
			return false;
	return list;
}

static bool fits(const struct json *object, const struct call_member *m)
{
	int64_t number;
	bool yes;
	switch (m->type) {
	case MEMBER_TEXT:
		return json_text(object, m->name).p;
	case MEMBER_TEXTS:
		return is_texts(object, m->name);
	case MEMBER_NUMBER:
		return json_int(object, m->name, &number);
	case MEMBER_BOOL:
		return json_bool(object, m->name, &yes);
	case MEMBER_OBJECT:
		return json_object(object, m->name);
	default:
		return json_bool(object, m->name, &yes) || json_text(object, m->name).p;
	}
}

static const char *words(enum call_member_type type)
{
	static const char *const of[] = {
		[MEMBER_TEXT] = "a text in quotes",
		[MEMBER_TEXTS] = "a list of texts",
		[MEMBER_NUMBER] = "a whole number, without point and exponent",
		[MEMBER_BOOL] = "true or false",
		[MEMBER_OBJECT] = "an object in braces",
		[MEMBER_INSISTENCE] = "true or the names typed",
	};
	return of[type];
}

bool call_members_fit(struct call *c, const struct call_member *members)
{
	struct err err = ERR_INIT;
	for (const struct call_member *m = members; m->name; m++) {
		const struct json *object = m->in ? json_object(c->json, m->in) : c->json;
		if (!object || !json_member(object, m->name) ||
		        json_member_is_null(object, m->name) || fits(object, m))
			continue;
		err_set(&err, ERR_INPUT, "`%s%s%s` has to be %s.", m->in ? m->in : "",
		        m->in ? "." : "", m->name, words(m->type));
		call_fail_field(c, &err, m->in ? m->in : m->name, STR_NONE);
		return false;
	}
	return true;
}
