/* draw.h - in which order servers are tried: a random one, all orders equally likely.
 * Thread: any. Memory: the caller's. Returns: -errno: the kernel gave no random numbers.
 */
#ifndef BELLWETHER_CP_CLI_DRAW_H
#define BELLWETHER_CP_CLI_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#define DRAW_MAX 64

struct draw {
	uint8_t order[DRAW_MAX];
	uint32_t n, at;
};

/* Each service has a draw of its own: which server answers for one says nothing of the other. */
enum draw_service { DRAW_PEERED, DRAW_FEDERATED, DRAW_SERVICES };

struct draws {
	struct draw of[DRAW_SERVICES];
	bool is_drawn[DRAW_SERVICES];
};

int draw_init(struct draw *d, uint32_t n); /* 1..DRAW_MAX */
/* Draws for the service unless that was done. '*is_first': it was not. */
int draws_make(struct draws *d, enum draw_service service, uint32_t n, bool *is_first);
/* The one drawn; stays until the next is asked for. */
uint32_t draw_current(const struct draw *d);
/* n calls of this go round: each is tried once before one comes a second time. */
void draw_next(struct draw *d);

#endif
