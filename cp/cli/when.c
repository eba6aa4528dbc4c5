#include "cp/cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS 1000000000u

static bool ago_parse(uint64_t *unix_ns, const char *text, uint64_t now_ns)
{
	static const struct {
		const char *unit;
		uint64_t seconds;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
	unsigned long long n;
	char *end;

	if (text[0] != '-' || !isdigit((unsigned char)text[1]))
		return false;
	errno = 0;
	n = strtoull(text + 1, &end, 10);
	for (size_t i = 0; errno == 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		/* Before 1970 nothing was stored. */
		*unix_ns =
			n < now_ns / NS / units[i].seconds ? now_ns - n * units[i].seconds * NS : 1;
		return true;
	}
	return false;
}

/* ".25" and what stands behind it. */
static const char *fraction_parse(uint64_t *ns, const char *text)
{
	uint64_t unit = NS / 10;

	*ns = 0;
	if (text[0] != '.' || !isdigit((unsigned char)text[1]))
		return text;
	for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
		*ns += (uint64_t)(*text - '0') * unit;
	return text;
}

/* "Z", "+01:00". False: neither. */
static bool offset_parse(int *seconds, const char *text)
{
	struct tm tm = {0};
	const char *end;

	*seconds = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if (text[0] != '+' && text[0] != '-')
		return false;
	end = strptime(text + 1, "%H:%M", &tm);
	*seconds = (tm.tm_hour * 3600 + tm.tm_min * 60) * (text[0] == '+' ? 1 : -1);
	return end != NULL && *end == '\0';
}

bool when_parse(uint64_t *unix_ns, const char *text, uint64_t now_ns)
{
	struct tm tm = {0};
	uint64_t fraction = 0;
	const char *end;
	int offset = 0;
	time_t t;

	if (ago_parse(unix_ns, text, now_ns))
		return true;
	end = strptime(text, "%Y-%m-%d", &tm);
	if (end != NULL && *end != '\0') {
		if (*end != 'T' && *end != 't' && *end != ' ')
			return false;
		end = strptime(end + 1, "%H:%M:%S", &tm);
		if (end == NULL)
			return false;
		end = fraction_parse(&fraction, end);
		if (!offset_parse(&offset, end))
			return false;
	}
	if (end == NULL)
		return false;
	t = timegm(&tm) - offset;
	/* A year that fits 64 bits of nanoseconds. */
	if (t <= 0 || (uint64_t)t > UINT64_MAX / NS - 1)
		return false;
	*unix_ns = (uint64_t)t * NS + fraction;
	return true;
}
