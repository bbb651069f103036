"""The benchmark file: where tasks come from, which are judged, what is left out, and what is run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, Parameter
from orchestrator.domain.presence import refuse_empty_conditions
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Whole
from orchestrator.errors import BadInput
from orchestrator.tablefile import Dialect
from orchestrator.textfile import read_toml

Leave = Literal["task", "group"]
Identical = Literal["drop", "keep"]

ELEMENTS: Final = "elements"
"""What a composition's `descriptors` say where its components are chemical elements."""


class DataSpec(Dialect):
    """Where the tasks come from: tables of recorded experiments, or a family of simulated problems."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["family", "tasks", "pool"]}, {"required": ["files"], "properties": {"files": {"minItems": 1}}}]
        }
    )

    files: tuple[str, ...] = ()
    """CSV files, relative to the data folder."""
    task: str | None = None
    """Column that tells tasks apart; without it each file is one task, called by its stem."""
    group: str | dict[str, str] | None = None
    """Column, or task -> group; None where nobody knows."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Configuration's column or target -> file's column, where the names differ."""
    family: str | None = None
    """A simulated family's name."""
    tasks: Annotated[Whole, Field(ge=2)] | None = None
    """So many draws of the family's hidden constants."""
    pool: Annotated[Whole, Field(ge=2)] | None = None
    """Candidates of each simulated task."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """Seed of the family's hidden constants."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.files) == (self.family is not None):
            raise ValueError("tasks come either from files or from a family; give one of them")
        if not self.files and (foreign := self.model_fields_set & set(Dialect.model_fields)):
            raise ValueError(f"{sorted(foreign)[0]} belongs to files; a family has none")
        if self.family is not None and (self.tasks is None or self.pool is None):
            raise ValueError(f"family {self.family!r} needs tasks and pool")
        return self


class SplitSpec(Frozen):
    """Which tasks are judged, and what their priors must not have seen."""

    judge: Annotated[tuple[str, ...], Field(min_length=1)]
    """The tasks that are replayed."""
    leave: Leave = "task"
    """What no prior may have seen: `task`: the judged task; `group`: its whole group."""
    identical: Identical
    """Whether source rows with the parameters of a judged row are dropped."""


class RunSpec(Frozen):
    """What is replayed."""

    budget: Whole | dict[str, Whole]
    """Experiments of a replay, the initial ones included; a number, or one per task."""
    initial: Annotated[Whole, Field(ge=0)] = 3
    """Random rows first, the same for all surrogates."""
    batch: Annotated[Whole, Field(ge=1)] = 1
    """Proposals made at once."""
    seeds: Annotated[Whole, Field(ge=1)] = 10
    """Replays of each task, from seed 0."""
    surrogates: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of surrogates; `reference/policies` lists them."""

    def experiments(self, task: str) -> int:
        """Return a task's budget."""
        return self.budget if isinstance(self.budget, int) else self.budget[task]


class BenchmarkSpec(Frozen):
    """A whole benchmark file."""

    data: DataSpec
    """Where tasks come from."""
    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1)]
    """What the tasks vary, one `[[parameters]]` each, as in a campaign file; a categorical or composition may have `descriptors`."""
    descriptors: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Parameter -> file columns that describe its categories, or `elements`; stands at the parameters in the file."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """What is made large, small or matched, one `[[targets]]` each, as in a campaign file."""
    split: SplitSpec
    """Which tasks are judged."""
    run: RunSpec
    """What is replayed."""

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        """Take `descriptors` from the parameters, which do not know them."""
        if not isinstance(data, dict) or not isinstance(data.get("parameters"), list):
            return data
        if "descriptors" in data:
            raise ValueError("descriptors stand at the parameters that they describe, not in a table of their own")
        rows = data["parameters"]
        found = {str(row.get("name", "?")): row["descriptors"] for row in rows if isinstance(row, dict) and "descriptors" in row}
        kept = [{key: value for key, value in row.items() if key != "descriptors"} if isinstance(row, dict) else row for row in rows]
        return {**data, "parameters": kept, "descriptors": found}

    @model_validator(mode="after")
    def _check(self) -> Self:
        refuse_empty_conditions(self.parameters)
        for parameter in self.parameters:
            self._check_descriptors(parameter)
        if isinstance(self.run.budget, dict) and (lacking := [task for task in self.split.judge if task not in self.run.budget]):
            raise ValueError(f"run.budget has no entry for task {lacking[0]}")
        for task in self.split.judge:
            if self.run.experiments(task) <= self.run.initial:
                raise ValueError(f"task {task}: budget {self.run.experiments(task)} leaves nothing after {self.run.initial} initial rows")
        if self.split.leave == "group" and self.data.group is None:
            raise ValueError('split.leave = "group" needs declared groups; data.group is missing: only leave = "task" can be judged')
        return self

    def _check_descriptors(self, parameter: Parameter) -> None:
        named = self.descriptors.get(parameter.name)
        if named is None:
            return
        if isinstance(parameter, CompositionParameter) and named == ELEMENTS:
            return
        if not isinstance(parameter, CategoricalParameter) or isinstance(named, str):
            raise ValueError(
                f"parameter {parameter.name}: descriptors = {named!r}; expected a list of file columns for a categorical, "
                f'or "{ELEMENTS}" for a composition'
            )


@dataclass(frozen=True)
class BenchmarkFile:
    """A benchmark file, checked."""

    path: Path
    spec: BenchmarkSpec

    @property
    def space(self) -> SearchSpace:
        """The space of all tasks."""
        return SearchSpace(parameters=self.spec.parameters)

    @property
    def objective(self) -> Objective:
        """What is made large."""
        return Objective(targets=self.spec.targets)


def load_benchmark(path: Path) -> BenchmarkFile:
    """Read and check a benchmark file.

    Raises:
        BadInput: One line that names the key, what came and what is legal.
    """
    document = read_toml(path, what=f"benchmark file {path}")
    try:
        file = BenchmarkFile(path, BenchmarkSpec.model_validate(document))
        file.space, file.objective  # noqa: B018  # their own checks
    except ValidationError as error:
        raise explain(error, what=str(path)) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return file
