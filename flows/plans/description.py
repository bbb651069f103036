"""What a campaign would do, offline: its limits, its time, its reagents and their cost; and which devices answer."""

from collections.abc import Collection, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from flows.plans.allowance import Allowance
from flows.plans.lab import lab_to_ask
from flows.plans.plan import Plan
from flows.plans.simulated import aimed, simulated
from flows.plans.twins.bound import BoundTwin
from instruments.bench.access import protection_of_links, remarks_on_links
from instruments.bench.duration import Duration
from instruments.bench.environment import environment_channels
from instruments.bench.file import BenchFile
from instruments.bench.hazards import possible_hazards
from instruments.bench.parking import park_steps
from instruments.bench.reagents import Reagents
from instruments.bench_client.identify import read_identities
from orchestrator.errors import BadInput
from orchestrator.units import parse
from simulators.plantfile import read_plant_file


def identities_of(plan: Plan, lab: Path | None) -> dict[str, str]:
    """Read each device's identity; through the live host where there is one, else under the bench's locks.

    With a dry lab these are its simulated devices, which have to run and to simulate this bench file.
    """
    if plan.bench is None:
        raise BadInput(f"{plan.file.path}: a recorded campaign has no devices; --connect has nothing to read")
    folder = lab_to_ask(lab, beside=plan.file.path)
    return read_identities(aimed(plan.bench, folder), folder)


def _live_lab(plan: Plan, lab: Path | None) -> Path:
    return lab if lab is not None else plan.file.path.parent / ".athanor"


def described(plan: Plan, lab: Path | None = None) -> dict[str, Any]:
    """Return what can be said of a campaign before a device moves, as a JSON document; `lab` is whose certificates count."""
    spec = plan.file.spec.campaign
    described: dict[str, Any] = {
        "campaign": spec.name,
        "place": plan.place,
        "budget": spec.budget.experiments,
        "parameters": [parameter.model_dump() for parameter in plan.space.parameters],
        "constraints": [constraint.shown for constraint in plan.space.constraints],
        "targets": [target.model_dump(exclude_none=True) for target in plan.objective.targets],
        **({} if plan.objective.kind == "utility" else {"objective": plan.file.spec.objective.kind, "reference": plan.objective.reference}),
        **({"outcomes": [one.model_dump(exclude_none=True) for one in plan.objective.outcomes]} if plan.objective.outcomes else {}),
        **({} if plan.file.spec.stop is None else {"stop": plan.file.spec.stop.model_dump()}),
        "policy": {"name": plan.policy.name, **plan.policy.settings},
        "prior": plan.prior_identity,
        "candidates": len(plan.space.candidates) if plan.space.candidates is not None else None,
    }
    if plan.twin is not None:
        described["twin"] = _twin(plan.twin)
    if plan.bench is not None and plan.procedure is not None:
        described |= _estimates(plan)
        described |= _dry_run(plan.bench, plan.objective.later)
        described["links"] = [*protection_of_links(plan.bench), *remarks_on_links(plan.bench, _live_lab(plan, lab))]
    return described


def _twin(bound: BoundTwin) -> dict[str, Any]:
    """Say what predicts the bench, what of it, and what a campaign may correct."""
    return {
        "name": bound.twin.label,
        "predicts": dict(bound.outputs),
        "constants": {one.name: [one.value, one.unit] for one in bound.twin.constants},
        "calibratable": [one.name for one in bound.twin.calibratable],
        "environment": {name: one.channel for name, one in bound.surroundings.items()},
        "reference": {one.name: [one.reference, one.unit] for one in bound.twin.environment if one.name not in bound.surroundings},
        **({} if bound.drift is None else {"drift": bound.drift.model_dump()}),
    }


def _dry_run(bench: BenchFile, later: Collection[str]) -> dict[str, Any]:
    """Say what would answer in a dry run; a live bench needs none."""
    try:
        made = simulated(bench, later)
        if made.plant is not None:
            read_plant_file(made.plant)
        return {"stand_ins": dict(made.told), "no_dry_run": None}
    except BadInput as error:
        return {"stand_ins": {}, "no_dry_run": str(error)}


def _enough_for(plan: Plan, durations: Sequence[Duration], reagents: Sequence[Reagents]) -> dict[str, dict[str, Any]]:
    """Say for about how many experiments each limit of the budget suffices; what is not declared of heating is not counted."""
    taken = {
        "money": fmean(one.cost or 0.0 for one in reagents),
        "lab_time": fmean(one.least + (one.reaching or 0.0) for one in durations),
        **{f"stock {name}": fmean(one.volumes.get(name, 0.0) for one in reagents) for name in plan.file.spec.campaign.budget.stocks},
    }
    limits = {name: one for name, one in Allowance(plan.file.spec.campaign.budget).limits().items() if one.most is not None}
    return {
        name: {"limit": one.shown(one.most or 0.0), "unit": one.unit, "experiments": int((one.most or 0.0) / taken[name])}
        for name, one in limits.items()
        if taken[name] > 0
    }


def _estimates(plan: Plan) -> dict[str, Any]:
    """Mean lab time, reagents and cost over the sampled feasible configurations, and what is without a watchdog."""
    assert plan.bench is not None
    assert plan.procedure is not None
    budget, expanded = plan.file.spec.campaign.budget.experiments, [plan.procedure.expand(one) for one in plan.sample]
    durations = [plan.procedure.duration(steps, before) for steps, before in zip(expanded, [(), *expanded], strict=False)]
    reaching = [one.reaching for one in durations]
    stocks = plan.bench.spec.stocks
    reagents = [plan.procedure.reagents(steps) for steps in expanded]
    used = {name: budget * fmean(one.volumes.get(name, 0.0) for one in reagents) for name in stocks}
    return {
        "enough_for": _enough_for(plan, durations, reagents),
        "lab_hours": budget * fmean(one.least for one in durations) / 3600,
        "heating_hours": None if None in reaching else budget * fmean(one for one in reaching if one is not None) / 3600,
        "reagents_mL": used,
        "reagents_there_mL": {name: parse(stock.volume, "mL", what=f"stock {name}") for name, stock in stocks.items()},
        "cost": budget * fmean(one.cost or 0.0 for one in reagents) if plan.bench.prices else None,
        "currency": plan.bench.currency,
        "without_price": sorted(set(stocks) - set(plan.bench.prices)),
        "hazards": list(possible_hazards(plan.bench, plan.space)),
        "park": [step.model_dump(mode="json") for step in park_steps(plan.bench)],
        **({"environment": [one.model_dump() for one in recorded]} if (recorded := environment_channels(plan.bench)) else {}),
        "limits": {name: [limit.low, limit.high, limit.unit] for name, limit in plan.bench.envelope.limits.items()},
        "without_watchdog": [
            name
            for name, one in plan.bench.spec.instruments.items()
            if one.link is not None and (one.watchdog is None or not plan.bench.driver(name).HAS_WATCHDOG)
        ],
        "example": {"configuration": plan.sample[0], "steps": [step.model_dump(mode="json") for step in expanded[0]]},
    }
