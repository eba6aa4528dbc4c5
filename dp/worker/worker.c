#include "dp/worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_mbuf.h>
#include <rte_pause.h>

#include "dp/worker/worker_private.h"

#define PUBLISH_NS	   1000000u
#define RESEND_NS	   20000000u
#define INJECTS_A_TURN	   64u
#define IDLE_SPINS	   64u
#define IDLE_FIRST_NS	   10000u
#define IDLE_DOUBLINGS_MAX 14u /* 160 ms, above the longest that can be configured */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint8_t *relay_out_begin(void *port, uint16_t frame_bytes)
{
	return port_tx_begin(port, frame_bytes);
}

static bool relay_out_send(void *port)
{
	return port_tx_queue(port);
}

static int create_relay(struct worker *w)
{
	const struct conf *conf = w->conf;
	const struct relay_config cfg = {
		.self = conf->server,
		.udp_port = conf->listen.relay_port,
		.local_address = conf->self->relay,
		.cells_max = conf->memory.sizes.cells_max,
		.spool_max = conf->dataplane.spool_max,
		.resend_ns = RESEND_NS,
	};
	struct relay_port out = {.begin = relay_out_begin, .send = relay_out_send};

	for (uint32_t i = 0; i < w->n_ports; i++)
		if (port_is_relay(w->ports[i]))
			w->relay_out = w->ports[i];
	if (w->relay_out != NULL) {
		out.port = w->relay_out;
		out.frame_max = port_frame_max(w->relay_out);
		port_ether_address(w->relay_out, out.ether_address);
	}
	return relay_create(&w->relay, &cfg, w->relay_out != NULL ? &out : NULL, &w->stats);
}

/* The counters of control go on from where the last process left them. */
static void remember_notes(struct worker *w)
{
	w->note_base = (struct worker_note){
		.steer_frames = w->stats.n[STATS_STEER_FRAMES],
		.steer_taken = w->stats.n[STATS_STEER_TAKEN],
		.steer_passed = w->stats.n[STATS_STEER_PASSED],
		.steer_source_rate = w->stats.n[STATS_STEER_SOURCE_RATE],
		.steer_unknown_rate = w->stats.n[STATS_STEER_UNKNOWN_RATE],
		.steer_malformed = w->stats.n[STATS_STEER_MALFORMED],
		.port_missed = w->stats.n[STATS_PORT_MISSED],
	};
}

int worker_create(struct worker **out, const struct conf *conf, struct fedmem *fm,
		  struct fedmem_writer *writer, uint32_t n_repaired, struct port **ports,
		  uint32_t n_ports, char *why, size_t why_bytes)
{
	const struct fedmem_sizes *sizes = fedmem_sizes(fm);
	struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
	int err;

	if (w == NULL) {
		snprintf(why, why_bytes, "out of memory for the worker");
		return -ENOMEM;
	}
	memset(w, 0, sizeof(*w));
	w->conf = conf;
	w->fm = fm;
	w->writer = writer;
	w->ports = ports;
	w->n_ports = n_ports;
	for (uint32_t i = 0; i < conf->dataplane.n_formats; i++)
		for (int f = DECODE_NONE + 1; f < DECODE_FORMATS; f++)
			if (strcmp(conf->dataplane.formats[i],
				   decode_format_name((enum decode_format)f)) == 0)
				w->is_format_on[f] = 1;
	w->rules = calloc(sizes->rules_max, sizeof(*w->rules));
	w->rules_next = calloc(sizes->rules_max, sizeof(*w->rules));
	w->cells = calloc(sizes->cells_max, sizeof(*w->cells));
	w->cells_next = calloc(sizes->cells_max, sizeof(*w->cells));
	err = -ENOMEM;
	if (w->rules == NULL || w->rules_next == NULL || w->cells == NULL ||
	    w->cells_next == NULL) {
		snprintf(why, why_bytes, "out of memory for the worker's tables");
		goto fail;
	}
	w->decode = (struct decode_context){
		.rules = w->rules,
		.communities = (const char *const *)conf->dataplane.communities,
		.n_communities = conf->dataplane.n_communities,
	};
	fedmem_stats_load(w->writer, &w->stats);
	w->stats.n[STATS_REPAIRED_RECORDS] += n_repaired;
	remember_notes(w);
	err = create_relay(w);
	if (err == 0)
		err = apply_create(&w->apply, conf->server, fm, w->writer, &w->stats,
				   &(struct apply_relay){.relay = w->relay, .give = relay_give});
	if (err < 0) {
		snprintf(why, why_bytes, "cannot make the worker's relay and spool: %s",
			 strerror(-err));
		goto fail;
	}
	*out = w;
	return 0;
fail:
	worker_destroy(w);
	return err;
}

void worker_note(struct worker *w, const struct worker_note *note)
{
	uint64_t words[WORKER_NOTES];
	uint32_t seq = atomic_load_explicit(&w->note_seq, memory_order_relaxed);

	memcpy(words, note, sizeof(words));
	atomic_store_explicit(&w->note_seq, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < WORKER_NOTES; i++)
		atomic_store_explicit(&w->note[i], words[i], memory_order_relaxed);
	/* Pairs with the acquire in read_note(). */
	atomic_store_explicit(&w->note_seq, seq + 2, memory_order_release);
}

/* False: control is just writing; the next snapshot will have it. */
static bool read_note(struct worker *w, struct worker_note *note)
{
	uint64_t words[WORKER_NOTES];
	uint32_t seq = atomic_load_explicit(&w->note_seq, memory_order_acquire);

	for (size_t i = 0; i < WORKER_NOTES; i++)
		words[i] = atomic_load_explicit(&w->note[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	memcpy(note, words, sizeof(*note));
	return (seq & 1) == 0 && atomic_load_explicit(&w->note_seq, memory_order_relaxed) == seq;
}

static void publish(struct worker *w)
{
	const struct worker_note *base = &w->note_base;
	struct worker_note note;

	if (read_note(w, &note)) {
		w->stats.n[STATS_STEER_FRAMES] = base->steer_frames + note.steer_frames;
		w->stats.n[STATS_STEER_TAKEN] = base->steer_taken + note.steer_taken;
		w->stats.n[STATS_STEER_PASSED] = base->steer_passed + note.steer_passed;
		w->stats.n[STATS_STEER_SOURCE_RATE] =
			base->steer_source_rate + note.steer_source_rate;
		w->stats.n[STATS_STEER_UNKNOWN_RATE] =
			base->steer_unknown_rate + note.steer_unknown_rate;
		w->stats.n[STATS_STEER_MALFORMED] = base->steer_malformed + note.steer_malformed;
		w->stats.n[STATS_PORT_MISSED] = base->port_missed + note.port_missed;
	}
	fedmem_stats_publish(w->writer, &w->stats);
	fedmem_dp_beat(w->writer, w->boot_ns);
	w->published_ns = w->boot_ns;
}

static void follow_rules(struct worker *w)
{
	struct fedmem_rule *read = w->rules_next;
	uint32_t n;

	if (fedmem_rules_get(w->fm, read, fedmem_sizes(w->fm)->rules_max, &n, &w->rules_version) !=
	    0)
		return; /* the old ones go on; the next turn looks again */
	w->rules_next = w->rules;
	w->rules = read;
	w->decode.rules = read;
	w->decode.n_rules = n;
}

/* True: there is a new table of cells. */
static bool follow_cells(struct worker *w)
{
	struct fedmem_cell *read = w->cells_next;
	uint32_t n;

	if (fedmem_cells_get(w->fm, read, fedmem_sizes(w->fm)->cells_max, &n, &w->cells_version) !=
		    0 ||
	    apply_cells(w->apply, read, n) != 0)
		return false;
	w->cells_next = w->cells;
	w->cells = read;
	w->n_cells = n;
	return true;
}

static void follow_servers(struct worker *w)
{
	uint32_t n;

	/* Nothing may be sent under the boot of an earlier start: its numbers were used. */
	w->has_relay_boot = fedmem_relay_boot_met(w->fm) == fedmem_relay_boot_wanted(w->fm);
	if (w->has_relay_boot &&
	    fedmem_servers_get(w->fm, w->servers, FEDMEM_SERVERS_MAX, &n, &w->servers_version) == 0)
		relay_servers(w->relay, w->servers, n);
}

/* Takes over what control changed in the segment since the last turn: one comparison each when
 * nothing did. */
static void follow_tables(struct worker *w)
{
	uint32_t elements_version = fedmem_elements_version(w->fm);
	bool may_own = w->boot_ns < fedmem_lease_until(w->fm);
	bool must_route = may_own != w->may_own;

	w->may_own = may_own;
	if (unlikely(fedmem_rules_version(w->fm) != w->rules_version))
		follow_rules(w);
	if (unlikely(fedmem_cells_version(w->fm) != w->cells_version))
		must_route |= follow_cells(w);
	if (unlikely(!w->has_relay_boot || fedmem_servers_version(w->fm) != w->servers_version))
		follow_servers(w);
	if (unlikely(elements_version != w->elements_version)) {
		w->elements_version = elements_version;
		relay_elements(w->relay);
		must_route = true;
	}
	if (unlikely(must_route)) {
		relay_cells(w->relay, w->cells, w->n_cells, may_own);
		burst_take_back(w);
		fedmem_dp_cells_followed(w->writer, w->cells_version);
	}
}

/* Puts in some of what the control plane wants put in: traffic goes on meanwhile. True: there was
 * something. */
static bool take_injects(struct worker *w)
{
	struct fedmem_inject inject;
	uint32_t n = 0;

	/* What was put there after a change of the cells is judged by that change, so not before
	 * this worker follows it. */
	for (; n < INJECTS_A_TURN && fedmem_inject_peek(w->writer, &inject) == 0 &&
	       fedmem_cells_version(w->fm) == w->cells_version;
	     n++) {
		apply_restore(w->apply, &inject);
		fedmem_inject_done(w->writer);
	}
	return n > 0;
}

/* Spins for a while, then sleeps twice as long each time, up to the configured bound. */
static void idle(const struct worker *w, uint32_t n_idle)
{
	uint64_t max_ns = (uint64_t)w->conf->dataplane.idle_max_us * 1000;
	uint32_t doublings;
	uint64_t ns;

	if (w->conf->dataplane.idle == CONF_IDLE_BUSY || n_idle < IDLE_SPINS) {
		rte_pause();
		return;
	}
	doublings = RTE_MIN(n_idle - IDLE_SPINS, IDLE_DOUBLINGS_MAX);
	ns = RTE_MIN((uint64_t)IDLE_FIRST_NS << doublings, max_ns);
	nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL);
}

/* At most a burst of each port. True: something came, or waits to be sent. */
static bool turn(struct worker *w)
{
	struct rte_mbuf *frames[PORT_BURST];
	bool is_active = false;

	w->now_ns = clock_ns(CLOCK_REALTIME);
	w->boot_ns = clock_ns(CLOCK_BOOTTIME);
	follow_tables(w);
	is_active |= take_injects(w);
	for (uint32_t i = 0; i < w->n_ports; i++) {
		uint16_t n = port_rx(w->ports[i], frames);

		if (n == 0)
			continue;
		burst_handle(w, frames, n);
		rte_pktmbuf_free_bulk(frames, n);
		is_active = true;
	}
	relay_poll(w->relay, w->boot_ns);
	if (w->relay_out != NULL && !port_tx_flush(w->relay_out))
		is_active = true;
	if (w->boot_ns - w->published_ns >= PUBLISH_NS)
		publish(w);
	return is_active;
}

int worker_run(void *worker)
{
	struct worker *w = worker;
	uint32_t n_idle = 0;

	while (!atomic_load_explicit(&w->is_stopping, memory_order_relaxed)) {
		if (turn(w)) {
			n_idle = 0;
			continue;
		}
		idle(w, n_idle);
		if (n_idle < UINT32_MAX)
			n_idle++;
	}
	w->boot_ns = clock_ns(CLOCK_BOOTTIME);
	publish(w);
	return 0;
}

void worker_stop(struct worker *w)
{
	atomic_store_explicit(&w->is_stopping, true, memory_order_relaxed);
}

void worker_destroy(struct worker *w)
{
	if (w == NULL)
		return;
	apply_destroy(w->apply);
	relay_destroy(w->relay);
	free(w->cells_next);
	free(w->cells);
	free(w->rules_next);
	free(w->rules);
	free(w);
}
