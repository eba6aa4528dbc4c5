#include "dp/conf/conf.h"

#include <errno.h>
#include <string.h>

#define ARCS_MAX 128 /* RFC 2578 3.5 */

/* One arc, up to 2^32 - 1 (RFC 2578 3.5), and the dot behind it. */
static int read_arc(const char **text, uint64_t *arc)
{
	const char *p = *text;

	if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
		return -EINVAL;
	for (*arc = 0; *p >= '0' && *p <= '9'; p++) {
		*arc = *arc * 10 + (uint64_t)(*p - '0');
		if (*arc > UINT32_MAX)
			return -EINVAL;
	}
	if (*p == '.' && p[1] == '\0')
		return -EINVAL;
	if (*p != '.' && *p != '\0')
		return -EINVAL;
	*text = p + (*p == '.');
	return 0;
}

/* Base 128, most significant first, all octets but the last with the high bit (X.690 8.19.2). Goes
 * on counting when there is no more room. */
static size_t put_arc(uint8_t ber[FEDMEM_OID_BYTES], size_t n, uint64_t arc)
{
	unsigned int n_more = 0;

	while (n_more < 9 && arc >> (7 * (n_more + 1)) != 0)
		n_more++;
	for (;; n_more--) {
		if (n < FEDMEM_OID_BYTES)
			ber[n] = (uint8_t)((arc >> (7 * n_more) & 0x7f) | (n_more > 0 ? 0x80 : 0));
		n++;
		if (n_more == 0)
			return n;
	}
}

int conf_oid_encode(uint8_t ber[FEDMEM_OID_BYTES], uint8_t *n_bytes, const char *dotted)
{
	uint8_t octets[FEDMEM_OID_BYTES] = {0};
	uint64_t first, second, arc;
	size_t n, n_arcs = 2;

	if (read_arc(&dotted, &first) != 0 || read_arc(&dotted, &second) != 0 || first > 2 ||
	    (first < 2 && second >= 40))
		return -EINVAL;
	n = put_arc(octets, 0, first * 40 + second); /* X.690 8.19.4 */
	for (; *dotted != '\0'; n_arcs++) {
		if (read_arc(&dotted, &arc) != 0 || n_arcs == ARCS_MAX)
			return -EINVAL;
		n = put_arc(octets, n, arc);
	}
	if (n > FEDMEM_OID_BYTES)
		return -E2BIG;
	memcpy(ber, octets, n);
	*n_bytes = (uint8_t)n;
	return 0;
}
