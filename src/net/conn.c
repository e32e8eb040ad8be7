#include "net/conn.h"

void conn_free(struct conn **c)
{
	if (*c)
		(*c)->ops->free(*c);
	*c = NULL;
}

void conn_reset(struct conn **c)
{
	if (*c)
		(*c)->ops->reset(*c);
	*c = NULL;
}

size_t conn_unsent(const struct conn *c)
{
	return c->ops->unsent ? c->ops->unsent(c) : 0;
}

bool conn_local(const struct conn *c, struct sockaddr_storage *ret_address)
{
	return c->ops->local && c->ops->local(c, ret_address);
}

const char *conn_failure(const struct conn *c)
{
	return c->ops->failure(c);
}
