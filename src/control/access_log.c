/* The access log's file: opened here, written by serve. */
#include "control/control.h"
#include <errno.h>
#include <fcntl.h>

static bool open_file(const struct config *config, int *ret_fd, struct err *err)
{
	struct str path = config->access_log.path;
	int fd = -1;
	if (str_eq_c(path, "stderr")) {
		fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	} else {
		char *name = str_dup(path);
		fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
		        0640);
		free(name);
	}
	if (fd < 0)
		return err_sys(err, ERR_IO, errno, "%.*s:%u: the access log %.*s cannot be opened",
		        STR_ARG(config->file), config->access_log.at.line, STR_ARG(path));
	*ret_fd = fd;
	return true;
}

char *access_log_folder(const struct config *config)
{
	struct str path = config->access_log.path;
	while (path.n > 0 && path.p[path.n - 1] != '/')
		path.n--;
	return path.n > 0 ? str_dup(path) : NULL;
}

bool access_log_usable(const struct config *config, struct err *err)
{
	int fd = -1;
	if (!config->access_log.path.p)
		return true;
	if (!open_file(config, &fd, err))
		return false;
	(void)close(fd);
	return true;
}

void access_log_reopen(struct control *c)
{
	struct err err = ERR_INIT;
	int fd = -1;
	if (!c->config || !link_alive(&c->serve))
		return;
	if (c->config->access_log.path.p && !open_file(c->config, &fd, &err)) {
		log_error(&c->log, "%s, going on without it.", err.text);
		fd = -1;
	}
	if (fd >= 0 || c->serve_logs)
		link_send(&c->serve, access_log_file, .fd = fd);
	c->serve_logs = fd >= 0;
	if (fd >= 0)
		(void)close(fd);
}
