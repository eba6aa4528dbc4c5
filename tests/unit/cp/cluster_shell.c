#include "tests/unit/cp/cluster_shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define SAID_BYTES (4u << 20)

static struct {
	int to, from;
	char *said; /* zero-terminated */
	size_t n_said;
} shells[N + 1];

static void pipes_close(int i)
{
	if (shells[i].said == NULL)
		return;
	if (shells[i].to >= 0)
		close(shells[i].to);
	close(shells[i].from);
	free(shells[i].said);
	shells[i].said = NULL;
}

void shell_start(int i, const char *mode)
{
	int to[2], from[2], log;
	char config[32];
	pid_t pid;

	pipes_close(i);
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	snprintf(config, sizeof(config), "%d.yaml", i);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (chdir(dir) < 0)
			_exit(126);
		log = open("log", O_CREAT | O_APPEND | O_WRONLY, 0600);
		dup2(log, STDERR_FILENO);
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execl(CLUSTER_SERVER, CLUSTER_SERVER, config, mode, NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	servers[i].pid = pid;
	shells[i].to = to[1];
	shells[i].from = from[0];
	shells[i].n_said = 0;
	shells[i].said = calloc(1, SAID_BYTES);
	assert_non_null(shells[i].said);
}

void shell_start_all(const char *mode)
{
	for (int i = 1; i <= N; i++)
		shell_start(i, mode);
	UNTIL(is_led_by(1) && is_owned_by(all_live));
}

void shell_say(int i, const char *format, ...)
{
	char line[256];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n++] = '\n';
	assert_int_equal(write(shells[i].to, line, (size_t)n), n);
}

/* What has come, waiting for more for as long as that. */
static void take_in(int i, int wait_ms)
{
	struct pollfd fd = {.fd = shells[i].from, .events = POLLIN};
	size_t room = SAID_BYTES - 1 - shells[i].n_said;
	ssize_t n;

	if (poll(&fd, 1, wait_ms) <= 0)
		return;
	assert_true(room > 0);
	n = read(shells[i].from, shells[i].said + shells[i].n_said, room);
	if (n > 0)
		shells[i].n_said += (size_t)n;
	shells[i].said[shells[i].n_said] = '\0';
}

/* Only whole lines. */
static const char *find(const char *said, const char *beginning)
{
	size_t n = strlen(beginning);

	for (const char *end; (end = strchr(said, '\n')) != NULL; said = end + 1)
		if (strncmp(said, beginning, n) == 0)
			return said;
	return NULL;
}

const char *shell_heard(int i, const char *beginning)
{
	uint64_t end_ms = core_now_ms() + WAIT_MS;
	const char *line;

	while ((line = find(shells[i].said, beginning)) == NULL) {
		if (core_now_ms() > end_ms) {
			logs_show();
			fail_msg("server %d never said: %s", i, beginning);
		}
		take_in(i, 100);
	}
	return line;
}

bool shell_has_said(int i, const char *beginning)
{
	take_in(i, 0);
	return find(shells[i].said, beginning) != NULL;
}

uint32_t shell_count(int i, const char *beginning)
{
	uint32_t n = 0;

	take_in(i, 0);
	for (const char *line = find(shells[i].said, beginning); line != NULL;
	     line = find(strchr(line, '\n') + 1, beginning))
		n++;
	return n;
}

unsigned long long shell_status(int i, const char *word)
{
	uint64_t end_ms = core_now_ms() + WAIT_MS;
	size_t before = shells[i].n_said;
	const char *line, *value;
	char wanted[32];

	take_in(i, 0);
	before = shells[i].n_said;
	shell_say(i, "status");
	/* A line may be half there: it is looked for from the beginning of that one. */
	while (before > 0 && shells[i].said[before - 1] != '\n')
		before--;
	while ((line = find(shells[i].said + before, "status ")) == NULL) {
		if (core_now_ms() > end_ms)
			fail_msg("server %d gave no status", i);
		take_in(i, 100);
	}
	snprintf(wanted, sizeof(wanted), " %s=", word);
	value = strstr(line, wanted);
	assert_non_null(value);
	return strtoull(value + strlen(wanted), NULL, 10);
}

static const char *last_heard(int i, const char *beginning)
{
	const char *last = NULL, *line = find(shells[i].said, beginning);

	for (; line != NULL; line = find(strchr(line, '\n') + 1, beginning))
		last = line;
	return last;
}

/* Once. */
static const char *command(int i, const char *id, const char *line)
{
	uint64_t end_ms = core_now_ms() + WAIT_MS;
	char wanted[80];
	uint32_t before;

	snprintf(wanted, sizeof(wanted), "done %s ", id);
	before = shell_count(i, wanted);
	shell_say(i, "%s", line);
	while (shell_count(i, wanted) == before) {
		if (core_now_ms() > end_ms)
			fail_msg("server %d never answered: %s", i, line);
		take_in(i, 100);
	}
	return last_heard(i, wanted) + strlen(wanted);
}

const char *shell_try(int i, const char *id, const char *format, ...)
{
	char line[200];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return command(i, id, line);
}

const char *shell_command(int i, const char *id, const char *format, ...)
{
	char line[200];
	va_list args;
	const char *done;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	do {
		UNTIL(is_leading(i));
		done = command(i, id, line);
	} while (strncmp(done, "err=", 4) == 0);
	return done;
}

void shell_kill(int i)
{
	stop(i, SIGKILL);
}

/* It ends when nobody speaks to it any more, and leaves nothing behind. */
static bool is_ended_well(int i)
{
	uint64_t end_ms = core_now_ms() + WAIT_MS;
	int status;
	pid_t ended;

	close(shells[i].to);
	shells[i].to = -1;
	while ((ended = waitpid(servers[i].pid, &status, WNOHANG)) == 0 && core_now_ms() < end_ms)
		take_in(i, 10);
	if (ended == 0)
		return false;
	servers[i].pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int shell_tear_down(void **state)
{
	bool is_well = true;
	int err;

	for (int i = 1; i <= N; i++)
		if (servers[i].pid > 0 && !is_ended_well(i))
			is_well = false;
	if (!is_well)
		logs_show();
	err = cluster_tear_down(state);
	for (int i = 1; i <= N; i++)
		pipes_close(i);
	return is_well ? err : -1;
}
