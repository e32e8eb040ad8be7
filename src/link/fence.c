#include "link/fence.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Rights on files by version of Landlock: all that the first has, renaming between folders since
 * the second, truncating since the third. Later ones (ioctl, network) fence nothing we use. */
enum { VERSION_MOST = 3 };
static const uint64_t rights[VERSION_MOST + 1] = { 0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1 };
enum {
	RIGHT_TRUNCATE = 1 << 14, /* not in the headers of Linux 6.1 */
	RIGHTS_READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	RIGHTS_OF_FILE = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
	                 LANDLOCK_ACCESS_FS_EXECUTE | RIGHT_TRUNCATE,
};

static void allow(int ruleset, const char *const *paths, uint64_t allowed)
{
	for (; paths && *paths; paths++) {
		int fd = open(*paths, O_PATH | O_CLOEXEC);
		if (fd < 0)
			continue;
		struct stat st;
		bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
		struct landlock_path_beneath_attr rule = {
			.allowed_access = folder ? allowed : allowed & RIGHTS_OF_FILE,
			.parent_fd = fd,
		};
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		close(fd);
	}
}

/* All that this kernel's Landlock knows; 0 without. */
static uint64_t rights_known(void)
{
	long version =
	        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return version < 1 ? 0 : rights[version < VERSION_MOST ? version : VERSION_MOST];
}

static int ruleset_new(uint64_t all)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = all };
	return all ? (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0) : -1;
}

bool fence_files(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

static bool landlock(const struct fence_want *want)
{
	uint64_t all = rights_known();
	int ruleset = want->files_later ? -1 : ruleset_new(all);
	if (ruleset < 0)
		return false;
	allow(ruleset, want->read, RIGHTS_READ);
	allow(ruleset, want->write, all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE);
	bool stands = fence_files(ruleset);
	close(ruleset);
	return stands;
}

int fence_files_new(const int *folders, size_t count)
{
	int ruleset = ruleset_new(rights_known());
	for (size_t i = 0; i < count && ruleset >= 0; i++) {
		struct landlock_path_beneath_attr rule = { .allowed_access = RIGHTS_READ,
			.parent_fd = folders[i] };
		syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	}
	return ruleset;
}

static bool drop_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	return syscall(SYS_capset, &head, none) == 0;
}

size_t fence_process(const struct fence_want *want, struct buf *ret_standing)
{
	/* Landlock needs no_new_privs to stand, and /proc/self before it is undumpable. */
	bool no_new_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
	bool files = landlock(want);
	bool no_capabilities = drop_capabilities();
	bool undumpable = prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
	const struct {
		const char *name;
		bool stands;
	} fences[] = {
		{ "no-capabilities", no_capabilities },
		{ "undumpable", undumpable },
		{ "no-new-privileges", no_new_privileges },
		{ "landlock", files },
	};
	size_t count = 0;
	for (size_t i = 0; i < sizeof fences / sizeof fences[0]; i++) {
		if (!fences[i].stands)
			continue;
		buf_add_c(ret_standing, ret_standing->n > 0 ? " " : "");
		buf_add_c(ret_standing, fences[i].name);
		count++;
	}
	return count;
}
