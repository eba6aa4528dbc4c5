#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

#define DURABLE_KEY   "election"
#define DURABLE_BYTES 14
#define PROBE_BEATS   4 /* longer than the detector waits for an answer */
#define PROBE_PATH    WIRE_PATH("Cluster", "ProbeServer")

/* ---- What must be on disk before it is said ---- */

static void durable_encode(uint8_t bytes[DURABLE_BYTES], const struct election_durable *d)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(d->boot >> (24 - 8 * i));
	for (int i = 0; i < 8; i++)
		bytes[4 + i] = (uint8_t)(d->epoch >> (56 - 8 * i));
	bytes[12] = (uint8_t)(d->voted_for >> 8);
	bytes[13] = (uint8_t)d->voted_for;
}

static void durable_decode(struct election_durable *d, const uint8_t bytes[DURABLE_BYTES])
{
	*d = (struct election_durable){0};
	for (int i = 0; i < 4; i++)
		d->boot = d->boot << 8 | bytes[i];
	for (int i = 4; i < 12; i++)
		d->epoch = d->epoch << 8 | bytes[i];
	d->voted_for = (uint16_t)(bytes[12] << 8 | bytes[13]);
}

bool member_is_started(const struct cluster *c)
{
	return c->n_persists_done > 0;
}

/* ---- The election's outputs ---- */

static void election_do(struct cluster *c, const struct election_input *in, bool *ack_beat);

static void on_persisted(void *user, int err)
{
	struct cluster *c = user;
	struct election_input in = {.event = ELECTION_EV_PERSISTED, .now_ms = core_now_ms()};

	if (err != 0)
		cluster_die("election: vote not stored", err);
	if (!member_is_started(c))
		core_log(CORE_INFO, "cluster: started server=%u boot=%u epoch=%llu", c->self,
			 c->boot, (unsigned long long)election_epoch(&c->election));
	if (++c->n_persists_done == c->n_persists_asked)
		election_do(c, &in, NULL);
	c->is_urgent = true;
	cluster_turn(c);
}

static void persist(struct cluster *c, const struct election_durable *durable)
{
	uint8_t bytes[DURABLE_BYTES];
	int err;

	durable_encode(bytes, durable);
	c->n_persists_asked++;
	err = store_put(c->store, REGISTRY_TABLE_SMALL, DURABLE_KEY, bytes, sizeof(bytes),
			on_persisted, c);
	if (err != 0)
		cluster_die("election: vote not stored", err);
}

static const char *verdict_text(const struct election_message *m)
{
	if (m->kind != ELECTION_MSG_ANSWER && m->kind != ELECTION_MSG_GRANT)
		return "";
	return m->verdict == ELECTION_GRANTED	   ? " verdict=granted"
	       : m->verdict == ELECTION_STAND_DOWN ? " verdict=stand_down"
						   : " verdict=refused";
}

static void message_send(struct cluster *c, const struct election_message *m)
{
	int err = beat_send(c->beat, m);

	if (err != 0)
		core_log(CORE_WARNING, "election: not sent %s to=%u error=%s",
			 election_message_name(m->kind), m->to, strerror(-err));
	else
		core_log(CORE_INFO, "election: sent %s to=%u epoch=%llu%s",
			 election_message_name(m->kind), m->to, (unsigned long long)m->epoch,
			 verdict_text(m));
}

static void role_told(struct cluster *c)
{
	uint16_t master = election_master(&c->election);
	uint64_t epoch = election_epoch(&c->election);

	/* What was acknowledged in another epoch says nothing about this one. */
	c->ack_to = 0;
	c->ack_sequence = 0;
	c->is_replan_wanted = true;
	c->is_urgent = true;
	if (master == c->told_master && (master == 0 || epoch == c->told_epoch))
		return;
	if (master != 0 && master != c->self)
		c->last_master = master;
	if (master != 0)
		core_log(CORE_INFO, "election: master server=%u epoch=%llu was=%u", master,
			 (unsigned long long)epoch, c->told_master);
	else
		core_log(CORE_WARNING, "election: no master epoch=%llu was=%u",
			 (unsigned long long)epoch, c->told_master);
	c->told_master = master;
	c->told_epoch = epoch;
}

static void election_perform(struct cluster *c, const struct election_output *out)
{
	c->election_wake_ms = out->wake_at_ms;
	c->lease_until_ms = out->lease_until_ms;
	if (out->persist)
		persist(c, &out->durable);
	for (uint32_t i = 0; i < out->n_sends; i++)
		message_send(c, &out->sends[i]);
	if (out->role_changed)
		role_told(c);
}

static void election_do(struct cluster *c, const struct election_input *in, bool *ack_beat)
{
	struct election_output out;

	election_step(&c->election, in, &out);
	election_perform(c, &out);
	if (ack_beat != NULL)
		*ack_beat = out.ack_beat;
}

void member_tell_state(struct cluster *c)
{
	uint64_t now_ns = core_now_ns(), beat_ns = fedmem_dp_beat_ns(c->fedmem);
	bool is_alive = beat_ns != 0 && now_ns - beat_ns < CLUSTER_DP_SILENT_MS * UINT64_C(1000000);
	struct election_input in = {
		.event = ELECTION_EV_STATE,
		.now_ms = now_ns / 1000000u,
		.position = replog_position(&c->replog),
	};

	if (beat_ns > now_ns)
		is_alive = true; /* it looked at the clock after us */
	in.is_healthy = is_alive && replog_may_lead(&c->replog);
	in.is_forgetful = !replog_may_vote(&c->replog);
	if (is_alive != c->is_dp_alive) {
		core_log(is_alive ? CORE_INFO : CORE_WARNING, "cluster: data plane %s server=%u",
			 is_alive ? "alive" : "silent", c->self);
		c->is_dp_alive = is_alive;
		c->self_member->was_well |= is_alive;
		c->is_replan_wanted = true;
		c->is_urgent = true;
	}
	election_do(c, &in, NULL);
}

/* ---- The detector's outputs ---- */

struct look {
	struct cluster *cluster;
	uint16_t peer, via; /* via 0: our own probe */
};

static void detector_do(struct cluster *c, const struct detector_input *in);

/* Asks 'to' about 'server', which may be itself. */
static int probe_call(struct cluster *c, uint16_t to, uint16_t server, rpc_done done, void *user)
{
	struct wire_probe_request request = {.server = server};
	struct wire_bytes bytes;
	int err = wire_probe_request_pack(&request, &bytes);

	if (err != 0)
		return err;
	err = rpc_client_call(c->client, cluster_member(c, to)->call_address, PROBE_PATH,
			      bytes.bytes, bytes.n, PROBE_BEATS * c->conf->cluster.beat_ms, done,
			      user);
	wire_bytes_free(&bytes);
	return err;
}

static bool probe_says(enum rpc_status status, const uint8_t *bytes, size_t n)
{
	struct wire_probe_answer *answer;
	bool is_reachable;

	if (status != RPC_OK || wire_probe_answer_unpack(bytes, n, &answer) != 0)
		return false;
	is_reachable = answer->is_reachable;
	wire_free(answer);
	return is_reachable;
}

static void on_looked(void *user, enum rpc_status status, const char *why, const uint8_t *bytes,
		      size_t n)
{
	struct look look = *(struct look *)user;
	struct detector_input in = {
		.event = look.via == 0 ? DETECTOR_EV_PROBE_RESULT : DETECTOR_EV_ASK_RESULT,
		.peer = look.peer,
		.via = look.via,
		.is_reachable = probe_says(status, bytes, n),
	};

	free(user);
	in.now_ms = core_now_ms();
	detector_do(look.cluster, &in);
	cluster_turn(look.cluster);
}

/* One that cannot be started gives no answer, and the detector's own time-out ends the wait. */
static void look_start(struct cluster *c, const struct detector_action *a)
{
	uint16_t to = a->act == DETECTOR_ASK ? a->via : a->peer;
	struct look *look = malloc(sizeof(*look));
	int err = -ENOMEM;

	if (look != NULL) {
		*look = (struct look){c, a->peer, a->act == DETECTOR_ASK ? a->via : 0};
		err = probe_call(c, to, a->peer, on_looked, look);
	}
	if (err == 0)
		return;
	free(look);
	if (err != -ECANCELED) /* the client is ending, and so are we */
		core_log(CORE_WARNING, "detector: not probed server=%u via=%u error=%s", a->peer,
			 to, strerror(-err));
}

static void state_changed(struct cluster *c, const struct detector_change *change)
{
	struct election_input in = {.event = ELECTION_EV_FAILED, .server = change->peer};

	core_log(change->to == DETECTOR_FAILED ? CORE_WARNING : CORE_INFO,
		 "detector: server=%u state=%s was=%s", change->peer,
		 detector_state_name(change->to), detector_state_name(change->from));
	c->is_replan_wanted = true;
	if (change->to == DETECTOR_FAILED) {
		in.now_ms = core_now_ms();
		election_do(c, &in, NULL);
		replica_peer(c, change->peer, 0);
	} else if (change->from == DETECTOR_FAILED) {
		replica_peer(c, change->peer, cluster_member(c, change->peer)->boot);
	}
}

static void detector_perform(struct cluster *c, const struct detector_output *out)
{
	c->detector_wake_ms = out->wake_at_ms;
	for (uint32_t i = 0; i < out->n_changes; i++)
		state_changed(c, &out->changes[i]);
	for (uint32_t i = 0; i < out->n_actions; i++)
		look_start(c, &out->actions[i]);
}

static void detector_do(struct cluster *c, const struct detector_input *in)
{
	struct detector_output out;

	detector_step(&c->detector, in, &out);
	detector_perform(c, &out);
}

/* ---- What comes in ---- */

static void beat_note(struct cluster *c, struct member *m, const struct beat_heard *heard)
{
	const struct beat_state *said = &heard->state;
	bool is_new_life = heard->boot != m->boot;

	if (is_new_life)
		core_log(CORE_INFO, "cluster: heard server=%u boot=%u epoch=%llu", heard->from,
			 heard->boot, (unsigned long long)said->epoch);
	if (!is_new_life && said->is_dp_alive != m->said.is_dp_alive)
		core_log(said->is_dp_alive ? CORE_INFO : CORE_WARNING,
			 "cluster: data plane %s server=%u", said->is_dp_alive ? "alive" : "silent",
			 heard->from);
	if (is_new_life || said->is_dp_alive != m->said.is_dp_alive)
		c->is_replan_wanted = true;
	m->boot = heard->boot;
	m->heard_ms = core_now_ms();
	m->said = *said;
	m->was_well |= said->is_dp_alive;
	if (is_new_life)
		replica_peer(c, heard->from, heard->boot);
}

void member_on_beat(void *user, const struct beat_heard *heard)
{
	struct cluster *c = user;
	struct member *m = cluster_member(c, heard->from);
	uint64_t now_ms = core_now_ms();
	struct election_beat beat = {
		.from = heard->from,
		.from_boot = heard->boot,
		.epoch = heard->state.epoch,
		.master = heard->state.master,
		.is_healthy = heard->state.is_healthy,
		.position = heard->state.position,
		.acked_sent_ms = heard->acked_sent_ms,
	};
	struct election_input in = {.event = ELECTION_EV_BEAT, .now_ms = now_ms, .beat = &beat};
	struct detector_input seen = {
		.event = DETECTOR_EV_BEAT, .now_ms = now_ms, .peer = heard->from};
	bool ack_beat;

	beat_note(c, m, heard);
	detector_do(c, &seen);
	election_do(c, &in, &ack_beat);
	if (ack_beat) {
		c->ack_to = heard->from;
		c->ack_boot = heard->boot;
		c->ack_sequence = heard->sequence;
	}
	cluster_turn(c);
}

void member_on_message(void *user, const struct election_message *m)
{
	struct cluster *c = user;
	struct election_input in = {
		.event = ELECTION_EV_MESSAGE, .now_ms = core_now_ms(), .message = m};

	core_log(CORE_INFO, "election: received %s from=%u epoch=%llu%s",
		 election_message_name(m->kind), m->from, (unsigned long long)m->epoch,
		 verdict_text(m));
	election_do(c, &in, NULL);
	cluster_turn(c);
}

void member_timer(struct cluster *c, uint64_t now_ms)
{
	struct detector_input look = {.event = DETECTOR_EV_TIMER, .now_ms = now_ms};
	struct election_input in = {.event = ELECTION_EV_TIMER, .now_ms = now_ms};

	if (now_ms >= c->detector_wake_ms)
		detector_do(c, &look);
	if (now_ms >= c->election_wake_ms)
		election_do(c, &in, NULL);
}

/* ---- What goes out ---- */

void member_post(struct cluster *c)
{
	struct beat_state s = {
		.epoch = election_epoch(&c->election),
		.master = election_master(&c->election),
		.role = (uint8_t)election_role(&c->election),
		.is_healthy = c->is_dp_alive && replog_may_lead(&c->replog),
		.is_dp_alive = c->is_dp_alive,
		.position = replog_position(&c->replog),
		.is_committed = replica_is_committed(c),
		.relay_boot = c->relay_boot,
		.ack_to = c->ack_to,
		.ack_boot = c->ack_boot,
		.ack_sequence = c->ack_sequence,
	};

	if (!member_is_started(c))
		return; /* the boot is not on disk yet */
	beat_post(c->beat, &s);
	if (c->is_urgent)
		beat_now(c->beat);
	c->is_urgent = false;
}

bool member_is_acting(const struct cluster *c)
{
	return election_role(&c->election) == ELECTION_MASTER && core_now_ms() < c->lease_until_ms;
}

bool member_is_followed(const struct cluster *c, uint16_t from, uint64_t epoch)
{
	return election_master(&c->election) == from && election_epoch(&c->election) == epoch;
}

bool member_is_well(const struct cluster *c, const struct member *m)
{
	if (m == c->self_member)
		return c->is_dp_alive;
	return m->said.is_dp_alive && member_state(c, m) != DETECTOR_FAILED;
}

enum detector_state member_state(const struct cluster *c, const struct member *m)
{
	return m == c->self_member ? DETECTOR_ALIVE : detector_state(&c->detector, m->conf->id);
}

enum election_role member_role(const struct cluster *c, const struct member *m)
{
	return m == c->self_member ? election_role(&c->election) : (enum election_role)m->said.role;
}

/* ---- Probing for others ---- */

struct probe_for_peer {
	struct cluster *cluster;
	struct rpc_call *call;
};

static void probe_answer(struct rpc_call *call, bool is_reachable)
{
	struct wire_probe_answer answer = {.is_reachable = is_reachable};
	struct wire_bytes bytes;

	if (wire_probe_answer_pack(&answer, &bytes) != 0) {
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	rpc_call_reply(call, bytes.bytes, bytes.n);
	wire_bytes_free(&bytes);
}

static void on_probed_for_peer(void *user, enum rpc_status status, const char *why,
			       const uint8_t *bytes, size_t n)
{
	struct probe_for_peer probe = *(struct probe_for_peer *)user;

	free(user);
	probe.cluster->n_probes_for_peers--;
	probe_answer(probe.call, probe_says(status, bytes, n));
}

static void probe_for_peer(struct cluster *c, struct rpc_call *call, uint16_t server)
{
	struct probe_for_peer *probe = NULL;
	int err = -ENOBUFS;

	if (c->n_probes_for_peers < CLUSTER_PROBES_MAX) {
		probe = malloc(sizeof(*probe));
		err = -ENOMEM;
	}
	if (probe != NULL) {
		*probe = (struct probe_for_peer){c, call};
		err = probe_call(c, server, server, on_probed_for_peer, probe);
	}
	if (err != 0) {
		free(probe);
		rpc_call_fail(call, RPC_RESOURCE_EXHAUSTED, strerror(-err));
		return;
	}
	c->n_probes_for_peers++;
}

/* That this runs is the answer about ourselves: a connection alone would only prove that our kernel
 * does, not that this thread is not stuck. */
void member_probe_handler(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct cluster *c = user;
	struct wire_probe_request *request;
	uint16_t server;

	if (wire_probe_request_unpack(bytes, n, &request) != 0) {
		rpc_call_fail(call, RPC_INVALID_ARGUMENT, "not a ProbeRequest");
		return;
	}
	server = (uint16_t)request->server;
	wire_free(request);
	if (server == c->self)
		probe_answer(call, true);
	else if (cluster_member(c, server) != NULL)
		probe_for_peer(c, call, server);
	else
		rpc_call_fail(call, RPC_NOT_FOUND, "no such server");
}

/* ---- The start ---- */

int member_load(struct cluster *c)
{
	uint8_t bytes[DURABLE_BYTES] = {0};
	size_t n = sizeof(bytes);
	int err = store_get(c->store, REGISTRY_TABLE_SMALL, DURABLE_KEY, strlen(DURABLE_KEY), bytes,
			    &n);

	if (err != STORE_NOT_FOUND && (err != 0 || n != sizeof(bytes)))
		return err < 0 ? err : -EBADMSG;
	durable_decode(&c->durable, bytes);
	c->boot = c->durable.boot = cluster_next_boot(c->durable.boot);
	return 0;
}

int member_start(struct cluster *c)
{
	struct election_config ec = {
		.self = c->self,
		.beat_ms = c->conf->cluster.beat_ms,
		.hold_down_ms = c->conf->cluster.hold_down_ms,
	};
	struct detector_config dc = {.beat_ms = c->conf->cluster.beat_ms};
	struct election_output eo;
	struct detector_output dout;

	for (uint32_t i = 0; i < c->n_members; i++) {
		const struct conf_server *s = c->members[i].conf;

		if (s->is_voter && ec.n_voters < ELECTION_VOTERS_MAX) {
			ec.voters[ec.n_voters].id = s->id;
			ec.voters[ec.n_voters++].rank = s->rank;
		}
		if (s->id != c->self)
			dc.peers[dc.n_peers++] = s->id;
	}
	if (getrandom(&ec.seed, sizeof(ec.seed), 0) != sizeof(ec.seed))
		return -EIO;
	detector_init(&c->detector, &dc, core_now_ms(), &dout);
	detector_perform(c, &dout);
	election_init(&c->election, &ec, &c->durable, replog_position(&c->replog), core_now_ms(),
		      &eo);
	election_perform(c, &eo);
	return 0;
}
