/* Whom the processes become: control the state directory's owner, the others somebody who may not
 * read it. */
#include "control/control.h"
#include "link/child.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>

bool identity_state(const char *dir, struct stat *ret_stat, struct err *err)
{
	struct stat found;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(err, ERR_PERMISSION, errno,
		        "The state directory %s cannot be made; make it "
		        "yourself, or name another one with `state` or --state",
		        dir);
	if (stat(dir, &found))
		return err_sys(
		        err, ERR_PERMISSION, errno, "The state directory %s cannot be read", dir);
	if (!S_ISDIR(found.st_mode))
		return err_set(err, ERR_INPUT,
		        "%s is not a directory; name another one for the state with "
		        "`state` or --state.",
		        dir);
	*ret_stat = found;
	return true;
}

/* `user`, by default everseal-net if it exists, else nobody. */
static const struct passwd *look_up(const struct config *config)
{
	ARENA_AUTO a = ARENA_INIT;
	if (config->user_set)
		return getpwnam(arena_str(&a, config->user).p);
	const struct passwd *p = getpwnam("everseal-net");
	return p ? p : getpwnam("nobody");
}

bool identity_choose(struct control *c, uid_t self, uid_t owner, struct err *err)
{
	c->uid = (int)self;
	c->gid = (int)getegid();
	if (self != 0)
		return true;
	const struct passwd *p = look_up(c->config);
	if (!p)
		return err_set(err, ERR_INPUT,
		        "The system has no user %.*s. Make it, or name another one "
		        "with `user` in the configuration.",
		        STR_ARG(c->config->user));
	if (p->pw_uid == owner)
		return err_set(err, ERR_INPUT,
		        "The user %s owns the state directory %s, so whoever breaks into the data "
		        "plane could read the keys. Name another user with `user`, or give the "
		        "directory to another one.",
		        p->pw_name, c->state);
	c->uid = (int)p->pw_uid;
	c->gid = (int)p->pw_gid;
	return true;
}

bool identity_become(const struct stat *owner, struct err *err)
{
	if (geteuid() != 0 || owner->st_uid == 0)
		return true;
	if (setgroups(0, NULL) || setresgid(owner->st_gid, owner->st_gid, owner->st_gid) ||
	        setresuid(owner->st_uid, owner->st_uid, owner->st_uid))
		return err_sys(err, ERR_PERMISSION, errno,
		        "Everseal cannot become the owner of the state directory");
	child_end_with_parent();
	return true;
}
