/* With a sanitizer every piece is malloc's: it sees what is used after it was given back. */
#include "tls/tls.h"

void tls_memory_use(void)
{
}
