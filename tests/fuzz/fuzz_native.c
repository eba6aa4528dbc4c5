#include "tests/fuzz/fuzz_batch.h"

static struct report_batch batch;

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes)
{
	fuzz_batch_check(decode_native(NULL, input, n_bytes, &batch), &batch, input, n_bytes);
	return 0;
}
