"""`athanor meta-train` and `athanor priors`: making priors, looking at them, finding one that fits."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from flows.console import console, emit
from flows.plans.lab import Lab, find_lab
from flows.report.export import write_atomically
from flows.studies.metatraining.card import card_markdown, record, summary
from flows.studies.metatraining.trust import Case, assess, rank
from models.meta_learning.checkpoint import PriorFile, known_priors, load_prior, save_prior
from models.meta_learning.registry import META_LEARNERS, restore_prior
from models.threads import use_threads
from orchestrator.domain.campaign import CampaignFile, load_campaign
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.history import History, observations
from orchestrator.ports import Observation
from orchestrator.store.sql import SqlStore

FOLDER: Final = "priors"
"""Where priors are looked for."""


def make_prior(file: Path, *, data: Path | None, card: bool, as_json: bool) -> None:
    """Train and write a prior and its model card.

    Raises:
        BadInput: One line that says what is wrong with the file or a source.
    """
    from flows.studies.families import FAMILIES
    from flows.studies.metatraining.spec import load_meta_file
    from flows.studies.metatraining.training import Workshop, train  # loads pymatgen, which looking at priors does not need

    use_threads(1)  # small factorisations: more threads are slower, and results differ with their number
    began = time.monotonic()

    def say(line: str) -> None:
        if not as_json:
            console.print(f"{time.monotonic() - began:7.1f} s  {line}", markup=False)

    meta = load_meta_file(file, data=data)
    made = train(meta, Workshop(META_LEARNERS, restore_prior, FAMILIES, say, card))
    made = replace(made, sha256=save_prior(meta.out, made))
    page = meta.out.with_suffix(".md")
    write_atomically(page, card_markdown(made))
    seconds = time.monotonic() - began
    if as_json:
        emit({"out": str(meta.out), "card": str(page), "seconds": seconds, **summary(made)})
        return
    for line in _record_lines(made):
        console.print(line, markup=False)
    console.print(f"{meta.out}: prior {made.name}, sha256 {made.sha256}; card {page}; {seconds:.1f} s", markup=False)


def _record_lines(prior: PriorFile) -> list[str]:
    found = []
    for target, facts in prior.card["targets"].items():
        for learner in prior.learners:
            kept = record(facts["judged"], learner)
            if kept["error"] is not None:
                error = f"error {kept['error']:.2g} x a fresh GP's (worst task {kept['worst']:.2g}), log score {kept['score']:+.2g}"
                found.append(f"{target}: {learner} on {kept['tasks']} tasks left out: {error}")
    return found


def list_folder(folder: Path, *, as_json: bool) -> None:
    """Print one line per prior of a folder.

    Raises:
        BadInput: No such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}; name one, or make a prior with `athanor meta-train`")
    rows = [_entry(path) for path in known_priors(folder)]
    if as_json:
        emit(rows)
        return
    for row in rows:
        what = row["error"] or "{name}: {origin}, targets {targets}, learners {learners}, {tasks} tasks, {rows} rows".format(**_joined(row))
        console.print(f"{row['path']}: {what}", markup=False)
    if not rows:
        console.print(f"{folder}: no priors", markup=False)


def _joined(row: dict[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}


def _entry(path: Path) -> dict[str, Any]:
    try:
        prior = load_prior(path)
    except BadInput as error:
        return {"path": str(path), "error": str(error)}
    tasks = {task.name: len(task.Y) for many in prior.tasks.values() for task in many}
    return {
        "path": str(path),
        "error": None,
        "name": prior.name,
        "origin": prior.origin,
        "targets": [*prior.tasks],
        "learners": [*prior.learners],
        "tasks": len(tasks),
        "rows": sum(tasks.values()),
        "sha256": prior.sha256,
    }


def show_card(prior: str, *, as_json: bool) -> None:
    """Print a prior's model card.

    Raises:
        BadInput: No such prior, or none that this Athanor reads.
    """
    named = Path(FOLDER) / f"{prior}.pt"
    found = load_prior(named if not Path(prior).is_file() and named.is_file() else Path(prior))
    if as_json:
        emit(summary(found))
    else:
        console.print(card_markdown(found), markup=False, end="")


def match_campaign(file: Path, priors: Sequence[Path], *, lab: Path | None, as_json: bool) -> None:
    """Print one line per known prior: how far it is to be trusted for a campaign, and why.

    Raises:
        BadInput: No prior is known, or the campaign file is wrong.
    """
    use_threads(1)  # as in training
    campaign = load_campaign(file.resolve())
    paths = [*priors] or _nearby(campaign)
    if not paths:
        raise BadInput(
            f"no prior is known: {campaign.path.parent / FOLDER} has none; give --prior PATH, or make one with `athanor meta-train`"
        )
    case = Case(campaign, SearchSpace(parameters=campaign.spec.parameters), _measured(campaign, lab))
    verdicts = rank([assess(path, case, restore_prior) for path in paths])
    if as_json:
        emit([one.document() for one in verdicts])
        return
    for one in verdicts:
        console.print(one.line, markup=False)


def _nearby(campaign: CampaignFile) -> list[Path]:
    folders = dict.fromkeys([campaign.path.parent / FOLDER, Path(FOLDER).resolve()])
    own = [campaign.prior_path] if campaign.prior_path is not None else []
    found = [*own, *(path for folder in folders for path in known_priors(folder))]
    return list({path.resolve(): path for path in found}.values())


def _measured(campaign: CampaignFile, folder: Path | None) -> tuple[Observation, ...]:
    """Return what the campaign has measured so far; nothing where it has no lab yet."""
    lab = _lab(campaign, folder)
    if lab is None or not lab.ledger.exists():
        return ()
    with closing(SqlStore.open(lab.ledger, read_only=True)) as store:
        if campaign.name not in {record.name for record in store.campaigns()}:
            return ()
        return observations(History.of(store.changes(campaign.name)))


def _lab(campaign: CampaignFile, folder: Path | None) -> Lab | None:
    beside = campaign.path.parent
    there = [name for name in (".athanor", ".athanor-dry") if (beside / name / "lab.json").exists()]
    return find_lab(folder, here=beside) if folder is not None or there else None
