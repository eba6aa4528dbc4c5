#!/usr/bin/env python3
"""The main job: three servers, twelve elements with real agents, traps and reports through XDP and DPDK, the
master killed in the middle of it. Prints what it sees and holds each claim; exit 0 only if all of them held.

usage: main_job.py [--build DIR] [--summary FILE] [--stay]
       main_job.py --stop NAME
"""
import argparse
import json
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from lab import Lab, LabError, raise_on_signals, stop_left, wait_for  # noqa: E402
import ledger  # noqa: E402

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
TRAPS_EACH = 3  # interfaces down at each element before the kill
START_S, SETTLE_S, FAIL_OVER_S = 20, 10, 15


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

    def part_fail_over(self):
        master, lab = self.best, self.lab
        self.head(f"3. kill -9 of the master, {master.name}, while it owns alarms and traffic goes on")
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
        self.show("status", servers=self.survivors)

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
        self.head("4. Conservation: what every server counted, against what the senders sent")
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

    def run(self):
        self.part_cluster()
        self.part_traffic()
        self.part_fail_over()
        self.part_return()
        self.part_conservation()
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
