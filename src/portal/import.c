/* Certificates that the machine's owner brings. */
#include "renew/import.h"
#include "portal/wish.h"

enum { IMPORT_MOST = 256 }; /* about half a second of work */

struct importing {
	struct import import;
	struct call_part part;
	struct call *call;
	struct str first;
	size_t count;
};

static void let_go(struct call_part *p)
{
	import_abort(&OWNER(p, struct importing, part)->import);
}

static void imported(struct import *i, const struct err *err)
{
	struct importing *m = OWNER(i, struct importing, import);
	struct call *c = m->call;
	struct json_writer w;
	if (err) {
		call_fail(c, err);
		return;
	}
	audit_add(c, "Certificate imported", m->first, STR_NONE,
	        m->count > 1 ? arena_printf(&c->arena, "and %zu more", m->count - 1) : STR_NONE);
	json_write_int(call_object(c, &w), "imported", (int64_t)m->count);
	json_write_end(&w);
	call_ok(c);
}

static bool read_wants(struct call *c, struct import_want *wants, size_t count)
{
	const struct json *list = json_array(c->json, "certificates");
	for (size_t n = 0; n < count; n++) {
		const struct json *one = json_at(list, n);
		wants[n] = (struct import_want){ json_text(one, "name"), json_text(one, "pem") };
		if (!wants[n].name.n || !wants[n].pem.n)
			return false;
	}
	return count > 0 && count <= IMPORT_MOST;
}

static void post_import(struct call *c)
{
	size_t count = json_count(json_array(c->json, "certificates"));
	struct import_want *wants = arena_array(&c->arena, struct import_want, count);
	struct err err = ERR_INIT;
	if (!read_wants(c, wants, count)) {
		err_set(&err, ERR_INPUT,
		        "Give `certificates`, a list of 1 to %d objects with `name` and `pem`: "
		        "certificate, chain and key.",
		        IMPORT_MOST);
		call_fail_field(c, &err, "certificates", STR_NONE);
		return;
	}
	struct importing *m = arena_new(&c->arena, struct importing);
	m->call = c;
	m->count = count;
	m->first = wants[0].name;
	call_keep(c, &m->part, let_go);
	import_start(portal_renewals, &m->import, wants, count, imported);
}

static void removed(struct wish *wish, struct str id, struct str task, bool existing)
{
	struct json_writer w;
	(void)task;
	json_write_text(call_object(wish->call, &w), "id", id);
	json_write_bool(&w, "existing", existing);
	json_write_c(&w, "served", wish->request.after);
	json_write_end(&w);
	call_ok(wish->call);
}

static void delete_import(struct call *c)
{
	struct wish *wish = wish_new(c, "Imported certificate removed", c->item);
	wish->granted = removed;
	import_remove(portal_renewals, &wish->request, c->item, call_despite_hsts(c, &c->item, 1),
	        wish_done);
}

const struct route import_routes[] = {
	{ "DELETE", "/api/certificates/*", SCOPE_OWNER, delete_import },
	{ "POST", "/api/certificates/import", SCOPE_OWNER, post_import },
	{ 0 },
};
