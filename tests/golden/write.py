"""Writes golden labs: small labs as laboratories have them on disk, by the real code of the day.

    ATHANOR_DATA=DIR python -m tests.golden.write /tmp/golden-labs

carries campaigns out in three labs in a new folder and freezes them in `tests/golden/DATE/`, where `test_golden.py` finds them:

- `desk`: a live lab with many campaigns in one ledger, their people, and a scripted bench in place of the wires (`campaigns.py`);
  a recorded campaign, run by `athanor run`, lies beside them (`recorded`).
- `wired`: `athanor dry-run` with the simulated CdSe bench: spectra, the devices' own bytes, a Gaussian process.
- `prior`: a campaign that adapts a meta-trained prior, whose file lies beside it.

**When:** with each change that makes Athanor write something else than before (a migration, a new event kind or field, other
bytes for the same act), before it is released. **How:** run this command; it makes a folder of that day beside the others.
Nothing in an older folder is ever changed or written over, not even to mend it: it is what laboratories have.

What the store's own methods wrote, since Prefect's page would be needed (`review-run`, `review-asked-again`,
`answer-unreadable`), a failing bench (`incident`) or no command writes it today (a campaign in draft; `accepted`, `retracted`
and `corrected` measurements), stands in `campaigns.by_hand`. Answers of the page go through `Store.answer`, as there. In
`desk` the snapshot's paths are those of the folder given above; nothing is read from there any more, but for the table of
the recorded campaign. In `prior` the snapshot's path is relative (`campaign.toml`), where `run` writes an absolute one: the
prior is looked for beside it, so commands are typed in the lab's folder.
"""

import json
import os
import shutil
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import CliRunner

from flows.cli.main import app
from flows.plans.lab import make_lab
from flows.plans.plan import load_plan
from flows.running.actions import Setup, Steps
from models.threads import use_threads
from orchestrator.clock import LiveClock
from orchestrator.store.sql import SqlStore
from tests.crash.campaigns import athanor, quick_campaign
from tests.flow.test_priors_at_work import Bright, lab_folder, train
from tests.flow.test_steps import Table, carry
from tests.golden.campaigns import write_all
from tests.golden.desk import take_up
from tests.golden.frozen import HERE, freeze_ledger, read

_BAYESIAN = '[policy]\nkind = "bayesian"\ninitial = 3\nrestarts = 1\nraw_samples = 32\nmc_samples = 32\n\n'


def main(folder: Path) -> None:
    """Write and freeze all labs."""
    use_threads(1)
    today = HERE / datetime.now(UTC).date().isoformat()
    if today.exists():
        raise SystemExit(f"{today} is there; a golden folder is never written over")
    folder.mkdir(parents=True)
    for lab in (write_desk(folder / "desk"), write_wired(folder / "wired"), write_prior(folder / "prior")):
        freeze(lab, today / lab.name)


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
        carry(Steps(Setup(spec, plan.space, plan.objective, plan.policy, Table(), Bright(), store, LiveClock(), fence)))
    return lab


def freeze(lab: Path, to: Path) -> None:
    """Freeze a lab: its ledger, the files that belong to it, its exports, and what is read of it today."""
    to.mkdir(parents=True)
    for pattern in ("lab.json", "*.toml", "*.csv", "priors/*"):
        for path in lab.glob(pattern):
            (to / path.relative_to(lab)).parent.mkdir(exist_ok=True)
            shutil.copy(path, to / path.relative_to(lab))
    freeze_ledger(lab / "ledger.db", to)
    told = read(lab / "ledger.db")
    os.chdir(lab)
    for campaign in told["campaigns"]:
        _typed_here("export", campaign, "--out", str(to / "export" / campaign), "--lab", str(lab))
    told["replays"] = {campaign: _replays(lab, campaign) for campaign in told["campaigns"]}
    (to / "frozen.json").write_text(json.dumps(told, indent=1) + "\n")


def _replays(lab: Path, campaign: str) -> dict[str, str]:
    """Return, by number, the policy of each proposal that a policy made; each is computed again here, bit for bit."""
    with closing(SqlStore.open(lab / "ledger.db", read_only=True)) as store:
        proposals = [one for one in store.changes(campaign).proposals if one.revision == 1 and one.author is None]
    for one in proposals:
        said = _typed_here("replay", one.proposal_id, "--campaign", campaign, "--lab", str(lab), "--json")
        assert json.loads(said)["identical"], said
    return {str(one.number): one.provenance.policy for one in proposals}


def _typed_here(*words: str) -> str:
    said = CliRunner().invoke(app, list(words))
    assert said.exit_code == 0, f"{words}: {said.output}{said.exception!r}"
    return said.output


def _typed(*words: str) -> None:
    ended = athanor(*words)
    assert ended.returncode == 0, ended.stderr


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
