"""The decision page: all that a person sees before deciding, as one canonical JSON document.

It is stored whole with the request, so that a later reader sees what the approver saw; artifact, terminal and HTML are
rendered from it and add nothing.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import isfinite
from typing import Any, Final

from flows.plans.allowance import Means
from flows.plans.lab_time import lab_time
from flows.plans.plan import Plan
from flows.plans.twins.expecting import Expecting
from flows.report.quantities import alone, environment_line
from flows.report.values import changed_values, outdated_lines
from flows.review.pictures import effects_svg
from models.inputs.encoding import Encoding
from models.inputs.proximity import WEAK_EVIDENCE, nearest_measured
from orchestrator.attained import attained_line, front_lines
from orchestrator.domain.parameters import Parameter
from orchestrator.domain.records import Prediction, Proposal, Step
from orchestrator.domain.restriction import Restriction
from orchestrator.domain.values import Configuration, canonical
from orchestrator.history import History, best, knowledge, observations
from orchestrator.ports import Policy
from orchestrator.review import Quantities, why_asked_again
from orchestrator.suggestions import COST, FEASIBLE, Explanation, Outlook

SCHEMA: Final = 1
_CHANGED: Final = 10
"""So many values that people told or changed a page names."""
_DIGITS: Final = 6
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
    means: Means | None = None
    """Says what is left of stocks and budget; None where nothing is kept of them."""

    @cached_property
    def _twin(self) -> Expecting | None:
        return None if self.plan.twin is None else Expecting(self.plan.twin)

    def __call__(self, history: History, proposals: Sequence[Proposal], quantities: Mapping[str, Quantities]) -> Mapping[str, object]:
        """Return the page of a request."""
        explanations = self._explanations(history, proposals)
        outlooks = self._outlooks(history, proposals, explanations)
        measured = len(observations(history))
        twin, by_twin = self._of_twin(history, proposals)
        page: dict[str, Any] = {
            "schema": SCHEMA,
            "campaign": history.campaign.name,
            "on": self.kind,
            "batch": max(one.provenance.batch for one in proposals),
            "as_of": history.seq,
            "evidence": {"measured": measured, "weak": measured < WEAK_EVIDENCE},
            "targets": [{"name": one.name, "unit": one.unit} for one in self.plan.objective.measured],
            **self._limits(),
            "alone": alone(self.plan.objective) is not None,
            "best": self._best(history) if self.plan.objective.kind == "utility" else None,
            **self._attained(history),
            **({} if history.campaign.advice is None else {"advice": history.campaign.advice.line}),
            "since": self._since(history, proposals),
            "values": changed_values(history, self.plan.objective.units, last=_CHANGED),
            "model": self._model(proposals[0]),
            **twin,
            "restrictions": [_restriction(one, self.plan.space.units) for one in history.restricted(history.last_batch)],
            "bench": {**self.bench_state(), **self._means(history)},
            "proposals": [],
        }
        before, outdated = self._last_steps(history), outdated_lines(history, self.plan.objective.units)
        for one, told in zip(proposals, by_twin, strict=True):
            seen = Seen(quantities[one.proposal_id], explanations.get(one.proposal_id), outlooks)
            rests = {"rests_on": outdated.get(one.proposal_id, [])}
            page["proposals"].append({**self._entry(history, one, seen), **told, **rests, **self._procedure(history, one, before)})
            before = one.steps
        return {name: _clean(value) for name, value in page.items()}

    # ----------------------------------------------------------------- the campaign as a whole

    def _means(self, history: History) -> dict[str, str]:
        return {} if self.means is None else self.means.lines(history, self.plan.recipe.binding)

    def _limits(self) -> dict[str, object]:
        limits = [{"name": one.name, "shown": one.shown, "probability": one.probability} for one in self.plan.objective.outcomes]
        return {"limits_on_outcomes": limits} if limits else {}

    def _best(self, history: History) -> dict[str, object] | None:
        found = best(history, self.plan.objective)
        if found is None:
            return None
        run, score = found
        return {"proposal": history.number_of(run), "objective": score, "values": dict(history.accepted[run.run_key])}

    def _attained(self, history: History) -> dict[str, object]:
        """Return what is attained where no single experiment is best; of a front what each experiment gave."""
        objective, space = self.plan.objective, self.plan.space
        if objective.kind == "utility":
            return {}
        front = [*front_lines(history, objective, space.units, space.present)] if objective.kind == "pareto" else []
        return {"attained": attained_line(history, objective), "front": front}

    def _since(self, history: History, proposals: Sequence[Proposal]) -> list[str]:
        """Say what has happened since the batch before was proposed."""
        earlier = [one for one in history.newest() if one.provenance.batch < proposals[0].provenance.batch]
        seen = max((one.provenance.batch for one in earlier), default=0)
        if not earlier:
            return ["the first batch"]
        units = self.plan.objective.units
        of_batch = {one.proposal_id for one in earlier if one.provenance.batch == seen}
        lines = []
        for run in history.attempts():
            if run.proposal_id in of_batch:
                number = history.number_of(run)
                values = history.accepted.get(run.run_key, {})
                told = ", ".join(f"{name} {value:.4g} {units[name]}".rstrip() for name, value in values.items()) or run.reason or ""
                beside = "".join(f"; {one.name} {environment_line(one)}" for one in run.environment)
                lines.append(f"proposal {number}: {run.status}{f', {told}' if told else ''}{beside}")
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

    def _of_twin(self, history: History, proposals: Sequence[Proposal]) -> tuple[dict[str, object], list[dict[str, object]]]:
        """Return what is told of the twin, and of what it expects of each proposal."""
        if self._twin is None:
            return {}, [{} for _ in proposals]
        twin, each = self._twin(history, proposals)
        return {"twin": twin}, [{"twin": one} if one else {} for one in each]

    # ----------------------------------------------------------------- one proposal

    def _entry(self, history: History, proposal: Proposal, seen: "Seen") -> dict[str, object]:
        found, explanation, there = seen.quantities, seen.explanation, self.plan.space.present(proposal.configuration)
        return {
            "proposal_id": proposal.proposal_id,
            "number": proposal.number,
            "revision": proposal.revision,
            "content_hash": proposal.content_hash,
            "author": proposal.author,
            "asked_again": why_asked_again(proposal, history.proposals),
            "columns": list(self.plan.space.columns),
            "configuration": {column: there.get(column) for column in self.plan.space.columns},
            "parameters": [_described(one, self.plan.space.units) for one in self.plan.space.parameters],
            "expected": _expected(proposal.provenance.predicted, self.plan.objective.units),
            "objective": self._objective(seen.outlooks.get(_key(proposal.configuration))),
            "quantities": dict(found.values),
            "hazards": [one.text for one in found.hazards],
            "neighbours": self._neighbours(history, proposal.configuration),
            "explanation": None if explanation is None else self._explained(explanation, seen.outlooks),
            "effects_svg": None if explanation is None else effects_svg(explanation, self.plan.objective),
            **{key: told for key, told in proposal.provenance.details.items() if key in (COST, FEASIBLE)},
        }

    def _objective(self, outlook: Outlook | None) -> dict[str, object] | None:
        """Return what is expected of the objective; where a target is the objective itself, its own line says that; a front has none."""
        if outlook is None:
            return None
        kept = {} if outlook.kept is None else {"kept": asdict(outlook.kept)}
        if alone(self.plan.objective) is not None:
            return {"better": outlook.better, **kept}
        if self.plan.objective.kind == "pareto":
            return {"joins": outlook.better, **kept}
        return {"mean": outlook.mean, "low": outlook.low, "high": outlook.high, "better": outlook.better, **kept}

    def _explained(self, explanation: Explanation, outlooks: Mapping[str, Outlook]) -> dict[str, object]:
        return {
            "players": list(explanation.players),
            "effects": {name: list(values) for name, values in explanation.effects.items()},
            "base": dict(explanation.base),
            "exploit": explanation.exploit,
            "alternatives": [
                {
                    "configuration": self.plan.space.present(one.configuration),
                    "acquisition": one.acquisition,
                    "expected": _expected(one.predicted, self.plan.objective.units),
                    "objective": self._objective(outlooks.get(_key(one.configuration))),
                }
                for one in explanation.alternatives
            ],
        }

    def _neighbours(self, history: History, configuration: Configuration) -> list[dict[str, object]]:
        known = observations(history)
        if not known:
            return []
        encoding = Encoding(self.plan.space)
        near = nearest_measured(encoding.encode([configuration])[0], encoding.encode([one.configuration for one in known]), encoding)
        return [
            {
                "distance": distance,
                "configuration": self.plan.space.present(known[index].configuration),
                "values": dict(known[index].values),
            }
            for index, distance in zip(near.indices, near.distances, strict=True)
        ]

    def _procedure(self, history: History, proposal: Proposal, before: Sequence[Step]) -> dict[str, object]:
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
            **lab_time(self.plan.procedure, history, proposal.steps, before),
        }

    def _last_steps(self, history: History) -> Sequence[Step]:
        """Return the steps of the run before: from where its setpoints stand, the first proposal goes on."""
        runs = [run for run in history.attempts() if run.started_lab is not None]
        return history.proposals[runs[-1].approval].steps if runs else ()

    def _explanations(self, history: History, proposals: Sequence[Proposal]) -> dict[str, Explanation]:
        """Ask the policy why, given what it knew before it proposed; hand-made and edited proposals have no such reason."""
        asked = [one for one in proposals if one.author is None and one.provenance.predicted]
        found: dict[str, Explanation] = {}
        for number in sorted({one.provenance.batch for one in asked}):
            found |= self._explained_batch(history, number, {one.proposal_id for one in asked if one.provenance.batch == number})
        return found

    def _explained_batch(self, history: History, number: int, asked: Collection[str]) -> dict[str, Explanation]:
        """Explain some of a batch; each was chosen beside those before it, whether people are asked about them or not."""
        first = {key: one for key, one in history.proposals.items() if one.revision == 1 and one.author is None}
        batch = sorted((one for one in first.values() if one.provenance.batch == number), key=lambda one: one.provenance.position)
        own = {one.proposal_id for one in history.newest() if one.provenance.batch >= number}
        runs = {key: run for key, run in history.runs.items() if run.proposal_id not in own}
        before = replace(
            history,
            proposals={key: one for key, one in history.proposals.items() if one.proposal_id not in own},
            runs=runs,
            measurements={key: one for key, one in history.measurements.items() if one.run_key in runs},
        )
        which = [index for index, one in enumerate(batch) if one.proposal_id in asked]
        given = self.policy.explain(knowledge(before), [one.configuration for one in batch], seed=batch[0].provenance.seed, only=which)
        return {batch[index].proposal_id: explanation for index, explanation in zip(which, given, strict=False)}

    def _outlooks(self, history: History, proposals: Sequence[Proposal], explanations: Mapping[str, Explanation]) -> dict[str, Outlook]:
        """Ask the policy what it expects of the objective, of what is asked about and of the alternatives, whoever chose them."""
        asked = [one.configuration for one in proposals if one.provenance.predicted]
        asked += [one.configuration for explanation in explanations.values() for one in explanation.alternatives]
        given = self.policy.outlook(knowledge(history), asked) if asked else ()
        return {_key(configuration): one for configuration, one in zip(asked, given, strict=False)}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found out about a proposal."""

    quantities: Quantities
    explanation: Explanation | None
    outlooks: Mapping[str, Outlook]
    """Of all configurations that the page shows, by their canonical form."""


def _restriction(one: Restriction, units: Mapping[str, str]) -> str:
    return f"{one.shown(units)} (restriction {one.number}, by {one.author}{f': {one.reason}' if one.reason else ''})"


def _described(parameter: Parameter, units: Mapping[str, str]) -> dict[str, object]:
    """Return name, unit and legal values of a parameter; the values without the unit, which a reader puts behind them."""
    unit = units.get(parameter.name, "")
    return {"name": parameter.name, "unit": unit, "legal": parameter.beside_others(parameter.legal_values.removesuffix(f" {unit}"))}


def _expected(predicted: Mapping[str, Prediction], units: Mapping[str, str]) -> dict[str, object]:
    return {
        name: {"mean": one.mean, "sd": one.sd, "low": one.low, "high": one.high, "unit": units.get(name, "")}
        for name, one in predicted.items()
    }


def _key(configuration: Configuration) -> str:
    return canonical(dict(configuration))


def _clean(value: Any, *, exact: bool = False) -> Any:
    """Round for people what is computed, and leave out what is no number: JSON has none for it."""
    if isinstance(value, Mapping):
        return {name: _clean(one, exact=exact or name == "configuration") for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one, exact=exact) for one in value]
    if isinstance(value, float):
        return (value if exact else float(f"{value:.{_DIGITS}g}")) if isfinite(value) else None
    return value
