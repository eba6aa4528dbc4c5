#!/usr/bin/env python3
"""Three servers, and what operators and disks do to them: elements come, move and are adopted, servers are drained, lose
their disks or find them damaged or full; watches go on at another server. TAP on standard output.

usage: test_survival.py BUILD
"""
import errno
import json
import pathlib
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from lab import Lab, LabError, raise_on_signals, run, uninterrupted, wait_for  # noqa: E402
import survival  # noqa: E402
import tap  # noqa: E402

LINK_DOWN, LINK_UP = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.6.3.1.1.5.4"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
STRANGER = "10.91.9.9"
SECONDS, START_S = 15, 30
STORM, CHANGES = 100, 15


class Bench:
    def __init__(self, build):
        self.lab = Lab(build=build, n_servers=3, n_elements=6)
        self.alpha, self.beta, self.gamma = self.lab.servers
        self.mounts = []
        self.interface = 0

    def up(self):
        self.lab.up(agents=False)
        self.settle()
        for element in self.lab.elements:
            self.trap(element)
        wait_for("the alarms", SECONDS, lambda: len(self.alarms()) == len(self.lab.elements))

    def settle(self, seconds=START_S):
        """Until each cell has a living owner and standby and all servers say so."""
        def is_settled():
            seen = [self.lab.ask("status", servers=[s]) for s in self.lab.servers]
            return all(s and s["master"] and s["cells"] and all(c["owner"] and c["standby"] for c in s["cells"]) and
                       all(x["state"] == "alive" and x["is_dp_alive"] for x in s["servers"]) for s in seen) and \
                len({(s["epoch"], s["registry_committed"]) for s in seen}) == 1 and seen[0]
        return wait_for("the cluster to settle", seconds, is_settled, every=0.1)

    def trap(self, element, notification=LINK_DOWN, interface=None, to=None):
        if interface is None:
            self.interface += 1
            interface = self.interface
        self.lab.run_in(element if isinstance(element, str) else element.namespace, "snmptrap", "-v2c", "-c", "public", "-m", "", "-M", "",
                        (to or self.alpha).mgmt, "", notification, f"{IF_INDEX}.{interface}", "i", interface)
        return interface

    def storm(self):
        """STORM alarms of each element, and so many changes of each that two megabytes are not enough."""
        ids = ",".join(str(e.id) for e in self.lab.elements)
        for i in range(STORM * CHANGES):
            self.lab.run_in(self.lab.elements[0].namespace, self.lab.build / "tests/lib/report_sender", "--to",
                            f"{self.alpha.mgmt}:7410", "--elements", ids, "--datagrams", 1, "--alarm",
                            f"loss:port {i % STORM}:{3 + i // STORM % 2}")

    def alarms(self, server=None, source="memory"):
        answer = self.lab.ask("alarm", "list", "--from", source, servers=[server] if server else None)
        return survival.identities(answer) if answer and not answer["silent"] else set()

    def expect_alarms(self, wanted, what):
        """The same alarms through each server, from memory and from the store."""
        seen = {}

        def is_same():
            for server in self.lab.servers:
                for source in ("memory", "store"):
                    seen[server.name, source] = self.alarms(server, source)
            return all(s == wanted for s in seen.values())
        try:
            wait_for(what, START_S, is_same, every=0.1)
        except LabError as gone:
            raise AssertionError(f"{gone}: {({k: sorted(wanted ^ v) for k, v in seen.items() if v != wanted})}") from gone

    def expect_events(self, wanted, what):
        try:
            wait_for(what, SECONDS, lambda: wanted <= self.events(self.gamma).identities(), every=0.2)
        except LabError as gone:
            log = self.events(self.gamma)
            raise AssertionError(f"{gone}: of {self.events().kinds()}, here {log.kinds()}") from gone

    def command(self, *words, servers=None):
        code, out, said = self.lab.bellctl("--json", *words, servers=servers)
        tap.expect(code == 0, f"bellctl {' '.join(str(w) for w in words)}: exit {code}: {said} {out}")
        return json.loads(out)

    def events(self, server=None):
        return survival.Log(self.lab, server or self.alpha)

    def said(self, server, words):
        return any(all(w in line for w in words) for line in server.log("cp").read_text().splitlines())

    def close(self):
        with uninterrupted():
            for process in self.lab.spawned:
                if process.poll() is None:
                    process.terminate()
            for process in self.lab.spawned:
                process.wait(timeout=10)
            for mount in self.mounts:
                subprocess.run(["umount", "-l", mount], capture_output=True, check=False)
            self.lab.close()


def imported_elements_are_owned_and_seen_through_every_server(b):
    file = b.lab.folder / "more.yaml"
    file.write_text("elements:\n" + "".join(
        f"  - {{id: {n}, name: west{n}, address: 10.91.7.{n}, kind: switch, region: west}}\n" for n in (101, 102, 103)))
    first = b.command("element", "import", file, servers=[b.gamma])
    tap.expect((first["n_added"], first["n_changed"]) == (3, 0), first)
    again = b.command("element", "import", file, servers=[b.beta])
    tap.expect((again["n_added"], again["n_same"]) == (0, 3), again)
    b.settle()
    for server in b.lab.servers:
        found = {e["name"]: e for e in b.lab.ask("element", "list", servers=[server])["elements"]}
        tap.expect({"west101", "west102", "west103"} <= set(found) and found["west101"]["owner"], found)


def name_that_another_element_has_is_refused_and_changes_nothing(b):
    file = b.lab.folder / "wrong.yaml"
    file.write_text("elements:\n  - {id: 201, name: ne01, address: 10.91.7.201, kind: switch, region: west}\n")
    code, _, said = b.lab.bellctl("element", "import", file)
    tap.expect(code == 2 and "ne01" in said, (code, said))
    tap.expect(all(e["id"] != 201 for e in b.lab.ask("element", "list")["elements"]), "it is not there")


def unknown_source_is_adopted_and_its_alarms_are_taken(b):
    stranger = b.lab.add_namespace(f"{b.lab.name}-x")
    b.lab.add_leg(stranger, "mgmt0", "mgmt", STRANGER + "/16")
    b.trap(stranger)
    done = b.command("element", "adopt", STRANGER, "--name", "stray", "--region", "west", servers=[b.gamma])
    tap.expect(done["is_done"] and done["element_id"] > len(b.lab.elements), done)
    b.settle()
    wait_for("its address to be known to the data plane", SECONDS, lambda: (
        b.trap(stranger, interface=77),
        any(a["element"] == "stray" and a["resource"] == "interface 77" for a in b.lab.ask("alarm", "list")["alarms"]))[1],
        every=0.2)


def moved_element_takes_its_alarms_along(b):
    before = {a for a in b.alarms() if a[0] == 1}
    tap.expect(before, "it has an alarm")
    b.command("element", "move", "ne01", "--region", "west")
    b.settle()
    everything = b.alarms()
    tap.expect(before <= everything, (before, everything))
    b.expect_alarms(everything, "the moved element's alarms everywhere")
    element = b.lab.ask("element", "show", "ne01")["element"]
    tap.expect(element["region"] == "west", element)
    interface = int(next(iter(before))[2].split()[1])
    b.trap(b.lab.elements[0], LINK_UP, interface)
    wait_for("its alarm to be cleared under the new owner", SECONDS, lambda: not any(
        a[0] == 1 and a[2] == f"interface {interface}" for a in b.alarms()))


def drained_server_gives_its_cells_away_and_no_alarm_is_lost(b):
    before = b.alarms()
    victim = next(s for s in b.lab.servers if any(c["owner"] == s.id for c in b.lab.ask("status")["cells"]))
    b.command("server", "drain", victim.name)

    def is_drained():
        cells = b.lab.ask("status")["cells"]
        return all(victim.id not in (c["owner"], c["standby"]) and c["owner"] and c["standby"] for c in cells)
    wait_for("the drained server to own and stand by for nothing", SECONDS, is_drained)
    b.expect_alarms(before, "all alarms after the drain")
    b.command("server", "undrain", victim.name)
    b.settle()
    tap.expect(all(c["owner"] != victim.id for c in b.lab.ask("status")["cells"]), "cells do not move back by themselves")


def cell_is_moved_to_the_server_that_the_operator_names(b):
    before = b.alarms()
    cell = next(c for c in b.lab.ask("status")["cells"] if c["name"] == "south")
    to = next(s for s in b.lab.servers if s.id != cell["owner"])
    b.command("element", "move", b.lab.elements[-1].name, "--server", to.name)
    wait_for("its cell to be there", SECONDS, lambda: next(
        c for c in b.lab.ask("status")["cells"] if c["name"] == "south")["owner"] == to.id)
    b.settle()
    b.expect_alarms(before, "all alarms after the move")


def watch_goes_on_at_another_server_and_misses_nothing(b):
    b.settle()
    known = b.events().identities()
    watch = b.lab.spawn(b.lab.client, b.lab.bellctl_words("--json", "event", "watch", "--resume", b.lab.ask(
        "event", "list", "--newest", "--limit", "1")["resume"], servers=[b.gamma, b.beta]), stdout=subprocess.PIPE,
        log=b.lab.folder / "watch.log")
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(iter(watch.stdout.readline, b"")))
    reader.start()
    try:
        for element in b.lab.elements[1:4]:
            b.trap(element)
        b.gamma.kill("cp")
        for element in b.lab.elements[1:4]:
            b.trap(element)
        b.gamma.start("cp")
        b.settle()
        for element in b.lab.elements[1:4]:
            b.trap(element)

        def is_all_told():
            told = [json.loads(x) for x in list(lines)]
            told = [(t["event"]["origin"], t["event"]["number"]) for t in told if t["kind"] == "event"]
            missing = b.events().identities() - known - set(told)
            return len(told) == len(set(told)) and not missing and len(told) >= 9
        wait_for("every event to be told once", SECONDS, is_all_told, every=0.2)
    finally:
        watch.terminate()
        watch.wait(timeout=10)
        reader.join()


def server_that_lost_its_disk_catches_up_from_its_peers(b):
    before, events = b.alarms(), b.events().of_the_network()
    b.gamma.kill()
    shutil.rmtree(b.gamma.folder / "state")
    b.gamma.segment.unlink()
    (b.gamma.folder / "state").mkdir()
    b.gamma.start()
    b.settle()
    b.expect_alarms(before, "all alarms after the disk was lost")
    b.expect_events(events, "all events, through it")


def damaged_stores_are_set_aside_by_name_and_rebuilt(b):
    before, events = b.alarms(), b.events().of_the_network()
    b.gamma.kill()
    state = b.gamma.folder / "state"
    for file in (state / "data.mdb", state / "archive/data.mdb"):
        with open(file, "r+b") as damaged:
            damaged.seek(0)
            damaged.write(b"\xa5" * 8192)
    b.gamma.segment.unlink()
    b.gamma.start()
    b.settle()
    aside = [p.name for p in state.glob("**/data.mdb.damaged*")]
    tap.expect(len(aside) == 2, aside)
    tap.expect(b.said(b.gamma, ["set aside", "damaged"]), "the log says so")
    wait_for("an event for each file", SECONDS, lambda: b.events().kinds()["store_set_aside"] == 2)
    b.expect_alarms(before, "all alarms after the stores were rebuilt")
    b.expect_events(events, "all events, through it")


def full_disk_is_said_and_nothing_is_lost_when_there_is_room_again(b):
    """Its archive on a small file system of its own."""
    b.gamma.kill()
    archive = b.gamma.folder / "state/archive"
    with uninterrupted():
        run("mount", "-t", "tmpfs", "-o", "size=16m", "none", archive)
        b.mounts.append(archive)
    b.gamma.start()
    b.settle()
    b.command("server", "drain", b.alpha.name)  # the other two keep everything
    b.settle()
    filler = archive / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as gone:
            tap.expect(gone.errno == errno.ENOSPC, gone)
    b.storm()
    wait_for("it to say that it is full", START_S, lambda: next(
        s for s in (b.lab.ask("status", servers=[b.gamma]) or {"servers": [{"id": b.gamma.id, "store": ""}]})["servers"]
        if s["id"] == b.gamma.id)["store"] == "full", every=0.1)
    tap.expect(b.said(b.gamma, ["archive", "full"]), "the log says so")
    filler.unlink()
    wait_for("it to be well again", START_S, lambda: next(
        s for s in b.lab.ask("status", servers=[b.gamma])["servers"] if s["id"] == b.gamma.id)["store"] == "ok", every=0.1)
    everything = b.alarms()
    tap.expect(len(everything) >= STORM * len(b.lab.elements), len(everything))
    b.expect_alarms(everything, "all alarms, stored too")
    wanted = {a[:3] for a in everything}
    wait_for("an event for each", START_S, lambda: wanted <= set(b.events(b.gamma).raised()), every=0.2)
    tap.expect(max(b.events(b.gamma).raised().values()) == 1, "no event twice")


TESTS = [
    imported_elements_are_owned_and_seen_through_every_server,
    name_that_another_element_has_is_refused_and_changes_nothing,
    unknown_source_is_adopted_and_its_alarms_are_taken,
    moved_element_takes_its_alarms_along,
    drained_server_gives_its_cells_away_and_no_alarm_is_lost,
    cell_is_moved_to_the_server_that_the_operator_names,
    watch_goes_on_at_another_server_and_misses_nothing,
    server_that_lost_its_disk_catches_up_from_its_peers,
    damaged_stores_are_set_aside_by_name_and_rebuilt,
    full_disk_is_said_and_nothing_is_lost_when_there_is_room_again,
]


def main():
    raise_on_signals()
    bench = Bench(pathlib.Path(sys.argv[1]).resolve())
    try:
        bench.up()
        return tap.run(TESTS, bench, lambda: bench.lab.dump_logs(sys.stderr))
    finally:
        bench.close()


if __name__ == "__main__":
    sys.exit(main())
