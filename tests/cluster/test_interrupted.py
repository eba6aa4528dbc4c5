#!/usr/bin/env python3
"""The main job is interrupted in the middle: nothing that it made is left behind. TAP on standard output.

usage: test_interrupted.py BUILD
"""
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from lab import run, wait_for  # noqa: E402
import tap  # noqa: E402

JOB = pathlib.Path(__file__).parent / "main_job.py"
SECONDS = 30


def namespaces():
    return {line.split()[0] for line in run("ip", "netns", "list").splitlines() if line}


def left_of(name):
    """What is there of a laboratory: namespaces, files, mounts, processes that name it."""
    paths = list(pathlib.Path("/var/tmp").glob(name + "*")) + list(pathlib.Path("/dev/shm").glob(name + "*"))
    processes = [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline") if name in read(p)]
    mounts = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if name in line]
    return [n for n in namespaces() if n.startswith(name)] + paths + processes + mounts


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def interrupt(build, number):
    """Starts the job, interrupts it when its servers run, and gives its laboratory's name."""
    before = namespaces()
    job = subprocess.Popen([sys.executable, JOB, "--build", build], stdout=subprocess.DEVNULL)
    try:
        made = wait_for("its namespaces", SECONDS,
                        lambda: {n for n in namespaces() - before if n.startswith("bw") and n.endswith("-c")})
        name = made.pop()[:-len("-c")]
        wait_for("its servers", SECONDS, lambda: [p for p in pathlib.Path("/proc").glob("[0-9]*/cmdline")
                                                  if "bellwether-cp" in read(p) and name in read(p)])
        job.send_signal(number)
        tap.expect(job.wait(timeout=SECONDS) == 1, "an interrupted job is no success")
    finally:
        job.poll()
        if job.returncode is None:
            job.kill()
    return name


def interrupt_leaves_nothing(build):
    name = interrupt(build, signal.SIGINT)
    tap.expect(not left_of(name), left_of(name))


def termination_leaves_nothing(build):
    name = interrupt(build, signal.SIGTERM)
    tap.expect(not left_of(name), left_of(name))


if __name__ == "__main__":
    sys.exit(tap.run([interrupt_leaves_nothing, termination_leaves_nothing], pathlib.Path(sys.argv[1]).resolve()))
