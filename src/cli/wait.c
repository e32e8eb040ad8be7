#include "cli/wait.h"

#include "base/clock.h"
#include "base/list.h"
#include "cli/client.h"
#include "cli/show.h"

#include <poll.h>

enum { PATIENCE = 30000, PAUSE = 200, PROGRESS_MOST = 60 }; /* ms, ms, characters */

struct wait {
	struct lines lines;
	struct arena arena;
	bool json, terminal, progress; /* progress: the unfinished line is on the terminal */
	int64_t started, heard;        /* mono */
	int64_t next;                  /* the first event not yet seen */
	struct str last;               /* what the last step said */
	bool ended, success;
	bool parked; /* at a limit of the CA's; `last` says until when */
	struct err failure;
};

static int64_t mono(void)
{
	return clock_system.mono(&clock_system);
}

static void clear_progress(struct wait *w)
{
	if (w->progress)
		fputs("\r\033[K", stdout);
	w->progress = false;
}

/* False: what is waited for may take days. */
static bool show_progress(struct lines *l)
{
	struct wait *w = OWNER(l, struct wait, lines);
	if (w->parked || !w->terminal || !w->last.n)
		return !w->parked;
	const struct str text = str_head(w->last, PROGRESS_MOST);
	printf("\r\033[K  … %.*s%s (%lld s)", STR_ARG(text), text.n < w->last.n ? "…" : "",
	        (long long)((mono() - w->started) / SECOND));
	fflush(stdout);
	w->progress = true;
	return true;
}

static void show_step(struct wait *w, const struct json *event, struct str text)
{
	int64_t ms;
	if (!json_int(event, "ms", &ms))
		ms = mono() - w->started;
	clear_progress(w);
	printf("%7.1f s  %.*s\n", (double)ms / 1000, STR_ARG(text));
	fflush(stdout);
}

/* "error" is {"code", "message"}, perhaps with a "remedy"; or a text. "next_try" is there if it
 * will be tried again. */
static void take_failure(struct wait *w, const struct json *event, struct str text)
{
	const struct json *error = json_object(event, "error");
	struct str message = error ? json_text(error, "message") : json_text(event, "error");
	const struct str remedy = json_text(error, "remedy");
	if (!message.n)
		message = text.n ? text : STR("It did not succeed, and no reason was given.");
	const struct str next = json_text(event, "next_try");
	const struct str at = show_date(&w->arena, next, clock_system.wall(&clock_system));
	err_set(&w->failure, ERR_REFUSED, "%.*s%s%.*s%s%.*s%s", STR_ARG(message),
	        remedy.n ? " " : "", STR_ARG(remedy), next.n ? " The next try is on " : "",
	        STR_ARG(next.n ? at : STR_NONE), next.n ? "." : "");
}

static bool take_event(struct lines *l, struct str line)
{
	struct wait *w = OWNER(l, struct wait, lines);
	struct err err = ERR_INIT;
	JSON_AUTO *event = json_parse(line, "An event", &err);
	if (!json_is_object(event))
		return true;
	const struct str state = json_text(event, "state");
	const bool success = str_eq_c(state, "Success");
	const struct str text = show_clean(&w->arena, json_text(event, "text"));
	int64_t seq;
	w->heard = mono();
	w->next = json_int(event, "seq", &seq) ? seq + 1 : w->next + 1;
	w->ended = success || str_eq_c(state, "Failed") || str_eq_c(state, "Canceled");
	w->success = success;
	w->parked = str_eq_c(json_text(event, "step"), "limit");
	if (w->ended && !success)
		take_failure(w, event, text);
	if (w->json)
		printf("%.*s\n", STR_ARG(line));
	else if (text.n && !w->parked && (success || !w->ended))
		show_step(w, event, text);
	fflush(stdout);
	w->last = text;
	return !w->ended;
}

static bool may_come_back(const struct wait *w, enum err_code code)
{
	const bool gone = code == ERR_UNREACHABLE || code == ERR_TIMEOUT || code == ERR_PROTOCOL;
	return gone && mono() - w->heard < PATIENCE;
}

/* One stream of events, from the first not yet seen to its end, however it ends. */
static bool follow(struct wait *w, struct str state, struct str task, struct err *err)
{
	ANSWER_AUTO answer = { 0 };
	const struct question q = {
		.method = "GET",
		.path = arena_printf(&w->arena, "/api/tasks/%.*s/events?from=%lld", STR_ARG(task),
		        (long long)w->next),
		.lines = &w->lines,
	};
	return client_ask(state, &q, &answer, err);
}

static int outcome(struct wait *w, const struct err *err)
{
	clear_progress(w);
	if (w->ended && w->success)
		return EXIT_DONE;
	if (w->ended)
		return command_fail(&w->failure);
	if (w->parked) {
		fprintf(stderr,
		        "%.*s It goes on by itself then: `everseal lets-encrypt status` shows how "
		        "it goes.\n",
		        STR_ARG(w->last));
		return EXIT_WAITS;
	}
	fprintf(stderr,
	        "%s What was asked is stored: `everseal lets-encrypt status` shows how it goes.\n",
	        err->text);
	return EXIT_FAILED;
}

int wait_for_task(struct command *c, struct str state, struct str task)
{
	struct wait w = { .lines = { take_event, show_progress },
		.started = mono(),
		.heard = mono(),
		.json = command_has(c, OPTION_JSON) };
	w.terminal = !w.json && isatty(STDOUT_FILENO);
	struct err err = ERR_INIT;
	for (;;) {
		const bool heard = follow(&w, state, task, &err);
		if (heard && !w.ended)
			err_set(&err, ERR_UNREACHABLE, "Everseal does not say how it ended.");
		if (w.ended || w.parked || !may_come_back(&w, err.code))
			break;
		poll(NULL, 0, PAUSE);
	}
	const int status = outcome(&w, &err);
	arena_done(&w.arena);
	return status;
}
