"""What a bench file declares of the laboratory's environment: checked channels, and the links on which nothing is set."""

from instruments.bench.file import BenchFile
from instruments.bench.lanes import lanes_of
from orchestrator.domain.environment import EnvironmentChannel
from orchestrator.errors import BadInput
from orchestrator.units import parse


def environment_channels(bench: BenchFile) -> tuple[EnvironmentChannel, ...]:
    """Return what is to be recorded with each experiment, in the order of the file.

    Raises:
        BadInput: A channel that the bench does not have, or a reference of another unit.
    """
    found, returned = [], _returned(bench)
    for name, spec in bench.spec.environment.items():
        what = f"[environment] {name}"
        unit = bench.channel_units.get(spec.channel)
        if unit is None:
            raise BadInput(f"{what}: the bench has no channel {spec.channel!r}; it has {', '.join(sorted(bench.channel_units)) or 'none'}")
        reference = parse(spec.reference, unit, what=f"{what}, reference")
        brought = spec.channel in returned
        found.append(EnvironmentChannel(name=name, channel=spec.channel, unit=unit, reference=reference, every=spec.every, brought=brought))
    return tuple(found)


def _returned(bench: BenchFile) -> frozenset[str]:
    """Return the channels that a call returns, or a person: a step of the run brings them."""
    calls = ((name, call) for name, spec in bench.spec.instruments.items() for call in spec.calls.values())
    return frozenset(f"{name}.{one}" for name, call in calls for one in call.returns)


def passive_instruments(bench: BenchFile) -> frozenset[str]:
    """Return the instruments on links on which nothing is set: a link of theirs may be opened anew beside a run."""
    commands = [*(step.do for step in bench.spec.procedure.steps), *(step.do for step in bench.spec.park.steps)]
    acting = {command.partition(".")[0] for command in commands} | {
        name for name, spec in bench.spec.instruments.items() if spec.safe_state or spec.calls or spec.object
    }
    return frozenset(name for names in lanes_of(bench.spec).values() if not acting & set(names) for name in names)
