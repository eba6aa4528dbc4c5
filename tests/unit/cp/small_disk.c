#include "tests/unit/cp/small_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

bool small_disk_begin(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int small_disk_mount(const char *dir, const char *size)
{
	char options[32];

	snprintf(options, sizeof(options), "size=%s", size);
	return mount("small", dir, "tmpfs", 0, options);
}

int small_disk_unmount(const char *dir)
{
	return umount(dir);
}

static void filler_path(char path[96], const char *dir)
{
	snprintf(path, 96, "%s/filler", dir);
}

void small_disk_fill(const char *dir, size_t left)
{
	static uint8_t zeros[4096];
	char path[96];
	int fd;

	filler_path(path, dir);
	fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0600);
	assert_true(fd >= 0);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	if (left > 0)
		assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - (off_t)left), 0);
	close(fd);
}

void small_disk_free(const char *dir)
{
	char path[96];

	filler_path(path, dir);
	assert_int_equal(unlink(path), 0);
}
