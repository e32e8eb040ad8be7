/* /api/openapi.json: the API described, as doc/openapi.json has it. */
#include "portal/assets.h"
#include "portal/call.h"

static void get_document(struct call *c)
{
	const struct asset *a = asset_find(STR("/api/openapi.json"));
	CHECK(a);
	buf_add(&c->answer, str_n(a->start, (size_t)(a->end - a->start)));
	call_answer_file(c, "application/json", NULL);
}

const struct route document_routes[] = {
	{ "GET", "/api/openapi.json", SCOPE_NONE, get_document },
	{ 0 },
};
