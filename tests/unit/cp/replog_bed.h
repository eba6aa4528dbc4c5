/* replog_bed.h - one log under test, its inputs in short. */
#ifndef BELLWETHER_TESTS_UNIT_CP_REPLOG_BED_H
#define BELLWETHER_TESTS_UNIT_CP_REPLOG_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cp/replog/replog.h"

#define SELF	 2
#define BOOT	 9
#define RETRY_MS 50
#define ANYWHERE UINT64_MAX /* of a refusal: it says nothing about the place */

/* Server 2 of the voters 1, 2, 3, and of 4, which is none. */
static struct replog r;
static struct replog_output out;
static uint64_t now;

static inline struct replog_config config(void)
{
	return (struct replog_config){
		.self = SELF,
		.boot = BOOT,
		.n_servers = 4,
		.servers = {{1, true}, {SELF, true}, {3, true}, {4, false}},
		.retry_ms = RETRY_MS,
	};
}

static inline void start(const struct replog_durable *d)
{
	struct replog_config cfg = config();

	now = 1000;
	assert_int_equal(replog_init(&r, &cfg, d), 0);
}

/* A log of entries 1..last of epoch 1, of which the state is that after 'base'. */
static inline void start_with(uint64_t last, uint64_t base)
{
	start(&(struct replog_durable){.base = base,
				       .base_epoch = base > 0,
				       .first = 1,
				       .last = last,
				       .runs = {{1, 1}},
				       .n_runs = last > 0});
}

static inline void step(struct replog_input in)
{
	in.now_ms = now;
	replog_step(&r, &in, &out);
}

static inline void role(uint16_t master, uint64_t epoch, bool is_acting)
{
	step((struct replog_input){
		.event = REPLOG_EV_ROLE, .master = master, .epoch = epoch, .is_acting = is_acting});
}

static inline void stored(struct replog_write write)
{
	step((struct replog_input){.event = REPLOG_EV_STORED, .write = write});
}

/* The write of the last output. */
static inline void store(void)
{
	assert_int_not_equal(out.write.number, 0);
	stored(out.write);
}

static inline void append(uint32_t n)
{
	step((struct replog_input){.event = REPLOG_EV_APPENDED, .n = n});
}

#endif
