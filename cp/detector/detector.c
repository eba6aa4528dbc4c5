#include "cp/detector/detector.h"

#include <assert.h>
#include <string.h>

#define MISSED_BEATS   3
#define GRACE_BEATS    20
#define ROUND_BEATS    2
#define SLOWNESS_MAX   7
#define SLOWNESS_BEATS 10 /* one step of slowness is forgotten after these */

static uint64_t stretched(const struct detector *d, uint64_t ms)
{
	return ms * (1 + d->slowness);
}

/* The third missing beat is known to be missing when it is a quarter of a beat late. */
static uint64_t silence_ms(const struct detector *d)
{
	return stretched(d, MISSED_BEATS * d->beat_ms + d->beat_ms / 4);
}

static struct detector_peer *find(struct detector *d, uint16_t id)
{
	for (uint32_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].id == id)
			return &d->peers[i];
	return NULL;
}

static void change(struct detector_peer *p, enum detector_state to, struct detector_output *out)
{
	/* Within one step a peer changes twice at most, and then it is one change. */
	for (uint32_t i = 0; i < out->n_changes; i++) {
		if (out->changes[i].peer == p->id) {
			out->changes[i].to = p->state = to;
			return;
		}
	}
	out->changes[out->n_changes++] = (struct detector_change){p->id, p->state, to};
	p->state = to;
}

static void act(struct detector_output *out, enum detector_act what, uint16_t peer, uint16_t via)
{
	assert(out->n_actions < DETECTOR_ASKS_MAX);
	out->actions[out->n_actions++] = (struct detector_action){what, peer, via};
}

static void start_round(struct detector *d, struct detector_peer *p, struct detector_output *out)
{
	uint32_t n_vias = 0, at = p - d->peers;

	p->is_reached = false;
	p->is_probing = true;
	p->round_ends_ms = d->now_ms + stretched(d, ROUND_BEATS * d->beat_ms);
	memset(p->vias, 0, sizeof(p->vias));
	act(out, DETECTOR_PROBE, p->id, 0);
	/* The next ones in the list that live: not the same two are asked about everybody. */
	for (uint32_t i = 1; i < d->n_peers && n_vias < DETECTOR_VIAS; i++) {
		const struct detector_peer *via = &d->peers[(at + i) % d->n_peers];

		if (via->state != DETECTOR_ALIVE)
			continue;
		p->vias[n_vias++] = via->id;
		act(out, DETECTOR_ASK, p->id, via->id);
	}
}

static bool is_awaiting(const struct detector_peer *p)
{
	return p->is_probing || p->vias[0] != 0 || p->vias[1] != 0;
}

static void check(struct detector *d, struct detector_peer *p, struct detector_output *out)
{
	switch (p->state) {
	case DETECTOR_UNKNOWN:
		if (d->now_ms < p->heard_ms + stretched(d, GRACE_BEATS * d->beat_ms))
			return;
		break;
	case DETECTOR_ALIVE:
		if (d->now_ms < p->heard_ms + silence_ms(d))
			return;
		break;
	case DETECTOR_SUSPECT:
		if (d->now_ms < p->round_ends_ms && (p->is_reached || is_awaiting(p)))
			return;
		if (!p->is_reached)
			change(p, DETECTOR_FAILED, out);
		else if (d->now_ms >= p->round_ends_ms)
			start_round(d, p, out);
		return;
	case DETECTOR_FAILED:
		return;
	}
	change(p, DETECTOR_SUSPECT, out);
	start_round(d, p, out);
}

static uint64_t due_ms(const struct detector *d, const struct detector_peer *p)
{
	switch (p->state) {
	case DETECTOR_UNKNOWN:
		return p->heard_ms + stretched(d, GRACE_BEATS * d->beat_ms);
	case DETECTOR_ALIVE:
		return p->heard_ms + silence_ms(d);
	case DETECTOR_SUSPECT:
		return p->round_ends_ms;
	case DETECTOR_FAILED:
		break;
	}
	return UINT64_MAX;
}

static void finish(struct detector *d, struct detector_output *out)
{
	d->wake_at_ms = d->now_ms + d->beat_ms; /* a steady tick: it measures our own slowness */
	for (uint32_t i = 0; i < d->n_peers; i++) {
		check(d, &d->peers[i], out);
		if (due_ms(d, &d->peers[i]) < d->wake_at_ms)
			d->wake_at_ms = due_ms(d, &d->peers[i]);
	}
	out->wake_at_ms = d->wake_at_ms;
}

/* We were away for as long as we are late: nobody's silence in that time says anything. */
static void measure_slowness(struct detector *d)
{
	uint64_t late_ms = d->now_ms > d->wake_at_ms ? d->now_ms - d->wake_at_ms : 0;

	if (late_ms > d->beat_ms) {
		d->slowness += d->slowness < SLOWNESS_MAX;
		d->slowness_falls_ms = d->now_ms + SLOWNESS_BEATS * d->beat_ms;
		for (uint32_t i = 0; i < d->n_peers; i++) {
			d->peers[i].heard_ms += late_ms;
			d->peers[i].round_ends_ms += late_ms;
		}
	} else if (d->slowness > 0 && d->now_ms >= d->slowness_falls_ms) {
		d->slowness--;
		d->slowness_falls_ms = d->now_ms + SLOWNESS_BEATS * d->beat_ms;
	}
}

static void handle_result(struct detector_peer *p, const struct detector_input *in)
{
	bool is_asked = false;

	if (p->state != DETECTOR_SUSPECT)
		return;
	if (in->event == DETECTOR_EV_PROBE_RESULT) {
		is_asked = p->is_probing;
		p->is_probing = false;
	}
	for (int i = 0; in->event == DETECTOR_EV_ASK_RESULT && i < DETECTOR_VIAS; i++) {
		if (p->vias[i] == 0 || p->vias[i] != in->via)
			continue;
		is_asked = true;
		p->vias[i] = 0;
	}
	if (is_asked && in->is_reachable)
		p->is_reached = true;
}

void detector_init(struct detector *d, const struct detector_config *cfg, uint64_t now_ms,
		   struct detector_output *out)
{
	assert(cfg->n_peers <= DETECTOR_PEERS_MAX && cfg->beat_ms > 0);
	memset(d, 0, sizeof(*d));
	d->n_peers = cfg->n_peers;
	d->beat_ms = cfg->beat_ms;
	d->now_ms = now_ms;
	for (uint32_t i = 0; i < cfg->n_peers; i++) {
		d->peers[i].id = cfg->peers[i];
		d->peers[i].state = DETECTOR_UNKNOWN;
		d->peers[i].heard_ms = now_ms;
	}
	out->n_actions = out->n_changes = 0;
	finish(d, out);
}

void detector_step(struct detector *d, const struct detector_input *in, struct detector_output *out)
{
	struct detector_peer *p = in->event == DETECTOR_EV_TIMER ? NULL : find(d, in->peer);

	out->n_actions = out->n_changes = 0;
	if (in->now_ms > d->now_ms)
		d->now_ms = in->now_ms;
	measure_slowness(d);
	if (p != NULL && in->event == DETECTOR_EV_BEAT) {
		p->heard_ms = d->now_ms;
		if (p->state != DETECTOR_ALIVE)
			change(p, DETECTOR_ALIVE, out);
	} else if (p != NULL) {
		handle_result(p, in);
	}
	finish(d, out);
}

enum detector_state detector_state(const struct detector *d, uint16_t peer)
{
	for (uint32_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].id == peer)
			return d->peers[i].state;
	return DETECTOR_UNKNOWN;
}

double detector_stretch(const struct detector *d)
{
	return 1.0 + d->slowness;
}

const char *detector_state_name(enum detector_state state)
{
	switch (state) {
	case DETECTOR_UNKNOWN:
		return "unknown";
	case DETECTOR_ALIVE:
		return "alive";
	case DETECTOR_SUSPECT:
		return "suspect";
	case DETECTOR_FAILED:
		return "failed";
	}
	return "invalid";
}
