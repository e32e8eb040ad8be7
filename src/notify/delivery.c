/* One try to bring one message to one target. */
#include "notify/inside.h"

enum { MESSAGE_MOST = 64 << 10, ARGUMENTS_MOST = 40, OUTPUT_SHOWN = 300 };

static void finish(struct delivery *d, const struct err *err)
{
	d->ended = true;
	if (err)
		d->err = *err;
	d->done(d, err);
}

static void answered(struct fetch_call *f, const struct fetch_reply *reply, const struct err *err)
{
	struct delivery *d = OWNER(f, struct delivery, fetch);
	const bool hook = d->target->want.way == CONFIG_NOTIFY_WEBHOOK;
	struct err why = ERR_INIT;
	if (reply && hook && (reply->status < 200 || reply->status > 299))
		err_set(&why, ERR_REFUSED,
		        "%.*s answered with status %u; it is taken as received by 200 to 299.",
		        STR_ARG(d->target->want.shown), reply->status);
	finish(d, err ? err : why.code ? &why : NULL);
}

static void start_mail(struct delivery *d)
{
	const struct config_notify *to = &d->target->want;
	BUF_AUTO headers = BUF_SECRET(8 << 10), body = BUF(2 * MESSAGE_MOST);
	buf_printf(&headers, "from: %.*s\nto: %.*s\n", STR_ARG(to->from), STR_ARG(to->to));
	if (to->user.n)
		buf_printf(&headers, "user: %.*s\npassword: %.*s\n", STR_ARG(to->user),
		        STR_ARG(to->password));
	message_mail(d->notice, to, &body);
	d->fetch = (struct fetch_call){ .purpose = to->id.n ? "kept-mail" : "mail",
		.method = "SEND",
		.url = to->server,
		.headers = buf_str(&headers),
		.body = buf_str(&body),
		.trust = to->trust,
		.done = answered };
	fetch_start(d->target->notify->needs.fetch, &d->fetch);
}

static void start_webhook(struct delivery *d)
{
	const struct config_notify *to = &d->target->want;
	const struct notify_needs *needs = &d->target->notify->needs;
	BUF_AUTO headers = BUF(1024), body = BUF(MESSAGE_MOST);
	message_json(d->notice, &body);
	buf_add_c(&headers, "Content-Type: application/json\n");
	message_sign(to->secret, buf_str(&body), loop_wall(needs->loop), &headers);
	d->fetch = (struct fetch_call){ .purpose = to->id.n ? "kept-webhook" : "webhook",
		.method = "POST",
		.url = to->to,
		.headers = buf_str(&headers),
		.body = buf_str(&body),
		.trust = to->trust,
		.done = answered };
	fetch_start(needs->fetch, &d->fetch);
}

static void ran(struct program_call *c, struct str output, const struct err *err)
{
	struct delivery *d = OWNER(c, struct delivery, program);
	struct err why = ERR_INIT;
	const struct str said = str_head(output, OUTPUT_SHOWN);
	if (err && said.n)
		err_set(&why, err->code, "%.*s It printed: %.*s", STR_ARG(err_message(err)),
		        STR_ARG(said));
	else if (err)
		why = *err;
	finish(d, err ? &why : NULL);
}

static void start_program(struct delivery *d)
{
	const struct config_notify *to = &d->target->want;
	const struct notice *n = d->notice;
	struct str words[ARGUMENTS_MOST];
	size_t count = 0;
	CHECK(to->argc + 5 <= ARGUMENTS_MOST);
	for (size_t i = 0; i < to->argc; i++)
		words[count++] = to->argv[i];
	words[count++] = str_c(matter_words(n->kind)->name);
	words[count++] = str_c(config_level_name(n->level));
	words[count++] = n->solved ? STR("solved") : STR("open");
	words[count++] = n->name;
	words[count++] = n->text;
	d->program.done = ran;
	program_start(d->target->notify->needs.programs, &d->program,
	        &(struct program_want){ .argv = words,
	                .argc = count,
	                .user = to->run_as.name,
	                .home = to->run_as.home,
	                .uid = to->run_as.uid,
	                .gid = to->run_as.gid,
	                .timeout = to->timeout });
}

struct delivery *delivery_start(struct target *t, struct notice *notice,
        void (*done)(struct delivery *d, const struct err *err))
{
	struct delivery *d = mem_new(struct delivery);
	t->refs++;
	d->target = t;
	d->notice = notice_ref(notice);
	d->done = done;
	if (t->want.way == CONFIG_NOTIFY_MAIL)
		start_mail(d);
	else if (t->want.way == CONFIG_NOTIFY_WEBHOOK)
		start_webhook(d);
	else
		start_program(d);
	return d;
}

void delivery_free(struct delivery **delivery)
{
	struct delivery *d = *delivery;
	*delivery = NULL;
	if (!d)
		return;
	fetch_abort(&d->fetch);
	program_abort(&d->program);
	list_remove(&d->node);
	notice_unref(&d->notice);
	target_unref(&d->target);
	free(d);
}
