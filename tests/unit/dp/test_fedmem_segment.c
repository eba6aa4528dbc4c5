#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/dp/fedmem_fixture.h"

#include "dp/fedmem/segment.h"

static void patch_file(const struct place *p, off_t at, const void *bytes, size_t n)
{
	int fd = open(p->path, O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static int open_again(const struct place *p, char why[256])
{
	struct fedmem *fm = NULL;
	int err = fedmem_open(&fm, &p->cfg, why, 256);

	assert_true((err == 0) == (fm != NULL));
	fedmem_close(fm);
	return err;
}

static struct place *place_with_segment(void)
{
	struct place *p = place_make(small_sizes());

	fedmem_close(must_open(p));
	return p;
}

static void second_open_finds_what_the_first_one_wrote(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *a = must_open(p), *b = must_open(p);
	struct fedmem_element e = element_of(5), got;
	uint32_t slot;

	assert_int_equal(fedmem_element_put(a, &e, &slot), 0);
	assert_int_equal(fedmem_element_get(b, slot, &got), 0);
	assert_memory_equal(&e, &got, sizeof(e));
	fedmem_close(a);
	fedmem_close(b);
	a = must_open(p);
	assert_int_equal(fedmem_element_get(a, slot, &got), 0);
	assert_memory_equal(&e, &got, sizeof(e));
	fedmem_close(a);
	place_remove(p);
}

/* Each child opens at the same moment, adds its own element through the lock of its turn, and ends.
 */
static void two_processes_that_open_at_once_get_one_segment(void **state)
{
	for (int round = 0; round < 20; round++) {
		struct place *p = place_make(small_sizes());
		int go[2], turn[2];
		pid_t children[2];
		struct fedmem *fm;
		uint32_t slot;

		assert_int_equal(pipe(go) | pipe(turn), 0);
		for (int i = 0; i < 2; i++) {
			children[i] = fork();
			assert_true(children[i] >= 0);
			if (children[i] == 0) {
				struct fedmem_element e = element_of((uint64_t)i + 1);
				struct fedmem *mine = NULL;
				char why[256], token;
				int err;

				close(go[1]);
				if (read(go[0], &token, 1) != 0) /* end of file: everybody goes */
					_exit(2);
				err = fedmem_open(&mine, &p->cfg, why, sizeof(why));
				if (err != 0 || read(turn[0], &token, 1) != 1)
					_exit(3);
				if (fedmem_element_put(mine, &e, NULL) != 0 ||
				    write(turn[1], "t", 1) != 1)
					_exit(4);
				_exit(0);
			}
		}
		close(go[0]);
		close(go[1]);
		assert_int_equal(write(turn[1], "t", 1), 1);
		for (int i = 0; i < 2; i++) {
			int status;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_int_equal(status, 0);
		}
		fm = must_open(p);
		assert_int_equal(fedmem_find_by_id(fm, 1, &slot), 0);
		assert_int_equal(fedmem_find_by_id(fm, 2, &slot), 0);
		fedmem_close(fm);
		close(turn[0]);
		close(turn[1]);
		place_remove(p);
	}
}

static void another_layout_version_is_refused_with_both_versions_named(void **state)
{
	struct place *p = place_with_segment();
	uint32_t version = 4711;
	char why[256], wanted[32];

	patch_file(p, offsetof(struct segment_header, version), &version, sizeof(version));
	assert_int_equal(open_again(p, why), FEDMEM_OTHER_LAYOUT);
	snprintf(wanted, sizeof(wanted), "%u wanted", FEDMEM_LAYOUT_VERSION);
	assert_non_null(strstr(why, "4711 found"));
	assert_non_null(strstr(why, wanted));
	place_remove(p);
}

static void other_table_sizes_are_refused_with_the_size_and_both_values_named(void **state)
{
	static const struct {
		const char *name;
		size_t at;
	} sizes[] = {
#define SIZE(name) {#name " ", offsetof(struct fedmem_sizes, name)}
		SIZE(elements_max), SIZE(metrics_per_element), SIZE(alarms_max), SIZE(cells_max),
		SIZE(rules_max),    SIZE(unknowns_max),	       SIZE(events_max),
#undef SIZE
	};
	struct place *p = place_with_segment();

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct place other = *p;
		uint32_t *size = (uint32_t *)((char *)&other.cfg.sizes + sizes[i].at);
		char why[256], found[32], wanted[32];

		snprintf(found, sizeof(found), " %u found", *size);
		*size *= 2;
		snprintf(wanted, sizeof(wanted), " %u wanted", *size);
		assert_int_equal(open_again(&other, why), FEDMEM_OTHER_SIZES);
		assert_non_null(strstr(why, sizes[i].name));
		assert_non_null(strstr(why, found));
		assert_non_null(strstr(why, wanted));
	}
	place_remove(p);
}

static void the_segment_of_another_server_is_refused(void **state)
{
	struct place *p = place_with_segment();
	char why[256];

	p->cfg.server_id = 8;
	assert_int_equal(open_again(p, why), FEDMEM_OTHER_SIZES);
	assert_non_null(strstr(why, "7 found"));
	assert_non_null(strstr(why, "8 wanted"));
	place_remove(p);
}

static void a_file_of_something_else_is_refused_and_left_as_it_is(void **state)
{
	static const size_t lengths[] = {1, 15, 16, 700, 5000};

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct place *p = place_make(small_sizes());
		char garbage[5000], after[5001], why[256];
		int fd;

		memset(garbage, 'x', sizeof(garbage));
		patch_file(p, 0, garbage, lengths[i]);
		assert_int_equal(open_again(p, why), FEDMEM_NOT_A_SEGMENT);
		assert_true(strlen(why) > 0);
		fd = open(p->path, O_RDONLY);
		assert_int_equal(read(fd, after, sizeof(after)), lengths[i]);
		assert_memory_equal(after, garbage, lengths[i]);
		close(fd);
		place_remove(p);
	}
}

static void a_truncated_segment_is_refused_before_anything_in_it_is_touched(void **state)
{
	struct place *p = place_with_segment();
	off_t whole = (off_t)fedmem_bytes(&p->cfg.sizes);
	char why[256];

	assert_int_equal(truncate(p->path, whole - 1), 0);
	assert_int_equal(open_again(p, why), FEDMEM_NOT_A_SEGMENT);
	assert_non_null(strstr(why, "octets found"));
	for (off_t n = 1; n < 1000; n += 7) {
		assert_int_equal(truncate(p->path, n), 0);
		assert_int_equal(open_again(p, why), FEDMEM_NOT_A_SEGMENT);
	}
	place_remove(p);
}

static void any_changed_octet_of_the_layout_is_refused(void **state)
{
	for (size_t at = 0; at < offsetof(struct segment_header, hash_key); at++) {
		struct place *p;
		uint8_t octet;
		char why[256];
		int fd;

		if (at >= offsetof(struct segment_header, pad) &&
		    at < offsetof(struct segment_header, offsets))
			continue;
		p = place_with_segment();
		fd = open(p->path, O_RDWR);
		assert_int_equal(pread(fd, &octet, 1, (off_t)at), 1);
		octet ^= 0x10;
		assert_int_equal(pwrite(fd, &octet, 1, (off_t)at), 1);
		close(fd);
		assert_true(open_again(p, why) > 0);
		place_remove(p);
	}
}

static void a_segment_whose_maker_died_is_made_anew(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm;
	uint32_t version = FEDMEM_LAYOUT_VERSION;

	patch_file(p, offsetof(struct segment_header, version), &version, sizeof(version));
	assert_int_equal(truncate(p->path, (off_t)fedmem_bytes(&p->cfg.sizes)), 0);
	fm = must_open(p);
	fedmem_close(fm);
	place_remove(p);
}

static void sizes_out_of_range_are_refused(void **state)
{
	struct place *p = place_make(small_sizes());
	char why[256];

	p->cfg.sizes.events_max = 12;
	assert_int_equal(open_again(p, why), -EINVAL);
	p->cfg.sizes = small_sizes();
	p->cfg.sizes.metrics_per_element = 256;
	assert_int_equal(open_again(p, why), -EINVAL);
	p->cfg.sizes = small_sizes();
	p->cfg.sizes.elements_max = 0;
	assert_int_equal(open_again(p, why), -EINVAL);
	assert_int_equal(access(p->path, F_OK), -1);
	place_remove(p);
}

static void each_segment_has_an_identity_that_stays(void **state)
{
	struct place *p = place_make(small_sizes()), *other = place_make(small_sizes());
	struct fedmem *fm = must_open(p), *fm_other = must_open(other);
	uint64_t identity = fedmem_identity(fm);

	assert_true(identity != 0 && fedmem_identity(fm_other) != identity);
	fedmem_close(fm_other);
	fedmem_close(fm);
	fm = must_open(p);
	assert_int_equal(fedmem_identity(fm), identity);
	fedmem_close(fm);
	assert_int_equal(unlink(p->path), 0);
	fm = must_open(p);
	assert_true(fedmem_identity(fm) != identity);
	fedmem_close(fm);
	place_remove(other);
	place_remove(p);
}

static void the_file_is_for_its_owner_only(void **state)
{
	struct place *p = place_with_segment();
	struct stat st;

	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	place_remove(p);
}

static void a_full_tmpfs_is_enospc_and_leaves_an_empty_file(void **state)
{
	struct place *p = place_make(small_sizes());
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) { /* in a mount namespace of its own */
		struct fedmem *fm = NULL;
		struct stat st;
		char why[256];

		if (unshare(CLONE_NEWNS) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("none", p->folder, "tmpfs", 0, "size=2m") != 0)
			_exit(77);
		p->cfg.sizes.elements_max = 100000;
		if (fedmem_open(&fm, &p->cfg, why, sizeof(why)) != -ENOSPC || fm != NULL)
			_exit(1);
		if (stat(p->path, &st) != 0 || st.st_size != 0)
			_exit(2);
		p->cfg.sizes = small_sizes();
		_exit(fedmem_open(&fm, &p->cfg, why, sizeof(why)) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	place_remove(p);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# skipped: no mount namespace of its own to be had here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void ten_million_elements_fit_in_two_gibibytes(void **state)
{
	struct fedmem_sizes sizes = {
		.elements_max = 10000000,
		.metrics_per_element = 4,
		.alarms_max = 100000,
		.cells_max = 4096,
		.rules_max = 4096,
		.unknowns_max = 4096,
		.events_max = 65536,
	};

	assert_true(fedmem_bytes(&sizes) <= 2ull << 30);
}

static void the_hot_records_begin_on_cache_lines(void **state)
{
	struct place *p = place_make(small_sizes());
	struct fedmem *fm = must_open(p);

	assert_int_equal((uintptr_t)fm->states % 64, 0);
	assert_int_equal((uintptr_t)fm->alarms % 64, 0);
	assert_int_equal((uintptr_t)fm->by_address.entries % 64, 0);
	assert_int_equal((uintptr_t)fm->by_id.entries % 64, 0);
	fedmem_close(fm);
	place_remove(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(second_open_finds_what_the_first_one_wrote),
		cmocka_unit_test(two_processes_that_open_at_once_get_one_segment),
		cmocka_unit_test(another_layout_version_is_refused_with_both_versions_named),
		cmocka_unit_test(other_table_sizes_are_refused_with_the_size_and_both_values_named),
		cmocka_unit_test(the_segment_of_another_server_is_refused),
		cmocka_unit_test(a_file_of_something_else_is_refused_and_left_as_it_is),
		cmocka_unit_test(a_truncated_segment_is_refused_before_anything_in_it_is_touched),
		cmocka_unit_test(any_changed_octet_of_the_layout_is_refused),
		cmocka_unit_test(a_segment_whose_maker_died_is_made_anew),
		cmocka_unit_test(sizes_out_of_range_are_refused),
		cmocka_unit_test(each_segment_has_an_identity_that_stays),
		cmocka_unit_test(the_file_is_for_its_owner_only),
		cmocka_unit_test(a_full_tmpfs_is_enospc_and_leaves_an_empty_file),
		cmocka_unit_test(ten_million_elements_fit_in_two_gibibytes),
		cmocka_unit_test(the_hot_records_begin_on_cache_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
