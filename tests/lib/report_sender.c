/* report_sender: an element's side of the native format. Sends reports about some elements, several
 * in a datagram, and says at its end, as one JSON object, what it sent: the other end's counters
 * are held against that.
 *
 *   report_sender --to ADDRESS:PORT --elements 1,2,3 [--datagrams N] [--per-second N]
 *                 [--metrics N] [--alarm TYPE:RESOURCE:SEVERITY]
 *
 * Without --datagrams until SIGTERM or SIGINT. SEVERITY is a number, 0 clears. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "report.pb-c.h"

#define ELEMENTS_MAX 64
#define METRICS_MAX  16

struct sender {
	int fd;
	uint64_t elements[ELEMENTS_MAX];
	size_t n_elements;
	uint32_t n_metrics;
	bool has_alarm;
	Bellwether__Alarm alarm;
	uint64_t boot, sequence;
	uint64_t n_datagrams, n_reports, n_failed;
};

/* Two senders after each other must differ. */
static uint64_t start_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static volatile sig_atomic_t is_ending;

static void end(int number)
{
	is_ending = 1;
}

static bool send_one(struct sender *s)
{
	Bellwether__Datagram datagram = BELLWETHER__DATAGRAM__INIT;
	Bellwether__Report reports[ELEMENTS_MAX], *report_list[ELEMENTS_MAX];
	Bellwether__Metric metrics[METRICS_MAX], *metric_list[METRICS_MAX];
	Bellwether__Alarm *alarm_list[] = {&s->alarm};
	uint8_t bytes[65536];
	size_t n;

	s->sequence++;
	for (uint32_t i = 0; i < s->n_metrics; i++) {
		bellwether__metric__init(&metrics[i]);
		metrics[i].id = i + 1;
		metrics[i].value = (double)s->sequence;
		metric_list[i] = &metrics[i];
	}
	for (size_t i = 0; i < s->n_elements; i++) {
		bellwether__report__init(&reports[i]);
		reports[i].element = s->elements[i];
		reports[i].boot = s->boot;
		reports[i].sequence = s->sequence;
		reports[i].n_metrics = s->n_metrics;
		reports[i].metrics = metric_list;
		reports[i].n_alarms = s->has_alarm;
		reports[i].alarms = alarm_list;
		report_list[i] = &reports[i];
	}
	datagram.n_reports = s->n_elements;
	datagram.reports = report_list;
	if (bellwether__datagram__get_packed_size(&datagram) > sizeof(bytes))
		return false;
	n = bellwether__datagram__pack(&datagram, bytes);
	if (send(s->fd, bytes, n, 0) != (ssize_t)n) {
		s->n_failed++;
		return true;
	}
	s->n_datagrams++;
	s->n_reports += s->n_elements;
	return true;
}

static int connect_to(struct sender *s, char *to)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char *colon = strrchr(to, ':');

	if (colon == NULL)
		return -EINVAL;
	*colon = '\0';
	address.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, to, &address.sin_addr) != 1)
		return -EINVAL;
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return 0;
}

static void parse_alarm(struct sender *s, char *text)
{
	bellwether__alarm__init(&s->alarm);
	s->has_alarm = true;
	s->alarm.type = strtok(text, ":");
	s->alarm.resource = strtok(NULL, ":");
	char *severity = strtok(NULL, ":");

	if (severity != NULL)
		s->alarm.severity = (Bellwether__Severity)atoi(severity);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"to", required_argument, NULL, 't'},
		{"elements", required_argument, NULL, 'e'},
		{"datagrams", required_argument, NULL, 'n'},
		{"metrics", required_argument, NULL, 'm'},
		{"per-second", required_argument, NULL, 'r'},
		{"alarm", required_argument, NULL, 'a'},
		{0},
	};
	struct sender s = {.fd = -1, .n_metrics = 4, .boot = start_ns()};
	uint64_t datagrams = UINT64_MAX;
	long per_second = 0;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 't' && connect_to(&s, optarg) < 0) {
			fprintf(stderr, "report_sender: cannot send to %s\n", optarg);
			return 1;
		} else if (o == 'e') {
			for (char *id = strtok(optarg, ",");
			     id != NULL && s.n_elements < ELEMENTS_MAX; id = strtok(NULL, ","))
				s.elements[s.n_elements++] = strtoull(id, NULL, 10);
		} else if (o == 'n') {
			datagrams = strtoull(optarg, NULL, 10);
		} else if (o == 'm') {
			s.n_metrics = (uint32_t)atoi(optarg);
		} else if (o == 'r') {
			per_second = atol(optarg);
		} else if (o == 'a') {
			parse_alarm(&s, optarg);
		} else if (o == '?') {
			return 1;
		}
	}
	if (s.fd < 0 || s.n_elements == 0 || s.n_metrics > METRICS_MAX) {
		fprintf(stderr, "report_sender: --to and --elements are needed\n");
		return 1;
	}
	signal(SIGTERM, end);
	signal(SIGINT, end);
	while (!is_ending && s.n_datagrams + s.n_failed < datagrams && send_one(&s))
		if (per_second > 0)
			nanosleep(&(struct timespec){.tv_nsec = 1000000000 / per_second}, NULL);
	printf("{\"datagrams\": %" PRIu64 ", \"reports\": %" PRIu64 ", \"failed\": %" PRIu64 "}\n",
	       s.n_datagrams, s.n_reports, s.n_failed);
	close(s.fd);
	return 0;
}
