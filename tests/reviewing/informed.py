"""A campaign with measurements behind it, and the decision page of what its model proposes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp
from typing import Any

from flows.plans.plan import Plan
from flows.plans.policy import policy_of
from flows.review.page import PageMaker
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus
from orchestrator.domain.objective import Objective
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Provenance
from orchestrator.domain.values import Configuration
from orchestrator.history import History, knowledge
from orchestrator.ports import Changes
from orchestrator.review import Quantities
from orchestrator.suggestions import Suggestion

LAB_SECONDS = 900.0
"""How much longer than its waits and holds each run took."""


def truth(objective: Objective, values: Configuration) -> dict[str, float]:
    """Answer every configuration with plain formulas of T and tau."""
    wavelength = 520 + 3.1 * (float(values["T"]) - 230) + 0.9 * float(values["tau"])
    known = {
        "wavelength": wavelength,
        "fwhm": 28 + 0.1 * abs(wavelength - 590),
        "quantum_yield": 0.75 * exp(-(((wavelength - 595) / 60) ** 2)),
    }
    return {name: known[name] for name in objective.names}


@dataclass(frozen=True)
class Informed:
    """A plan and as many completed runs as it has samples, or fewer."""

    plan: Plan
    runs: int = 12

    @property
    def history(self) -> History:
        """What the ledger would hold."""
        return History.of(self.changes(()))

    def changes(self, more: tuple[Proposal, ...]) -> Changes:
        """Return it with further proposals."""
        done = self.plan.sample[: self.runs]
        proposals = tuple(
            self.proposal(Suggestion(dict(one), "sobol/1"), index, batch=1, status=ProposalStatus.APPROVED)
            for index, one in enumerate(done, start=1)
        )
        runs = tuple(self._run(one) for one in proposals)
        measurements = tuple(value for run, one in zip(runs, done, strict=True) for value in self._measured(run, one))
        record = CampaignRecord(name=self.plan.file.name, snapshot=self.plan.snapshot, status=CampaignStatus.RUNNING)
        return Changes(40, record, (*proposals, *more), runs, measurements)

    def proposal(self, chosen: Suggestion, number: int, **changes: Any) -> Proposal:
        """Expand what was suggested."""
        batch = changes.pop("batch", 2)
        provenance = Provenance(
            policy=chosen.policy,
            as_of=40,
            seed=3,
            batch=batch,
            acquisition=chosen.acquisition,
            predicted=dict(chosen.predicted),
            details=dict(chosen.details),
        )
        made = Proposal(
            proposal_id=f"p-{number:02d}",
            campaign=self.plan.file.name,
            number=number,
            configuration=chosen.configuration,
            steps=self.plan.recipe.expand(chosen.configuration),
            provenance=provenance,
        )
        return made.evolve(**changes) if changes else made

    def _run(self, one: Proposal) -> ExperimentRun:
        assert self.plan.procedure is not None
        begun = 3600.0 * one.number
        return ExperimentRun(
            run_key=f"r-{one.number:02d}",
            run_id=f"r-{one.number:02d}",
            campaign=one.campaign,
            proposal_id=one.proposal_id,
            revision=1,
            status=RunStatus.COMPLETED,
            ingested=True,
            started_lab=begun,
            ended_lab=begun + self.plan.procedure.lab_seconds(one.steps) + LAB_SECONDS,
        )

    def _measured(self, run: ExperimentRun, values: Configuration) -> tuple[Measurement, ...]:
        return tuple(
            Measurement(
                measurement_id=f"{run.run_key}-{name}",
                campaign=run.campaign,
                run_key=run.run_key,
                target=name,
                value=value,
                uncertainty=0.01 * value,
                reduction="cdse-emission/1",
            )
            for name, value in truth(self.plan.objective, values).items()
        )

    def page(self, count: int, *, kind: str = "dry", **changes: Any) -> dict[str, Any]:
        """Make the page of the next batch."""
        chosen = policy_of(self.plan).propose(knowledge(self.history), count=count, seed=3)
        made = tuple(self.proposal(one, self.runs + index, **changes) for index, one in enumerate(chosen, start=1))
        return self.page_of(made, kind=kind)

    def page_of(self, made: tuple[Proposal, ...], *, kind: str = "dry") -> dict[str, Any]:
        """Make the page of given proposals."""
        maker = PageMaker(self.plan, policy_of(self.plan), kind, lambda: {"state": "ready"})
        found: Mapping[str, Quantities] = {
            one.proposal_id: Quantities({**self.plan.recipe.quantities(one.configuration).values, "novelty": 0.1}) for one in made
        }
        return dict(maker(History.of(self.changes(made)), made, found))
