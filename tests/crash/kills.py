"""Kills processes under living campaigns at seeded moments, and judges what is left by what the plant, the calls or the chemist noted.

    python -m tests.crash.kills benchmarks/results/kills.json [--kills 300] [--seed 22] [--beds unwired]

writes the table that `docs/benchmarks/crashes.md` shows, after each sitting; it goes on where an earlier call has ended.
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
from typing import Any, Final

from instruments.lab_processes.processes import process_table
from instruments.lab_processes.state_files import HOST
from tests import commands
from tests.crash.beds import GROUPS, Bed, Victims
from tests.crash.campaigns import settle
from tests.faults.laboratory import Ended, Laboratory, Typed, eventually

SITTING: Final = 15
"""Kills under one campaign."""
LATEST: Final = 1.0
"""Wall s after a sign of progress within which the next kill falls."""
STEP: Final = 2
"""Events of the ledger that are progress."""
BEGUN: Final = 3
"""Events after which a campaign has begun."""
PATIENCE: Final = 300.0
"""Wall s for the next progress, on a machine that others use as well."""


@dataclass
class Sitting:
    """What became of one campaign whose processes were killed."""

    bed: str
    seed: int
    kills: dict[str, int] = field(default_factory=dict)
    """By victim."""
    asked: dict[str, int] = field(default_factory=dict)
    """What a person had to type besides the same command, by command; `again` is the same command after a fault."""
    faults: list[str] = field(default_factory=list)
    """The last lines of commands that ended by a fault."""
    runs: dict[str, int] = field(default_factory=dict)
    """Attempts by status."""
    complaints: tuple[str, ...] = ()
    """What is lost, double or has no end; nothing is."""
    wall_s: float = 0.0

    @property
    def struck(self) -> int:
        """How many processes were killed."""
        return sum(self.kills.values())


def sit(bed: Bed, laboratory: Laboratory, *, kills: int, seed: int) -> Sitting:
    """Carry a campaign to its end while its processes are killed; judge it."""
    dice, found, began = random.Random(f"{bed.name}-{seed}"), Sitting(bed.name, seed), time.monotonic()
    command, seen = begin(bed, laboratory), BEGUN - STEP
    with bed.company(laboratory, seed) as others:
        while found.struck < kills and command.poll() != 0:
            seen = progress(laboratory, command, beyond=seen + STEP)
            time.sleep(dice.uniform(0.0, LATEST))
            strike(laboratory, command, dice.choice(bed.victims), found, others)
            command = gone_on(laboratory, command, bed, found)
        while command.wait() != 0:
            command = gone_on(laboratory, command, bed, found)
    verdict = bed.judge(laboratory)
    left = [name for name, row in process_table(laboratory.lab).items() if row is not None and name != "prefect"]
    found.runs = dict(verdict.runs)
    found.complaints = verdict.complaints + tuple(f"{name} is left behind" for name in left)
    found.wall_s = round(time.monotonic() - began, 1)
    return found


def begin(bed: Bed, laboratory: Laboratory) -> Typed:
    """Type the command of a lab's campaign."""
    return laboratory.dry_run(view="--view" if bed.view else "--no-view")


def strike(laboratory: Laboratory, command: Typed, victim: str, found: Sitting, others: Victims) -> None:
    """Kill a process of a campaign that is being carried on; one that has gone meanwhile is not counted."""
    if command.poll() is not None:
        return
    if victim in others:
        if (process := others[victim]()) is None or not process.kill():
            return
    elif process_table(laboratory.lab)[victim] is None:
        return
    else:
        laboratory.kill(victim)
    found.kills[victim] = found.kills.get(victim, 0) + 1
    if victim == "campaign":
        command.wait()


def gone_on(laboratory: Laboratory, command: Typed, bed: Bed, found: Sitting) -> Typed:
    """Return the campaign's process, another one where it was killed or has asked for a person."""
    code = command.poll()
    if code in (None, 0):
        return command
    if code > 0:
        obey(bed, laboratory, laboratory.ended(command), found)
    return begin(bed, laboratory)


def progress(laboratory: Laboratory, command: Typed, *, beyond: int) -> int:
    """Wait until the ledger has so many events, or the command has ended: kills fall into the work and not into its start."""

    def got_on() -> bool:
        begun = (laboratory.lab / HOST).exists() or beyond > BEGUN  # the ledger has its tables long before
        return command.poll() is not None or (begun and laboratory.head()[0] > beyond)

    eventually(got_on, f"{laboratory.lab}: more than {beyond} events", within=PATIENCE)
    return laboratory.head()[0]


def obey(bed: Bed, laboratory: Laboratory, ended: Ended, found: Sitting) -> None:
    """Type what a command's last line asks for; a fault that asks for nothing is answered by the same command."""
    assert "Traceback" not in ended.err, ended.err
    line = ended.err.rstrip().splitlines()[-1]
    asked = "resolve" if "athanor resolve" in line else "resume" if "athanor resume" in line else "again"
    found.asked[asked] = found.asked.get(asked, 0) + 1
    if asked == "again":
        assert ended.code == 4, (ended.code, ended.err)
        found.faults.append(line)
        return
    assert ended.code in (3, 4), (ended.code, ended.err)  # 4: the supervisor died under the end of the campaign
    if asked == "resolve":
        settle(laboratory.lab, line, lambda _, run_key: bed.look(laboratory, run_key))
        return
    resumed = laboratory.type("resume", "--by", "operator", "--reason", "looked at the bench")
    assert resumed.code == 0, (line, resumed.err)


def sit_in_turn(
    beds: Sequence[Bed], *, kills: int, seed: int, folder: Path, before: Sequence[Sitting] = (), out: Path | None = None
) -> list[Sitting]:
    """Hold sittings, each on the bed that has had the fewest, until there were so many kills; keep what was found after each."""
    sittings = list(before)
    while (left := kills - sum(one.struck for one in sittings)) > 0:
        held = Counter(one.bed for one in sittings)
        bed, most = min(beds, key=lambda one: held[one.name]), min(SITTING, left)
        with closing(bed.make(folder / f"lab{len(sittings)}", most)) as laboratory:
            sittings.append(sit(bed, laboratory, kills=most, seed=seed + held[bed.name]))
        if out is not None:
            out.write_text(json.dumps(document(beds, sittings, wanted=kills, seed=seed), indent=1) + "\n")
    return sittings


def document(beds: Sequence[Bed], sittings: Sequence[Sitting], *, wanted: int, seed: int) -> dict[str, Any]:
    """Return what is kept of the sittings."""
    return {"wanted": wanted, "seed": seed, "beds": {bed.name: bed.links for bed in beds}, "sittings": [asdict(one) for one in sittings]}


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.kills", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=22)
    parser.add_argument("--beds", choices=GROUPS, default="wired")
    chosen = parser.parse_args()
    kept = json.loads(chosen.out.read_text()) if chosen.out.exists() else {"seed": chosen.seed, "sittings": []}
    before = [Sitting(**one) for one in kept["sittings"] if kept["seed"] == chosen.seed]
    with tempfile.TemporaryDirectory(prefix="athanor-kills-") as folder:
        sittings = sit_in_turn(
            GROUPS[chosen.beds], kills=chosen.kills, seed=chosen.seed, folder=Path(folder), before=before, out=chosen.out
        )
    commands.leave()
    return int(any(one.complaints for one in sittings))


if __name__ == "__main__":
    raise SystemExit(main())
