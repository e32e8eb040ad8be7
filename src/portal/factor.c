/* The second factor: time-based codes (RFC 6238), and recovery codes that each work once. */
#include "portal/people.h"

enum { STEP = 30, DIGITS = 6, MODULUS = 1000000 };
static const char recovery_label[] = "everseal recovery code";

bool factor_is_on(const struct person *p)
{
	return p->factor.n > 0;
}

/* RFC 4226 5.3: dynamic truncation. */
void factor_code(struct str key, int64_t step, char ret_code[DIGITS + 1])
{
	unsigned char message[8], mac[HMAC_SHA1];
	for (int i = 7; i >= 0; i--, step >>= 8)
		message[i] = (unsigned char)(step & 0xff);
	hmac_sha1(key, str_n(message, sizeof message), mac);
	const unsigned char *at = mac + (mac[HMAC_SHA1 - 1] & 15);
	uint32_t number = (uint32_t)(at[0] & 0x7f) << 24 | (uint32_t)at[1] << 16 |
	                  (uint32_t)at[2] << 8 | at[3];
	snprintf(ret_code, DIGITS + 1, "%06u", number % MODULUS);
}

/* RFC 6238 5.2: one step of drift each way; a code is accepted once. */
bool factor_fits(struct str key, struct str code, int64_t wall_ms, int64_t *step)
{
	int64_t now = wall_ms / SECOND / STEP;
	for (int64_t s = now - 1; s <= now + 1; s++) {
		char wanted[DIGITS + 1];
		factor_code(key, s, wanted);
		if (!token_eq(code, str_c(wanted)) || s <= *step)
			continue;
		*step = s;
		return true;
	}
	return false;
}

/* As people type them: spaces and hyphens say nothing, small letters are capitals. */
static struct str repaired(struct str code, char to[32])
{
	size_t n = 0;
	for (size_t i = 0; i < code.n && n < 31; i++) {
		char c = code.p[i];
		if (c != ' ' && c != '-')
			to[n++] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
	}
	return str_n(to, n);
}

static bool take_recovery(struct person *p, struct str code)
{
	char hash[DIGEST_HEX + 1];
	token_digest(recovery_label, code, hash);
	for (size_t i = 0; i < RECOVERY_CODES; i++) {
		if (!*p->recovery[i] || !token_eq(str_c(hash), str_c(p->recovery[i])))
			continue;
		*p->recovery[i] = '\0';
		return true;
	}
	return false;
}

bool factor_take(struct person *p, struct str code)
{
	char typed[32];
	code = repaired(code, typed);
	return factor_fits(
	               secret_bytes(&p->factor), code, loop_wall(portal.loop), &p->factor_step) ||
	       take_recovery(p, code);
}

size_t factor_recovery_left(const struct person *p)
{
	size_t left = 0;
	for (size_t i = 0; i < RECOVERY_CODES; i++)
		left += *p->recovery[i] != '\0';
	return left;
}

void factor_off(struct person *p)
{
	secret_done(&p->factor);
	secret_done(&p->offered);
	p->factor_step = 0;
	memset(p->recovery, 0, sizeof p->recovery);
}

/* 80 random bits: 16 characters in fours. */
static void add_recovery(struct person *p, size_t i, struct json_writer *w)
{
	SECRET_AUTO random = token_new(10);
	BUF_AUTO code = BUF_SECRET_INIT(64), shown = BUF_SECRET_INIT(64);
	base32_add(&code, secret_bytes(&random));
	token_digest(recovery_label, buf_str(&code), p->recovery[i]);
	for (size_t at = 0; at < code.n; at += 4) {
		if (at)
			buf_add_char(&shown, '-');
		buf_add(&shown, str_head(str_from(buf_str(&code), at), 4));
	}
	json_write_text(w, NULL, buf_str(&shown));
}

void factor_on(struct person *p, struct json_writer *w)
{
	secret_done(&p->factor);
	p->factor = p->offered;
	p->offered = SECRET_NONE;
	json_write_array(w, "recovery_codes");
	for (size_t i = 0; i < RECOVERY_CODES; i++)
		add_recovery(p, i, w);
	json_write_end(w);
}
