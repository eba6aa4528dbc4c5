#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cp/cluster/state.h"
#include "cp/core/core.h"
#include "cp/wire/wire.h"

#define BEATS_LOG_MS 60000
#define BOOT_BASE_MS UINT64_C(1735689600000) /* 2025; the numbers last until 2059 */
#define BOOT_UNIT_MS 250

uint32_t cluster_next_boot(uint32_t stored)
{
	if (stored != 0)
		return stored + 1;
	/* Nothing is stored: the first start, or the directory was lost. A life lasts longer than a
	 * quarter of a second on average, so the time is ahead of any number that was counted up
	 * before. */
	return (uint32_t)((core_wall_ns() / 1000000u - BOOT_BASE_MS) / BOOT_UNIT_MS) + 1;
}

void cluster_die(const char *what, int err)
{
	core_log(CORE_ERROR, "%s error=%s; this process ends, the next start recovers", what,
		 strerror(-err));
	_exit(EXIT_FAILURE);
}

struct member *cluster_member(struct cluster *c, uint16_t id)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		if (c->members[i].conf->id == id)
			return &c->members[i];
	return NULL;
}

/* ---- The turn ---- */

/* What the beat thread counted and somebody should know; at most once a minute. */
static void beats_log(struct cluster *c, uint64_t now_ms)
{
	struct beat_stats now;
	bool is_told = false;

	if (now_ms < c->beats_log_ms)
		return;
	beat_stats(c->beat, &now);
	for (int i = BEAT_ACCEPTED + 1; i < BEAT_REFUSALS_N; i++) {
		/* Every start of a peer begins with some that were meant for its earlier life. */
		if (i == BEAT_REFUSED_OTHER_LIFE || now.refused[i] == c->told_beats.refused[i])
			continue;
		core_log(CORE_WARNING, "beat: refused reason=%s n=%llu",
			 beat_refusal_name((enum beat_refusal)i),
			 (unsigned long long)now.refused[i]);
		is_told = true;
	}
	if (now.n_silent != c->told_beats.n_silent) {
		core_log(CORE_WARNING, "beat: silent while control was stuck n=%llu",
			 (unsigned long long)now.n_silent);
		is_told = true;
	}
	if (!is_told)
		return;
	c->told_beats = now;
	c->beats_log_ms = now_ms + BEATS_LOG_MS;
}

static void on_timer(uv_timer_t *timer)
{
	struct cluster *c = timer->data;

	c->is_loop_turning = true;
	/* What has come in while we were away was not silence. */
	beat_deliver(c->beat);
	member_timer(c, core_now_ms());
	cluster_turn(c);
}

static void timer_set(struct cluster *c, uint64_t now_ms)
{
	uint64_t wake_ms = c->upkeep_ms;

	if (c->election_wake_ms < wake_ms)
		wake_ms = c->election_wake_ms;
	if (c->detector_wake_ms < wake_ms)
		wake_ms = c->detector_wake_ms;
	if (c->replog_wake_ms < wake_ms)
		wake_ms = c->replog_wake_ms;
	if (c->is_apply_due)
		wake_ms = now_ms;
	uv_update_time(c->loop);
	uv_timer_start(c->timer, on_timer, wake_ms > now_ms ? wake_ms - now_ms : 0, 0);
}

static void turn(struct cluster *c)
{
	uint64_t now_ms = core_now_ms();

	if (now_ms >= c->upkeep_ms) {
		c->upkeep_ms = now_ms + CLUSTER_UPKEEP_MS;
		mirror_servers_upkeep(c, now_ms);
		member_tell_state(c);
		beats_log(c, now_ms);
	}
	replica_turn(c, now_ms);
	mirror_turn(c);
	member_post(c);
	mirror_servers(c);
}

void cluster_turn(struct cluster *c)
{
	/* Who is told of what was applied may ask for more at once. */
	if (c->is_turning) {
		c->is_turn_wanted = true;
		return;
	}
	c->is_turning = true;
	do {
		c->is_turn_wanted = false;
		turn(c);
	} while (c->is_turn_wanted);
	c->is_turning = false;
	timer_set(c, core_now_ms());
}

/* ---- What others may look at ---- */

static void server_look(struct cluster *c, struct cluster_server *to, const struct member *m)
{
	bool is_self = m == c->self_member;

	*to = (struct cluster_server){
		.conf = m->conf,
		.state = member_state(c, m),
		.role = member_role(c, m),
		.epoch = is_self ? election_epoch(&c->election) : m->said.epoch,
		.heard_ms_ago = is_self	       ? 0
				: m->boot == 0 ? UINT64_MAX
					       : core_now_ms() - m->heard_ms,
		.boot = is_self ? c->boot : m->boot,
		.is_healthy = is_self ? c->is_dp_alive && replog_may_lead(&c->replog)
				      : m->said.is_healthy,
		.is_dp_alive = is_self ? c->is_dp_alive : m->said.is_dp_alive,
		.is_drained = registry_is_drained(c->registry, m->conf->id),
	};
	memcpy(to->call_address, m->call_address, sizeof(to->call_address));
}

const struct cluster_view *cluster_view(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++)
		server_look(c, &c->servers[i], &c->members[i]);
	c->view = (struct cluster_view){
		.self = c->self,
		.master = election_master(&c->election),
		.epoch = election_epoch(&c->election),
		.servers = c->servers,
		.n_servers = c->n_members,
		.map = registry_map(c->registry),
		.committed = registry_applied(c->registry),
		.is_rebuilding = !replog_may_lead(&c->replog),
	};
	return &c->view;
}

const struct cluster_server *cluster_server(struct cluster *c, uint16_t id)
{
	const struct member *m = cluster_member(c, id);

	if (m == NULL)
		return NULL;
	server_look(c, &c->servers[m - c->members], m);
	return &c->servers[m - c->members];
}

const struct ownership_cell *cluster_cell(struct cluster *c, const char *name)
{
	return cellmap_find(registry_map(c->registry), name);
}

const struct registry *cluster_registry(struct cluster *c)
{
	return c->registry;
}

const struct rpc_method *cluster_methods(struct cluster *c, uint32_t *n)
{
	const struct rpc_method methods[] = {
		{.path = WIRE_PATH("Cluster", "AppendEntries"), .handler = append_handler},
		{.path = WIRE_PATH("Cluster", "InstallSnapshot"), .handler = snapshot_handler},
		{.path = WIRE_PATH("Cluster", "ProbeServer"), .handler = member_probe_handler},
	};

	*n = sizeof(methods) / sizeof(methods[0]);
	_Static_assert(sizeof(methods) == sizeof(c->methods), "there is room for each");
	memcpy(c->methods, methods, sizeof(methods));
	for (uint32_t i = 0; i < *n; i++)
		c->methods[i].user = c;
	return c->methods;
}

/* ---- Life ---- */

static void members_init(struct cluster *c)
{
	for (uint32_t i = 0; i < c->n_members; i++) {
		struct member *m = &c->members[i];
		const char *address = c->conf->servers[i].address;

		m->conf = &c->conf->servers[i];
		snprintf(m->call_address, sizeof(m->call_address),
			 strchr(address, ':') != NULL ? "[%s]:%u" : "%s:%u", address,
			 c->conf->listen.api_port);
		if (m->conf->id == c->self)
			c->self_member = m;
	}
}

/* On the beat thread. Whoever sees no beats of ours gives our cells away: nothing may be applied,
 * and acknowledged to those who keep it until then, longer than that. */
static void on_round(void *user)
{
	struct cluster *c = user;

	fedmem_lease_set(c->fedmem, core_now_ns() + c->conf->cluster.beat_ms * UINT64_C(100000) *
							    CLUSTER_DP_LEASE_TENTHS);
}

static int beat_start(struct cluster *c)
{
	struct beat_peer peers[CLUSTER_SERVERS_MAX];
	struct beat_config bc = {
		.loop = c->loop,
		.self = c->self,
		.boot = c->boot,
		.beat_ms = c->conf->cluster.beat_ms,
		.address = c->self_member->conf->address,
		.port = c->conf->listen.beat_port,
		.secret = c->secret,
		.peers = peers,
		.on_beat = member_on_beat,
		.on_message = member_on_message,
		.on_round = on_round,
		.user = c,
	};
	int err;

	for (uint32_t i = 0; i < c->n_members; i++)
		if (&c->members[i] != c->self_member)
			peers[bc.n_peers++] = (struct beat_peer){c->members[i].conf->id,
								 c->members[i].conf->address};
	err = beat_create(&c->beat, &bc);
	if (err != 0)
		core_log(CORE_ERROR, "beat: cannot use address=%s port=%u error=%s", bc.address,
			 bc.port, strerror(-err));
	return err;
}

static int turn_timer_create(struct cluster *c)
{
	c->timer = calloc(1, sizeof(*c->timer));
	if (c->timer == NULL)
		return -ENOMEM;
	c->timer->data = c;
	return uv_timer_init(c->loop, c->timer);
}

/* What is kept from one start to the next. */
static int stored_load(struct cluster *c, char *why, size_t why_bytes)
{
	struct store_state state;
	int err;

	/* A vote whose key was hit would count as never given. */
	store_look(c->store, &state);
	if (state.n_damaged > 0) {
		snprintf(why, why_bytes, "records with a wrong checksum: %llu",
			 (unsigned long long)state.n_damaged);
		return -EBADMSG;
	}
	err = member_load(c);
	if (err == 0)
		err = replica_load(c, why, why_bytes);
	if (err == 0)
		err = mirror_servers_start(c);
	if (err == -EBADMSG && why[0] == '\0')
		snprintf(why, why_bytes, "a record of the vote or of a boot is damaged");
	return err;
}

static int cluster_start(struct cluster *c, char *why, size_t why_bytes)
{
	int err = seal_load_secret(c->conf->cluster.secret_file, c->secret);

	if (err != 0) {
		core_log(CORE_ERROR, "cluster: secret not usable file=%s error=%s",
			 c->conf->cluster.secret_file,
			 err == -EACCES	  ? "others than its owner may read it"
			 : err == -EINVAL ? "not 64 hexadecimal digits"
					  : strerror(-err));
		return err;
	}
	err = turn_timer_create(c);
	if (err == 0)
		err = stored_load(c, why, why_bytes);
	if (err == 0)
		err = mirror_start(c);
	if (err == 0)
		err = member_start(c);
	if (err == 0)
		err = beat_start(c);
	return err;
}

int cluster_create(struct cluster **out, const struct cluster_config *cfg, char *why,
		   size_t why_bytes)
{
	struct cluster *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	c->loop = cfg->loop;
	c->started_ms = core_now_ms();
	c->conf = cfg->conf;
	c->seed = cfg->seed;
	c->inventory = cfg->inventory;
	c->fedmem = cfg->fedmem;
	c->store = cfg->store;
	c->client = cfg->client;
	c->self = cfg->conf->server;
	c->n_members = cfg->conf->n_servers;
	c->neighbour_fd = -1;
	why[0] = '\0';
	members_init(c);
	err = cluster_start(c, why, why_bytes);
	if (err != 0) {
		cluster_destroy(c);
		return err;
	}
	cluster_turn(c);
	*out = c;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle);
}

void cluster_destroy(struct cluster *c)
{
	if (c == NULL)
		return;
	cluster_end_commands(c);
	replica_stop(c);
	mirror_stop(c);
	beat_destroy(c->beat);
	if (c->timer != NULL)
		uv_close((uv_handle_t *)c->timer, on_timer_closed);
	if (c->neighbour_fd >= 0)
		close(c->neighbour_fd);
	seal_wipe(c, sizeof(*c));
	free(c);
}
