#include "cp/peered/peered.h"

#include <errno.h>
#include <stdlib.h>

#include "cp/peered/peered_private.h"
#include "cp/wire/wire.h"

int peered_create(struct peered **out, const struct peered_config *cfg)
{
	struct peered *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->cfg = *cfg;
	p->methods[0] = (struct rpc_method){
		.path = WIRE_PATH("Peered", "GetStatus"), .handler = status_get, .user = p};
	p->methods[1] = (struct rpc_method){
		.path = WIRE_PATH("Peered", "GetElement"), .handler = element_get, .user = p};
	p->methods[2] = (struct rpc_method){
		.path = WIRE_PATH("Peered", "GetDpStats"), .handler = dp_stats_get, .user = p};
	*out = p;
	return 0;
}

const struct rpc_method *peered_methods(struct peered *p, uint32_t *n)
{
	*n = PEERED_METHODS;
	return p->methods;
}

void peered_destroy(struct peered *p)
{
	free(p);
}
