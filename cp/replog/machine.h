/* machine.h - the parts of the log's state machine, among themselves.
 *
 *   replog.c     life, events, what is told to the outside
 *   entries.c    places and epochs; what of them is on disk
 *   follower.c   what a master's requests and snapshots do here
 *   sender.c     what each server lacks, what is committed
 */
#ifndef BELLWETHER_CP_REPLOG_MACHINE_H
#define BELLWETHER_CP_REPLOG_MACHINE_H

#include "cp/replog/replog.h"

/* Tests build these files once more for each planted bug, and the simulator has to find it. */
#ifndef REPLOG_MUTANT
#define REPLOG_MUTANT 0
#endif
#define MUTANT(n) (REPLOG_MUTANT == (n))

/* An index or an epoch beyond this is nonsense. */
#define PLACE_MAX (UINT64_C(1) << 62)

/* entries.c */
uint64_t entries_epoch_at(const struct replog *r, uint64_t index); /* 0: not known */
struct election_position entries_end(const struct replog *r);
/* The newest entry of this epoch or an older one, as far as epochs are known; else 'base'. */
uint64_t entries_last_of(const struct replog *r, uint64_t epoch);
uint64_t entries_run_start(const struct replog *r, uint64_t index); /* of first..last */
/* Is there room for runs of these epochs behind 'after'? */
bool entries_has_room(const struct replog *r, uint64_t after, const struct replog_run *runs,
		      uint32_t n);
void entries_push(struct replog *r, uint64_t epoch, uint64_t n);
/* Forgets all entries from this one on. The write that does it on disk is the next one. */
void entries_give_up(struct replog *r, uint64_t from);
void entries_become(struct replog *r, uint64_t index, uint64_t epoch); /* nothing but a state */
void entries_compact(struct replog *r, uint64_t below);
void entries_name_write(struct replog *r, struct replog_output *out);
void entries_stored(struct replog *r, struct replog_write write);

/* replog.c */
int machine_compare(struct election_position a, struct election_position b);
bool machine_is_lost(const struct replog *r);
bool machine_is_empty(const struct replog *r); /* it holds nothing, and began so */
void machine_hold(struct replog *r, struct election_position held, struct replog_output *out);
void machine_refuse(struct replog_output *out, uint64_t match, const char *why);

/* follower.c */
void follower_request(struct replog *r, const struct replog_input *in, struct replog_output *out);
void follower_snapshot(struct replog *r, const struct replog_input *in, struct replog_output *out);
/* What may follow from something being on disk. */
void follower_stored(struct replog *r, struct replog_write write);

/* sender.c */
void sender_begin(struct replog *r); /* or ends: what was known of the others is void */
void sender_peer(struct replog *r, const struct replog_input *in);
void sender_answer(struct replog *r, const struct replog_input *in);
void sender_failed(struct replog *r, const struct replog_input *in);
void sender_commit(struct replog *r);
void sender_send(struct replog *r, struct replog_output *out);

#endif
