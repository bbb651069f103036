"""A prior as a file: one dict of tensors and JSON strings, and a hash over its content.

Loading never executes code: torch reads tensors and text, nothing else.
"""

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
from jaxtyping import Float
from pydantic import ValidationError
from torch import Tensor

from models.base import fields_of
from models.inputs.encoding import Encoding
from models.inputs.features import Descriptors, Features
from models.inputs.lift import Lift, lift
from models.meta_learning.audit import TaskMark
from models.meta_learning.packing import Flat, flat_hash, pack, unpack
from models.tasks import Family, Prior, TaskData
from orchestrator.domain.objective import Measured, Target
from orchestrator.domain.space import SearchSpace
from orchestrator.errors import BadInput
from orchestrator.units import convert

_SCHEMA: Final = 1
"""Grows when an older Athanor could misread a newer file."""
_PARTS: Final = ("about", "audit", "card", "descriptors", "space", "targets", "tasks", "trained")
"""Every prior has exactly these, each with its own tensors."""
_SCHEMA_KEY: Final = "athanor-prior"
_HASH_KEY: Final = "sha256"

DataOrigin = Literal["measured", "mixed", "simulated"]
Restore = Callable[[str, Mapping[str, Any], Family], Prior]
"""Name of a learner, state of what it learned, family -> the prior."""


@dataclass(frozen=True, slots=True)
class TaskColumn:
    """One thing that is known about each task: a number, scaled by the sources' range, or one of a few names."""

    name: str
    low: float = 0.0
    high: float = 1.0
    categories: tuple[str, ...] = ()
    """The sources' names; empty for a number."""

    @staticmethod
    def over(name: str, values: Sequence[float | str]) -> "TaskColumn":
        """Make the column that holds what is known of the sources.

        Raises:
            BadInput: Numbers and names are mixed.
        """
        texts = [value for value in values if isinstance(value, str)]
        numbers = [float(value) for value in values if not isinstance(value, str)]
        if texts and numbers:
            raise BadInput(f"task descriptor {name}: {texts[0]!r} and {numbers[0]:g} are mixed; expected numbers or names")
        return TaskColumn(name, categories=tuple(sorted(set(texts)))) if texts else TaskColumn(name, min(numbers), max(numbers))

    def encode(self, value: float | str) -> list[float]:
        """Return a number as 0 to 1 over the sources (beyond where it is beyond theirs), a name one-hot.

        Raises:
            BadInput: A name that no source has, or a number for a name.
        """
        if self.categories:
            if value not in self.categories:
                raise BadInput(f"task descriptor {self.name} = {value!r} is none of {', '.join(self.categories)}")
            return [float(value == category) for category in self.categories]
        if isinstance(value, str):
            raise BadInput(f"task descriptor {self.name} = {value!r} is not a number")
        return [(value - self.low) / ((self.high - self.low) or 1.0)]


def task_vector(columns: Sequence[TaskColumn], known: Mapping[str, float | str], *, what: str) -> Float[Tensor, " k"]:
    """Return what is known about a task as learners expect it; empty where nothing is.

    Raises:
        BadInput: Something else is known than of the sources, or only a part of it.
    """
    if not known:
        return torch.zeros(0, dtype=torch.float64)
    names = [column.name for column in columns]
    if unknown := [name for name in known if name not in names]:
        raise BadInput(f"{what}: no task descriptor {unknown[0]!r}; there are {', '.join(names) or 'none'}")
    if missing := [name for name in names if name not in known]:
        raise BadInput(f"{what}: the task descriptor {missing[0]!r} is missing; expected {', '.join(names)}")
    return torch.tensor([number for column in columns for number in column.encode(known[column.name])], dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a campaign's space, task and targets are those of a prior."""

    lift: Lift
    """From rows of the campaign's encoding to rows of the prior's."""
    task: Float[Tensor, " k"]
    """What is known about the task, as the learners expect it."""
    factors: Mapping[str, float]
    """Target -> how much of the prior's unit the campaign's is."""


@dataclass(frozen=True)
class PriorFile:
    """What meta-training made: a prior per target and learner, and all that is to be known of them."""

    name: str
    space: SearchSpace
    """Parameters alone: what the encoding needs."""
    targets: tuple[Target, ...]
    tasks: Mapping[str, tuple[TaskData, ...]]
    """Target -> the source tasks it was trained on, rows and all, in the encoding of `space`."""
    trained: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Learner -> target -> the prior's state; the first learner is the one that campaigns use."""
    descriptors: Descriptors = field(default_factory=dict)
    task_columns: tuple[TaskColumn, ...] = ()
    marks: Mapping[str, tuple[TaskMark, ...]] = field(default_factory=dict)
    """Target -> the audit's hashes of tasks, groups and rows."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """The model card's figures."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library -> version that trained it."""
    seed: int = 0
    sha256: str = ""
    """Hash of the content; set by saving and loading."""
    restore: Restore | None = field(default=None, compare=False)
    """How a learner's state becomes a prior again."""

    @property
    def learners(self) -> tuple[str, ...]:
        """The learners that were trained, the default first."""
        return tuple(self.trained)

    @property
    def origin(self) -> DataOrigin:
        """Whether the sources were measured, simulated, or both."""
        kinds = {task.fidelity for tasks in self.tasks.values() for task in tasks}
        return "mixed" if len(kinds) > 1 else "simulated" if kinds == {"simulated"} else "measured"

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the prior's space."""
        return Encoding(self.space)

    def family(self, target: str) -> Family:
        """Return inputs and target that its tasks share.

        Raises:
            BadInput: The prior knows no such target.
        """
        found = next((one for one in self.targets if one.name == target), None)
        if found is None:
            raise BadInput(f"prior {self.name} knows no target {target!r}; it knows {', '.join(one.name for one in self.targets)}")
        return Family(Features(self.encoding, self.descriptors), found.name, found.unit)

    def prior(self, target: str, learner: str | None = None) -> Prior:
        """Restore the prior of one target, of the default learner where none is named.

        Raises:
            BadInput: No such target or learner, or a state that the learner cannot read.
        """
        chosen = learner or self.learners[0]
        family = self.family(target)
        if chosen not in self.trained:
            raise BadInput(f"prior {self.name} was not trained with learner {chosen!r}; it has {', '.join(self.learners)}")
        assert self.restore is not None
        try:
            return self.restore(chosen, self.trained[chosen][target], family)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise BadInput(f"prior {self.name}: learner {chosen} cannot read what it learned of {target}: {error}") from error

    def lift(self, space: SearchSpace) -> Lift:
        """Return the affine map from a campaign's encoding to the prior's.

        Raises:
            BadInput: A parameter is missing, unknown or of another kind, or a category or component is unknown here.
        """
        return lift(space, self.space, what=f"prior {self.name}")

    def task_vector(self, known: Mapping[str, float | str]) -> Float[Tensor, " k"]:
        """Return what is known about a campaign's task, as the learners expect it.

        Raises:
            BadInput: Something else is known than of the sources.
        """
        return task_vector(self.task_columns, known, what=f"prior {self.name}")

    def fit(self, space: SearchSpace, targets: Sequence[Measured], known: Mapping[str, float | str]) -> Fit:
        """Fit the prior to a campaign; no learner is needed for that.

        Args:
            space: The campaign's space.
            targets: The campaign's targets.
            known: What is known about its task.

        Raises:
            BadInput: A parameter, category, descriptor, target or unit that does not fit.
        """
        units = {target.name: self.family(target.name).unit for target in targets}
        lifted, task = self.lift(space), self.task_vector(known)
        return Fit(lifted, task, {target.name: _factor(target, units[target.name], self.name) for target in targets})


def _factor(target: Measured, unit: str, prior: str) -> float:
    """Return how much of the prior's unit the campaign's is."""
    try:
        zero, one = (convert(value, target.unit, unit) for value in (0.0, 1.0))
    except BadInput as error:
        raise BadInput(f"prior {prior}: target {target.name} is in {unit or '1'} there and in {target.unit or '1'} here") from error
    if zero != 0.0:
        raise BadInput(f"prior {prior}: target {target.name} is in {unit} there and in {target.unit} here, which begin elsewhere")
    return one


def _flat(prior: PriorFile) -> Flat:
    about = {
        "name": prior.name,
        "learners": [*prior.learners],
        "versions": dict(prior.versions),
        "seed": prior.seed,
        "origin": prior.origin,
        "task_columns": [astuple(column) for column in prior.task_columns],
    }
    parts: dict[str, Any] = {
        "about": about,
        "audit": {target: [fields_of(one) for one in marks] for target, marks in prior.marks.items()},
        "card": prior.card,
        "descriptors": prior.descriptors,
        "space": SearchSpace(parameters=prior.space.parameters).model_dump(mode="json", exclude_none=True),
        "targets": [target.model_dump(mode="json", exclude_none=True) for target in prior.targets],
        "tasks": {target: [fields_of(task) for task in tasks] for target, tasks in prior.tasks.items()},
        "trained": prior.trained,
    }
    flat: Flat = {_SCHEMA_KEY: json.dumps(_SCHEMA)}
    for name in _PARTS:
        flat |= pack(name, parts[name])
    return flat


def save_prior(path: Path, prior: PriorFile) -> str:
    """Write a prior, all of it or nothing, and return the hash of its content.

    Raises:
        BadInput: The file cannot be written.
    """
    flat = _flat(prior)
    sha256 = flat_hash(flat)
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**flat, _HASH_KEY: sha256}, beside)
        beside.replace(path)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"prior {path} cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
    return sha256


def load_prior(path: Path, *, restore: Restore | None = None) -> PriorFile:
    """Read a prior; nothing in the file is executed.

    Args:
        path: The file.
        restore: How a learner's state becomes a prior; where it is left out, the file can be looked at but not adapted.

    Raises:
        BadInput: One line: no prior, of a newer schema, with missing or unknown parts, or altered since it was made.
    """
    flat = _read(path)
    _check(path, flat)
    try:
        return _assemble({name: value for name, value in flat.items() if name != _HASH_KEY}, cast(str, flat[_HASH_KEY]), restore)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ValidationError, BadInput) as error:
        complaint = " ".join(str(error).split())
        raise BadInput(f"prior {path} cannot be understood: {type(error).__name__}: {complaint}") from error


def _read(path: Path) -> dict[str, Tensor | str]:
    if not path.is_file():
        raise BadInput(f"there is no prior {path}; `athanor meta-train` makes one")
    if not zipfile.is_zipfile(path):  # what torch writes; older formats are pickles from their first byte
        raise BadInput(f"{path} is no prior: it holds other things than tensors and text; nothing of it was run")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadInput(f"{path} is no prior: it holds other things than tensors and text, or is damaged; nothing of it was run") from error
    if not isinstance(content, dict) or _SCHEMA_KEY not in content:
        raise BadInput(f"{path} is no prior: it has no {_SCHEMA_KEY!r}; expected a file that `athanor meta-train` made")
    if wrong := [key for key, value in content.items() if not isinstance(key, str) or not isinstance(value, Tensor | str)]:
        raise BadInput(f"{path} is no prior: {wrong[0]!r} is neither tensor nor text")
    return content


def _check(path: Path, flat: Mapping[str, Tensor | str]) -> None:
    schema = flat[_SCHEMA_KEY]
    if not isinstance(schema, str) or not schema.isdecimal():
        raise BadInput(f"prior {path}: schema {schema!r} is no number")
    if int(schema) > _SCHEMA:
        raise BadInput(f"prior {path} has schema {schema}, this Athanor reads {_SCHEMA}; a newer Athanor made it")
    known = {*_PARTS, _SCHEMA_KEY, _HASH_KEY}
    if missing := sorted(known - set(flat)):
        raise BadInput(f"prior {path}: {missing[0]!r} is missing")
    if unknown := sorted(name for name in flat if name.partition("/")[0] not in known):
        raise BadInput(f"prior {path}: unknown part {unknown[0]!r}; legal: {', '.join(_PARTS)}")
    came = flat_hash({name: value for name, value in flat.items() if name != _HASH_KEY})
    if came != flat[_HASH_KEY]:
        raise BadInput(f"prior {path} was altered: its content has sha256 {came}; it says {flat[_HASH_KEY]}")


def _assemble(flat: Flat, sha256: str, restore: Restore | None) -> PriorFile:
    parts = {name: unpack(name, flat) for name in _PARTS}
    about = parts["about"]
    return PriorFile(
        name=about["name"],
        space=SearchSpace.model_validate(parts["space"]),
        targets=tuple(Target.model_validate(one) for one in parts["targets"]),
        tasks={target: tuple(TaskData(**one) for one in tasks) for target, tasks in parts["tasks"].items()},
        trained={learner: parts["trained"][learner] for learner in about["learners"]},
        descriptors=parts["descriptors"],
        task_columns=tuple(TaskColumn(name, low, high, tuple(names)) for name, low, high, names in about["task_columns"]),
        marks={target: tuple(TaskMark.of(one) for one in marks) for target, marks in parts["audit"].items()},
        card=parts["card"],
        versions=about["versions"],
        seed=about["seed"],
        sha256=sha256,
        restore=restore,
    )


def known_priors(folder: Path) -> Sequence[Path]:
    """Return the files of a folder that may be priors, sorted."""
    return sorted(path for path in folder.glob("*.pt") if path.is_file())
