#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/dp/fedmem_fixture.h"

#include "dp/fedmem/segment.h"

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

struct fixture {
	struct place *p;
	struct fedmem *fm;
};

static struct fixture with_elements(uint32_t elements_max)
{
	struct fedmem_sizes sizes = small_sizes();
	struct fixture f;

	sizes.elements_max = elements_max;
	f.p = place_make(sizes);
	f.fm = must_open(f.p);
	return f;
}

static void done(struct fixture f)
{
	fedmem_close(f.fm);
	place_remove(f.p);
}

static void put(struct fedmem *fm, uint64_t id)
{
	struct fedmem_element e = element_of(id);

	assert_int_equal(fedmem_element_put(fm, &e, NULL), 0);
}

static bool is_found(const struct fedmem *fm, uint64_t id)
{
	struct fedmem_address a = address_of(id);
	uint32_t by_id = 0, by_address = 0;
	int id_answer = fedmem_find_by_id(fm, id, &by_id);
	int address_answer = fedmem_find_by_address(fm, &a, &by_address);

	assert_int_equal(id_answer, address_answer);
	if (id_answer == 0) {
		assert_int_equal(by_id, by_address);
		return true;
	}
	assert_int_equal(id_answer, FEDMEM_NOT_FOUND);
	return false;
}

/* Two thirds of all slots are in use on the average, and at times all of them. */
static void a_hundred_thousand_puts_and_removes_agree_with_a_plain_model(void **state)
{
	enum { IDS = 3000, SLOTS = 1800 };
	struct fixture f = with_elements(SLOTS);
	static bool model[IDS + 1];
	uint64_t x = 88172645463325252ull;
	uint32_t n = 0, n_full = 0;

	memset(model, 0, sizeof(model));
	for (int step = 0; step < 100000; step++) {
		uint64_t r = next_random(&x), id = r % IDS + 1;
		struct fedmem_element e = element_of(id);

		if (r >> 60 < 10) {
			int err = fedmem_element_put(f.fm, &e, NULL);

			if (!model[id] && n == SLOTS) {
				assert_int_equal(err, FEDMEM_FULL);
				n_full++;
			} else {
				assert_int_equal(err, 0);
				n += !model[id];
				model[id] = true;
			}
		} else {
			assert_int_equal(fedmem_element_remove(f.fm, id),
					 model[id] ? 0 : FEDMEM_NOT_FOUND);
			n -= model[id];
			model[id] = false;
		}
		id = next_random(&x) % IDS + 1;
		assert_int_equal(is_found(f.fm, id), model[id]);
		if (step % 10000 == 0)
			for (id = 1; id <= IDS; id++)
				assert_int_equal(is_found(f.fm, id), model[id]);
	}
	for (uint64_t id = 1; id <= IDS; id++) {
		assert_int_equal(is_found(f.fm, id), model[id]);
		if (model[id])
			assert_int_equal(fedmem_element_remove(f.fm, id), 0);
	}
	for (uint64_t i = 0; i < (uint64_t)f.fm->by_id.n_lines * LINE_TABLE_ENTRIES; i++)
		assert_true(f.fm->by_id.entries[i] == 0 && f.fm->by_address.entries[i] == 0);
	assert_true(n_full > 0);
	done(f);
}

/* Lines that overflow into each other, around the end of the table too: every bucket but a few is
 * full. */
static void a_line_table_nearly_full_agrees_with_a_plain_model(void **state)
{
	enum { LINES = 5, NUMBERS = 60 };
	static _Alignas(64) _Atomic uint64_t entries[LINES * LINE_TABLE_ENTRIES];
	_Atomic uint64_t moves = 0;
	struct line_table t = {.entries = entries, .moves = &moves, .n_lines = LINES};
	uint32_t hashes[NUMBERS];
	bool model[NUMBERS] = {false};
	uint64_t x = 1181783497276652981ull;
	uint32_t n = 0;

	for (uint32_t i = 0; i < NUMBERS; i++) /* crowded in the last two lines */
		hashes[i] = i % 3 ? UINT32_MAX / LINES * 3 + (uint32_t)next_random(&x) % 900000000u
				  : (uint32_t)next_random(&x);
	for (int step = 0; step < 200000; step++) {
		uint32_t i = (uint32_t)(next_random(&x) % NUMBERS);

		if (model[i]) {
			assert_true(line_table_remove(&t, hashes[i], i));
			n--;
			model[i] = false;
		} else if (n < LINES * LINE_TABLE_ENTRIES - 1) {
			assert_true(line_table_insert(&t, hashes[i], i));
			n++;
			model[i] = true;
		}
		for (i = 0; i < NUMBERS; i++) {
			struct line_cursor c = line_table_begin(&t, hashes[i]);
			uint32_t found, hits = 0;

			while (line_table_next(&t, hashes[i], &c, &found))
				hits += found == i;
			assert_int_equal(hits, model[i]);
		}
	}
	assert_true(atomic_load(&moves) > 1000);
}

/* A crowded table whose numbers come and go, so that those that are there move all the time. */
enum { CROWD_LINES = 4, CROWD = 40, MOVES_MET = 20 };

struct crowd {
	struct line_table t;
	uint32_t hashes[CROWD];
	_Atomic uint32_t turns[CROWD]; /* even: the number is in the table */
	_Atomic bool stop;
	_Atomic uint64_t
		n_moved; /* look-ups that missed one that was there, and were told to look again */
	uint64_t n_missed; /* ... and were not told */
};

static void *search_crowd(void *argument)
{
	struct crowd *c = argument;

	for (uint32_t i = 0; !atomic_load(&c->stop); i = (i + 1) % CROWD) {
		uint32_t turn = atomic_load(&c->turns[i]);
		uint64_t moves = line_table_moves(&c->t);
		struct line_cursor cursor = line_table_begin(&c->t, c->hashes[i]);
		uint32_t found = FEDMEM_NONE;
		bool moved;

		if (turn % 2 != 0)
			continue;
		while (line_table_next(&c->t, c->hashes[i], &cursor, &found) && found != i)
			;
		moved = line_table_moved(&c->t, moves);
		if (found == i || atomic_load(&c->turns[i]) != turn)
			continue;
		if (moved)
			atomic_fetch_add(&c->n_moved, 1);
		else
			c->n_missed++;
	}
	return NULL;
}

static void a_look_up_that_missed_a_moving_entry_is_told_to_look_again(void **state)
{
	static _Alignas(64) _Atomic uint64_t entries[CROWD_LINES * LINE_TABLE_ENTRIES];
	_Atomic uint64_t moves = 0;
	static struct crowd c;
	uint64_t x = 1181783497276652981ull;
	uint32_t n = 0;
	pthread_t thread;

	c.t = (struct line_table){.entries = entries, .moves = &moves, .n_lines = CROWD_LINES};
	for (uint32_t i = 0; i < CROWD; i++) { /* all at home in the first two lines */
		c.hashes[i] = (uint32_t)next_random(&x) / 2;
		c.turns[i] = 1;
	}
	assert_int_equal(pthread_create(&thread, NULL, search_crowd, &c), 0);
	/* Until the reader met enough moves; the machine may be busy with other things for long. */
	for (uint64_t step = 0; step < 2000000000 && atomic_load(&c.n_moved) < MOVES_MET; step++) {
		uint32_t i = (uint32_t)(next_random(&x) % CROWD);

		if (c.turns[i] % 2 == 0) {
			atomic_fetch_add(&c.turns[i], 1);
			assert_true(line_table_remove(&c.t, c.hashes[i], i));
			n--;
		} else if (n < CROWD_LINES * LINE_TABLE_ENTRIES - 1) {
			assert_true(line_table_insert(&c.t, c.hashes[i], i));
			atomic_fetch_add(&c.turns[i], 1);
			n++;
		}
	}
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(c.n_missed, 0);
	assert_true(atomic_load(&c.n_moved) > 0); /* else nothing was tried */
}

static void put_again_changes_in_place(void **state)
{
	struct fixture f = with_elements(8);
	struct fedmem_element e = element_of(3), got;
	uint32_t first, second, version;

	assert_int_equal(fedmem_element_put(f.fm, &e, &first), 0);
	version = fedmem_elements_version(f.fm);
	assert_int_equal(fedmem_element_put(f.fm, &e, &second), 0);
	assert_int_equal(first, second);
	assert_int_equal(fedmem_elements_version(f.fm), version);
	e.cell = 77;
	assert_int_equal(fedmem_element_put(f.fm, &e, &second), 0);
	assert_int_equal(first, second);
	assert_true(fedmem_elements_version(f.fm) > version);
	assert_int_equal(fedmem_element_get(f.fm, first, &got), 0);
	assert_memory_equal(&e, &got, sizeof(e));
	done(f);
}

static void a_renumbered_element_is_found_by_its_new_address_only(void **state)
{
	struct fixture f = with_elements(8);
	struct fedmem_element e = element_of(3);
	struct fedmem_address old = e.address;
	uint32_t slot, found;

	put(f.fm, 4);
	assert_int_equal(fedmem_element_put(f.fm, &e, &slot), 0);
	e.address = address_of(1000);
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), 0);
	assert_int_equal(fedmem_find_by_address(f.fm, &old, &found), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_find_by_address(f.fm, &e.address, &found), 0);
	assert_int_equal(found, slot);
	assert_int_equal(fedmem_find_by_id(f.fm, 3, &found), 0);
	assert_int_equal(found, slot);
	assert_int_equal(fedmem_element_remove(f.fm, 3), 0);
	assert_int_equal(fedmem_find_by_address(f.fm, &e.address, &found), FEDMEM_NOT_FOUND);
	assert_true(is_found(f.fm, 4));
	done(f);
}

static void an_address_in_use_is_refused_and_nothing_changes(void **state)
{
	struct fixture f = with_elements(8);
	struct fedmem_element e = element_of(3);
	uint32_t version;

	put(f.fm, 3);
	put(f.fm, 4);
	version = fedmem_elements_version(f.fm);
	e.id = 9;
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), -EEXIST);
	e.id = 4;
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), -EEXIST);
	e.id = 0;
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), -EINVAL);
	assert_int_equal(fedmem_elements_version(f.fm), version);
	assert_true(is_found(f.fm, 3) && is_found(f.fm, 4) && !is_found(f.fm, 9));
	done(f);
}

static void a_full_element_table_says_so_and_takes_one_again_after_a_removal(void **state)
{
	struct fixture f = with_elements(65);
	struct fedmem_element e = element_of(1000);

	for (uint64_t id = 1; id <= 65; id++)
		put(f.fm, id);
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), FEDMEM_FULL);
	assert_int_equal(fedmem_element_remove(f.fm, 64), 0);
	assert_int_equal(fedmem_element_put(f.fm, &e, NULL), 0);
	assert_true(is_found(f.fm, 1000));
	done(f);
}

struct searcher {
	const struct fedmem *fm;
	_Atomic bool stop;
	uint64_t n_looks, n_missed;
};

enum { PRESENT = 600, COMING_AND_GOING = 3000, SEARCHED_SLOTS = 1400 };

static void *search_present(void *argument)
{
	struct searcher *s = argument;

	for (uint64_t id = 1; !atomic_load(&s->stop); id = id % PRESENT + 1) {
		struct fedmem_address a = address_of(id);
		uint32_t slot;

		s->n_missed += fedmem_find_by_id(s->fm, id, &slot) != 0;
		s->n_missed += fedmem_find_by_address(s->fm, &a, &slot) != 0;
		s->n_looks++;
	}
	return NULL;
}

static void every_present_element_is_found_while_others_come_and_go(void **state)
{
	struct fixture f = with_elements(SEARCHED_SLOTS);
	struct searcher s = {.fm = f.fm};
	uint64_t x = 2463534242ull;
	pthread_t thread;

	for (uint64_t id = 1; id <= PRESENT; id++)
		put(f.fm, id);
	assert_int_equal(pthread_create(&thread, NULL, search_present, &s), 0);
	for (int step = 0; step < 400000; step++) {
		struct fedmem_element e =
			element_of(PRESENT + 1 + next_random(&x) % COMING_AND_GOING);

		if (fedmem_element_remove(f.fm, e.id) == FEDMEM_NOT_FOUND)
			fedmem_element_put(f.fm, &e, NULL);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(s.n_missed, 0);
	assert_true(s.n_looks > 1000);
	assert_true(f.fm->header->by_id_moves > 0 && f.fm->header->by_address_moves > 0);
	done(f);
}

/* A control plane is killed at any moment of its changes; the next one finds every element under
 * both look-ups, or under none. */
static void look_ups_agree_after_the_control_plane_was_killed_in_a_change(void **state)
{
	struct fixture f = with_elements(300);
	uint64_t x = 1442695040888963407ull;
	uint32_t n_cut_off = 0;

	for (int round = 0; round < 150; round++) {
		int alive[2];
		pid_t child;
		char byte;
		struct fedmem *fm;
		uint32_t n = 0;

		assert_int_equal(pipe(alive), 0);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct fedmem *mine = must_open(f.p);
			uint64_t y = next_random(&x) + (uint64_t)round;

			for (uint64_t step = 0;; step++) {
				struct fedmem_element e = element_of(next_random(&y) % 600 + 1);

				if (next_random(&y) % 3 == 0)
					e.address = address_of(1000 + next_random(&y) % 600);
				if (next_random(&y) % 2 == 0 ||
				    fedmem_element_put(mine, &e, NULL) != 0)
					fedmem_element_remove(mine, e.id);
				if (step == 100 && write(alive[1], "a", 1) != 1)
					_exit(1);
			}
		}
		assert_int_equal(read(alive[0], &byte, 1), 1);
		for (uint64_t spins = next_random(&x) % 200000; spins > 0; spins--)
			cpu_relax();
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		close(alive[0]);
		close(alive[1]);

		fm = must_open(f.p);
		n_cut_off += fm->header->is_changing;
		assert_int_equal(fedmem_element_remove(fm, 100000), FEDMEM_NOT_FOUND); /* adopts */
		for (uint32_t slot = 0; slot < 300; slot++) {
			struct fedmem_element e;
			uint32_t found;
			int err = fedmem_element_get(fm, slot, &e);

			if (err == FEDMEM_NOT_FOUND)
				continue;
			assert_int_equal(err, 0);
			n++;
			assert_int_equal(fedmem_find_by_id(fm, e.id, &found), 0);
			assert_int_equal(found, slot);
			assert_int_equal(fedmem_find_by_address(fm, &e.address, &found), 0);
			assert_int_equal(found, slot);
		}
		for (uint64_t i = 0; i < (uint64_t)fm->by_id.n_lines * LINE_TABLE_ENTRIES; i++)
			n -= (fm->by_id.entries[i] != 0);
		assert_int_equal(n, 0);
		fedmem_close(fm);
	}
	print_message("# cut off in a change: %u of 150\n", n_cut_off);
	assert_true(n_cut_off > 0);
	done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundred_thousand_puts_and_removes_agree_with_a_plain_model),
		cmocka_unit_test(a_line_table_nearly_full_agrees_with_a_plain_model),
		cmocka_unit_test(a_look_up_that_missed_a_moving_entry_is_told_to_look_again),
		cmocka_unit_test(put_again_changes_in_place),
		cmocka_unit_test(a_renumbered_element_is_found_by_its_new_address_only),
		cmocka_unit_test(an_address_in_use_is_refused_and_nothing_changes),
		cmocka_unit_test(a_full_element_table_says_so_and_takes_one_again_after_a_removal),
		cmocka_unit_test(every_present_element_is_found_while_others_come_and_go),
		cmocka_unit_test(look_ups_agree_after_the_control_plane_was_killed_in_a_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
