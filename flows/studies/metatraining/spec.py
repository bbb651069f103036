"""The file that `meta-train` reads: the space aimed at, the sources, and what is to be trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from models.tasks import Fidelity
from orchestrator.domain.objective import Target
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.presence import refuse_empty_conditions
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Frozen, explain
from orchestrator.domain.written import Flag, Number, Whole
from orchestrator.errors import BadInput
from orchestrator.tablefile import Dialect
from orchestrator.textfile import read_toml

SourceKind = Literal["campaigns", "family", "twin", "files"]


class PriorSpec(Frozen):
    """What is made."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]{0,62}$")]
    """What the prior is called; also its file's name where `out` is left out."""
    out: str | None = None
    """The file, relative to this one; `priors/NAME.pt` where it is left out."""

    def place(self, folder: Path) -> Path:
        """Return where the prior is written by a file of that folder."""
        return folder / (self.out or f"priors/{self.name}.pt")


class SourceSpec(Dialect):
    """Where tasks come from: past campaigns, a simulated family or tables; in the space's terms on the left of each table."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["campaigns", "lab"]},
                {"required": ["family", "tasks", "rows"]},
                {"required": ["twin", "tasks", "rows"]},
                {"required": ["files"]},
            ]
        }
    )

    campaigns: tuple[str, ...] | None = None
    """Names of campaigns in the ledger of `lab`, with what is measured by then; `["*"]` for all of them."""
    lab: str | None = None
    """Lab folder, relative to this file."""
    family: str | None = None
    """A family of simulated chemistries."""
    twin: str | None = None
    """A bench file, relative to this one: tasks are what its twin predicts with constants that are drawn from their priors."""
    tasks: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """How many tasks to draw."""
    rows: Annotated[Whole, Field(ge=2, le=100_000)] | None = None
    """Experiments per task."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] = 0
    """Seed of the hidden constants and of the noise."""
    files: tuple[str, ...] | None = None
    """CSV files, relative to this one or to the data folder."""
    task: str | None = None
    """Column that says which task a row belongs to; where it is left out, each file is a task, named after it."""
    group: str | dict[str, str] | None = None
    """Column with each task's group, or a table task -> group."""
    only: tuple[str, ...] | None = None
    """The only tasks to take."""
    without: tuple[str, ...] = ()
    """Tasks to leave out."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Column of the space, or target -> the source's own name; `composition.X` may name a component that only the source has."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Composition -> pattern of the source's columns with one `*` for the component, for example `*_load`."""
    units: dict[str, str] = Field(default_factory=dict)
    """The source's own name -> its unit, for tables; where it is left out, the space's unit."""
    constants: dict[str, Number | str] = Field(default_factory=dict)
    """Value, or text with unit, of a column that the source does not have."""
    ignore: tuple[str, ...] = ()
    """Parameters of past campaigns that the space does not have."""
    descriptors: dict[str, dict[str, Number | str]] = Field(default_factory=dict)
    """Task -> what is known about it."""
    describe: Flag = False
    """Whether a family's own knowledge of its tasks (classes of precursor and ligand) is learned as well."""
    randomise: Flag = False
    """Whether gain, offset, noise and outliers of simulated tasks are drawn anew, task by task."""
    fidelity: Fidelity | None = None
    """Measured or simulated; where it is left out, what the source is."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("campaigns", "family", "twin", "files") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a source has one of campaigns, family, twin, files; this one has {' and '.join(given) or 'none'}")
        if self.campaigns is not None and self.lab is None:
            raise ValueError("campaigns need a lab")
        drawn = self.family is not None or self.twin is not None
        if drawn and (self.tasks is None or self.rows is None):
            raise ValueError(f"{self.label} needs tasks and rows")
        if drawn and self.fidelity == "measured":
            raise ValueError(f"{self.label} is simulated; it cannot count as measured")
        if self.describe and self.family is None:
            raise ValueError("describe belongs to a family; give descriptors a table task -> {name: value}")
        if self.randomise and not drawn and self.fidelity != "simulated":
            raise ValueError('randomise belongs to simulated sources; give a family, or fidelity = "simulated"')
        if isinstance(self.group, str) and self.files is None:
            raise ValueError("group names a column only where files are read; expected a table task -> group")
        if self.files is None and (foreign := self.model_fields_set & set(Dialect.model_fields)):
            raise ValueError(f"{sorted(foreign)[0]} belongs to files; a {self.kind} source has none")
        if patterns := [pattern for pattern in self.columns.values() if pattern.count("*") != 1]:
            raise ValueError(f"columns pattern {patterns[0]!r}: expected exactly one * for the component")
        return self

    @property
    def kind(self) -> SourceKind:
        """What the tasks are drawn from."""
        given: tuple[SourceKind, ...] = ("campaigns", "family", "twin")
        return next((name for name in given if getattr(self, name) is not None), "files")

    @property
    def label(self) -> str:
        """What a message calls it."""
        if self.family is not None:
            return f"family {self.family}"
        if self.twin is not None:
            return f"twin of {self.twin}"
        names = self.campaigns or self.files or ()
        return f"{self.kind} {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"

    def group_of(self, task: str) -> str | None:
        """Return the declared group of a task."""
        return self.group.get(task) if isinstance(self.group, dict) else None

    def takes(self, task: str) -> bool:
        """Say whether a task is wanted."""
        return task not in self.without and (self.only is None or task in self.only)


class TrainSpec(Frozen):
    """How it is trained."""

    learners: Annotated[tuple[str, ...], Field(min_length=1)] = ("default",)
    """Names of learners; the first is the one that campaigns use."""
    seed: Annotated[Whole, Field(ge=0, lt=2**31)] = 0
    """Seed of the training."""


class MetaSpec(Frozen):
    """A whole file."""

    prior: PriorSpec
    """What is made."""
    parameters: Annotated[tuple[Parameter, ...], Field(min_length=1)]
    """The space aimed at, one `[[parameters]]` each, as in a campaign file."""
    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    """What is learned, one `[[targets]]` each, as in a campaign file."""
    descriptors: dict[str, str] = Field(default_factory=dict)
    """Categorical or composition -> CSV file with a `name` column and one numeric column per property."""
    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]
    """Where it is learned from, one `[[sources]]` each."""
    train: TrainSpec = TrainSpec()
    """How it is trained."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [target.name for target in self.targets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"target {twice[0]} is declared twice")
        refuse_empty_conditions(self.parameters)
        known = [parameter.name for parameter in self.parameters]
        if unknown := [name for name in self.descriptors if name not in known]:
            raise ValueError(f"descriptors of {unknown[0]!r}, which is no parameter; known: {', '.join(known)}")
        return self


_LEGAL: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    (): tuple(MetaSpec.model_fields),
    ("prior",): tuple(PriorSpec.model_fields),
    ("sources",): (*(name for name in SourceSpec.model_fields if name not in Dialect.model_fields), *Dialect.model_fields),
    ("train",): tuple(TrainSpec.model_fields),
    ("targets",): tuple(Target.model_fields),
}


@dataclass(frozen=True)
class MetaFile:
    """A checked file."""

    path: Path
    spec: MetaSpec
    data: Path | None = None
    """The data folder, where one is named."""

    @property
    def out(self) -> Path:
        """Where the prior is written."""
        return self.spec.prior.place(self.path.parent)

    @property
    def space(self) -> SearchSpace:
        """The space aimed at.

        Raises:
            BadInput: Parameters that do not go together.
        """
        try:
            return SearchSpace(parameters=self.spec.parameters)
        except ValidationError as error:
            raise explain(error, what=str(self.path)) from error

    def find(self, name: str, *, what: str) -> Path:
        """Locate a file that this one names: beside it, else in the data folder.

        Raises:
            BadInput: It is in neither.
        """
        places = [self.path.parent / name, *([self.data / name] if self.data is not None else [])]
        for place in places:
            if place.is_file():
                return place
        raise BadInput(
            f"{what}: there is no {' and no '.join(map(str, places))}; give --data DIR or set ATHANOR_DATA where it lies elsewhere"
        )


def load_meta_file(path: Path, *, data: Path | None = None) -> MetaFile:
    """Read and check a file for `meta-train`.

    Raises:
        BadInput: One line that names the file, the key, what came and what is legal.
    """
    path = path.resolve()
    document = read_toml(path, what=f"file {path}")
    try:
        spec = MetaSpec.model_validate(document)
    except ValidationError as error:
        raise explain(error, what=str(path), legal=_LEGAL) from error
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    file = MetaFile(path, spec, data)
    file.space  # noqa: B018  # its own checks
    return file
