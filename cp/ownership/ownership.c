#include "cp/ownership/ownership.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define LOAD_BOUND  1.25
#define HASH_FACTOR 0x9e3779b97f4a7c15u

/* -log2 of a hash as a number in (0, 1): rendezvous hashing with weights picks the lowest
 * -log(u) / weight. 256 chords are near enough, and make it cheaper than the hash. */
#define LOG_STEPS 256
struct logs {
	float of[LOG_STEPS + 1];
};

struct load {
	uint64_t owned, standing_by; /* weights of cells */
	uint64_t owned_max, standing_by_max;
	uint64_t hash;
	float inverse_weight;
};

#define SLOTS 256 /* for OWNERSHIP_SERVERS_MAX ids: seldom two in one place */

_Static_assert(OWNERSHIP_SERVERS_MAX <= 64, "bitmaps of servers");

struct placement {
	const struct ownership_server *servers;
	uint32_t n_servers;
	/* Bitmaps by index. good: alive and not drained; owners: those, or all living ones where
	 * there are none. */
	uint64_t living, good, owners;
	uint8_t slots[SLOTS]; /* index + 1 of a server, by its id; 0: free */
	struct load loads[OWNERSHIP_SERVERS_MAX];
	struct logs logs;
	float distances[OWNERSHIP_SERVERS_MAX]; /* of the cell that is being placed */
};

int ownership_token_compare(struct ownership_token a, struct ownership_token b)
{
	if (a.epoch != b.epoch)
		return a.epoch < b.epoch ? -1 : 1;
	if (a.generation != b.generation)
		return a.generation < b.generation ? -1 : 1;
	return 0;
}

int ownership_cell_compare(const void *a, const void *b)
{
	const struct ownership_cell *x = a, *y = b;

	return strncmp(x->name, y->name, sizeof(x->name));
}

/* The finalizer of splitmix64: every bit of the input reaches every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static uint64_t hash_name(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3u;
	return mix(hash);
}

/* How far a server is from a cell: exponentially distributed, scaled by the server's weight. */
static float distance(const struct placement *p, uint64_t cell_hash, const struct load *load)
{
	unsigned __int128 product = (unsigned __int128)(cell_hash ^ load->hash) * HASH_FACTOR;
	uint64_t hash = ((uint64_t)(product >> 64) ^ (uint64_t)product) | 1;
	int zeros = __builtin_clzll(hash);
	uint64_t fraction = zeros == 63 ? 0 : hash << (zeros + 1);
	uint32_t step = fraction >> 56;
	float within = (float)(uint32_t)(fraction >> 32 & 0xffffff) * 0x1p-24f;
	const float *log = &p->logs.of[step];

	return ((float)(zeros + 1) - (log[0] + within * (log[1] - log[0]))) * load->inverse_weight;
}

static int find_server(const struct placement *p, uint16_t id)
{
	for (uint32_t at = id % SLOTS; p->slots[at] != 0; at = (at + 1) % SLOTS)
		if (p->servers[p->slots[at] - 1].id == id)
			return p->slots[at] - 1;
	return -1;
}

static bool is_among(const struct placement *p, uint64_t servers, uint16_t id)
{
	int i = find_server(p, id);

	return i >= 0 && (servers >> i & 1) != 0;
}

/* Who may stand by for a cell of this owner: a drained server only where there is no other. */
static uint64_t standbys(const struct placement *p, uint16_t owner)
{
	uint64_t self = UINT64_C(1) << find_server(p, owner);

	return (p->good & ~self) != 0 ? p->good & ~self : p->living & ~self;
}

static bool is_valid(const struct ownership_cell *cells, uint32_t n_cells,
		     const struct ownership_server *servers, uint32_t n_servers, uint64_t epoch)
{
	if (n_servers > OWNERSHIP_SERVERS_MAX)
		return false;
	for (uint32_t i = 0; i < n_servers; i++) {
		if (servers[i].id == 0 || servers[i].weight == 0)
			return false;
		for (uint32_t j = 0; j < i; j++)
			if (servers[i].id == servers[j].id)
				return false;
	}
	for (uint32_t i = 0; i < n_cells; i++) {
		const struct ownership_cell *c = &cells[i];

		if (c->weight == 0 || c->token.epoch > epoch || c->name[0] == '\0' ||
		    memchr(c->name, '\0', sizeof(c->name)) == NULL)
			return false;
		if (i > 0 && ownership_cell_compare(&cells[i - 1], c) >= 0)
			return false;
	}
	return true;
}

/* Returns false when no server lives. */
static bool placement_init(struct placement *p, const struct ownership_cell *cells,
			   uint32_t n_cells, const struct ownership_server *servers,
			   uint32_t n_servers)
{
	uint64_t cells_weight = 0, capacity = 0;

	p->servers = servers;
	p->n_servers = n_servers;
	p->living = p->good = 0;
	memset(p->loads, 0, sizeof(p->loads));
	memset(p->slots, 0, sizeof(p->slots));
	for (uint32_t i = 0; i < n_servers; i++) {
		uint32_t at = servers[i].id % SLOTS;

		while (p->slots[at] != 0)
			at = (at + 1) % SLOTS;
		p->slots[at] = (uint8_t)(i + 1);
	}
	for (uint32_t i = 0; i <= LOG_STEPS; i++)
		p->logs.of[i] = log2f(1.0f + (float)i / LOG_STEPS);
	for (uint32_t i = 0; i < n_cells; i++)
		cells_weight += cells[i].weight;
	for (uint32_t i = 0; i < n_servers; i++) {
		p->living |= (uint64_t)servers[i].is_alive << i;
		p->good |= (uint64_t)(servers[i].is_alive && !servers[i].is_drained) << i;
	}
	p->owners = p->good != 0 ? p->good : p->living;
	for (uint32_t i = 0; i < n_servers; i++)
		capacity += (p->owners >> i & 1) != 0 ? servers[i].weight : 0;
	if (capacity == 0)
		return false;
	for (uint32_t i = 0; i < n_servers; i++) {
		struct load *load = &p->loads[i];
		double mean = (double)cells_weight * servers[i].weight / (double)capacity;

		load->hash = mix(servers[i].id * 0x9e3779b97f4a7c15u);
		load->inverse_weight = 1.0f / (float)servers[i].weight;
		load->owned_max = load->standing_by_max = (uint64_t)ceil(mean * LOAD_BOUND);
	}
	return true;
}

static void measure(struct placement *p, const struct ownership_cell *cell)
{
	uint64_t cell_hash = hash_name(cell->name);

	for (uint32_t i = 0; i < p->n_servers; i++)
		p->distances[i] = distance(p, cell_hash, &p->loads[i]);
}

static int least_loaded(const struct placement *p, uint64_t among, bool is_standby)
{
	float least_load = INFINITY;
	int least = -1;

	for (uint32_t i = 0; i < p->n_servers; i++) {
		uint64_t has = is_standby ? p->loads[i].standing_by : p->loads[i].owned;
		float load = (float)has * p->loads[i].inverse_weight;

		if ((among >> i & 1) != 0 && load < least_load) {
			least_load = load;
			least = (int)i;
		}
	}
	return least;
}

/* The nearest server that has room; when none has, the one that is least loaded for its weight.
 * 'among' is a bitmap. -1: it is empty. */
static int nearest(const struct placement *p, uint32_t cell_weight, uint64_t among, bool is_standby)
{
	for (uint64_t left = among;;) {
		float best_distance = INFINITY;
		int best = -1;

		for (uint32_t i = 0; i < p->n_servers; i++) {
			float d = (left >> i & 1) != 0 ? p->distances[i] : INFINITY;

			best = d < best_distance ? (int)i : best;
			best_distance = d < best_distance ? d : best_distance;
		}
		if (best < 0)
			return least_loaded(p, among, is_standby);

		const struct load *load = &p->loads[best];
		uint64_t has = is_standby ? load->standing_by : load->owned;

		if (has + cell_weight <= (is_standby ? load->standing_by_max : load->owned_max))
			return best;
		left &= ~(UINT64_C(1) << best);
	}
}

static void give(struct ownership_cell *cell, uint16_t server, uint64_t epoch,
		 struct ownership_plan *plan)
{
	cell->owner = server;
	cell->token.epoch = epoch;
	cell->token.generation++;
	plan->n_moved++;
}

/* Does what takes no choice. False: the cell needs an owner by hash. */
static bool settle(struct placement *p, struct ownership_cell *c, uint64_t epoch,
		   struct ownership_plan *plan)
{
	uint16_t was = c->owner;

	if (c->pin != was && is_among(p, p->good, c->pin)) {
		give(c, c->pin, epoch, plan);
		if (is_among(p, p->good, was))
			c->standby = was; /* it knows the cell */
		return true;
	}
	if (is_among(p, p->owners, was))
		return true;
	if (!is_among(p, p->owners, c->standby))
		return false;
	give(c, c->standby, epoch, plan);
	c->standby = 0;
	return true;
}

static void choose_owner(struct placement *p, struct ownership_cell *c, uint64_t epoch,
			 struct ownership_plan *plan)
{
	int to = nearest(p, c->weight, p->owners, false);

	p->loads[to].owned += c->weight;
	give(c, p->servers[to].id, epoch, plan);
}

static void choose_standby(struct placement *p, struct ownership_cell *c)
{
	int to = nearest(p, c->weight, standbys(p, c->owner), true);

	c->standby = to < 0 ? 0 : p->servers[to].id;
	if (to >= 0)
		p->loads[to].standing_by += c->weight;
}

int ownership_plan(struct ownership_cell *cells, uint32_t n_cells,
		   const struct ownership_server *servers, uint32_t n_servers, uint64_t epoch,
		   struct ownership_plan *plan)
{
	struct placement p;

	if (!is_valid(cells, n_cells, servers, n_servers, epoch))
		return -EINVAL;
	if (!placement_init(&p, cells, n_cells, servers, n_servers))
		return -ENOENT;
	plan->n_moved = plan->n_standbys = 0;

	/* First what is settled without a choice, so that the load of it is known to the choices.
	 */
	for (uint32_t i = 0; i < n_cells; i++) {
		struct ownership_cell *c = &cells[i];
		uint32_t n_moved = plan->n_moved;
		uint64_t may_stand_by;

		if (!settle(&p, c, epoch, plan))
			continue;
		p.loads[find_server(&p, c->owner)].owned += c->weight;
		may_stand_by = standbys(&p, c->owner);
		if (is_among(&p, may_stand_by, c->standby))
			p.loads[find_server(&p, c->standby)].standing_by += c->weight;
		else if (n_moved == plan->n_moved && (may_stand_by != 0 || c->standby != 0))
			plan->n_standbys++;
	}
	for (uint32_t i = 0; i < n_cells; i++) {
		struct ownership_cell *c = &cells[i];
		bool has_owner = is_among(&p, p.owners, c->owner);

		if (has_owner && is_among(&p, standbys(&p, c->owner), c->standby))
			continue;
		measure(&p, c);
		if (!has_owner)
			choose_owner(&p, c, epoch, plan);
		if (is_among(&p, standbys(&p, c->owner), c->standby))
			p.loads[find_server(&p, c->standby)].standing_by += c->weight;
		else
			choose_standby(&p, c);
	}
	return 0;
}
