"""What a bench file declares of the laboratory's environment: checked channels, and the links on which nothing is set."""

from instruments.bench.file import BenchFile
from instruments.bench.lanes import lanes_of
from orchestrator.domain.environment import EnvironmentChannel
from orchestrator.errors import BadInput
from orchestrator.units import parse


def environment_channels(bench: BenchFile) -> tuple[EnvironmentChannel, ...]:
    """Return what is to be recorded with each experiment, in the order of the file.

    Raises:
        BadInput: A channel that the bench does not have, one that a call returns, or a reference of another unit.
    """
    found, readable = [], _readable(bench)
    for name, spec in bench.spec.environment.items():
        what = f"[environment] {name}"
        unit = bench.channel_units.get(spec.channel)
        if unit is None:
            raise BadInput(f"{what}: the bench has no channel {spec.channel!r}; it has {', '.join(readable) or 'none'}")
        if spec.channel not in readable:
            raise BadInput(f"{what}: {spec.channel} is what a call returns, or a person; expected a channel that can be read at any time")
        reference = parse(spec.reference, unit, what=f"{what}, reference")
        found.append(EnvironmentChannel(name=name, channel=spec.channel, unit=unit, reference=reference, every=spec.every))
    return tuple(found)


def _readable(bench: BenchFile) -> list[str]:
    """Return the channels that can be read without anything being called."""
    returned = {f"{name}.{one}" for name, spec in bench.spec.instruments.items() for call in spec.calls.values() for one in call.returns}
    return sorted(set(bench.channel_units) - returned)


def passive_instruments(bench: BenchFile) -> frozenset[str]:
    """Return the instruments on links on which nothing is set: a link of theirs may be opened anew beside a run."""
    commands = [*(step.do for step in bench.spec.procedure.steps), *(step.do for step in bench.spec.park.steps)]
    acting = {command.partition(".")[0] for command in commands} | {
        name for name, spec in bench.spec.instruments.items() if spec.safe_state or spec.calls or spec.object
    }
    return frozenset(name for names in lanes_of(bench.spec).values() if not acting & set(names) for name in names)
