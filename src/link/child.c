#include "link/child.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

bool child_started(void)
{
	int type = 0;
	socklen_t size = sizeof type;
	if (getsockopt(CHILD_LINK, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
		return false;
	prctl(PR_SET_NAME, program_invocation_short_name);
	signal(SIGPIPE, SIG_IGN);
	int flags = fcntl(CHILD_LINK, F_GETFL);
	return flags >= 0 && fcntl(CHILD_LINK, F_SETFL, flags | O_NONBLOCK) >= 0 &&
	       fcntl(CHILD_LINK, F_SETFD, FD_CLOEXEC) >= 0;
}

void child_end_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}
