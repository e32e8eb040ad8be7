#include "base/clock.h"

#include "base/err.h"
#include "base/list.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	CHECK(clock_gettime(id, &t) == 0);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec / 1000000;
}

static int64_t system_wall(const struct clock *clock)
{
	(void)clock;
	return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(const struct clock *clock)
{
	(void)clock;
	return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = { .wall = system_wall, .mono = system_mono };

static int64_t fake_wall(const struct clock *clock)
{
	return OWNER(clock, struct clock_fake, clock)->wall_now;
}

static int64_t fake_mono(const struct clock *clock)
{
	return OWNER(clock, struct clock_fake, clock)->mono_now;
}

void clock_fake_init(struct clock_fake *f, int64_t wall)
{
	*f = (struct clock_fake){
		.clock = { .wall = fake_wall, .mono = fake_mono, .fake = true },
		.wall_now = wall,
		/* neither 0 nor near the wall's time, so that one taken for the other is seen */
		.mono_now = 1000 * SECOND,
	};
}

void clock_fake_advance(struct clock_fake *f, int64_t ms)
{
	CHECK(ms >= 0);
	f->wall_now += ms;
	f->mono_now += ms;
}

struct when {
	int year, month, day, hour, minute, second;
};

/* Years are counted from 1 March here, so that the leap day is a year's last; an era is 400. */
static int64_t days_since_1970(int year, int month, int day)
{
	const int64_t y = month > 2 ? year : year - 1;
	const int64_t era = (y >= 0 ? y : y - 399) / 400;
	const int64_t of_era = y - era * 400;
	const int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct when date_of(int64_t days)
{
	days += 719468;
	const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	const int64_t day = days - era * 146097;
	const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	const int64_t of_year = day - (365 * year + year / 4 - year / 100);
	const int64_t month = (5 * of_year + 2) / 153;
	return (struct when){
		.year = (int)(year + era * 400 + (month >= 10)),
		.month = (int)(month < 10 ? month + 3 : month - 9),
		.day = (int)(of_year - (153 * month + 2) / 5 + 1),
	};
}

static const int64_t year_0 = INT64_C(-62167219200000), year_9999 = INT64_C(253402300799000);

const char *clock_rfc3339(int64_t wall_ms, char ret_text[CLOCK_TEXT])
{
	const int64_t ms = wall_ms < year_0 ? year_0 : wall_ms > year_9999 ? year_9999 : wall_ms;
	const int64_t day = (ms >= 0 ? ms : ms - (DAY - 1)) / DAY;
	const int second = (int)((ms - day * DAY) / SECOND);
	const struct when w = date_of(day);
	snprintf(ret_text, CLOCK_TEXT, "%04u-%02u-%02uT%02u:%02u:%02uZ", (unsigned)w.year % 10000,
	        (unsigned)w.month % 100, (unsigned)w.day % 100, (unsigned)second / 3600 % 100,
	        (unsigned)second / 60 % 60, (unsigned)second % 60);
	return ret_text;
}

static bool leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool wall_of(const struct when *w, int64_t *ret_wall_ms)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (w->month < 1 || w->month > 12 || w->day < 1)
		return false;
	if (w->day > month_days[w->month - 1] + (w->month == 2 && leap(w->year)))
		return false;
	/* Second 60 is a leap second: the next minute's first. */
	if (w->hour > 23 || w->minute > 59 || w->second > 60)
		return false;
	const int64_t days = days_since_1970(w->year, w->month, w->day);
	*ret_wall_ms = days * DAY + w->hour * HOUR + w->minute * MINUTE + w->second * SECOND;
	return true;
}

static bool take_digits(struct str *rest, size_t count, int *ret_value)
{
	uint64_t value;
	if (rest->n < count || !str_to_u64(str_head(*rest, count), &value))
		return false;
	*rest = str_from(*rest, count);
	*ret_value = (int)value;
	return true;
}

/* One of a list of names; `letters` of each count, 0 = all. Its number from 1. */
static bool take_name(struct str *rest, const char *const *names, size_t letters, int *ret_number)
{
	for (int i = 0; names[i]; i++) {
		const struct str name = str_c(names[i]);
		const struct str word = letters ? str_head(name, letters) : name;
		if (str_starts(*rest, word)) {
			*rest = str_from(*rest, word.n);
			*ret_number = i + 1;
			return true;
		}
	}
	return false;
}

static const char *const month_names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
	"Sep", "Oct", "Nov", "Dec", NULL };
static const char *const day_names[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
	"Saturday", "Sunday", NULL };

/* strptime's letters, strictly: all the digits that a field has; %e pads the day with a space. */
static bool take_field(struct str *rest, char letter, struct when *w)
{
	int ignored;
	switch (letter) {
	case 'a':
		return take_name(rest, day_names, 3, &ignored);
	case 'A':
		return take_name(rest, day_names, 0, &ignored);
	case 'b':
		return take_name(rest, month_names, 0, &w->month);
	case 'Y':
		return take_digits(rest, 4, &w->year);
	case 'y':
		return take_digits(rest, 2, &w->year);
	case 'm':
		return take_digits(rest, 2, &w->month);
	case 'd':
		return take_digits(rest, 2, &w->day);
	case 'e':
		if (!str_starts(*rest, STR(" ")))
			return take_digits(rest, 2, &w->day);
		*rest = str_from(*rest, 1);
		return take_digits(rest, 1, &w->day);
	case 'H':
		return take_digits(rest, 2, &w->hour);
	case 'M':
		return take_digits(rest, 2, &w->minute);
	case 'S':
		return take_digits(rest, 2, &w->second);
	default:
		BUG("unknown field of a date");
	}
}

static bool take_pattern(struct str *rest, const char *pattern, struct when *w)
{
	for (; *pattern; pattern++) {
		if (*pattern == '%') {
			if (!take_field(rest, *++pattern, w))
				return false;
		} else if (rest->n && rest->p[0] == *pattern) {
			*rest = str_from(*rest, 1);
		} else {
			return false;
		}
	}
	return true;
}

static bool take_char(struct str *rest, const char *any_of, char *ret_c)
{
	if (rest->n == 0 || rest->p[0] == '\0' || !strchr(any_of, rest->p[0]))
		return false;
	*ret_c = rest->p[0];
	*rest = str_from(*rest, 1);
	return true;
}

static bool take_fraction(struct str *rest, int64_t *ret_ms)
{
	char c;
	int64_t ms = 0, unit = 100;
	if (!take_char(rest, ".", &c)) {
		*ret_ms = 0;
		return true;
	}
	if (!take_char(rest, "0123456789", &c))
		return false;
	do {
		ms += (c - '0') * unit;
		unit /= 10;
	} while (take_char(rest, "0123456789", &c));
	*ret_ms = ms;
	return true;
}

/* How far the zone is ahead of UTC. */
static bool take_zone(struct str *rest, int64_t *ret_ms)
{
	char sign;
	struct when ahead = { 0 };
	if (take_char(rest, "Zz", &sign)) {
		*ret_ms = 0;
		return true;
	}
	if (!take_char(rest, "+-", &sign) || !take_pattern(rest, "%H:%M", &ahead))
		return false;
	if (ahead.hour > 23 || ahead.minute > 59)
		return false;
	const int64_t ms = ahead.hour * HOUR + ahead.minute * MINUTE;
	*ret_ms = sign == '-' ? -ms : ms;
	return true;
}

/* RFC 3339 5.6; 'T' and 'Z' may be in lower case, a space may stand for 'T'. */
bool clock_from_rfc3339(struct str text, int64_t *ret_wall_ms)
{
	struct when w = { 0 };
	char between;
	int64_t wall, fraction, ahead;
	if (!take_pattern(&text, "%Y-%m-%d", &w) || !take_char(&text, "Tt ", &between))
		return false;
	if (!take_pattern(&text, "%H:%M:%S", &w) || !take_fraction(&text, &fraction))
		return false;
	if (!take_zone(&text, &ahead) || text.n || !wall_of(&w, &wall))
		return false;
	*ret_wall_ms = wall + fraction - ahead;
	return true;
}

/* RFC 9110 5.6.7: two digits that seem to lie more than 50 years ahead mean the century before. */
static int full_year(int two_digits)
{
	const int now = date_of(system_wall(NULL) / DAY).year;
	const int year = now / 100 * 100 + two_digits;
	if (year > now + 50)
		return year - 100;
	return year <= now - 50 ? year + 100 : year;
}

bool clock_from_http_date(struct str text, int64_t *ret_wall_ms)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S GMT", /* IMF-fixdate */
		"%A, %d-%b-%y %H:%M:%S GMT", /* RFC 850 */
		"%a %b %e %H:%M:%S %Y",      /* asctime */
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct when w = { 0 };
		struct str rest = text;
		if (!take_pattern(&rest, forms[i], &w) || rest.n)
			continue;
		if (strstr(forms[i], "%y"))
			w.year = full_year(w.year);
		return wall_of(&w, ret_wall_ms);
	}
	return false;
}
