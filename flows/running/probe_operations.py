"""Commissioning: one device of a bench is read beside its front panel, and one setting made by hand.

An operation takes values, returns what came of it, prints nothing, and raises AthanorError.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.plans.lab import Lab, lab_folder, make_lab, open_lab
from flows.plans.simulated import aimed
from instruments.bench.file import BenchFile, load_bench
from instruments.bench.lanes import lanes_of, wires_of
from instruments.bench.links import refuse_unhonoured
from instruments.bench_client.identify import Probed, opened, probe, probed, require_instrument
from instruments.drivers.protocol import Call, Driver, Limit
from instruments.host.gate import Gate
from instruments.host.idle_state import IdleState
from instruments.host.journal import Journal
from instruments.lab_processes.bench_copies import keep_copy
from instruments.lab_processes.endpoint_locks import EndpointLocks
from instruments.lab_processes.locks import FileLock
from instruments.lab_processes.state_files import LAB
from instruments.lab_processes.stop import host_of, supervisor_of
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import RunStatus, StepKind
from orchestrator.domain.records import Reading, Step
from orchestrator.errors import AthanorError, BadInput, BenchLatched, InstrumentError, InterlockError
from orchestrator.expressions import Expression
from orchestrator.units import parse

_OPEN: tuple[RunStatus, ...] = (RunStatus.DISPATCHED, RunStatus.RUNNING, RunStatus.UNKNOWN)
"""Runs whose evidence on the devices a set by hand would spoil."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One state-setting command that a person asks for."""

    step: Step
    limits: Mapping[str, Limit]
    """What each of its numbers is allowed: bench file, data sheet and device intersected."""
    before: Probed
    """The device as it was found."""
    watchdog: float | None
    """Wall seconds after which the device itself falls to its own safe state; None where nothing does so."""


Agreed = Callable[[Setting], bool]
"""Shows a setting to a person and says whether it is to be sent."""


def read_device(file: Path, instrument: str, *, lab: Path | None) -> Probed:
    """Read one device of a bench file: its identity and each of its channels; writes nothing.

    Raises:
        BadInput: One line that says what is wrong with the file, the wire or the device.
    """
    bench = _bench(file)
    folder = lab_folder(lab, beside=bench.path, kind="live")
    return probe(aimed(bench, folder), folder, instrument)


def set_by_hand(
    file: Path, instrument: str, values: Sequence[str], *, command: str | None, lab: Path | None, word: tuple[str, str], agreed: Agreed
) -> Probed | None:
    """Send one setting within the declared limits, once a person agrees; the lab's journal keeps who set what, and why.

    Args:
        file: The bench file.
        instrument: Its name there.
        values: `ARGUMENT=VALUE` of one state-setting command.
        command: The command; may be left out where the arguments tell it.
        lab: Whose bench it is; None for the lab beside the bench file, which is made where there is none.
        word: Who sets it, and why.
        agreed: Asks the person.

    Returns:
        The device as it is afterwards; None where the person did not agree, and nothing was sent.

    Raises:
        BadInput: What is asked for is no setting of this device or not allowed, somebody else has the bench, or the device
            does not answer.
        BenchLatched: The bench was stopped.
    """
    if not all(one.strip() for one in word):
        raise BadInput("a set by hand needs --by NAME and --reason TEXT; they go into the lab's journal")
    bench = _bench(file)
    require_instrument(bench, instrument)
    step = _step(bench, instrument, command, values)
    place = _place(bench, lab)
    _require_free(place)
    with ExitStack() as held:
        bench = _aimed(bench, place)
        used = _instruments(bench, step)
        drivers = _opened(bench, place, used, held)
        journal = Journal(place.path / "journal.sqlite")
        held.callback(journal.close)
        if waiting := journal.runs(*_OPEN):
            raise BadInput(f"run {waiting[0].run_key} has no end yet: what stands on the devices is its evidence; it must end first")
        try:
            setting = _prepared(bench, step, drivers)
            if not agreed(setting):
                return None
            keep_copy(place.path, bench.path.name, bench.files, sha256=bench.sha256, origin=bench.folder)  # `stop` goes by it
            IdleState(journal, bench.sha256).begin_run()  # neither parked nor safe from now on
            return _sent(bench, setting, drivers[instrument], journal, word)
        except InstrumentError as error:
            raise BadInput(f"{bench.path.name}: {error}") from error


def _bench(file: Path) -> BenchFile:
    bench = load_bench(file.resolve())
    refuse_unhonoured(bench)
    bench.check_instruments()
    return bench


# ---------------------------------------------------------------------- what is asked for


def _step(bench: BenchFile, instrument: str, command: str | None, values: Sequence[str]) -> Step:
    given: dict[str, str] = {}
    for text in values:
        name, is_pair, value = text.partition("=")
        if not is_pair or not name.strip() or name.strip() in given:
            raise BadInput(f"--set {text!r}; expected ARGUMENT=VALUE, each argument once")
        given[name.strip()] = value.strip()
    specs = bench.driver(instrument).COMMANDS
    settable = {name: one for name, one in specs.items() if one.kind is StepKind.STATE_SETTING}
    if command is None:
        fitting = [name for name, one in settable.items() if set(given) <= set(one.arguments)]
        if len(fitting) != 1:
            words = "; ".join(f"{name} ({', '.join(one.arguments) or 'no argument'})" for name, one in settable.items())
            many = f"{len(fitting)} settings take" if fitting else "no setting takes"
            raise BadInput(f"{instrument}: {many} {', '.join(given)}; --command names one of {words or 'none'}")
        command = fitting[0]
    if command not in settable:
        kind = f"is a {specs[command].kind}, which only a campaign carries out" if command in specs else "is unknown"
        raise BadInput(f"{instrument}: command {command!r} {kind}; settings: {', '.join(settable) or 'none'}")
    arguments: dict[str, float | str] = {}
    units: dict[str, str] = {}
    for name, text in given.items():
        spec = settable[command].arguments.get(name)
        if spec is None:
            raise BadInput(f"{instrument}.{command} has no argument {name!r}; it has {', '.join(settable[command].arguments) or 'none'}")
        arguments[name] = text if spec.unit is None else parse(text, spec.unit, what=f"{instrument}.{command} {name}")
        if spec.unit is not None:
            units[name] = spec.unit
    step = Step(index=0, do=f"{instrument}.{command}", kind=StepKind.STATE_SETTING, arguments=arguments, units=units)
    _require_limits(bench, step)
    return step


def _require_limits(bench: BenchFile, step: Step) -> None:
    """Judge what can be judged before a wire is touched."""
    for name, unit in step.units.items():
        limit, value = bench.envelope.limits.get(f"{step.instrument}.{name}"), step.arguments[name]
        if limit is None:
            raise BadInput(f"{step.do}: nothing limits {name}; expected limits.{name} of instrument {step.instrument} in the bench file")
        if isinstance(value, str) or not limit.allows(value):
            raise BadInput(f"{step.do}: {name} = {value} {unit}; allowed {limit.low:g} to {limit.high:g} {unit}")


# ---------------------------------------------------------------------- whose bench it is


def _place(bench: BenchFile, lab: Path | None) -> Lab:
    folder = lab_folder(lab, beside=bench.path, kind="live")
    return open_lab(folder) if (folder / LAB).exists() else make_lab(folder, beside=bench.path, kind="live")


def _aimed(bench: BenchFile, lab: Lab) -> BenchFile:
    """Point a bench to the simulated devices of a dry lab: what is set there must never reach a real one."""
    found = aimed(bench, lab.path)
    if lab.kind == "dry" and found is bench:
        raise BadInput(f"{lab.path} is a dry lab and simulates another bench file than {bench.path}: nothing is set by hand")
    return found


def _require_free(lab: Lab) -> None:
    if lab.is_latched:
        raise BenchLatched(f"the bench of lab {lab.path} is latched: nothing is set by hand; athanor resume --by NAME --reason TEXT")
    for what, owner in (("bench host", host_of(lab.path)), ("supervisor", supervisor_of(lab.path))):
        if owner is not None:
            raise BadInput(
                f"{what} {owner.pid} of lab {lab.path} owns the wires: nothing is set by hand beside it; it ends with its campaign"
            )


def _instruments(bench: BenchFile, step: Step) -> tuple[str, ...]:
    """Name the instruments that are needed: the one that is set, and those whose readings interlocks before it judge."""
    locks = (one for one in bench.envelope.interlocks if one.before == step.do)
    read = {name.partition(".")[0] for one in locks for name in Expression(one.expression).names if name in bench.channel_units}
    return tuple(name for name in bench.spec.instruments if name in {step.instrument, *read})


def _opened(bench: BenchFile, lab: Lab, instruments: Sequence[str], held: ExitStack) -> Mapping[str, Driver]:
    """Take the wires as a host would, and open them until the end."""
    lanes = lanes_of(bench.spec, instruments)
    drivers: dict[str, Driver] = {}
    try:
        held.enter_context(FileLock(lab.path / "host.lock", what="probe --set", lab=lab.path))
        held.enter_context(EndpointLocks(wires_of(bench.spec, lanes), what="probe --set", lab=lab.path))
        for lane in lanes:
            drivers |= held.enter_context(opened(bench.in_lab(lab.path), lane))
    except AthanorError as error:
        raise BadInput(f"{bench.path.name}: {error}") from error
    return {name: drivers[name] for name in instruments}


# ---------------------------------------------------------------------- the setting itself


def _call(step: Step, key: str = "") -> Call:
    return Call(step.command, step.arguments, key, "")


def _prepared(bench: BenchFile, step: Step, drivers: Mapping[str, Driver]) -> Setting:
    """Ask the devices whether the setting is allowed now; sends nothing but questions."""
    for name, driver in drivers.items():
        if name != step.instrument:
            driver.identify()
    driver = drivers[str(step.instrument)]
    before = probed(bench, str(step.instrument), driver)
    driver.check(_call(step))

    def read(channels: Sequence[str]) -> Sequence[Reading]:
        return [one for name in channels for one in drivers[name.partition(".")[0]].read([name.partition(".")[2]])]

    try:
        Gate(bench).check_step(step, read)
    except InterlockError as error:
        raise InterlockError(str(error).removeprefix("step 0 ")) from error
    limits = {name: limit for name in step.units if (limit := driver.limit(step.command, name)) is not None}
    return Setting(step, limits, before, driver.settings.watchdog if driver.HAS_WATCHDOG else None)


def _sent(bench: BenchFile, setting: Setting, driver: Driver, journal: Journal, word: tuple[str, str]) -> Probed:
    """Arm the device's watchdog as a host does, send the setting once, and keep both intent and end in the journal."""
    step, key = setting.step, uuid7()
    by, reason = word
    asked: dict[str, Any] = {"key": key, "do": step.do, "with": step.arguments, "units": step.units, "by": by, "reason": reason}
    journal.note("set by hand", {**asked, "became": "intended"})
    try:
        driver.arm()
        sent = driver.perform(_call(step, key))
    except AthanorError as error:
        journal.note("set by hand", {**asked, "became": "failed", "error": str(error)})
        raise
    journal.note("set by hand", {**asked, "became": "done", "sent": dict(sent)})
    return probed(bench, str(step.instrument), driver)
