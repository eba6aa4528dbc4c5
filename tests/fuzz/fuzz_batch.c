#include "tests/fuzz/fuzz_batch.h"

#include <assert.h>
#include <string.h>

static void check_text(struct report_text text, uint16_t bytes_min, uint16_t bytes_max,
		       const struct report_batch *batch, const uint8_t *payload, size_t n_bytes)
{
	uintptr_t at = (uintptr_t)text.chars, end = at + text.n_bytes;
	uintptr_t scratch = (uintptr_t)batch->scratch;

	assert(text.n_bytes >= bytes_min && text.n_bytes <= bytes_max);
	assert((at >= (uintptr_t)payload && end <= (uintptr_t)payload + n_bytes) ||
	       (at >= scratch && end <= scratch + batch->scratch_used));
	assert(text.n_bytes == 0 || memchr(text.chars, 0, text.n_bytes) == NULL);
}

void fuzz_batch_check(enum decode_refusal refusal, const struct report_batch *batch,
		      const uint8_t *payload, size_t n_bytes)
{
	assert(refusal < DECODE_REFUSAL_N);
	if (refusal != DECODE_OK) {
		assert(batch->n == 0);
		return;
	}
	assert(batch->n >= 1 && batch->n <= REPORT_BATCH_MAX);
	assert(batch->scratch_used <= sizeof(batch->scratch));
	for (uint32_t i = 0; i < batch->n; i++) {
		const struct report *r = &batch->reports[i];

		assert(r->n_metrics <= REPORT_METRICS_MAX && r->n_alarms <= REPORT_ALARMS_MAX);
		assert(!r->is_unmapped || r->n_alarms == 0);
		for (uint8_t k = 0; k < r->n_alarms; k++) {
			const struct report_alarm *a = &r->alarms[k];

			assert(a->severity <= FEDMEM_CRITICAL);
			check_text(a->type, 1, FEDMEM_TYPE_BYTES, batch, payload, n_bytes);
			check_text(a->resource, 0, FEDMEM_RESOURCE_BYTES, batch, payload, n_bytes);
			check_text(a->qualifier, 0, FEDMEM_QUALIFIER_BYTES, batch, payload,
				   n_bytes);
			check_text(a->text, 0, FEDMEM_TEXT_BYTES, batch, payload, n_bytes);
		}
	}
}
