/* The content of an HTTP/1 message (RFC 9112 6 and 7). Every byte of chunk framing is taken as it
 * comes, so that nobody has to keep half a line; none of it is handed on. */
#include "http/chars.h"
#include "http/http1.h"

enum { SIZE_DIGITS_MOST = 16, SIZE_LINE_MOST = 256, TRAILERS_MOST = 8 << 10 };

/* chunk = size *( ";" name [ "=" ( token / quoted-string ) ] ) CRLF data CRLF, without the white
 * space that RFC 9112 7.1.1 calls bad; then trailers, then an empty line. */
enum state {
	SIZE_FIRST,
	SIZE_MORE,
	EXT_NAME_FIRST,
	EXT_NAME,
	EXT_VALUE_FIRST,
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPED,
	EXT_AFTER_QUOTED,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	ENDED,
	WRONG,
};

void http1_body_init(struct http1_body *b, enum body_kind kind, uint64_t length)
{
	*b = (struct http1_body){
		.kind = kind, .left = kind == BODY_LENGTH ? length : 0, .state = SIZE_FIRST
	};
}

void http1_body_want_trailers(struct http1_body *b, struct arena *a)
{
	if (b->kind == BODY_STREAM)
		b->trailers = arena_alloc(a, TRAILERS_MOST);
}

static bool is_token_byte(unsigned char c)
{
	return http_token_lower[c] != 0;
}

static bool is_text_byte(unsigned char c)
{
	return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What may follow a complete part of the size line. */
static enum state after_part(unsigned char c)
{
	return c == ';' ? EXT_NAME_FIRST : c == '\r' ? SIZE_LF : WRONG;
}

static enum state hear_size(struct http1_body *b, unsigned char c)
{
	int digit = hex_digit(c);
	if (digit < 0)
		return b->state == SIZE_FIRST ? WRONG : after_part(c);
	if (b->line > SIZE_DIGITS_MOST)
		return WRONG;
	b->left = b->left << 4 | (unsigned)digit;
	return SIZE_MORE;
}

static enum state hear_extension(const struct http1_body *b, unsigned char c)
{
	switch (b->state) {
	case EXT_NAME_FIRST:
		return is_token_byte(c) ? EXT_NAME : WRONG;
	case EXT_NAME:
		return is_token_byte(c) ? EXT_NAME : c == '=' ? EXT_VALUE_FIRST : after_part(c);
	case EXT_VALUE_FIRST:
		return c == '"' ? EXT_QUOTED : is_token_byte(c) ? EXT_TOKEN : WRONG;
	case EXT_TOKEN:
		return is_token_byte(c) ? EXT_TOKEN : after_part(c);
	case EXT_QUOTED:
		if (!is_text_byte(c))
			return WRONG;
		return c == '"' ? EXT_AFTER_QUOTED : c == '\\' ? EXT_ESCAPED : EXT_QUOTED;
	case EXT_ESCAPED:
		return is_text_byte(c) ? EXT_QUOTED : WRONG;
	default:
		return after_part(c);
	}
}

/* RFC 9112 7.1.2: trailers may be dropped; they are checked all the same. */
static enum state hear_trailer(struct http1_body *b, unsigned char c)
{
	if (b->trailer_bytes == TRAILERS_MOST)
		return WRONG;
	if (b->trailers)
		b->trailers[b->trailer_bytes] = (char)c;
	b->trailer_bytes++;
	switch (b->state) {
	case TRAILER_FIRST:
		return c == '\r' ? END_LF : is_token_byte(c) ? TRAILER_NAME : WRONG;
	case TRAILER_NAME:
		return is_token_byte(c) ? TRAILER_NAME : c == ':' ? TRAILER_VALUE : WRONG;
	case TRAILER_VALUE:
		return c == '\r' ? TRAILER_LF : is_text_byte(c) ? TRAILER_VALUE : WRONG;
	case TRAILER_LF:
		return c == '\n' ? TRAILER_FIRST : WRONG;
	default:
		return c == '\n' ? ENDED : WRONG;
	}
}

static enum state hear_size_line(struct http1_body *b, unsigned char c)
{
	if (++b->line > SIZE_LINE_MOST)
		return WRONG;
	if (b->state <= SIZE_MORE)
		return hear_size(b, c);
	if (b->state < SIZE_LF)
		return hear_extension(b, c);
	b->line = 0;
	return c != '\n' ? WRONG : b->left ? DATA : TRAILER_FIRST;
}

static enum state hear(struct http1_body *b, unsigned char c)
{
	if (b->state <= SIZE_LF)
		return hear_size_line(b, c);
	if (b->state == DATA_CR)
		return c == '\r' ? DATA_LF : WRONG;
	if (b->state == DATA_LF)
		return c == '\n' ? SIZE_FIRST : WRONG;
	return hear_trailer(b, c);
}

static struct str take(struct http1_body *b, struct str in)
{
	struct str piece = str_head(in, b->left < in.n ? (size_t)b->left : in.n);
	b->left -= piece.n;
	return piece;
}

static void hear_framing(struct http1_body *b, struct str in, size_t *used)
{
	while (b->state != DATA && b->state < ENDED && *used < in.n)
		b->state = hear(b, (unsigned char)in.p[(*used)++]);
}

static enum http1_result read_chunked(struct http1_body *b, struct str in, struct str *ret_piece,
        size_t *ret_used, struct refusal *ret_refusal)
{
	size_t used = 0;
	hear_framing(b, in, &used);
	struct str piece = { in.p, 0 };
	if (b->state == DATA) {
		piece = take(b, str_from(in, used));
		used += piece.n;
		if (b->left == 0)
			b->state = DATA_CR;
		/* What stands behind the piece, so that the last piece is known to be the last. */
		hear_framing(b, in, &used);
	}
	if (b->state == WRONG) {
		*ret_refusal = (struct refusal){ 400, "The chunked content is malformed." };
		return HTTP1_BAD;
	}
	*ret_piece = piece;
	*ret_used = used;
	return b->state == ENDED ? HTTP1_DONE : HTTP1_MORE;
}

enum http1_result http1_body_read(struct http1_body *b, struct str in, struct str *ret_piece,
        size_t *ret_used, struct refusal *ret_refusal)
{
	if (b->kind == BODY_STREAM)
		return read_chunked(b, in, ret_piece, ret_used, ret_refusal);
	*ret_piece = b->kind == BODY_CLOSE ? in : take(b, in);
	*ret_used = ret_piece->n;
	return b->kind == BODY_CLOSE || b->left > 0 ? HTTP1_MORE : HTTP1_DONE;
}

bool http1_body_ends_at_close(const struct http1_body *b)
{
	if (b->kind == BODY_STREAM)
		return b->state == ENDED;
	return b->kind == BODY_CLOSE || b->left == 0;
}
