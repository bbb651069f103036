"""What a campaign has used of its budget beside experiments, and whether another run still fits: money, lab time, stocks.

Money is what the doses of its runs cost at the prices that their approvals bind; lab time is for how long at least one of them
occupied the bench, and for runs that have not ended what is expected. Imported runs took nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flows.plans.stocks import Lot, StockBook, dosed, needed, prices_of
from orchestrator.domain.budget import Budget
from orchestrator.domain.lifecycle import ProposalStatus, RunStatus
from orchestrator.domain.records import ExperimentRun, Proposal, Step, covered
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.ports import ReadStore

if TYPE_CHECKING:  # it loads the drivers' libraries, which a look at a lab has no need of
    from instruments.bench.file import BenchFile

Amounts = Mapping[str, float]
"""`money` in the bench's currency, `lab_time` in lab seconds, `stock NAME` in mL."""
Seconds = Callable[[History, Sequence[Step], Sequence[Step]], float]
"""Expects how many lab seconds steps take, where the other steps were carried out just before."""
_SLACK: Final = 1e-9
"""Of a limit: what is left may be exactly what is needed."""
_HOUR: Final = 3600.0


def no_seconds(_history: History, _steps: Sequence[Step], _before: Sequence[Step]) -> float:
    """Expect nothing: nobody knows how long steps take."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Limit:
    """How much of something a budget allows."""

    most: float | None
    """In `unit`; None where it is only counted."""
    unit: str
    scale: float = 1.0
    """One `unit` in what is counted."""

    def shown(self, amount: float) -> str:
        """Write an amount for people."""
        return f"{amount / self.scale:.4g}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One campaign's budget beside its experiments."""

    budget: Budget
    seconds: Seconds = no_seconds

    # ----------------------------------------------------------------- amounts

    def used(self, history: History, *, waiting: bool) -> Amounts:
        """Sum what the campaign's runs have taken; with those that are approved and wait where these count too."""
        own = [run for run in history.runs.values() if not run.is_imported]
        ended = {"lab_time": covered(span for run in own for span in run.active_lab)}
        return _sum((ended, *(self._of_run(history, run, waiting=waiting) for run in own)))

    def _of_run(self, history: History, run: ExperimentRun, *, waiting: bool) -> Amounts:
        proposal = history.proposals[run.approval]
        if run.status is RunStatus.QUEUED:
            return self.needs(history, proposal.steps, proposal.binding) if waiting else {}
        expected = self.seconds(history, proposal.steps, ()) if run.status.is_open else 0.0
        return {**priced(dosed(run, proposal), proposal.binding), "lab_time": expected}

    def needs(self, history: History, steps: Sequence[Step], binding: Mapping[str, str], before: Sequence[Step] = ()) -> Amounts:
        """Return what one run of these steps takes."""
        return {**priced(needed(steps, binding), binding), "lab_time": self.seconds(history, steps, before)}

    # ----------------------------------------------------------------- limits

    def limits(self, currency: str = "") -> dict[str, Limit]:
        """Return by name what is limited, and money and lab time in any case."""
        amount, currency = self.budget.amount if self.budget.money is not None else (None, currency)
        found = {"money": Limit(amount, currency), "lab_time": Limit(self.budget.lab_time, "h", _HOUR)}
        return found | {f"stock {name}": Limit(volume, "mL") for name, volume in self.budget.volumes.items()}

    def complaint(self, history: History, needs: Amounts, *, waiting: bool) -> str | None:
        """Say of what too little is left for so much more; None where all suffices."""
        limits = {name: limit for name, limit in self.limits().items() if limit.most is not None}
        if not limits:
            return None
        used, lines = self.used(history, waiting=waiting), []
        for name, limit in limits.items():
            assert limit.most is not None
            left, more = limit.most - used.get(name, 0.0), needs.get(name, 0.0)
            if more > left + _SLACK * limit.most:
                there = f"{limit.shown(max(left, 0.0))} of {limit.shown(limit.most)} {limit.unit} left"
                lines.append(f"budget, {name.replace('_', ' ')}: {there}, {limit.shown(more)} needed")
        return "; ".join(lines) or None

    def fitting(
        self, history: History, proposals: tuple[Proposal, ...], *, before: Sequence[Step] = ()
    ) -> tuple[tuple[Proposal, ...], str | None]:
        """Return how many of a batch's first proposals can be paid for beside all that is asked and waits, and why no more."""
        asked = [one for one in history.newest() if one.status is ProposalStatus.PROPOSED]
        total = _sum(self._of_proposal(history, one, ()) for one in asked)
        for count, one in enumerate(proposals):
            total = _sum((total, self._of_proposal(history, one, before)))
            if (complaint := self.complaint(history, total, waiting=True)) is not None:
                return proposals[:count], complaint
            before = one.steps
        return proposals, None

    def _of_proposal(self, history: History, one: Proposal, before: Sequence[Step]) -> Amounts:
        needs = self.needs(history, one.steps, one.binding, before)
        return {name: one.replicates * amount for name, amount in needs.items()}

    # ----------------------------------------------------------------- for people

    def lines(self, history: History, binding: Mapping[str, str]) -> dict[str, str]:
        """Return by `budget NAME` what is used of each thing that is limited."""
        account = self.account(history, binding)
        return {f"budget {name.replace('_', ' ')}": told(one) for name, one in account.items() if one["limit"] is not None}

    def account(self, history: History, binding: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Say of each thing what is used, what it is limited to and what the experiments that are left may take.

        The latter goes by the mean of the runs that were begun; None where there is none yet, or nothing more will be.
        """
        currency = next((one.currency for one in prices_of(binding).values()), "")
        begun = [run for run in history.attempts() if run.status is not RunStatus.QUEUED]
        used, left = self.used(history, waiting=False), max(0, self.budget.experiments - len(begun))
        return {
            name: {
                "used": used.get(name, 0.0) / limit.scale,
                "limit": None if limit.most is None else limit.most / limit.scale,
                "rest": used.get(name, 0.0) / limit.scale / len(begun) * left if begun and not history.campaign.status.is_over else None,
                "unit": limit.unit,
            }
            for name, limit in self.limits(currency).items()
            if limit.most is not None or used.get(name)
        }


class Means:
    """What one campaign may still use: the stocks of its lab, and its own budget."""

    def __init__(self, store: ReadStore, campaign: str, allowance: Allowance) -> None:
        """Read the lab's other campaigns; the ledger is not needed afterwards."""
        self.stocks = StockBook(store, campaign)
        self.allowance = allowance

    def complaint(self, history: History, binding: Mapping[str, str], steps: Sequence[Step], *, times: int = 1) -> str | None:
        """Say what does not suffice for so many runs of these steps beside those that wait; None where all does."""
        return "; ".join(self.missing(history, binding, steps, times=times, waiting=True)) or None

    def missing(
        self, history: History, binding: Mapping[str, str], steps: Sequence[Step], *, times: int = 1, waiting: bool
    ) -> dict[str, str]:
        """Return what does not suffice for so many runs of these steps, with what a person can do about it."""
        needs = {name: times * amount for name, amount in self.allowance.needs(history, steps, binding).items()}
        found = {
            self.stocks.complaint(history, binding, steps, times=times, waiting=waiting): "refill",
            self.allowance.complaint(history, needs, waiting=waiting): "raise the budget",
        }
        return {complaint: remedy for complaint, remedy in found.items() if complaint is not None}

    def lines(self, history: History, binding: Mapping[str, str]) -> dict[str, str]:
        """Return for people, by name, what is left of stocks and used of the budget."""
        return self.stocks.lines(history, binding) | self.allowance.lines(history, binding)


def refuse_uncounted(budget: Budget, bench: "BenchFile | None") -> None:
    """Refuse limits that nothing could be counted against.

    Raises:
        BadInput: There is no bench, a stock that is not there or that nothing delivers, a stock without price, another currency.
    """
    beside = [name for name in ("money", "lab_time", "stocks") if getattr(budget, name)]
    if bench is None:
        if beside:
            raise BadInput(f"campaign.budget.{beside[0]} belongs to a campaign with a bench; without one only experiments are counted")
        return
    delivered = [name for name, one in bench.spec.stocks.items() if one.delivered_by is not None]
    if missing := [name for name in budget.stocks if name not in delivered]:
        listed = ", ".join(delivered) or "none"
        raise BadInput(f"campaign.budget.stocks.{missing[0]}: {bench.path.name} has no such stock that is delivered; it has {listed}")
    if budget.money is None:
        return
    currency = budget.amount[1]
    if without := [name for name in delivered if name not in bench.prices]:
        raise BadInput(
            f"campaign.budget.money: stock {without[0]} has no price; expected one like '12 {currency}/mL', or '0 {currency}/mL'"
        )
    if not bench.prices:
        raise BadInput(f"campaign.budget.money: no stock of {bench.path.name} is delivered at a price; nothing would be counted")
    if bench.currency != currency:
        raise BadInput(f"campaign.budget.money = {budget.money!r}: the prices of {bench.path.name} are in {bench.currency}")


def told(one: Mapping[str, Any]) -> str:
    """Write an entry of an account for people."""
    limit = "" if one["limit"] is None else f" of {one['limit']:.4g}"
    rest = "" if one["rest"] is None else f"; the experiments that are left take about {one['rest']:.4g} more"
    return f"{one['used']:.4g}{limit} {one['unit']} used{rest}"


def uncounted_before(budget: Budget, history: History) -> str | None:
    """Say why a limit of money cannot be counted against what has been begun already; None where it can."""
    if budget.money is None:
        return None
    for run in (one for one in history.runs.values() if not one.is_imported):
        proposal = history.proposals[run.approval]
        prices, currency = prices_of(proposal.binding), budget.amount[1]
        for stock, _ in dosed(run, proposal):
            if stock not in prices:
                return f"campaign.budget.money: run {run.run_key} took of stock {stock} when it had no price"
            if prices[stock].currency != currency:
                return f"campaign.budget.money = {budget.money!r}: run {run.run_key} was paid in {prices[stock].currency}"
    return None


def priced(volumes: Mapping[Lot, float], binding: Mapping[str, str]) -> dict[str, float]:
    """Return what volumes are in money, at the prices that an approval binds, and of each stock."""
    prices = prices_of(binding)
    money = sum(volume * prices[stock].per_ml for (stock, _), volume in volumes.items() if stock in prices)
    return {"money": money, **_sum({f"stock {stock}": volume} for (stock, _), volume in volumes.items())}


def _sum(parts: Iterable[Amounts]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, amount in part.items():
            total[name] = total.get(name, 0.0) + amount
    return total
