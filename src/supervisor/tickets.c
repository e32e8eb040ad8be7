/* The memory in which a serve keeps the keys of its session tickets: what is in it is the serve's
 * own business, that it outlives the serve is ours. */
#include "base/log.h"
#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { TICKETS_BYTES = 4096 };

static const struct log top = { .key = NULL };

/* After the seals it has that size for ever. */
static int memory_new(void)
{
	int fd = memfd_create("everseal-tickets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd >= 0 && ftruncate(fd, TICKETS_BYTES) == 0 &&
	        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	log_warning(&top, "No memory for the keys of session tickets could be had: %s.",
	        strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

void tickets_give(struct child *c)
{
	if (c->process != PROCESS_SERVE && c->process != PROCESS_PAGE)
		return;
	if (c->tickets < 0)
		c->tickets = memory_new();
	if (c->tickets >= 0)
		(void)link_send(&c->link, tickets, .fd = c->tickets);
}

void tickets_done(struct child *c)
{
	if (c->tickets >= 0)
		close(c->tickets);
	c->tickets = -1;
}
