"""A bench's twin in the names and units of a campaign."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from flows.plans.stocks import stock_entries
from flows.plans.twins.finding import FoundTwin, find_twin
from flows.plans.twins.overriding import with_constants
from instruments.bench.environment import environment_channels
from instruments.bench.expression_names import units_of, values_at
from instruments.bench.file import BenchFile
from instruments.bench.twin_spec import Input, TwinSpec
from orchestrator.domain.drift import DriftSpec
from orchestrator.domain.environment import EnvironmentChannel, RunEnvironment
from orchestrator.domain.objective import Measured
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration, digest
from orchestrator.errors import BadInput
from orchestrator.expressions import Expression
from orchestrator.units import convert, parse, same_dimension
from simulators.twins.declaration import Situation, Twin
from simulators.twins.terms import ELAPSED


@dataclass(frozen=True)
class BoundTwin:
    """A twin that is asked about a campaign's configurations and answers in what the campaign measures."""

    found: FoundTwin
    twin: Twin
    """With what the bench file says of its constants."""
    inputs: Mapping[str, Expression | float]
    """Control -> expression, or a number in the control's unit."""
    outputs: Mapping[str, str]
    """What the campaign measures -> the twin's output."""
    measured_units: Mapping[str, str]
    """Unit of each of `outputs`, in the campaign."""
    surroundings: Mapping[str, EnvironmentChannel]
    """Surrounding of the twin -> what the bench records of it; what it does not record stands at the twin's reference."""
    bench: BenchFile
    space: SearchSpace

    @property
    def drift(self) -> DriftSpec | None:
        """Whether campaigns watch how the bench differs from it; None where the bench file does not ask."""
        return None if self.bench.spec.twin is None else self.bench.spec.twin.drift

    @cached_property
    def identity(self) -> Mapping[str, str]:
        """Name, hash and origin of what it predicts: over the twin, its constants, and what each control and each value is made of."""
        twin = self.twin
        content = {
            "twin": [twin.name, twin.version, dict(self.found.files)],
            "constants": [[one.name, one.unit, one.value, one.sd, one.prior, repr(one.low), repr(one.high)] for one in twin.constants],
            "calibratable": [one.name for one in twin.calibratable],
            "inputs": {name: one if isinstance(one, float) else one.text for name, one in self.inputs.items()},
            "bench": {**{name: str(one) for name, one in self.bench.spec.constants.items()}, **stock_entries(self.bench.spec.stocks)},
            "outputs": {name: [output, self.measured_units[name]] for name, output in self.outputs.items()},
            "reference": dict(twin.reference),
        }
        return {"name": f"twin {twin.label}", "sha256": digest(content), "origin": "simulated"}

    @cached_property
    def _units(self) -> dict[str, str]:
        return units_of(self.bench, self.space)

    def situation(self, configuration: Configuration, environment: Mapping[str, float] | None = None) -> Situation:
        """Return what the twin is asked about.

        Args:
            configuration: Of the campaign: as proposed, or as it was measured to be.
            environment: Surroundings by the twin's names in its units; what is left out stands at its reference.
        """
        values = values_at(self.bench, configuration)
        controls = {
            name: one if isinstance(one, float) else float(one.evaluate(values, self._units, self.twin.controls[name]))
            for name, one in self.inputs.items()
        }
        known = {**self.twin.reference, **(environment or {})}
        return Situation(controls, self.twin.values, {name: known[name] for name in self.twin.reference})

    def environment_of(self, recorded: Iterable[RunEnvironment]) -> dict[str, float]:
        """Return what was recorded with a run, by the twin's names in its units; what was never read, or does not convert, is left out."""
        found = {one.name: one for one in recorded if one.mean is not None}
        read = {}
        for one in self.twin.environment:
            channel = self.surroundings.get(one.name)
            known = found.get(one.name if channel is None else channel.name)
            if known is not None and known.mean is not None and same_dimension(known.unit, one.unit):
                read[one.name] = convert(known.mean, known.unit, one.unit)
        return read

    def scale(self, measured: str) -> tuple[float, float]:
        """Return factor and offset from the twin's output to the campaign's unit: value = factor * output + offset."""
        source, target = self.twin.outputs[self.outputs[measured]], self.measured_units[measured]
        zero = convert(0.0, source, target)
        return convert(1.0, source, target) - zero, zero


def bound_twin(bench: BenchFile, space: SearchSpace, measured: Iterable[Measured]) -> BoundTwin | None:
    """Return a bench's twin for a campaign; None where the bench file declares none.

    Raises:
        BadInput: One line: there is no such twin, a name or a unit that does not fit, or it predicts nothing of what is measured.
    """
    spec = bench.spec.twin
    if spec is None:
        return None
    try:
        found = find_twin(spec.chemistry, bench.folder)
        twin = with_constants(found.twin, spec.constants, what=f"twin {found.twin.label}")
        units = {one.name: one.unit for one in measured}
        _refuse_names_twice(twin, bench, space)
        inputs, outputs = _inputs(spec, twin, bench, space), _outputs(spec, twin, units)
        return BoundTwin(
            found, twin, inputs, outputs, {name: units[name] for name in outputs}, surroundings_of(spec, twin, bench), bench, space
        )
    except BadInput as error:
        raise BadInput(f"{bench.path}: [twin]: {error}") from error


def _refuse_names_twice(twin: Twin, bench: BenchFile, space: SearchSpace) -> None:
    """Refuse names by which a difference could not be laid to one thing: what is set, what is recorded, constants, and time."""
    controls = dict.fromkeys(twin.controls, f"a control of twin {twin.label}")
    constants = dict.fromkeys(twin.values, f"a constant of twin {twin.label}")
    time = {ELAPSED: "the lab time since the first run"}
    taken = {f"[environment.{name}]": (name, {**controls, **constants, **time}) for name in bench.spec.environment}
    taken |= {f"parameter {name}": (name, {**constants, **time}) for name in space.columns}
    for what, (name, others) in taken.items():
        if name in others:
            raise BadInput(f"{what} has the name of {others[name]}; expected another one")


def _inputs(spec: TwinSpec, twin: Twin, bench: BenchFile, space: SearchSpace) -> dict[str, Expression | float]:
    _refuse_strangers(spec.inputs, twin.controls, f"inputs: twin {twin.label} has no control")
    units = units_of(bench, space)
    return {name: _input(name, spec.inputs.get(name), unit, twin, units) for name, unit in twin.controls.items()}


def _input(name: str, written: Input | None, unit: str, twin: Twin, units: Mapping[str, str]) -> Expression | float:
    what = f"inputs.{name}"
    if written is None:
        if name not in units:
            has = ", ".join(sorted(units)) or "none"
            raise BadInput(f"{what} is missing: twin {twin.label} needs it in {unit or '1'}, and nothing has its name; there are {has}")
        written = name
    if not isinstance(written, str):
        return float(written)
    if _is_quantity(written):
        return parse(written, unit, what=what)
    expression = Expression(written)
    try:
        expression.check(units, unit)
    except BadInput as error:
        raise BadInput(f"{what} of twin {twin.label}: {error}") from error
    return expression


def _is_quantity(written: str) -> bool:
    """Say whether a text is a number with a unit, which no expression is."""
    try:
        Expression(written)
    except BadInput:
        return written.strip()[:1].isdigit()
    return False


def _outputs(spec: TwinSpec, twin: Twin, units: Mapping[str, str]) -> dict[str, str]:
    _refuse_strangers(spec.outputs, units, "outputs: the campaign measures no")
    for name, output in spec.outputs.items():
        _refuse_strangers([output], twin.outputs, f"outputs.{name}: twin {twin.label} has no output")
    found = {name: spec.outputs.get(name, name) for name in units if spec.outputs.get(name, name) in twin.outputs}
    if not found:
        raise BadInput(
            f"twin {twin.label} predicts {', '.join(twin.outputs)}, the campaign measures {', '.join(units)}; expected outputs = {{...}}"
        )
    for name, output in found.items():
        if not same_dimension(twin.outputs[output], units[name]):
            came, wanted = twin.outputs[output] or "1", units[name] or "1"
            raise BadInput(f"outputs.{name}: twin {twin.label} gives {output} in {came}; expected a unit that converts to {wanted}")
    return found


def surroundings_of(spec: TwinSpec, twin: Twin, bench: BenchFile) -> dict[str, EnvironmentChannel]:
    """Return what a bench records of the surroundings that a twin knows, by the twin's names.

    Raises:
        BadInput: A name that the twin or the bench does not have, or a unit that does not convert.
    """
    _refuse_strangers(spec.environment, twin.reference, f"environment: twin {twin.label} knows no surrounding")
    recorded = {one.name: one for one in environment_channels(bench) if one.lot is None}
    _refuse_strangers(spec.environment.values(), recorded, "environment: the bench records no")
    units = {one.name: one.unit for one in twin.environment}
    found = {name: recorded[own] for name in units if (own := spec.environment.get(name, name)) in recorded}
    for name, channel in found.items():
        if not same_dimension(channel.unit, units[name]):
            raise BadInput(
                f"environment.{name}: {channel.channel} is in {channel.unit or '1'}; expected a unit that converts to {units[name] or '1'}"
            )
    return found


def _refuse_strangers(given: Iterable[str], legal: Mapping[str, object], what: str) -> None:
    for name in given:
        if name not in legal:
            raise BadInput(f"{what} {name!r}; it has {', '.join(legal) or 'none'}")
