/* The wish that names go from a registration: what is left of it is registered anew, as it was. */
#include "renew/private.h"

void renew_narrow(struct renewals *r, struct renew_request *q, const struct renew_narrow_want *want,
        renew_done *done)
{
	const struct registration *g = registration_by_id(r, want->id);
	if (!g) {
		request_open(r, q, done);
		err_set(&q->err, ERR_NOT_FOUND,
		        "There is no registration %.*s any more." ERR_REMEDY
		        "`everseal status` lists those that there are.",
		        STR_ARG(want->id));
		request_answer_soon(q);
		return;
	}
	renew_register(r, q,
	        &(struct register_want){ .names = want->stay,
	                .name_count = want->stay_count,
	                .email = g->email,
	                .issuer = g->issuer,
	                .key_type = str_c(key_type_name(g->key_type)),
	                .profile = g->profile,
	                .proxy = g->proxy.host.n ? g->proxy.shown : STR_NONE,
	                .address = g->listen.host,
	                .port = g->listen.host.n ? g->listen.port : 0,
	                .agree_tos = g->terms,
	                .despite_hsts = true },
	        done);
}
