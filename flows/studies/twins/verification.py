"""Does a revision hold on experiments that it has not seen? Where old and new twin differ most is where an experiment says most.

Judged is by what both said beforehand: the log Bayes factor of the new twin over the old one on the fresh runs, each value normal
about the prediction with the deviation that a run of the campaign has, and whether the new one's misses are such as noise makes
(chi-square). Passed: strong evidence for the new twin and misses like noise; failed: strong evidence against it, or misses that
noise hardly makes; else not enough evidence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from flows.plans.twins.bound import BoundTwin
from flows.plans.twins.table import predicted
from models.twin.terms import STRONG
from orchestrator.domain.lifecycle import ProposalStatus
from orchestrator.domain.records import Proposal
from orchestrator.domain.values import Configuration, digest
from orchestrator.errors import BadInput
from orchestrator.history import History

Verdict = Literal["passed", "failed", "not enough evidence"]
LIKE_NOISE: Final = 0.05
"""Chance of misses as large, from which they count as noise's."""
UNLIKE_NOISE: Final = 0.01
VERIFIES: Final = "verifies "
"""Begins the reason of each proposal that verifies a twin; then come the twin's name and a colon."""
CANDIDATES: Final = 256
"""Legal configurations among which an experiment is chosen: our own choice."""
APART: Final = 0.1
"""Least distance between two of them, in root mean square of coded inputs."""
SURROUNDINGS: Final = 8
"""Runs in whose surroundings candidates are predicted, our own choice: a term of the humidity says nothing at its reference."""


def said_around(bound: BoundTwin, rows: Sequence[Configuration], around: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return what a twin says of configurations in each of some surroundings, k x n x m; NaN where nothing can be measured."""
    different = around if bound.twin.reference else around[:1]
    asked = predicted(bound, [row for _ in different for row in rows], [one for one in different for _ in rows])
    said = asked.reshape(len(different), len(rows), len(bound.outputs))
    return np.broadcast_to(said, (len(around), *said.shape[1:]))


def telling(
    old: NDArray[np.float64], new: NDArray[np.float64], X: NDArray[np.float64], noise: Sequence[float], *, count: int
) -> list[tuple[int, float]]:
    """Choose the configurations in which two twins differ most, apart from each other.

    Args:
        old: What one twin says of legal configurations in some surroundings, k x n x m.
        new: The same of another one.
        X: The configurations, coded, n x d.
        noise: Standard deviation of a run, by quantity; infinite where nobody knows.
        count: How many.

    Returns:
        Place of each, and the difference in standard deviations of a run over all quantities, its root mean square over the
        surroundings; fewer where fewer differ.
    """
    differ = np.sqrt(np.nan_to_num(np.square((new - old) / np.array(noise)).sum(axis=-1).mean(axis=0)))
    chosen = list[tuple[int, float]]()
    for place in np.argsort(-differ):
        apart = all(np.sqrt(np.square(X[place] - X[one]).mean()) >= APART for one, _ in chosen)
        if len(chosen) < count and apart and differ[place] > 0.0:
            chosen.append((int(place), float(differ[place])))
    return chosen


@dataclass(frozen=True)
class Verified:
    """What fresh runs say of a revision."""

    runs: int
    values: int
    log_bayes_factor: float
    """Of the new twin over the old one."""
    chance: float
    """Of misses as large as the new twin's, were they noise."""
    old_error: float
    """Root mean square of the misses in standard deviations of a run."""
    new_error: float

    @property
    def verdict(self) -> Verdict:
        """Say what it amounts to."""
        if not self.values:
            return "not enough evidence"
        if self.log_bayes_factor <= -STRONG or self.chance < UNLIKE_NOISE:
            return "failed"
        return "passed" if self.log_bayes_factor >= STRONG and self.chance >= LIKE_NOISE else "not enough evidence"


def verified(measured: NDArray[np.float64], old: NDArray[np.float64], new: NDArray[np.float64], noise: Sequence[float]) -> Verified:
    """Judge a revision.

    Args:
        measured: Fresh runs, n x m; NaN where a quantity was not measured.
        old: What the old twin says of them; NaN where it says nothing.
        new: The same of the new one.
        noise: Standard deviation of a run about a twin that is right, by quantity; infinite where nobody knows: that says nothing.
    """
    misses = [
        np.where(np.isfinite(measured + old + new + np.array(noise)), (measured - one) / np.array(noise), np.nan) for one in (old, new)
    ]
    told = np.isfinite(misses[0])
    squares = [float(np.square(one[told]).sum()) for one in misses]
    count = int(told.sum())
    sizes = [float(np.sqrt(one / count)) if count else 0.0 for one in squares]
    chance = float(chi2.sf(squares[1], count)) if count else 1.0
    return Verified(int(told.any(axis=1).sum()), count, 0.5 * (squares[0] - squares[1]), chance, *sizes)


def deviations(left: NDArray[np.float64], twin: str) -> list[float]:
    """Return the root mean square of what a twin missed, by quantity; infinite where nothing tells.

    Args:
        left: Measured less predicted values, n x m; NaN where either is missing.
        twin: What a message calls it.

    Raises:
        BadInput: Nothing tells of any quantity, or nothing is missed of one.
    """
    told = np.isfinite(left)
    found = [float(np.sqrt(np.square(one[some]).mean())) if some.any() else np.inf for one, some in zip(left.T, told.T, strict=True)]
    if not told.any():
        raise BadInput(f"no run before those that verify twin {twin} tells how far a run may be off; expected some")
    if 0.0 in found:
        raise BadInput(f"twin {twin} misses nothing before the runs that verify it; expected some that tell how far a run may be off")
    return found


def reason_for(name: str, files: Mapping[str, str], why: str) -> str:
    """Return the reason of a proposal that verifies a revision: by its name, and what its files said."""
    return f"{VERIFIES}{name}: {why}; {_content(files)}"


def verifying_of(proposals: Sequence[Proposal], name: str, files: Mapping[str, str]) -> tuple[list[Proposal], list[Proposal]]:
    """Return the proposals that verify a revision, and those that verify what its files said before somebody changed them.

    A revision that was changed after its experiments may have learned from them.
    """
    found = [one for one in proposals if (one.reason or "").startswith(f"{VERIFIES}{name}: ")]
    same = [one for one in found if (one.reason or "").endswith(f"; {_content(files)}")]
    return same, [one for one in found if one not in same]


def _content(files: Mapping[str, str]) -> str:
    return f"content {digest(dict(files))[:12]}"


def waiting(history: History, proposals: Sequence[Proposal]) -> int:
    """Count the proposals that people or the bench have yet to see to, or whose values are still to come."""
    over = {run.proposal_id for run in history.attempts() if run.status.is_terminal and run.run_key not in history.awaited}
    return sum(one.status in (ProposalStatus.PROPOSED, ProposalStatus.APPROVED) and one.proposal_id not in over for one in proposals)
