#include "tests/unit/cp/archive_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dp/fedmem/fedmem.h"

struct archive_fixture ax;

int archive_fixture_make(void **state)
{
	(void)state;
	memset(&ax, 0, sizeof(ax));
	snprintf(ax.dir, sizeof(ax.dir), "/tmp/bellwether-archive-XXXXXX");
	if (mkdtemp(ax.dir) == NULL)
		return -1;
	ax.cfg = (struct archive_config){
		.loop = &ax.loop,
		.dir = ax.dir,
		.self = FIXTURE_SELF,
		.bytes_max = 64u << 20,
		.events_bytes_max = 32u << 20,
		.events_keep_s = 30 * 24 * 3600,
	};
	return uv_loop_init(&ax.loop);
}

void archive_shut(void)
{
	archive_close(ax.archive);
	ax.archive = NULL;
	uv_run(&ax.loop, UV_RUN_DEFAULT);
}

int archive_fixture_remove(void **state)
{
	struct dirent *entry;
	DIR *dir;

	(void)state;
	archive_shut();
	if (uv_loop_close(&ax.loop) != 0)
		return -1;
	dir = opendir(ax.dir);
	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	return rmdir(ax.dir);
}

void archive_open_ok(void)
{
	int err = archive_open(&ax.archive, &ax.cfg, &ax.is_new, ax.why, sizeof(ax.why));

	if (err != 0)
		fail_msg("archive_open: %d %s", err, ax.why);
}

void archive_turn(void)
{
	assert_int_not_equal(uv_run(&ax.loop, UV_RUN_ONCE), 0);
}

struct archive_batch *archive_batch_ok(void)
{
	struct archive_batch *b = archive_batch(ax.archive);

	assert_non_null(b);
	return b;
}

static void on_done(void *user)
{
	(void)user;
	ax.n_done++;
}

int archive_commit_counted(struct archive_batch *b)
{
	return archive_commit(ax.archive, b, on_done, NULL);
}

void archive_commit_wait(struct archive_batch *b)
{
	uint32_t wanted = ax.n_done + 1;

	assert_int_equal(archive_commit_counted(b), 0);
	while (ax.n_done < wanted)
		archive_turn();
}

struct wire_event archive_event(uint16_t origin, uint64_t number, uint64_t time_ns)
{
	return (struct wire_event){.origin = origin,
				   .number = number,
				   .time_ns = time_ns,
				   .kind = "cell_moved",
				   .cell = "east",
				   .token = {7, 8},
				   .server = 1,
				   .was = 3,
				   .epoch = 7,
				   .operator_name = "",
				   .request_id = "",
				   .text = "a text that says what happened"};
}

static struct wire_octets octets(const char *text)
{
	return (struct wire_octets){(const uint8_t *)text, (uint32_t)strlen(text)};
}

struct wire_stored_alarm archive_alarm(uint64_t element, const char *type, const char *resource,
				       const char *qualifier)
{
	return (struct wire_stored_alarm){.element_id = element,
					  .type = octets(type),
					  .resource = octets(resource),
					  .qualifier = octets(qualifier),
					  .text = octets("down"),
					  .state = FEDMEM_ALARM_RAISED,
					  .severity = FEDMEM_MAJOR,
					  .raised_ns = 11,
					  .changed_ns = 12,
					  .last_ns = 13,
					  .count = 14,
					  .boot = 15,
					  .sequence = 16,
					  .stored_ns = 17,
					  .owner = 3,
					  .token = {7, 8},
					  .cell = "east"};
}

struct wire_alarm_note archive_note(uint64_t element, const char *type, const char *resource,
				    const char *qualifier)
{
	return (struct wire_alarm_note){.element_id = element,
					.raised_ns = 11,
					.time_ns = 12,
					.number = 13,
					.type = octets(type),
					.resource = octets(resource),
					.qualifier = octets(qualifier),
					.is_ack = true,
					.operator_name = "ann",
					.text = "seen",
					.request_id = "r1",
					.origin = 2};
}

struct numbers {
	char text[2048];
	size_t at;
	uint16_t origin;
};

static bool see_number(void *user, const struct wire_event *e)
{
	struct numbers *n = user;

	assert_int_equal(e->origin, n->origin);
	n->at += (size_t)snprintf(n->text + n->at, sizeof(n->text) - n->at, "%" PRIu64 " ",
				  e->number);
	return true;
}

const char *archive_numbers(uint16_t origin, uint64_t after, uint64_t last, bool is_descending)
{
	static struct numbers n;

	n = (struct numbers){.origin = origin};
	assert_int_equal(
		archive_events(ax.archive, origin, after, last, is_descending, see_number, &n), 0);
	return n.text;
}
