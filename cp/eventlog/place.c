#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cp/eventlog/eventlog_private.h"

/* The registry and the servers of a cluster. */
#define ORIGINS_MAX 65
/* So many runs fit a token beside so many origins, however long their numbers are. */
#define RUNS_THAT_ALWAYS_FIT 48

/* Numbers that were told above the mark: all from 'first' to 'last'. */
struct run {
	uint64_t first, last;
};

/* Runs rise, and between two of them, and below the first, at least one number is missing. */
struct origin {
	uint32_t id;
	uint64_t mark;
	struct run *runs;
	uint32_t n_runs, room;
};

struct eventlog_place {
	uint16_t self;
	bool has_skipped;
	struct origin origins[ORIGINS_MAX]; /* by id */
	uint32_t n_origins, n_runs;
};

/* ---- What was told of one origin ---- */

/* NULL: there is none and no room for one. */
static struct origin *origin_at(struct eventlog_place *p, uint32_t id)
{
	uint32_t at = 0;

	while (at < p->n_origins && p->origins[at].id < id)
		at++;
	if (at < p->n_origins && p->origins[at].id == id)
		return &p->origins[at];
	if (p->n_origins == ORIGINS_MAX)
		return NULL;
	memmove(&p->origins[at + 1], &p->origins[at], (p->n_origins - at) * sizeof(*p->origins));
	p->n_origins++;
	p->origins[at] = (struct origin){.id = id};
	return &p->origins[at];
}

static void drop_runs(struct eventlog_place *p, struct origin *o, uint32_t at, uint32_t n)
{
	memmove(&o->runs[at], &o->runs[at + n], (o->n_runs - at - n) * sizeof(*o->runs));
	o->n_runs -= n;
	p->n_runs -= n;
}

/* Everything up to 'number' was told. */
static void raise_mark(struct eventlog_place *p, struct origin *o, uint64_t number)
{
	uint32_t n = 0;

	if (number > o->mark)
		o->mark = number;
	while (n < o->n_runs && (o->runs[n].first <= o->mark || o->runs[n].first - o->mark == 1)) {
		if (o->runs[n].last > o->mark)
			o->mark = o->runs[n].last;
		n++;
	}
	if (n > 0)
		drop_runs(p, o, 0, n);
}

/* The lowest run becomes part of the mark: what lies below it is given up. */
static void skip(struct eventlog_place *p, struct origin *o)
{
	p->has_skipped = true;
	raise_mark(p, o, o->runs[0].last);
}

/* The first run that ends at 'number' or above. */
static uint32_t run_at(const struct origin *o, uint64_t number)
{
	uint32_t low = 0, high = o->n_runs;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (o->runs[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool has_room(struct origin *o)
{
	uint32_t room = o->room == 0 ? 8 : 2 * o->room;
	struct run *more;

	if (o->n_runs < o->room)
		return true;
	more = reallocarray(o->runs, room, sizeof(*more));
	if (more == NULL)
		return false;
	o->runs = more;
	o->room = room;
	return true;
}

/* Adds numbers above the mark. */
static void add_run(struct eventlog_place *p, struct origin *o, struct run r)
{
	uint32_t at = run_at(o, r.first), n = 0;

	/* With what it touches or overlaps it becomes one run. */
	if (at > 0 && r.first - o->runs[at - 1].last == 1)
		at--;
	for (; at + n < o->n_runs; n++) {
		const struct run *other = &o->runs[at + n];

		if (other->first > r.last && other->first - r.last > 1)
			break;
		r.first = other->first < r.first ? other->first : r.first;
		r.last = other->last > r.last ? other->last : r.last;
	}
	if (n > 0) {
		o->runs[at] = r;
		drop_runs(p, o, at + 1, n - 1);
	} else if (has_room(o)) {
		memmove(&o->runs[at + 1], &o->runs[at], (o->n_runs - at) * sizeof(*o->runs));
		o->runs[at] = r;
		o->n_runs++;
		p->n_runs++;
	} else { /* no memory: as when the token is full */
		p->has_skipped = true;
		raise_mark(p, o, r.last);
	}
	raise_mark(p, o, o->mark);
}

/* ---- Tokens ---- */

/* Writes what fits; says how long the token is, without the terminator. */
static size_t print(const struct eventlog_place *p, char *out, size_t room)
{
	size_t n = 0;

#define PRINT(...)                                                                                 \
	n += (size_t)snprintf(n < room ? out + n : NULL, n < room ? room - n : 0, __VA_ARGS__)
	if (room > 0)
		out[0] = '\0';
	for (uint32_t i = 0; i < p->n_origins; i++) {
		const struct origin *o = &p->origins[i];
		uint64_t at = o->mark;

		PRINT("%s%u:%" PRIu64, i > 0 ? "," : "", o->id, o->mark);
		for (uint32_t r = 0; r < o->n_runs; r++) {
			PRINT("+%" PRIu64, o->runs[r].first - at);
			if (o->runs[r].last > o->runs[r].first)
				PRINT("-%" PRIu64, o->runs[r].last - o->runs[r].first);
			at = o->runs[r].last;
		}
	}
#undef PRINT
	return n;
}

static struct origin *longest(struct eventlog_place *p)
{
	struct origin *o = p->origins;

	for (uint32_t i = 1; i < p->n_origins; i++)
		if (p->origins[i].n_runs > o->n_runs)
			o = &p->origins[i];
	return o;
}

static void fit(struct eventlog_place *p)
{
	while (p->n_runs > RUNS_THAT_ALWAYS_FIT && print(p, NULL, 0) >= EVENTLOG_TOKEN_MAX)
		skip(p, longest(p));
}

/* Digits from '*at' on. */
static bool read_number(const char **at, uint64_t *out)
{
	uint64_t n = 0;

	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; ++*at)
		if (__builtin_mul_overflow(n, 10u, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(**at - '0'), &n))
			return false;
	*out = n;
	return true;
}

/* "+9-2" behind 'told'. */
static bool read_run(const char **at, uint64_t told, struct run *out)
{
	uint64_t distance, more = 0;

	++*at;
	if (!read_number(at, &distance) || distance < 2)
		return false;
	if (**at == '-') {
		++*at;
		if (!read_number(at, &more) || more == 0)
			return false;
	}
	return !__builtin_add_overflow(told, distance, &out->first) &&
	       !__builtin_add_overflow(out->first, more, &out->last);
}

static bool read_origin(struct eventlog_place *p, const char **at)
{
	uint64_t id, mark;
	struct origin *o;

	if (!read_number(at, &id) || id > UINT16_MAX || **at != ':')
		return false;
	++*at;
	if (!read_number(at, &mark))
		return false;
	if (p->n_origins == ORIGINS_MAX ||
	    (p->n_origins > 0 && p->origins[p->n_origins - 1].id >= id))
		return false;
	o = &p->origins[p->n_origins++];
	*o = (struct origin){.id = (uint32_t)id, .mark = mark};
	while (**at == '+') {
		struct run r;

		if (!read_run(at, o->n_runs == 0 ? mark : o->runs[o->n_runs - 1].last, &r))
			return false;
		add_run(p, o, r);
	}
	return true;
}

static bool read_token(struct eventlog_place *p, const char *token)
{
	if (strnlen(token, EVENTLOG_TOKEN_MAX) == EVENTLOG_TOKEN_MAX)
		return false;
	if (*token == '\0')
		return true;
	for (;; token++) {
		if (!read_origin(p, &token))
			return false;
		if (*token != ',')
			return *token == '\0';
	}
}

/* ---- The place ---- */

int eventlog_place_create(struct eventlog_place **out, uint16_t self, const char *token)
{
	struct eventlog_place *p = calloc(1, sizeof(*p));
	int err = -EINVAL;

	if (p == NULL)
		return -ENOMEM;
	p->self = self;
	if (!read_token(p, token))
		goto fail;
	err = -ENOMEM;
	if (p->has_skipped) /* a token that is one needs no skipping: there was no memory */
		goto fail;
	*out = p;
	return 0;
fail:
	eventlog_place_free(p);
	return err;
}

bool eventlog_place_take(struct eventlog_place *p, const struct wire_event *e, uint16_t from)
{
	bool is_own = e->origin == 0 ? from == p->self : from == e->origin;
	struct origin *o;
	uint32_t at;
	bool is_new;

	if (e->origin == 0 && !is_own)
		return false;
	o = origin_at(p, e->origin);
	if (o == NULL) {
		p->has_skipped = true; /* told, but a token cannot say so */
		return true;
	}
	if (e->number <= o->mark)
		return false;
	at = run_at(o, e->number);
	is_new = at == o->n_runs || o->runs[at].first > e->number;
	if (is_own)
		raise_mark(p, o, e->number);
	else if (is_new)
		add_run(p, o, (struct run){e->number, e->number});
	fit(p);
	return is_new;
}

int eventlog_place_join(struct eventlog_place *p, const char *token)
{
	struct eventlog_place *other;
	int err = eventlog_place_create(&other, p->self, token);

	if (err < 0)
		return err;
	for (uint32_t i = 0; i < other->n_origins; i++) {
		const struct origin *from = &other->origins[i];
		struct origin *o = origin_at(p, from->id);

		if (o == NULL) {
			p->has_skipped = true;
			continue;
		}
		raise_mark(p, o, from->mark);
		for (uint32_t r = 0; r < from->n_runs; r++)
			if (from->runs[r].last > o->mark)
				add_run(p, o, from->runs[r]);
	}
	fit(p);
	eventlog_place_free(other);
	return 0;
}

uint64_t eventlog_place_mark(const struct eventlog_place *p, uint16_t origin)
{
	for (uint32_t i = 0; i < p->n_origins; i++)
		if (p->origins[i].id == origin)
			return p->origins[i].mark;
	return 0;
}

bool place_find(const struct eventlog_place *p, uint32_t origin, uint64_t number, uint64_t *first,
		uint64_t *last)
{
	for (uint32_t i = 0; i < p->n_origins; i++) {
		const struct origin *o = &p->origins[i];
		uint32_t at = run_at(o, number);

		if (o->id != origin)
			continue;
		if (number > o->mark && (at == o->n_runs || o->runs[at].first > number))
			return false;
		*first = number <= o->mark ? 0 : o->runs[at].first;
		*last = number <= o->mark ? o->mark : o->runs[at].last;
		return true;
	}
	return false;
}

void place_raise(struct eventlog_place *p, uint32_t origin, uint64_t number)
{
	struct origin *o = origin_at(p, origin);

	if (o == NULL)
		p->has_skipped = true;
	else
		raise_mark(p, o, number);
	fit(p);
}

bool eventlog_place_has_skipped(struct eventlog_place *p)
{
	bool has_skipped = p->has_skipped;

	p->has_skipped = false;
	return has_skipped;
}

void eventlog_place_token(const struct eventlog_place *p, char out[EVENTLOG_TOKEN_MAX])
{
	print(p, out, EVENTLOG_TOKEN_MAX);
}

void eventlog_place_free(struct eventlog_place *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->n_origins; i++)
		free(p->origins[i].runs);
	free(p);
}
