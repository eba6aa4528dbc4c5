#!/usr/bin/env python3
"""Holds the tree against its own rules: who may include whom, and where foreign libraries are let in.

usage: check_layout.py ROOT

Prints one line a finding, FILE:LINE: TEXT, and exits 1 when there is one.
"""
import pathlib
import re
import sys

# A foreign library's headers, and the only folders whose files may include them.
DOORS = [
    ("DPDK", re.compile(r"^rte_"), ["dp/eal", "dp/port", "dp/worker", "tests/unit/dp"]),
    ("libbpf", re.compile(r"^(bpf/(libbpf|bpf|btf|bpf_helpers|bpf_endian)\.h|xdp/)"), ["bpf", "tests/bpf"]),
    ("LMDB", re.compile(r"^lmdb\.h"), ["cp/store"]),
    ("gRPC", re.compile(r"^grpc/"), ["cp/rpc"]),
    ("protobuf-c", re.compile(r"(\.pb-c\.h|^protobuf-c/)"), ["cp/wire", "tests"]),
    ("libcyaml and libyaml", re.compile(r"^(cyaml/|yaml\.h)"), ["dp/conf"]),
    ("libsodium", re.compile(r"^sodium"), ["dp/seal", "tests/unit/dp"]),
    ("libsmartcols", re.compile(r"^libsmartcols"), ["cp/cli"]),
    ("jansson", re.compile(r"^jansson"), ["cp/cli", "tests"]),
    ("net-snmp", re.compile(r"^net-snmp/"), ["tests"]),
    ("libuv", re.compile(r"^uv\.h"), ["cp", "tests"]),
    ("cmocka", re.compile(r"^cmocka"), ["tests"]),
]
# Modules that decide: no clock, socket, disk, thread or allocation can be reached from them.
PURE = ["cp/election", "cp/detector", "cp/ownership", "dp/stats"]
PURE_MAY = {"assert.h", "errno.h", "inttypes.h", "limits.h", "math.h", "stdbool.h", "stddef.h", "stdint.h",
            "stdlib.h", "string.h"}
# What the control plane may use of the data plane: plain C, no DPDK.
CP_MAY_USE = ["dp/seal", "dp/stats", "dp/conf", "dp/fedmem"]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
VAGUE = re.compile(r"(^|/)(util|utils|common|misc|helper|helpers)(\.[ch]|/|$)")


def module_order(root, plane):
    text = (root / plane / "meson.build").read_text()
    listed = re.search(plane + r"_modules = \[(.*?)\]", text, re.S)
    return [plane + "/" + name for name in re.findall(r"'([^']+)'", listed.group(1))]


def folder_of(path):
    return path.rsplit("/", 1)[0] if "/" in path else ""


def is_under(path, place):
    return path == place or path.startswith(place + "/")


def check_foreign(path, header):
    for name, pattern, places in DOORS:
        if pattern.search(header) and not any(is_under(path, place) for place in places):
            yield f"{header}: {name} is let in only at {', '.join(places)}"


def check_own(path, header, orders):
    here, there = folder_of(path), folder_of(header)
    plane, other = path.split("/")[0], header.split("/")[0]
    if plane in ("dp", "bpf") and other == "cp":
        yield f"{header}: {plane} never includes cp"
    if plane == "bpf" and other == "dp":
        yield f"{header}: bpf includes nothing of dp"
    if plane == "cp" and other == "dp" and there not in CP_MAY_USE:
        yield f"{header}: cp may use only {', '.join(CP_MAY_USE)} of dp"
    if plane == "cp" and other == "bpf":
        yield f"{header}: cp includes nothing of bpf"
    if here == there or plane == "tests":
        return
    name = there.rsplit("/", 1)[-1]
    if other != "bpf" and header.rsplit("/", 1)[-1] != name + ".h":
        yield f"{header}: private to {there}"
    order = orders.get(plane)
    if order and here in order and there in order and order.index(there) > order.index(here):
        yield f"{header}: {there} stands below {here} in {plane}/meson.build"


def check_file(root, path, orders):
    for number, line in enumerate((root / path).read_text(errors="replace").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        is_own, header = match.group(1) == '"', match.group(2)
        findings = list(check_foreign(path, header))
        if is_own and header.split("/")[0] in ("dp", "cp", "bpf"):
            findings += check_own(path, header, orders)
        if any(is_under(path, pure) for pure in PURE) and not is_own and header not in PURE_MAY:
            findings.append(f"{header}: {folder_of(path)} decides, and touches nothing of the outside")
        for finding in findings:
            yield f"{path}:{number}: {finding}"


def check(root):
    root = pathlib.Path(root)
    orders = {plane: module_order(root, plane) for plane in ("dp", "cp")}
    findings = []
    for top in ("dp", "cp", "bpf", "tests"):
        for file in sorted((root / top).rglob("*.[ch]")):
            path = file.relative_to(root).as_posix()
            if VAGUE.search(path):
                findings.append(f"{path}:1: a name that refuses nothing")
            findings += check_file(root, path, orders)
    for plane, order in orders.items():
        for module in order:
            if not (root / module / (module.rsplit("/", 1)[-1] + ".h")).exists():
                if any((root / module).glob("*.h")):
                    findings.append(f"{module}:1: has no public header of its own name")
    return findings


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = check(sys.argv[1])
    print("\n".join(found) if found else "no finding")
    sys.exit(1 if found else 0)
