#include "server/settings.h"

/* field, directive, type, default for the file, default, least, most, help */
#define SETTINGS(X)                                                                                \
	X(header_timeout, "header-timeout", DURATION, "10s", 10 * SECOND, 100, HOUR,               \
	        "How long a client may take to send the head of a request. It is then answered "   \
	        "with "                                                                            \
	        "408 and its connection closed.")                                                  \
	X(body_timeout, "body-timeout", DURATION, "60s", 60 * SECOND, 100, DAY,                    \
	        "How long a client may send nothing of a body that is waited for, or take "        \
	        "nothing of "                                                                      \
	        "an answer.")                                                                      \
	X(idle_timeout, "idle-timeout", DURATION, "75s", 75 * SECOND, 100, DAY,                    \
	        "How long a client's connection is kept without a request.")                       \
	X(handshake_timeout, "handshake-timeout", DURATION, "10s", 10 * SECOND, 100, HOUR,         \
	        "How long a TLS handshake may take.")                                              \
	X(drain_timeout, "drain-timeout", DURATION, "10s", 10 * SECOND, 0, DAY,                    \
	        "How long a server that was told to stop waits for requests that are under way.")  \
	X(connect_timeout, "connect-timeout", DURATION, "5s", 5 * SECOND, 10, HOUR,                \
	        "How long an application may take to accept a connection.")                        \
	X(answer_timeout, "answer-timeout", DURATION, "60s", 60 * SECOND, 10, 7 * DAY,             \
	        "How long an application may stay silent before and within an answer; before it, " \
	        "the "                                                                             \
	        "client gets 504.")                                                                \
	X(upstream_idle, "upstream-idle", DURATION, "30s", 30 * SECOND, 0, DAY,                    \
	        "How long a connection to an application is kept without a request.")              \
	X(tunnel_idle, "tunnel-idle", DURATION, "3600s", HOUR, 100, 7 * DAY,                       \
	        "How long a WebSocket is kept on which neither side says anything.")               \
	X(connections_per_worker, "connections-per-worker", COUNT, "10000", 10000, 1, 10000000,    \
	        "How many connections of clients one worker holds. More wait to be accepted.")     \
	X(connections_per_address, "connections-per-address", COUNT, "500", 500, 0, 10000000,      \
	        "How many connections one worker holds from one address, or from one /64 of "      \
	        "IPv6. One more closes the oldest of them that has no request under way, or is "   \
	        "closed itself. This machine and a *trusted-proxy* are not counted. 0: no limit.") \
	X(requests_per_address, "requests-per-address", COUNT, "0", 0, 0, 1000000,                 \
	        "How many requests per second one worker answers to one address, or to one /64 "   \
	        "of IPv6. Others are answered with 429. This machine, a *trusted-proxy* and "      \
	        "challenges have no limit. 0: nobody has.")                                        \
	X(requests_burst, "requests-burst", COUNT, "100", 100, 1, 1000000,                         \
	        "How many requests an address may send at once before *requests-per-address* "     \
	        "holds it to its rate.")                                                           \
	X(memory_most, "memory-most", SIZE, "0", 0, 0, INT64_MAX,                                  \
	        "Memory of the process that serves, beyond which requests are answered with 503 "  \
	        "and connections closed after it. 0: three quarters of the machine's; within a "   \
	        "container that is given less, say how much.")                                     \
	X(least_rate, "least-rate", SIZE, "240", 240, 0, 1048576,                                  \
	        "Bytes per second that a client at least sends of a body that is waited for, and " \
	        "takes of an answer, seen over *body-timeout*; over HTTP/2 each stream by itself " \
	        "and the connection as a whole. What follows after its answer has begun is, over " \
	        "HTTP/2, as slow as it likes, at most silent for *tunnel-idle*. Who is slower "    \
	        "is cut off. 0: nobody is.")                                                       \
	X(body_most, "body-most", SIZE, "0", 0, 0, INT64_MAX,                                      \
	        "The longest body that a request may have; a longer one is answered with 413. "    \
	        "Bodies "                                                                          \
	        "are passed on as they come and cost no memory. 0: no limit.")                     \
	X(upstream_connections, "upstream-connections", COUNT, "1000", 1000, 1, 1000000,           \
	        "How many connections one worker opens to one application. Of one that is h2c:// " \
	        "it is how many requests are under way there: they share few connections.")        \
	X(requests_per_connection, "requests-per-connection", COUNT, "10000", 10000, 1, INT64_MAX, \
	        "After how many requests a client's connection is closed.")

#define X(field, name, type, text, value, least, most, help)                                       \
	{ name, SETTING_##type, offsetof(struct limits, field), NULL, text, least, most, false,    \
		false, help },
const struct setting server_settings[] = { SETTINGS(X) };
#undef X
const size_t server_setting_count = sizeof server_settings / sizeof *server_settings;

/* The same; a default of "" for the file is -1: the data plane's own setting holds. */
#define UPSTREAM_SETTINGS(X)                                                                       \
	X(connect_timeout, "connect-timeout", DURATION, "", -1, 10, HOUR,                          \
	        "As at top level, for these applications.")                                        \
	X(first_byte_timeout, "first-byte-timeout", DURATION, "", -1, 10, 7 * DAY,                 \
	        "How long an application may take to begin its answer; the client then gets 504. " \
	        "Without this line it is *answer-timeout*.")                                       \
	X(answer_timeout, "answer-timeout", DURATION, "", -1, 10, 7 * DAY,                         \
	        "As at top level, for these applications.")                                        \
	X(upstream_idle, "upstream-idle", DURATION, "", -1, 0, DAY,                                \
	        "As at top level, for these applications.")                                        \
	X(fails, "fails", COUNT, "3", 3, 0, 1000000,                                               \
	        "After how many failed answers in a row an application is left out for a while: "  \
	        "none in time, one that breaks off or is not valid HTTP, 502 or 504. A "           \
	        "connection that fails leaves it out at once. 0: answers do not count.")           \
	X(down, "down", DURATION, "30s", 30 * SECOND, 100, DAY,                                    \
	        "How long an application that failed is left out at most: at first for 1s, then "  \
	        "twice as long each time that it fails again. When all are left out, all are "     \
	        "tried.")                                                                          \
	X(slow_start, "slow-start", DURATION, "0s", 0, 0, DAY,                                     \
	        "For how long an application that comes back gets fewer requests: from few "       \
	        "to its full share.")                                                              \
	X(max_connections, "max-connections", COUNT, "0", 0, 0, 1000000,                           \
	        "How many connections all workers together open to each of these applications, "   \
	        "shared out among them, one for each worker at least. Of those that are h2c:// "   \
	        "it is how many requests are under way. 0: as *upstream-connections* says.")       \
	X(queue, "queue", COUNT, "0", 0, 0, 1000000,                                               \
	        "How many requests may wait, in each worker, for one of the applications when "    \
	        "all have as many connections as they may. Further ones are answered with 503.")   \
	X(queue_timeout, "queue-timeout", DURATION, "10s", 10 * SECOND, 10, HOUR,                  \
	        "How long a request may wait there; it is then answered with 503.")
/* Those that config/ reads by itself. */
#define SPECIAL_SETTINGS(X) X(send_proxy, "send-proxy", COUNT, "", 0, 1, 2, "")
#define HEALTH_SETTINGS(X)                                                                         \
	X(interval, "interval", DURATION, "10s", 10 * SECOND, 100, DAY,                            \
	        "How long after an answer the application is asked again.")                        \
	X(timeout, "timeout", DURATION, "5s", 5 * SECOND, 10, HOUR,                                \
	        "How long the application may take for it.")                                       \
	X(expect, "expect", COUNT, "200", 200, 100, 599,                                           \
	        "The status that a healthy application answers with.")

#define X(field, name, type, text, value, least, most, help)                                       \
	{ name, SETTING_##type, offsetof(struct upstream_options, field), NULL, text, least, most, \
		false, false, help },
const struct setting upstream_settings[] = { UPSTREAM_SETTINGS(X) };
const struct setting health_settings[] = { HEALTH_SETTINGS(X) };
static const struct setting special_settings[] = { SPECIAL_SETTINGS(X) };
#undef X
const size_t upstream_setting_count = sizeof upstream_settings / sizeof *upstream_settings;
const size_t health_setting_count = sizeof health_settings / sizeof *health_settings;

void upstream_options_init(struct upstream_options *o)
{
	*o = (struct upstream_options){
#define X(field, name, type, text, value, ...) .field = value,
		UPSTREAM_SETTINGS(X) HEALTH_SETTINGS(X) SPECIAL_SETTINGS(X)
#undef X
	};
}

static const struct setting *named(const struct setting *rows, size_t count, struct str name)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq_c(name, rows[i].name))
			return &rows[i];
	return NULL;
}

static bool set(const struct setting *s, void *all, int64_t value, struct err *err)
{
	if (value < s->least || value > s->most)
		return err_set(err, ERR_INPUT, "%s may not be %lld.", s->name, (long long)value);
	/* Every field has 64 bits, and no value that is given is negative. */
	memcpy((char *)all + s->offset, &value, sizeof value);
	return true;
}

bool upstream_options_set(
        struct upstream_options *o, struct str name, int64_t value, struct err *err)
{
	const struct setting *s = named(upstream_settings, upstream_setting_count, name);
	if (!s)
		s = named(health_settings, health_setting_count, name);
	if (!s)
		s = named(
		        special_settings, sizeof special_settings / sizeof *special_settings, name);
	if (!s)
		return err_set(
		        err, ERR_INPUT, "There is no setting %.*s of applications.", STR_ARG(name));
	return set(s, o, value, err);
}

void limits_init(struct limits *l)
{
	*l = (struct limits){
#define X(field, name, type, text, value, ...) .field = value,
		SETTINGS(X)
#undef X
	};
}

bool limits_set(struct limits *l, struct str name, int64_t value, struct err *err)
{
	const struct setting *s = named(server_settings, server_setting_count, name);
	if (!s)
		return err_set(err, ERR_INPUT, "There is no setting %.*s in the data plane.",
		        STR_ARG(name));
	return set(s, l, value, err);
}
