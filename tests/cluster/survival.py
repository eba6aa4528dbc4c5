"""What must survive a server: what clients saw before, held against what they see afterwards."""
import collections

ALARM_KINDS = ("raised", "severity", "cleared")


def alarm_key(alarm):
    return alarm["element_id"], alarm["type"], alarm["resource"], alarm["qualifier"]


def alarm_identity(alarm):
    """What a take-over must keep of a raised alarm."""
    return (*alarm_key(alarm), alarm["severity"], alarm["raised_ns"], alarm["count"], alarm["operator_state"])


def identities(answer):
    return {alarm_identity(a) for a in answer["alarms"]}


def view_state(view):
    """What two views must have in common: of each element its owner, region, alarms and worst severity; of each
    server what it is and owns. Ages differ: the store is a checkpoint behind."""
    elements = {e["id"]: (e["name"], e["region"], e["owner"], e["n_alarms"], e["worst"], e["n_reports"])
                for e in view["elements"]}
    servers = {s["id"]: (s["name"], s["role"], s["state"], s["n_cells"]) for s in view["servers"]}
    return elements, servers


class Log:
    """The event log as one server tells it."""

    def __init__(self, lab, server):
        self.events, self.silent = [], set()
        answer = lab.ask("event", "list", "--limit", "5000", servers=[server])
        self.is_there = answer is not None
        if answer is not None:
            self.events, self.silent = answer["events"], set(answer["silent"])

    def identities(self):
        return {(e["origin"], e["number"]) for e in self.events}

    def of_the_network(self):
        """Without what a server says of itself, which it alone keeps."""
        return {(e["origin"], e["number"]) for e in self.events if not e["kind"].startswith(("dp_", "store_"))}

    def kinds(self):
        return collections.Counter(e["kind"] for e in self.events)

    def raised(self):
        """How often each alarm was told as raised."""
        return collections.Counter(alarm_key(e["alarm"])[:3] for e in self.events if e["kind"] == "raised")

    def story(self):
        """What happened to the cluster, in words and in order."""
        return [(e["kind"], e["server"], e["was"], e["cell"]) for e in self.events if e["origin"] == 0]


def lost_and_doubled(log, sent):
    """Of the alarms that were sent, each of which is one event: those without one, and the events too many."""
    raised = log.raised()
    return ([a for a in sent if raised[a] == 0], sum(n - 1 for n in raised.values() if n > 1))
