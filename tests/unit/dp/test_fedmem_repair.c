#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/dp/fedmem_fixture.h"

#include "dp/fedmem/writer.h"

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Runs 'work' in a child that owns the writer, waits for the octet that it writes, kills it there.
 */
static void kill_in(const struct place *p, void (*work)(struct fedmem_writer *, int))
{
	int at[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(at), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		work(must_write(must_open(p)), at[1]);
		_exit(1);
	}
	assert_int_equal(read(at[0], &byte, 1), 1);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(at[0]);
	close(at[1]);
}

static void say_and_wait(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(2);
	for (;;)
		pause();
}

static void half_a_state(struct fedmem_writer *w, int fd)
{
	struct fedmem_state *s = fedmem_state_begin(w, 3, 4, token_one);

	s->n_reports = 0xbad;
	s->boot = 0xbad;
	for (uint32_t i = 0; i < 8; i++)
		fedmem_state_metric(w, s, i, 0xbad);
	s->worst = 3;
	say_and_wait(fd);
}

static void half_a_state_of_another_token(struct fedmem_writer *w, int fd)
{
	struct fedmem_state *s = fedmem_state_begin(w, 3, 4, (struct fedmem_token){9, 9});

	s->n_reports = 0xbad;
	say_and_wait(fd);
}

static void half_an_alarm(struct fedmem_writer *w, int fd)
{
	struct fedmem_alarm_key key = key_of(3, "a");
	struct fedmem_alarm *a = fedmem_alarm_begin(w, &key);

	a->state = FEDMEM_ALARM_GONE;
	a->count = 0xbad;
	memset(a->text, 'b', sizeof(a->text));
	say_and_wait(fd);
}

static void half_a_new_alarm(struct fedmem_writer *w, int fd)
{
	struct fedmem_alarm_key key = key_of(3, "new");
	struct fedmem_alarm *a = fedmem_alarm_begin(w, &key);

	a->state = FEDMEM_ALARM_RAISED;
	a->severity = FEDMEM_CRITICAL;
	say_and_wait(fd);
}

static void an_alarm_but_not_the_state_of_it(struct fedmem_writer *w, int fd)
{
	struct fedmem_alarm_key key = key_of(3, "new");
	struct fedmem_alarm *a = fedmem_alarm_begin(w, &key);

	a->state = FEDMEM_ALARM_RAISED;
	a->severity = FEDMEM_CRITICAL;
	a->raised_ns = 50;
	fedmem_alarm_commit(w, a, FEDMEM_EV_RAISED);
	say_and_wait(fd);
}

/* Element 4 in slot 3 with eight metrics and the alarms a (raised) and b (gone). */
static struct place *place_with_history(void)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm = must_open(p);
	struct fedmem_writer *w = must_write(fm);
	struct fedmem_alarm_key a = key_of(3, "a"), b = key_of(3, "b");
	struct fedmem_state *s = fedmem_state_begin(w, 3, 4, token_one);

	s->n_reports = 17;
	for (uint32_t i = 0; i < 8; i++)
		fedmem_state_metric(w, s, i, 1000 + i);
	fedmem_state_commit(w, s);
	report_alarm(w, fm, &a, FEDMEM_MINOR, 10);
	report_alarm(w, fm, &b, FEDMEM_MAJOR, 20);
	report_alarm(w, fm, &b, FEDMEM_CLEARED, 30);
	fedmem_writer_close(w);
	fedmem_close(fm);
	return p;
}

struct image {
	struct fedmem_state s;
	struct fedmem_metric metrics[8];
	struct fedmem_alarm alarms[16];
	bool has_alarm[16];
};

static void image_take(struct image *i, const struct fedmem *fm)
{
	memset(i, 0, sizeof(*i));
	assert_int_equal(fedmem_state_read(fm, 3, &i->s, i->metrics), 0);
	i->s.seq = 0;
	for (uint32_t k = 0; k < 16; k++) {
		i->has_alarm[k] = fedmem_alarm_read(fm, k, &i->alarms[k]) == 0;
		i->alarms[k].seq = 0;
	}
}

/* Kills in 'work', then: is everything as before, and how many records were put back? */
static void check_undone(void (*work)(struct fedmem_writer *, int))
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_alarm_key a = key_of(3, "a"), b = key_of(3, "b"), new = key_of(3, "new");
	struct image before, after;
	struct fedmem_writer *w;
	uint64_t overflows;
	uint32_t n;

	image_take(&before, fm);
	kill_in(p, work);
	overflows = fedmem_event_overflows(fm);
	assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
	assert_int_equal(n, 1);
	assert_true(fedmem_event_overflows(fm) > overflows);
	image_take(&after, fm);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_non_null(fedmem_alarm_find(w, &a));
	assert_non_null(fedmem_alarm_find(w, &b));
	assert_null(fedmem_alarm_find(w, &new));
	assert_int_equal(fedmem_alarms_used(fm), 2);
	fedmem_writer_close(w);
	assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
	assert_int_equal(n, 0);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

static void a_state_that_was_half_written_is_as_it_was_before(void **state)
{
	check_undone(half_a_state);
}

static void an_alarm_that_was_half_written_is_as_it_was_before(void **state)
{
	check_undone(half_an_alarm);
}

static void an_alarm_that_was_half_raised_is_not_there(void **state)
{
	check_undone(half_a_new_alarm);
}

/* The alarms of the old token were given up before; the state goes back to the old token without
 * them. */
static void a_state_that_was_half_emptied_goes_back_and_counts_no_alarms(void **state)
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_metric metrics[8];
	struct fedmem_writer *w;
	struct fedmem_state s;
	uint32_t n;

	kill_in(p, half_a_state_of_another_token);
	assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(fedmem_state_read(fm, 3, &s, metrics), 0);
	assert_true(fedmem_token_equal(s.token, token_one));
	assert_int_equal(s.n_reports, 17);
	assert_int_equal(metrics[7].value, 1007);
	assert_int_equal(s.n_alarms, 0);
	assert_int_equal(s.worst, FEDMEM_CLEARED);
	assert_int_equal(s.alarm_first, FEDMEM_NONE);
	assert_int_equal(fedmem_alarms_used(fm), 0);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

static void a_committed_alarm_is_counted_by_the_next_writer(void **state)
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_alarm_key key = key_of(3, "new");
	struct fedmem_writer *w;
	struct fedmem_state s;
	uint32_t n;

	kill_in(p, an_alarm_but_not_the_state_of_it);
	assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
	assert_int_equal(n, 0);
	assert_non_null(fedmem_alarm_find(w, &key));
	assert_int_equal(fedmem_state_read(fm, 3, &s, NULL), 0);
	assert_int_equal(s.n_alarms, 2);
	assert_int_equal(s.worst, FEDMEM_CRITICAL);
	assert_int_equal(chain_raised(fm, 3), 2);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

static void a_record_whose_writer_died_is_busy_until_the_next_writer_comes(void **state)
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_state s = {.n_reports = 5};
	struct fedmem_writer *w;

	kill_in(p, half_a_state);
	assert_int_equal(fedmem_state_read(fm, 3, &s, NULL), FEDMEM_BUSY);
	assert_int_equal(s.n_reports, 5);
	w = must_write(fm);
	assert_int_equal(fedmem_state_read(fm, 3, &s, NULL), 0);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

static void a_second_writer_is_ebusy_while_the_first_one_lives(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm = must_open(p), *other = must_open(p);
	struct fedmem_writer *w = must_write(fm), *second = NULL;
	pid_t child;
	int status;

	assert_int_equal(fedmem_writer_open(&second, fm, NULL), -EBUSY);
	assert_int_equal(fedmem_writer_open(&second, other, NULL), -EBUSY);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(fedmem_writer_open(&second, must_open(p), NULL) == -EBUSY ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_null(second);
	assert_int_equal(fedmem_dp_starts(fm), 1);
	fedmem_writer_close(w);
	second = must_write(other);
	fedmem_writer_close(second);
	fedmem_close(fm);
	fedmem_close(other);
	place_remove(p);
}

static void a_writer_of_a_segment_that_was_replaced_is_estale(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *old = must_open(p), *new;
	struct fedmem_writer *w = NULL;

	assert_int_equal(unlink(p->path), 0);
	new = must_open(p);
	assert_int_equal(fedmem_writer_open(&w, old, NULL), -ESTALE);
	w = must_write(new);
	fedmem_writer_close(w);
	fedmem_close(old);
	fedmem_close(new);
	place_remove(p);
}

/* A kill between the commit of an alarm and the event of it. */
static void an_event_number_that_an_alarm_carries_is_not_given_again(void **state)
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_alarm_key key = key_of(3, "a");
	struct fedmem_writer *w;

	assert_int_equal(fm->header->event_last, 3);
	fm->header->event_last = 2;
	w = must_write(fm);
	report_alarm(w, fm, &key, FEDMEM_CRITICAL, 60);
	assert_int_equal(fedmem_alarm_find(w, &key)->change, 4);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

static void damage_that_no_journal_knows_is_dropped_and_counted(void **state)
{
	struct place *p = place_with_history();
	struct fedmem *fm = must_open(p);
	struct fedmem_writer *w;
	struct fedmem_state s;
	uint32_t n;

	fm->alarms[1].seq |= 1;
	fm->alarms[0].severity = 200;
	fm->alarms[0].next = 4711;
	fm->journal->armed = 77;
	assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(fedmem_alarms_used(fm), 0);
	assert_int_equal(fedmem_state_read(fm, 3, &s, NULL), 0);
	assert_int_equal(s.n_alarms, 0);
	assert_int_equal(s.n_reports, 17);
	fedmem_writer_close(w);
	fedmem_close(fm);
	place_remove(p);
}

/* ---- 200 kills at any instruction ---- */

enum { ROUNDS = 200, SLOTS = 8, RESOURCES = 12 };

/* What the child has committed, told outside of the segment: written right after each commit, so
 * the segment is at most one step ahead. The parent's model of every alarm. */
struct told {
	_Atomic uint64_t n_steps;
	uint32_t slot, resource;	     /* of the step that is going on */
	uint8_t severity;		     /* that it sets */
	uint64_t generation;		     /* > 0: the step renews the token of 'slot' instead */
	uint8_t committed[SLOTS][RESOURCES]; /* severity; FEDMEM_CLEARED: not raised */
	uint64_t reports[SLOTS];	     /* n_reports */
	uint64_t generations[SLOTS];
};

static struct fedmem_alarm_key numbered_key(uint32_t slot, uint32_t n, char text[8])
{
	snprintf(text, 8, "r%u", n);
	return key_of(slot, text);
}

static struct fedmem_token token_of(const struct told *t, uint32_t slot)
{
	return (struct fedmem_token){1, t->generations[slot] + 1};
}

/* One step: a report with eight metrics, then an alarm, then a recount. Now and then a new token.
 */
static void write_on(struct fedmem_writer *w, struct told *t, uint64_t *x)
{
	for (;;) {
		uint64_t r = next_random(x);
		char text[8];
		uint32_t slot = (uint32_t)(r % SLOTS);
		uint32_t resource = (uint32_t)(r >> 8) % RESOURCES;
		struct fedmem_alarm_key key = numbered_key(slot, resource, text);
		uint8_t severity = (uint8_t)((r >> 16) % SEVERITIES);
		struct fedmem_state *s;
		struct fedmem_alarm *a;

		t->slot = slot;
		t->resource = resource;
		t->severity = severity;
		t->generation = r >> 57 == 0 ? t->generations[slot] + 1 : 0;
		atomic_signal_fence(memory_order_seq_cst);
		if (t->generation > 0) {
			s = fedmem_state_begin(w, slot, slot + 1,
					       (struct fedmem_token){1, t->generation + 1});
			fedmem_state_commit(w, s);
			t->reports[slot] = 0;
			memset(t->committed[slot], 0, RESOURCES);
			t->generations[slot] = t->generation;
			t->generation = 0;
			atomic_signal_fence(memory_order_seq_cst);
		}
		s = fedmem_state_begin(w, slot, slot + 1, token_of(t, slot));
		s->n_reports++;
		s->boot = s->sequence = s->n_reports;
		for (uint32_t i = 0; i < 8; i++)
			fedmem_state_metric(w, s, i, s->n_reports);
		fedmem_state_commit(w, s);
		t->reports[slot]++;

		a = fedmem_alarm_begin(w, &key);
		if (a != NULL) {
			enum fedmem_event_kind kind = 0;

			if (severity != FEDMEM_CLEARED) {
				kind = FEDMEM_EV_RAISED;
				if (a->state != FEDMEM_ALARM_RAISED)
					a->raised_ns = atomic_load(&t->n_steps);
				a->state = FEDMEM_ALARM_RAISED;
				a->severity = severity;
			} else if (a->state == FEDMEM_ALARM_RAISED) {
				kind = FEDMEM_EV_CLEARED;
				a->state = FEDMEM_ALARM_GONE;
			}
			a->changed_ns = atomic_load(&t->n_steps);
			a->count++;
			memset(a->text, (int)a->count & 0xff, sizeof(a->text));
			fedmem_alarm_commit(w, a, kind);
			t->committed[slot][resource] = severity;
		}
		recount(w, slot, token_of(t, slot));
		atomic_store(&t->n_steps, atomic_load(&t->n_steps) + 1);
	}
}

static uint32_t count_list(const struct fedmem_writer *w, uint32_t first)
{
	uint32_t n = 0;

	for (uint32_t i = first; i != FEDMEM_NONE; i = w->links[i].age_next)
		assert_true(++n <= w->fm->sizes.alarms_max);
	return n;
}

static void check_state(const struct fedmem *fm, const struct told *t, uint32_t slot,
			uint32_t n_raised, uint8_t worst)
{
	struct fedmem_metric metrics[8];
	struct fedmem_state s;

	assert_int_equal(fedmem_state_read(fm, slot, &s, metrics), 0);
	assert_true(s.n_reports == t->reports[slot] ||
		    (slot == t->slot && s.n_reports == t->reports[slot] + 1));
	assert_true(s.boot == s.n_reports && s.sequence == s.n_reports);
	for (uint32_t i = 0; i < s.n_metrics; i++)
		assert_true(metrics[i].id == i && metrics[i].value == s.n_reports);
	assert_int_equal(s.n_metrics, s.n_reports > 0 ? 8 : 0);
	assert_int_equal(s.n_alarms, n_raised);
	assert_int_equal(s.worst, worst);
	assert_int_equal(chain_raised(fm, slot), n_raised);
}

/* Brings the model up to the step that the kill cut off, where the segment has it already. */
static void model_follow(struct fedmem_writer *w, struct told *t)
{
	char text[8];
	struct fedmem_alarm_key key = numbered_key(t->slot, t->resource, text);
	const struct fedmem_alarm *a;

	if (t->generation > 0) {
		if (fedmem_state_peek(w, t->slot)->token.generation == t->generation + 1) {
			t->generations[t->slot] = t->generation;
			t->reports[t->slot] = 0;
		}
		/* its alarms are given up before the state changes */
		for (uint32_t i = 0; i < RESOURCES; i++) {
			key = numbered_key(t->slot, i, text);
			a = fedmem_alarm_find(w, &key);
			if (a == NULL || a->state != FEDMEM_ALARM_RAISED)
				t->committed[t->slot][i] = FEDMEM_CLEARED;
		}
		t->generation = 0;
		return;
	}
	a = fedmem_alarm_find(w, &key);
	if (a != NULL && a->state == FEDMEM_ALARM_RAISED && a->severity == t->severity)
		t->committed[t->slot][t->resource] = t->severity;
	if (t->severity == FEDMEM_CLEARED && (a == NULL || a->state == FEDMEM_ALARM_GONE))
		t->committed[t->slot][t->resource] = FEDMEM_CLEARED;
}

static void check_all(struct fedmem_writer *w, struct told *t)
{
	const struct fedmem *fm = w->fm;
	uint32_t n_raised_all = 0, n_gone = count_list(w, w->gone_first);
	uint64_t reports = fedmem_state_peek(w, t->slot)->n_reports;

	model_follow(w, t);
	for (uint32_t slot = 0; slot < SLOTS; slot++) {
		uint32_t n_raised = 0;
		uint8_t worst = FEDMEM_CLEARED;

		for (uint32_t i = 0; i < RESOURCES; i++) {
			char text[8];
			struct fedmem_alarm_key key = numbered_key(slot, i, text);
			const struct fedmem_alarm *a = fedmem_alarm_find(w, &key);
			uint8_t severity = a != NULL && a->state == FEDMEM_ALARM_RAISED
						   ? a->severity
						   : FEDMEM_CLEARED;

			assert_int_equal(severity, t->committed[slot][i]);
			for (size_t k = 0; a != NULL && k < sizeof(a->text); k++)
				assert_true((uint8_t)a->text[k] == (a->count & 0xff));
			n_raised += severity != FEDMEM_CLEARED;
			if (severity > worst)
				worst = severity;
		}
		check_state(fm, t, slot, n_raised, worst);
		n_raised_all += n_raised;
	}
	t->reports[t->slot] = reports;
	assert_int_equal(fedmem_alarms_used(fm), n_raised_all + n_gone);
	assert_int_equal(fm->sizes.alarms_max,
			 count_list(w, w->free_first) + n_raised_all + n_gone);
}

static void two_hundred_kills_while_writing_lose_nothing_and_break_nothing(void **state)
{
	struct fedmem_sizes sizes = small_sizes();
	struct told *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t x = 6364136223846793005ull, last_number = 0;
	uint32_t n_repaired_all = 0;
	struct place *p;
	struct fedmem *fm;
	struct fedmem_writer *w;

	assert_true(t != MAP_FAILED);
	sizes.alarms_max = 64; /* less than the 96 keys: it recycles, and is full at times */
	p = place_make(sizes);
	fm = must_open(p);
	w = must_write(fm);
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		touch(w, slot, token_of(t, slot));
	fedmem_writer_close(w);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begun = atomic_load(&t->n_steps), seed = next_random(&x);
		struct fedmem_event e;
		uint32_t n;
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			write_on(must_write(must_open(p)), t, &seed);
		for (uint32_t naps = 0; atomic_load(&t->n_steps) < begun + 20; naps++) {
			assert_true(naps < 100000);
			usleep(100);
		}
		for (uint64_t spins = next_random(&x) % 100000; spins > 0; spins--)
			cpu_relax();
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);

		assert_int_equal(fedmem_writer_open(&w, fm, &n), 0);
		assert_true(n <= 1);
		n_repaired_all += n;
		check_all(w, t);
		while (fedmem_event_peek(fm, 0, &e) == 0) {
			assert_true(e.number > last_number);
			last_number = e.number;
			fedmem_event_release(fm, e.number);
		}
		fedmem_writer_close(w);
	}
	print_message("# %lu steps, %u records put back\n", atomic_load(&t->n_steps),
		      n_repaired_all);
	assert_true(n_repaired_all > 0);
	fedmem_close(fm);
	place_remove(p);
	munmap(t, sizeof(*t));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_that_was_half_written_is_as_it_was_before),
		cmocka_unit_test(an_alarm_that_was_half_written_is_as_it_was_before),
		cmocka_unit_test(an_alarm_that_was_half_raised_is_not_there),
		cmocka_unit_test(a_state_that_was_half_emptied_goes_back_and_counts_no_alarms),
		cmocka_unit_test(a_committed_alarm_is_counted_by_the_next_writer),
		cmocka_unit_test(a_record_whose_writer_died_is_busy_until_the_next_writer_comes),
		cmocka_unit_test(a_second_writer_is_ebusy_while_the_first_one_lives),
		cmocka_unit_test(a_writer_of_a_segment_that_was_replaced_is_estale),
		cmocka_unit_test(an_event_number_that_an_alarm_carries_is_not_given_again),
		cmocka_unit_test(damage_that_no_journal_knows_is_dropped_and_counted),
		cmocka_unit_test(two_hundred_kills_while_writing_lose_nothing_and_break_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
