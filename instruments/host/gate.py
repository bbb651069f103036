"""The last check before the wire: known commands, limits and interlocks of the bench file that the host read itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from instruments.bench.file import BenchFile
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading, Step
from orchestrator.errors import BadInput, InterlockError
from orchestrator.expressions import Expression

Read = Callable[[Sequence[str]], Sequence[Reading]]
"""Reads `instrument.channel` names from the devices, now."""


class Gate:
    """Refuses what the bench file does not allow."""

    def __init__(self, bench: BenchFile) -> None:
        """Take limits and interlocks from the bench file."""
        self._bench = bench
        self._limits = replace(bench.envelope, interlocks=())

    def check_run(self, steps: Sequence[Step]) -> None:
        """Check a whole procedure on arrival.

        Raises:
            BadInput: A command, kind or channel that the bench does not have, or programs that cannot be told apart.
            LimitError, InterlockError: A setpoint or an order that the bench forbids.
        """
        if [step.index for step in steps] != list(range(len(steps))) or not steps:
            raise BadInput(f"step indices {[step.index for step in steps]}; expected 0, 1, 2, ... without gaps")
        for step in steps:
            self._check_known(step)
        self._check_programs(steps)
        self._bench.envelope.check(steps)

    def _check_known(self, step: Step) -> None:
        expected = self._kind(step)
        if step.kind is not expected:
            raise BadInput(f"step {step.index} {step.do}: kind {step.kind}; the driver says {expected}")
        for channel in (*step.channels, *((step.until.channel,) if step.until else ())):
            if channel not in self._bench.channel_units:
                raise BadInput(f"step {step.index} {step.do}: the bench has no channel {channel!r}")
        if step.until is not None and step.kind is not StepKind.STATE_SETTING:
            raise BadInput(f"step {step.index} {step.do}: until belongs to a state-setting step; this one is {step.kind}")
        if step.kind is StepKind.WAIT and not isinstance(step.arguments.get("time"), float):
            raise BadInput(f"step {step.index} wait: time = {step.arguments.get('time')!r}; expected lab seconds")

    def _kind(self, step: Step) -> StepKind:
        if step.instrument is None:
            plain = {"wait": StepKind.WAIT, "read": StepKind.READ}
            if step.do not in plain:
                raise BadInput(f"step {step.index}: {step.do!r}; expected wait, read or instrument.command")
            return plain[step.do]
        if step.instrument not in self._bench.spec.instruments:
            raise BadInput(f"step {step.index} {step.do}: the bench has no instrument {step.instrument!r}")
        commands = self._bench.driver(step.instrument).COMMANDS
        if step.command not in commands:
            raise BadInput(f"step {step.index} {step.do}: unknown command; legal: {', '.join(sorted(commands))}")
        return commands[step.command].kind

    def _check_programs(self, steps: Sequence[Step]) -> None:
        once = [step for step in steps if step.kind in (StepKind.DOSING, StepKind.PROGRAM)]
        programs = [step for step in once if step.kind is StepKind.PROGRAM and not self._is_by_step(step)]
        if len(programs) > 1 or (programs and once[-1] is not programs[0]):
            raise BadInput(f"step {programs[0].index} {programs[0].do}: a run has at most one program, after its last dose")

    def _is_by_step(self, step: Step) -> bool:
        return step.instrument is not None and self._bench.driver(step.instrument).COMMANDS[step.command].by_step

    def check_step(self, step: Step, read: Read) -> None:
        """Check one step just before the wire, its interlocks on fresh readings.

        Raises:
            LimitError: A setpoint outside its limits.
            InterlockError: A condition that does not hold now, or whose value cannot be read in good quality.
            InstrumentError: A device did not answer.
        """
        self._limits.check([step])
        channels = self._interlock_channels(step)
        readings = read(channels) if channels else ()
        values = {one.name: one.value for one in readings if one.value is not None and one.quality == "good"}
        for complaint in self._bench.envelope.interlock_complaints(step, values):
            raise InterlockError(f"step {step.index} {step.do}: {complaint}")

    def _interlock_channels(self, step: Step) -> tuple[str, ...]:
        locks = [one for one in self._bench.envelope.interlocks if one.before == step.do]
        names = {name for one in locks for name in Expression(one.expression).names}
        return tuple(sorted(names & set(self._bench.channel_units)))
