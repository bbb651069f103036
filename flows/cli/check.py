"""`athanor check`: everything that can be said before a device moves."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from flows.cli.console import console, emit
from flows.plans.description import described, identities_of
from flows.plans.plan import Plan, load_plan, refuse_unconvertible
from flows.plans.surrogate import refuse_silent
from flows.plans.unfilled import unfilled
from flows.report.quantities import together
from flows.studies.missing_prior import missing_prior_file
from instruments.bench.parking import park_steps
from orchestrator.domain.records import Step
from orchestrator.errors import BadInput


def check_file(file: Path, *, connect: bool, lab: Path | None, data: Path | None, as_json: bool) -> None:
    """Validate a campaign file and all that it names; print what would be done.

    Raises:
        BadInput: One line that names the thing, what came and what is legal.
    """
    _refuse_unfilled(file, as_json=as_json)
    plan = load_plan(file, data=data, prior_later=True)
    recipe = missing_prior_file(plan, data=data)
    if plan.lacks_prior and recipe is None:
        load_plan(file, data=data)  # refuses it, as `run` would
    refuse_unconvertible(plan)
    refuse_silent(plan.file, plan.mean, plan.sample)
    identities = identities_of(plan, lab) if connect else {}
    document = {**described(plan, lab), "prior_from": None if recipe is None else str(recipe.path)}
    if as_json:
        emit({**document, "devices": identities})
        return
    _print(plan, document)
    for name, identity in identities.items():
        console.print(f"  {name}: {identity}")
    console.print(f"{file}: sound")


def _refuse_unfilled(file: Path, *, as_json: bool) -> None:
    """Say what an empty campaign still lacks, before anything is said of what it has."""
    lines = unfilled(file)
    if len(lines) > 1 and not as_json:
        for line in lines:
            console.print(line)
        raise BadInput(f"{file}: {len(lines)} sections are to be filled in")
    if lines:
        raise BadInput("; ".join(lines))


def _print(plan: Plan, document: dict[str, Any]) -> None:
    console.print(
        f"campaign {document['campaign']} on {document['place']}: {document['budget']} experiments, policy {document['policy']['name']}"
    )
    if document["prior"]:
        console.print("  prior {name}, from {origin} tasks, sha256 {sha256}".format(**document["prior"]))
    if document["prior_from"]:
        name = Path(document["prior_from"]).name
        console.print(f"  there is no prior {plan.file.spec.surrogate.prior} yet: the first run makes it from {name}")
    console.print(_parameter_table(plan))
    _print_twin(document)
    if (wanted := together(plan.objective)) is not None:
        console.print(f"  objective: {wanted}")
    if (stop := plan.file.spec.stop) is not None:
        console.print(f"  stop: {stop.line}")
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
    for name, one in document["enough_for"].items():
        line = "  budget, {0}: {limit} {unit}, enough for about {experiments} experiments{1}"
        console.print(line.format(name.replace("_", " "), "" if one["experiments"] >= document["budget"] else "  NOT ENOUGH", **one))
    for name in document["hazards"]:
        console.print(f"  hazard: {name} may come up; then persons must sign, whatever the review rules say")
    for one in document.get("environment", ()):
        if one.get("lot") is not None:
            console.print(f"  recorded {one['name']}: the lot of {one['channel']}, now {one['lot']}")
            continue
        if one.get("since") is not None:
            day = datetime.fromtimestamp(one["since"], UTC).date()
            console.print(
                f"  recorded {one['name']}: days since {one['channel']} ({day}), goals hold at {one['reference']:g} {one['unit']}"
            )
            continue
        when = "as a step brings it" if one["brought"] else f"every {one['every']:g} s of lab time"
        told = f"  recorded {one['name']}: {one['channel']} {when}, goals hold at {one['reference']:g} {one['unit']}"
        console.print(told.rstrip())
    _print_parking(plan)
    for name in document["without_watchdog"]:
        console.print(f"  {name}: no communication watchdog is armed; only the host and the supervisor can make it safe")
    for name, what in document["stand_ins"].items():
        console.print(f"  dry run, {name}: {what}")
    if document["no_dry_run"]:
        console.print(f"  no dry run: {document['no_dry_run']}")
    for line in document["links"]:
        console.print(f"  {line}")


def _print_twin(document: dict[str, Any]) -> None:
    if (twin := document.get("twin")) is not None:
        console.print(f"  twin {twin['name']}: predicts {', '.join(twin['predicts'])}")
        console.print(f"    may be calibrated: {', '.join(twin['calibratable']) or 'nothing'}")
        recorded = [f"{name} ({channel})" for name, channel in twin["environment"].items()]
        assumed = [f"{name} (not recorded, taken as {value:.4g} {unit})" for name, (value, unit) in twin["reference"].items()]
        console.print(f"    knows of the surroundings: {', '.join([*recorded, *assumed]) or 'nothing'}")
        if (drift := twin.get("drift")) is not None:
            console.print("    drift: watched after {learn} runs, one false alarm in {false_alarm:g}; then {then}".format(**drift))


def _lab_time(plan: Plan, hours: float, heating: float | None) -> str:
    if heating is None:
        bare = (
            [step.do for step in plan.bench.spec.procedure.steps if step.until is not None and step.until.rate is None]
            if plan.bench
            else []
        )
        return f"about {_shown(hours)} of waits and holds, heating not counted: until of {bare[0]} declares no rate"
    if not heating:
        return f"about {_shown(hours)}" if hours else "none that the steps declare; what they take by themselves is not counted"
    parts = f"{_shown(hours)} of waits and holds, {_shown(heating)} of heating at the declared rates"
    return f"about {_shown(hours + heating)} (estimate: {parts})"


def _shown(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min" if 60 * hours >= 1 else f"{3600 * hours:.0f} s"


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
        table.add_row(one.name, plan.space.units.get(one.name, ""), one.beside_others(one.legal_values), one.told_apart)
    for target in plan.objective.targets:
        aim = f"match {target.value:g} +- {target.tolerance:g}" if target.value is not None else target.goal
        aim = aim if plan.objective.ranked else "to be known"
        table.add_row(target.name, target.unit, aim)
    for limit in plan.objective.outcomes:
        table.add_row(limit.name, limit.unit, f"{limit.shown}, with a chance of {100 * limit.probability:.6g} %")
    return table


def _step_table(steps: tuple[Step, ...]) -> Table:
    table = Table(title="one experiment, at the first sampled configuration", title_justify="left")
    for heading in ("step", "do", "kind", "with"):
        table.add_column(heading)
    for step in steps:
        table.add_row(str(step.index), step.do, str(step.kind), _shown_arguments(step) or ", ".join(step.channels))
    return table
