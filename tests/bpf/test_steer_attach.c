/* test_steer_attach.c - steer's loader on a veth interface, beside programs of others. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include "bpf/steer.h"
#include "tests/bpf/frame.h"
#include "tests/bpf/lab.h"

static const struct steer_port ports[] = {{162, STEER_ELEMENT}};
static char last_line[256];

static void keep_log(const char *line)
{
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static const struct steer_config config = {
	.interface = LAB_NEAR,
	.sources_max = 4,
	.listen = ports,
	.n_listen = 1,
	.unknown_rate_pps = 1,
	.unknown_burst = 1,
	.log = keep_log,
};

static int clean(void **state)
{
	bpf_xdp_detach((int)if_nametoindex(LAB_NEAR), 0, NULL);
	last_line[0] = '\0';
	return 0;
}

/* A program that passes everything, under the given name. */
static int foreign_attach(const char *name)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", pass, 2, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(LAB_NEAR), fd,
					XDP_FLAGS_UPDATE_IF_NOEXIST, NULL),
			 0);
	return fd;
}

/* What DPDK's net_af_xdp does with the object at the set-up of its receive queue. */
static struct bpf_object *driver_attach(void)
{
	struct bpf_object *object = bpf_object__open_file(STEER_OBJECT, NULL);
	struct bpf_program *program;

	assert_non_null(object);
	assert_int_equal(bpf_object__load(object), 0);
	program = bpf_object__next_program(object, NULL);
	assert_non_null(program);
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex(LAB_NEAR), bpf_program__fd(program),
					XDP_FLAGS_UPDATE_IF_NOEXIST, NULL),
			 0);
	return object;
}

static uint32_t sockets_map_id(int program_fd)
{
	int fd = lab_map_open(program_fd, "xsks_map");
	uint32_t id;

	assert_true(fd >= 0);
	id = lab_map_id(fd);
	close(fd);
	return id;
}

static uint32_t run_known_datagram(struct steer *s)
{
	const struct frame f = {.udp_port = 162};
	uint8_t bytes[FRAME_BYTES_MAX], address[16];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes,
		    .data_size_in = (uint32_t)frame_write(bytes, &f));

	frame_address(address, FRAME_SOURCE);
	assert_int_equal(steer_source_put(s, address, STEER_ELEMENT, 1000, 1000), 0);
	assert_int_equal(bpf_prog_test_run_opts(steer_prog_fd(s), &opts), 0);
	return opts.retval;
}

static void create_attaches_nothing_and_destroy_detaches_what_attach_did(void **state)
{
	struct steer *s;

	assert_int_equal(steer_create(&s, &config), 0);
	assert_int_equal(lab_attached_id(LAB_NEAR), 0);
	assert_int_equal(steer_attach(s), 0);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(steer_prog_fd(s)));
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), 0);
	steer_destroy(NULL);
}

static void foreign_program_is_refused_and_stays(void **state)
{
	/* The second bears our name, but has no xsks_map. */
	const char *names[] = {"other", "steer"};

	for (int i = 0; i < 2; i++) {
		struct steer *s = NULL;
		bool was_stale = true;
		int fd = foreign_attach(names[i]);

		assert_int_equal(steer_detach_stale(LAB_NEAR, &was_stale), -EEXIST);
		assert_true(was_stale); /* not written */
		last_line[0] = '\0';
		assert_int_equal(steer_create(&s, &config), -EEXIST);
		assert_null(s);
		assert_non_null(strstr(last_line, names[i]));
		assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(fd));
		close(fd);
		clean(state);
	}
}

static void foreign_program_with_sockets_is_refused_and_stays(void **state)
{
	/* As what AF_XDP libraries attach when they are not given an object. */
	int fd = foreign_attach("xsk_def_prog");
	int map_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", 4, 4, 1, NULL);
	struct steer *s = NULL;
	bool was_stale;

	assert_true(map_fd >= 0);
	assert_int_equal(bpf_prog_bind_map(fd, map_fd, NULL), 0);
	assert_int_equal(steer_detach_stale(LAB_NEAR, &was_stale), -EEXIST);
	assert_int_equal(steer_create(&s, &config), -EEXIST);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(fd));
	close(map_fd);
	close(fd);
}

static void program_that_comes_between_create_and_attach_stays(void **state)
{
	struct steer *s;
	int fd;

	assert_int_equal(steer_create(&s, &config), 0);
	fd = foreign_attach("other");
	assert_int_equal(steer_attach(s), -EEXIST);
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(fd));
	close(fd);
}

static void program_that_took_the_place_of_the_drivers_stays(void **state)
{
	struct bpf_object *driver = driver_attach();
	struct steer *s;
	int fd;

	assert_int_equal(steer_create(&s, &config), 0);
	clean(state);
	fd = foreign_attach("other");
	assert_int_equal(steer_attach(s), -EEXIST);
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(fd));
	close(fd);
	bpf_object__close(driver);
}

static void destroy_leaves_a_later_program_alone(void **state)
{
	struct steer *s;
	int fd;

	assert_int_equal(steer_create(&s, &config), 0);
	assert_int_equal(steer_attach(s), 0);
	clean(state); /* as a driver does that closes */
	fd = foreign_attach("other");
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(fd));
	close(fd);
}

static void program_of_a_killed_process_is_detached_as_stale(void **state)
{
	bool was_stale = false;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		struct steer *s;

		if (steer_create(&s, &config) == 0 && steer_attach(s) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_not_equal(lab_attached_id(LAB_NEAR), 0);

	assert_int_equal(steer_detach_stale(LAB_NEAR, &was_stale), 0);
	assert_true(was_stale);
	assert_int_equal(lab_attached_id(LAB_NEAR), 0);
	assert_int_equal(steer_detach_stale(LAB_NEAR, &was_stale), 0);
	assert_false(was_stale);
}

static void drivers_program_is_replaced_and_its_sockets_are_kept(void **state)
{
	struct bpf_object *driver = driver_attach();
	int driver_fd = bpf_program__fd(bpf_object__next_program(driver, NULL));
	int socket_fd = lab_socket_add(driver_fd);
	struct steer *s;

	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(driver_fd));
	assert_int_equal(steer_create(&s, &config), 0);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(driver_fd));
	assert_int_equal(steer_attach(s), 0);
	assert_int_equal(lab_attached_id(LAB_NEAR), lab_program_id(steer_prog_fd(s)));
	assert_int_not_equal(lab_program_id(steer_prog_fd(s)), lab_program_id(driver_fd));
	assert_int_equal(sockets_map_id(steer_prog_fd(s)), sockets_map_id(driver_fd));
	assert_int_equal(run_known_datagram(s), XDP_REDIRECT);
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), 0);
	close(socket_fd);
	bpf_object__close(driver);
}

static void generic_mode_is_kept(void **state)
{
	struct bpf_object *driver = driver_attach();
	int driver_fd = bpf_program__fd(bpf_object__next_program(driver, NULL));
	int index = (int)if_nametoindex(LAB_NEAR);
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct steer *s;

	clean(state);
	assert_int_equal(bpf_xdp_attach(index, driver_fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	assert_int_equal(steer_create(&s, &config), 0);
	assert_int_equal(steer_attach(s), 0);
	assert_int_equal(bpf_xdp_query(index, 0, &query), 0);
	assert_int_equal(query.attach_mode, XDP_ATTACHED_SKB);
	assert_int_equal(query.prog_id, lab_program_id(steer_prog_fd(s)));
	steer_destroy(s);
	assert_int_equal(lab_attached_id(LAB_NEAR), 0);
	bpf_object__close(driver);
}

static void object_with_empty_maps_passes_everything(void **state)
{
	struct bpf_object *driver = driver_attach();
	int driver_fd = bpf_program__fd(bpf_object__next_program(driver, NULL));
	int socket_fd = lab_socket_add(driver_fd);
	const struct frame f = {.udp_port = 162};
	uint8_t bytes[FRAME_BYTES_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes,
		    .data_size_in = (uint32_t)frame_write(bytes, &f));

	assert_int_equal(bpf_prog_test_run_opts(driver_fd, &opts), 0);
	assert_int_equal(opts.retval, XDP_PASS);
	close(socket_fd);
	bpf_object__close(driver);
}

static void missing_interface_is_told(void **state)
{
	struct steer_config cfg = config;
	struct steer *s = NULL;
	bool was_stale;

	cfg.interface = "bwnone";
	assert_int_equal(steer_create(&s, &cfg), -ENODEV);
	assert_int_equal(steer_detach_stale("bwnone", &was_stale), -ENODEV);
	assert_null(s);
}

static void sizes_out_of_bounds_are_refused(void **state)
{
	struct steer_config cfg = config;
	struct steer *s = NULL;

	cfg.sources_max = 0;
	assert_int_equal(steer_create(&s, &cfg), -EINVAL);
	cfg = config;
	cfg.n_listen = STEER_LISTEN_MAX + 1;
	assert_int_equal(steer_create(&s, &cfg), -EINVAL);
	cfg = config;
	cfg.n_locals = STEER_LOCALS_MAX + 1;
	assert_int_equal(steer_create(&s, &cfg), -EINVAL);
	assert_null(s);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(create_attaches_nothing_and_destroy_detaches_what_attach_did),
		TEST(foreign_program_is_refused_and_stays),
		TEST(foreign_program_with_sockets_is_refused_and_stays),
		TEST(program_that_comes_between_create_and_attach_stays),
		TEST(program_that_took_the_place_of_the_drivers_stays),
		TEST(destroy_leaves_a_later_program_alone),
		TEST(program_of_a_killed_process_is_detached_as_stale),
		TEST(drivers_program_is_replaced_and_its_sockets_are_kept),
		TEST(generic_mode_is_kept),
		TEST(object_with_empty_maps_passes_everything),
		TEST(missing_interface_is_told),
		TEST(sizes_out_of_bounds_are_refused),
	};
	int skipped = lab_enter();

	return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}
