/* everseal-serve: see worker/serve.h. Started by the supervisor, with the link to it as
 * CHILD_LINK. */
#include "base/log.h"
#include "link/child.h"
#include "link/fence.h"
#include "tls/tls.h"
#include "worker/serve.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

enum { WORKERS_MOST = 1024 };

static unsigned cores(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

/* The supervisor starts this program twice: the second one has the page's listeners alone. */
static bool serves_page(const char *name)
{
	return name && str_ends(str_c(name), STR("-page"));
}

/* 0, or none given: one for each core. */
static bool read_workers(int argc, char **argv, unsigned *ret_workers)
{
	uint64_t n = 0;
	if (argc != 1 && (argc != 3 || strcmp(argv[1], "--workers") != 0))
		return false;
	if (argc == 3 && (!str_to_u64(str_c(argv[2]), &n) || n > WORKERS_MOST))
		return false;
	*ret_workers = n > 0 ? (unsigned)n : cores();
	return true;
}

/* Each connection needs one descriptor, and one more to the application. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void ignore_signals(void)
{
	/* A Ctrl-C reaches the whole group; what it means is the supervisor's to say. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static int run(unsigned workers)
{
	struct serve s = { .fences = BUF_INIT(1024), .roots.wanted = true };
	struct err err;
	struct loop *loop = loop_new(&clock_system);
	s.threads.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	fence_process(&(struct fence_want){ .files_later = true }, &s.fences);
	if (!serve_start(&s, loop, CHILD_LINK, workers, &err)) {
		log_to_stderr(LOG_ERROR, STR_NONE, str_c(err.text));
		return 1;
	}
	loop_run(loop);
	serve_done(&s);
	loop_free(&loop);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned workers;
	log_set_process(serves_page(argv[0]) ? "page" : "serve");
	if (!read_workers(argc, argv, &workers) || !child_started()) {
		(void)fprintf(
		        stderr, "everseal-serve is started by `everseal run`, not by hand.\n");
		return 2;
	}
	tls_memory_use();
	child_end_with_parent();
	ignore_signals();
	raise_descriptors();
	return run(workers);
}
