#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/dp/fedmem_fixture.h"

#include "dp/fedmem/segment.h"

struct fixture {
	struct place *p;
	struct fedmem *fm;
	struct fedmem_writer *w;
};

static struct fixture with_writer(void)
{
	struct fixture f = {.p = place_make(small_sizes())};

	f.fm = must_open(f.p);
	f.w = must_write(f.fm);
	return f;
}

static void done(struct fixture f)
{
	fedmem_writer_close(f.w);
	fedmem_close(f.fm);
	place_remove(f.p);
}

static void a_slot_never_written_is_not_found(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_state s;
	struct fedmem_alarm a;

	assert_int_equal(fedmem_state_read(f.fm, 0, &s, NULL), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_state_read(f.fm, 64, &s, NULL), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_state_read(f.fm, FEDMEM_NONE, &s, NULL), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_alarm_read(f.fm, 0, &a), FEDMEM_NOT_FOUND);
	assert_int_equal(fedmem_alarm_read(f.fm, 16, &a), FEDMEM_NOT_FOUND);
	done(f);
}

static void a_committed_state_is_read_back_with_all_its_metrics(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_metric metrics[8];
	struct fedmem_state out, *s = fedmem_state_begin(f.w, 5, 42, token_one);

	s->n_reports = 9;
	s->boot = 3;
	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(fedmem_state_metric(f.w, s, 100 + i, 1000 + i), 0);
	assert_int_equal(fedmem_state_metric(f.w, s, 102, 2), 0);
	assert_int_equal(fedmem_state_metric(f.w, s, 106, 6), 0);
	fedmem_state_commit(f.w, s);

	assert_int_equal(fedmem_state_read(f.fm, 5, &out, metrics), 0);
	assert_int_equal(out.element_id, 42);
	assert_true(fedmem_token_equal(out.token, token_one));
	assert_int_equal(out.n_reports, 9);
	assert_int_equal(out.alarm_first, FEDMEM_NONE);
	assert_int_equal(out.n_metrics, 8);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(metrics[i].id, 100 + i);
		assert_int_equal(metrics[i].value, i == 2 ? 2 : i == 6 ? 6 : 1000 + i);
	}
	done(f);
}

static void one_metric_too_many_is_full_and_changes_nothing(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_metric metrics[9] = {[8] = {.id = 0xdead}};
	struct fedmem_state out, *s = fedmem_state_begin(f.w, 63, 64, token_one);

	for (uint32_t i = 0; i < 8; i++)
		assert_int_equal(fedmem_state_metric(f.w, s, i, i), 0);
	assert_int_equal(fedmem_state_metric(f.w, s, 99, 99), FEDMEM_FULL);
	assert_int_equal(fedmem_state_metric(f.w, s, 7, 70), 0);
	fedmem_state_commit(f.w, s);
	assert_int_equal(fedmem_state_read(f.fm, 63, &out, metrics), 0);
	assert_int_equal(out.n_metrics, 8);
	assert_int_equal(metrics[7].value, 70);
	assert_int_equal(metrics[8].id, 0xdead);
	done(f);
}

static void fewer_metrics_than_lie_in_the_record_are_a_limit_too(void **state)
{
	struct fedmem_sizes sizes = small_sizes();
	struct fixture f;
	struct fedmem_state *s;

	sizes.metrics_per_element = 2;
	f.p = place_make(sizes);
	f.fm = must_open(f.p);
	f.w = must_write(f.fm);
	s = fedmem_state_begin(f.w, 0, 1, token_one);
	assert_int_equal(fedmem_state_metric(f.w, s, 1, 1), 0);
	assert_int_equal(fedmem_state_metric(f.w, s, 2, 2), 0);
	assert_int_equal(fedmem_state_metric(f.w, s, 3, 3), FEDMEM_FULL);
	fedmem_state_commit(f.w, s);
	done(f);
}

static void another_token_or_element_empties_the_record(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_token newer = {1, 2};
	struct fedmem_state *s = fedmem_state_begin(f.w, 5, 42, token_one);

	s->n_reports = 9;
	s->boot = 8;
	assert_int_equal(fedmem_state_metric(f.w, s, 1, 1), 0);
	fedmem_state_commit(f.w, s);

	s = fedmem_state_begin(f.w, 5, 42, token_one);
	assert_int_equal(s->n_reports, 9);
	fedmem_state_commit(f.w, s);

	s = fedmem_state_begin(f.w, 5, 42, newer);
	assert_int_equal(s->n_reports | s->boot | s->n_metrics | s->n_alarms, 0);
	assert_true(fedmem_token_equal(s->token, newer));
	s->n_reports = 4;
	fedmem_state_commit(f.w, s);

	s = fedmem_state_begin(f.w, 5, 43, newer);
	assert_int_equal(s->n_reports, 0);
	assert_int_equal(s->element_id, 43);
	fedmem_state_commit(f.w, s);
	done(f);
}

static void tokens_compare_by_epoch_and_then_by_generation(void **state)
{
	struct fedmem_token a = {1, 9}, b = {2, 1}, c = {2, 3};

	assert_true(fedmem_token_compare(a, b) < 0);
	assert_true(fedmem_token_compare(c, b) > 0);
	assert_int_equal(fedmem_token_compare(c, c), 0);
	assert_true(fedmem_token_equal(a, a) && !fedmem_token_equal(b, c));
}

/* ---- Torn reads ---- */

enum { HOT_SLOTS = 4, READS = 2000000, CHANGES = 1000 };

/* So many reads, and so many more that the writer, who may get little of a busy machine, was met.
 */
static bool goes_on(uint64_t n_reads, uint64_t n_changes)
{
	return n_reads < READS || (n_changes < CHANGES && n_reads < 200ull * READS);
}

/* All of a record says the same number. */
static void write_state(struct fedmem_writer *w, uint32_t slot, uint64_t n)
{
	struct fedmem_state *s = fedmem_state_begin(w, slot, slot + 1, token_one);

	s->first_seen_ns = s->last_seen_ns = s->n_reports = s->boot = s->sequence = n;
	for (uint32_t i = 0; i < 8; i++)
		fedmem_state_metric(w, s, i, n);
	fedmem_state_commit(w, s);
}

static bool is_torn(const struct fedmem_state *s, const struct fedmem_metric *metrics)
{
	bool torn = s->last_seen_ns != s->first_seen_ns || s->n_reports != s->first_seen_ns ||
		    s->boot != s->first_seen_ns || s->sequence != s->first_seen_ns;

	for (uint32_t i = 0; i < FEDMEM_METRICS_INLINE; i++)
		torn |= s->metric_values[i] != s->first_seen_ns;
	for (uint32_t i = 0; metrics != NULL && i < 8; i++)
		torn |= metrics[i].value != s->first_seen_ns;
	return torn;
}

/* A process that writes the same few records until it is killed. */
static pid_t start_hammer(const struct place *p)
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct fedmem *fm = must_open(p);
		struct fedmem_writer *w = must_write(fm);

		for (uint64_t n = 1;; n++) {
			write_state(w, (uint32_t)(n % HOT_SLOTS), n);
			if (n == 100 && write(ready[1], "r", 1) != 1)
				_exit(1);
		}
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void a_reader_never_sees_a_torn_record_while_a_process_writes(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm = must_open(p);
	pid_t child = start_hammer(p);
	uint64_t n_read = 0, n_busy = 0, n_changes = 0, n_torn = 0, newest[HOT_SLOTS] = {0};

	for (uint64_t i = 0; goes_on(i, n_changes); i++) {
		struct fedmem_metric metrics[8];
		struct fedmem_state s;
		int err = fedmem_state_read(fm, (uint32_t)(i % HOT_SLOTS), &s, metrics);

		if (err == 0) {
			n_read++;
			n_torn += is_torn(&s, metrics);
			n_changes += s.sequence != newest[i % HOT_SLOTS];
			newest[i % HOT_SLOTS] = s.sequence;
		} else {
			assert_int_equal(err, FEDMEM_BUSY);
			n_busy++;
		}
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	print_message("# %lu reads, %lu changes seen, %lu busy\n", n_read, n_changes, n_busy);
	assert_int_equal(n_torn, 0);
	assert_int_equal(n_busy, 0); /* the writer lives */
	assert_true(n_changes >= CHANGES);
	fedmem_close(fm);
	place_remove(p);
}

/* The same reader without a look at the sequence: the test above can see what it looks for. */
static void a_reader_that_does_not_check_the_sequence_sees_torn_records(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm = must_open(p);
	pid_t child = start_hammer(p);
	uint64_t n_torn = 0;

	for (uint64_t i = 0; i < 50ull * READS && n_torn == 0; i++) {
		struct fedmem_state s;

		words_load(&s, &fm->states[i % HOT_SLOTS], sizeof(s));
		n_torn += is_torn(&s, NULL);
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(n_torn > 0);
	fedmem_close(fm);
	place_remove(p);
}

struct hammer {
	struct fedmem_writer *w;
	struct fedmem *fm;
	_Atomic bool stop;
};

static void *hammer_alarms(void *argument)
{
	struct hammer *h = argument;
	struct fedmem_alarm_key key = key_of(0, "port 1");

	for (uint64_t n = 1; !atomic_load(&h->stop); n++) {
		struct fedmem_alarm *a = fedmem_alarm_begin(h->w, &key);

		a->state = FEDMEM_ALARM_RAISED;
		a->severity = FEDMEM_MAJOR;
		a->raised_ns = a->changed_ns = a->last_ns = a->count = n;
		memset(a->text, (int)(n & 0xff), sizeof(a->text));
		fedmem_alarm_commit(h->w, a, 0);
	}
	return NULL;
}

static void a_reader_never_sees_a_torn_alarm_while_a_thread_writes(void **state)
{
	struct fixture f = with_writer();
	struct hammer h = {.w = f.w};
	uint64_t newest = 0, n_changes = 0;
	pthread_t thread;

	touch(f.w, 0, token_one);
	assert_int_equal(pthread_create(&thread, NULL, hammer_alarms, &h), 0);
	for (uint64_t i = 0; goes_on(i, n_changes); i++) {
		struct fedmem_alarm a;
		int err = fedmem_alarm_read(f.fm, 0, &a);

		if (err == FEDMEM_BUSY || (err == FEDMEM_NOT_FOUND && newest == 0))
			continue; /* its writer was not let on by a busy machine */
		assert_int_equal(err, 0);
		assert_true(a.raised_ns == a.changed_ns && a.last_ns == a.count &&
			    a.raised_ns == a.count);
		for (uint32_t k = 0; k < sizeof(a.text); k++)
			assert_true((uint8_t)a.text[k] == (a.count & 0xff));
		n_changes += a.count != newest;
		newest = a.count;
	}
	atomic_store(&h.stop, true);
	pthread_join(thread, NULL);
	assert_true(n_changes >= CHANGES);
	done(f);
}

static void *hammer_tables(void *argument)
{
	struct hammer *h = argument;
	struct fedmem_cell cells[8];
	struct stats stats;

	for (uint64_t n = 1; !atomic_load(&h->stop); n++) {
		memset(cells, 0, sizeof(cells));
		for (uint32_t i = 0; i < 8; i++)
			cells[i].token.epoch = cells[i].token.generation = n;
		fedmem_cells_publish(h->fm, cells, (uint32_t)(n % 8) + 1);
		for (uint32_t i = 0; i < STATS_N; i++)
			stats.n[i] = n;
		for (uint32_t i = 0; i < STATS_DECODE_MAX; i++)
			stats.decode[i] = n;
		fedmem_stats_publish(h->w, &stats);
	}
	return NULL;
}

static void a_published_table_is_read_as_a_whole_or_not_at_all(void **state)
{
	struct fixture f = with_writer();
	struct hammer h = {.w = f.w, .fm = f.fm};
	uint32_t n_cells = 0, n_stats = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, hammer_tables, &h), 0);
	for (uint64_t i = 0; i < READS / 10 || (goes_on(i, 0) && (n_cells == 0 || n_stats == 0));
	     i++) {
		struct fedmem_cell cells[8];
		struct stats stats;
		uint32_t n, version;

		if (fedmem_cells_get(f.fm, cells, 8, &n, &version) == 0 && version > 0) {
			assert_int_equal(n, cells[0].token.epoch % 8 + 1);
			assert_int_equal(version, (uint32_t)cells[0].token.epoch);
			for (uint32_t k = 0; k < n; k++)
				assert_true(cells[k].token.epoch == cells[0].token.epoch &&
					    cells[k].token.generation == cells[0].token.epoch);
			n_cells++;
		}
		if (fedmem_stats_read(f.fm, &stats) == 0) {
			for (uint32_t k = 1; k < STATS_N; k++)
				assert_true(stats.n[k] == stats.n[0]);
			assert_true(stats.decode[STATS_DECODE_MAX - 1] == stats.n[0]);
			n_stats++;
		}
	}
	atomic_store(&h.stop, true);
	pthread_join(thread, NULL);
	assert_true(n_cells > 0 && n_stats > 0);
	done(f);
}

/* ---- Whole tables ---- */

static void a_published_table_is_read_back_with_its_version(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_rule rules[9] = {{.oid = {1, 2, 3}, .oid_bytes = 3}, {.type = "b"}}, got[8];
	struct fedmem_server servers[FEDMEM_SERVERS_MAX + 1] = {{.id = 4, .name = "d"}};
	struct fedmem_server got_servers[FEDMEM_SERVERS_MAX];
	uint32_t n = 99, version = 99;

	assert_int_equal(fedmem_rules_get(f.fm, got, 8, &n, &version), 0);
	assert_int_equal(n | version, 0);
	assert_int_equal(fedmem_rules_publish(f.fm, rules, 2), 0);
	assert_int_equal(fedmem_rules_publish(f.fm, rules, 9), FEDMEM_FULL);
	assert_int_equal(fedmem_rules_get(f.fm, got, 1, &n, &version), FEDMEM_FULL);
	assert_int_equal(fedmem_rules_get(f.fm, got, 8, &n, &version), 0);
	assert_int_equal(n, 2);
	assert_int_equal(version, fedmem_rules_version(f.fm));
	assert_memory_equal(got, rules, 2 * sizeof(rules[0]));
	assert_int_equal(fedmem_rules_publish(f.fm, rules, 0), 0);
	assert_int_equal(fedmem_rules_get(f.fm, got, 8, &n, &version), 0);
	assert_int_equal(n, 0);
	assert_int_equal(version, 2);

	assert_int_equal(fedmem_servers_version(f.fm), 0);
	assert_int_equal(fedmem_servers_publish(f.fm, servers, FEDMEM_SERVERS_MAX + 1),
			 FEDMEM_FULL);
	assert_int_equal(fedmem_servers_publish(f.fm, servers, FEDMEM_SERVERS_MAX), 0);
	assert_int_equal(fedmem_servers_get(f.fm, got_servers, FEDMEM_SERVERS_MAX, &n, &version),
			 0);
	assert_memory_equal(got_servers, servers, sizeof(got_servers));
	done(f);
}

static void statistics_go_on_over_a_restart_and_a_killed_publish(void **state)
{
	struct fixture f = with_writer();
	struct stats s, got;
	uint32_t version;

	assert_int_equal(fedmem_stats_read(f.fm, &got), FEDMEM_NOT_FOUND);
	fedmem_stats_load(f.w, &s);
	assert_int_equal(s.n[STATS_FRAMES], 0);
	for (uint64_t round = 1; round < 6; round++) {
		s.n[STATS_FRAMES] += 10;
		fedmem_stats_publish(f.w, &s);
		/* what a publisher does that is killed before its last store */
		version = f.fm->header->published[TABLE_STATS].version;
		memset(segment_buffer(f.fm, TABLE_STATS, version + 1), 0xee, sizeof(s) / 2);
		f.fm->header->published[TABLE_STATS].n[(version + 1) & 1] = 1;

		fedmem_writer_close(f.w);
		fedmem_close(f.fm);
		f.fm = must_open(f.p);
		f.w = must_write(f.fm);
		fedmem_stats_load(f.w, &s);
		assert_int_equal(s.n[STATS_FRAMES], 10 * round);
		assert_int_equal(fedmem_stats_read(f.fm, &got), 0);
		assert_memory_equal(&got, &s, sizeof(s));
	}
	done(f);
}

static void unknown_sources_are_listed_once_with_their_counts(void **state)
{
	struct fixture f = with_writer();
	struct fedmem_unknown u[4];
	struct fedmem_address a;

	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 1; i <= 4; i++) {
			a = address_of(i);
			assert_int_equal(fedmem_unknown_note(f.w, &a, (uint16_t)(160 + i),
							     i * 100 + (uint64_t)round),
					 0);
		}
		a = address_of(5);
		assert_int_equal(fedmem_unknown_note(f.w, &a, 1, 1), FEDMEM_FULL);
		fedmem_writer_close(f.w); /* the index of the next one is made from the list */
		f.w = must_write(f.fm);
	}
	assert_int_equal(fedmem_unknowns_read(f.fm, u, 3), 3);
	assert_int_equal(fedmem_unknowns_read(f.fm, u, 4), 4);
	for (uint64_t i = 1; i <= 4; i++) {
		a = address_of(i);
		assert_memory_equal(&u[i - 1].address, &a, sizeof(a));
		assert_int_equal(u[i - 1].n_datagrams, 2);
		assert_int_equal(u[i - 1].first_ns, i * 100);
		assert_int_equal(u[i - 1].last_ns, i * 100 + 1);
		assert_int_equal(u[i - 1].udp_port, 160 + i);
	}
	done(f);
}

static void every_start_of_the_data_plane_wants_another_relay_boot(void **state)
{
	struct fixture f = with_writer();
	uint32_t wanted = fedmem_relay_boot_wanted(f.fm);
	uint64_t starts = fedmem_dp_starts(f.fm);

	assert_int_equal(starts, 1);
	assert_int_not_equal(fedmem_relay_boot_met(f.fm), wanted);
	fedmem_relay_boot_given(f.fm, wanted);
	assert_int_equal(fedmem_relay_boot_met(f.fm), wanted);
	fedmem_writer_close(f.w);
	f.w = must_write(f.fm);
	assert_int_not_equal(fedmem_relay_boot_met(f.fm), fedmem_relay_boot_wanted(f.fm));
	assert_int_equal(fedmem_dp_starts(f.fm), starts + 1);

	fedmem_dp_beat(f.w, 123);
	assert_int_equal(fedmem_dp_beat_ns(f.fm), 123);
	fedmem_lease_set(f.fm, 456);
	assert_int_equal(fedmem_lease_until(f.fm), 456);
	done(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_never_written_is_not_found),
		cmocka_unit_test(a_committed_state_is_read_back_with_all_its_metrics),
		cmocka_unit_test(one_metric_too_many_is_full_and_changes_nothing),
		cmocka_unit_test(fewer_metrics_than_lie_in_the_record_are_a_limit_too),
		cmocka_unit_test(another_token_or_element_empties_the_record),
		cmocka_unit_test(tokens_compare_by_epoch_and_then_by_generation),
		cmocka_unit_test(a_reader_never_sees_a_torn_record_while_a_process_writes),
		cmocka_unit_test(a_reader_that_does_not_check_the_sequence_sees_torn_records),
		cmocka_unit_test(a_reader_never_sees_a_torn_alarm_while_a_thread_writes),
		cmocka_unit_test(a_published_table_is_read_as_a_whole_or_not_at_all),
		cmocka_unit_test(a_published_table_is_read_back_with_its_version),
		cmocka_unit_test(statistics_go_on_over_a_restart_and_a_killed_publish),
		cmocka_unit_test(unknown_sources_are_listed_once_with_their_counts),
		cmocka_unit_test(every_start_of_the_data_plane_wants_another_relay_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
