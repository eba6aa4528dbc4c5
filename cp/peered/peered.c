#include "cp/peered/peered.h"

#include <errno.h>
#include <stdlib.h>

#include "cp/peered/peered_private.h"

static int own_elements(void *user, uint64_t after, uint32_t limit, struct memory_page **page,
			struct wire_element_list *list)
{
	return stored_elements(user, after, limit, page, list);
}

static int own_alarms(void *user, uint64_t after, uint32_t limit, bool with_cleared,
		      struct memory_page **page, struct wire_alarm_list *list)
{
	return stored_alarms(user, after, limit, with_cleared, page, list);
}

static void list_elements(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct peered *p = user;

	fanout_list_serve(&p->lists, FANOUT_ELEMENTS, call, bytes, n);
}

static void list_alarms(struct rpc_call *call, const uint8_t *bytes, size_t n, void *user)
{
	struct peered *p = user;

	fanout_list_serve(&p->lists, FANOUT_ALARMS, call, bytes, n);
}

static void init_lists(struct peered *p)
{
	p->stored = (struct stored){.cluster = p->cfg.cluster,
				    .inventory = p->cfg.inventory,
				    .memory = p->cfg.memory,
				    .archive = p->cfg.archive};
	p->store = (struct fanout_source){.elements_path = WIRE_PATH("Peered", "ListElements"),
					  .alarms_path = WIRE_PATH("Peered", "ListAlarms"),
					  .elements = own_elements,
					  .alarms = own_alarms,
					  .user = &p->stored,
					  .is_store = true};
	p->lists = (struct fanout_lists){.fanout = {p->cfg.cluster, p->cfg.client},
					 .source = &p->store,
					 .inventory = p->cfg.inventory};
}

static void init_methods(struct peered *p)
{
	static const struct rpc_method methods[PEERED_METHODS] = {
		{.path = WIRE_PATH("Peered", "GetStatus"), .handler = status_get},
		{.path = WIRE_PATH("Peered", "GetStoredStatus"), .handler = status_get_stored},
		{.path = WIRE_PATH("Peered", "GetElement"), .handler = element_get},
		{.path = WIRE_PATH("Peered", "GetDpStats"), .handler = dp_stats_get},
		{.path = WIRE_PATH("Peered", "ListElements"), .handler = list_elements},
		{.path = WIRE_PATH("Peered", "ListAlarms"), .handler = list_alarms},
		{.path = WIRE_PATH("Peered", "ListEvents"), .handler = events_list},
		{.path = WIRE_PATH("Peered", "AckAlarm"), .handler = ack_alarm},
		{.path = WIRE_PATH("Peered", "ImportElements"), .handler = order_import},
		{.path = WIRE_PATH("Peered", "AdoptElement"), .handler = order_adopt},
		{.path = WIRE_PATH("Peered", "MoveElement"), .handler = order_move},
		{.path = WIRE_PATH("Peered", "DrainServer"), .handler = order_drain},
	};

	for (uint32_t i = 0; i < PEERED_METHODS; i++) {
		p->methods[i] = methods[i];
		p->methods[i].user = p;
	}
}

int peered_create(struct peered **out, const struct peered_config *cfg)
{
	struct peered *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->cfg = *cfg;
	init_lists(p);
	init_methods(p);
	*out = p;
	return 0;
}

const struct rpc_method *peered_methods(struct peered *p, uint32_t *n)
{
	*n = PEERED_METHODS;
	return p->methods;
}

const struct ownership_cell *peered_cell_of(struct peered *p, uint64_t element)
{
	const struct conf_element *e = inventory_find_id(p->cfg.inventory, element);

	return e == NULL ? NULL : cluster_cell(p->cfg.cluster, e->region);
}

void peered_destroy(struct peered *p)
{
	if (p != NULL)
		ack_leave_all(p);
	free(p);
}
