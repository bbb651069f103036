"""The decision page: all that a person sees before deciding, as one canonical JSON document.

It is stored whole with the request, so that a later reader sees what the approver saw; artifact, terminal and HTML are
rendered from it and add nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final

from flows.review.pictures import effects_svg
from flows.stocks import StockBook
from flows.wiring import Plan
from models.encoding import Encoding
from models.proximity import WEAK_EVIDENCE, nearest_measured
from orchestrator.domain.parameters import Parameter, legal_values
from orchestrator.domain.records import Proposal
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.values import Configuration
from orchestrator.loop import History, best, knowledge, observations
from orchestrator.ports import Explanation, Policy
from orchestrator.review import Quantities, why_asked_again

SCHEMA: Final = 1
NORMAL_90: Final = 1.6449
"""Half width of a central 90 % interval, in standard deviations of a normal distribution."""
DIGITS: Final = 6
"""Significant digits of what is computed for people; values that are decided on stand in full."""
BenchState = Callable[[], Mapping[str, object]]
"""Says how the bench stands, for people; empty where nobody can say."""


@dataclass(frozen=True)
class PageMaker:
    """Makes the decision pages of one campaign."""

    plan: Plan
    policy: Policy
    kind: str
    """`dry`, `live` or `recorded`: what the proposals would be carried out on."""
    bench_state: BenchState = dict
    stocks: StockBook | None = None
    """Says what is left of the bench's stocks; None where nothing is kept of them."""

    def __call__(self, history: History, proposals: Sequence[Proposal], quantities: Mapping[str, Quantities]) -> Mapping[str, object]:
        """Return the page of a request."""
        explanations = self._explanations(history, proposals)
        measured = len(observations(history))
        page = {
            "schema": SCHEMA,
            "campaign": history.campaign.name,
            "on": self.kind,
            "batch": max(one.provenance.batch for one in proposals),
            "as_of": history.seq,
            "evidence": {"measured": measured, "weak": measured < WEAK_EVIDENCE},
            "best": self._best(history),
            "since": self._since(history, proposals),
            "model": self._model(proposals[0]),
            "restrictions": [_restriction(one, self.plan.space.units) for one in history.restricted(history.last_batch)],
            "bench": {**self.bench_state(), **self._stocks(history)},
            "proposals": [self._entry(history, one, quantities[one.proposal_id], explanations.get(one.proposal_id)) for one in proposals],
        }
        return {name: _clean(value) for name, value in page.items()}

    # ----------------------------------------------------------------- the campaign as a whole

    def _stocks(self, history: History) -> dict[str, str]:
        return {} if self.stocks is None else self.stocks.lines(history, self.plan.recipe.binding)

    def _best(self, history: History) -> dict[str, object] | None:
        found = best(history, self.plan.objective)
        if found is None:
            return None
        run, score = found
        number = history.proposals[(run.proposal_id, run.revision)].number
        return {"proposal": number, "objective": score, "values": dict(history.accepted[run.run_key])}

    def _since(self, history: History, proposals: Sequence[Proposal]) -> list[str]:
        """Say what has happened since the batch before was proposed."""
        earlier = [one for one in history.newest() if one.provenance.batch < proposals[0].provenance.batch]
        seen = max((one.provenance.batch for one in earlier), default=0)
        if not earlier:
            return ["the first batch"]
        of_batch = {one.proposal_id for one in earlier if one.provenance.batch == seen}
        lines = []
        for run in history.attempts():
            if run.proposal_id in of_batch:
                number = history.proposals[(run.proposal_id, run.revision)].number
                values = history.accepted.get(run.run_key, {})
                told = ", ".join(f"{name} {value:.4g}" for name, value in values.items()) or run.reason or ""
                lines.append(f"proposal {number}: {run.status}{f', {told}' if told else ''}")
        return lines

    def _model(self, proposal: Proposal) -> dict[str, object]:
        details = proposal.provenance.details
        fit = details.get("fit", {})
        return {
            "policy": proposal.provenance.policy,
            "surrogate": details.get("surrogate"),
            "why": details.get("why"),
            "prior": details.get("prior"),
            "trust": {target: one["weights"] for target, one in fit.items() if isinstance(one, Mapping) and "weights" in one},
            "versions": proposal.provenance.versions,
        }

    # ----------------------------------------------------------------- one proposal

    def _entry(self, history: History, proposal: Proposal, found: Quantities, explanation: Explanation | None) -> dict[str, object]:
        return {
            "proposal_id": proposal.proposal_id,
            "number": proposal.number,
            "revision": proposal.revision,
            "content_hash": proposal.content_hash,
            "author": proposal.author,
            "asked_again": why_asked_again(proposal, history.proposals),
            "columns": list(self.plan.space.columns),
            "configuration": {column: proposal.configuration[column] for column in self.plan.space.columns},
            "parameters": [_described(one, self.plan.space.units) for one in self.plan.space.parameters],
            "expected": self._expected(proposal),
            "quantities": dict(found.values),
            "hazards": [one.text for one in found.hazards],
            "neighbours": self._neighbours(history, proposal.configuration),
            "explanation": None if explanation is None else _explained(explanation),
            "effects_svg": None if explanation is None else effects_svg(explanation, self.plan.objective),
            **self._procedure(proposal),
        }

    def _expected(self, proposal: Proposal) -> dict[str, object]:
        units = {target.name: target.unit for target in self.plan.objective.targets}
        return {
            name: {
                "mean": one.mean,
                "sd": one.sd,
                "low": one.mean - NORMAL_90 * one.sd,
                "high": one.mean + NORMAL_90 * one.sd,
                "unit": units.get(name, ""),
            }
            for name, one in proposal.provenance.predicted.items()
        }

    def _neighbours(self, history: History, configuration: Configuration) -> list[dict[str, object]]:
        known = observations(history)
        if not known:
            return []
        encoding = Encoding(self.plan.space)
        near = nearest_measured(encoding.encode([configuration])[0], encoding.encode([one.configuration for one in known]), encoding)
        return [
            {"distance": distance, "configuration": dict(known[index].configuration), "values": dict(known[index].values)}
            for index, distance in zip(near.indices, near.distances, strict=True)
        ]

    def _procedure(self, proposal: Proposal) -> dict[str, object]:
        """Return time, reagents, cost and the distance to every limit; nothing of it for a recorded table."""
        if self.plan.procedure is None or self.plan.bench is None:
            return {"steps": [], "limits": [], "reagents": None, "lab_seconds": None}
        reagents = self.plan.procedure.reagents(proposal.steps)
        limits = [
            {"name": one.name, "value": one.value, "limit": one.limit, "unit": one.unit, "share": one.relative}
            for one in self.plan.bench.envelope.margins(proposal.steps)
        ]
        return {
            "steps": [{"do": step.do, "with": dict(step.arguments), "units": dict(step.units)} for step in proposal.steps],
            "limits": limits,
            "reagents": {"mL": dict(reagents.volumes), "cost": reagents.cost, "currency": reagents.currency},
            "lab_seconds": self.plan.procedure.lab_seconds(proposal.steps),
        }

    def _explanations(self, history: History, proposals: Sequence[Proposal]) -> dict[str, Explanation]:
        """Ask the policy why, given what it knew before it proposed; hand-made and edited proposals have no such reason."""
        asked = [one for one in proposals if one.author is None and one.provenance.predicted]
        if not asked:
            return {}
        own = {one.proposal_id for one in history.newest() if one.provenance.batch >= asked[0].provenance.batch}
        before = replace(history, proposals={key: one for key, one in history.proposals.items() if one.proposal_id not in own})
        given = self.policy.explain(knowledge(before), [one.configuration for one in asked], seed=asked[0].provenance.seed)
        return {one.proposal_id: explanation for one, explanation in zip(asked, given, strict=False)}


def _restriction(one: Restriction, units: Mapping[str, str]) -> str:
    return f"{one.shown(units)} (restriction {one.number}, by {one.author}{f': {one.reason}' if one.reason else ''})"


def _described(parameter: Parameter, units: Mapping[str, str]) -> dict[str, object]:
    """Return name, unit and legal values of a parameter; the values without the unit, which a reader puts behind them."""
    unit = units.get(parameter.name, "")
    return {"name": parameter.name, "unit": unit, "legal": legal_values(parameter).removesuffix(f" {unit}")}


def _explained(explanation: Explanation) -> dict[str, object]:
    return {
        "players": list(explanation.players),
        "effects": {name: list(values) for name, values in explanation.effects.items()},
        "base": dict(explanation.base),
        "exploit": explanation.exploit,
        "alternatives": [
            {
                "configuration": dict(one.configuration),
                "acquisition": one.acquisition,
                "expected": {name: {"mean": told.mean, "sd": told.sd} for name, told in one.predicted.items()},
            }
            for one in explanation.alternatives
        ],
    }


def _clean(value: Any, *, exact: bool = False) -> Any:
    """Round for people what is computed, and leave out what is no number: JSON has none for it."""
    if isinstance(value, Mapping):
        return {name: _clean(one, exact=exact or name == "configuration") for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one, exact=exact) for one in value]
    if isinstance(value, float):
        return (value if exact else float(f"{value:.{DIGITS}g}")) if isfinite(value) else None
    return value
