#include "picture.h"

#define LEFT       60.0
#define WIDTH      900.0
#define TOP        40.0
#define HIGH       220.0
#define LOW        90.0
#define BETWEEN    60.0
#define BOTTOM     50.0
#define SECOND_TOP (TOP + HIGH + BETWEEN)

static const char *const colours[LIFE_COUNT] = { "#c8553d", "#3d7ea6", "#6a994e", "#8d6a9f" };

static double across(const struct plan *p, double day)
{
	return LEFT + day * WIDTH / p->days;
}

static unsigned issued_on(const struct day *d)
{
	unsigned sum = 0;
	for (size_t i = 0; i < LIFE_COUNT; i++)
		sum += d->issued[i];
	return sum;
}

/* A round number that no day is above. */
static unsigned top_of(const struct plan *p, const struct day *days)
{
	unsigned most = 10;
	for (unsigned i = 0; i < p->days; i++)
		if (issued_on(&days[i]) > most)
			most = issued_on(&days[i]);
	return (most + 99) / 100 * 100;
}

static void draw_text(struct buf *out, double x, double y, const char *more, const char *text)
{
	buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n", x, y, more, text);
}

static void draw_bar(struct buf *out, const struct plan *p, unsigned day, double from, double high,
        const char *colour)
{
	buf_printf(out,
	        "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n",
	        across(p, day), from - high, 0.85 * WIDTH / p->days, high, colour);
}

static void draw_band(
        struct buf *out, const struct plan *p, double from, double days, const char *colour)
{
	buf_printf(out,
	        "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" fill=\"%s\"/>\n",
	        across(p, from), TOP, days * WIDTH / p->days, HIGH + BETWEEN + LOW, colour);
}

static void draw_events(struct buf *out, const struct plan *p)
{
	for (size_t i = 0; i < p->outage_count; i++)
		draw_band(out, p, p->outages[i].from / 24.0, p->outages[i].hours / 24.0, "#dddddd");
	for (size_t i = 0; i < p->recall_count; i++)
		draw_band(out, p, p->recalls[i].at / 24.0, 0.4, "#e0a030");
}

static void draw_days(struct buf *out, const struct plan *p, const struct day *days)
{
	const unsigned top = top_of(p, days);
	for (unsigned i = 0; i < p->days; i++) {
		double from = TOP + HIGH;
		for (size_t k = 0; k < LIFE_COUNT; k++) {
			const double high = HIGH * days[i].issued[k] / top;
			if (days[i].issued[k])
				draw_bar(out, p, i, from, high, colours[k]);
			from -= high;
		}
	}
	for (unsigned k = 0; k <= 4; k++) {
		char text[16];
		snprintf(text, sizeof text, "%u", top * k / 4);
		draw_text(
		        out, LEFT - 6, TOP + HIGH - HIGH * k / 4 + 4, " text-anchor=\"end\"", text);
	}
}

/* What had least left, of 4 days. */
static void draw_left(struct buf *out, const struct plan *p, const struct day *days)
{
	const double most = 4;
	const double from = SECOND_TOP + LOW;
	for (unsigned i = 0; i < p->days; i++) {
		const double left = (double)days[i].least_left / (double)DAY;
		if (days[i].any)
			draw_bar(out, p, i, from, LOW * (left < most ? left : most) / most,
			        "#555555");
	}
	for (unsigned k = 0; k <= 4; k += 2) {
		char text[16];
		snprintf(text, sizeof text, "%u", k);
		draw_text(out, LEFT - 6, from - LOW * k / most + 4, " text-anchor=\"end\"", text);
	}
}

static void draw_months(struct buf *out, const struct plan *p)
{
	for (unsigned day = 0; day <= p->days; day += 30) {
		char text[16];
		snprintf(text, sizeof text, "%u", day);
		draw_text(out, across(p, day), SECOND_TOP + LOW + 18, " text-anchor=\"middle\"",
		        text);
	}
	draw_text(out, LEFT + WIDTH / 2, SECOND_TOP + LOW + 36, " text-anchor=\"middle\"",
	        "day (grey: the CA is not there; orange: it asks to renew at once)");
}

static void draw_legend(struct buf *out)
{
	double x = LEFT + 280;
	draw_text(out, LEFT, TOP - 14, " font-weight=\"bold\"",
	        "Certificates a day, by lifetime in days:");
	for (size_t k = 0; k < LIFE_COUNT; k++, x += 45) {
		char text[16], fill[48];
		snprintf(text, sizeof text, "%u", life_days[k]);
		snprintf(fill, sizeof fill, " font-weight=\"bold\" fill=\"%s\"", colours[k]);
		draw_text(out, x, TOP - 14, fill, text);
	}
	draw_text(out, LEFT, SECOND_TOP - 14, " font-weight=\"bold\"",
	        "Days left of the certificate that is nearest to its end, at the worst moment of "
	        "the day");
}

void picture_draw(const struct plan *p, const struct day *days, struct buf *out)
{
	buf_printf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
	        "font-family=\"sans-serif\" font-size=\"12\">\n"
	        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
	        LEFT + WIDTH + 20, SECOND_TOP + LOW + BOTTOM);
	draw_events(out, p);
	draw_days(out, p, days);
	draw_left(out, p, days);
	draw_months(out, p);
	draw_legend(out);
	buf_add_c(out, "</svg>\n");
}
