"""Packaged peers on our cases, in an environment of their own: `.venv-peers/bin/python -m benchmarks.peers.reference CASES.json OUT.json`.

Rows that are there are not computed again. Seeds are the outer loop, so that what is there at any moment is paired;
within a seed the quicker peer comes first.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers.ax_peer import AX
from benchmarks.peers.baybe_peer import BAYBE
from benchmarks.peers.replaying import Case, Entrant, Kept, replay

ENTRANTS: Final = (BAYBE, AX)


def run(cases: Sequence[Case], kept: Kept, entrants: Sequence[Entrant]) -> int:
    """Compute the rows that are missing; return how many failed, each of which says so."""
    failed = 0
    for number, entrant, case in itertools.product(range(max(len(case["seeds"]) for case in cases)), entrants, cases):
        draw = case["seeds"][number]
        if kept.holds(entrant, case, draw["seed"]):
            continue
        began, what = time.perf_counter(), f"{entrant.name} {case['task']} leave {case['leave']} seed {draw['seed']}"
        try:
            row = replay(entrant, case, draw)
        except Exception as error:  # the outermost edge: one row that a package cannot give must not cost the others
            failed += 1
            print(f"{what}: no row ({type(error).__name__}: {error})", file=sys.stderr, flush=True)
            continue
        kept.add(row)
        print(f"{what}: {row['regret_area']:.4f}, {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 1 where a row is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.reference", description=__doc__)
    parser.add_argument("cases", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--peers", default=",".join(one.name for one in ENTRANTS), help="which, separated by commas")
    options = parser.parse_args(arguments)
    wanted = options.peers.split(",")
    if unknown := set(wanted) - {one.name for one in ENTRANTS}:
        parser.error(f"peer {min(unknown)!r} is unknown; known: {', '.join(one.name for one in ENTRANTS)}")
    cases = json.loads(options.cases.read_text(encoding="utf-8"))["cases"]
    failed = run(cases, Kept.open(options.out), [one for one in ENTRANTS if one.name in wanted])
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
