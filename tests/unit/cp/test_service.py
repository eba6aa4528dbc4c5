#!/usr/bin/env python3
"""A stock gRPC client, generated from our proto, against one real control plane. TAP on standard output.

usage: test_service.py BELLWETHER_CP PLAYED_DP PROTO_FOLDER
"""
import importlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lib"))
import tap  # noqa: E402

try:
    import grpc
except ImportError:
    print("1..0 # SKIP python3-grpcio is not installed")
    sys.exit(0)

SECONDS = 20
# Of this process alone: the whole of 127.0.0.0/8 is the loopback's.
ADDRESS = f"127.{1 + (os.getpid() >> 14 & 127)}.{os.getpid() >> 6 & 255}.{1 + (os.getpid() & 63) * 3}"
UNARY = {
    "Peered": {"GetStatus": ("StatusRequest", "Status"), "GetStoredStatus": ("StatusRequest", "Status"),
               "GetElement": ("ElementRequest", "ElementReply"), "ListElements": ("ListRequest", "ElementList"),
               "ListAlarms": ("ListRequest", "AlarmList"), "ListEvents": ("EventQuery", "EventList"),
               "AckAlarm": ("AckAlarmRequest", "CommandReply"),
               "ImportElements": ("ImportElementsRequest", "CommandReply"),
               "AdoptElement": ("AdoptElementRequest", "CommandReply"),
               "MoveElement": ("MoveElementRequest", "CommandReply"),
               "DrainServer": ("DrainServerRequest", "CommandReply"), "GetDpStats": ("DpStatsRequest", "DpStats")},
    "Federated": {"ListElements": ("ListRequest", "ElementList"), "ListAlarms": ("ListRequest", "AlarmList")},
}
STREAMS = {"Federated": {"WatchAlarms": ("WatchRequest", "AlarmEvent"), "WatchEvents": ("WatchRequest", "EventNotice")}}


def wait_for(what, condition):
    end = time.monotonic() + SECONDS
    while not (result := condition()):
        tap.expect(time.monotonic() < end, f"still waiting for {what}")
        time.sleep(0.02)
    return result


class Bench:
    """One server in a folder of its own, and a client of it."""

    def __init__(self, program, played_dp, proto, folder):
        self.program, self.played_dp, self.folder = program, played_dp, folder
        self.process = self.dp = None
        subprocess.run(["protoc", f"--proto_path={proto}", f"--python_out={folder}", "bellwether.proto"], check=True)
        sys.path.insert(0, str(folder))
        self.pb = importlib.import_module("bellwether_pb2")
        self.channel = None

    def write(self):
        (self.folder / "secret").write_text("0123456789abcdef" * 4 + "\n")
        (self.folder / "secret").chmod(0o600)
        (self.folder / "rules.yaml").write_text("rules: []\n")
        (self.folder / "inventory.yaml").write_text("elements:\n" + "".join(
            f"  - {{id: {i}, name: e{i}, address: 10.9.0.{i}, kind: router, region: r{i % 2}}}\n"
            for i in range(1, 7)))
        (self.folder / "state").mkdir()
        (self.folder / "run").mkdir()
        (self.folder / "bellwether.yaml").write_text(f"""\
cluster: {{name: test, secret_file: secret, beat_ms: 100, hold_down_ms: 1000}}
server: 1
servers:
  - {{id: 1, name: alpha, rank: 1, address: {ADDRESS}}}
inventory: inventory.yaml
rules: rules.yaml
state_dir: state
run_dir: run
dataplane: {{ports: [{{name: p, device: net_null0}}]}}
memory: {{elements_max: 64, alarms_max: 64, cells_max: 16, rules_max: 1, unknowns_max: 1, events_max: 16}}
""")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.program, "--config", "bellwether.yaml"], cwd=self.folder, stderr=log,
                                            stdout=log)
            self.dp = subprocess.Popen([self.played_dp, "bellwether.yaml"], cwd=self.folder, stderr=log, text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.channel = grpc.insecure_channel(f"{ADDRESS}:7400", options=[
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100)])
        wait_for("the server to lead and own", self.is_settled)

    def stop(self):
        self.channel.close()
        self.process.terminate()
        code = self.process.wait(timeout=SECONDS)
        self.process = None
        tap.expect(code == 0, f"the server ended with {code}")
        self.dp.stdin.close()
        tap.expect(self.dp.wait(timeout=SECONDS) == 0, "the played data plane failed")

    def end(self):
        for process in (self.process, self.dp):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def call(self, service, method, **fields):
        request, reply = UNARY[service][method]
        stub = self.channel.unary_unary(f"/bellwether.{service}/{method}",
                                        request_serializer=getattr(self.pb, request).SerializeToString,
                                        response_deserializer=getattr(self.pb, reply).FromString)
        return stub(getattr(self.pb, request)(**fields), timeout=SECONDS)

    def watch(self, method, **fields):
        request, reply = STREAMS["Federated"][method]
        stub = self.channel.unary_stream(f"/bellwether.Federated/{method}",
                                         request_serializer=getattr(self.pb, request).SerializeToString,
                                         response_deserializer=getattr(self.pb, reply).FromString)
        return stub(getattr(self.pb, request)(**fields), timeout=SECONDS)

    def play(self, line):
        self.dp.stdin.write(line + "\n")
        self.dp.stdin.flush()
        answer = self.dp.stdout.readline()
        tap.expect(answer == "done\n", answer)

    def refused(self, service, method, **fields):
        """The status of a call that fails, and its words."""
        try:
            self.call(service, method, **fields)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"{method} was not refused")

    def is_settled(self):
        try:
            status = self.call("Peered", "GetStatus")
        except grpc.RpcError:
            return False
        return status.master == 1 and len(status.cells) > 0 and all(c.owner == 1 for c in status.cells)

    def adopt(self, name, number, request_id="", element_id=0):
        spec = self.pb.ElementSpec(id=element_id, name=name, kind="router", region="r0", address=bytes(
            10) + b"\xff\xff" + socket.inet_aton(f"10.9.1.{number}"))
        return self.call("Peered", "AdoptElement", element=spec,
                         command=self.pb.Command(request_id=request_id, operator="ada"))

    def all_events(self, limit, after=""):
        events, is_more = [], True
        while is_more:
            page = self.call("Peered", "ListEvents", limit=limit, after=after)
            events += page.events
            after, is_more = page.resume, page.is_more
        return events, after


def status_tells_servers_cells_and_the_store(b):
    status = b.call("Peered", "GetStatus")
    tap.expect(status.cluster == "test" and status.server == 1 and status.n_elements == 6, status)
    tap.expect([c.name for c in status.cells] == ["r0", "r1"], status)
    tap.expect(status.registry_committed > 0 and status.servers[0].store == "ok", status)


def memory_and_store_list_the_same_elements(b):
    memory = b.call("Federated", "ListElements")
    store = b.call("Peered", "ListElements")
    tap.expect([e.name for e in memory.elements] == [f"e{i}" for i in range(1, 7)], memory)
    tap.expect([(e.id, e.name, e.region, e.owner) for e in memory.elements] ==
               [(e.id, e.name, e.region, e.owner) for e in store.elements], store)
    tap.expect({e.source for e in memory.elements} == {"memory"}, memory)
    tap.expect({e.source for e in store.elements} == {"store"}, store)


def element_is_found_by_name_and_by_id(b):
    tap.expect(b.call("Peered", "GetElement", name="e3").element.id == 3, "by name")
    tap.expect(b.call("Peered", "GetElement", id=3, is_fresh=True).element.name == "e3", "by id")
    code, why = b.refused("Peered", "GetElement", name="nobody")
    tap.expect(code == grpc.StatusCode.NOT_FOUND and "nobody" in why, why)


def adopted_element_is_there_and_a_repeat_gets_the_same_answer(b):
    first = b.adopt("new1", 1, request_id="adopt-1")
    tap.expect(first.is_done and first.element_id == 7 and first.n_added == 1 and not first.is_repeat, first)
    again = b.adopt("new1", 1, request_id="adopt-1")
    tap.expect(again.is_repeat and again.element_id == 7 and again.index == first.index, again)
    tap.expect(b.call("Peered", "GetElement", name="new1").element.id == 7, "not there")


def refusals_say_why(b):
    code, why = b.refused("Peered", "DrainServer", server=9)
    tap.expect(code == grpc.StatusCode.INVALID_ARGUMENT and "9" in why, why)
    code, why = b.refused("Peered", "MoveElement", element="e1")
    tap.expect(code == grpc.StatusCode.INVALID_ARGUMENT, why)
    refused = b.adopt("e1", 2)
    tap.expect(not refused.is_done and "e1" in refused.why, refused)
    code, why = b.refused("Peered", "AckAlarm", element="e1", type="linkDown", resource="if1", is_ack=True)
    tap.expect(code == grpc.StatusCode.NOT_FOUND and "e1" in why, why)
    code, why = b.refused("Peered", "ListEvents", after="yesterday")
    tap.expect(code == grpc.StatusCode.INVALID_ARGUMENT and "token" in why, why)


def moved_element_is_in_its_new_region(b):
    reply = b.call("Peered", "MoveElement", element="e2", region="r1", command=b.pb.Command(operator="ada"))
    tap.expect(reply.is_done and reply.n_changed == 1, reply)
    tap.expect(b.call("Peered", "GetElement", name="e2").element.region == "r1", "not moved")


def imported_elements_are_counted(b):
    specs = [b.pb.ElementSpec(id=i, name=f"i{i}", kind="switch", region="r2",
                              address=bytes(10) + b"\xff\xff" + socket.inet_aton(f"10.9.2.{i}")) for i in range(20, 25)]
    reply = b.call("Peered", "ImportElements", elements=specs)
    tap.expect(reply.is_done and reply.n_added == 5, reply)
    reply = b.call("Peered", "ImportElements", elements=specs)
    tap.expect(reply.is_done and reply.n_same == 5 and reply.n_added == 0, reply)


def event_log_tells_the_story_in_pages_of_any_size(b):
    events, _ = b.all_events(1000)
    names = [(e.origin, e.number) for e in events]
    kinds = [e.kind for e in events]
    for kind in ("master", "element_adopted", "element_moved", "elements_imported"):
        tap.expect(kind in kinds, kinds)
    adopted = next(e for e in events if e.kind == "element_adopted")
    tap.expect(adopted.operator == "ada" and adopted.request_id == "adopt-1", adopted)
    for limit in (1, 2, 3):
        paged, _ = b.all_events(limit)
        tap.expect([(e.origin, e.number) for e in paged] == names, limit)


def watch_with_a_token_misses_nothing_and_doubles_nothing(b):
    _, token = b.all_events(1000)
    b.adopt("new2", 3)
    watch = b.watch("WatchEvents", resume=token)
    seen = []
    for notice in watch:
        if notice.kind == "event" and notice.event.kind == "element_adopted":
            seen.append(notice.event.number)
            if len(seen) == 1:
                b.adopt("new3", 4)
            if len(seen) == 2:
                token = notice.resume
                watch.cancel()
                break
    tap.expect(seen == sorted(set(seen)), seen)
    events, _ = b.all_events(1000, after=token)
    tap.expect(not any(e.kind == "element_adopted" for e in events), events)


def watch_on_alarms_begins_with_heard(b):
    watch = b.watch("WatchAlarms", present=True)
    first = next(iter(watch))
    tap.expect(first.kind == "heard" and first.server == 1 and first.resume != "", first)
    watch.cancel()


def acknowledged_alarm_shows_it_in_memory_and_store(b):
    watch = b.watch("WatchAlarms")
    b.play("raise 4 linkDown if7")
    raised = next(e for e in watch if e.kind == "raised")
    tap.expect(raised.alarm.element == "e4" and raised.alarm.resource == "if7", raised)
    command = b.pb.Command(request_id="ack-1", operator="ada")
    fields = {"element": "e4", "type": "linkDown", "resource": "if7", "is_ack": True, "text": "on it"}
    first = b.call("Peered", "AckAlarm", command=command, **fields)
    tap.expect(first.is_done and first.is_degraded and first.index > 0, first)
    again = b.call("Peered", "AckAlarm", command=command, **fields)
    tap.expect(again.is_repeat and again.index == first.index, again)
    said = next(e for e in watch if e.kind == "acknowledged")
    tap.expect(said.alarm.operator_state == "ack" and said.alarm.operator == "ada", said)
    watch.cancel()
    for service in ("Federated", "Peered"):
        alarms = b.call(service, "ListAlarms").alarms
        tap.expect(len(alarms) == 1, alarms)
        alarm = alarms[0]
        tap.expect((alarm.operator_state, alarm.operator, alarm.operator_text) == ("ack", "ada", "on it"), alarm)
        tap.expect(alarm.source == ("memory" if service == "Federated" else "store"), alarm)


def what_is_no_message_is_an_invalid_argument(b):
    raw = b.channel.unary_unary("/bellwether.Peered/ListEvents", request_serializer=bytes,
                                response_deserializer=bytes)
    try:
        raw(b"\xff\xff\xff\x07\x00", timeout=SECONDS)
    except grpc.RpcError as error:
        tap.expect(error.code() == grpc.StatusCode.INVALID_ARGUMENT, error)
        return
    raise AssertionError("it was taken")


def restarted_server_has_inventory_and_events(b):
    before, _ = b.all_events(1000)
    elements = [e.name for e in b.call("Peered", "ListElements").elements]
    b.stop()
    b.start()
    after, _ = b.all_events(1000)
    tap.expect([e.name for e in b.call("Peered", "ListElements").elements] == elements, elements)
    tap.expect([(e.origin, e.number) for e in after[:len(before)]] == [(e.origin, e.number) for e in before], after)


def repeat_after_a_restart_gets_the_answer_of_then(b):
    again = b.adopt("new1", 1, request_id="adopt-1")
    tap.expect(again.is_repeat and again.element_id == 7, again)


TESTS = [status_tells_servers_cells_and_the_store, memory_and_store_list_the_same_elements,
         element_is_found_by_name_and_by_id, adopted_element_is_there_and_a_repeat_gets_the_same_answer,
         refusals_say_why, moved_element_is_in_its_new_region, imported_elements_are_counted,
         event_log_tells_the_story_in_pages_of_any_size, watch_with_a_token_misses_nothing_and_doubles_nothing,
         watch_on_alarms_begins_with_heard, acknowledged_alarm_shows_it_in_memory_and_store, what_is_no_message_is_an_invalid_argument,
         restarted_server_has_inventory_and_events, repeat_after_a_restart_gets_the_answer_of_then]


def main():
    with tempfile.TemporaryDirectory(prefix="bellwether-service-") as folder:
        bench = Bench(sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(folder))
        bench.write()
        try:
            bench.start()
            code = tap.run(TESTS, bench)
            bench.stop()
            return code
        except Exception:
            print((bench.folder / "log").read_text(), file=sys.stderr)
            raise
        finally:
            bench.end()


if __name__ == "__main__":
    sys.exit(main())
