"""What is left of each lot: what was filled in, less what the runs of this lab have taken of it.

Which stock a run drew from, and of which lot, stands in its proposal's binding: a later bench file changes nothing about
the past. A run counts as soon as it was handed over, and counts whole unless the bench host's journal says that a dose was
never sent: a bottle that is emptier than the ledger says spoils an experiment, a fuller one costs a refill.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from instruments.bench.delivery import delivered
from instruments.bench.prices import Price
from instruments.bench.spec import StockSpec
from orchestrator.domain.lifecycle import EvidenceKey, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal, Step
from orchestrator.history import History
from orchestrator.ports import ReadStore
from orchestrator.textfile import parse_toml
from orchestrator.units import parse

Lot = tuple[str, str]
"""A stock's name and its lot."""
_SLACK: Final = 1e-9
"""Of the filled volume: what is left may be exactly what is needed."""
_PREFIX: Final = "stock "
_LOT: Final = ": lot"
_PRICE: Final = ": price"


def _key(stock: str, part: str) -> str:
    return f"{_PREFIX}{stock}: {part}"


def stock_entries(stocks: Mapping[str, StockSpec]) -> dict[str, str]:
    """Return what an approval binds of a bench's stocks, each part by its name."""
    entries: dict[str, str] = {}
    for name, one in stocks.items():
        parts = {"lot": one.lot, "volume": one.volume, "delivered by": one.delivered_by, "price": one.price, **one.species}
        entries |= {_key(name, part): str(value) for part, value in parts.items() if value is not None}
    return entries


def stock_entries_of(bench: str) -> dict[str, str]:
    """Return the same of a bench file's text, without its drivers."""
    return stock_entries(
        {name: StockSpec.model_validate(one) for name, one in parse_toml(bench, what="the bench file").get("stocks", {}).items()}
    )


@dataclass(frozen=True, slots=True)
class BoundStock:
    """A stock as an approval binds it, whose doses can be followed, for an instrument delivers it."""

    name: str
    lot: str
    instrument: str
    filled: str
    """The volume of all that was ever filled in of this lot, with its unit."""

    @property
    def volume(self) -> float:
        """The same in mL."""
        return parse(self.filled, "mL", what=f"stock {self.name}, volume")


def bound_stocks(binding: Mapping[str, str]) -> tuple[BoundStock, ...]:
    """Return the stocks that instruments deliver, by what an approval binds."""
    names = (key.removeprefix(_PREFIX).removesuffix(_LOT) for key in binding if key.startswith(_PREFIX) and key.endswith(_LOT))
    return tuple(
        BoundStock(name, binding[_key(name, "lot")], binding[_key(name, "delivered by")], binding.get(_key(name, "volume"), ""))
        for name in names
        if _key(name, "delivered by") in binding
    )


def prices_of(binding: Mapping[str, str]) -> dict[str, Price]:
    """Return what an approval binds of prices, by stock."""
    names = [key.removeprefix(_PREFIX).removesuffix(_PRICE) for key in binding if key.startswith(_PREFIX) and key.endswith(_PRICE)]
    return {name: Price.parse(binding[_key(name, "price")], what=f"stock {name}, price") for name in names}


def needed(steps: Iterable[Step], binding: Mapping[str, str]) -> dict[Lot, float]:
    """Sum what steps dose of each lot, in mL."""
    by_instrument = {stock.instrument: (stock.name, stock.lot) for stock in bound_stocks(binding)}
    volumes: dict[Lot, float] = {}
    for step in steps:
        found = by_instrument.get(step.instrument or "")
        if found is not None and (volume := delivered(step)) > 0:
            volumes[found] = volumes.get(found, 0.0) + volume
    return volumes


def dosed(run: ExperimentRun, proposal: Proposal) -> dict[Lot, float]:
    """Say what a run has taken, or may take, of each lot, in mL; nothing before it was handed over."""
    if run.fence is None or run.status is RunStatus.QUEUED:
        return {}
    if run.status is RunStatus.SUPERSEDED:
        taken = set(run.evidence.get(EvidenceKey.CARRIED_OUT, ()))
    else:
        taken = {step.index for step in proposal.steps} - set(run.evidence.get(EvidenceKey.NEVER_SENT, ()))
    return needed((step for step in proposal.steps if step.index in taken), proposal.binding)


def _drawn(runs: Iterable[ExperimentRun], proposals: Mapping[tuple[str, int], Proposal], *, waiting: bool) -> dict[Lot, float]:
    """Sum what runs have taken, and what those that wait will take where these count too."""
    total: dict[Lot, float] = {}
    for run in (one for one in runs if not one.is_imported):
        proposal = proposals[run.approval]
        waits = waiting and run.status is RunStatus.QUEUED
        for lot, volume in (needed(proposal.steps, proposal.binding) if waits else dosed(run, proposal)).items():
            total[lot] = total.get(lot, 0.0) + volume
    return total


def _summed(histories: Iterable[History], *, waiting: bool) -> dict[Lot, float]:
    total: dict[Lot, float] = {}
    for history in histories:
        for lot, volume in _drawn(history.runs.values(), history.proposals, waiting=waiting).items():
            total[lot] = total.get(lot, 0.0) + volume
    return total


class StockBook:
    """Keeps account of the lots of a lab, seen from one of its campaigns.

    Other campaigns are read once: only one campaign of a lab is carried on at a time.
    """

    def __init__(self, store: ReadStore, campaign: str) -> None:
        """Read the lab's other campaigns; the ledger is not needed afterwards."""
        others = [History.of(store.changes(record.name)) for record in store.campaigns() if record.name != campaign]
        self._elsewhere = {waiting: _summed(others, waiting=waiting) for waiting in (False, True)}

    def left(self, history: History, binding: Mapping[str, str], *, waiting: bool) -> dict[str, tuple[BoundStock, float]]:
        """Return by stock what was filled in and how much of it is left, in mL.

        Args:
            history: The campaign so far.
            binding: What an approval binds today.
            waiting: Whether approved runs that wait count as if they had been carried out.
        """
        stocks = bound_stocks(binding)
        if not stocks:
            return {}
        own, others = _drawn(history.runs.values(), history.proposals, waiting=waiting), self._elsewhere[waiting]
        drawn = {one: own.get(one, 0.0) + others.get(one, 0.0) for one in {*own, *others}}
        return {one.name: (one, one.volume - drawn.get((one.name, one.lot), 0.0)) for one in stocks}

    def complaint(
        self, history: History, binding: Mapping[str, str], steps: Sequence[Step], *, times: int = 1, waiting: bool
    ) -> str | None:
        """Say which stock does not suffice for so many runs of these steps; None where all do."""
        needs = needed(steps, binding)
        if not needs:
            return None
        lines = []
        for name, (stock, left) in self.left(history, binding, waiting=waiting).items():
            volume = times * needs.get((name, stock.lot), 0.0)
            if volume > left + _SLACK * stock.volume:
                beside = " beside what waits to be carried out" if waiting else ""
                runs = "run needs" if times == 1 else f"{times} runs need"
                lines.append(f"stock {name}: {max(left, 0.0):.4g} mL left of lot {stock.lot}{beside}, {runs} {volume:.4g} mL")
        return "; ".join(lines) or None

    def lines(self, history: History, binding: Mapping[str, str]) -> dict[str, str]:
        """Return for people, by `stock NAME`, what is left, what waits to be carried out counted as gone."""
        found = self.left(history, binding, waiting=True).values()
        return {f"stock {one.name}": f"{max(left, 0.0):.4g} of {one.volume:g} mL left of lot {one.lot}" for one, left in found}
