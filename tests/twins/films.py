"""Histories of a campaign of films beside a twin, without anything being carried out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from flows.plans.plan import Plan, load_plan
from orchestrator.domain.environment import EnvironmentChannel, RunEnvironment, Sample, over_run
from orchestrator.domain.lifecycle import MeasurementStatus, ProposalStatus, RunStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Measurement, Proposal, Provenance
from orchestrator.domain.values import Configuration
from orchestrator.history import History
from tests.twins.test_bench import BY_T, film

HUMIDITY = EnvironmentChannel(name="humidity", channel="logger.humidity", unit="percent", reference=40.0, every=10.0)


def plan_of(folder: Path, section: str = "", code: str | None = None) -> Plan:
    """Return a plan of films whose bench file declares the twin."""
    more = () if code is None else (code,)
    return load_plan(film(folder, f"\n[twin]\n{BY_T}{section}", *more), prior_later=True)


def recorded(value: float | None, channel: EnvironmentChannel = HUMIDITY) -> RunEnvironment:
    """Return what one reading makes of a run."""
    return over_run(channel, [Sample(lab=5.0, value=value)], 0.0, 10.0)


def history_of_films(
    plan: Plan,
    values: Sequence[Mapping[str, float]],
    environments: Sequence[Sequence[RunEnvironment]],
    *,
    reasons: Sequence[str | None] = (),
    statuses: Sequence[RunStatus | None] = (),
    configurations: Sequence[Configuration] = (),
    told: Sequence[str | None] = (),
    doubts: Sequence[str | None] = (),
) -> History:
    """Return a history of one run for each of some mappings of what was measured; None for a proposal that has no run yet.

    `told` is why runs ended as they did, `doubts` why what they measured is quarantined.
    """
    proposals, runs, measurements = {}, {}, {}
    for place, (value, around) in enumerate(zip(values, environments, strict=True)):
        key = f"{place:03d}"
        asked: Configuration = {"T": 40.0 + place, "speed": 1200.0 + 97.0 * (7 * place % 19)}
        asked = configurations[place] if configurations else asked
        status = statuses[place] if statuses else RunStatus.COMPLETED
        proposals[key, 1] = Proposal.model_construct(
            proposal_id=key,
            campaign="films",
            number=place + 1,
            revision=1,
            status=ProposalStatus.APPROVED,
            configuration=dict(asked),
            steps=(),
            provenance=Provenance(policy="sobol/1", batch=1, as_of=0, seed=0),
            reason=reasons[place] if reasons else None,
        )
        if status is None:
            continue
        runs[key] = ExperimentRun(
            run_key=key,
            run_id=key,
            campaign="films",
            proposal_id=key,
            revision=1,
            status=status,
            reason=told[place] if told else None,
            started_lab=100.0 * place,
            ended_lab=100.0 * place + 10.0,
            environment=tuple(around),
        )
        for target, number in value.items():
            doubt = doubts[place] if doubts else None
            one = Measurement(
                measurement_id=f"{key}{target}",
                campaign="films",
                run_key=key,
                target=target,
                value=number,
                reduction="r/1",
                status=MeasurementStatus.ACCEPTED if doubt is None else MeasurementStatus.QUARANTINED,
                reason=doubt,
            )
            measurements[one.key] = one
    campaign = CampaignRecord.model_construct(name="films")
    return History(campaign, proposals=proposals, runs=runs, measurements=measurements)
