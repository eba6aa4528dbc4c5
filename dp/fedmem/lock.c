#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "dp/fedmem/segment.h"

/* Octets of the file that stand for a lock each; whether they are within it does not matter. */
#define MAKER_OCTET  0
#define WRITER_OCTET 1

#define WAIT_NAP_NS 50000
#define WAIT_NAPS   400u

static struct flock octet(short type, off_t start)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = 1};
}

int lock_maker(int fd)
{
	struct flock l = octet(F_WRLCK, MAKER_OCTET);

	while (fcntl(fd, F_OFD_SETLKW, &l) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

void lock_maker_release(int fd)
{
	struct flock l = octet(F_UNLCK, MAKER_OCTET);
	int err = fcntl(fd, F_OFD_SETLK, &l);

	assert(err == 0); /* giving back needs no memory and cannot wait */
	(void)err;
}

int lock_writer(int fd)
{
	struct flock l = octet(F_WRLCK, WRITER_OCTET);

	if (fcntl(fd, F_OFD_SETLK, &l) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

bool lock_writer_wait(const struct fedmem *fm, uint32_t tries)
{
	struct flock l = octet(F_WRLCK, WRITER_OCTET);

	if (tries < SEGMENT_SPINS) {
		cpu_relax();
		return true;
	}
	if (tries >= SEGMENT_SPINS + WAIT_NAPS)
		return false;
	/* The lock belongs to another open file than ours, so the kernel names its holder here. */
	if (fcntl(fm->fd, F_OFD_GETLK, &l) == 0 && l.l_type == F_UNLCK)
		return false;
	nanosleep(&(struct timespec){.tv_nsec = WAIT_NAP_NS}, NULL);
	return true;
}
