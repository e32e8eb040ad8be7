/* An error as JSON: whole for who reads one text, in parts for the page; and read back. */
#include "renew/private.h"

static void write_part(struct json_writer *w, const char *key, struct str text)
{
	if (text.n)
		json_write_text(w, key, text);
	else
		json_write_null(w, key);
}

void error_write(struct json_writer *w, const struct err *err)
{
	json_write_c(w, "code", err_code_name(err->code));
	json_write_text(w, "message", err_message(err));
	write_part(w, "remedy", err_remedy(err));
	write_part(w, "what", err_what(err));
	write_part(w, "why", err_why(err));
}

void error_read(const struct json *json, struct err *ret_err)
{
	enum err_code code;
	const struct str what = json_text(json, "what"), why = json_text(json, "why"),
	                 remedy = json_text(json, "remedy");
	if (!json || !err_code_from_name(json_text(json, "code"), &code))
		return;
	err_set(ret_err, code, "%.*s%s%.*s%s%.*s", STR_ARG(what), why.n ? ERR_WHY : "",
	        STR_ARG(why), remedy.n ? ERR_REMEDY : "", STR_ARG(remedy));
}
