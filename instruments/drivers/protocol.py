"""What the bench host needs of every instrument driver.

A driver is the client side of one instrument: synchronous, used by the one thread that owns its link, over a transport
it was handed. It checks each value before the wire, reads back every set and compares, and knows nothing of campaigns,
journals or simulators.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from instruments.drivers.functions import Function
from orchestrator.clock import Clock
from orchestrator.domain.lifecycle import StepKind
from orchestrator.domain.records import Reading
from orchestrator.domain.work import WorkOrder
from orchestrator.errors import BadInput


@dataclass(frozen=True, slots=True)
class Identity:
    """What the device says that it is."""

    model: str
    serial_number: str | None
    firmware: str | None
    boot_id: str | None
    """Changes with each power-up, where the device offers that; evidence for reconciliation."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A closed range of one channel or argument, in its unit."""

    low: float
    high: float

    def intersect(self, other: "Limit") -> "Limit":
        """Return the range that both allow (may be empty: low above high)."""
        return Limit(max(self.low, other.low), min(self.high, other.high))


@dataclass(frozen=True, slots=True)
class ArgumentSpec:
    """One argument of a command."""

    unit: str | None
    """None for a text argument."""
    limit: Limit | None = None
    """The datasheet's range."""
    default: float | str | None = None
    """Value of an argument that may be left out."""
    resolution: float | None = None
    """The device counts in steps of this; what is sent is the nearest one."""
    choices: tuple[str, ...] = ()
    """The words that a text argument may be; any where there are none."""


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command of a driver."""

    kind: StepKind
    arguments: Mapping[str, ArgumentSpec] = field(default_factory=dict)
    open_arguments: bool = False
    """Whether further text or numeric arguments are passed on (a program's properties)."""
    work: WorkOrder | None = None
    """What a person is asked to do, with `{ARGUMENT}` in its instructions; None for commands of devices."""
    by_step: bool = False
    """Whether what becomes of it is kept under run key and step: a run may then hold several of them, each goes on while no
    host lives, and unless a step says otherwise no such gap ends the run."""


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """One channel that can be read."""

    unit: str
    """Empty for a pure number or a text."""
    range: Limit | None = None
    """What the device can measure; a number outside of it is no value."""


@dataclass(frozen=True, slots=True)
class ReturnSpec:
    """One value that a declared call gives back."""

    unit: str | None
    """Empty for a pure number, None for a text."""
    limit: Limit | None = None
    """A value outside it fails the run; None where any number is believed."""


@dataclass(frozen=True, slots=True)
class DeclaredCall:
    """One call that the bench file declares of an instrument; which of the keys a driver reads, `CALL_KEYS` says."""

    arguments: Mapping[str, ArgumentSpec] = field(default_factory=dict)
    returns: Mapping[str, ReturnSpec] = field(default_factory=dict)
    function: str | None = None
    """`module:name` of a Python function."""
    command: tuple[str, ...] = ()
    """Words of a command line; `{ARGUMENT}` in one is the argument's value."""
    output: str = "json"
    """How a command gives its returns: `json` or `csv` on its standard output, or the name of a file that it writes."""
    set: str | None = None
    """The property of an object that the one argument, or `value`, is given to."""
    value: bool | float | str | None = None
    """What the property is always set to."""
    readback: bool = True
    """Whether the property is read back and compared."""
    within: float = 0.0
    """By how much a number that is read back may differ, in the argument's unit."""
    method: str | None = None
    """The method of an object that is called."""
    safe: bool = False
    """Whether it is a safe action too."""
    instructions: str | None = None
    """What a person is asked to do."""
    time_limit: float | None = None
    """Wall seconds; None where it takes as long as it takes."""
    repeatable: bool = False
    """Whether it may be carried out again where nobody can say whether it was."""
    pure: bool = False
    """Whether it is harmless, so that a dry lab carries out the very same."""
    simulated: str | None = None
    """`module:name` of a Python function that a dry lab runs in its place."""

    @property
    def is_harmless(self) -> bool:
        """Whether a dry lab may carry it out, or the function in its place."""
        return self.pure or self.simulated is not None


@dataclass(frozen=True, slots=True)
class DeclaredObject:
    """The object that an instrument is, and how it is made."""

    make: str
    """`module:name` of its class, or of a function that returns it."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What it is made with; a table with `make` stands for an object of its own."""
    identity: str | None = None
    """What of it tells who the device is."""
    check_errors: bool = False
    """Whether the device is asked for errors after each setting and call."""
    silent: bool = False
    """Whether making it sends nothing."""


@dataclass(frozen=True, slots=True)
class DeclaredChannel:
    """One channel that is read of an object."""

    read: str
    """The property, or method without arguments."""
    unit: str | None
    """Empty for a pure number, None for a text."""
    limit: Limit | None = None
    """What can be measured."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the bench file says of one instrument."""

    name: str
    address: int | None = None
    serial_number: str | None = None
    model: str | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """By argument name (`flow`, `temperature`), in the argument's unit."""
    watchdog: float | None = None
    """Wall seconds after which the device falls to its own safe state without a word from us."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Driver-specific keys of the bench file (for example `unit` of a LADS device)."""
    folder: Path = Path()
    """Where the bench file lies, and whatever file it names."""
    functions: Mapping[str, Function] = field(default_factory=dict)
    """What the bench file declares of the device's functions, by the name that their commands and channels get."""
    device: str | None = None
    """Which device the driver is to open itself, as its link of kind `own` names it; None on other links."""
    calls: Mapping[str, DeclaredCall] = field(default_factory=dict)
    """What the bench file declares of the instrument's calls, by the names that their commands get."""
    made: DeclaredObject | None = None
    """How the object is made that the instrument is, for drivers of such."""
    channels: Mapping[str, DeclaredChannel] = field(default_factory=dict)
    """What the bench file declares that is read of it, by the names that these channels get."""
    lab: Path | None = None
    """The lab that the bench works for; None where the file is only read."""
    origin: Path | None = None
    """Where the bench file itself lies, or lay, where `folder` holds a lab's copy of it: programs are started from there."""

    @property
    def programs(self) -> Path:
        """The folder from which programs are named and started; the copy's where the bench file's is gone."""
        return self.origin if self.origin is not None and self.origin.is_dir() else self.folder


@dataclass(frozen=True, slots=True)
class Call:
    """One command to carry out."""

    command: str
    arguments: Mapping[str, float | str]
    run_key: str
    campaign: str
    position: str | None = None
    """Sampler position allotted to the run."""
    step: int = 0
    """Its place in the run's procedure."""


class Progress(StrEnum):
    """Where a dose or a program stands on the device."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the device says of a dose or a program that it was given."""

    progress: Progress
    code: str | None = None
    """The device's own word for how it ended (`completed`, `clogged`, ...)."""
    readings: tuple[Reading, ...] = ()
    """What it brought, once finished; raw bytes included."""
    reason: str | None = None
    """One line for people where it has failed and the device says more than a word."""


class StepVerdict(StrEnum):
    """What evidence says of a step whose end nobody saw."""

    FINISHED = "finished"
    """Executed to its end under our key: adopt it."""
    RUNNING = "running"
    """Executing under our key: attach and wait."""
    NOT_EXECUTED = "not-executed"
    """Proven by unmoved counters of the same boot: may be sent again."""
    MAY_REPEAT = "may-repeat"
    """Not executed, or harmless to execute again, whatever was acknowledged before: sent again."""
    UNDECIDABLE = "undecidable"
    """Ask a person."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict and what it stands on."""

    verdict: StepVerdict
    evidence: Mapping[str, Any]
    outcome: Outcome | None = None
    """For a finished or failed program: what it brought."""


class Driver(Protocol):
    """One instrument.

    Every method raises an InstrumentError that says `sent: no | maybe | yes`.
    """

    COMMANDS: ClassVar[Mapping[str, CommandSpec]]
    CHANNELS: ClassVar[Mapping[str, ChannelSpec]]
    SAFE_ACTIONS: ClassVar[frozenset[str]]
    """What `safe_state` in a bench file may list."""
    HAS_WATCHDOG: ClassVar[bool]
    """Whether the device itself falls safe when we fall silent."""
    LONGEST_QUEUEING: ClassVar[float]
    """Wall seconds that the device may hold a command back before it acts on it."""
    LINKS: ClassVar[Collection[str]]
    """The kinds of link that it works on, the usual one first: `serial`, `tcp`, `visa`, `opcua`; `own` where it opens its device
    itself; none where it needs no link at all."""
    CALL_KEYS: ClassVar[frozenset[str]] = frozenset()
    """What it reads of a `calls` table beside `arguments` and `returns`; an instrument takes no calls where it is empty."""
    OPTIONS: ClassVar[frozenset[str]] = frozenset()
    """What it reads of `options` in a bench file."""
    OBJECT: ClassVar[bool] = False
    """Whether the instrument is an object that the bench file says how to make, with channels that it declares."""
    HAS_STATE: ClassVar[bool] = True
    """Whether what one run does to it matters to another; a run that waits for a person keeps it for itself then."""

    def __init__(self, transport: Any, settings: Settings, clock: Clock) -> None:
        """Bind one device of an open link; nothing is sent. BadInput when the bench file's settings do not fit."""
        ...

    @property
    def settings(self) -> Settings:
        """What the bench file says of it."""
        ...

    @classmethod
    def declared(cls, settings: Settings) -> "type[Driver]":
        """Return the driver with the commands and channels that the bench file declares of this instrument.

        Most drivers know their own. Asked before limits are read, which have the units of these commands.

        Args:
            settings: What the bench file says, but for `limits`.

        Raises:
            BadInput: A declaration that cannot be understood, or that this driver takes none of.
        """
        if settings.functions:
            raise BadInput(f"instrument {settings.name}: its driver knows its own commands; it takes no functions")
        if settings.calls:
            raise BadInput(f"instrument {settings.name}: its driver knows its own commands; it takes no calls")
        return cls

    @classmethod
    def files(cls, settings: Settings) -> Mapping[str, bytes]:
        """Return what it reads beside the bench file for this instrument, by its path from there: a copy must hold it."""
        del settings
        return {}

    @classmethod
    def check_settings(cls, settings: Settings) -> None:
        """Refuse, before any wire is opened, what the bench file asks of a device that it cannot keep.

        Not asked where the bench is made safe: an old bench file must not keep a heater on.

        Raises:
            BadInput: One line that names the instrument, what came and what is legal.
        """
        del settings  # most devices keep whatever the keys of a bench file allow

    @classmethod
    def inspected(cls, settings: Settings) -> Mapping[str, tuple[str, str]]:
        """Import what the bench file names for this instrument beside its driver, and look at it; nothing of it is carried out.

        Returns:
            Name in the file -> where its source lies, and that source's sha256.

        Raises:
            BadInput: One line: it cannot be imported, or not be used as declared.
        """
        del settings  # most drivers are all there is
        return {}

    def identify(self) -> Identity:
        """Ask the device what it is; changes nothing. DeviceError when it is not the one the bench file names."""
        ...

    def arm(self) -> None:
        """Arm the communication watchdog (and safe framing) where the bench file asks for it; may be repeated."""
        ...

    def refresh(self) -> None:
        """Refresh the device's watchdog; at least every third of its time."""
        ...

    def limit(self, command: str, argument: str) -> Limit | None:
        """Return the legal range: bench file, datasheet and device range intersected."""
        ...

    def check(self, call: Call) -> None:
        """Refuse unknown commands and arguments and values outside limits. LimitError (sent: no)."""
        ...

    def baseline(self, call: Call) -> Mapping[str, Any]:
        """Read the evidence that `reconcile` will compare with (JSON-able): boot id, totalizer, status, counters, session."""
        ...

    def perform(self, call: Call) -> Mapping[str, float | str]:
        """Check, send once, read back and compare; return what was sent. A dose or a program has only been started."""
        ...

    def outcome(self, call: Call, baseline: Mapping[str, Any]) -> Outcome:
        """Ask how a started dose or program stands; may be repeated."""
        ...

    def reconcile(self, call: Call, baseline: Mapping[str, Any]) -> Finding:
        """Decide from the device and the baseline what became of a command whose end nobody saw."""
        ...

    def read(self, channels: Sequence[str]) -> tuple[Reading, ...]:
        """Read channels by their own names; raw replies included. `step` and `seq` are left 0."""
        ...

    def cancel(self, call: Call) -> None:
        """End a running dose or program now; may be repeated."""
        ...

    def make_safe(self, action: str) -> None:
        """Carry out one safe action of SAFE_ACTIONS, without any precondition; may be repeated."""
        ...

    def close(self) -> None:
        """Release the transport; sends nothing."""
        ...
