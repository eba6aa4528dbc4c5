/* fuzz_batch.h - what must hold of a batch whatever was decoded. A batch that breaks it ends the
 * process. */
#ifndef BELLWETHER_TESTS_FUZZ_FUZZ_BATCH_H
#define BELLWETHER_TESTS_FUZZ_FUZZ_BATCH_H

#include "dp/decode/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes); /* each target has one */

void fuzz_batch_check(enum decode_refusal refusal, const struct report_batch *batch,
		      const uint8_t *payload, size_t n_bytes);

#endif
