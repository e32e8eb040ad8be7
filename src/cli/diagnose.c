/* everseal lets-encrypt diagnose */
#include "base/clock.h"
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/show.h"
#include <poll.h>

enum { LOOK_AGAIN = 250, PATIENCE = 40000 }; /* ms */

static struct json *begin(struct command *c, struct str state, struct err *err)
{
	struct json_writer w;
	BUF_AUTO body = BUF_INIT(4096);
	json_write_init(&w, &body);
	json_write_object(&w, NULL);
	json_write_text(&w, "name", c->operands[0]);
	json_write_end(&w);
	const struct question q = {
		.method = "POST", .path = STR("/api/diagnosis"), .body = buf_str(&body)
	};
	return client_ask_json(state, &q, err);
}

/* What was found once it is done. */
static struct json *await(struct command *c, struct str state, struct str id, struct err *err)
{
	const struct question q = { .method = "GET",
		.path = arena_printf(&c->arena, "/api/diagnosis/%.*s", STR_ARG(id)) };
	const int64_t until = clock_system.mono(&clock_system) + PATIENCE;
	while (clock_system.mono(&clock_system) < until) {
		bool done = false;
		struct json *run = client_ask_json(state, &q, err);
		if (!run || (json_bool(run, "done", &done) && done))
			return run;
		json_free(&run);
		poll(NULL, 0, LOOK_AGAIN);
	}
	err_set(err, ERR_TIMEOUT, "The diagnosis has not ended in %d s: Everseal's log says why.",
	        PATIENCE / 1000);
	return NULL;
}

static const char *state_words(struct str state)
{
	static const struct {
		const char *state, *words;
	} all[] = { { "ok", "OK" }, { "warning", "Warning" }, { "problem", "Problem" },
		{ "unseen", "Cannot see from here" } };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (str_eq_c(state, all[i].state))
			return all[i].words;
	return "Unknown";
}

static void show_proof(struct arena *a, struct str proof)
{
	struct str line;
	while (str_split(&proof, '\n', &line))
		printf("      | %.*s\n", STR_ARG(show_clean(a, line)));
}

static void show_finding(struct arena *a, const struct json *f)
{
	const struct str state = json_text(f, "state"), fix = json_text(f, "fix");
	printf("  %s: %.*s\n    %.*s\n", state_words(state),
	        STR_ARG(show_clean(a, json_text(f, "what"))),
	        STR_ARG(show_clean(a, json_text(f, "sentence"))));
	if (fix.n)
		printf("    Do: %.*s\n", STR_ARG(show_clean(a, fix)));
	if (str_eq_c(state, "problem"))
		show_proof(a, json_text(f, "proof"));
}

static void show_area(struct arena *a, const struct json *all, const char *area, const char *title)
{
	bool headed = false;
	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *f = json_at(all, i);
		if (!str_eq_c(json_text(f, "area"), area))
			continue;
		if (!headed)
			printf("%s\n", title);
		headed = true;
		show_finding(a, f);
	}
}

static void show(struct arena *a, const struct json *run)
{
	static const struct {
		const char *area, *title;
	} titles[] = { { "dns", "DNS" }, { "port80", "Port 80" }, { "firewall", "Firewall" },
		{ "redirects", "Redirects" }, { "cdn", "In between" }, { "caa", "CAA" },
		{ "limits", "Limits" }, { "clock", "Clock" }, { "port443", "HTTPS" },
		{ "hsts", "HSTS" } };
	for (size_t t = 0; t < sizeof titles / sizeof *titles; t++)
		show_area(a, json_array(run, "findings"), titles[t].area, titles[t].title);
	printf("\n%.*s\n", STR_ARG(show_clean(a, json_text(run, "sentence"))));
}

int command_diagnose(struct command *c)
{
	struct err err = ERR_INIT;
	struct str state;
	if (!c->operand_count) {
		err_set(&err, ERR_INPUT,
		        "Say which name: `everseal lets-encrypt diagnose shop.example.com`.");
		return command_usage(&err);
	}
	JSON_AUTO *begun = command_state(c, &state, &err) ? begin(c, state, &err) : NULL;
	JSON_AUTO *run = begun ? await(c, state, json_text(begun, "id"), &err) : NULL;
	if (!run)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		certificate_print(run);
	else
		show(&c->arena, run);
	return str_eq_c(json_text(run, "outcome"), "fail") ? EXIT_FAILED : EXIT_DONE;
}
