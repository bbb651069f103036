"""The recorded tables without a history: each a family of tasks, its parameters as the catalogue and the rows give them."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from models.gaussian_processes.kernels import Layout
from models.inputs.encoding import Encoding
from models.inputs.features import Features
from orchestrator.datasets import Table, load_table
from orchestrator.domain.objective import Target
from orchestrator.domain.parameters import CategoricalParameter, CompositionParameter, ContinuousParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.recorded import RecordedPool, recorded_pool

INITIAL: Final = 5
BUDGET: Final = 30
"""Experiments of a replay, or half of the pool where that is less."""
KINDS: Final = ("number", "category", "composition")
"""What a length scale may be of."""
MIXTURES: Final = {"oer": 0.001, "p3ht": 0.0015}
"""Families whose numbers are the fractions of one mixture, and how far their sums are from one."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a task's rows are."""

    table: str
    target: str
    task: Mapping[str, float | str]


FAMILIES: Final[Mapping[str, Mapping[str, Source]]] = {
    "arylation": {f"arylation {t}": Source("direct-arylation", "yield", {"Temp_C": t}) for t in (90.0, 105.0, 120.0)},
    "benzylation": {"benzylation": Source("benzylation", "impurity", {})},
    "cn": {f"cn s{number}": Source("cn-coupling", "yield", {"substrate_id": f"s{number}"}) for number in range(1, 16)},
    "crossed barrel": {"crossed barrel": Source("crossed-barrel", "toughness", {})},
    "hplc": {"hplc": Source("hplc", "peak_area", {})},
    "lnp": {f"lnp {name}": Source("lnp", name, {}) for name in ("encap_efficiency", "drug_loading", "particle_diameter")},
    "oer": {f"oer {plate}": Source(f"oer-plate-{plate}", "overpotential", {}) for plate in (3496, 3851, 3860, 4098)},
    "p3ht": {"p3ht": Source("p3ht", "Conductivity (measured) (S/cm)", {})},
    "snar": {"snar": Source("snar", "impurity", {})},
    "suzuki": {f"suzuki {case}": Source(f"suzuki-{case}", "yield", {}) for case in ("i", "ii", "iii", "iv")},
}
"""Family -> task -> its rows. A family is a data set: what is learned for one of its tasks has seen none of them."""
JUDGED: Final = (
    *("crossed barrel", "p3ht", "hplc", "snar", "cn s1", "cn s4", "cn s10"),
    *("suzuki i", "suzuki iii", "oer 3496", "oer 4098", "lnp encap_efficiency"),
)
"""The tasks that are replayed."""


@dataclass(frozen=True)
class ColdTask:
    """One task: what may be asked for, and what was measured there; scores are larger where better."""

    name: str
    family: str
    layout: Layout
    kinds: tuple[str, ...]
    """Of each length scale of the layout, one of `KINDS`."""
    X: Float[Tensor, "N d"]
    replicates: tuple[tuple[float, ...], ...]
    space: SearchSpace | None = None
    """Its candidates are the rows, in their order; none where the table is not of the catalogue."""

    @property
    def budget(self) -> int:
        """Experiments of a replay."""
        return min(BUDGET, len(self.X) // 2)

    def initial(self, seed: int) -> list[int]:
        """Draw the first rows: a function of task and seed alone, equal for all that are compared."""
        return random.Random(f"{self.name}/{seed}").sample(range(len(self.X)), INITIAL)

    @cached_property
    def scores(self) -> tuple[float, ...]:
        """Each candidate's mean score, by which experiments are judged."""
        return tuple(sum(values) / len(values) for values in self.replicates)

    def measured(self, seed: int) -> Float[Tensor, " N"]:
        """Return what an experiment at each candidate gives: one of its records, a function of task, seed and candidate alone."""
        generator = random.Random(f"{self.name}/{seed}/replicates")
        return torch.tensor([generator.choice(values) for values in self.replicates], dtype=torch.float64)


def judged(data: Path | None = None) -> Iterator[ColdTask]:
    """Load the tasks that are replayed."""
    return (task for family in FAMILIES for task in tasks_of(family, data) if task.name in JUDGED)


def tasks_of(family: str, data: Path | None = None) -> Iterator[ColdTask]:
    """Load a family's tasks."""
    for name, source in FAMILIES[family].items():
        yield _task(name, family, source, load_table(source.table, data, source.task))


def _task(name: str, family: str, source: Source, table: Table) -> ColdTask:
    columns = [column for column in table.dataset.columns if column.role == "parameter"]
    (target,) = (column for column in table.dataset.columns if column.name == source.target)
    judged = Target(name="score", unit=target.unit, goal=target.goal or "maximise")
    if family in MIXTURES:
        parts = tuple(column.name.split("_")[0].split(" ")[0] for column in columns)
        parameters: tuple[Parameter, ...] = (CompositionParameter(name="mix", components=parts, tolerance=MIXTURES[family]),)
        named = {f"mix.{part}": column.name for part, column in zip(parts, columns, strict=True)}
    else:
        parameters = tuple(_parameter(table, column.name, column.unit) for column in columns)
        named = {}
    pool = recorded_pool(table, parameters, [judged], columns={**named, "score": target.name})
    sign = -1.0 if judged.goal == "minimise" else 1.0
    replicates = tuple(tuple(sign * one.values["score"] for one in pool.recorded(row)) for row in pool.candidates)
    encoding = Encoding(pool.space)
    layout, kinds = Layout.of(Features(encoding)), tuple(_kinds(pool))
    return ColdTask(name, family, layout, kinds, encoding.encode(pool.candidates), replicates, pool.space)


def _parameter(table: Table, name: str, unit: str) -> Parameter:
    values = [row.values[name] for row in table.rows]
    names = tuple(dict.fromkeys(value for value in values if isinstance(value, str)))
    if names:
        return CategoricalParameter(name=name, categories=names)
    numbers = [value for value in values if not isinstance(value, str)]
    return ContinuousParameter(name=name, unit=unit, min=min(numbers), max=max(numbers))


def _kinds(pool: RecordedPool) -> Iterator[str]:
    """Say of what kind each length scale is."""
    for parameter in pool.space.parameters:
        if isinstance(parameter, CategoricalParameter):
            yield "category"
        elif isinstance(parameter, CompositionParameter):
            yield from ["composition"] * len(parameter.components)
        else:
            yield "number"
