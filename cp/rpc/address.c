#include "cp/rpc/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES_MAX INET6_ADDRSTRLEN

struct parts {
	char host[HOST_BYTES_MAX];
	uint16_t port;
	bool is_bracketed;
};

static int address_split(struct parts *p, const char *address)
{
	const char *colon = strrchr(address, ':'), *host = address;
	size_t n_host;
	unsigned long port = 0;

	if (colon == NULL || colon[1] == '\0' || strlen(colon + 1) > 5)
		return -EINVAL;
	for (const char *c = colon + 1; *c != '\0'; c++) {
		if (!isdigit((unsigned char)*c))
			return -EINVAL;
		port = 10 * port + (unsigned long)(*c - '0');
	}
	n_host = (size_t)(colon - host);
	p->is_bracketed = host[0] == '[';
	if (p->is_bracketed) {
		if (n_host < 2 || host[n_host - 1] != ']')
			return -EINVAL;
		host++;
		n_host -= 2;
	}
	if (port == 0 || port > UINT16_MAX || n_host == 0 || n_host >= sizeof(p->host) ||
	    (!p->is_bracketed && memchr(host, ':', n_host) != NULL))
		return -EINVAL;
	memcpy(p->host, host, n_host);
	p->host[n_host] = '\0';
	p->port = (uint16_t)port;
	return 0;
}

static int parts_parse(struct sockaddr_storage *out, const struct parts *p)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (p->is_bracketed) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(p->port);
		return inet_pton(AF_INET6, p->host, &six->sin6_addr) == 1 ? 0 : -EINVAL;
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(p->port);
	return inet_pton(AF_INET, p->host, &four->sin_addr) == 1 ? 0 : -EINVAL;
}

int address_parse(struct sockaddr_storage *out, const char *address)
{
	struct parts p;
	int err = address_split(&p, address);

	return err != 0 ? err : parts_parse(out, &p);
}

int address_target(char target[ADDRESS_TARGET_BYTES], const char *address)
{
	struct sockaddr_storage literal;
	int err = address_parse(&literal, address);

	if (err == 0)
		snprintf(target, ADDRESS_TARGET_BYTES, "%s:%s",
			 literal.ss_family == AF_INET6 ? "ipv6" : "ipv4", address);
	return err;
}
