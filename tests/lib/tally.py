#!/usr/bin/env python3
"""Adds up results: JUnit files as Meson writes them, and TAP files. Names what failed and what was skipped, and
why; the last line is "N passed, N failed, N skipped". Exit 0 when nothing failed and something passed.

usage: tally.py FOLDER
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

TAP = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(\w+)\s*(.*))?")


def read_junit(file):
    """(result, name, why) of each test case."""
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        for case in suite.iter("testcase"):
            name = f"{suite.get('name')}: {case.get('name')}"
            if case.find("failure") is not None or case.find("error") is not None:
                yield "failed", name, ""
            elif case.find("skipped") is not None:
                yield "skipped", name, case.find("skipped").get("message") or "see the test's own output"
            else:
                yield "passed", name, ""


def read_tap(file):
    for line in file.read_text(errors="replace").splitlines():
        match = TAP.match(line)
        if not match:
            continue
        name = f"{file.stem}: {match.group(2).strip()}"
        if match.group(1):
            yield "failed", name, ""
        elif (match.group(3) or "").upper() == "SKIP":
            yield "skipped", name, match.group(4)
        else:
            yield "passed", name, ""


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    results = [r for file in sorted(folder.glob("*.xml")) for r in read_junit(file)]
    results += [r for file in sorted(folder.glob("*.tap")) for r in read_tap(file)]
    count = {kind: sum(r[0] == kind for r in results) for kind in ("passed", "failed", "skipped")}
    for kind, name, why in results:
        if kind != "passed":
            print(f"{kind}: {name}{': ' + why if why else ''}")
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
