"""What the runs of a procedure take: the volume of each stock, and what that costs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from instruments.bench.delivery import delivered
from instruments.bench.file import BenchFile
from orchestrator.domain.records import Step


@dataclass(frozen=True, slots=True)
class Reagents:
    """What one run takes."""

    volumes: Mapping[str, float]
    """By stock, in mL."""
    cost: float | None
    """Of the stocks that have a price, in `currency`; None where no stock of the bench has one."""
    currency: str | None
    unpriced: tuple[str, ...]
    """Stocks that are used and have no price: the cost leaves them out."""


def reagents_of(bench: BenchFile, steps: Sequence[Step]) -> Reagents:
    """Sum what an expanded procedure doses of each stock, and its cost."""
    volumes = dosed_volumes(bench, steps)
    cost = sum(volume * bench.prices[stock].per_ml for stock, volume in volumes.items() if stock in bench.prices)
    unpriced = tuple(stock for stock in volumes if stock not in bench.prices)
    return Reagents(volumes, cost if bench.prices else None, bench.currency, unpriced)


def dosed_volumes(bench: BenchFile, steps: Sequence[Step]) -> dict[str, float]:
    """Sum the dosed volume of each stock, in mL."""
    by_instrument = {spec.delivered_by: name for name, spec in bench.spec.stocks.items()}
    volumes: dict[str, float] = {}
    for step in steps:
        stock = by_instrument.get(step.instrument)
        if stock is not None and (volume := delivered(step)) > 0:
            volumes[stock] = volumes.get(stock, 0.0) + volume
    return volumes
