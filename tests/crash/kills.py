"""Kills processes under living campaigns at seeded moments, and judges what is left by the plant's own log.

    python -m tests.crash.kills benchmarks/results/kills.json [--kills 300] [--seed 22]

writes the table that `docs/benchmarks/crashes.md` shows, after each sitting.
"""

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from instruments.lab_processes.processes import process_table
from instruments.lab_processes.state_files import HOST
from tests.crash.beds import BEDS, Bed
from tests.crash.campaigns import settle
from tests.crash.oracle import judge
from tests.faults.laboratory import Ended, Laboratory, eventually

SITTING: Final = 25
"""Kills under one campaign."""
LATEST: Final = 1.5
"""Wall s after a sign of progress within which the next kill falls."""
STEP: Final = 2
"""Events of the ledger that are progress."""
BEGUN: Final = 3
"""Events after which a campaign has begun."""


@dataclass
class Sitting:
    """What became of one campaign whose processes were killed."""

    bed: str
    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    """By victim."""
    asked: Counter[str] = field(default_factory=Counter)
    """What a person had to type besides the same command, by command; `again` is the same command after a fault."""
    runs: dict[str, int] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    """What is lost, double or has no end; nothing is."""
    wall_s: float = 0.0


def sit(bed: Bed, laboratory: Laboratory, *, kills: int, seed: int) -> Sitting:
    """Carry a campaign to its end while its processes are killed; judge it."""
    dice, found, began = random.Random(f"{bed.name}-{seed}"), Sitting(bed.name, seed), time.monotonic()
    command, seen = laboratory.dry_run(view=bed.view), BEGUN - STEP
    while found.kills.total() < kills:
        seen = progress(laboratory, beyond=seen + STEP)
        time.sleep(dice.uniform(0.0, LATEST))
        victim = dice.choice(bed.victims)
        row = process_table(laboratory.lab)[victim] if command.poll() is None else None
        if row is not None:
            laboratory.kill(victim)
            found.kills[victim] += 1
        if victim == "campaign" and row is not None:
            command.wait()
            command = laboratory.dry_run(view=bed.view)
        elif command.poll() == 0:
            break
        elif command.poll() is not None:
            obey(laboratory, laboratory.ended(command), found)
            command = laboratory.dry_run(view=bed.view)
    while (ended := laboratory.ended(command)).code != 0:
        obey(laboratory, ended, found)
        command = laboratory.dry_run(view=bed.view)
    verdict = judge(laboratory.lab, laboratory.campaign)
    left = [name for name, row in process_table(laboratory.lab).items() if row is not None and name != "prefect"]
    found.runs = dict(verdict.runs)
    found.complaints = verdict.complaints + tuple(f"{name} is left behind" for name in left)
    found.wall_s = round(time.monotonic() - began, 1)
    return found


def progress(laboratory: Laboratory, *, beyond: int) -> int:
    """Wait until the ledger has so many events, or the command has ended: kills fall into the work and not into its start."""
    command = laboratory.commands[-1]

    def got_on() -> bool:
        begun = (laboratory.lab / HOST).exists() or beyond > BEGUN  # the ledger has its tables long before
        return command.poll() is not None or (begun and laboratory.head()[0] > beyond)

    eventually(got_on, f"{laboratory.lab}: more than {beyond} events")
    return laboratory.head()[0]


def obey(laboratory: Laboratory, ended: Ended, found: Sitting) -> None:
    """Type what a command's last line asks for; a fault that asks for nothing is answered by the same command."""
    assert "Traceback" not in ended.err, ended.err
    line = ended.err.rstrip().splitlines()[-1]
    if ended.code == 3 and "athanor resolve" in line:
        found.asked["resolve"] += 1
        settle(laboratory.lab, line)
    elif ended.code == 3 and "athanor resume" in line:
        found.asked["resume"] += 1
        resumed = laboratory.type("resume", "--by", "operator", "--reason", "looked at the bench")
        assert resumed.code == 0, (line, resumed.err)
    else:
        assert ended.code == 4, (ended.code, ended.err)
        found.asked["again"] += 1
        found.asked[f"again: {line}"] += 1


def sit_in_turn(beds: Sequence[Bed], *, kills: int, seed: int, folder: Path, out: Path | None = None) -> list[Sitting]:
    """Hold sittings on one bed after the other until there were so many kills; keep what was found after each."""
    sittings: list[Sitting] = []
    while (left := kills - sum(one.kills.total() for one in sittings)) > 0:
        number = len(sittings)
        bed, most = beds[number % len(beds)], min(SITTING, left)
        with closing(bed.make(folder / f"lab{number}", most)) as laboratory:
            sittings.append(sit(bed, laboratory, kills=most, seed=seed + number // len(beds)))
        if out is not None:
            out.write_text(json.dumps(document(sittings, wanted=kills, seed=seed), indent=1) + "\n")
    return sittings


def document(sittings: Sequence[Sitting], *, wanted: int, seed: int) -> dict[str, object]:
    """Return what is kept of the sittings."""
    return {"wanted": wanted, "seed": seed, "beds": {bed.name: bed.links for bed in BEDS}, "sittings": [asdict(one) for one in sittings]}


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.kills", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=22)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="athanor-kills-") as folder:
        sittings = sit_in_turn(BEDS, kills=chosen.kills, seed=chosen.seed, folder=Path(folder), out=chosen.out)
    return int(any(one.complaints for one in sittings))


if __name__ == "__main__":
    raise SystemExit(main())
