/* election_case.h - one election under test, with a clock and a disk that the test moves. */
#ifndef BELLWETHER_TESTS_UNIT_CP_ELECTION_CASE_H
#define BELLWETHER_TESTS_UNIT_CP_ELECTION_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cp/election/election.h"

#define BEAT  100
#define HOLD  2000
#define GUARD (4 * BEAT + 1)
#define LEASE 325

/* Server 2 of 1, 2, 3, and where a test says so 4 and 5; the ranks are 10, 20, ... */
extern struct election case_election;
extern struct election_output case_out;
extern struct election_durable case_disk;
extern uint64_t case_now;

void case_step(struct election_input in);
void case_timer(void);
void case_stored(void);
void case_tell(bool is_healthy, uint64_t version);
void case_message(uint8_t kind, uint8_t verdict, uint16_t from, uint64_t epoch,
		  uint16_t released_by);
void case_beat(uint16_t from, uint64_t epoch, uint16_t master, uint64_t acked_ms);
void case_start(uint16_t self, uint32_t n_voters, uint64_t epoch);
int case_setup(void **state);
void case_assert_sent(uint8_t kind, uint8_t verdict, uint16_t to);
void case_assert_sent_to_all(uint8_t kind);
void case_ask(void);
void case_lead(void);

#endif
