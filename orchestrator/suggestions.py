"""What a policy says of what it proposes: suggestions, what is expected of them, and why. Plain values, no tensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from orchestrator.domain.records import Prediction

WITHOUT_PRIOR: Final = "without_prior"
"""Among a suggestion's details: target -> what the guard of a prior, which knows no history, expects of the same measurement."""
KEPT: Final = "kept"
"""Among a suggestion's details: `probability` to keep all limits, and `limits`: outcome -> chance to keep its limit."""
FEASIBLE: Final = "feasible"
"""Among a suggestion's details: `probability` to give something to measure, and `spared`: reason -> chance not to meet it."""
CERTAINTY: Final = "certainty"
"""Among a suggestion's details where nothing is best: `sd`, target -> mean standard deviation of the response over all that is allowed, in
the target's unit, and for a level `uncertain`, target -> share of it whose side of the level is not known to 95 %."""
COST: Final = "cost"
"""Among a suggestion's details, where cost counts: its `amount` and a `typical` one in `unit`, and `subtracted`, what that took off the
acquisition value: `share * log(amount / typical)`."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One configuration that a policy asks for."""

    configuration: dict[str, float | str]
    policy: str
    """Name and version of what chose it, for example `sobol/1`."""
    acquisition: float | None = None
    predicted: Mapping[str, Prediction] = field(default_factory=dict)
    """Target -> mean and standard deviation of a new measurement, in the target's unit; empty before there is a model."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Fitted hyperparameters and the like, for people."""
    number: int = 0
    """Counts from 1 what an optimizer has suggested; 0 where nobody counts."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of each numeric column and of each target, where whoever hands it out says them."""

    @override
    def __str__(self) -> str:
        """Write it for people: number, values and expectations, with their units."""
        values = ", ".join(f"{name} {_written(value)} {self.units.get(name, '')}".rstrip() for name, value in self.configuration.items())
        expected = "; ".join(f"{name} {one.shown(self.units.get(name, ''))}" for name, one in self.predicted.items())
        return f"{f'{self.number}: ' if self.number else ''}{values}{f'; expected, with 90 % interval: {expected}' if expected else ''}"


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


@dataclass(frozen=True, slots=True)
class Spread:
    """Of what the uncertainty of a prediction is made; standard deviations, whose squares add up, in the target's unit."""

    epistemic: float
    """What more experiments would take away."""
    aleatoric: float
    """What they would not: the noise of one measurement."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Chances that a new measurement keeps the limits, 0 to 1, its noise included."""

    probability: float
    """To keep all of them."""
    limits: Mapping[str, float]
    """Outcome -> chance to keep its limit."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of the objective of a new measurement, its noise included."""

    mean: float
    low: float
    """Lower end of the central 90 % interval."""
    high: float
    better: float | None
    """Chance that it is above the best complete measurement that counts, 0 to 1, and keeps all limits, or that it joins the front; None
    while there is none."""
    kept: Kept | None = None
    """Chances to keep the limits; None where there are none."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a policy proposes a configuration."""

    players: tuple[str, ...]
    """The parameters."""
    effects: Mapping[str, tuple[float, ...]]
    """Shapley values of the players by what they add up to: `mean TARGET` and `sd TARGET` in the target's unit, `acquisition`."""
    base: Mapping[str, float]
    """What the effects add to: the mean over feasible configurations."""
    exploit: float | None
    """Part of the expected improvement that would be left if the prediction were certain, 0 to 1; the rest is exploration."""
    alternatives: tuple[Suggestion, ...] = ()
    """The best configurations beside the proposed ones, unlike these and each other."""
