/* The handler of sites and routes with `root DIRECTORY`: GET and HEAD of the files beneath it.
 *
 * The directory comes from control as a descriptor; files beneath are opened by openat2 with
 * RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS, so that neither ".." nor a link leads out. Only
 * regular files are served, nothing whose name begins with a dot (but .well-known), no listing. A
 * directory is answered by its index.html. Where a file has a sibling NAME.br or NAME.gz that is
 * not older, clients that take it get that.
 *
 * Content is read in pieces as the client takes them: from the page cache at once; what is not
 * there is asked of the disk ahead and looked for again a moment later, so that the others on this
 * thread go on. Disadvantage: opening a file, and a disk that takes longer than 60 ms for a piece,
 * hold the thread up. A file that becomes shorter while it is sent ends in an abort that the client
 * sees. */
#ifndef FILES_FILES_H
#define FILES_FILES_H

#include "server/worker.h"

extern const struct handler files_handler;

#endif
