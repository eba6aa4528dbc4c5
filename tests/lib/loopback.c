#include "tests/lib/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 30000

/* The whole of 127.0.0.0/8 is the loopback's. */
void loopback_address(char address[LOOPBACK_ADDRESS_BYTES], uint16_t id)
{
	unsigned int pid = (unsigned int)getpid();

	snprintf(address, LOOPBACK_ADDRESS_BYTES, "127.%u.%u.%u:7400", 1 + (pid >> 14 & 127),
		 pid >> 6 & 255, 1 + (pid & 63) * 3 + id % 3);
}

static void on_tick(uv_timer_t *timer)
{
	uint32_t *n_ticks = timer->data;

	++*n_ticks;
}

void loopback_wait(uv_loop_t *loop, bool (*is_so)(void *user), void *user)
{
	uint32_t n_ticks = 0;
	uv_timer_t timer;

	uv_timer_init(loop, &timer);
	timer.data = &n_ticks;
	uv_timer_start(&timer, on_tick, 10, 10);
	while (!is_so(user) && n_ticks < WAIT_MS / 10)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	assert_true(is_so(user));
}
