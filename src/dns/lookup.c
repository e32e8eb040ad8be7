/* A look-up: servers in turn, by UDP, then TCP; CAA up the tree. */
#include "base/clock.h"
#include "dns/dns.h"
#include "net/address.h"
#include <errno.h>
#include <sys/random.h>

enum { ROUNDS = 2, MESSAGE_MOST = 65535, QUESTION_MOST = 512 };
static const int64_t waits[ROUNDS] = { 1500, 3000 };

static void ask(struct dns_lookup *l);

static void hang_up(struct dns_lookup *l)
{
	timer_stop(&l->patience);
	if (l->fd < 0)
		return;
	watch_stop(&l->watch);
	close(l->fd);
	l->fd = -1;
}

static void stop(struct dns_lookup *l)
{
	hang_up(l);
	timer_stop(&l->deadline);
	later_stop(&l->start);
	buf_done(&l->out);
	buf_done(&l->in);
	l->ms = loop_mono(l->loop) - l->began;
	l->loop = NULL;
}

static void finish(struct dns_lookup *l, enum dns_outcome outcome)
{
	stop(l);
	l->answer.outcome = outcome;
	l->done(l);
}

/* The next server, and then the next round; what the last of them said counts. */
static void ask_another(struct dns_lookup *l, enum dns_outcome said)
{
	hang_up(l);
	l->tcp = false;
	if (said != DNS_SILENT || l->worst == DNS_SILENT)
		l->worst = said;
	if (++l->next_server == l->servers.count) {
		l->next_server = 0;
		l->tries++;
	}
	/* Who has answered with an error once will not change his mind within seconds. */
	if (l->tries >= ROUNDS || (l->tries && l->worst != DNS_SILENT))
		finish(l, l->worst);
	else
		ask(l);
}

/* RFC 8659 3: the parent, unless that is the root. */
static bool climb(struct dns_lookup *l)
{
	size_t dot = str_find(l->asked, '.');
	if (l->type != DNS_CAA || dot + 1 >= l->asked.n)
		return false;
	l->asked = str_from(l->asked, dot + 1);
	l->owner = l->asked;
	l->next_server = 0;
	l->tries = 0;
	return true;
}

static void answered(struct dns_lookup *l)
{
	enum dns_outcome o = l->answer.outcome;
	if (o == DNS_FAILED || o == DNS_REFUSED || o == DNS_GARBLED) {
		ask_another(l, o);
	} else if (o != DNS_FOUND && climb(l)) {
		hang_up(l);
		l->tcp = false;
		l->worst = DNS_SILENT;
		ask(l);
	} else {
		finish(l, o);
	}
}

static void ask_by_tcp(struct dns_lookup *l)
{
	hang_up(l);
	l->tcp = true;
	ask(l);
}

/* ---- the socket ---- */

static void patience(struct timer *t)
{
	ask_another(OWNER(t, struct dns_lookup, patience), DNS_SILENT);
}

static void deadline(struct timer *t)
{
	struct dns_lookup *l = OWNER(t, struct dns_lookup, deadline);
	finish(l, l->worst);
}

/* False: that was not for us, the right answer may still come. Else the look-up has moved on, and
 * may be gone. */
static bool heard(struct dns_lookup *l, struct str bytes)
{
	const bool ours = dns_read(bytes, l->asked, l->type, l->id, &l->answer);
	if (!ours && !l->tcp)
		return false;
	if (!ours)
		ask_another(l, DNS_GARBLED);
	else if (l->answer.cut && !l->tcp)
		ask_by_tcp(l);
	else
		answered(l);
	return true;
}

static void ready_udp(struct watch *w, unsigned events)
{
	struct dns_lookup *l = OWNER(w, struct dns_lookup, watch);
	static char bytes[MESSAGE_MOST];
	(void)events;
	for (;;) {
		ssize_t n = recv(l->fd, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			ask_another(l, DNS_SILENT); /* nobody listens there */
			return;
		}
		if (heard(l, str_n(bytes, (size_t)n)))
			return;
	}
}

/* RFC 1035 4.2.2: two bytes of length before the message. */
static bool whole(const struct buf *in, struct str *ret_message)
{
	const unsigned char *p = (const unsigned char *)in->p;
	if (in->n < 2)
		return false;
	size_t n = (size_t)p[0] << 8 | p[1];
	*ret_message = str_head(str_from(buf_str(in), 2), n);
	return in->n - 2 >= n;
}

static void send_rest(struct dns_lookup *l)
{
	while (l->out.n) {
		ssize_t n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		buf_consume(&l->out, (size_t)n);
	}
}

static void ready_tcp(struct watch *w, unsigned events)
{
	struct dns_lookup *l = OWNER(w, struct dns_lookup, watch);
	struct str message;
	(void)events;
	send_rest(l);
	for (;;) {
		char *room = buf_room(&l->in, 4096);
		ssize_t n = room ? recv(l->fd, room, 4096, 0) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			ask_another(l, DNS_SILENT);
			return;
		}
		buf_grew(&l->in, (size_t)n);
		if (!whole(&l->in, &message))
			continue;
		heard(l, message);
		return;
	}
}

static bool open_socket(struct dns_lookup *l)
{
	const struct sockaddr_storage *to = &l->servers.at[l->next_server];
	const int kind = (l->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	l->fd = socket(to->ss_family, kind, 0);
	if (l->fd < 0)
		return false;
	address_text_port(to, l->server);
	const bool connected = !connect(l->fd, (const struct sockaddr *)to, address_size(to));
	watch_start(&l->watch, l->loop, l->fd, l->tcp ? ready_tcp : ready_udp);
	return connected || errno == EINPROGRESS;
}

static bool make_question(struct dns_lookup *l)
{
	BUF_AUTO question = BUF(QUESTION_MOST);
	buf_clear(&l->out);
	buf_clear(&l->in);
	CHECK(getrandom(&l->id, sizeof l->id, 0) == sizeof l->id);
	if (!dns_question(&question, l->asked, l->type, l->id))
		return false;
	if (l->tcp) {
		buf_add_char(&l->out, (char)(question.n >> 8));
		buf_add_char(&l->out, (char)question.n);
	}
	buf_add_buf(&l->out, &question);
	return true;
}

static void ask(struct dns_lookup *l)
{
	if (!make_question(l)) {
		finish(l, DNS_NO_NAME);
		return;
	}
	timer_start(&l->patience, l->loop, waits[l->tries], patience);
	/* Without a way to that server the wait is cut short, in a turn of its own. */
	if (!open_socket(l))
		timer_start(&l->patience, l->loop, 0, patience);
	else if (!l->tcp && send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL) < 0)
		timer_start(&l->patience, l->loop, 0, patience);
}

/* ---- the life of a look-up ---- */

static void begin(struct later *later)
{
	struct dns_lookup *l = OWNER(later, struct dns_lookup, start);
	if (l->servers.count)
		ask(l);
	else
		finish(l, DNS_NO_SERVER);
}

void dns_lookup_start(struct dns_lookup *l, struct loop *loop)
{
	l->loop = loop;
	l->fd = -1;
	l->began = loop_mono(loop);
	l->worst = DNS_SILENT;
	l->tries = 0;
	l->next_server = 0;
	l->tcp = false;
	l->out = BUF(QUESTION_MOST + 2);
	l->in = BUF(MESSAGE_MOST + 2 + 4096);
	dns_answer_init(&l->answer);
	snprintf(l->name_text, sizeof l->name_text, "%.*s",
	        STR_ARG(str_head(l->name, DNS_NAME_MOST)));
	l->name = l->owner = l->asked = str_c(l->name_text);
	timer_start(&l->deadline, loop, l->timeout, deadline);
	later_start(&l->start, loop, begin);
}

void dns_lookup_abort(struct dns_lookup *l)
{
	if (l->loop)
		stop(l);
}

void dns_lookup_done(struct dns_lookup *l)
{
	dns_lookup_abort(l);
	dns_answer_done(&l->answer);
}
