"""The laboratory: servers and elements in network namespaces of their own, and nothing left behind.

Three bridges, in a namespace that holds nothing else: peers (10.90.0.0/24), management (10.91.0.0/16), clients
(10.92.0.0/24). A server has a leg in each; an element one in management, with a stock snmpd; the client
namespace one in clients. Names begin with the laboratory's own name, which is unique to a run.
"""
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGIONS = ("north", "middle", "south")
STATE_FOLDER = pathlib.Path("/run")


class LabError(Exception):
    """The world did not come to be as it should; says what was waited for."""


def run(*words, **options):
    """Runs a command to its end; a failure carries what it said."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise LabError(f"{' '.join(str(w) for w in words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_for(what, seconds, condition, every=0.02):
    """Polls until 'condition' gives something true, and gives it back; bounded."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise LabError(f"after {seconds} s still waiting for: {what}")
        time.sleep(every)


class Element:
    def __init__(self, number, region):
        self.id = number
        self.name = f"ne{number:02d}"
        self.region = region
        self.address = f"10.91.1.{number}"
        self.namespace = None


class Server:
    """One bellwether-dp and one bellwether-cp."""

    def __init__(self, lab, number, name, rank):
        self.lab, self.id, self.name, self.rank = lab, number, name, rank
        self.peer, self.mgmt, self.client = f"10.90.0.{number}", f"10.91.0.{number}", f"10.92.0.{number}"
        self.namespace = f"{lab.name}-s{number}"
        self.folder = None
        self.segment = pathlib.Path(f"/dev/shm/{lab.name}-{name}")
        self.processes = {}
        # Each on both cores, the other way round on every second one.
        self.control_core, self.worker_core = (0, 1) if number % 2 else (1, 0)

    def configuration(self):
        servers = "\n".join(
            f"  - {{id: {s.id}, name: {s.name}, rank: {s.rank}, address: {s.peer}, client_address: {s.client}}}"
            for s in self.lab.servers)
        return f"""\
cluster: {{name: {self.lab.name}, secret_file: {self.lab.folder}/secret, beat_ms: {self.lab.beat_ms}, \
hold_down_ms: {self.lab.hold_down_ms}}}
server: {self.id}
servers:
{servers}
inventory: {self.lab.folder}/inventory.yaml
rules: {self.lab.rules}
state_dir: {self.folder}/state
run_dir: {self.folder}/run
dataplane:
  control_core: {self.control_core}
  worker_core: {self.worker_core}
  idle: adaptive
  huge_pages: false
  steer_object: {self.lab.build}/bpf/steer.bpf.o
  ports:
    - {{name: mgmt, device: "net_af_xdp0,iface=mgmt0", interface: mgmt0}}
    - {{name: peer, device: "net_af_xdp1,iface=peer0", interface: peer0, relay: true}}
memory:
  path: {self.segment}
  elements_max: 1024
  alarms_max: {self.lab.alarms_max}
"""

    def write_configuration(self):
        (self.folder / "state").mkdir(parents=True, exist_ok=True)
        (self.folder / "run").mkdir(exist_ok=True)
        self.file = self.folder / "bellwether.yaml"
        self.file.write_text(self.configuration())

    def start(self, *which):
        programs = {"dp": self.lab.build / "dp/bellwether-dp", "cp": self.lab.build / "cp/bellwether-cp"}
        for program in which or ("cp", "dp"):
            self.processes[program] = self.lab.spawn(
                self.namespace, [programs[program], "--config", self.file], log=self.log(program))

    def log(self, program):
        return self.folder / f"{program}.log"

    def kill(self, *which):
        """kill -9, both at once by default; their ends are waited for."""
        programs = which or ("dp", "cp")
        for program in programs:
            self.processes[program].send_signal(signal.SIGKILL)
        for program in programs:
            self.processes[program].wait(timeout=10)

    def is_running(self, program):
        return program in self.processes and self.processes[program].poll() is None


class Lab:
    """Makes everything in up(), removes everything in close(), also after an exception or a signal."""

    def __init__(self, build=ROOT / "build", n_servers=3, n_elements=12, hold_down_ms=3000, beat_ms=50,
                 alarms_max=4096):
        self.build = pathlib.Path(build)
        self.name = "bw" + secrets.token_hex(2)
        self.hold_down_ms, self.beat_ms, self.alarms_max = hold_down_ms, beat_ms, alarms_max
        self.rules = ROOT / "cp/alarm/standard.rules.yaml"
        self.folder = None
        self.namespaces = []
        self.spawned = []
        names = (("alpha", 3), ("beta", 2), ("gamma", 1))
        self.servers = [Server(self, i, name, rank) for i, (name, rank) in enumerate(names[:n_servers], 1)]
        self.elements = [Element(i, REGIONS[(i - 1) * len(REGIONS) // n_elements])
                         for i in range(1, n_elements + 1)]
        self.client = f"{self.name}-c"

    # -- processes

    def spawn(self, namespace, words, log=None, **options):
        """A process of ours in a namespace, in a session of its own: a Ctrl-C is for us to handle."""
        out = open(log, "ab") if log else subprocess.DEVNULL
        with uninterrupted():  # between its start and its place in the list it would be nobody's
            process = subprocess.Popen(["ip", "netns", "exec", namespace, *[str(w) for w in words]],
                                       stdin=subprocess.DEVNULL, stdout=options.pop("stdout", out), stderr=out,
                                       start_new_session=True, **options)
            self.spawned.append(process)
        if log:
            out.close()
        return process

    def run_in(self, namespace, *words, **options):
        return run("ip", "netns", "exec", namespace, *words, **options)

    # -- network

    def add_namespace(self, name):
        with uninterrupted():
            run("ip", "netns", "add", name)
            self.namespaces.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        return name

    def add_leg(self, namespace, interface, bridge, address, mtu=1500):
        """A veth pair from 'bridge' to 'interface'. Transmit checksums are computed for real: on a veth the
        kernel otherwise leaves them to a device that is not there, and the data plane verifies them."""
        port = f"{bridge}-{len(self.namespaces)}{interface[0]}"
        run("ip", "link", "add", interface, "netns", namespace, "mtu", mtu, "type", "veth",
            "peer", "name", port, "netns", self.switch, "mtu", mtu)
        run("ip", "-n", self.switch, "link", "set", port, "master", bridge, "up")
        run("ip", "-n", namespace, "addr", "add", address, "dev", interface)
        run("ip", "-n", namespace, "link", "set", interface, "up")
        self.run_in(namespace, "ethtool", "-K", interface, "tx", "off")

    def up_network(self):
        self.switch = self.add_namespace(f"{self.name}-sw")
        for bridge in ("peer", "mgmt", "cli"):
            run("ip", "-n", self.switch, "link", "add", bridge, "type", "bridge")
            run("ip", "-n", self.switch, "link", "set", bridge, "up")
        for server in self.servers:
            self.add_namespace(server.namespace)
            # A relayed datagram is 60 octets longer than the datagram.
            self.add_leg(server.namespace, "peer0", "peer", server.peer + "/24", mtu=1600)
            self.add_leg(server.namespace, "mgmt0", "mgmt", server.mgmt + "/16")
            self.add_leg(server.namespace, "cli0", "cli", server.client + "/24")
        for element in self.elements:
            element.namespace = self.add_namespace(f"{self.name}-e{element.id}")
            self.add_leg(element.namespace, "mgmt0", "mgmt", element.address + "/16")
        self.add_namespace(self.client)
        self.add_leg(self.client, "cli0", "cli", "10.92.0.100/24")

    # -- files

    def write_files(self):
        with uninterrupted():
            self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir="/var/tmp"))
        secret = self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_hex(32) + "\n")
        lines = [f"  - {{id: {e.id}, name: {e.name}, address: {e.address}, kind: router, region: {e.region}}}"
                 for e in self.elements]
        (self.folder / "inventory.yaml").write_text("elements:\n" + "\n".join(lines) + "\n")
        for server in self.servers:
            server.folder = self.folder / server.name
            server.write_configuration()

    def start_agent(self, element):
        folder = self.folder / element.name
        folder.mkdir()
        (folder / "snmpd.conf").write_text(
            f"agentaddress udp:{element.address}:161\nrocommunity public\nsysName {element.name}\n"
            f"sysLocation {element.region}\nmaster agentx\nagentXSocket unix:{folder}/agentx\n")
        self.spawn(element.namespace, ["snmpd", "-f", "-C", "-c", folder / "snmpd.conf", "-Lf", folder / "snmpd.log",
                                       "-p", folder / "pid", "-I", "-smux"],
                   env={**os.environ, "SNMP_PERSISTENT_DIR": str(folder)})

    def up(self, agents=True, start=True):
        self.write_files()
        self.up_network()
        if agents:
            for element in self.elements:
                self.start_agent(element)
        if start:
            for server in self.servers:
                server.start()
        return self

    # -- talking to it

    def addresses(self, servers=None):
        return ",".join(f"{s.client}:7400" for s in servers or self.servers)

    def bellctl_words(self, *words, servers=None):
        return [self.build / "cp/cli/bellctl", "--server", self.addresses(servers), *words]

    def bellctl(self, *words, servers=None, timeout=20):
        """(exit code, standard output, standard error)."""
        done = subprocess.run(["ip", "netns", "exec", self.client,
                               *[str(w) for w in self.bellctl_words(*words, servers=servers)]],
                              capture_output=True, text=True, timeout=timeout, check=False)
        return done.returncode, done.stdout, done.stderr

    def ask(self, *words, servers=None):
        """The JSON answer of bellctl, or None when there was none."""
        code, out, _ = self.bellctl("--json", *words, servers=servers)
        return json.loads(out) if code in (0, 2) and out.strip() else None

    def server(self, number):
        return next((s for s in self.servers if s.id == number), None)

    def dump_logs(self, to):
        for server in self.servers:
            for program in ("cp", "dp"):
                if server.folder and server.log(program).exists():
                    lines = server.log(program).read_text(errors="replace").splitlines()
                    print(f"--- {server.name} {program}, last lines", *lines[-25:], sep="\n", file=to)

    # -- the end

    def close(self):
        with uninterrupted():
            ours = {p.pid for p in self.spawned if p.poll() is None}
            stop(sorted(ours | pids_inside(self.namespaces)), reap=self.spawned)
            remove(self.namespaces, [self.folder] + [s.segment for s in self.servers])
            self.namespaces, self.spawned = [], []

    def stay(self):
        """Leaves everything as it is and says in a file what there is to stop."""
        state = {"namespaces": self.namespaces,
                 "paths": [str(self.folder)] + [str(s.segment) for s in self.servers]}
        (STATE_FOLDER / f"bellwether-lab-{self.name}.json").write_text(json.dumps(state))


def stop_left(name):
    """Stops a laboratory that stayed. False: there is none of this name."""
    file = STATE_FOLDER / f"bellwether-lab-{name}.json"
    if not file.exists():
        return False
    state = json.loads(file.read_text())
    # A number can have been given to another process since: those in our namespaces are ours.
    stop(sorted(pids_inside(state["namespaces"])))
    remove(state["namespaces"], state["paths"])
    file.unlink()
    return True


def pids_inside(namespaces):
    """Whatever runs in namespaces that we made, we started."""
    found = set()
    for namespace in namespaces:
        done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
        found |= {int(pid) for pid in done.stdout.split()}
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop(pids, reap=()):
    for kind, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for pid in pids:
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                pass
        end = time.monotonic() + seconds
        while any(is_alive(pid) for pid in pids) and time.monotonic() < end:
            for process in reap:
                process.poll()
            time.sleep(0.02)
        pids = [pid for pid in pids if is_alive(pid)]
    for process in reap:
        process.poll()


def remove(namespaces, paths):
    for namespace in namespaces:
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True, check=False)
    for path in (pathlib.Path(p) for p in paths if p):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            for file in path.parent.glob(path.name + "*"):
                file.unlink()


class Interruption:
    """Signals end the program by an exception, through every 'finally', but not in the middle of a step that leaves
    something behind which nobody knows of: then right after it."""
    depth = 0
    pending = None

    @classmethod
    def handle(cls, number, _frame):
        if cls.depth:
            cls.pending = number
        else:
            raise KeyboardInterrupt(signal.Signals(number).name)


@contextlib.contextmanager
def uninterrupted():
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread only
        return
    Interruption.depth += 1
    try:
        yield
    finally:
        Interruption.depth -= 1
    if Interruption.pending and not Interruption.depth:
        number, Interruption.pending = Interruption.pending, None
        raise KeyboardInterrupt(signal.Signals(number).name)


def raise_on_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, Interruption.handle)
