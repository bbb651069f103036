"""When another experiment is no longer worth it: what a campaign file asks, and what a model says of it."""

from typing import Annotated, Final, Literal

from pydantic import Field

from orchestrator.domain.values import Frozen
from orchestrator.domain.written import Number

RULE: Final = "stopping rule"
"""With this begins why a campaign ended that its stopping rule has ended."""


class Advice(Frozen):
    """What the model expects of further experiments; all of it concerns the objective without noise, over all that may be proposed.

    What is taken out of the search for some batches only may be proposed later, and counts. The best so far is the best
    of the measured configurations as the model sees them, not the largest value that noise has given.
    """

    improvement: float
    """Improvement that is worth another experiment."""
    chance: float
    """Chance, 0 to 1, that the best next experiment improves on the best so far by more than that: that anything does."""
    expected: float
    """Expected distance from the best so far to the best that there is."""
    low: float
    """Lower end of the shortest interval that holds that distance with a chance of 80 %."""
    high: float
    """Upper end of the same."""
    measured: int
    """Of how many measured configurations it is said."""

    @property
    def line(self) -> str:
        """Say it to people."""
        return (
            f"the best next experiment improves by more than {self.improvement:g} with a chance of {written_chance(self.chance)}; "
            f"expected remaining improvement {self.expected:.2g} [80 %: {self.low:.2g} to {self.high:.2g}]"
        )


class StopSpec(Frozen):
    """When a campaign has found what there is to find; without the table nothing is computed."""

    improvement: Annotated[Number, Field(gt=0)] = 0.01
    """Improvement of the objective that is worth another experiment: of the score that reports show, 0 to 1 where targets are
    combined, else in the target's unit."""
    probability: Annotated[Number, Field(gt=0, lt=1)] = 0.05
    """The rule holds while the chance that the best next experiment improves by more than that is below it."""
    action: Literal["advise", "finish"] = "advise"
    """`advise` tells people and goes on; `finish` proposes nothing more while the rule holds, lets open runs end and values come,
    and then finishes the campaign."""

    @property
    def line(self) -> str:
        """Say it to people."""
        verb = "finish" if self.action == "finish" else "say so"
        return f"{verb} once an improvement by more than {self.improvement:g} has a chance below {written_chance(self.probability)}"

    def holds(self, advice: Advice | None) -> bool:
        """Say whether the rule holds; advice for another improvement is none."""
        return advice is not None and advice.improvement == self.improvement and advice.chance < self.probability

    def finishes(self, advice: Advice | None) -> bool:
        """Say whether nothing more is to be proposed."""
        return self.action == "finish" and self.holds(advice)


def written_chance(chance: float) -> str:
    """Write a chance for people."""
    return "less than 0.1 %" if chance < 0.001 else f"{100 * chance:.2g} %"
