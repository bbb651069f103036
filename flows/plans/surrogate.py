"""What a campaign's surrogate begins from: nothing, a prior's file, or the bench's twin; what does not fit is one line."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from models.meta_learning.checkpoint import PriorFile, load_prior
from orchestrator.commandline import typed
from orchestrator.domain.campaign import CampaignFile
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

LEAST: Final = 8
"""Configurations of a sample of the space in which a twin must predict something: of fewer no function can be made."""

if TYPE_CHECKING:  # it loads the simulators, which whoever asks and tells has no need of
    from flows.plans.twins.bound import BoundTwin


def mean_of(file: CampaignFile, twin: "BoundTwin | None") -> "BoundTwin | None":
    """Return the twin that the surrogate begins from; None where it begins from something else.

    Raises:
        BadInput: The campaign file asks for a twin, and the bench has none.
    """
    if file.spec.surrogate.mean != "twin":
        return None
    if twin is None:
        where = "no bench carries the campaign out" if file.bench_path is None else f"{file.bench_path.name} declares no [twin]"
        raise BadInput(f'{file.path}: surrogate.mean = "twin": {where}; expected a bench file with [twin]')
    return twin


def refuse_silent(file: CampaignFile, mean: "BoundTwin | None", sample: Sequence[Configuration]) -> None:
    """Refuse a twin that predicts too little of a campaign's space for the surrogate to begin from.

    Args:
        file: The campaign file.
        mean: The twin that the surrogate begins from, if it begins from one.
        sample: Configurations all over the space.

    Raises:
        BadInput: Names of how many configurations something is predicted.
    """
    if mean is None:
        return
    asked = [mean.situation(row) for row in sample]
    there = sum(not isinstance(one, str) for one in mean.twin.predict(asked))
    if there < LEAST:
        raise BadInput(
            f'{file.path}: surrogate.mean = "twin": of {len(sample)} configurations twin {mean.twin.label} predicts {there}; '
            f"expected {LEAST} or more"
        )


def needs_measurements(file: CampaignFile, twin: "BoundTwin | None") -> bool:
    """Say whether every target needs a value before there is a surrogate: a prior needs none, a twin of what it does not predict."""
    if file.prior_path is not None:
        return False
    mean = mean_of(file, twin)
    return mean is None or any(one.name not in mean.outputs for one in file.objective.measured)


def identity_of(prior: PriorFile | None, mean: "BoundTwin | None") -> dict[str, str] | None:
    """Return name, hash and origin of what the surrogate begins from; None where that is nothing."""
    if mean is not None:
        return dict(mean.identity)
    return None if prior is None else {"name": prior.name, "sha256": prior.sha256, "origin": prior.origin}


def bound_hashes(prior: PriorFile | None, mean: "BoundTwin | None") -> Mapping[str, str | None]:
    """Return the hash of what the surrogate begins from, by what people call it."""
    return {"prior": None if prior is None else prior.sha256, "twin": None if mean is None else mean.identity["sha256"]}


def campaign_prior(file: CampaignFile, *, prior_later: bool) -> PriorFile | None:
    """Load the prior that a campaign file names; None where it is missing and may come later.

    Raises:
        BadInput: It is missing, damaged or no prior; names the command that makes it.
    """
    path = file.prior_path
    assert path is not None
    if not path.exists():
        if prior_later:
            return None
        raise BadInput(f"{file.path}: there is no prior {path}; make it with `{typed('meta-train', file.path.parent / 'prior.toml')}`")
    return load_prior(path)
