#include "cp/cluster/neighbour.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define DISCARD_PORT 9
#define USABLE	     (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

int neighbour_open(void)
{
	/* The kernel answers within the call that asks; the bound is for the day when it does not.
	 */
	const struct timeval bound = {.tv_usec = 50000};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int dump_request(int fd, uint32_t sequence)
{
	struct {
		struct nlmsghdr head;
		struct ndmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = RTM_GETNEIGH,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
			 .nlmsg_seq = sequence},
	};

	return send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request) ? 0 : -errno;
}

static void entry_read(struct neighbour *found, uint32_t n, const struct nlmsghdr *head)
{
	const struct ndmsg *entry = NLMSG_DATA(head);
	const struct rtattr *a = (const void *)((const char *)entry + NLMSG_ALIGN(sizeof(*entry)));
	int left = (int)NLMSG_PAYLOAD(head, sizeof(*entry));
	struct fedmem_address address = {{0}};
	const uint8_t *mac = NULL;
	bool has_address = false;

	if (head->nlmsg_len < NLMSG_LENGTH(sizeof(*entry)) || !(entry->ndm_state & USABLE))
		return;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == NDA_LLADDR && RTA_PAYLOAD(a) == 6)
			mac = RTA_DATA(a);
		if (a->rta_type == NDA_DST && RTA_PAYLOAD(a) == 4) {
			memcpy(address.octets, v4_mapped, sizeof(v4_mapped));
			memcpy(address.octets + 12, RTA_DATA(a), 4);
			has_address = true;
		}
		if (a->rta_type == NDA_DST && RTA_PAYLOAD(a) == 16) {
			memcpy(address.octets, RTA_DATA(a), 16);
			has_address = true;
		}
	}
	for (uint32_t i = 0; mac != NULL && has_address && i < n; i++)
		if (memcmp(&found[i].address, &address, sizeof(address)) == 0) {
			memcpy(found[i].mac, mac, 6);
			found[i].is_known = true;
		}
}

/* One datagram of the answer. 1: it was the last; 0: more follow; <0 -errno. */
static int answer_read(const char *bytes, size_t n_bytes, uint32_t sequence,
		       struct neighbour *found, uint32_t n)
{
	const struct nlmsghdr *head;

	for (size_t at = 0; at + sizeof(*head) <= n_bytes; at += NLMSG_ALIGN(head->nlmsg_len)) {
		head = (const void *)(bytes + at);
		if (head->nlmsg_len < sizeof(*head) || head->nlmsg_len > n_bytes - at)
			return -EBADMSG;
		if (head->nlmsg_seq != sequence)
			continue; /* late, of an earlier dump */
		if (head->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (head->nlmsg_type == NLMSG_DONE)
			return 1;
		if (head->nlmsg_type == RTM_NEWNEIGH)
			entry_read(found, n, head);
	}
	return 0;
}

int neighbour_refresh(int fd, struct neighbour *neighbours, uint32_t n)
{
	static uint32_t sequence;
	struct neighbour found[FEDMEM_SERVERS_MAX];
	char bytes[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	int err;

	if (n > FEDMEM_SERVERS_MAX)
		return -EINVAL;
	memcpy(found, neighbours, n * sizeof(found[0]));
	for (uint32_t i = 0; i < n; i++)
		found[i].is_known = false;
	err = dump_request(fd, ++sequence);
	while (err == 0) {
		ssize_t got = recv(fd, bytes, sizeof(bytes), 0);

		err = got < 0 ? -errno : answer_read(bytes, (size_t)got, sequence, found, n);
	}
	if (err < 0)
		return err;
	memcpy(neighbours, found, n * sizeof(found[0]));
	return 0;
}

void neighbour_solicit(const struct fedmem_address *address)
{
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT)};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(DISCARD_PORT)};
	bool is_v4 = memcmp(address->octets, v4_mapped, sizeof(v4_mapped)) == 0;
	const struct sockaddr *to = is_v4 ? (void *)&four : (void *)&six;
	int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	memcpy(&four.sin_addr, address->octets + 12, 4);
	memcpy(&six.sin6_addr, address->octets, 16);
	/* Whether it leaves or not: the kernel's table says next time what came of it. */
	sendto(fd, "", 0, 0, to, is_v4 ? sizeof(four) : sizeof(six));
	close(fd);
}
