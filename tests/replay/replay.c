/* replay: runs bellwether-dp over captures and holds what came of each against what is expected of
 * it. TAP on standard output; a case is a folder, its name is a claim:
 *
 *   in.pcap      what arrives on the port
 *   expect.txt   what comes of it: the lines of outcome.h, all of them and no other, in any order;
 * and given SECTION.KEY VALUE   the configuration has this given lease over          the server may
 * not act as owner any WORD                  lines that begin with it are not looked at # ... a
 * remark inventory.yaml, rules.yaml   when it needs others than the shared ones; see world.h
 *
 * Beside that, of every case: each snapshot that the worker publishes satisfies the equations of
 * dp/stats, the last one does not once any one of its counters is one more, and the process ends
 * well.
 *
 *   replay --dp PROGRAM FOLDER             all cases in the folder
 *   replay --dp PROGRAM --show CASE...     prints what comes of each; for who writes an expect.txt
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/replay/capture.h"
#include "tests/replay/outcome.h"
#include "tests/replay/world.h"

#define WAIT_S	60
#define LOOK_NS 1000000

struct replay_case {
	const char *folder;
	struct world_given given;
	struct lines expected, any;
};

/* ---- expect.txt ---- */

static int read_expected(struct replay_case *c)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/expect.txt", c->folder);
	f = fopen(path, "re");
	if (f == NULL) {
		printf("# %s: %s\n", path, strerror(errno));
		return -errno;
	}
	while ((n = getline(&line, &room, f)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (strcmp(line, "given lease over") == 0)
			c->given.is_lease_over = true;
		else if (strncmp(line, "given ", 6) == 0)
			lines_add(&c->given.configuration, "%s", line + 6);
		else if (strncmp(line, "any ", 4) == 0)
			lines_add(&c->any, "%s", line + 4);
		else
			lines_add(&c->expected, "%s", line);
	}
	free(line);
	fclose(f);
	return 0;
}

static void case_fini(struct replay_case *c)
{
	lines_fini(&c->given.configuration);
	lines_fini(&c->expected);
	lines_fini(&c->any);
}

/* ---- The data plane ---- */

static pid_t launch(const char *program, const struct world *w)
{
	pid_t parent = getpid(), pid;
	int log;

	fflush(stdout);
	pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	log = open(w->log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (getppid() != parent || log < 0 || dup2(log, STDERR_FILENO) < 0 ||
	    dup2(log, STDOUT_FILENO) < 0)
		_exit(127);
	execl(program, program, "--config", w->configuration, (char *)NULL);
	_exit(127);
}

static void print_log(const struct world *w)
{
	char line[512];
	FILE *f = fopen(w->log, "re");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		printf("# log: %s%s", line, strchr(line, '\n') == NULL ? "\n" : "");
	if (f != NULL)
		fclose(f);
}

static time_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* False: an equation does not hold, and standard output says which. */
static bool is_balanced(const struct stats *s)
{
	struct stats_equation equations[STATS_EQUATIONS];

	if (stats_check(s, equations) == 0)
		return true;
	for (int i = 0; i < STATS_EQUATIONS; i++)
		if (equations[i].in != equations[i].out)
			printf("# equation %s: in %" PRIu64 " out %" PRIu64 "\n", equations[i].name,
			       equations[i].in, equations[i].out);
	return false;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/* Until the worker has handled so many frames. */
static bool wait_for_frames(const struct world *w, pid_t pid, uint64_t n_frames)
{
	time_t until = now_s() + WAIT_S;
	struct stats s;

	while (now_s() < until) {
		int answer = fedmem_stats_read(w->fm, &s);

		if (answer == 0 && !is_balanced(&s))
			return false;
		if (answer == 0 && s.n[STATS_FRAMES] >= n_frames)
			return true;
		if (has_ended(pid)) {
			printf("# the data plane ended by itself\n");
			return false;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	printf("# not all of %" PRIu64 " frames were handled within %d s\n", n_frames, WAIT_S);
	return false;
}

/* True: it ended by itself after SIGTERM, with exit 0. */
static bool end(pid_t pid)
{
	time_t until = now_s() + WAIT_S;
	int status = 0;

	kill(pid, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_s() >= until) {
			printf("# it does not end\n");
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return false;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	printf("# it ended with status 0x%x\n", (unsigned int)status);
	return false;
}

/* ---- One case ---- */

/* Is one more of any counter that stands in an equation seen? */
static bool is_miscount_seen(const struct stats *published)
{
	struct stats_equation equations[STATS_EQUATIONS];

	for (enum stats_counter i = 0; i < STATS_N; i++) {
		struct stats s = *published;

		s.n[i]++;
		if (stats_group(i) != STATS_NOTE && stats_check(&s, equations) == 0) {
			printf("# one more of %s is not seen\n", stats_name(i));
			return false;
		}
	}
	for (enum decode_refusal i = DECODE_OK + 1; i < DECODE_REFUSAL_N; i++) {
		struct stats s = *published;

		s.decode[i]++;
		if (stats_check(&s, equations) == 0) {
			printf("# one more refusal %s is not seen\n", stats_refusal_name(i));
			return false;
		}
	}
	return true;
}

static bool compare(struct replay_case *c, struct lines *actual)
{
	struct lines missing = {0}, surplus = {0};
	bool is_same;

	for (size_t i = 0; i < c->any.n; i++)
		lines_drop(actual, c->any.items[i]);
	lines_sort(&c->expected);
	lines_sort(actual);
	lines_less(&c->expected, actual, &missing);
	lines_less(actual, &c->expected, &surplus);
	lines_print(&missing, "# expected: ", stdout);
	lines_print(&surplus, "# but there is: ", stdout);
	is_same = missing.n == 0 && surplus.n == 0;
	lines_fini(&missing);
	lines_fini(&surplus);
	return is_same;
}

/* Runs the data plane over the case; 'actual' is what came of it. */
static bool replay(const struct replay_case *c, const char *program, struct lines *actual)
{
	char capture[PATH_MAX];
	struct world w;
	struct stats s;
	uint64_t n_frames;
	bool is_good = false;
	pid_t pid;

	snprintf(capture, sizeof(capture), "%s/in.pcap", c->folder);
	if (capture_count(capture, &n_frames) < 0) {
		printf("# %s: no capture that can be read\n", capture);
		return false;
	}
	if (world_init(&w, c->folder, &c->given) < 0)
		goto out;
	pid = launch(program, &w);
	if (pid < 0)
		goto out;
	is_good = wait_for_frames(&w, pid, n_frames);
	is_good = end(pid) && is_good;
	if (!is_good)
		print_log(&w);
	is_good = is_good && fedmem_stats_read(w.fm, &s) == 0 && is_balanced(&s) &&
		  is_miscount_seen(&s);
	if (is_good) {
		outcome_stats(&s, actual);
		outcome_memory(w.fm, actual);
		outcome_sent(w.sent, actual);
	}
out:
	world_fini(&w);
	return is_good;
}

static bool run_case(const char *program, const char *folder)
{
	struct replay_case c = {.folder = folder};
	struct lines actual = {0};
	bool is_good =
		read_expected(&c) == 0 && replay(&c, program, &actual) && compare(&c, &actual);

	lines_fini(&actual);
	case_fini(&c);
	return is_good;
}

static bool show_case(const char *program, const char *folder)
{
	char path[PATH_MAX];
	struct replay_case c = {.folder = folder};
	struct lines actual = {0};
	bool is_good;

	snprintf(path, sizeof(path), "%s/expect.txt", folder);
	is_good =
		(access(path, R_OK) != 0 || read_expected(&c) == 0) && replay(&c, program, &actual);
	lines_print(&actual, "", stdout);
	lines_fini(&actual);
	case_fini(&c);
	return is_good;
}

static int is_case(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int run_all(const char *program, const char *folder)
{
	struct dirent **cases;
	int n_failed = 0, n = scandir(folder, &cases, is_case, alphasort);

	if (n < 0)
		err(1, "%s", folder);
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];
		bool is_good;

		snprintf(path, sizeof(path), "%s/%s", folder, cases[i]->d_name);
		is_good = run_case(program, path);
		printf("%s %d - %s\n", is_good ? "ok" : "not ok", i + 1, cases[i]->d_name);
		fflush(stdout);
		n_failed += !is_good;
		free(cases[i]);
	}
	free(cases);
	return n_failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	cpu_set_t cores;
	int code = 0;

	if (argc < 4 || strcmp(argv[1], "--dp") != 0)
		errx(1, "usage: replay --dp PROGRAM FOLDER | --show CASE...");
	if (sched_getaffinity(0, sizeof(cores), &cores) == 0 && CPU_COUNT(&cores) < 2) {
		printf("1..0 # SKIP a data plane wants two cores\n");
		return 0;
	}
	if (strcmp(argv[3], "--show") != 0)
		return run_all(argv[2], argv[3]);
	for (int i = 4; i < argc; i++)
		code |= !show_case(argv[2], argv[i]);
	return code;
}
