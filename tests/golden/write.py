"""Writes golden labs: small labs as laboratories have them on disk, by the real code of the day.

    ATHANOR_DATA=DIR python -m tests.golden.write /tmp/golden-labs [LAB ...]

carries campaigns out in labs in a new folder, all or those that are named, and freezes them in `tests/golden/DATE/`, where
`test_golden.py` finds them:

- `desk`: a live lab with many campaigns in one ledger, their people, and a scripted bench in place of the wires (`campaigns.py`);
  a recorded campaign, run by `athanor run`, lies beside them (`recorded`).
- `wired`: `athanor dry-run` with the simulated CdSe bench: spectra, the devices' own bytes, a Gaussian process.
- `killed`: the same, whose campaign process was killed while the bench carried a run out, and whose bench was stopped after
  it: the host's journal has a result that the ledger has not.
- `prior`: a campaign that adapts a meta-trained prior, whose file lies beside it.
- `by_hand`: a real bench of one person: answers to steps (taken, refused, not taken), values that come later, an overdue one,
  corrections, a retraction, and experiments of elsewhere (`by_hand.py`).
- `wanted`: a campaign of each kind of objective, with limits on what comes out, costs, advice of stopping, beliefs and parameters
  that are there only with others (`wanted.py`).

**When:** with each change that makes Athanor write something else than before (a migration, a new event kind or field, other
bytes for the same act), before it is released. **How:** run this command; it makes a folder of that day beside the others.
Nothing in an older folder is ever changed or written over, not even to mend it: it is what laboratories have.

What the store's own methods wrote, since Prefect's page would be needed (`review-run`, `review-asked-again`,
`answer-unreadable`), a failing bench (`incident`) or no command writes it today (a campaign in draft; `accepted`, `retracted`
and `corrected` measurements), stands in `campaigns.by_hand`. Answers of the page go through `Store.answer`, as there. In
`desk`, `wired` and `killed` the snapshot's paths are those of the folder given above, and nothing is read from there any more;
the recorded campaign's table is read from ATHANOR_DATA, or its proposals are not computed again.
In `prior` the snapshot's path is relative (`campaign.toml`), where `run` writes an absolute one: the prior is looked for beside
it, so commands are typed in the lab's folder.

`frozen.json` keeps a digest of each value and which fields values had: one that comes later does not count, one that goes does.
"""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flows.plans.lab import make_lab
from flows.plans.plan import load_plan
from flows.plans.policy import policy_of
from flows.running.actions import Setup, Steps
from models.threads import use_threads
from orchestrator.clock import LiveClock
from orchestrator.errors import AthanorError
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import athanor, quick_campaign
from tests.faults.laboratory import Laboratory, eventually
from tests.flow.test_priors_at_work import Bright, lab_folder, train
from tests.flow.test_steps import Table, carry
from tests.golden.by_hand import write_by_hand
from tests.golden.campaigns import write_all
from tests.golden.desk import take_up
from tests.golden.frozen import HERE, freeze_databases, read, read_after_abort, typed
from tests.golden.wanted import write_wanted

_BAYESIAN = '[policy]\nkind = "bayesian"\ninitial = 3\nrestarts = 1\nraw_samples = 32\nmc_samples = 32\n\n'


def main(folder: Path, names: Sequence[str]) -> None:
    """Write and freeze all labs, or some."""
    use_threads(1)
    today = HERE / datetime.now(UTC).date().isoformat()
    names = names or tuple(_WRITERS)
    if there := [today / name for name in names if (today / name).exists()]:
        raise SystemExit(f"{there[0]} is there; a golden folder is never written over")
    folder.mkdir(parents=True)
    for name in names:
        freeze(_WRITERS[name](folder / name), today / name)


def write_desk(lab: Path) -> Path:
    """Write the lab whose bench is scripted, and a recorded campaign in it."""
    write_all(lab)
    example = Path("examples/recorded/crossed_barrel/campaign.toml").read_text()
    short = example.replace("budget = 30", "budget = 5").replace(
        "initial = 5", "initial = 3\nrestarts = 1\nraw_samples = 32\nmc_samples = 32"
    )
    (lab / "recorded.toml").write_text(short)
    _typed("run", str(lab / "recorded.toml"), "--lab", str(lab), "--no-view")
    return lab


def write_wired(lab: Path) -> Path:
    """Write the lab of a dry run; the campaign's files lie in it."""
    file = quick_campaign(lab.parent / "wired-files", budget=5)
    file.write_text(file.read_text().replace('[policy]\nkind = "sobol"\n\n', _BAYESIAN))
    _typed("dry-run", str(file), "--lab", str(lab), "--rate", "1000", "--no-view")
    for path in file.parent.glob("*.toml"):
        shutil.copy(path, lab)
    return lab


def write_killed(lab: Path) -> Path:
    """Kill the campaign process of a dry run while its second run is in hand; let the bench end it, and stop the bench."""
    laboratory = Laboratory.new(lab.parent / "killed-files", budget=4, rate=300)
    laboratory = replace(laboratory, lab=lab)
    try:
        laboratory.dry_run()
        eventually(lambda: (lab / "ledger.db").exists() and _has_second(laboratory), "the second run")
        laboratory.kill("campaign")
        second = laboratory.runs()[1].run_key
        eventually(lambda: _journal_status(lab, second) == "completed", "the second run's end")
        assert laboratory.type("stop", "--by", "Ada", "--reason", "nobody is here").code == 0
    finally:
        laboratory.close()
    for path in laboratory.file.parent.glob("*.toml"):
        shutil.copy(path, lab)
    return lab


def _has_second(laboratory: Laboratory) -> bool:
    try:
        runs = laboratory.runs()
    except AthanorError:  # there is no campaign yet
        return False
    return len(runs) > 1 and runs[1].status == "running"


def _journal_status(lab: Path, run_key: str) -> str:
    with closing(sqlite3.connect(f"file:{lab / 'journal.sqlite'}?mode=ro", uri=True)) as journal:
        return str(journal.execute("select status from runs where run_key = ?", (run_key,)).fetchone()[0])


def write_prior(lab: Path) -> Path:
    """Write the lab of a campaign that adapts a prior, on a bench in memory."""
    file = lab_folder(lab)
    train(file, seed=0)
    made = make_lab(lab, beside=file, kind="live")
    plan = load_plan(file)
    plan = replace(plan, file=replace(plan.file, path=Path(file.name)))
    with closing(SqlStore.open(made.ledger, create=True)) as store:
        fence = take_up(store, plan)
        spec = plan.file.spec.campaign.evolve(budget=5)
        carry(Steps(Setup(spec, plan.space, plan.objective, policy_of(plan), Table(), Bright(), store, LiveClock(), fence)))
    return lab


def freeze(lab: Path, to: Path) -> None:
    """Freeze a lab: its ledger, the files that belong to it, its exports, and what is read of it today."""
    to.mkdir(parents=True)
    for pattern in ("lab.json", "latched.json", "*.toml", "*.csv", "priors/*"):
        for path in lab.glob(pattern):
            (to / path.relative_to(lab)).parent.mkdir(exist_ok=True)
            shutil.copy(path, to / path.relative_to(lab))
    freeze_databases(lab, to)
    told = read(lab / "ledger.db")
    os.chdir(lab)
    for campaign in told["campaigns"]:
        typed("export", campaign, "--out", str(to / "export" / campaign), "--lab", str(lab))
    told["replays"] = {campaign: _replays(lab, campaign) for campaign in told["campaigns"]}
    if lab.name == "killed":
        with tempfile.TemporaryDirectory() as folder:
            told["after abort"] = read_after_abort(to, Path(folder) / "lab")
    (to / "frozen.json").write_text(json.dumps(told, indent=1) + "\n")


def _replays(lab: Path, campaign: str) -> dict[str, str]:
    """Return, by number, the policy of each proposal that a policy made; each is computed again here, bit for bit."""
    with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
        proposals = [one for one in store.changes(campaign).proposals if one.revision == 1 and one.author is None]
    for one in proposals:
        said = typed("replay", one.proposal_id, "--campaign", campaign, "--lab", str(lab), "--json")
        assert json.loads(said)["identical"], said
    return {str(one.number): one.provenance.policy for one in proposals}


_WRITERS: Final = {
    "desk": write_desk,
    "wired": write_wired,
    "killed": write_killed,
    "prior": write_prior,
    "by_hand": write_by_hand,
    "wanted": write_wanted,
}
"""By name of the lab."""


def _typed(*words: str) -> None:
    ended = athanor(*words)
    assert ended.returncode == 0, ended.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
