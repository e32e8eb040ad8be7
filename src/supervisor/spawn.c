#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <link/child.h>
#include <sys/prctl.h>

static int open_beside(const char *folder, const char *between, const char *name)
{
	char path[PATH_MAX + 64];
	snprintf(path, sizeof path, "%s/%severseal-%s", folder, between, name);
	return access(path, X_OK) == 0 ? open(path, O_PATH | O_CLOEXEC) : -1;
}

int program_open(enum process process, struct err *err)
{
	char own[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
	if (n < 0) {
		err_sys(err, ERR_IO, errno, "The program cannot find itself in /proc");
		return -1;
	}
	own[n] = '\0';
	*strrchr(own, '/') = '\0';
	/* The page's is the data plane's program once more. */
	const char *name = process_name(process == PROCESS_PAGE ? PROCESS_SERVE : process);
	int fd = open_beside(own, "", name);
	if (fd < 0)
		fd = open_beside(own, "../libexec/everseal/", name);
	if (fd < 0)
		err_set(err, ERR_NOT_FOUND,
		        "The program everseal-%s is missing: it is neither in %s nor in "
		        "%s/../libexec/everseal. Install Everseal again.",
		        name, own, own);
	return fd;
}

/* What of our environment a child gets. */
enum { ALL = -1, CONTROL = 1 << PROCESS_CONTROL, FETCH = 1 << PROCESS_FETCH };
static const struct {
	const char *name; /* a prefix if it ends in '_' */
	int who;
} passed[] = {
	{ "PATH", ALL },
	{ "LANG", ALL },
	{ "TZ", ALL },
	{ "EVERSEAL_", ALL },
	{ "CREDENTIALS_DIRECTORY", CONTROL },
	{ "SSL_CERT_FILE", FETCH },
	{ "SSL_CERT_DIR", FETCH },
	{ "http_proxy", FETCH },
	{ "https_proxy", FETCH },
	{ "HTTPS_PROXY", FETCH },
	{ "all_proxy", FETCH },
	{ "ALL_PROXY", FETCH },
	{ "no_proxy", FETCH },
	{ "NO_PROXY", FETCH },
	/* Read by programs that were built with a sanitizer. */
	{ "ASAN_OPTIONS", ALL },
	{ "LSAN_OPTIONS", ALL },
	{ "TSAN_OPTIONS", ALL },
	{ "UBSAN_OPTIONS", ALL },
};

static bool is_passed(const char *variable, enum process process)
{
	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
		size_t n = strlen(passed[i].name);
		if (strncmp(variable, passed[i].name, n) != 0 || !(passed[i].who & 1 << process))
			continue;
		if (variable[n] == '=' || passed[i].name[n - 1] == '_')
			return true;
	}
	return false;
}

static char **clean_environment(enum process process)
{
	size_t count = 0, kept = 0;
	while (environ[count])
		count++;
	char **env = mem_array(sizeof *env, count + 1);
	for (size_t i = 0; i < count; i++)
		if (is_passed(environ[i], process))
			env[kept++] = environ[i];
	return env;
}

/* From here on in the child, until exec. */
__attribute__((noreturn)) static void fail(const struct spawn_want *w, const char *what)
{
	dprintf(STDERR_FILENO, "everseal-%s cannot be started: %s: %s.\n", process_name(w->process),
	        what, strerror(errno));
	_exit(127);
}

static void keep_only_link(const struct spawn_want *w)
{
	/* The program's descriptor moves above the link's, where it ends at exec. */
	int link = fcntl(w->link, F_DUPFD, CHILD_LINK + 2);
	int program = fcntl(w->program, F_DUPFD, CHILD_LINK + 2);
	if (link < 0 || program < 0 || dup2(link, CHILD_LINK) < 0 ||
	        dup3(program, CHILD_LINK + 1, O_CLOEXEC) < 0)
		fail(w, "its descriptors cannot be set");
	if (close_range(CHILD_LINK + 2, ~0U, 0) < 0)
		fail(w, "descriptors cannot be closed");
}

static void become(const struct spawn_want *w)
{
	if (!w->become)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(w->gid, w->gid, w->gid) < 0 ||
	        setresuid(w->uid, w->uid, w->uid) < 0)
		fail(w, "it cannot become its user");
}

__attribute__((noreturn)) static void run(const struct spawn_want *w, pid_t parent, char **env)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid(); /* a key pressed on our terminal is for us */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	keep_only_link(w);
	become(w);
	child_end_with_parent(); /* after the last change of user, which would undo it */
	if (getppid() != parent)
		_exit(127);
	execveat(CHILD_LINK + 1, "", (char **)(uintptr_t)w->argv, env, AT_EMPTY_PATH);
	fail(w, "its program cannot be run");
}

pid_t spawn(const struct spawn_want *want, struct err *err)
{
	pid_t parent = getpid();
	char **env = clean_environment(want->process);
	pid_t pid = fork();
	if (pid == 0)
		run(want, parent, env);
	if (pid < 0)
		err_sys(err, ERR_IO, errno, "The process %s cannot be made",
		        process_name(want->process));
	free(env);
	return pid;
}
