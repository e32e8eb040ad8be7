/* Any bytes as answers of a CA, at any step, with a restart at any turn. A line of the input is an
 * answer: "STATUS RETRY-AFTER NONCE LOCATION BODY"; status "x" is silence, "r" a restart. */
#include "acme/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int64_t start = INT64_C(1800000000000);

static struct flow *flow_of_two(void)
{
	struct err err;
	const struct str names[] = { STR("a.test"), STR("b.test") };
	static const struct challenge_choice all = { { CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01,
		                                             CHALLENGE_DNS_01,
		                                             CHALLENGE_DNS_PERSIST_01 },
		4 };
	const struct challenge_choice choices[] = { all, all };
	const struct flow_want want = { .directory_url = STR("https://ca.test/directory"),
		.email = STR("a@a.test"),
		.terms_agreed = true,
		.replaces = STR("a.b"),
		.names = names,
		.name_count = 2,
		.choices = choices,
		.preferred_chain = STR("Root"),
		.now = start };
	struct flow *f = flow_new(&want, &err);
	CHECK(f);
	flow_can_bind(f, true);
	return f;
}

static struct str word(struct str *rest)
{
	struct str w = STR_NONE;
	str_split(rest, ' ', &w);
	return w;
}

static struct next restarted(struct flow **f, int64_t now)
{
	struct err err;
	BUF_AUTO saved = BUF_INIT(1 << 22);
	flow_save(*f, &saved);
	CHECK(buf_ok(&saved));
	struct flow *loaded = flow_load(buf_str(&saved), &err);
	CHECK(loaded);
	flow_free(f);
	*f = loaded;
	return flow_lost(*f, now);
}

static struct next one_turn(struct flow **f, struct str line, int64_t now)
{
	const struct acme_ask ask = flow_ask(*f);
	if (ask.effect == ACME_CSR)
		flow_set_csr(*f, STR("csr"));
	if (ask.effect == ACME_BIND)
		flow_set_binding(*f, STR("{}"));
	if (ask.effect == ACME_CSR || ask.effect == ACME_PUBLISH || ask.effect == ACME_BIND)
		return flow_did(*f, NULL);
	uint64_t status = 0, retry_after = 0;
	const struct str first = word(&line);
	if (str_eq_c(first, "r"))
		return restarted(f, now);
	str_to_u64(first, &status);
	const bool asked = str_to_u64(word(&line), &retry_after);
	static const struct err silence = { .code = ERR_UNREACHABLE, .text = "Nobody answers." };
	struct acme_reply r = { .status = (unsigned)status,
		.now = now,
		.silence = (unsigned)status ? NULL : &silence,
		.retry_after = asked ? (int64_t)(retry_after & INT64_MAX) : -1 };
	r.nonce = word(&line);
	r.location = word(&line);
	r.body = r.links = line;
	return flow_heard(*f, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_n(data, size), line;
	struct flow *f = flow_of_two();
	int64_t now = start;
	while (str_split(&rest, '\n', &line)) {
		const struct next n = one_turn(&f, line, now);
		CHECK(n.what != FLOW_FAIL || (n.err.code != ERR_NONE && n.err.text[0]));
		CHECK(n.what != FLOW_DONE || f->chain.n);
		CHECK(n.after >= 0 && n.after <= INT64_C(366) * 24 * 3600 * 1000);
		if (n.what != FLOW_GO)
			break;
		flow_take(f, &n);
		now += n.after;
	}
	flow_free(&f);
	return 0;
}
