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

size_t conn_pending(const struct conn *c)
{
	return c->ops->pending(c);
}

const char *conn_failure(const struct conn *c)
{
	return c->ops->failure(c);
}
