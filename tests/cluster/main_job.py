#!/usr/bin/env python3
"""The main job: three servers, twelve elements with real agents, traps and reports through XDP and DPDK, the
master killed in the middle of it, and in the end all servers at once. Prints what it sees and holds each claim; exit 0
only if all of them held.

usage: main_job.py [--build DIR] [--summary FILE] [--stay]
       main_job.py --stop NAME
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from lab import Lab, LabError, raise_on_signals, stop_left, wait_for  # noqa: E402
import ledger  # noqa: E402
import survival  # noqa: E402

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
DRAWN = re.compile(r"drawn service=(\w+) server=(\S+)")
TRAPS_EACH = 3  # interfaces down at each element before the kill
START_S, SETTLE_S, FAIL_OVER_S = 20, 10, 15
DRAWS = 20  # of a server, for each service


class Job:
    def __init__(self, lab):
        self.lab = lab
        self.claims = []  # (text, held)
        self.facts = {}
        self.sent = ledger.Sent()

    # -- saying

    def head(self, text):
        print(f"\n== {text}", flush=True)

    def claim(self, text, held, detail=""):
        self.claims.append((text, bool(held)))
        print(f"  {'ok  ' if held else 'FAIL'} {text}{': ' + str(detail) if detail != '' else ''}", flush=True)
        return held

    def show(self, *words, servers=None):
        """What a person would type, and what it prints."""
        print("$ bellctl " + " ".join(words))
        print(self.lab.bellctl(*words, servers=servers)[1].rstrip(), flush=True)

    # -- sending

    def trap(self, element, interface, to, notification=LINK_DOWN):
        self.lab.run_in(element.namespace, "snmptrap", "-v2c", "-c", "public", "-m", "", "-M", "", to.mgmt, "",
                        notification, f"{IF_INDEX}.{interface}", "i", interface,
                        f"{IF_DESCR}.{interface}", "s", f"eth{interface}")
        self.sent.datagram(to.id)
        self.sent.alarm(element.id, "linkDown", f"interface {interface}")

    def report_words(self, to, elements, *more):
        return [self.lab.build / "tests/lib/report_sender", "--to", f"{to.mgmt}:7410", "--elements",
                ",".join(str(e.id) for e in elements), *more]

    def report(self, sender, to, elements, *more):
        out = json.loads(self.lab.run_in(sender.namespace, *self.report_words(to, elements, *more)))
        self.sent.datagram(to.id, out["datagrams"], out["reports"])

    # -- seeing

    def status(self, servers=None):
        return self.lab.ask("status", servers=servers)

    def is_settled(self, servers, master):
        """The status of the first of 'servers', when all of them agree: this master, each cell owned and
        stood by for by living ones, every data plane up."""
        seen = [self.status([s]) for s in servers]
        alive = {s.id for s in servers}
        for status in seen:
            if status is None or status["master"] != master:
                return None
            if not status["cells"] or any(c["owner"] not in alive or c["standby"] not in alive
                                          for c in status["cells"]):
                return None
            if any(s["id"] in alive and (s["state"] != "alive" or not s["is_dp_alive"])
                   for s in status["servers"]):
                return None
        return seen[0] if len({s["epoch"] for s in seen}) == 1 else None

    def alarms(self, server, dead=()):
        """The raised alarms of the whole network as this server gives them: {(element, type, resource)}. None when
        there is no answer, or another server than the dead ones was silent."""
        answer = self.lab.ask("alarm", "list", servers=[server])
        if answer is None or set(answer["silent"]) - set(dead):
            return None
        return {(a["element_id"], a["type"], a["resource"]) for a in answer["alarms"]}

    def elements_of(self, status, owner):
        cells = {c["name"] for c in status["cells"] if c["owner"] == owner}
        return [e for e in self.lab.elements if e.region in cells]

    # -- the parts

    def part_cluster(self):
        self.head("1. Three servers: one master, every cell with an owner and a standby")
        lab = self.lab
        best = max(lab.servers, key=lambda s: s.rank)
        status = wait_for("a master and an owner and standby for each cell", START_S,
                          lambda: self.is_settled(lab.servers, best.id), every=0.1)
        self.show("status")
        owners = {c["owner"] for c in status["cells"]}
        self.claim("the best-ranked server is the master", status["master"] == best.id, best.name)
        self.claim("each of the three servers owns a cell", len(owners) == len(lab.servers))
        self.claim("no cell's owner is its own standby",
                   all(c["owner"] != c["standby"] for c in status["cells"]))
        self.facts.update(servers=len(status["servers"]), elements=status["n_elements"],
                          master_before=status["master"], epoch_before=status["epoch"],
                          master_is_best_ranked=status["master"] == best.id)
        self.best, self.before = best, status
        # A living server through all that follows: every datagram goes to it.
        self.ingest = next(s for s in lab.servers if s.id != best.id)
        self.survivors = [s for s in lab.servers if s.id != best.id]

    def part_traffic(self):
        self.head(f"2. Traps and reports about all elements, all of them sent to {self.ingest.name}")
        threads = [threading.Thread(target=lambda e=e: [self.trap(e, i, self.ingest)
                                                        for i in range(1, TRAPS_EACH + 1)])
                   for e in self.lab.elements]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        speaker = self.lab.elements[0]
        self.report(speaker, self.ingest, self.lab.elements, "--datagrams", "200", "--per-second", "1000")
        wanted = self.sent.alarms()
        seen = {}

        def all_there():
            for server in self.lab.servers:
                seen[server.id] = self.alarms(server)
            return all(a is not None and a >= wanted for a in seen.values())
        try:
            wait_for("the alarms, at every server", SETTLE_S, all_there, every=0.05)
        except LabError as gone:
            print(f"  {gone}")
        self.show("alarm", "list", servers=[self.ingest])
        self.claim(f"all {len(wanted)} alarms are raised, for elements of all three owners",
                   all(a == wanted for a in seen.values()), f"seen {[len(a or ()) for a in seen.values()]}")
        answers = [self.elements_answer(s) for s in self.lab.servers]
        is_equal = all(a == answers[0] for a in answers) and len({frozenset(a or ()) for a in seen.values()}) == 1
        self.claim("each server gives the same answer about all elements and alarms", is_equal)
        self.claim("the last report's metrics arrived for every element",
                   all(m == 200.0 for e in (answers[0] or []) for m in e[3]) and len(answers[0] or []) == len(self.lab.elements))
        self.facts["answers_equal"] = bool(is_equal)
        self.show("element", "show", self.lab.elements[0].name)

    def elements_answer(self, server):
        answer = self.lab.ask("element", "list", servers=[server])
        if answer is None or answer.get("silent"):
            return None
        return sorted((e["id"], e["owner"], e["n_alarms"], tuple(m["value"] for m in e["metrics"]), e["n_reports"])
                      for e in answer["elements"])

    def part_any_server(self):
        self.head("3. Any server answers for the whole network")
        forwarded, wrong = 0, []
        for server in self.lab.servers:
            for element in self.lab.elements:
                answer = self.lab.ask("element", "show", element.name, servers=[server])
                if answer is None or answer["element"]["answered_by"] != answer["element"]["owner"]:
                    wrong.append((server.name, element.name))
                else:
                    forwarded += answer["element"]["answered_by"] != server.id
        self.facts["forwarded"] = forwarded
        self.claim("every element is shown by its owner, whoever is asked", not wrong and forwarded > 0,
                   f"{forwarded} of {len(self.lab.servers) * len(self.lab.elements)} requests forwarded, once each")
        drawn = {"Peered": {}, "Federated": {}}
        names = {f"{s.client}:7400": s.name for s in self.lab.servers}
        for _ in range(DRAWS):
            for words in (("status",), ("element", "list")):
                said = self.lab.bellctl("-v", *words)[2]
                for service, server in DRAWN.findall(said)[-1:]:
                    drawn[service][names[server]] = drawn[service].get(names[server], 0) + 1
        self.facts["drawn_by_service"] = drawn
        self.claim("for each service a server was drawn each time, and not always the same",
                   all(sum(d.values()) == DRAWS and len(d) > 1 for d in drawn.values()), drawn)

    def part_store(self):
        self.head("4. The view from memory and the view from the database")
        self.acked = self.lab.elements[0]
        code, _, said = self.lab.bellctl("alarm", "ack", self.acked.name, "linkDown", "--resource", "interface 1",
                                         "--text", "crew is on its way")
        self.claim("an operator's acknowledgement is on disk at owner and standby", code == 0, said.strip())
        self.claim("the views from memory and from the database agree", self.views_agree(), self.difference or "")
        self.facts["view_equal"] = not self.difference
        self.show("view", "--from", "store", servers=[self.ingest])

    def views_agree(self, dead=()):
        """True as soon as the views from memory and from the store, through every living server, are the same."""
        self.difference = "no answer"

        def is_equal():
            views = [self.lab.ask("view", "--from", source, servers=[s])
                     for s in self.lab.servers if s.id not in dead for source in ("memory", "store")]
            if any(v is None for v in views):
                return False
            states = [survival.view_state(v) for v in views]
            self.difference = next((f"{a} / {b}" for x in states for a, b in
                                    zip(sorted(states[0][0].items()) + sorted(states[0][1].items()),
                                        sorted(x[0].items()) + sorted(x[1].items())) if a != b), "")
            return not self.difference and all(x == states[0] for x in states)
        try:
            return wait_for("the views to agree", SETTLE_S, is_equal, every=0.2)
        except LabError as gone:
            print(f"  {gone}")
            return False

    def full_alarms(self, server, source="memory", dead=()):
        answer = self.lab.ask("alarm", "list", "--from", source, servers=[server])
        if answer is None or set(answer["silent"]) - set(dead):
            return None
        return survival.identities(answer)

    def part_fail_over(self):
        master, lab = self.best, self.lab
        self.head(f"5. kill -9 of the master, {master.name}, while it owns alarms and traffic goes on")
        everything = self.full_alarms(self.ingest)
        held = {a for a in self.alarms(self.ingest) if lab.elements[a[0] - 1] in self.elements_of(self.before, master.id)}
        on_survivors = self.alarms(self.ingest) - held
        self.facts["alarms_before"] = len(held) + len(on_survivors)
        self.claim("the master owns at least ten active alarms", len(held) >= 10, len(held))
        stream = lab.spawn(lab.elements[0].namespace,
                           self.report_words(self.ingest, lab.elements, "--per-second", "200"),
                           stdout=subprocess.PIPE, log=lab.folder / "sender.log")
        during = ledger.Sent()
        stop_traps = threading.Event()
        trapper = threading.Thread(target=self.send_traps_until, args=(stop_traps, during))
        killed = time.monotonic()
        master.kill()
        trapper.start()
        try:
            self.measure_fail_over(master, killed)
        finally:
            stop_traps.set()
            trapper.join()
            stream.terminate()
            out = json.loads(stream.communicate(timeout=10)[0])
            self.sent.datagram(self.ingest.id, out["datagrams"], out["reports"])
            self.sent.add(during)
        wanted = during.alarms() | on_survivors
        try:
            wait_for("the alarms of the fail-over", SETTLE_S,
                     lambda: all((self.alarms(s, [master.id]) or set()) >= wanted for s in self.survivors), every=0.05)
        except LabError as gone:
            print(f"  {gone}")
        seen = [self.alarms(s, [master.id]) or set() for s in self.survivors]
        lost_survivors = on_survivors - set.intersection(*seen)
        lost_during = during.alarms() - set.intersection(*seen)
        self.facts.update(alarms_lost_survivors=len(lost_survivors), alarms_lost_during=len(lost_during),
                          alarms_sent_during=len(during.alarms()))
        self.claim(f"the {len(on_survivors)} alarms of the surviving servers' elements are all there", not lost_survivors)
        self.claim(f"the {len(during.alarms())} alarms sent to {self.ingest.name} during the fail-over are all there",
                   not lost_during and during.alarms(), lost_during or "")
        self.nothing_is_lost(everything, master)
        self.show("status", servers=self.survivors)

    def nothing_is_lost(self, everything, dead):
        """Nothing was sent again: what the dead owner held is known from its standby."""
        missing = {}

        def is_all_there():
            for server in self.survivors:
                for source in ("memory", "store"):
                    seen = self.full_alarms(server, source, [dead.id])
                    missing[server.name, source] = len(everything - (seen or set()))
            return not any(missing.values())
        try:
            wait_for("all alarms from before, from memory and from the store", SETTLE_S, is_all_there, every=0.05)
        except LabError as gone:
            print(f"  {gone}")
        self.facts["alarms_lost"] = max(missing.values())
        self.claim(f"all {len(everything)} alarms are there, the dead owner's too, each with its first-raised time, count and "
                   "acknowledgement, from memory and from the store", not any(missing.values()),
                   missing if any(missing.values()) else "")
        self.claim("the views agree again", self.views_agree([dead.id]), self.difference or "")
        self.facts["view_equal"] = self.facts["view_equal"] and not self.difference

    def send_traps_until(self, stop, during):
        """Linkdown after linkDown for elements of every owner, to the living server."""
        interface = 100
        while not stop.is_set():
            for element in self.lab.elements[::2]:
                self.lab.run_in(element.namespace, "snmptrap", "-v2c", "-c", "public", "-m", "", "-M", "",
                                self.ingest.mgmt, "", LINK_DOWN, f"{IF_INDEX}.{interface}", "i", interface)
                during.datagram(self.ingest.id)
                during.alarm(element.id, "linkDown", f"interface {interface}")
            interface += 1

    def measure_fail_over(self, dead, killed):
        times = {}
        lost_cells = {c["name"] for c in self.before["cells"] if c["owner"] == dead.id}
        unmoved = {c["name"]: c["owner"] for c in self.before["cells"] if c["owner"] != dead.id}

        def is_over():
            status = self.status([self.ingest])
            now = (time.monotonic() - killed) * 1000
            if status is None or status["master"] in (0, dead.id) or status["epoch"] <= self.before["epoch"]:
                return None
            times.setdefault("master", now)
            owned = {c["name"] for c in status["cells"] if c["owner"] not in (0, dead.id)}
            if not lost_cells <= owned:
                return None
            times.setdefault("owned", now)
            return status
        status = wait_for("a new master that gave the dead one's cells away", FAIL_OVER_S, is_over, every=0.005)
        self.after = status
        names = {s.id: s.name for s in self.lab.servers}
        self.facts.update(master_after=status["master"], epoch_after=status["epoch"],
                          failover_master_ms=round(times["master"]), failover_owned_ms=round(times["owned"]))
        self.claim("a new master in a higher epoch", status["epoch"] > self.before["epoch"],
                   f"{names[status['master']]}, epoch {self.before['epoch']} -> {status['epoch']}, "
                   f"after {times['master']:.0f} ms")
        self.claim("the dead master's cells are owned again", True,
                   f"{', '.join(sorted(lost_cells))} after {times['owned']:.0f} ms")
        self.claim("no other cell moved",
                   {c["name"]: c["owner"] for c in status["cells"] if c["name"] in unmoved} == unmoved)

    def part_return(self):
        self.head(f"{self.best.name} comes back")
        owners = {c["name"]: c["owner"] for c in self.after["cells"]}
        self.best.start()
        seen_masters, seen_owners = [], []

        def leads_again():
            status = self.status([self.ingest])
            if status is None:
                return None
            seen_masters.append((status["master"], status["epoch"]))
            seen_owners.append({c["name"]: c["owner"] for c in status["cells"]})
            return status["master"] == self.best.id and self.is_settled(self.lab.servers, self.best.id)
        came = time.monotonic()
        status = wait_for("the best-ranked server to lead again", self.lab.hold_down_ms / 1000 + START_S,
                          leads_again, every=0.05)
        took = time.monotonic() - came
        changes = [m for i, m in enumerate(seen_masters) if m[0] and (i == 0 or m != seen_masters[i - 1])]
        self.facts["master_final"] = status["master"]
        self.claim("after its hold-down the best-ranked leads again", status["master"] == self.best.id,
                   f"{took:.1f} s after its start, hold-down {self.lab.hold_down_ms / 1000:.0f} s")
        self.claim("the mastership was handed over once, nothing flapped",
                   len([m for m in changes if m[0]]) <= 2, changes)
        self.claim("it did not lead before its hold-down was over", took * 1000 >= self.lab.hold_down_ms)
        self.claim("no cell moved back and forth", all(o == owners for o in seen_owners))
        self.show("server", "list")

    def part_conservation(self):
        self.head("6. Conservation: what every server counted, against what the senders sent")
        stats = {}

        def is_quiet():
            for server in self.lab.servers:
                stats[server.id] = self.lab.ask("dp", "stats", server.name)
            return all(s is not None and s["holds"] and ledger.value(s, "relay_waiting") == 0
                       for s in stats.values()) and self.sent.matches(stats)
        try:
            wait_for("every equation to hold and every datagram to be accounted for", SETTLE_S, is_quiet, every=0.2)
        except LabError as gone:
            print(f"  {gone}")
        for server in self.lab.servers:
            self.show("dp", "stats", server.name)
        holds = all(s is not None and s["holds"] for s in stats.values())
        self.claim("all equations hold on every server", holds)
        self.claim("each server received exactly what the senders sent to it", self.sent.matches(stats),
                   f"sent {self.sent.datagrams()}, received {ledger.total(stats, 'datagrams_wire')}")
        unkilled = [stats[s.id] for s in self.survivors if stats[s.id] is not None]
        self.claim("every frame that the XDP programs took reached the worker, or is counted as missed by its port",
                   all(ledger.value(s, "steer_taken") == ledger.value(s, "frames") + ledger.value(s, "port_missed")
                       for s in unkilled))
        self.facts.update(
            sent=sum(self.sent.datagrams().values()), received=ledger.total(stats, "datagrams_wire"),
            applied=ledger.total(stats, "reports_applied"), relayed=ledger.total(stats, "reports_relayed"),
            drops=ledger.drops(stats), conservation_holds=bool(holds and self.sent.matches(stats)))

    def part_story(self):
        self.head("7. The event log, through each server")
        logs = []

        def is_whole():
            logs[:] = [survival.Log(self.lab, s) for s in self.lab.servers]
            return all(x.is_there and not x.silent and x.identities() == logs[0].identities() for x in logs) and \
                not survival.lost_and_doubled(logs[0], self.sent.alarms())[0]
        try:
            wait_for("the same event log through every server, whole", SETTLE_S, is_whole, every=0.1)
        except LabError as gone:
            print(f"  {gone}")
        lost, doubled = survival.lost_and_doubled(logs[0], self.sent.alarms())
        self.facts.update(events=len(logs[0].events), events_lost=len(lost), events_doubled=doubled)
        self.claim("each server tells the same log", all(x.identities() == logs[0].identities() for x in logs),
                   f"{len(logs[0].events)} events")
        self.claim(f"each of the {len(self.sent.alarms())} alarms that were raised is in it, once", not lost and not doubled,
                   f"{len(lost)} lost, {doubled} doubled" if lost or doubled else "")
        story = logs[0].story()
        masters = [server for kind, server, _, _ in story if kind == "master"]
        moved = {(cell, was) for kind, _, was, cell in story if kind == "cell_moved"}
        lost_cells = {(c["name"], self.best.id) for c in self.before["cells"] if c["owner"] == self.best.id}
        # Whose data plane was up first may have led before the best-ranked.
        led = masters[masters.index(self.best.id):] if self.best.id in masters else []
        self.claim("it tells of the elections, in order",
                   led == [self.best.id, self.facts["master_after"], self.best.id], masters)
        self.claim("it tells that the master failed, and where each of its cells went",
                   any(k == "server_failed" and s == self.best.id for k, s, _, _ in story) and lost_cells <= moved)
        self.claim("it tells of the acknowledgement", logs[0].kinds()["acknowledged"] == 1)
        self.show("event", "list", "--newest", "--limit", "12", servers=[self.ingest])

    def part_cold_restart(self):
        self.head("8. kill -9 of all three servers at once, and their memories gone: only the disks are left")
        lab = self.lab
        before = {"alarms": self.full_alarms(self.ingest), "events": survival.Log(lab, self.ingest).identities(),
                  "owners": {(c["name"], c["owner"]) for c in self.status()["cells"]},
                  "elements": {(e["id"], e["name"], e["region"]) for e in lab.ask("element", "list")["elements"]}}
        for server in lab.servers:
            server.kill()
        for server in lab.servers:
            server.segment.unlink()
        (lab.folder / "inventory.yaml").write_text("elements: []\n")  # the registry knows them
        for server in lab.servers:
            server.start()
        lost = {}

        def is_back():
            status = self.is_settled(lab.servers, self.best.id)
            if not status:
                lost["cluster"] = 1
                return False
            lost.pop("cluster", None)
            after = {"owners": {(c["name"], c["owner"]) for c in status["cells"]}}
            for server in lab.servers:
                answer = lab.ask("element", "list", servers=[server])
                after["elements"] = {(e["id"], e["name"], e["region"]) for e in (answer or {"elements": []})["elements"]}
                after["alarms"] = self.full_alarms(server) or set()
                after["events"] = survival.Log(lab, server).identities()
                for what, known in before.items():
                    lost[server.name, what] = len(known - after[what])
            return not any(lost.values())
        try:
            wait_for("everything to be there again", START_S + SETTLE_S, is_back, every=0.1)
        except LabError as gone:
            print(f"  {gone}")
        self.facts["cold_restart_lost"] = sum(lost.values())
        self.claim(f"inventory, owners, {len(before['alarms'])} alarms and {len(before['events'])} events are there, through every "
                   "server", not any(lost.values()), {k: v for k, v in lost.items() if v} or "")
        self.claim("the views agree", self.views_agree(), self.difference or "")
        self.facts["view_equal"] = self.facts["view_equal"] and not self.difference

    def run(self):
        self.part_cluster()
        self.part_traffic()
        self.part_any_server()
        self.part_store()
        self.part_fail_over()
        self.part_return()
        self.part_conservation()
        self.part_story()
        self.part_cold_restart()
        return all(held for _, held in self.claims)


def print_stay(lab):
    words = lab.bellctl_words("status")
    print(f"\nThe cluster stays up. To talk to it:\n  ip netns exec {lab.client} {' '.join(str(w) for w in words)}\n"
          f"Its files: {lab.folder}. To send a trap:\n  ip netns exec {lab.elements[0].namespace} snmptrap -v2c -c public "
          f"{lab.servers[0].mgmt} '' {LINK_DOWN} {IF_INDEX}.7 i 7\n"
          f"To stop it, and remove everything:\n  scripts/run --stop {lab.name}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/run", description="Runs the main job.")
    parser.add_argument("--build", default="build", help="folder of the built programs")
    parser.add_argument("--summary", metavar="FILE", help="write the facts as one JSON object")
    parser.add_argument("--stay", action="store_true", help="leave the cluster up")
    parser.add_argument("--stop", metavar="NAME", help="stop a cluster that stayed")
    args = parser.parse_args()
    if args.stop:
        if not stop_left(args.stop):
            sys.exit(f"run: no laboratory {args.stop} is up")
        return 0
    raise_on_signals()
    lab = Lab(build=pathlib.Path(args.build).resolve())
    job = Job(lab)
    is_good = False
    try:
        lab.up()
        is_good = job.run()
    except LabError as gone:
        print(f"\nFAIL {gone}")
        lab.dump_logs(sys.stdout)
    except KeyboardInterrupt as by:
        print(f"\ninterrupted ({by}), removing everything")
    finally:
        if args.stay and is_good:
            lab.stay()
        else:
            lab.close()
    if args.summary:
        pathlib.Path(args.summary).write_text(json.dumps(job.facts, indent=2) + "\n")
    n_held = sum(held for _, held in job.claims)
    print(f"\n{n_held} of {len(job.claims)} claims held" + ("" if is_good else "; the main job FAILED"))
    if args.stay and is_good:
        print_stay(lab)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
