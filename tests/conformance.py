#!/usr/bin/env python3
"""Runs the conformance suite and compares it with what is known to fail.

    tests/conformance.py [--rbc PROGRAM] [--suite DIR] [--known FILE]
                         [--filter SUBSTR]... [--jobs N] [--update]

The suite is a directory with run.py and cases/, from --suite, from
$RBC_CONFORMANCE, or beside this repository (../shared/conformance). A case
that fails and is not listed is a regression; one that is listed and passes
has to be taken off the list. Either makes the exit status 1. Without a suite
nothing is run, which is said, and the exit status is 77.

--update rewrites the list from what was seen (with --filter: for those cases).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED = 77


def read_known(path):
    """Lines `area/name  # why`, and the comment lines before the first."""
    known, head = {}, []
    with open(path, encoding="utf-8") as f:
        for line in f.read().splitlines():
            case, _, why = line.partition("#")
            if case.strip():
                known[case.strip()] = why.strip()
            elif not known:
                head.append(line)
    return known, head


def write_known(path, known, head):
    with open(path, "w", encoding="utf-8") as f:
        for line in head:
            f.write(line + "\n")
        width = max(map(len, known), default=0)
        for case, why in sorted(known.items()):
            f.write(f"{case:{width}}  # {why}".rstrip(" #") + "\n")


def reason(case):
    problems = [" ".join(p.split()) for p in case["problems"]]
    text = problems[0] if problems else ""
    return text if len(text) <= 120 else text[:117] + "..."


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--rbc", default=os.environ.get("RBC_BIN") or
                   os.path.join(TOP, "target/release/rbc"))
    p.add_argument("--suite", default=os.environ.get("RBC_CONFORMANCE") or
                   os.path.join(TOP, "../shared/conformance"))
    p.add_argument("--known", default=os.path.join(
        TOP, "tests/conformance-known-failures.txt"))
    p.add_argument("--filter", action="append", default=[])
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--update", action="store_true")
    p.add_argument("--verbose", action="store_true",
                   help="show why cases fail, known ones too")
    a = p.parse_args()
    runner = os.path.join(a.suite, "run.py")
    if not os.path.isfile(runner):
        print(f"conformance: SKIPPED: there is no suite at {a.suite}\n"
              "conformance: set RBC_CONFORMANCE to the directory with run.py")
        return SKIPPED
    known, head = read_known(a.known)

    with tempfile.TemporaryDirectory(prefix="rbc-conformance-") as tmp:
        report = os.path.join(tmp, "report.json")
        cmd = [sys.executable, runner, "--rbc", os.path.abspath(a.rbc),
               "--report", report, "--jobs", str(a.jobs)]
        for f in a.filter:
            cmd += ["--filter", f]
        log = None if a.verbose else subprocess.PIPE
        r = subprocess.run(cmd, stdout=log, stderr=subprocess.STDOUT)
        if not os.path.exists(report):
            print((r.stdout or b"").decode("utf-8", "replace")[-4000:])
            print(f"conformance: {runner} ended with {r.returncode} and left no report")
            return 1
        with open(report, encoding="utf-8") as f:
            cases = json.load(f)["cases"]

    seen = {c["case"]: c for c in cases}
    failed = {n for n, c in seen.items() if c["status"] == "failed"}
    passed = {n for n, c in seen.items() if c["status"] == "passed"}
    regressions = sorted(failed - known.keys())
    fixed = sorted(passed & known.keys())
    gone = [] if a.filter else sorted(known.keys() - seen.keys())

    print(f"{'area':14}{'passed':>8}{'failed':>8}{'known':>8}{'skipped':>9}{'s':>8}")
    for area in sorted({c["area"] for c in cases}):
        rows = [c for c in cases if c["area"] == area]
        n = {s: sum(c["status"] == s for c in rows)
             for s in ("passed", "failed", "skipped")}
        k = sum(c["case"] in known and c["status"] == "failed" for c in rows)
        print(f"{area:14}{n['passed']:8}{n['failed']:8}{k:8}{n['skipped']:9}"
              f"{sum(c['seconds'] for c in rows):8.1f}")
    for case in cases:
        if case["status"] == "skipped":
            print(f"SKIPPED {case['case']}: {'; '.join(case['problems'])}")
    for name in regressions:
        print(f"FAILED {name}")
        for line in seen[name]["problems"][:8]:
            print("    " + line.replace("\n", "\n    "))
    if a.update:
        for name in fixed + gone:
            del known[name]
        known |= {n: known.get(n) or reason(seen[n]) for n in failed}
        write_known(a.known, known, head)
        print(f"{a.known}: {len(known)} cases")
        regressions, fixed, gone = [], [], []
    for name in fixed:
        print(f"PASSES BUT IS LISTED {name}: take it off {os.path.relpath(a.known, TOP)}")
    for name in gone:
        print(f"LISTED BUT UNKNOWN {name}: take it off {os.path.relpath(a.known, TOP)}")
    print(f"conformance: {len(failed & known.keys())} of the failures are known, "
          f"{len(regressions)} are not, {len(fixed) + len(gone)} lines of the list are stale")
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 1 if regressions or fixed or gone or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
