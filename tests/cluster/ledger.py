"""What the senders sent, and the comparison with what the servers counted."""
import threading

class Sent:
    """Kept by the senders alone: nothing in it comes from the servers."""

    def __init__(self):
        self._lock = threading.Lock()
        self._datagrams = {}
        self._alarms = set()
        self.reports = 0

    def datagram(self, server, n=1, reports=1):
        with self._lock:
            self._datagrams[server] = self._datagrams.get(server, 0) + n
            self.reports += reports

    def alarm(self, element, kind, resource):
        with self._lock:
            self._alarms.add((element, kind, resource))

    def add(self, other):
        for server, n in other.datagrams().items():
            self.datagram(server, n, 0)
        self.reports += other.reports
        for alarm in other.alarms():
            self.alarm(*alarm)

    def datagrams(self):
        with self._lock:
            return dict(self._datagrams)

    def alarms(self):
        with self._lock:
            return set(self._alarms)

    def matches(self, stats):
        """Did each server receive from the wire exactly what was sent to it? 'stats' by server id."""
        sent = self.datagrams()
        return all(s is not None and value(s, "datagrams_wire") == sent.get(server, 0)
                   for server, s in stats.items()) and set(sent) <= set(stats)


def value(stats, name):
    return next((c["value"] for c in stats["counters"] if c["name"] == name), 0)


def total(stats, name):
    return sum(value(s, name) for s in stats.values() if s is not None)


def drops(stats):
    """Everything that was dropped, refused or lost, by name, over all servers."""
    found = {}
    for s in stats.values():
        for c in (s or {"counters": []})["counters"]:
            is_loss = c["name"].startswith(("drop_", "refused_")) or c["name"] in LOSSES
            if is_loss and c["value"]:
                found[c["name"]] = found.get(c["name"], 0) + c["value"]
    return found


LOSSES = ("steer_source_rate", "steer_unknown_rate", "steer_malformed", "relay_spool_full", "relay_too_long",
          "relay_no_neighbour", "relay_no_mbuf", "relay_port_full", "relay_lost_at_restart", "port_missed")
