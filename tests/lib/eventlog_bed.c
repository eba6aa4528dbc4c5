#include "tests/lib/eventlog_bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void on_seen(void *user, const struct wire_event *e)
{
	struct eventlog_bed *b = user;

	assert_true(b->n_seen < BED_SEEN_MAX);
	b->numbers[b->n_seen] = e->number;
	if (e->has_alarm)
		snprintf(b->seen[b->n_seen++], sizeof(b->seen[0]), "%s %s %s %s", e->kind,
			 e->alarm.element, e->alarm.resource, e->alarm.severity);
	else
		snprintf(b->seen[b->n_seen++], sizeof(b->seen[0]), "%s", e->kind);
}

static void on_lost(void *user)
{
	struct eventlog_bed *b = user;

	b->n_lost++;
}

void eventlog_bed_open(struct eventlog_bed *b, const struct played_config *cfg)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(uv_loop_init(&b->loop), 0);
	played_server_open(&b->server, cfg);
	fake_cluster_cell(b->server.cluster, "r0", 1, BED_TOKEN.epoch, BED_TOKEN.generation);
	fake_cluster_cell(b->server.cluster, "r1", 2, BED_TOKEN.epoch, BED_TOKEN.generation);
	fake_cluster_cell(b->server.cluster, "r2", 1, BED_TOKEN.epoch, BED_TOKEN.generation);
	b->archive = fake_archive_create(NULL);
	b->standby = played_standby_create();
	played_trail_clear();
}

void eventlog_bed_start(struct eventlog_bed *b, bool is_archive_new)
{
	const struct eventlog_config cfg = {
		.loop = &b->loop,
		.fedmem = b->server.fm,
		.cluster = b->server.cluster,
		.inventory = b->server.inventory,
		.memory = b->server.memory,
		.archive = b->archive,
		.standby = b->standby,
		.client = b->client,
		.is_archive_new = is_archive_new,
	};

	assert_int_equal(eventlog_create(&b->log, &cfg), 0);
	b->follower = (struct eventlog_follower){.seen = on_seen, .lost = on_lost, .user = b};
	eventlog_follow(b->log, &b->follower);
}

void eventlog_bed_stop(struct eventlog_bed *b)
{
	eventlog_destroy(b->log);
	b->log = NULL;
	uv_run(&b->loop, UV_RUN_NOWAIT);
}

void eventlog_bed_follow(struct eventlog_bed *b)
{
	uv_run(&b->loop, UV_RUN_ONCE);
}

void eventlog_bed_settle(struct eventlog_bed *b)
{
	do {
		fake_archive_turn(b->archive);
		eventlog_bed_follow(b);
	} while (fake_archive_waiting(b->archive) > 0);
}

void eventlog_bed_report(struct eventlog_bed *b, uint64_t element, const char *resource,
			 uint8_t severity)
{
	played_alarm(&b->server,
		     &(struct played_alarm){element, BED_TOKEN, "linkDown", resource, severity});
}

void eventlog_bed_close(struct eventlog_bed *b)
{
	if (b->log != NULL)
		eventlog_bed_stop(b);
	standby_destroy(b->standby);
	fake_archive_destroy(b->archive);
	played_server_close(&b->server);
	uv_run(&b->loop, UV_RUN_DEFAULT); /* only what is being closed is left in it */
	assert_int_equal(uv_loop_close(&b->loop), 0);
}
