"""What people do with priors: make one, look at those of a folder, find one that fits a campaign."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from flows.plans.lab import Tell, find_lab, labs_in
from flows.plans.ledger import has_ledger, open_store
from flows.report.files import write_atomically
from flows.studies.metatraining.card import card_markdown, record
from flows.studies.metatraining.trust import Case, PriorVerdict, assess, rank
from models.meta_learning.checkpoint import PriorFile, known_priors, load_prior, save_prior
from models.meta_learning.registry import META_LEARNERS, restore_prior
from models.threads import use_threads
from orchestrator.domain.campaign import CampaignFile, load_campaign
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.history import History, observations
from orchestrator.ports import Observation

FOLDER: Final = "priors"
"""Where priors are looked for."""


@dataclass(frozen=True, slots=True)
class MadePrior:
    """A prior that was made and written."""

    prior: PriorFile
    out: Path
    card: Path
    """The page with its model card."""
    seconds: float

    def lines(self) -> Iterator[str]:
        """Say how well it did on tasks left out, and where it lies."""
        for target, facts in self.prior.card["targets"].items():
            for learner in self.prior.learners:
                kept = record(facts["judged"], learner)
                if kept["error"] is not None:
                    error = f"error {kept['error']:.2g} x a fresh GP's (worst task {kept['worst']:.2g}), log score {kept['score']:+.2g}"
                    yield f"{target}: {learner} on {kept['tasks']} tasks left out: {error}"
        yield f"{self.out}: prior {self.prior.name}, sha256 {self.prior.sha256}; card {self.card}; {self.seconds:.1f} s"


def make_prior(file: Path, *, data: Path | None, card: bool, tell: Tell) -> MadePrior:
    """Train and write a prior and its model card; `tell` is told in a line what is being done.

    Raises:
        BadInput: One line that says what is wrong with the file or a source.
    """
    from flows.studies.families import FAMILIES
    from flows.studies.metatraining.spec import load_meta_file
    from flows.studies.metatraining.training import Workshop, train  # loads pymatgen, which looking at priors does not need

    use_threads(1)  # small factorisations: more threads are slower, and results differ with their number
    began = time.monotonic()

    def say(line: str) -> None:
        tell(f"{time.monotonic() - began:7.1f} s  {line}")

    meta = load_meta_file(file, data=data)
    made = train(meta, Workshop(META_LEARNERS, restore_prior, FAMILIES, say, card))
    made = replace(made, sha256=save_prior(meta.out, made))
    page = meta.out.with_suffix(".md")
    write_atomically(page, card_markdown(made))
    return MadePrior(made, meta.out, page, time.monotonic() - began)


def priors_in(folder: Path) -> list[dict[str, Any]]:
    """Describe the priors of a folder; one that cannot be read by its `error`.

    Raises:
        BadInput: No such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"there is no folder {folder}; name one, or make a prior with `athanor meta-train`")
    return [_described(path) for path in known_priors(folder)]


def _described(path: Path) -> dict[str, Any]:
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


def named_prior(prior: str) -> PriorFile:
    """Load a prior by its file, or by its name in ./priors.

    Raises:
        BadInput: No such prior, or none that this Athanor reads.
    """
    named = Path(FOLDER) / f"{prior}.pt"
    return load_prior(named if not Path(prior).is_file() and named.is_file() else Path(prior))


def match_priors(file: Path, priors: Sequence[Path], *, lab: Path | None) -> tuple[PriorVerdict, ...]:
    """Say how far priors, else those of the folders nearby, are to be trusted for a campaign, the best first.

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
    return tuple(rank([assess(path, case, restore_prior) for path in paths]))


def _nearby(campaign: CampaignFile) -> list[Path]:
    folders = dict.fromkeys([campaign.path.parent / FOLDER, Path(FOLDER).resolve()])
    own = [campaign.prior_path] if campaign.prior_path is not None else []
    found = [*own, *(path for folder in folders for path in known_priors(folder))]
    return list({path.resolve(): path for path in found}.values())


def _measured(campaign: CampaignFile, folder: Path | None) -> tuple[Observation, ...]:
    """Return what the campaign has measured so far; nothing where it has no lab yet."""
    beside = campaign.path.parent
    if folder is None and not labs_in(beside):
        return ()
    lab = find_lab(folder, here=beside)
    if not has_ledger(lab):
        return ()
    with open_store(lab, read_only=True) as store:
        if campaign.name not in {record.name for record in store.campaigns()}:
            return ()
        return observations(History.of(store.changes(campaign.name)))
