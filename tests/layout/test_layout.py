#!/usr/bin/env python3
"""The layout check is green on the tree, and red on each kind of planted breach. TAP on standard output."""
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import check_layout  # noqa: E402

TREE = {
    "dp/meson.build": "dp_modules = ['stats', 'pkt', 'port']",
    "cp/meson.build": "cp_modules = ['election', 'wire', 'cluster']",
    "bpf/steer.c": "", "tests/t.c": "",
    "dp/stats/stats.h": "", "dp/pkt/pkt.h": "", "dp/port/port.h": "", "dp/port/ring.h": "",
    "cp/election/election.h": "", "cp/wire/wire.h": "", "cp/cluster/cluster.h": "",
}
BREACHES = [
    ("dp_that_includes_cp_is_found", "dp/pkt/pkt.c", '#include "cp/wire/wire.h"'),
    ("cp_that_includes_the_fast_path_is_found", "cp/wire/wire.c", '#include "dp/pkt/pkt.h"'),
    ("bpf_that_includes_dp_is_found", "bpf/steer.c", '#include "dp/pkt/pkt.h"'),
    ("dpdk_outside_its_door_is_found", "dp/pkt/pkt.c", "#include <rte_mbuf.h>"),
    ("lmdb_outside_its_door_is_found", "cp/cluster/cluster.c", "#include <lmdb.h>"),
    ("grpc_outside_its_door_is_found", "cp/cluster/cluster.c", "#include <grpc/grpc.h>"),
    ("generated_code_outside_wire_is_found", "cp/cluster/cluster.c", '#include "bellwether.pb-c.h"'),
    ("private_header_used_elsewhere_is_found", "dp/main.c", '#include "dp/port/ring.h"'),
    ("module_that_includes_one_below_it_is_found", "dp/pkt/pkt.c", '#include "dp/port/port.h"'),
    ("clock_in_a_module_that_decides_is_found", "cp/election/election.c", "#include <time.h>"),
    ("vague_file_name_is_found", "dp/port/util.c", ""),
]


def findings_with(path=None, text=""):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, content in {**TREE, **({path: text} if path else {})}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content + "\n")
        return check_layout.check(root)


def main():
    tree = pathlib.Path(sys.argv[1])
    found = check_layout.check(tree)
    results = [("the_tree_keeps_its_own_rules", not found), ("clean_tree_has_no_finding", not findings_with())]
    results += [(name, bool(findings_with(path, text))) for name, path, text in BREACHES]
    print(f"1..{len(results)}")
    for number, (name, is_good) in enumerate(results, 1):
        print(f"{'ok' if is_good else 'not ok'} {number} - {name}")
    for line in found:
        print("# " + line)


if __name__ == "__main__":
    main()
