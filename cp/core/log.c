#include "cp/core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static enum core_level shown = CORE_INFO;

static const char *const level_names[] = {
	[CORE_ERROR] = "error",
	[CORE_WARNING] = "warning",
	[CORE_INFO] = "info",
	[CORE_DEBUG] = "debug",
};

void core_log_level_set(enum core_level level)
{
	shown = level;
}

static size_t line_begin(char *line, size_t room, enum core_level level)
{
	uint64_t now_ns = core_wall_ns();
	time_t seconds = (time_t)(now_ns / 1000000000u);
	struct tm utc;
	size_t n;

	gmtime_r(&seconds, &utc);
	n = strftime(line, room, "%Y-%m-%dT%H:%M:%S", &utc);
	n += (size_t)snprintf(line + n, room - n, ".%03uZ %s ",
			      (unsigned int)(now_ns / 1000000u % 1000u), level_names[level]);
	return n;
}

void core_log(enum core_level level, const char *format, ...)
{
	char line[CORE_LOG_BYTES];
	size_t begin, n;
	va_list args;
	int more;

	if (level > shown)
		return;
	begin = n = line_begin(line, sizeof(line), level);
	va_start(args, format);
	more = vsnprintf(line + n, sizeof(line) - n, format, args);
	va_end(args);
	if (more > 0)
		n += (size_t)more;
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	for (size_t i = begin; i < n; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* there is nowhere left to say so */
}
