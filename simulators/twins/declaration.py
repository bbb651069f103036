"""What a twin of a chemistry is: a declared thing, with units, constants that somebody may calibrate, and what it predicts.

A twin says of settings what comes of them, or why nothing does. Each of its constants has a unit, a prior and bounds, so that
a campaign's runs may correct it; which channels of the surroundings it knows is declared too: what it does not know may be why
it is wrong.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Final, Literal, get_args

from orchestrator.errors import AthanorError, BadInput
from orchestrator.units import unit

PriorKind = Literal["lognormal", "normal"]
PRIOR_KINDS: Final[tuple[PriorKind, ...]] = get_args(PriorKind)


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a twin."""

    name: str
    unit: str
    value: float
    """Centre of its prior: the median of a log-normal one, the mean of a normal one."""
    sd: float = 0.0
    """Standard deviation of its prior: of the natural logarithm for a log-normal one, in its unit for a normal one."""
    prior: PriorKind = "lognormal"
    low: float = -math.inf
    """Least value at which the formula holds."""
    high: float = math.inf
    calibratable: bool = True
    """Whether runs may correct it; what is known better than any campaign could tell is not."""

    def __post_init__(self) -> None:
        what = f"constant {self.name}"
        _refuse_unknown_unit(self.unit, what)
        if self.prior not in PRIOR_KINDS:
            raise BadInput(f"{what}: prior = {self.prior!r}; expected {' or '.join(PRIOR_KINDS)}")
        if not self.low <= self.value <= self.high or not math.isfinite(self.value):
            raise BadInput(f"{what}: value {self.value:g} {self.unit}; expected {self.low:g} to {self.high:g}")
        if self.prior == "lognormal" and self.value <= 0.0:
            raise BadInput(f"{what}: value {self.value:g} {self.unit} of a log-normal prior; expected a number above 0")
        if not math.isfinite(self.sd) or self.sd < 0.0 or (self.calibratable and self.sd == 0.0):
            raise BadInput(f"{what}: sd = {self.sd:g}; expected a number above 0 for what can be calibrated, else 0 or more")

    def moved(self, sds: float) -> float:
        """Return the value that is so many prior standard deviations from the centre, kept within the bounds."""
        far = self.value * math.exp(sds * self.sd) if self.prior == "lognormal" else self.value + sds * self.sd
        return min(max(far, self.low), self.high)

    def coordinate(self, value: float) -> float:
        """Return where a value lies on the scale on which the prior is normal: its logarithm, or itself."""
        return math.log(value) if self.prior == "lognormal" else value


@dataclass(frozen=True, slots=True)
class Surrounding:
    """A channel of the surroundings that a twin takes into account."""

    name: str
    unit: str
    reference: float
    """In `unit`: what is taken where nobody recorded it."""

    def __post_init__(self) -> None:
        _refuse_unknown_unit(self.unit, f"surrounding {self.name}")


@dataclass(frozen=True, slots=True)
class Situation:
    """What a twin is asked about, in its own names and units."""

    controls: Mapping[str, float]
    constants: Mapping[str, float]
    """A value for every constant."""
    environment: Mapping[str, float]
    """A value for every surrounding that the twin knows."""


Outcome = Mapping[str, float] | str
"""A value for each output in its unit; or, where nothing can be measured, the code of the reason: `no-particles`."""
PredictMany = Callable[[Sequence[Situation]], Sequence[Outcome]]


def each(predict: Callable[[Situation], Outcome]) -> PredictMany:
    """Make of a function of one situation one of many."""
    return lambda situations: [predict(one) for one in situations]


@dataclass(frozen=True)
class Twin:
    """A chemistry that predicts, with all that has to be known of it."""

    name: str
    version: str
    """Another one for any other formula: predictions are kept under name and version."""
    controls: Mapping[str, str]
    """Name -> unit of what is set."""
    outputs: Mapping[str, str]
    """Name -> unit of what is predicted."""
    predict_many: PredictMany
    """A function of the situations alone: no seed, no clock, no noise."""
    constants: tuple[Constant, ...] = ()
    environment: tuple[Surrounding, ...] = ()

    def __post_init__(self) -> None:
        names = [*self.controls, *(one.name for one in self.constants), *(one.name for one in self.environment)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BadInput(f"twin {self.label}: {twice[0]!r} is declared twice among controls, constants and environment")
        if both := sorted(set(self.controls) & set(self.outputs)):
            raise BadInput(f"twin {self.label}: {both[0]!r} is a control and an output; expected another name for what is predicted")
        for name, text in {**self.controls, **self.outputs}.items():
            _refuse_unknown_unit(text, f"twin {self.label}: {name}")

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}/{self.version}"

    @property
    def values(self) -> dict[str, float]:
        """The value of each constant."""
        return {one.name: one.value for one in self.constants}

    @property
    def calibratable(self) -> tuple[Constant, ...]:
        """The constants that runs may correct."""
        return tuple(one for one in self.constants if one.calibratable)

    @property
    def reference(self) -> dict[str, float]:
        """The surroundings as they are taken where nobody recorded them."""
        return {one.name: one.reference for one in self.environment}

    def with_constants(self, changed: Mapping[str, Constant]) -> "Twin":
        """Return the twin with other values, priors or bounds of some constants.

        Raises:
            BadInput: It has no such constant.
        """
        for name in sorted(set(changed) - {one.name for one in self.constants}):
            raise BadInput(f"twin {self.label} has no constant {name!r}; it has {', '.join(self.values) or 'none'}")
        return replace(self, constants=tuple(changed.get(one.name, one) for one in self.constants))

    def predict(self, situations: Sequence[Situation]) -> tuple[Outcome, ...]:
        """Predict, and hold what comes against what was declared.

        Raises:
            BadInput: It fails, gives another number of outcomes, an output that is missing or strange, or a value that is not finite.
        """
        try:
            found = tuple(self.predict_many(situations))
        except AthanorError:
            raise
        except Exception as error:  # other people's code
            raise BadInput(f"twin {self.label} failed at {len(situations)} situations: {type(error).__name__}: {error}") from error
        if len(found) != len(situations):
            raise BadInput(f"twin {self.label}: {len(found)} outcomes of {len(situations)} situations; expected one of each")
        for situation, one in zip(situations, found, strict=True):
            self._check(situation, one)
        return found

    def _check(self, situation: Situation, outcome: Outcome) -> None:
        if isinstance(outcome, str):
            if not outcome:
                raise BadInput(f"twin {self.label} gave an empty reason; expected a code like 'no-particles'")
            return
        if not isinstance(outcome, Mapping):
            raise BadInput(f"twin {self.label} gave {outcome!r:.80}; expected a value for each output, or a reason")
        if strange := sorted(set(outcome) ^ set(self.outputs)):
            came = "is missing" if strange[0] in self.outputs else "is not declared"
            raise BadInput(f"twin {self.label}: output {strange[0]!r} {came}; declared: {', '.join(self.outputs)}")
        for name, value in outcome.items():
            if not isinstance(value, Real) or not math.isfinite(value):
                at = ", ".join(
                    f"{control} {number:.6g} {self.controls[control]}".rstrip() for control, number in situation.controls.items()
                )
                expected = f"expected a finite number in {self.outputs[name] or '1'}, or a reason"
                raise BadInput(f"twin {self.label}: {name} = {value!r}; {expected} (at {at})")


def _refuse_unknown_unit(text: str, what: str) -> None:
    try:
        unit(text)
    except BadInput as error:
        raise BadInput(f"{what}: {error}") from error
