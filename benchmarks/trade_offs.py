"""Problems with several targets and fixed reference points: recorded pools, and two test functions."""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from botorch.test_functions.multi_objective import DTLZ2, ZDT1
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated

from orchestrator.domain.objective import Objective, Target
from orchestrator.domain.parameters import CategoricalParameter, ContinuousParameter, Parameter
from orchestrator.domain.space import SearchSpace
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput

INPUTS: Final = 6
"""Of the test functions."""
POOL_INITIAL: Final = 5
ZDT1_REFERENCE: Final = (1.1, 6.0)
"""Both to be minimised. BoTorch's, 11 and 11, lies so far out that all there is to find is less than a hundredth of the hypervolume."""


@dataclass(frozen=True)
class TradeOff:
    """A problem: where one may experiment, what answers, and how much there is to find."""

    name: str
    space: SearchSpace
    targets: tuple[Target, ...]
    """Their `low` and `high` are the reference point and the ideal one."""
    answer: Callable[[Configuration], Mapping[str, float]]
    attainable: float
    """The largest hypervolume, in utilities."""

    def objective(self, kind: str) -> Objective:
        """Return the targets as an objective of some kind."""
        return Objective.model_validate({"targets": self.targets, "kind": kind})

    @property
    def initial(self) -> int:
        """Experiments before the first proposal."""
        return POOL_INITIAL if self.space.candidates is not None else INPUTS + 1

    def missing(self, rows: Sequence[Configuration]) -> list[float]:
        """Return the part of the attainable hypervolume that is missing after each experiment."""
        U = torch.tensor([self.utilities(row) for row in rows], dtype=torch.float64)
        return [1.0 - hypervolume(U[: count + 1]) / self.attainable for count in range(len(rows))]

    def utilities(self, row: Configuration) -> list[float]:
        """Return the targets' utilities."""
        values = self.answer(row)
        return [float(one.utility(values[one.name])) for one in self.targets]


def hypervolume(U: torch.Tensor) -> float:
    """Return the hypervolume above zero, as BoTorch computes it."""
    return float(Hypervolume(torch.zeros(U.shape[-1], dtype=U.dtype)).compute(U[is_non_dominated(U)]))


def trade_offs(data: Path | None) -> dict[str, TradeOff]:
    """Return all problems.

    Raises:
        BadInput: Data are missing.
    """
    if data is None:
        raise BadInput("no data folder is named; give --data DIR or set ATHANOR_DATA")
    suzuki = [_suzuki(data, number) for number in ("i", "ii", "iii", "iv")]
    return {one.name: one for one in (*suzuki, _lnp(data), _zdt1(), _dtlz2())}


def _suzuki(data: Path, number: str) -> TradeOff:
    def parameters(rows: Sequence[Mapping[str, str]]) -> tuple[Parameter, ...]:
        return (
            _of_text("ligand", rows),
            *(_of_number(name, rows) for name in ("res_time", "temperature", "catalyst_loading")),
        )

    return _pool(
        f"suzuki-{number}", data / "suzuki_flow" / f"suzuki_{number}.csv", parameters, {"yield": "maximise", "turnover": "maximise"}
    )


def _lnp(data: Path) -> TradeOff:
    def parameters(rows: Sequence[Mapping[str, str]]) -> tuple[Parameter, ...]:
        return (
            _of_text("solid_lipid", rows),
            *(_of_number(name, rows) for name in ("drug_input", "solid_lipid_input", "liquid_lipid_input", "surfractant_input")),
        )

    goals = {"drug_loading": "maximise", "encap_efficiency": "maximise", "particle_diameter": "minimise"}
    return _pool("lnp", data / "lnp" / "lnp3.csv", parameters, goals)


def _pool(
    name: str, path: Path, parameters: Callable[[Sequence[Mapping[str, str]]], tuple[Parameter, ...]], goals: Mapping[str, str]
) -> TradeOff:
    """Read a table; the reference point is the worst value of each target in it, the ideal one the best."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    varied = parameters(rows)
    columns = [column for one in varied for column in one.columns]
    texts = {one.name for one in varied if isinstance(one, CategoricalParameter)}
    found: dict[Any, list[Mapping[str, float]]] = {}
    candidates: dict[Any, dict[str, float | str]] = {}
    for row in rows:
        key = tuple(row[column] if column in texts else float(row[column]) for column in columns)
        candidates[key] = dict(zip(columns, key, strict=True))
        found.setdefault(key, []).append({goal: float(row[goal]) for goal in goals})
    means = {key: {goal: sum(one[goal] for one in some) / len(some) for goal in goals} for key, some in found.items()}
    space = SearchSpace(parameters=varied, candidates=tuple(candidates.values()))
    targets = tuple(
        Target.model_validate(
            {"name": goal, "goal": way, "low": min(one[goal] for one in means.values()), "high": max(one[goal] for one in means.values())}
        )
        for goal, way in goals.items()
    )
    answers = {space.key(candidates[key]): value for key, value in means.items()}
    U = torch.tensor([[float(one.utility(value[one.name])) for one in targets] for value in means.values()], dtype=torch.float64)
    return TradeOff(name, space, targets, lambda row: answers[space.key(row)], hypervolume(U))


def _of_text(name: str, rows: Sequence[Mapping[str, str]]) -> CategoricalParameter:
    return CategoricalParameter(name=name, categories=tuple(sorted({row[name] for row in rows})))


def _of_number(name: str, rows: Sequence[Mapping[str, str]]) -> ContinuousParameter:
    values = [float(row[name]) for row in rows]
    return ContinuousParameter(name=name, min=min(values), max=max(values))


def _zdt1() -> TradeOff:
    # the front is f1 = 1 - sqrt(f0): what lies above it and below the reference point
    first, second = ZDT1_REFERENCE
    return _function("zdt1", ZDT1(dim=INPUTS), ZDT1_REFERENCE, (second - 1 / 3 + (first - 1.0) * second) / (first * second))


def _dtlz2() -> TradeOff:
    problem = DTLZ2(dim=INPUTS, num_objectives=3)
    reference = tuple(problem.ref_point.abs().tolist())
    return _function("dtlz2", problem, reference, problem.max_hv / torch.tensor(reference).prod().item())


def _function(name: str, problem: Any, reference: Sequence[float], attainable: float) -> TradeOff:
    space = SearchSpace(parameters=tuple(ContinuousParameter(name=f"x{index}", min=0, max=1) for index in range(INPUTS)))
    targets = tuple(Target(name=f"f{index}", goal="minimise", low=0.0, high=high) for index, high in enumerate(reference))

    def answer(row: Configuration) -> dict[str, float]:
        X = torch.tensor([[float(row[f"x{index}"]) for index in range(INPUTS)]], dtype=torch.float64)
        return dict(zip((one.name for one in targets), problem.evaluate_true(X)[0].tolist(), strict=True))

    return TradeOff(name, space, targets, answer, attainable)


def seed_of(problem: str, seed: int, number: int) -> int:
    """Return the seed of one proposal; of the first experiments for number 0."""
    return int(hashlib.sha256(f"{problem}/{seed}/{number}".encode()).hexdigest()[:7], 16)
