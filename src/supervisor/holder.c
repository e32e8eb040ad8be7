/* Who listens on an address: /proc/net/tcp names the socket's inode, /proc/PID/fd who has it. */
#include "supervisor/inside.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>

enum { STATE_LISTEN = 0x0a, ADDRESS_TEXT = 33 };

struct wanted {
	char address[ADDRESS_TEXT]; /* as in /proc/net/tcp: words of the machine's order, in hex */
	unsigned port;
};

static void wanted_from(const struct sockaddr *address, struct wanted *ret_wanted)
{
	uint32_t words[4];
	size_t count = 1;
	in_port_t port;
	if (address->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, address, sizeof in);
		words[0] = in.sin_addr.s_addr;
		port = in.sin_port;
	} else {
		struct sockaddr_in6 in6;
		memcpy(&in6, address, sizeof in6);
		memcpy(words, &in6.sin6_addr, sizeof words);
		count = 4;
		port = in6.sin6_port;
	}
	ret_wanted->port = ntohs(port);
	for (size_t i = 0; i < count; i++)
		snprintf(ret_wanted->address + 8 * i, 9, "%08X", (unsigned)words[i]);
}

static bool is_any(const char *address)
{
	return strspn(address, "0") == strlen(address);
}

/* An IPv4 address and an IPv6 socket meet in its last word. */
static bool clash(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	return is_any(a) || is_any(b) ||
	       strcmp(a + (na > nb ? na - nb : 0), b + (nb > na ? nb - na : 0)) == 0;
}

static unsigned long inode_in(const char *table, const struct wanted *w, unsigned *ret_uid)
{
	FILE *f = fopen(table, "re");
	char line[512], address[ADDRESS_TEXT];
	unsigned port, state, uid;
	unsigned long inode = 0, found = 0;
	while (f && !found && fgets(line, sizeof line, f)) {
		if (sscanf(line, " %*d: %32[0-9A-F]:%x %*s %x %*s %*s %*s %u %*u %lu", address,
		            &port, &state, &uid, &inode) != 5)
			continue;
		if (state != STATE_LISTEN || port != w->port || !clash(address, w->address))
			continue;
		found = inode;
		*ret_uid = uid;
	}
	if (f)
		fclose(f);
	return found;
}

static bool has_socket(const char *pid, const char *socket)
{
	char folder[64], path[384], target[64];
	snprintf(folder, sizeof folder, "/proc/%s/fd", pid);
	DIR *d = opendir(folder);
	bool has = false;
	for (struct dirent *e; d && !has && (e = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		ssize_t n = readlink(path, target, sizeof target - 1);
		target[n > 0 ? n : 0] = '\0';
		has = strcmp(target, socket) == 0;
	}
	if (d)
		closedir(d);
	return has;
}

static void add_name(const char *pid, struct buf *out)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof path, "/proc/%s/comm", pid);
	FILE *f = fopen(path, "re");
	if (f && fgets(name, sizeof name, f))
		name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
	buf_printf(out, "%s (process %s)", name[0] ? name : "a program", pid);
}

static bool find_process(unsigned long inode, struct buf *out)
{
	char socket[64];
	snprintf(socket, sizeof socket, "socket:[%lu]", inode);
	DIR *d = opendir("/proc");
	bool found = false;
	for (struct dirent *e; d && !found && (e = readdir(d));) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9' || strlen(e->d_name) > 10)
			continue;
		found = has_socket(e->d_name, socket);
		if (found)
			add_name(e->d_name, out);
	}
	if (d)
		closedir(d);
	return found;
}

void holder_find(const struct sockaddr *address, struct buf *ret_holder)
{
	struct wanted w;
	wanted_from(address, &w);
	unsigned uid = 0;
	unsigned long inode = 0;
	if (address->sa_family == AF_INET)
		inode = inode_in("/proc/net/tcp", &w, &uid);
	if (!inode)
		inode = inode_in("/proc/net/tcp6", &w, &uid);
	if (!inode)
		return;
	rights_look(/* on= */ true);
	if (!find_process(inode, ret_holder))
		buf_printf(ret_holder, "a program of user %u", uid);
	rights_look(/* on= */ false);
}
