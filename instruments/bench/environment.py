"""What a bench file declares of the laboratory's environment: checked channels, and the links on which nothing is set."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Final

from instruments.bench.file import BenchFile
from instruments.bench.lanes import lanes_of
from instruments.bench.spec import EnvironmentSpec
from orchestrator.clock import Clock
from orchestrator.domain.environment import EnvironmentChannel
from orchestrator.errors import BadInput
from orchestrator.units import parse

DAY: Final = "day"


def environment_channels(bench: BenchFile) -> tuple[EnvironmentChannel, ...]:
    """Return what is to be recorded with each experiment, in the order of the file; days are counted from seconds of the Unix epoch.

    Raises:
        BadInput: A channel, stock or day of service that the bench does not have, or a reference of another unit.
    """
    returned = _returned(bench)
    return tuple(_channel(bench, name, spec, returned) for name, spec in bench.spec.environment.items())


def _channel(bench: BenchFile, name: str, spec: EnvironmentSpec, returned: frozenset[str]) -> EnvironmentChannel:
    what = f"[environment] {name}"
    if spec.lot is not None:
        return EnvironmentChannel(name=name, channel=spec.lot, unit="", reference=0.0, every=spec.every, lot=_lot(bench, spec.lot, what))
    if spec.since is not None:
        reference = 0.0 if spec.reference is None else parse(spec.reference, DAY, what=f"{what}, reference")
        since = _serviced(bench, spec.since, what)
        return EnvironmentChannel(name=name, channel=spec.since, unit=DAY, reference=reference, every=spec.every, since=since)
    assert spec.channel is not None, "a quantity has a channel, a lot or a day"
    assert spec.reference is not None, "a channel has a reference"
    unit = bench.channel_units.get(spec.channel)
    if unit is None:
        raise BadInput(f"{what}: the bench has no channel {spec.channel!r}; it has {', '.join(sorted(bench.channel_units)) or 'none'}")
    reference = parse(spec.reference, unit, what=f"{what}, reference")
    brought = spec.channel in returned
    return EnvironmentChannel(name=name, channel=spec.channel, unit=unit, reference=reference, every=spec.every, brought=brought)


def _lot(bench: BenchFile, written: str, what: str) -> str:
    legal = {f"stocks.{name}": one.lot for name, one in bench.spec.stocks.items()}
    if written not in legal:
        raise BadInput(f"{what}: the bench has no stock {written!r}; it has {', '.join(legal) or 'none'}")
    return legal[written]


def _serviced(bench: BenchFile, written: str, what: str) -> float:
    """Return the beginning of a device's day of service (UTC), in seconds of the Unix epoch."""
    days = {f"{name}.serviced": one.serviced for name, one in bench.spec.instruments.items()}
    day = days.get(written)
    if day is None:
        expected = f"expected serviced = 2026-11-01, or whatever day it was, at [instruments.{written.removesuffix('.serviced')}]"
        known = ", ".join(name for name, one in days.items() if one is not None) or "none"
        raise BadInput(f"{what}: {written!r} is no day of service; {expected if written in days else f'the bench has {known}'}")
    return datetime.combine(day, time(), UTC).timestamp()


def at_lab(channels: Sequence[EnvironmentChannel], clock: Clock) -> tuple[EnvironmentChannel, ...]:
    """Return what days are counted from in lab seconds: of a dry run those pass faster, from the day on which its plant started."""
    now = clock.now()
    begin = now.wall.timestamp() - clock.wall_seconds(now.lab)
    return tuple(one if one.since is None else one.evolve(since=one.since - begin) for one in channels)


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
