#include "worker/roots.h"

#include "link/fence.h"
#include "server/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct root_known {
	dev_t device;
	ino_t inode;
};

void roots_done(struct roots *r)
{
	free(r->known);
	*r = (struct roots){ 0 };
}

static void note(struct roots *r, int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return;
	r->known = mem_grow(r->known, sizeof *r->known, r->count + 1);
	r->known[r->count++] = (struct root_known){ st.st_dev, st.st_ino };
}

static bool is_known(const struct roots *r, int fd)
{
	struct stat st;
	bool found = fstat(fd, &st) != 0;
	for (size_t i = 0; i < r->count && !found; i++)
		found = r->known[i].device == st.st_dev && r->known[i].inode == st.st_ino;
	return found;
}

void roots_fence(
        struct roots *r, const struct generation *g, struct buf *standing, int *ret_ruleset)
{
	*ret_ruleset = -1;
	if (!r->wanted || r->fenced)
		return;
	r->fenced = true;
	int *dirs = mem_array(sizeof *dirs, g->route_count + 1);
	size_t count = 0;
	for (size_t i = 0; i < g->route_count; i++) {
		if (g->routes[i]->root < 0)
			continue;
		note(r, g->routes[i]->root);
		dirs[count++] = g->routes[i]->root;
	}
	*ret_ruleset = fence_files_new(dirs, count);
	free(dirs);
	if (*ret_ruleset >= 0 && fence_files(*ret_ruleset))
		buf_add_c(standing, standing->n ? " landlock" : "landlock");
}

/* What the user may not read is a matter of each request. */
static bool is_readable(int root)
{
	int fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno != EACCES;
	(void)close(fd);
	return true;
}

bool roots_within(const struct roots *r, const struct generation *g)
{
	for (size_t i = 0; i < g->route_count; i++) {
		int root = g->routes[i]->root;
		if (root >= 0 && !is_known(r, root) && !is_readable(root))
			return false;
	}
	return true;
}
