"""Ax with its transfer-learning adapter: a multi-task GP of judged task and sources, and the package's own guard against bad sources.

As the package has it: `transfer_learning_generator_specs_constructor` fits the multi-task GP and a single-task GP, and the one
with the better rank correlation in cross-validation proposes. Two things are ours. Ax searches its own space, which cannot be
a list of mixed candidates, so that its acquisition function is evaluated at every candidate that is left and the best is
taken. And its fits are stopped after `FIT_STEPS` steps, as BayBE's are: it has no setting for it either.

Without sources the generator is the one that Ax's client would choose after its first points, with no bound.
"""

import random
from importlib.metadata import version
from typing import Any, Final

from ax.adapter.transfer_learning.adapter import TL_EXP, transfer_learning_generator_specs_constructor
from ax.api.utils.generation_strategy_dispatch import choose_generation_strategy
from ax.api.utils.structs import GenerationStrategyDispatchStruct
from ax.core.arm import Arm
from ax.core.auxiliary_source import AuxiliarySource
from ax.core.data import Data, DataRow
from ax.core.experiment import Experiment
from ax.core.metric import Metric
from ax.core.objective import Objective
from ax.core.observation import ObservationFeatures
from ax.core.optimization_config import OptimizationConfig
from ax.core.parameter import ChoiceParameter, Parameter, ParameterType, RangeParameter
from ax.core.search_space import SearchSpace
from ax.generation_strategy.generator_spec import GeneratorSpec
from ax.generators.torch.botorch_modular import utils as fitting

from benchmarks.peers.fits import bounded
from benchmarks.peers.replaying import Case, Draw, Entrant, Measured

SCORE: Final = "score"
UNKNOWN_NOISE: Final = float("nan")
"""Standard error of a measurement: Ax infers it."""

Parameterization = dict[str, Any]


class AxPeer:
    """One Ax experiment with the sources as transferable experiments."""

    def __init__(self, case: Case, draw: Draw) -> None:
        """Make the experiments and give the sources their data."""
        tables = [case["candidates"], *(one["rows"] for one in draw["sources"])]
        found = [_parameter(one, [value for table in tables for value in table[one["name"]]]) for one in case["parameters"]]
        space = SearchSpace(parameters=[one for one in found if one is not None])
        self._left = dict(enumerate(_rows(space, case["candidates"])))
        self._ties = random.Random(f"{case['task']}/{draw['seed']}/ties")
        self._experiment, self._sources = _experiment(case["task"], space), bool(draw["sources"])
        if self._sources:
            self._experiment.auxiliary_experiments_by_purpose[TL_EXP] = [
                AuxiliarySource(_source(one["task"], space, one["rows"], one["scores"])) for one in draw["sources"]
            ]

    def propose(self, new: Measured) -> int:
        """Add measurements, fit both models and return the candidate with the largest acquisition value."""
        for index, value in new:
            _measure(self._experiment, self._left.pop(index), value)
        specs, selector = transfer_learning_generator_specs_constructor() if self._sources else (_single_task(), None)
        with bounded(fitting, sources=self._sources):
            for spec in specs:
                spec.fit(experiment=self._experiment)
            adapter = (specs[0] if selector is None else selector.best_model(generator_specs=specs)).fitted_adapter
        values = adapter.evaluate_acquisition_function([ObservationFeatures(parameters=row) for row in self._left.values()])
        return max(zip(values, (self._ties.random() for _ in values), self._left, strict=True))[-1]


def _single_task() -> list[GeneratorSpec]:
    """Return the generator of the last node of Ax's own strategy."""
    strategy = choose_generation_strategy(GenerationStrategyDispatchStruct())
    specs: list[GeneratorSpec] = list(strategy.nodes_by_name.values())[-1].generator_specs
    return specs


def _parameter(one: dict[str, Any], values: list[Any]) -> Parameter | None:
    """Return a parameter; none for a number that is the same everywhere."""
    if one["categories"] is not None:
        return ChoiceParameter(one["name"], ParameterType.STRING, one["categories"], is_ordered=False, sort_values=False)
    low, high = min(values), max(values)
    return RangeParameter(one["name"], ParameterType.FLOAT, lower=low, upper=high) if low < high else None


def _rows(space: SearchSpace, table: dict[str, list[Any]]) -> list[Parameterization]:
    return [dict(zip(space.parameters, row, strict=True)) for row in zip(*(table[name] for name in space.parameters), strict=True)]


def _experiment(name: str, space: SearchSpace) -> Experiment:
    objective = Objective(expression=SCORE, metric_name_to_signature={SCORE: SCORE})
    return Experiment(
        name=name, search_space=space.clone(), optimization_config=OptimizationConfig(objective), tracking_metrics=[Metric(SCORE)]
    )


def _source(name: str, space: SearchSpace, table: dict[str, list[Any]], scores: list[float]) -> Experiment:
    experiment = _experiment(name, space)
    for row, score in zip(_rows(space, table), scores, strict=True):
        _measure(experiment, row, score)
    return experiment


def _measure(experiment: Experiment, row: Parameterization, score: float) -> None:
    trial = experiment.new_trial().add_arm(Arm(row))
    trial.mark_running(no_runner_required=True)
    experiment.attach_data(Data(data_rows=[DataRow(trial.index, trial.arm.name, SCORE, SCORE, score, UNKNOWN_NOISE)]))
    trial.mark_completed()


AX: Final = Entrant("ax", f"ax-platform-{version('ax-platform')}", AxPeer)
