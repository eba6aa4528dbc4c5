#include "tests/fuzz/fuzz_batch.h"

/* Of any value in the first binding of its own, so that each way to write one is met. */
static const struct fedmem_rule rules[] = {
	{.oid = {0x2b, 6, 1, 6, 3, 1, 1, 5, 3},
	 .oid_bytes = 9,
	 .severity = FEDMEM_MAJOR,
	 .resource_oid = {0x2b, 6, 1, 2, 1, 2},
	 .resource_oid_bytes = 6,
	 .text_oid = {0x2b, 6, 1, 2, 1, 2, 2, 1, 2},
	 .text_oid_bytes = 9,
	 .type = "link-down",
	 .resource = "if/"},
	{.oid = {0x2b, 6, 1, 4, 1, 9, 0, 7},
	 .oid_bytes = 8,
	 .severity = FEDMEM_WARNING,
	 .text_oid = {0x2b},
	 .text_oid_bytes = 1,
	 .type = "tttttttttttttttttttttttttttttttttttttttt",
	 .resource = "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"},
};
static const char *const communities[] = {"public", ""};
static const struct decode_context context = {rules, 2, communities, 2};

static struct report_batch batch;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes)
{
	fuzz_batch_check(decode_snmp(&context, input, n_bytes, &batch), &batch, input, n_bytes);
	return 0;
}
