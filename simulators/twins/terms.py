"""What a twin may lack: terms of a library, each with a strength that is zero where it does nothing.

A term makes of a twin another one with one constant more, its strength. So whatever calibrates constants ranks terms too, and a
revision of a twin may carry them. Each acts on one thing:

- an output is multiplied by exp(-strength * g): a gain that is off, a quench, a loss by oxidation or adsorption, ageing, bleaching;
- a control differs from its setting: a temperature by strength * g degrees, anything else by the factor exp(strength * g): an oven's
  offset, a coil that fouls, a stock that evaporates, a pump that runs slow.

g is a dimensionless shape of a channel of the surroundings, zero at its reference [shapes in `SHAPES`], the lab days since the first
run, or one. To first order these are the published laws: quenching 1/(1 + K q) [Stern1919], rates exp(-E/RT) [Arrhenius1889], power
laws of humidity [Peck1986], occupied sites q/(K + q) [Langmuir1918]; an oxidation that begins at a threshold is a hinge.

[Stern1919]: O. Stern, M. Volmer, Phys. Z. 20, 183 (1919).
[Arrhenius1889]: S. Arrhenius, Z. Phys. Chem. 4, 226 (1889), 10.1515/zpch-1889-0416.
[Peck1986]: D. S. Peck, Proc. 24th Int. Reliability Physics Symp. 44 (1986), 10.1109/IRPS.1986.362110.
[Langmuir1918]: I. Langmuir, J. Am. Chem. Soc. 40, 1361 (1918), 10.1021/ja02242a004.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, Literal, get_args

from orchestrator.errors import BadInput
from orchestrator.units import convert, same_dimension
from simulators.twins.declaration import Constant, Outcome, Situation, Surrounding, Twin

Shape = Literal["constant", "linear", "threshold", "power", "saturating", "arrhenius"]
ELAPSED: Final = "elapsed"
"""The channel of lab time since the first run, in `DAY`; whoever asks a twin gives it."""
DAY: Final = "day"
SD: Final = 0.3
"""Prior standard deviation of a strength that acts through an exponential, our own choice: a third is a large effect."""
DEGREES: Final = 5.0
"""Of one that shifts a temperature, in kelvin: our own choice, what a thermocouple beside the vessel is easily off by."""
KELVIN: Final = "kelvin"
LEAST_SHARE: Final = 1e-3
"""Of the reference, our own choice: a power law is taken no further down, where a sensor reads zero its logarithm would be none."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recorded quantity that may act."""

    name: str
    unit: str
    reference: float
    scale: float
    """A difference that is large for it: its standard deviation over the runs."""


@dataclass(frozen=True, slots=True)
class Term:
    """One term."""

    on: str
    """An output or a control of the twin."""
    shape: Shape
    channel: str = ""
    """What drives it: a surrounding, `ELAPSED`; empty where nothing does."""
    unit: str = ""
    """Of reference, scale and onset."""
    reference: float = 0.0
    scale: float = 1.0
    onset: float = 0.0
    """Of a threshold: below, nothing happens."""

    def __post_init__(self) -> None:
        if self.shape not in get_args(Shape):
            raise BadInput(f"term on {self.on}: shape {self.shape!r} is unknown; expected {', '.join(get_args(Shape))}")
        if (self.shape == "constant") != (not self.channel):
            raise BadInput(f"term on {self.on}: a {self.shape} shape of channel {self.channel!r}; only a constant has no channel")
        if not (math.isfinite(self.scale) and self.scale > 0.0 and math.isfinite(self.reference)):
            raise BadInput(f"term on {self.on}: reference {self.reference:g}, scale {self.scale:g}; expected numbers, the scale above 0")
        if self.shape == "arrhenius" and not is_temperature(self.unit):
            raise BadInput(f"term on {self.on}: an arrhenius shape of {self.channel} in {self.unit or '1'}; expected a temperature")
        if self.shape in ("power", "saturating") and self.reference <= 0.0:
            raise BadInput(f"term on {self.on}: a {self.shape} shape about the reference {self.reference:g}; expected one above 0")

    @property
    def name(self) -> str:
        """Return what its strength is called among the constants."""
        return "-".join(part for part in (self.on, self.shape, self.channel) if part)

    @property
    def sentence(self) -> str:
        """Say what it does, s being its strength."""
        by = {
            "constant": "1",
            "linear": f"({self.channel} - {self.reference:g}) / {self.scale:.3g}",
            "threshold": f"max({self.channel} - {self.onset:g}, 0) / {self.scale:.3g}",
            "power": f"log({self.channel} / {self.reference:g})",
            "saturating": f"{self.channel} / ({self.channel} + {self.reference:g}) - 1/2",
            "arrhenius": f"the difference of 1/{self.channel} from 1/{self.reference:g}, over that of {self.scale:.3g} more",
        }[self.shape]
        return f"what acts on {self.on} is s * g, g = {by}{f' in {self.unit}' if self.unit else ''}"

    def driven(self, environment: Mapping[str, float]) -> float:
        """Return g, which is zero where the channel is at its reference, and a threshold's where it is below its onset."""
        if not self.channel:
            return 1.0
        return SHAPES[self.shape](self, environment[self.channel])


def _threshold(term: Term, value: float) -> float:
    return max(value - term.onset, 0.0) / term.scale


def _power(term: Term, value: float) -> float:
    return math.log(max(value, LEAST_SHARE * term.reference) / term.reference)


def _saturating(term: Term, value: float) -> float:
    return max(value, 0.0) / (max(value, 0.0) + term.reference) - 0.5


def _arrhenius(term: Term, value: float) -> float:
    """Return what 1/T differs by, over what a difference of `scale` makes of it."""
    here, there, near = (convert(one, term.unit, KELVIN) for one in (value, term.reference, term.reference + term.scale))
    return (1.0 / there - 1.0 / here) / (1.0 / there - 1.0 / near)


SHAPES: Final[Mapping[str, Callable[[Term, float], float]]] = {
    "linear": lambda term, value: (value - term.reference) / term.scale,
    "threshold": _threshold,
    "power": _power,
    "saturating": _saturating,
    "arrhenius": _arrhenius,
}
"""Dimensionless functions of a channel: linear in it, beyond an onset, its logarithm, occupied sites (half of them at the reference),
and the reciprocal of a temperature."""


def is_temperature(unit: str) -> bool:
    """Say whether a unit is one of temperature."""
    return bool(unit) and same_dimension(unit, KELVIN)


def candidates(twin: Twin, outputs: Sequence[str], channels: Sequence[Recorded], *, span: float) -> tuple[Term, ...]:
    """Return what the library offers a twin, whatever it has already left out.

    Args:
        twin: The twin.
        outputs: Those of its outputs that are measured.
        channels: What is recorded of the surroundings and varied.
        span: Lab days from the first run to the last.
    """
    had = {one.name for one in twin.constants}
    gains = (Term(output, "constant") for output in outputs)
    driven = (_of_channel(output, one) for output in outputs for one in channels if one.name != ELAPSED)
    offered = chain(gains, chain.from_iterable(driven), _of_time(outputs, span), _of_controls(twin, span))
    return tuple(one for one in offered if one.name not in had)


def _of_channel(output: str, one: Recorded) -> Iterator[Term]:
    own = Term(output, "linear", one.name, one.unit, one.reference, one.scale)
    yield own
    yield replace(own, shape="threshold", onset=one.reference)
    if is_temperature(one.unit):
        yield replace(own, shape="arrhenius")
    elif one.reference > 0.0:
        yield replace(own, shape="power")
        yield replace(own, shape="saturating")


def _of_time(outputs: Sequence[str], span: float) -> Iterator[Term]:
    if span > 0.0:
        yield from (Term(output, "linear", ELAPSED, DAY, scale=span) for output in outputs)


def _of_controls(twin: Twin, span: float) -> Iterator[Term]:
    for control in twin.controls:
        yield Term(control, "constant")
        if span > 0.0:
            yield Term(control, "linear", ELAPSED, DAY, scale=span)


def with_terms(twin: Twin, terms: Sequence[Term]) -> Twin:
    """Return the twin with terms, each with a strength of zero among its constants.

    Raises:
        BadInput: A term acts on nothing that the twin has, or takes a channel in another unit than the twin or another term.
    """
    if not terms:
        return twin
    known = {one.name: one.unit for one in twin.environment}
    for one in terms:
        if one.channel and (had := known.setdefault(one.channel, one.unit)) != one.unit:
            raise BadInput(f"twin {twin.label}: term {one.name} takes {one.channel} in {one.unit or '1'}; expected {had or '1'}")
        if one.on not in twin.controls and one.on not in twin.outputs:
            legal = ", ".join((*twin.controls, *twin.outputs))
            raise BadInput(f"twin {twin.label}: term {one.name} acts on {one.on!r}; expected one of {legal}")
    new = (one for one in terms if one.channel and one.channel not in twin.reference)
    driving = {one.channel: Surrounding(one.channel, one.unit, one.reference) for one in new}
    strengths = tuple(_strength(twin, one) for one in terms)
    return replace(
        twin,
        constants=(*twin.constants, *strengths),
        environment=(*twin.environment, *driving.values()),
        predict_many=_Extended(twin, tuple(terms)),
    )


def _strength(twin: Twin, term: Term) -> Constant:
    shifts = is_temperature(twin.controls.get(term.on, ""))
    return Constant(term.name, "delta_degC" if shifts else "", 0.0, sd=DEGREES if shifts else SD, prior="normal")


@dataclass(frozen=True)
class _Extended:
    """Asks a twin about what is set as its terms change it, each different situation once, and changes what it gives."""

    twin: Twin
    terms: tuple[Term, ...]

    def __call__(self, situations: Sequence[Situation]) -> list[Outcome]:
        asked = [self._inside(one) for one in situations]
        keys = [(tuple(one.controls.values()), tuple(one.constants.values()), tuple(one.environment.values())) for one in asked]
        different = dict(zip(keys, asked, strict=True))
        found = dict(zip(different, self.twin.predict(list(different.values())), strict=True))
        return [self._outside(one, found[key]) for one, key in zip(situations, keys, strict=True)]

    def _inside(self, situation: Situation) -> Situation:
        controls = dict(situation.controls)
        for one in self.terms:
            if one.on in controls:
                moved = situation.constants[one.name] * one.driven(situation.environment)
                shifts = is_temperature(self.twin.controls[one.on])
                controls[one.on] = controls[one.on] + moved if shifts else controls[one.on] * math.exp(moved)
        own = {one.name: situation.constants[one.name] for one in self.twin.constants}
        around = {one.name: situation.environment[one.name] for one in self.twin.environment}
        return Situation(controls, own, around)

    def _outside(self, situation: Situation, outcome: Outcome) -> Outcome:
        if isinstance(outcome, str):
            return outcome
        made = dict(outcome)
        for one in self.terms:
            if one.on in made:
                made[one.on] *= math.exp(-situation.constants[one.name] * one.driven(situation.environment))
        return made
