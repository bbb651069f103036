"""What was proposed, approved, commanded and measured: the values that the ledger keeps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from orchestrator.domain.drift import DriftAlarm
from orchestrator.domain.environment import RunEnvironment
from orchestrator.domain.lifecycle import (
    CampaignStatus,
    MeasurementStatus,
    ProposalStatus,
    RunStatus,
    StepKind,
    StepStatus,
)
from orchestrator.domain.review import Signature
from orchestrator.domain.stop import Advice
from orchestrator.domain.values import Frozen, digest
from orchestrator.domain.work import WorkOrder
from orchestrator.errors import BadInput, Fault


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: tuple[object, ...]) -> bool:
    return not value


class Until(Frozen):
    """A step lasts until a channel has stayed within a distance of the setpoint."""

    channel: str
    """`instrument.channel`."""
    target: float
    """The value to reach, in the channel's unit."""
    within: float
    """Allowed distance, in the channel's unit."""
    hold: float
    """Lab seconds for which it must stay there."""
    timeout: float
    """Lab seconds after which the step has failed."""


class Step(Frozen):
    """One action on one instrument, fully computed: the bench host computes no setpoint."""

    index: int
    do: str
    """`instrument.command`, or `wait`, or `read`."""
    kind: StepKind
    arguments: dict[str, float | str] = Field(default_factory=dict)
    """Values in the units below; for `wait` the lab seconds under `time`."""
    units: dict[str, str] = Field(default_factory=dict)
    """Unit of each numeric argument."""
    channels: tuple[str, ...] = ()
    """For `read`: `instrument.channel` names."""
    until: Until | None = None
    interrupted: Literal["abort", "continue"] | Annotated[float, Field(gt=0)] = "abort"
    """What a gap in the host's life does to the run: ends it, nothing, or ends it after so many lab seconds."""
    work: WorkOrder | None = Field(default=None, exclude_if=_is_none)
    """What a person is asked to do; None, and not written, for everything else: hashes of steps without it stay."""

    @property
    def instrument(self) -> str | None:
        """The instrument's name; None for `wait` and `read`."""
        return self.do.partition(".")[0] if "." in self.do else None

    @property
    def command(self) -> str:
        """The command's name."""
        return self.do.rpartition(".")[2]


NORMAL_90: Final = 1.6448536269514722
"""Half width of a central 90 % interval, in standard deviations of a normal distribution: the one interval shown to people."""


class Prediction(Frozen):
    """What the surrogate expected of one target before the experiment."""

    mean: float
    sd: float
    """Standard deviation of a new measurement, noise included; in the target's unit."""

    @property
    def low(self) -> float:
        """Lower end of the 90 % interval."""
        return self.mean - NORMAL_90 * self.sd

    @property
    def high(self) -> float:
        """Upper end of the 90 % interval."""
        return self.mean + NORMAL_90 * self.sd

    def shown(self, unit: str = "") -> str:
        """Write it for people: the mean, and the 90 % interval of a new measurement."""
        return f"{self.mean:.4g} ({self.low:.4g} to {self.high:.4g}) {unit}".rstrip()


class Provenance(Frozen):
    """Everything from which a proposal can be computed again."""

    policy: str
    """Name and version, for example `bayesian/1`."""
    as_of: int
    """Ledger sequence number: what was measured, pending and rejected then."""
    seed: int
    settings: dict[str, Any] = Field(default_factory=dict)
    batch: int = 1
    """Number of the batch within the campaign, from 1."""
    position: int = 0
    """Index within the batch."""
    count: int = 1
    """Size of the batch."""
    acquisition: float | None = None
    predicted: dict[str, Prediction] = Field(default_factory=dict)
    predicted_as_of: int | None = None
    """Ledger sequence number of what `predicted` was made from, where that is not `as_of`: values of a person are predicted anew."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Fitted hyperparameters and the like, for people."""
    threads: int = 1
    device: str = "cpu"
    versions: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    """Wall seconds that computing the batch took."""


class Proposal(Frozen):
    """One revision of a configuration that a policy asks for."""

    proposal_id: str
    campaign: str
    number: int
    """Counts the campaign's proposals from 1."""
    revision: int = 1
    status: ProposalStatus = ProposalStatus.PROPOSED
    configuration: dict[str, float | str]
    steps: tuple[Step, ...]
    """The expanded procedure: what is approved is what is sent."""
    binding: dict[str, str] = Field(default_factory=dict)
    """Hashes of bench file and limits, and driver versions, that an approval binds."""
    replicates: int = 1
    provenance: Provenance
    decided_by: str | None = None
    """`person NAME`, `rule NAME` or `deadline`."""
    reason: str | None = None
    author: str | None = None
    """The person who suggested or edited this revision; None for a policy."""
    signatures: tuple[Signature, ...] = ()
    """Who has agreed to this content."""
    decided_lab: float | None = None
    """Lab seconds of the decision."""

    @property
    def content_hash(self) -> str:
        """The sha256 of what an approval binds."""
        steps = [step.model_dump(mode="json") for step in self.steps]
        return digest([self.configuration, steps, self.binding, self.replicates])


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


class ExperimentRun(Frozen):
    """One attempt to execute one replicate of an approved proposal, or an experiment that was done elsewhere."""

    run_key: str
    """UUIDv7 of this attempt; travels to the host and, as SupervisoryTaskId, to the device. Of an imported one a UUIDv8."""
    run_id: str
    """The replicate that all its attempts belong to."""
    attempt: int = 1
    campaign: str
    source: Literal["bench", "imported"] = "bench"
    """Where it was carried out: an imported one has no proposal, and counts for neither budget nor stocks."""
    proposal_id: str | None
    """None where it was imported."""
    revision: int
    """Of the proposal; 0 where it was imported."""
    replicate: int = 1
    status: RunStatus = RunStatus.QUEUED
    reason: str | None = None
    position: str | None = None
    """Sampler position, allotted at dispatch."""
    fence: int | None = None
    commanded: dict[str, float | str] = Field(default_factory=dict)
    """`instrument.command.argument` -> value sent."""
    measured: dict[str, float | str] = Field(default_factory=dict)
    """The measured configuration, from readbacks."""
    evidence: dict[str, Any] = Field(default_factory=dict)
    """Why an unknown was settled, or a new attempt allowed."""
    queued_lab: float | None = None
    started_lab: float | None = None
    ended_lab: float | None = None
    with_people: tuple[tuple[float, float], ...] = ()
    """From when to when it waited for a person, in lab seconds."""
    ingested: bool = False
    """Whether its readings have been reduced; set together with the measurements."""
    awaits: dict[str, float | None] = Field(default_factory=dict)
    """Targets whose values come after the run -> lab seconds at which they are overdue; None for never."""
    overdue: tuple[str, ...] = ()
    """Of these, the ones that did not come in time: nobody waits for them any longer."""
    environment: tuple[RunEnvironment, ...] = Field(default=(), exclude_if=_is_empty)
    """What was recorded beside it; not written where nothing is declared, or the run has not ended."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.proposal_id is None) != self.is_imported:
            raise ValueError(f"run {self.run_key}: a run has a proposal, unless it was imported")
        return self

    @property
    def active_lab(self) -> tuple[tuple[float, float], ...]:
        """From when to when it was carried out and waited for nobody, in lab seconds; empty while it has not ended."""
        if self.started_lab is None or self.ended_lab is None:
            return ()
        begins = (self.started_lab, *(end for _, end in self.with_people))
        ends = (*(begin for begin, _ in self.with_people), self.ended_lab)
        return tuple((begin, end) for begin, end in zip(begins, ends, strict=True) if end > begin)

    @property
    def is_imported(self) -> bool:
        """Whether it was done elsewhere."""
        return self.source == "imported"

    @property
    def approval(self) -> tuple[str, int]:
        """Name and revision of the proposal that it carries out.

        Raises:
            Fault: It was imported, and has none.
        """
        if self.proposal_id is None:
            raise Fault(f"run {self.run_key} was imported; it has no proposal")
        return self.proposal_id, self.revision


class Evidence(Frozen):
    """A file that somebody names as the source of a value; the file itself stays where it is."""

    name: str
    """The file's name, without its folder."""
    sha256: str
    """The hash of its bytes."""


class Measurement(Frozen):
    """Value and standard uncertainty of one target of one run."""

    measurement_id: str
    campaign: str
    run_key: str
    target: str
    replicate: int = 1
    revision: int = 1
    status: MeasurementStatus = MeasurementStatus.ACCEPTED
    value: float | None
    """In the target's unit; None where there was nothing to reduce, which `reason` then says."""
    uncertainty: float | None = None
    """Standard uncertainty, in the target's unit; None where nobody knows."""
    reduction: str
    """Name and version, for example `cdse-emission/1`; `entered/1` for what a person said."""
    raw_sha256: tuple[str, ...] = ()
    """Hashes of the raw readings it was reduced from."""
    reason: str | None = None
    """Why it is quarantined or retracted, or why it was added or corrected."""
    by: str | None = None
    """The person who told this revision; None for what was reduced from a run."""
    retracted_by: str | None = None
    """The person who took it back."""
    measured_at: datetime | None = None
    """When it was measured, where somebody said so; else when its run ended."""
    evidence: Evidence | None = None
    """The file that it was taken from, where one was named."""
    known_since: int | None = None
    """Ledger number since which the ledger had another accepted value in its place: what was proposed from there on rested on
    that. None where there was none."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.status is MeasurementStatus.ACCEPTED and self.value is None:
            raise ValueError(f"measurement of {self.target}: there is no value that could be accepted")
        return self

    @property
    def key(self) -> tuple[str, str, int]:
        """Run key, target and replicate: what its revisions share."""
        return self.run_key, self.target, self.replicate

    @property
    def accepted(self) -> float | None:
        """The value that models may learn from and people are shown as a result; None where there is none."""
        return self.value if self.status is MeasurementStatus.ACCEPTED else None


BEGINS: Final = {"converts": True, "searches_together": True}
"""What the snapshot of a campaign that begins now says beside its files; those that began before lack it, and go on as they did."""
DRY_TWIN: Final = "dry_twin"
"""Under this the snapshot of a dry campaign has the twin that its simulated tube runs, where it runs one in the place of its plant file's
constants."""


class CampaignRecord(Frozen):
    """A campaign's state."""

    name: str
    status: CampaignStatus = CampaignStatus.DRAFT
    reason: str | None = None
    snapshot: dict[str, Any] = Field(default_factory=dict)
    """The files as they were when the campaign began: texts and hashes."""
    fence: int = 0
    """Grows with each process that takes the campaign up; the host refuses older ones."""
    adapted: int = 0
    """What the last adaptation had seen: a ledger number, or in ledgers of before a number of runs."""
    adapted_counts: Literal["runs", "events"] = "runs"
    """What `adapted` counts: `events`, or in ledgers of before `runs` (measured or infeasible)."""
    forgiven_seq: int = 0
    """Ledger number up to which a person had seen what failed, when the campaign was last resumed."""
    forgiven: int = 0
    """In ledgers of before, the same as a number of runs: failed ones, and ones without an accepted value."""
    forgiven_infeasible: int = 0
    """In ledgers of before: infeasible runs."""
    advice: Advice | None = Field(default=None, exclude_if=_is_none)
    """What the model expected of further experiments when it last adapted; None, and not written, where nobody asks."""
    drifts: tuple[DriftAlarm, ...] = Field(default=(), exclude_if=_is_empty)
    """When the bench began to differ from its twin in another way than before; not written where it has not."""

    @property
    def converts(self) -> bool:
        """Whether readings become values in the units of their targets; what began in an earlier release takes numbers as they are read."""
        return bool(self.snapshot.get("converts", False))

    @property
    def searches_together(self) -> bool:
        """Whether proposals are searched together where the file does not say so; what began before goes on apart."""
        return bool(self.snapshot.get("searches_together", False))

    def refuse_ended(self) -> None:
        """Refuse what only a campaign that goes on can take; BadInput when it has ended."""
        if self.status.is_over:
            raise BadInput(f"campaign {self.name} has ended: {self.status} ({self.reason})")


@dataclass(frozen=True, slots=True)
class Reading:
    """Raw value of one channel at one moment."""

    step: int
    instrument: str
    channel: str
    unit: str
    quality: Literal["good", "uncertain", "bad"]
    wall: datetime
    lab: float
    """Lab seconds."""
    value: float | None = None
    array: tuple[float, ...] | None = None
    text: str | None = None
    raw: bytes = b""
    """The device's own bytes, kept before they are parsed."""
    sha256: str = ""
    seq: int = 0

    @property
    def name(self) -> str:
        """`instrument.channel`."""
        return f"{self.instrument}.{self.channel}"


@dataclass(frozen=True, slots=True)
class StepReport:
    """What the host's journal knows of one step."""

    index: int
    do: str
    status: StepStatus
    reason: str | None = None
    sent: dict[str, float | str] = field(default_factory=dict)
    """Arguments as sent."""
    started_lab: float | None = None
    ended_lab: float | None = None


@dataclass(frozen=True, slots=True)
class RunReport:
    """What the host knows of one run."""

    run_key: str
    revision: int
    """Grows with each change; for long-polls."""
    status: RunStatus
    reason: str | None = None
    steps: tuple[StepReport, ...] = ()
    evidence: dict[str, Any] = field(default_factory=dict)
    started_lab: float | None = None
    ended_lab: float | None = None
    environment: tuple[RunEnvironment, ...] = ()
    """What was recorded beside it, once it has ended."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the campaign hands to the host."""

    run_key: str
    run_id: str
    attempt: int
    campaign: str
    fence: int
    bench_sha256: str
    steps: tuple[Step, ...]
    position: str | None = None
