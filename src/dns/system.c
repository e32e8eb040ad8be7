/* Which servers are asked. */
#include "base/url.h"
#include "dns/dns.h"
#include "net/address.h"

enum { DNS_PORT = 53 };

static void add(struct dns_servers *s, struct str host, uint16_t port)
{
	if (s->count < DNS_SERVERS_MOST && address_parse(host, port, &s->at[s->count]))
		s->count++;
}

void dns_servers_from(struct str lines, struct dns_servers *ret_servers)
{
	struct str line, host;
	uint16_t port;
	*ret_servers = (struct dns_servers){ 0 };
	while (str_split(&lines, '\n', &line)) {
		struct err ignored = ERR_INIT;
		if (url_parse_hostport(line, DNS_PORT, &host, &port, &ignored))
			add(ret_servers, host, port);
	}
}

static struct str first_word(struct str *rest)
{
	size_t start = 0, end;
	while (start < rest->n && (rest->p[start] == ' ' || rest->p[start] == '\t'))
		start++;
	*rest = str_from(*rest, start);
	for (end = 0; end < rest->n && rest->p[end] != ' ' && rest->p[end] != '\t'; end++)
		continue;
	struct str word = str_head(*rest, end);
	*rest = str_from(*rest, end);
	return word;
}

void dns_servers_of_system(struct str resolv_conf, struct dns_servers *ret_servers)
{
	struct str line;
	*ret_servers = (struct dns_servers){ 0 };
	while (str_split(&resolv_conf, '\n', &line)) {
		if (str_eq_c(first_word(&line), "nameserver"))
			add(ret_servers, first_word(&line), DNS_PORT);
	}
	if (!ret_servers->count)
		add(ret_servers, STR("127.0.0.1"), DNS_PORT);
}

bool dns_hosts_find(struct str hosts, struct str name, enum dns_type type, struct buf *ret_lines)
{
	struct sockaddr_storage at;
	struct str line;
	while (str_split(&hosts, '\n', &line)) {
		line = str_head(line, str_find(line, '#'));
		struct str address = first_word(&line), word;
		while ((word = first_word(&line)).n && !str_eq_nocase(word, name))
			continue;
		bool six = str_has(address, ':');
		if (!word.n || six != (type == DNS_AAAA) || !address_parse(address, 0, &at))
			continue;
		buf_add(ret_lines, address);
		buf_add_char(ret_lines, '\n');
	}
	return ret_lines->n > 0;
}
