#!/usr/bin/env python3
"""One server, real data plane and control plane, bad input and kill -9. TAP on standard output.

usage: test_single_server.py BUILD
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from lab import Lab, LabError, raise_on_signals, run, wait_for  # noqa: E402
import ledger  # noqa: E402
import tap  # noqa: E402

LINK_DOWN, IF_INDEX = "1.3.6.1.6.3.1.1.5.3", "1.3.6.1.2.1.2.2.1.1"
LINK_UP = "1.3.6.1.6.3.1.1.5.4"
ALARMS_MAX = 16
# A raw datagram from a namespace: python is everywhere that this test runs.
SEND = ("import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))\n")
SECONDS = 10


class Bench:
    def __init__(self, build):
        self.lab = Lab(build=build, n_servers=1, n_elements=3, alarms_max=ALARMS_MAX)
        self.server = self.lab.servers[0]

    def up(self):
        self.lab.up(agents=False)
        wait_for("the single server to lead and own", 20, self.is_settled)

    def is_settled(self):
        status = self.lab.ask("status")
        return (status and status["master"] == 1 and status["cells"] and
                all(c["owner"] == 1 for c in status["cells"]) and status["servers"][0]["is_dp_alive"])

    def stats(self):
        return wait_for("the counters", SECONDS, lambda: self.lab.ask("dp", "stats"))

    def count(self, name):
        return ledger.value(self.stats(), name)

    def refusals(self):
        return {c["name"]: c["value"] for c in self.stats()["refusals"]}

    def raw(self, port, octets, namespace=None):
        self.lab.run_in(namespace or self.lab.elements[0].namespace, "python3", "-c", SEND, self.server.mgmt, port,
                        octets)

    def trap(self, element, interface, notification=LINK_DOWN, community="public"):
        self.lab.run_in(element.namespace, "snmptrap", "-v2c", "-c", community, "-m", "", "-M", "", self.server.mgmt,
                        "", notification, f"{IF_INDEX}.{interface}", "i", interface)

    def alarms(self, *words):
        answer = self.lab.ask("alarm", "list", *words)
        return {(a["element"], a["type"], a["resource"]): a for a in answer["alarms"]} if answer else {}

    def wait_counted(self, name, wanted):
        wait_for(f"{name} to be {wanted}", SECONDS, lambda: self.count(name) == wanted)


def trap_raises_an_alarm_and_its_counterpart_clears_it(b):
    b.trap(b.lab.elements[0], 7)
    wait_for("the alarm", SECONDS, lambda: ("ne01", "linkDown", "interface 7") in b.alarms())
    b.trap(b.lab.elements[0], 7, LINK_UP)
    wait_for("its end", SECONDS, lambda: ("ne01", "linkDown", "interface 7") not in b.alarms())
    cleared = b.alarms("--all")[("ne01", "linkDown", "interface 7")]
    tap.expect(cleared["is_cleared"] and cleared["severity"] == "major", cleared)


def repeats_of_a_trap_are_one_alarm_with_a_count(b):
    for _ in range(5):
        b.trap(b.lab.elements[1], 2)
    key = ("ne02", "linkDown", "interface 2")
    wait_for("a count of five", SECONDS, lambda: b.alarms().get(key, {}).get("count") == 5)
    b.trap(b.lab.elements[1], 2, LINK_UP)
    wait_for("its end", SECONDS, lambda: key not in b.alarms())


def damaged_datagrams_are_counted_by_reason(b):
    before = b.refusals()
    for port, octets, reason in ((7410, "0aff", "native_truncated"), (7410, "0d00000000", "native_wire_type"),
                                 (162, "3003020101", "snmp_truncated"), (162, "0400", "snmp_ber")):
        b.raw(port, octets)
        wanted = before.get(reason, 0) + 1
        wait_for(f"{reason} to be {wanted}, of {b.refusals()}", SECONDS,
                 lambda r=reason, w=wanted: b.refusals().get(r, 0) == w)
    b.trap(b.lab.elements[0], 1, community="wrong")
    wait_for("snmp_community", SECONDS, lambda: b.refusals().get("snmp_community", 0) == before.get("snmp_community", 0) + 1)


def oversized_datagram_is_counted_as_fragments(b):
    before = b.count("drop_fragment")
    b.raw(7410, "00" * 4000)
    b.wait_counted("drop_fragment", before + 3)


def unknown_source_is_counted_and_listed(b):
    stranger = b.lab.add_namespace(f"{b.lab.name}-x")
    b.lab.add_leg(stranger, "mgmt0", "mgmt", "10.91.9.9/16")
    before = b.count("drop_unknown_source")
    b.raw(7410, "0a00", namespace=stranger)
    b.wait_counted("drop_unknown_source", before + 1)
    listed = {u["address"]: u for u in b.stats()["unknown"]}
    tap.expect(listed.get("10.91.9.9", {}).get("n_datagrams") == 1, listed)
    tap.expect(listed["10.91.9.9"]["udp_port"] == 7410, listed)


def full_alarm_table_is_counted_and_said_by_name(b):
    for interface in range(1, ALARMS_MAX + 4):
        b.trap(b.lab.elements[2], interface)
    b.wait_counted("refused_alarm_table_full", 3)
    tap.expect(len(b.alarms()) == ALARMS_MAX, len(b.alarms()))
    code, out, _ = b.lab.bellctl("dp", "stats")
    tap.expect("refused_alarm_table_full" in out, out)
    tap.expect(code == 0, "the equations hold: a refusal is accounted for")


def killed_data_plane_starts_again_on_the_same_interface_and_lost_nothing(b):
    before, stats = b.alarms(), b.stats()
    tap.expect(len(before) == ALARMS_MAX, len(before))
    b.server.kill("dp")
    b.server.start("dp")
    wait_for("the second start", SECONDS, lambda: b.stats()["n_starts"] == stats["n_starts"] + 1 and b.stats()["is_dp_alive"])
    tap.expect(b.alarms() == before, "the alarms differ")
    received = b.count("datagrams_wire")
    tap.expect(received == ledger.value(stats, "datagrams_wire"), "the counters go on")

    def is_cleared():
        b.trap(b.lab.elements[2], 1, LINK_UP)  # again: until the port is up the kernel gets it
        return len(b.alarms()) == ALARMS_MAX - 1
    wait_for("a trap after the start", SECONDS, is_cleared)


def killed_control_plane_starts_again_and_lost_nothing(b):
    before, epoch = b.alarms(), b.lab.ask("status")["epoch"]
    b.server.kill("cp")
    b.trap(b.lab.elements[2], 2, LINK_UP)  # the lease of the killed one runs for a moment
    b.server.start("cp")
    wait_for("it to lead again", 20, b.is_settled)
    gone = ("ne03", "linkDown", "interface 2")
    wait_for("the alarms", SECONDS, lambda: b.alarms().keys() == before.keys() - {gone})
    after = b.alarms()
    tap.expect(all(after[k] == before[k] for k in after), "an alarm changed")
    tap.expect(b.lab.ask("status")["epoch"] > epoch, "the epoch rose")


def trap_that_came_while_no_lease_ran_is_applied_when_it_runs_again(b):
    b.server.kill("cp")
    # The lease ends a second after its last renewal; then metrics are refused, and that is the sign.
    sender = [b.lab.build / "tests/lib/report_sender", "--to", f"{b.server.mgmt}:7410", "--elements", "1",
              "--per-second", "20"]
    stream = b.lab.spawn(b.lab.elements[0].namespace, sender, stdout=subprocess.PIPE)
    wait_for("the end of the lease", SECONDS,
             lambda: ledger.value(json.loads(run(b.lab.build / "tests/lib/segment_stats", b.server.file)),
                                  "refused_no_lease") > 0)
    b.trap(b.lab.elements[0], 9)
    stream.terminate()
    stream.communicate(timeout=SECONDS)
    b.server.start("cp")
    wait_for("it to lead again", 20, b.is_settled)
    wait_for("the alarm that waited", SECONDS, lambda: ("ne01", "linkDown", "interface 9") in b.alarms())
    tap.expect(b.stats()["holds"], "the equations hold")


def garbage_on_the_api_port_does_no_harm(b):
    script = ("import socket, sys\n"
              "for n in range(50):\n"
              "    s = socket.create_connection((sys.argv[1], 7400), 5)\n"
              "    s.sendall(bytes((n * 7 + i * 13) & 255 for i in range(n * 40)))\n"
              "    s.close()\n")
    b.lab.run_in(b.lab.client, "python3", "-c", script, b.server.client)
    tap.expect(b.is_settled(), "it still answers")


def second_data_plane_on_the_segment_is_refused(b):
    done = subprocess.run(["ip", "netns", "exec", b.server.namespace, b.lab.build / "dp/bellwether-dp", "--config",
                           b.server.file], capture_output=True, text=True, timeout=60, check=False)
    tap.expect(done.returncode == 1, done)
    tap.expect(b.is_settled(), "the first goes on")


def wrong_configuration_is_refused_by_both_programs_with_all_findings(b):
    file = b.lab.folder / "wrong.yaml"
    text = b.server.file.read_text()
    text = text.replace("worker_core: 1", "worker_core: 0").replace("10.90.0.1", "10.90.0.256")
    file.write_text(text + "colour: blue\n")
    for program in ("dp/bellwether-dp", "cp/bellwether-cp"):
        done = subprocess.run([b.lab.build / program, "--check-config", "--config", file], capture_output=True, text=True,
                              timeout=30, check=False)
        tap.expect(done.returncode == 1, done)
        found = done.stderr.splitlines()
        tap.expect(any("colour" in line for line in found) and any("10.90.0.256" in line for line in found), found)
        tap.expect(all(line.startswith(f"{file}:") and line.split(":")[1].isdigit() and line.split(":")[2].isdigit()
                       for line in found), found)
    file.write_text(text.replace("10.90.0.256", "10.90.0.1"))
    done = subprocess.run([b.lab.build / "dp/bellwether-dp", "--config", file], capture_output=True, text=True, timeout=30,
                          check=False)
    tap.expect(done.returncode == 1 and "worker_core" in done.stderr, done)
    done = subprocess.run([b.lab.build / "dp/bellwether-dp", "--check-config", "--config", b.server.file],
                          capture_output=True, text=True, timeout=30, check=False)
    tap.expect(done.returncode == 0 and not done.stderr, done)


def bellctl_exit_codes_are_what_the_manual_says(b):
    for words, wanted in ((("status",), 0), (("element", "show", "ne01"), 0), (("element", "show", "nobody"), 4),
                          (("no-such-noun",), 1), (("element",), 1), (("dp", "stats", "99"), 4)):
        code, _, err = b.lab.bellctl(*words)
        tap.expect(code == wanted, f"{words}: {code}, {err}")
    nobody = subprocess.run(["ip", "netns", "exec", b.lab.client, b.lab.build / "cp/cli/bellctl", "--server",
                             "10.92.0.77:7400", "--timeout", "500", "status"], capture_output=True, text=True,
                            timeout=30, check=False)
    tap.expect(nobody.returncode == 3, nobody)


def watch_shows_a_change_and_ends_after_its_count(b):
    watch = b.lab.spawn(b.lab.client, b.lab.bellctl_words("--json", "alarm", "watch", "--count", "1"),
                        stdout=subprocess.PIPE)
    try:
        # Until the watch is there no change is seen; each round makes one.
        def seen():
            b.trap(b.lab.elements[1], 5)
            b.trap(b.lab.elements[1], 5, LINK_UP)
            return watch.poll() is not None
        wait_for("the watch to end", SECONDS, seen)
        lines = [json.loads(li) for li in watch.communicate(timeout=SECONDS)[0].decode().splitlines()]
        tap.expect([li["kind"] for li in lines[:1]] == ["heard"], lines)  # it listens
        tap.expect(len(lines) == 2, lines)
        line = lines[1]
        tap.expect(line["kind"] in ("raised", "cleared"), line)
        tap.expect(line["alarm"]["element"] == "ne02", line)
    finally:
        watch.kill()


def tcp_over_the_interface_of_the_data_plane_goes_on_working(b):
    serve = ("import socket\n"
             "s = socket.create_server(('0.0.0.0', 162))\n"  # TCP to a management port number is not ours
             "c, _ = s.accept()\n"
             "n = 0\n"
             "while (d := c.recv(65536)):\n"
             "    n += len(d)\n"
             "c.sendall(str(n).encode())\n")
    send = ("import socket, sys\n"
            "s = socket.create_connection((sys.argv[1], 162), 5)\n"
            "s.sendall(bytes(3000000))\n"
            "s.shutdown(socket.SHUT_WR)\n"
            "print(s.recv(64).decode())\n")
    server = b.lab.spawn(b.server.namespace, ["python3", "-c", serve])
    try:
        def sent():
            try:
                return b.lab.run_in(b.lab.elements[0].namespace, "python3", "-c", send, b.server.mgmt)
            except LabError:
                return None  # it does not listen yet
        tap.expect(wait_for("the transfer", SECONDS, sent).strip() == "3000000", "all octets arrived")
    finally:
        server.kill()


def planted_miscount_of_a_sender_turns_the_comparison_red(b):
    stats = {b.server.id: b.stats()}
    sent = ledger.Sent()
    sent.datagram(b.server.id, ledger.value(stats[b.server.id], "datagrams_wire"))
    tap.expect(sent.matches(stats), "equal counts match")
    sent.datagram(b.server.id)
    tap.expect(not sent.matches(stats), "one datagram more is seen")


TESTS = [
    trap_raises_an_alarm_and_its_counterpart_clears_it,
    repeats_of_a_trap_are_one_alarm_with_a_count,
    damaged_datagrams_are_counted_by_reason,
    oversized_datagram_is_counted_as_fragments,
    unknown_source_is_counted_and_listed,
    tcp_over_the_interface_of_the_data_plane_goes_on_working,
    wrong_configuration_is_refused_by_both_programs_with_all_findings,
    bellctl_exit_codes_are_what_the_manual_says,
    garbage_on_the_api_port_does_no_harm,
    watch_shows_a_change_and_ends_after_its_count,
    full_alarm_table_is_counted_and_said_by_name,
    killed_data_plane_starts_again_on_the_same_interface_and_lost_nothing,
    killed_control_plane_starts_again_and_lost_nothing,
    second_data_plane_on_the_segment_is_refused,
    planted_miscount_of_a_sender_turns_the_comparison_red,
    trap_that_came_while_no_lease_ran_is_applied_when_it_runs_again,
]


def main():
    raise_on_signals()
    bench = Bench(pathlib.Path(sys.argv[1]).resolve())
    try:
        bench.up()
        return tap.run(TESTS, bench, lambda: bench.lab.dump_logs(sys.stderr))
    finally:
        bench.lab.close()


if __name__ == "__main__":
    sys.exit(main())
