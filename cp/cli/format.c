#include "cp/cli/format.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

void format_safe(FILE *to, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
		if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) { /* C1 controls in UTF-8 */
			fputc('?', to);
			c++;
		} else {
			fputc(*c < 0x20 || *c == 0x7f ? '?' : *c, to);
		}
	}
}

void format_time(char text[FORMAT_TIME_BYTES], uint64_t unix_ns)
{
	time_t s = (time_t)(unix_ns / 1000000000u);
	struct tm tm;
	char day[24];

	if (unix_ns == 0 || gmtime_r(&s, &tm) == NULL) {
		strcpy(text, "-");
		return;
	}
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, FORMAT_TIME_BYTES, "%s.%03uZ", day,
		 (unsigned int)(unix_ns / 1000000u % 1000u));
}

void format_age(char text[FORMAT_TIME_BYTES], uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *unit;
	} units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;

	while (i < 4 && ms < 2 * units[i].ms) /* 90 s say more than 1 m */
		i++;
	snprintf(text, FORMAT_TIME_BYTES, "%" PRIu64 "%s", ms / units[i].ms, units[i].unit);
}

void format_source(char text[FORMAT_TIME_BYTES], const char *source, uint64_t age_ms)
{
	char age[FORMAT_TIME_BYTES];

	format_age(age, age_ms);
	if (strcmp(source, "store") == 0)
		snprintf(text, FORMAT_TIME_BYTES, "store %.20s", age);
	else
		snprintf(text, FORMAT_TIME_BYTES, "%.30s", source[0] != '\0' ? source : "-");
}

uint64_t format_age_since(uint64_t unix_ns)
{
	struct timespec t;
	uint64_t now_ns;

	clock_gettime(CLOCK_REALTIME, &t);
	now_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	return unix_ns != 0 && unix_ns < now_ns ? (now_ns - unix_ns) / 1000000u : 0;
}
