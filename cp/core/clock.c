#include "cp/core/core.h"

#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t); /* cannot fail for a clock that the kernel has */
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t core_now_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

uint64_t core_now_ms(void)
{
	return core_now_ns() / 1000000u;
}

uint64_t core_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
