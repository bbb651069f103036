"""The campaign file: search space, targets, budget, policy, review rules and where it is carried out."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict

from orchestrator.domain.budget import Budget, number_or_table
from orchestrator.domain.candidates import read_candidates
from orchestrator.domain.constraints import Constraint
from orchestrator.domain.objective import Objective, ObjectiveSpec, Outcome, Target
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.presence import refuse_empty_conditions
from orchestrator.domain.review_rules import ReviewRule, ReviewSpec
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.stop import StopSpec
from orchestrator.domain.surrogate_spec import SurrogateSpec
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Number, Whole, never, when
from orchestrator.errors import BadInput
from orchestrator.tablefile import Dialect
from orchestrator.textfile import parse_toml, read_text

_PLACE: Final = "a campaign has either a bench (campaign.bench) or a table ([recorded])"


class GeneralSpec(Frozen):
    """What concerns the campaign as a whole."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """What the ledger, reports and exports call the campaign: small letters, digits and hyphens."""
    bench: str | None = None
    """The bench file, relative to this one; a campaign has either this or `[recorded]`, unless it is only asked from Python."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] = 0
    """Seed of everything that the policy draws: the same seed and history give the same proposals."""
    budget: Annotated[Budget, Field(json_schema_extra=number_or_table)]
    """Experiments to carry out, failed ones included; or a table that limits more than these."""
    batch: Annotated[Whole, Field(ge=1, le=96)] = 1
    """Proposals made at once."""
    in_flight: Annotated[Whole, Field(ge=1, le=96)] | None = None
    """Experiments that may be open at once; a batch where it is left out."""
    replicates: Annotated[Whole, Field(ge=1, le=20)] = 1
    """Runs of each proposal."""
    goal: Number | None = None
    """Objective value at which the campaign is finished: the score that reports show, 0 to 1 where targets are combined; of a
    Pareto front the share of the hypervolume between the reference point and the ends of the scales."""
    max_failures: Annotated[Whole, Field(ge=1)] = 3
    """So many runs in a row that failed, or whose values were all quarantined, pause the campaign."""
    max_infeasible: Annotated[Whole, Field(ge=1)] = 10
    """So many infeasible runs in a row pause it, although each is information."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.in_flight is not None and self.in_flight < self.batch:
            raise ValueError(f"in_flight {self.in_flight} is below batch {self.batch}")
        return self


class RecordedSpec(Frozen):
    """A table of measured experiments that answers instead of a bench."""

    table: str
    """Its name in the registry of recorded tables."""
    task: dict[str, str | Number] = Field(default_factory=dict)
    """Only rows with these values."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Column of the table by column of the search space or target, where the names differ."""


class CandidatesSpec(Dialect):
    """A CSV file with the only configurations that may be proposed."""

    file: str
    """The table, relative to this file: one column per parameter (`name.component` for compositions)."""


class PolicySpec(Frozen):
    """Which policy proposes; further keys are the policy's own settings."""

    kind: str = "bayesian"
    """`bayesian` asks a model where to look next, `sobol` fills the space evenly, `random` draws."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The policy's settings; they may as well stand beside `kind`, but not in both places."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "settings" in data:
            return data
        return {"kind": data.get("kind", "bayesian"), "settings": {key: value for key, value in data.items() if key != "kind"}}


def _of_kind(kind: str, **tables: JsonDict) -> JsonDict:
    """Describe what tables hold with an objective of a kind."""
    return {"if": {"properties": {"objective": when("kind", kind)["if"]}, "required": ["objective"]}, "then": {"properties": {**tables}}}


_BAYESIAN: Final[JsonDict] = {"properties": {"kind": {"const": "bayesian"}}}
_SCORE: Final[JsonDict] = {"properties": {"kind": {"const": "utility"}}}


class CampaignSpec(Frozen):
    """A whole campaign file."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"required": ["recorded"]},
            "then": {**never("candidates"), "properties": {"campaign": never("bench")}},
            "allOf": [
                _of_kind("pareto", targets={"minItems": 2}),
                _of_kind("explore", campaign=never("goal")),
                _of_kind("level", campaign=never("goal"), targets={"maxItems": 1}),
                {
                    "if": {"properties": {"surrogate": when("beliefs", "learned")["if"]}, "required": ["surrogate"]},
                    "then": {"properties": {"policy": _BAYESIAN}},
                },
            ],
            "dependentSchemas": {
                "stop": {"properties": {"policy": _BAYESIAN, "objective": _SCORE}},
                "outcomes": {"properties": {"objective": _SCORE}},
            },
        }
    )

    campaign: GeneralSpec
    """The campaign as a whole."""
    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1)]
    """What may be varied, one `[[parameters]]` each."""
    constraints: tuple[Constraint, ...] = ()
    """What must hold between parameters, one `[[constraints]]` each."""
    candidates: CandidatesSpec | None = None
    """A table of the only configurations that may be proposed."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """What is measured and wanted, one `[[targets]]` each; several are combined by their weights."""
    objective: ObjectiveSpec = ObjectiveSpec()
    """What is wanted of the targets together."""
    outcomes: tuple[Outcome, ...] = ()
    """Limits on what comes out, one `[[outcomes]]` each: on a target, or on another quantity that is measured."""
    recorded: RecordedSpec | None = None
    """A table of measured experiments that answers instead of a bench."""
    policy: PolicySpec = PolicySpec()
    """What proposes."""
    surrogate: SurrogateSpec = SurrogateSpec(kind="gp")
    """What the `bayesian` policy's model is; a Gaussian process that begins from nothing where the table is left out."""
    review: ReviewSpec = ReviewSpec()
    """Who must agree before an experiment is carried out."""
    stop: StopSpec | None = None
    """When further experiments are worth nothing; nothing of it is computed where the table is left out."""

    @model_validator(mode="before")
    @classmethod
    def _outcomes_on_targets(cls, data: Any) -> Any:
        """Take from a target what it says of itself: an outcome on it is in its unit, and comes when it comes."""
        if not isinstance(data, dict) or not isinstance(data.get("outcomes"), list) or not isinstance(data.get("targets"), list):
            return data
        said = {
            one.get("name"): {key: one[key] for key in ("unit", "from", "due") if key in one}
            for one in data["targets"]
            if isinstance(one, dict)
        }
        rows = [{**said.get(row.get("name"), {}), **row} if isinstance(row, dict) else row for row in data["outcomes"]]
        return {**data, "outcomes": rows}

    @model_validator(mode="before")
    @classmethod
    def _constraint_kinds(cls, data: Any) -> Any:
        """Read the kind of a constraint from the key that it has."""
        if not isinstance(data, dict) or not isinstance(data.get("constraints"), list):
            return data
        rows = [
            {"kind": "linear" if "coefficients" in row else "expression", **row} if isinstance(row, dict) else row
            for row in data["constraints"]
        ]
        return {**data, "constraints": rows}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.campaign.bench is not None and self.recorded is not None:
            raise ValueError(_PLACE)
        refuse_empty_conditions(self.parameters)
        if self.recorded is not None and self.candidates is not None:
            raise ValueError("a recorded table is itself the candidate table; leave [candidates] out")
        if self.surrogate.kind != "gp" and self.policy.kind != "bayesian":
            raise ValueError(f"[surrogate] belongs to policy 'bayesian'; policy {self.policy.kind!r} asks no model")
        if self.stop is not None and self.policy.kind != "bayesian":
            raise ValueError(f"[stop] belongs to policy 'bayesian'; policy {self.policy.kind!r} asks no model")
        if self.stop is not None and self.objective.kind != "utility":
            raise ValueError(f'[stop] belongs to objective.kind = "utility"; got "{self.objective.kind}"')
        names = [*dict.fromkeys(one.name for one in (*self.targets, *self.outcomes))]
        for rule in self.review.when:
            if rule.quantity.startswith("sd.") and rule.quantity[3:] not in names:
                raise ValueError(f"review rule {rule.name!r}: {rule.quantity} names no target; legal: sd.{', sd.'.join(names)}")
        return self


_LEGAL: Final = {
    (): tuple(CampaignSpec.model_fields),
    ("campaign",): tuple(GeneralSpec.model_fields),
    ("campaign", "budget"): tuple(Budget.model_fields),
    ("recorded",): tuple(RecordedSpec.model_fields),
    ("candidates",): ("file", *Dialect.model_fields),
    ("surrogate",): tuple(SurrogateSpec.model_fields),
    ("review",): tuple(ReviewSpec.model_fields),
    ("review", "when"): tuple(ReviewRule.model_fields),
    ("stop",): tuple(StopSpec.model_fields),
    ("targets",): tuple(field.alias or name for name, field in Target.model_fields.items()),
    ("objective",): tuple(ObjectiveSpec.model_fields),
    ("outcomes",): tuple(field.alias or name for name, field in Outcome.model_fields.items()),
}


@dataclass(frozen=True)
class CampaignFile:
    """A checked campaign file."""

    path: Path
    text: str
    spec: CampaignSpec
    candidates_text: str | None = None

    @property
    def name(self) -> str:
        """The campaign's name."""
        return self.spec.campaign.name

    @property
    def sha256(self) -> str:
        """The hash of the file's bytes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def bench_path(self) -> Path | None:
        """The bench file's path."""
        return self.path.parent / self.spec.campaign.bench if self.spec.campaign.bench else None

    @property
    def prior_path(self) -> Path | None:
        """The prior's path; None where none is adapted."""
        return self.path.parent / self.spec.surrogate.prior if self.spec.surrogate.prior else None

    def refuse_unhonoured(self) -> None:
        """Refuse keys that are legal by themselves but that nothing reads in this file; what is stored stays readable.

        Raises:
            BadInput: Names the key and what it belongs to.
        """
        for complaint in _unhonoured(self.spec):
            raise BadInput(f"{self.path}: {complaint}")

    @property
    def objective(self) -> Objective:
        """The targets combined.

        Raises:
            BadInput: Targets that cannot be combined.
        """
        try:
            wanted = self.spec.objective
            return Objective(targets=self.spec.targets, kind=wanted.kind, reference=wanted.reference, outcomes=self.spec.outcomes)
        except ValidationError as error:
            raise explain(error, what=str(self.path)) from error
        except BadInput as error:
            raise BadInput(f"{self.path}: {error}") from error

    def space(
        self, *, more_constraints: tuple[Constraint, ...] = (), candidates: tuple[dict[str, float | str], ...] | None = None
    ) -> SearchSpace:
        """Build the search space, with a bench's reachable region or a recorded pool where there is one.

        Raises:
            BadInput: Names the parameter, constraint or row that is wrong.
        """
        try:
            rows = candidates if candidates is not None else self._candidate_rows()
            return SearchSpace(parameters=self.spec.parameters, constraints=(*self.spec.constraints, *more_constraints), candidates=rows)
        except ValidationError as error:
            raise explain(error, what=str(self.path)) from error

    def _candidate_rows(self) -> tuple[dict[str, float | str], ...] | None:
        if self.candidates_text is None:
            return None
        assert self.spec.candidates is not None
        table = self.spec.candidates
        space = SearchSpace(parameters=self.spec.parameters)
        return read_candidates(self.candidates_text, space, what=str(self.path.parent / table.file), dialect=table.dialect)


def _unhonoured(spec: CampaignSpec) -> Iterator[str]:
    if spec.outcomes and spec.objective.kind != "utility":
        yield f'[[outcomes]] belong to objective.kind = "utility"; got "{spec.objective.kind}", which knows no limits'
    if spec.objective.kind in ("explore", "level") and spec.campaign.goal is not None:
        yield f'campaign.goal belongs to objective.kind = "utility" or "pareto"; with "{spec.objective.kind}" nothing is best'
    if spec.surrogate.kind == "gp" and not spec.surrogate.guard:
        yield 'surrogate.guard = false belongs to kind = "default"; a "gp" has no prior to guard against'
    if spec.surrogate.beliefs == "learned" and spec.policy.kind != "bayesian":
        yield f"surrogate.beliefs = \"learned\" belongs to policy 'bayesian'; policy {spec.policy.kind!r} asks no model"
    if spec.review.first and spec.review.mode != "rules":
        yield f'review.first = {spec.review.first} belongs to mode = "rules"; mode is "{spec.review.mode}"'
    if spec.campaign.batch > 1 and all(one.same_in_batch for one in spec.parameters):
        yield f"every parameter is same_in_batch, so that a batch of {spec.campaign.batch} would be one experiment; leave one free"
    for one in (*spec.targets, *spec.outcomes):
        if one.comes == "later" and spec.recorded is not None:
            yield f'{one.label}: from = "later" belongs to a bench; a recorded table answers at once'
    for target in spec.targets:
        given = [key for key, value in (("low", target.low), ("high", target.high)) if value is not None]
        if target.goal == "match" and given:
            yield f'target {target.name}: {given[0]} belongs to "maximise" and "minimise"; a match is scored by its tolerance'
        if target.goal != "match" and len(given) == 1:
            yield f"target {target.name}: low and high go together; only {given[0]} is given"


def parse_campaign(text: str, path: Path, candidates: str | None = None, *, free: bool = False) -> CampaignFile:
    """Check the text of a campaign file.

    Args:
        text: The file's text.
        path: Where it stands or stood; other files are named relative to it.
        candidates: Text of the candidate table; read from its file where it is left out.
        free: Whether it may have neither bench nor table.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    document = parse_toml(text, what=f"campaign file {path}")
    try:
        spec = CampaignSpec.model_validate(document)
    except ValidationError as error:
        raise explain(error, what=str(path), legal=_LEGAL) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    if spec.campaign.bench is None and spec.recorded is None and not free:
        raise BadInput(f"{path}: {_PLACE}")
    return CampaignFile(path, text, spec, candidates if candidates is not None else _candidates_text(path, spec))


def load_campaign(path: Path, *, free: bool = False) -> CampaignFile:
    """Read and check a campaign file, which may have neither bench nor table where it is `free`.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    return parse_campaign(read_text(path, what=f"campaign file {path}"), path, free=free)


def _candidates_text(path: Path, spec: CampaignSpec) -> str | None:
    if spec.candidates is None:
        return None
    table = path.parent / spec.candidates.file
    return read_text(table, what=f"{path}: candidate table {table}", encoding=spec.candidates.encoding)
