/* lab.c - see lab.h. */
#include "tests/bpf/lab.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#define PROGRAM_MAPS_MAX 16

static int skip(const char *what, int error)
{
	printf("skipped: %s: %s\n", what, strerror(error));
	return LAB_SKIP;
}

int lab_enter(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) != 0)
		return skip("no network namespace of our own", errno);
	fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", 4, 4, 1, NULL);
	if (fd < 0)
		return skip("bpf() makes no map for AF_XDP sockets", -fd);
	close(fd);
	lab_run("ip link add " LAB_NEAR " type veth peer name " LAB_FAR);
	lab_run("ip link set lo up");
	lab_run("ip link set " LAB_NEAR " up");
	lab_run("ip link set " LAB_FAR " up");
	return 0;
}

void lab_run(const char *command)
{
	if (system(command) == 0)
		return;
	fprintf(stderr, "failed: %s\n", command);
	exit(EXIT_FAILURE);
}

static struct bpf_prog_info program_info(int program_fd, uint32_t *map_ids, uint32_t room)
{
	struct bpf_prog_info info = {.nr_map_ids = room, .map_ids = (uintptr_t)map_ids};
	uint32_t info_bytes = sizeof(info);

	if (bpf_obj_get_info_by_fd(program_fd, &info, &info_bytes) != 0)
		memset(&info, 0, sizeof(info));
	return info;
}

uint32_t lab_program_id(int program_fd)
{
	return program_info(program_fd, NULL, 0).id;
}

uint32_t lab_attached_id(const char *interface)
{
	uint32_t id = 0;

	bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id);
	return id;
}

static struct bpf_map_info map_info(int map_fd)
{
	struct bpf_map_info info = {0};
	uint32_t info_bytes = sizeof(info);

	bpf_obj_get_info_by_fd(map_fd, &info, &info_bytes);
	return info;
}

int lab_map_open(int program_fd, const char *name)
{
	uint32_t map_ids[PROGRAM_MAPS_MAX];
	struct bpf_prog_info info = program_info(program_fd, map_ids, PROGRAM_MAPS_MAX);

	for (uint32_t i = 0; i < info.nr_map_ids && i < PROGRAM_MAPS_MAX; i++) {
		int fd = bpf_map_get_fd_by_id(map_ids[i]);

		if (fd >= 0 && strcmp(map_info(fd).name, name) == 0)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	return -1;
}

uint32_t lab_map_id(int map_fd)
{
	return map_info(map_fd).id;
}

int lab_socket_add(int program_fd)
{
	uint32_t queue = 0;
	int map_fd = lab_map_open(program_fd, "xsks_map");
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (map_fd < 0 || fd < 0 || bpf_map_update_elem(map_fd, &queue, &fd, BPF_ANY) != 0) {
		fprintf(stderr, "no AF_XDP socket in xsks_map: %s\n", strerror(errno));
		exit(EXIT_FAILURE);
	}
	close(map_fd);
	return fd;
}
