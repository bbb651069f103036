"""What experiments cost, for a policy that weighs their worth against it: money for doses, or lab time, heating included.

Both are as planned: doses at the bench file's prices, times at the rates that it declares. What was aborted counts whole.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from instruments.bench.procedure import Procedure
from orchestrator.domain.campaign import GeneralSpec
from orchestrator.domain.records import Step
from orchestrator.domain.values import Configuration
from orchestrator.errors import AthanorError, BadInput
from orchestrator.ports import Cost

if TYPE_CHECKING:  # a plan is built with what is refused here
    from flows.plans.plan import Plan

_KEPT: Final = 20_000
"""Configurations whose steps are kept: expanding one takes half a millisecond, and a search asks for the same ones again."""


@dataclass(frozen=True)
class BenchCost(Cost):
    """What the runs of a proposal take of a bench."""

    procedure: Procedure
    run: Callable[[Sequence[Step], Sequence[Step]], float]
    """What steps take, where the other steps were carried out just before."""
    counted_in: str
    most: float | None
    """What the campaign may take; None where only its experiments are limited."""
    general: GeneralSpec
    kept: dict[tuple[tuple[str, float | str], ...], tuple[Step, ...] | None] = field(default_factory=dict, compare=False, repr=False)

    @property
    @override
    def unit(self) -> str:
        return self.counted_in

    @override
    def amounts(self, batch: Sequence[Configuration], after: Configuration | None) -> tuple[float, ...]:
        before = () if after is None else self._steps(after) or ()
        return tuple(self._amount(self._steps(one), before) for one in batch)

    @override
    def left(self, carried: Sequence[Configuration]) -> float:
        if self.most is None:
            return max(0.0, 1.0 - len(carried) / self.general.budget.experiments)
        return max(0.0, 1.0 - math.fsum(self._runs(carried)) / self.most)

    def _runs(self, carried: Iterable[Configuration]) -> Iterator[float]:
        """Yield what each run took; nothing for one that the bench of today refuses."""
        before: tuple[Step, ...] = ()
        for one in carried:
            steps = self._steps(one) or ()
            yield self.run(steps, before)
            before = steps

    def _amount(self, steps: tuple[Step, ...] | None, before: tuple[Step, ...]) -> float:
        if steps is None:
            return math.inf
        again = self.general.replicates - 1
        return self.run(steps, before) + (again * self.run(steps, steps) if again else 0.0)

    def _steps(self, configuration: Configuration) -> tuple[Step, ...] | None:
        """Return the steps of a configuration; None where the bench refuses it."""
        key = tuple(sorted(configuration.items()))
        if key not in self.kept:
            if len(self.kept) >= _KEPT:
                self.kept.clear()
            try:
                self.kept[key] = self.procedure.expand(configuration)
            except AthanorError:
                self.kept[key] = None
        return self.kept[key]


def cost_of(plan: "Plan", settings: Mapping[str, Any]) -> Cost | None:
    """Return what experiments of a plan cost; None where a policy's settings have no cost counted, or there is no bench."""
    kind, procedure, general = settings.get("cost"), plan.procedure, plan.file.spec.campaign
    if kind is None or procedure is None:
        return None
    if kind == "time":
        return BenchCost(procedure, partial(_seconds, procedure), "s", general.budget.lab_time, general)
    most = None if general.budget.money is None else general.budget.amount[0]
    return BenchCost(procedure, partial(_money, procedure), procedure.bench.currency or "", most, general)


def _money(procedure: Procedure, steps: Sequence[Step], _before: Sequence[Step]) -> float:
    return procedure.reagents(steps).cost or 0.0


def _seconds(procedure: Procedure, steps: Sequence[Step], before: Sequence[Step]) -> float:
    """Return waits, holds, and from where the steps before leave the setpoints, the way to those of these."""
    found = procedure.duration(steps, before)
    return found.least + (found.reaching or 0.0)


def refuse_unknown_cost(plan: "Plan") -> None:
    """Refuse to have a cost counted that nothing is known of.

    Raises:
        BadInput: There is no bench, a stock is delivered without a price, a setpoint is waited for without a rate, or nothing costs
            anything.
    """
    kind = plan.policy.settings.get("cost")
    if kind is None:
        return
    cost = cost_of(plan, plan.policy.settings)
    if cost is None or plan.bench is None:
        raise BadInput(f'policy.cost = "{kind}" belongs to a campaign with a bench; nothing is known here of what an experiment costs')
    name, spec = plan.bench.path.name, plan.bench.spec
    delivered = [stock for stock, one in spec.stocks.items() if one.delivered_by is not None]
    if kind == "money" and (without := [stock for stock in delivered if stock not in plan.bench.prices]):
        raise BadInput(f'policy.cost = "money": stock {without[0]} of {name} has no price; expected one like "12 EUR/mL"')
    unrated = [step.do for step in spec.procedure.steps if step.until is not None and step.until.rate is None]
    if kind == "time" and unrated:
        raise BadInput(
            f'policy.cost = "time": {unrated[0]} of {name} waits for a setpoint, nobody knows how long; expected a rate in its until, '
            "like rate = '5 delta_degC/min'"
        )
    if not any(cost.amounts(plan.sample, None)):
        raise BadInput(f'policy.cost = "{kind}": no experiment costs anything on {name}; nothing would be weighed')
