"""Making a prior: sources -> tasks in one space -> learners -> what campaigns adapt from, and how far it can be trusted."""

import hashlib
import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any, Final

import torch

from flows.studies.family import SimulatedFamily
from flows.studies.metatraining.judging import LEAST_SD, Adapting, baselines, judge_predictors
from flows.studies.metatraining.matching import Matched, match
from flows.studies.metatraining.spec import MetaFile
from flows.studies.metatraining.tasks import RawTask, read_tasks
from models.base import known_variances
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from models.meta_learning.audit import mark, overlaps
from models.meta_learning.checkpoint import PriorFile, Restore, TaskColumn, task_vector
from models.meta_learning.randomisation import randomise
from models.tasks import LEAST_ROWS, Family, MetaLearner, Prior, TaskData, family_scale, folds
from orchestrator.domain.objective import Target, constant_note
from orchestrator.domain.values import canonical
from orchestrator.errors import BadInput

CARD_FOLDS: Final = 3
"""Folds judged for the model card: each costs one training per learner and target."""
CARD_TASKS: Final = 2
"""Tasks judged per fold."""
logger = logging.getLogger(__name__)

_LIBRARIES: Final = ("athanor", "torch", "botorch", "gpytorch", "numpy")

Say = Callable[[str], None]
"""Tells a person how far it is, one line per stage."""
Curve = list[dict[str, float]]
"""A learning curve: one point per look of a training at itself."""


@dataclass(frozen=True)
class Workshop:
    """What training needs beside the file."""

    learners: Mapping[str, Callable[[], MetaLearner]]
    restore: Restore
    families: Mapping[str, SimulatedFamily] = field(default_factory=dict)
    say: Say = field(default=logger.info)
    card: bool = True
    """Whether the figures of the model card are computed."""


def train(file: MetaFile, workshop: Workshop) -> PriorFile:
    """Make a prior from a checked file; the same file, data and threads give the same content, bit for bit.

    Raises:
        BadInput: A source that does not fit, a learner that does not exist, or nothing to learn from.
    """
    if unknown := [name for name in file.spec.train.learners if name not in workshop.learners]:
        raise BadInput(f"{file.path}: learner {unknown[0]!r} is unknown; known: {', '.join(workshop.learners)}")
    raw = read_tasks(file, workshop.families)
    matched = match(file, raw)
    columns = _task_columns(raw)
    notes: list[str] = []
    tasks = {target.name: _tasks_of(target, raw, matched, columns, notes) for target in file.spec.targets}
    for note in notes:
        workshop.say(f"note: {note}")
    return _Training(file, workshop, matched, tasks, columns, notes).run()


def seeded(seed: int, *what: str) -> torch.Generator:
    """Return a generator that depends on its arguments alone."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(canonical([seed, *what]).encode()).digest()[:7], "big"))


def _task_columns(raw: Sequence[RawTask]) -> tuple[TaskColumn, ...]:
    known = [task.known for task in raw]
    names = sorted({name for one in known for name in one})
    for task, one in zip(raw, known, strict=True):
        if missing := [name for name in names if name not in one]:
            raise BadInput(f"{task.label}: the task descriptor {missing[0]!r} is missing; other tasks have it")
    return tuple(TaskColumn.over(name, [one[name] for one in known]) for name in names)


def _tasks_of(
    target: Target, raw: Sequence[RawTask], matched: Matched, columns: Sequence[TaskColumn], notes: list[str]
) -> tuple[TaskData, ...]:
    """Collect the tasks in which a target was measured often enough."""
    encoding, found = Encoding(matched.space), []
    for task in raw:
        rows = [row for row in matched.rows[task.name] if target.name in row.values]
        if len(rows) < LEAST_ROWS:
            notes.append(f"{task.label}: {len(rows)} measurements of {target.name}; left out, {LEAST_ROWS} are needed")
            continue
        if note := constant_note(target.name, target.unit, [row.values[target.name] for row in rows]):
            notes.append(f"{task.label}: {note}; it says nothing of what changes it")
        data = TaskData(
            name=task.name,
            X=encoding.encode(row.configuration for row in rows),
            Y=torch.tensor([row.values[target.name] for row in rows], dtype=torch.float64),
            Yvar=known_variances([row.uncertainties.get(target.name) for row in rows]),
            group=task.group,
            descriptors=task_vector(columns, task.known, what=task.label),
            fidelity=task.fidelity,
        )
        drawn = seeded(task.source.seed, "randomise", task.name, target.name)
        found.append(randomise(data, drawn) if task.source.randomise else data)
    if not found:
        raise BadInput(f"target {target.name}: no source task has {LEAST_ROWS} measurements of it")
    return tuple(found)


@dataclass(frozen=True)
class _Training:
    file: MetaFile
    workshop: Workshop
    matched: Matched
    tasks: Mapping[str, tuple[TaskData, ...]]
    columns: tuple[TaskColumn, ...]
    notes: Sequence[str]

    def run(self) -> PriorFile:
        spec = self.file.spec
        trained: dict[str, dict[str, Any]] = {name: {} for name in spec.train.learners}
        cards: dict[str, Any] = {}
        for target in spec.targets:
            curves: dict[str, Curve] = {}
            for learner in spec.train.learners:
                curves[learner] = []
                trained[learner][target.name] = self._train(learner, target, curves[learner]).state()
            cards[target.name] = {**self._facts(target), "curves": curves, **self._judged(target)}
        return PriorFile(
            name=spec.prior.name,
            space=self.matched.space,
            targets=spec.targets,
            tasks=self.tasks,
            trained=trained,
            descriptors=self.matched.descriptors,
            task_columns=self.columns,
            marks={target: tuple(mark(task) for task in tasks) for target, tasks in self.tasks.items()},
            card={"targets": cards, "notes": [*self.notes]},
            versions={"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
            seed=spec.train.seed,
            restore=self.workshop.restore,
        )

    def _family(self, target: Target) -> Family:
        return Family(Features(Encoding(self.matched.space), self.matched.descriptors), target.name, target.unit)

    def _generator(self, *what: str) -> torch.Generator:
        """Return a generator of its own for each purpose, so that one more learner changes no other."""
        return seeded(self.file.spec.train.seed, *what)

    def _train(self, learner: str, target: Target, curve: Curve) -> Prior:
        tasks = self.tasks[target.name]
        self.workshop.say(f"{target.name}: {learner} learns from {len(tasks)} tasks, {sum(len(task.Y) for task in tasks)} rows")
        generator = self._generator("train", learner, target.name)
        prior = self.workshop.learners[learner]().meta_train(
            tasks, self._family(target), generator=generator, report=lambda progress: curve.append(asdict(progress))
        )
        if curve:
            self.workshop.say(f"{target.name}: {learner} ended at step {curve[-1]['step']}, held-out loss {curve[-1]['held_out_loss']:.3f}")
        return prior

    def _facts(self, target: Target) -> dict[str, Any]:
        tasks, scale = self.tasks[target.name], family_scale(self.tasks[target.name])
        shared = [
            {
                "task": task.name,
                "source": one.source,
                "same": one.same,
                "near": one.near,
                "places": one.places,
                "of": one.of,
                "copy": one.copied,
            }
            for index, task in enumerate(tasks)
            for one in overlaps(task, tasks[:index], scale)
        ]
        return {
            "unit": target.unit,
            "level": scale.level,
            "spread": scale.spread,
            "tasks": [
                {"name": task.name, "group": task.group, "rows": len(task.Y), "fidelity": task.fidelity, "mean": float(task.Y.mean())}
                for task in tasks
            ],
            "overlaps": shared,
        }

    def _judged(self, target: Target) -> dict[str, Any]:
        """Judge all learners on folds of tasks that they were trained without."""
        tasks = self.tasks[target.name]
        parts = [part for part in folds(tasks) if len(part) < len(tasks)] if self.workshop.card else []
        order = torch.randperm(len(parts), generator=self._generator("folds", target.name)).tolist()
        rows: list[dict[str, Any]] = []
        for count, index in enumerate(order[:CARD_FOLDS], start=1):
            judged = [tasks[one] for one in parts[index]][:CARD_TASKS]
            sources = [task for one, task in enumerate(tasks) if one not in parts[index]]
            names = ", ".join(task.name for task in judged)
            self.workshop.say(f"{target.name}: judging on {names}, left out ({count} of {min(CARD_FOLDS, len(parts))})")
            rows += self._judge(target, sources, judged)
        grouped = all(task.group is not None for task in tasks)
        return {
            "judged": rows,
            "folds": len(parts),
            "folds_judged": min(CARD_FOLDS, len(parts)),
            "left_out": "groups" if grouped else "tasks",
        }

    def _judge(self, target: Target, sources: Sequence[TaskData], judged: Sequence[TaskData]) -> list[dict[str, Any]]:
        names = [task.name for task in judged]
        predictors = baselines(sources, self._generator("baselines", target.name, *names))
        least = LEAST_SD * family_scale(sources).spread
        for learner in self.file.spec.train.learners:
            generator = self._generator("left out", learner, target.name, *names)
            prior = self.workshop.learners[learner]().meta_train(sources, self._family(target), generator=generator)
            predictors[learner] = Adapting(prior, least)
        return [row for task in judged for row in judge_predictors(task, predictors, self._generator("judge", target.name, task.name))]
