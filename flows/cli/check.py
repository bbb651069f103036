"""`athanor check`: everything that can be said before a device moves."""

from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from flows.cli.console import console, emit
from flows.plans.plan import Plan, load_plan
from instruments.bench.hazards import possible_hazards
from instruments.bench.parking import park_steps
from orchestrator.domain.parameters import CompositionParameter, ContinuousParameter, Parameter, legal_values
from orchestrator.domain.records import Step
from orchestrator.errors import BadInput
from orchestrator.units import parse


def check_file(file: Path, *, connect: bool, lab: Path | None, data: Path | None, as_json: bool) -> None:
    """Validate a campaign file and all that it names; print what would be done.

    Raises:
        BadInput: One line that names the thing, what came and what is legal.
    """
    plan = load_plan(file, data=data)
    identities = _connect(plan, lab) if connect else {}
    document = _describe(plan)
    if as_json:
        emit({**document, "devices": identities})
        return
    _print(plan, document)
    for name, identity in identities.items():
        console.print(f"  {name}: {identity}")
    console.print(f"{file}: sound")


def _connect(plan: Plan, lab: Path | None) -> dict[str, str]:
    """Read each device's identity; through the live host where there is one, else under the bench's locks."""
    from instruments.bench_client.identify import read_identities

    if plan.bench is None:
        raise BadInput(f"{plan.file.path}: a recorded campaign has no devices; --connect has nothing to read")
    folder = lab if lab is not None else plan.file.path.parent / ".athanor"
    return read_identities(plan.bench, folder)


def _describe(plan: Plan) -> dict[str, Any]:
    spec = plan.file.spec.campaign
    described: dict[str, Any] = {
        "campaign": spec.name,
        "place": plan.place,
        "budget": spec.budget,
        "parameters": [parameter.model_dump() for parameter in plan.space.parameters],
        "constraints": [constraint.shown for constraint in plan.space.constraints],
        "targets": [target.model_dump(exclude_none=True) for target in plan.objective.targets],
        "policy": {"name": plan.policy.name, **plan.policy.settings},
        "prior": plan.prior_identity,
        "candidates": len(plan.space.candidates) if plan.space.candidates is not None else None,
    }
    if plan.bench is not None and plan.procedure is not None:
        described |= _estimates(plan)
    return described


def _estimates(plan: Plan) -> dict[str, Any]:
    """Mean lab time, reagents and cost over the sampled feasible configurations, and what is without a watchdog."""
    assert plan.bench is not None
    assert plan.procedure is not None
    budget, expanded = plan.file.spec.campaign.budget, [plan.procedure.expand(one) for one in plan.sample]
    durations = [plan.procedure.duration(steps, before) for steps, before in zip(expanded, [(), *expanded], strict=False)]
    reaching = [one.reaching for one in durations]
    stocks = plan.bench.spec.stocks
    reagents = [plan.procedure.reagents(steps) for steps in expanded]
    used = {name: budget * fmean(one.volumes.get(name, 0.0) for one in reagents) for name in stocks}
    return {
        "lab_hours": budget * fmean(one.least for one in durations) / 3600,
        "heating_hours": None if None in reaching else budget * fmean(one for one in reaching if one is not None) / 3600,
        "reagents_mL": used,
        "reagents_there_mL": {name: parse(stock.volume, "mL", what=f"stock {name}") for name, stock in stocks.items()},
        "cost": budget * fmean(one.cost or 0.0 for one in reagents) if plan.bench.prices else None,
        "currency": plan.bench.currency,
        "without_price": sorted(set(stocks) - set(plan.bench.prices)),
        "hazards": list(possible_hazards(plan.bench, plan.space)),
        "park": [step.model_dump(mode="json") for step in park_steps(plan.bench)],
        "limits": {name: [limit.low, limit.high, limit.unit] for name, limit in plan.bench.envelope.limits.items()},
        "without_watchdog": [
            name for name, one in plan.bench.spec.instruments.items() if one.watchdog is None or not plan.bench.driver(name).HAS_WATCHDOG
        ],
        "example": {"configuration": plan.sample[0], "steps": [step.model_dump(mode="json") for step in expanded[0]]},
    }


def _print(plan: Plan, document: dict[str, Any]) -> None:
    console.print(
        f"campaign {document['campaign']} on {document['place']}: {document['budget']} experiments, policy {document['policy']['name']}"
    )
    if document["prior"]:
        console.print("  prior {name}, from {origin} tasks, sha256 {sha256}".format(**document["prior"]))
    console.print(_parameter_table(plan))
    for label in document["constraints"]:
        console.print(f"  constraint: {label}")
    if plan.procedure is None:
        console.print(f"  candidates: {document['candidates']}")
        return
    console.print(_step_table(plan.procedure.expand(plan.sample[0])))
    for name, (low, high, unit) in document["limits"].items():
        console.print(f"  limit {name}: {low:g} to {high:g} {unit}")
    console.print(f"  lab time: {_lab_time(plan, document['lab_hours'], document['heating_hours'])}")
    for name, volume in document["reagents_mL"].items():
        there = document["reagents_there_mL"][name]
        console.print(f"  stock {name}: about {volume:.0f} of {there:.0f} mL{'  NOT ENOUGH' if volume > there else ''}")
    _print_cost(document)
    for name in document["hazards"]:
        console.print(f"  hazard: {name} may come up; then persons must sign, whatever the review rules say")
    _print_parking(plan)
    for name in document["without_watchdog"]:
        console.print(f"  {name}: no communication watchdog is armed; only the host and the supervisor can make it safe")


def _lab_time(plan: Plan, hours: float, heating: float | None) -> str:
    if heating is None:
        bare = (
            [step.do for step in plan.bench.spec.procedure.steps if step.until is not None and step.until.rate is None]
            if plan.bench
            else []
        )
        return f"about {hours:.1f} h of waits and holds, heating not counted: until of {bare[0]} declares no rate"
    if not heating:
        return f"about {hours:.1f} h"
    return f"about {hours + heating:.1f} h (estimate: {hours:.1f} h of waits and holds, {heating:.1f} h of heating at the declared rates)"


def _print_cost(document: dict[str, Any]) -> None:
    if document["cost"] is None:
        console.print("  cost of reagents: no stock has a price")
        return
    without = f", {', '.join(document['without_price'])} not counted" if document["without_price"] else ""
    console.print(f"  cost of reagents: {document['cost']:.2f} {document['currency']}{without}")


def _print_parking(plan: Plan) -> None:
    assert plan.bench is not None
    if plan.bench.spec.bench.park_after is not None:
        settings = "; ".join(f"{step.do} {_shown_arguments(step)}".strip() for step in park_steps(plan.bench))
        console.print(f"  parked after {plan.bench.spec.bench.park_after / 60:g} min of lab time without a run: {settings}")


def _shown_arguments(step: Step) -> str:
    return ", ".join(
        f"{name} = {value if isinstance(value, str) else format(value, '.4g')} {step.units.get(name, '')}".strip()
        for name, value in step.arguments.items()
    )


def _parameter_table(plan: Plan) -> Table:
    table = Table(title="parameters and targets", title_justify="left")
    for heading in ("name", "unit", "legal values, or goal", "told apart"):
        table.add_column(heading)
    for one in plan.space.parameters:
        table.add_row(one.name, plan.space.units.get(one.name, ""), legal_values(one), _told_apart(one))
    for target in plan.objective.targets:
        aim = f"match {target.value:g} +- {target.tolerance:g}" if target.value is not None else target.goal
        table.add_row(target.name, target.unit, aim)
    return table


def _told_apart(parameter: Parameter) -> str:
    """Say what two experiments must differ by where that is not plain from the legal values."""
    if isinstance(parameter, CompositionParameter):
        return f"{parameter.resolved or parameter.step:g}"
    return f"{parameter.resolved:g}" if isinstance(parameter, ContinuousParameter) else ""


def _step_table(steps: tuple[Step, ...]) -> Table:
    table = Table(title="one experiment, at the first sampled configuration", title_justify="left")
    for heading in ("step", "do", "kind", "with"):
        table.add_column(heading)
    for step in steps:
        table.add_row(str(step.index + 1), step.do, str(step.kind), _shown_arguments(step) or ", ".join(step.channels))
    return table
