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
	X(tunnel_idle, "tunnel-idle", DURATION, "1h", HOUR, 100, 7 * DAY,                          \
	        "How long a WebSocket is kept on which neither side says anything.")               \
	X(connections_per_worker, "connections-per-worker", COUNT, "10000", 10000, 1, 10000000,    \
	        "How many connections of clients one worker holds. More wait to be accepted.")     \
	X(body_most, "body-most", SIZE, "0", 0, 0, INT64_MAX,                                      \
	        "The longest body that a request may have; a longer one is answered with 413. "    \
	        "Bodies "                                                                          \
	        "are passed on as they come and cost no memory. 0: no limit.")                     \
	X(upstream_connections, "upstream-connections", COUNT, "1000", 1000, 1, 1000000,           \
	        "How many connections one worker opens to one application.")                       \
	X(requests_per_connection, "requests-per-connection", COUNT, "10000", 10000, 1, INT64_MAX, \
	        "After how many requests a client's connection is closed.")

#define X(field, name, type, text, value, least, most, help)                                       \
	{ name, SETTING_##type, offsetof(struct limits, field), NULL, text, least, most, false,    \
		false, help },
const struct setting server_settings[] = { SETTINGS(X) };
#undef X
const size_t server_setting_count = sizeof server_settings / sizeof *server_settings;

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
	for (size_t i = 0; i < server_setting_count; i++) {
		const struct setting *s = &server_settings[i];
		if (!str_eq_c(name, s->name))
			continue;
		if (value < s->least || value > s->most)
			return err_set(
			        err, ERR_INPUT, "%s may not be %lld.", s->name, (long long)value);
		/* Every field of struct limits has 64 bits, and no value is negative. */
		memcpy((char *)l + s->offset, &value, sizeof value);
		return true;
	}
	return err_set(
	        err, ERR_INPUT, "There is no setting %.*s in the data plane.", STR_ARG(name));
}
