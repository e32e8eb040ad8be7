/* What every process that the supervisor starts does first. */
#ifndef LINK_CHILD_H
#define LINK_CHILD_H

#include <stdbool.h>

enum { CHILD_LINK = 3 }; /* the descriptor of the link to the supervisor */

/* False if the program was started by hand: CHILD_LINK is no SOCK_SEQPACKET socket. Makes it
 * close-on-exec and non-blocking, names the process after argv[0] (it was started by descriptor,
 * which `ps` would show), and ignores SIGPIPE: who writes is told by errno. */
bool child_started(void);

/* The kernel ends us if the supervisor is gone. The supervisor asks for that before exec; whoever
 * changes his user afterwards has lost it and asks again. */
void child_end_with_parent(void);

#endif
