#include "dp/conf/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

int conf_address_parse(struct fedmem_address *out, const char *text)
{
	struct fedmem_address a;

	memcpy(a.octets, mapped_prefix, sizeof(mapped_prefix));
	if (inet_pton(AF_INET, text, a.octets + sizeof(mapped_prefix)) != 1 &&
	    inet_pton(AF_INET6, text, a.octets) != 1)
		return -EINVAL;
	*out = a;
	return 0;
}

void conf_address_format(char text[46], const struct fedmem_address *a)
{
	/* Fails for a buffer that is too small only. */
	if (memcmp(a->octets, mapped_prefix, sizeof(mapped_prefix)) == 0)
		(void)inet_ntop(AF_INET, a->octets + sizeof(mapped_prefix), text, 46);
	else
		(void)inet_ntop(AF_INET6, a->octets, text, 46);
}

bool conf_address_is_host(const struct fedmem_address *a)
{
	static const struct fedmem_address zero, mapped_zero = {{[10] = 0xff, [11] = 0xff}};
	bool is_v4 = memcmp(a->octets, mapped_prefix, sizeof(mapped_prefix)) == 0;

	if (memcmp(a, &zero, sizeof(zero)) == 0 || memcmp(a, &mapped_zero, sizeof(zero)) == 0)
		return false;
	return is_v4 ? a->octets[12] < 224 : a->octets[0] != 0xff;
}
