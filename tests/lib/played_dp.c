/* played_dp: a data plane without a device. Beats in the segment, follows the cell table, takes
 * what is injected without keeping it, and does what its standard input says, a line each:
 *
 *   raise ELEMENT_ID TYPE RESOURCE        prints "done"
 *   clear ELEMENT_ID TYPE RESOURCE
 *
 * usage: played_dp CONFIGURATION; ends with its input. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dp/conf/conf.h"
#include "dp/fedmem/fedmem.h"

#define CELLS_MAX 512
#define TURN_MS	  20

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* False: no such element, or no cell. */
static bool find(struct fedmem *fm, uint64_t id, uint32_t *slot, struct fedmem_token *token)
{
	static struct fedmem_cell cells[CELLS_MAX];
	struct fedmem_element e;
	uint32_t n, version;

	if (fedmem_find_by_id(fm, id, slot) != 0 || fedmem_element_get(fm, *slot, &e) != 0 ||
	    fedmem_cells_get(fm, cells, CELLS_MAX, &n, &version) != 0 || e.cell >= n)
		return false;
	*token = cells[e.cell].token;
	return true;
}

static void change(struct fedmem *fm, struct fedmem_writer *w, const char *line)
{
	char verb[8], type[FEDMEM_TYPE_BYTES + 1], resource[FEDMEM_RESOURCE_BYTES + 1];
	struct fedmem_token token;
	struct fedmem_alarm *alarm;
	struct fedmem_state *state;
	unsigned long long id;
	uint32_t slot;
	bool is_raise;

	if (sscanf(line, "%7s %llu %40s %48s", verb, &id, type, resource) != 4 ||
	    !find(fm, id, &slot, &token)) {
		printf("not understood: %s", line);
		return;
	}
	is_raise = strcmp(verb, "raise") == 0;
	state = fedmem_state_begin(w, slot, id, token);
	state->last_seen_ns = now_ns(CLOCK_REALTIME);
	state->n_reports++;
	fedmem_state_commit(w, state);
	alarm = fedmem_alarm_begin(
		w, &(struct fedmem_alarm_key){.element = slot,
					      .type = type,
					      .resource = resource,
					      .qualifier = "",
					      .type_bytes = (uint8_t)strlen(type),
					      .resource_bytes = (uint8_t)strlen(resource)});
	if (alarm == NULL) {
		printf("no room\n");
		return;
	}
	alarm->state = is_raise ? FEDMEM_ALARM_RAISED : FEDMEM_ALARM_GONE;
	alarm->severity = FEDMEM_MAJOR;
	alarm->changed_ns = alarm->last_ns = now_ns(CLOCK_REALTIME);
	if (is_raise)
		alarm->raised_ns = alarm->changed_ns;
	alarm->count++;
	fedmem_alarm_commit(w, alarm, is_raise ? FEDMEM_EV_RAISED : FEDMEM_EV_CLEARED);
	state = fedmem_state_begin(w, slot, id, token);
	fedmem_state_recount(w, state);
	fedmem_state_commit(w, state);
	printf("done\n");
}

static void play(struct fedmem *fm, struct fedmem_writer *w)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	struct fedmem_inject inject;
	char line[256];

	for (;;) {
		fedmem_dp_beat(w, now_ns(CLOCK_BOOTTIME));
		while (fedmem_inject_peek(w, &inject) == 0)
			fedmem_inject_done(w);
		fedmem_dp_cells_followed(w, fedmem_cells_version(fm));
		if (poll(&input, 1, TURN_MS) == 0)
			continue;
		if (fgets(line, sizeof(line), stdin) == NULL)
			return;
		change(fm, w, line);
		fflush(stdout);
	}
}

static int run(const struct conf *conf)
{
	const struct fedmem_config cfg = {
		.path = conf->memory.path, .server_id = conf->server, .sizes = conf->memory.sizes};
	struct fedmem_writer *writer;
	struct fedmem *fm;
	uint32_t n_repaired;
	char why[256];

	if (fedmem_open(&fm, &cfg, why, sizeof(why)) != 0) {
		fprintf(stderr, "played_dp: %s\n", why);
		return 1;
	}
	if (fedmem_writer_open(&writer, fm, &n_repaired) != 0) {
		fprintf(stderr, "played_dp: the segment has a writer\n");
		fedmem_close(fm);
		return 1;
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* what is buffered poll() does not see */
	play(fm, writer);
	fedmem_writer_close(writer);
	fedmem_close(fm);
	return 0;
}

int main(int argc, char **argv)
{
	struct conf_findings findings = {0};
	struct conf *conf = NULL;
	int status = 1;

	if (argc == 2 && conf_load(&conf, argv[1], &findings) == 0)
		status = run(conf);
	else
		fprintf(stderr, "usage: played_dp CONFIGURATION\n");
	conf_findings_free(&findings);
	conf_free(conf);
	return status;
}
