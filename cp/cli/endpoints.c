#include "cp/cli/endpoints.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dp/conf/conf.h"

#define PORT_DEFAULT "7400"

static bool endpoint_add(struct endpoints *e, uint32_t id, const char *name, const char *host,
			 const char *port)
{
	struct endpoint *to = &e->items[e->n];
	bool is_six = strchr(host, ':') != NULL;

	to->id = id;
	to->name = strdup(name);
	if (to->name == NULL)
		return false;
	snprintf(to->address, sizeof(to->address), "%s%s%s:%s", is_six ? "[" : "", host,
		 is_six ? "]" : "", port);
	e->n++;
	return true;
}

static bool is_port(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= 5 && strspn(text, "0123456789") == n && atoi(text) >= 1 &&
	       atoi(text) <= UINT16_MAX;
}

/* Cuts "host:port", "[v6]:port", or either without a port, in place. */
static bool item_split(char *item, char **host, const char **port)
{
	char *end;

	*port = PORT_DEFAULT;
	*host = item;
	if (item[0] == '[') {
		end = strchr(item, ']');
		if (end == NULL || (end[1] != ':' && end[1] != '\0'))
			return false;
		*host = item + 1;
		if (end[1] == ':')
			*port = end + 2;
		*end = '\0';
	} else {
		end = strrchr(item, ':');
		if (end != NULL && strchr(item, ':') == end) { /* more than one: an address alone */
			*end = '\0';
			*port = end + 1;
		}
	}
	return (*host)[0] != '\0' && is_port(*port);
}

static enum cli_exit item_resolve(struct endpoints *e, const char *item, FILE *err)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	char *copy = strdup(item), *name;
	char host[NI_MAXHOST], service[NI_MAXSERV];
	enum cli_exit result = CLI_FAILED;
	struct addrinfo *found;
	const char *port;
	int answer;

	if (copy == NULL)
		return CLI_FAILED;
	if (!item_split(copy, &name, &port)) {
		fprintf(err, "bellctl: \"%s\" is not HOST:PORT\n", item);
		result = CLI_USAGE;
		goto end;
	}
	answer = getaddrinfo(name, port, &hints, &found);
	if (answer != 0) {
		fprintf(err, "bellctl: %s: %s\n", item, gai_strerror(answer));
		result = CLI_UNREACHABLE;
		goto end;
	}
	if (getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof(host), service,
			sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) == 0 &&
	    endpoint_add(e, 0, item, host, service))
		result = CLI_DONE;
	freeaddrinfo(found);
end:
	free(copy);
	return result;
}

enum cli_exit endpoints_parse(struct endpoints *e, const char *list, FILE *err)
{
	char *copy = strdup(list), *rest = copy, *item;
	enum cli_exit result = copy != NULL ? CLI_DONE : CLI_FAILED;

	e->n = 0;
	while (result == CLI_DONE && (item = strsep(&rest, ",")) != NULL) {
		if (e->n == ENDPOINTS_MAX) {
			fprintf(err, "bellctl: more than %d servers\n", ENDPOINTS_MAX);
			result = CLI_USAGE;
			break;
		}
		result = item_resolve(e, item, err);
		if (result == CLI_UNREACHABLE)
			result = CLI_DONE; /* there may be others */
	}
	free(copy);
	if (result == CLI_DONE && e->n == 0)
		result = CLI_UNREACHABLE;
	if (result != CLI_DONE)
		endpoints_free(e);
	return result;
}

enum cli_exit endpoints_load(struct endpoints *e, const char *config, FILE *err)
{
	struct conf_findings findings = {};
	struct conf *c;
	char port[8];
	int answer = conf_load(&c, config, &findings);

	e->n = 0;
	if (answer != 0) {
		if (answer < 0)
			fprintf(err,
				"bellctl: %s: %s; name the servers with --server or "
				"BELLWETHER_SERVER\n",
				config, strerror(-answer));
		else
			conf_findings_print(&findings, config, err);
		conf_findings_free(&findings);
		return CLI_USAGE;
	}
	conf_findings_free(&findings);
	snprintf(port, sizeof(port), "%u", c->listen.api_port);
	for (uint32_t i = 0; i < c->n_servers && e->n < ENDPOINTS_MAX; i++)
		if (!endpoint_add(e, c->servers[i].id, c->servers[i].name,
				  c->servers[i].client_address, port))
			break;
	conf_free(c);
	return e->n > 0 ? CLI_DONE : CLI_FAILED;
}

void endpoints_free(struct endpoints *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		free(e->items[i].name);
	e->n = 0;
}
