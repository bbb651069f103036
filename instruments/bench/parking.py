"""How a bench is parked: the declared settings of an idle bench, computed from the bench file alone. Pure."""

from dataclasses import replace

from instruments.bench.expansion import Expansion
from instruments.bench.file import BenchFile
from instruments.bench.spec import StepSpec
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Step
from orchestrator.errors import AthanorError, BadInput


def park_steps(bench: BenchFile) -> tuple[Step, ...]:
    """Compute the steps that park a bench, and check them against the limits; none where the file declares none.

    Raises:
        BadInput: A step that is no setting of an instrument, an unknown name, wrong dimensions, or a value beyond its limits.
    """
    expansion = Expansion(bench, bench.constant_units, what="park step")
    steps = []
    for index, written in enumerate(bench.spec.park.steps):
        what = f"park step {index} ({written.do})"
        if "." not in written.do:
            raise BadInput(f"{what}: expected a setting of an instrument, like 'oven.set_temperature'")
        spec, command = expansion.prepare(index, StepSpec.model_validate({"do": written.do, "with": written.arguments}))
        if command.kind is not StepKind.STATE_SETTING:
            raise BadInput(f"{what} is of kind {command.kind}; expected a setting: parking doses and runs nothing")
        steps.append(expansion.step(index, spec, command, bench.constant_values))
    try:
        replace(bench.envelope, interlocks=()).check(steps)  # they judge what is read when the bench is parked
    except AthanorError as error:
        raise BadInput(f"park {error}") from error
    return tuple(steps)
