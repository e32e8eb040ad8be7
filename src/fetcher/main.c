/* everseal-fetch: see fetcher/fetcher.h. Started by the supervisor, with the link to it as
 * CHILD_LINK. */
#include "base/log.h"
#include "fetcher/fetcher.h"
#include "link/child.h"
#include "link/fence.h"

/* What TLS and looking up names read, and nothing else; the last two are what the environment adds
 * to the system's certificates. */
static void raise_fences(struct buf *ret_standing)
{
	const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
	const char *const read[] = { "/etc/ssl", "/etc/pki", "/usr/lib/ssl",
		"/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf",
		"/etc/gai.conf", "/etc/services", "/etc/ld.so.cache", "/lib", "/lib64", "/usr/lib",
		"/usr/lib64", "/dev/urandom",
		/* followed by name when it changes: /etc/resolv.conf often is a link to here */
		"/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
		file ? file : folder, file ? folder : NULL, NULL };
	fence_process(&(struct fence_want){ .read = read }, ret_standing);
}

int main(void)
{
	log_set_process("fetch");
	if (!child_started()) {
		log_to_stderr(LOG_ERROR, STR_NONE,
		        STR("everseal-fetch is started by everseal: run `everseal run`."));
		return 2;
	}
	struct fetcher f;
	struct loop *loop = loop_new(&clock_system);
	fetcher_init(&f, loop, CHILD_LINK);
	raise_fences(&f.fences);
	loop_run(loop);
	fetcher_done(&f);
	loop_free(&loop);
	return 0;
}
