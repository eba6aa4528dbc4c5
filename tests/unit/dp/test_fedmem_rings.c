/* The two rings between worker and control plane, over the death of either. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/dp/fedmem_fixture.h"

struct fixture {
	struct place *p;
	struct fedmem *fm;
	struct fedmem_writer *w;
};

static struct fixture with_state(void)
{
	struct fixture f = {.p = place_make(small_sizes())};

	f.fm = must_open(f.p);
	f.w = must_write(f.fm);
	touch(f.w, 1, token_one);
	return f;
}

static void done(struct fixture f)
{
	fedmem_writer_close(f.w);
	fedmem_close(f.fm);
	place_remove(f.p);
}

static void open_again(struct fixture *f)
{
	fedmem_writer_close(f->w);
	fedmem_close(f->fm);
	f->fm = must_open(f->p);
	f->w = must_write(f->fm);
}

/* One event each. */
static void raise_some(struct fixture f, int from, int n)
{
	char resource[8];

	for (int i = from; i < from + n; i++) {
		struct fedmem_alarm_key key;

		snprintf(resource, sizeof(resource), "r%d", i);
		key = key_of(1, resource);
		assert_true(report_alarm(f.w, f.fm, &key, FEDMEM_MINOR, 1) != FEDMEM_NONE);
	}
}

static uint64_t number_after(struct fixture f, uint64_t after)
{
	struct fedmem_event e;

	return fedmem_event_peek(f.fm, after, &e) == 0 ? e.number : 0;
}

static void an_event_keeps_its_place_until_it_is_released(void **state)
{
	struct fixture f = with_state();
	uint64_t overflows = fedmem_event_overflows(f.fm);

	raise_some(f, 0, 8);
	for (uint64_t number = 1; number <= 8; number++)
		assert_int_equal(number_after(f, number - 1), number);
	assert_int_equal(number_after(f, 8), 0);
	assert_int_equal(number_after(f, 0), 1); /* once more */
	raise_some(f, 8, 1);			 /* no place for 9 */
	assert_int_equal(fedmem_event_overflows(f.fm), overflows + 1);

	fedmem_event_release(f.fm, 3);
	raise_some(f, 9, 3);
	assert_int_equal(fedmem_event_overflows(f.fm), overflows + 1);
	assert_int_equal(number_after(f, 0), 4);
	assert_int_equal(number_after(f, 8), 10); /* over the gap */
	raise_some(f, 12, 1);
	assert_int_equal(fedmem_event_overflows(f.fm), overflows + 2);
	done(f);
}

static void a_release_gives_up_no_event_behind_the_number(void **state)
{
	struct fixture f = with_state();

	fedmem_event_release(f.fm, 100); /* an empty ring */
	raise_some(f, 0, 3);
	fedmem_event_release(f.fm, 0);
	assert_int_equal(number_after(f, 0), 1);
	fedmem_event_release(f.fm, 2);
	fedmem_event_release(f.fm, 1); /* late, of before */
	assert_int_equal(number_after(f, 0), 3);
	fedmem_event_release(f.fm, UINT64_MAX);
	assert_int_equal(number_after(f, 0), 0);
	raise_some(f, 3, 1);
	assert_int_equal(number_after(f, 0), 4);
	done(f);
}

static void a_consumer_that_starts_again_sees_what_was_not_released(void **state)
{
	struct fixture f = with_state();

	raise_some(f, 0, 5);
	assert_int_equal(number_after(f, 4), 5);
	fedmem_event_release(f.fm, 2);
	open_again(&f);
	assert_int_equal(number_after(f, 0), 3);
	assert_int_equal(number_after(f, 3), 4);
	done(f);
}

/* ---- Killed processes ---- */

#define LOG_MAX 2000000u

/* What outlives the killed ones beside the segment: a pretended disk. */
struct disk {
	_Atomic uint64_t n_produced;
	_Atomic uint32_t n_numbers;
	_Atomic uint64_t numbers[LOG_MAX];
};

static struct disk *disk_make(void)
{
	struct disk *d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(d != MAP_FAILED);
	return d;
}

static uint64_t last_on(const struct disk *d)
{
	uint32_t n = atomic_load(&d->n_numbers);

	return n == 0 ? 0 : atomic_load(&d->numbers[n - 1]);
}

static void store(struct disk *d, uint64_t number)
{
	uint32_t n = atomic_load(&d->n_numbers);

	if (n == LOG_MAX)
		_exit(2);
	atomic_store(&d->numbers[n], number);
	atomic_store(&d->n_numbers, n + 1);
}

/* A child that does this over and over until it is killed. */
static pid_t start(void (*work)(struct fixture f, struct disk *d), const struct place *p,
		   bool is_writer, struct disk *d)
{
	pid_t parent = getpid(), child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct fixture f = {.fm = must_open(p)};

		/* A test that fails leaves nobody behind. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(4);
		if (is_writer)
			f.w = must_write(f.fm);
		for (;;)
			work(f, d);
	}
	return child;
}

static void end(pid_t child)
{
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Until so many more are stored. */
static void await(const struct disk *d, uint32_t n)
{
	uint32_t begun = atomic_load(&d->n_numbers);

	for (uint32_t naps = 0; atomic_load(&d->n_numbers) - begun < n; naps++) {
		assert_true(naps < 200000);
		usleep(100);
	}
}

/* Never more than the ring has places for: what overflows is another matter. */
static void produce(struct fixture f, struct disk *d)
{
	struct fedmem_alarm_key key = key_of(1, "r");
	const struct fedmem_alarm *known = fedmem_alarm_find(f.w, &key);
	bool is_raised = known != NULL && known->state == FEDMEM_ALARM_RAISED;
	struct fedmem_event first;

	if (fedmem_event_peek(f.fm, 0, &first) == 0 &&
	    fedmem_event_peek(f.fm, first.number + 4, &first) == 0)
		return;
	report_alarm(f.w, f.fm, &key, is_raised ? FEDMEM_CLEARED : FEDMEM_MINOR, 1);
	atomic_fetch_add(&d->n_produced, 1);
}

static void consume(struct fixture f, struct disk *d)
{
	struct fedmem_event e;

	if (fedmem_event_peek(f.fm, last_on(d), &e) != 0)
		return;
	store(d, e.number);
	fedmem_event_release(f.fm, e.number);
}

static void events_are_stored_once_over_kills_of_both_sides(void **state)
{
	struct fixture f = with_state();
	struct disk *d = disk_make();
	uint32_t n_kills = 0, n_missing = 0;
	pid_t producer, consumer;

	fedmem_writer_close(f.w);
	producer = start(produce, f.p, true, d);
	consumer = start(consume, f.p, false, d);
	for (int round = 0; round < 200; round++) {
		await(d, 20);
		if (round % 2 == 0) {
			end(producer);
			n_kills++;
			producer = start(produce, f.p, true, d);
		} else {
			end(consumer);
			consumer = start(consume, f.p, false, d);
		}
	}
	end(producer);
	end(consumer);
	f.w = must_write(f.fm);
	while (number_after(f, last_on(d)) != 0)
		store(d, number_after(f, last_on(d)));
	for (uint32_t i = 1; i < atomic_load(&d->n_numbers); i++) {
		assert_true(d->numbers[i] > d->numbers[i - 1]);
		n_missing += (uint32_t)(d->numbers[i] - d->numbers[i - 1] - 1);
	}
	/* A worker that is killed between record and ring: the overflow word says so. */
	assert_true(n_missing <= n_kills);
	assert_true(fedmem_event_overflows(f.fm) >= n_kills);
	print_message("# %u events, %u killed before they were on the ring\n",
		      atomic_load(&d->n_numbers), n_missing);
	munmap(d, sizeof(*d));
	done(f);
}

/* ---- What the worker is to put in ---- */

static struct fedmem_inject numbered(uint64_t n)
{
	struct fedmem_inject i = {.kind = FEDMEM_INJECT_METRICS, .element_id = n};

	for (uint32_t k = 0; k < FEDMEM_INJECT_METRICS_MAX; k++)
		i.metrics[k].value = n;
	return i;
}

static uint64_t number_of(const struct fedmem_inject *i)
{
	for (uint32_t k = 0; k < FEDMEM_INJECT_METRICS_MAX; k++)
		if (i->metrics[k].value != i->element_id)
			_exit(3); /* torn */
	return i->element_id;
}

static void the_worker_takes_them_in_the_order_they_were_put(void **state)
{
	struct fixture f = with_state();
	struct fedmem_inject i;

	assert_int_equal(fedmem_inject_peek(f.w, &i), FEDMEM_NOT_FOUND);
	fedmem_inject_done(f.w); /* of nothing */
	assert_int_equal(fedmem_injects_done(f.fm), 0);
	for (uint64_t n = 1; n <= 2 * FEDMEM_INJECTS + 100; n++) {
		i = numbered(n);
		assert_int_equal(fedmem_inject_push(f.fm, &i), 0);
		assert_int_equal(fedmem_inject_peek(f.w, &i), 0);
		assert_int_equal(number_of(&i), n);
		fedmem_inject_done(f.w);
		assert_int_equal(fedmem_injects_done(f.fm), n);
	}
	assert_int_equal(fedmem_injects_pushed(f.fm), 2 * FEDMEM_INJECTS + 100);
	done(f);
}

static void a_full_ring_takes_no_more_and_loses_none(void **state)
{
	struct fixture f = with_state();
	struct fedmem_inject i;

	for (uint64_t n = 1; n <= FEDMEM_INJECTS; n++) {
		i = numbered(n);
		assert_int_equal(fedmem_inject_push(f.fm, &i), 0);
	}
	i = numbered(FEDMEM_INJECTS + 1);
	assert_int_equal(fedmem_inject_push(f.fm, &i), FEDMEM_FULL);
	assert_int_equal(fedmem_injects_pushed(f.fm), FEDMEM_INJECTS);
	assert_int_equal(fedmem_inject_peek(f.w, &i), 0);
	assert_int_equal(number_of(&i), 1);
	fedmem_inject_done(f.w);
	i = numbered(FEDMEM_INJECTS + 1);
	assert_int_equal(fedmem_inject_push(f.fm, &i), 0);
	for (uint64_t n = 2; n <= FEDMEM_INJECTS + 1; n++) {
		assert_int_equal(fedmem_inject_peek(f.w, &i), 0);
		assert_int_equal(number_of(&i), n);
		fedmem_inject_done(f.w);
	}
	done(f);
}

static void take(struct fixture f, struct disk *d)
{
	struct fedmem_inject i;

	if (fedmem_inject_peek(f.w, &i) != 0)
		return;
	store(d, number_of(&i));
	fedmem_inject_done(f.w);
}

static void put(struct fixture f, struct disk *d)
{
	struct fedmem_inject i = numbered(fedmem_injects_pushed(f.fm) + 1);

	(void)fedmem_inject_push(f.fm, &i);
}

static void what_a_killed_worker_had_not_finished_comes_again_and_nothing_is_skipped(void **state)
{
	struct fixture f = with_state();
	struct disk *d = disk_make();
	uint32_t n_kills = 0, n_again = 0;
	pid_t taker, putter;

	fedmem_writer_close(f.w);
	taker = start(take, f.p, true, d);
	putter = start(put, f.p, false, d);
	for (int round = 0; round < 200; round++) {
		await(d, 20);
		if (round % 2 == 0) {
			end(taker);
			n_kills++;
			taker = start(take, f.p, true, d);
		} else {
			end(putter);
			putter = start(put, f.p, false, d);
		}
	}
	end(putter);
	end(taker);
	f.w = must_write(f.fm);
	while (fedmem_injects_done(f.fm) < fedmem_injects_pushed(f.fm))
		take(f, d);
	assert_int_equal(d->numbers[0], 1);
	for (uint32_t i = 1; i < atomic_load(&d->n_numbers); i++) {
		n_again += d->numbers[i] == d->numbers[i - 1];
		assert_in_range(d->numbers[i] - d->numbers[i - 1], 0, 1);
	}
	assert_int_equal(last_on(d), fedmem_injects_pushed(f.fm));
	assert_true(n_again <= n_kills);
	print_message("# %u taken, %u of them again\n", atomic_load(&d->n_numbers), n_again);
	munmap(d, sizeof(*d));
	done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_keeps_its_place_until_it_is_released),
		cmocka_unit_test(a_release_gives_up_no_event_behind_the_number),
		cmocka_unit_test(a_consumer_that_starts_again_sees_what_was_not_released),
		cmocka_unit_test(events_are_stored_once_over_kills_of_both_sides),
		cmocka_unit_test(the_worker_takes_them_in_the_order_they_were_put),
		cmocka_unit_test(a_full_ring_takes_no_more_and_loses_none),
		cmocka_unit_test(
			what_a_killed_worker_had_not_finished_comes_again_and_nothing_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
