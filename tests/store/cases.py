"""Small legal histories for the tests of both stores."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from orchestrator.clock import Instant
from orchestrator.domain.events import EventKind
from orchestrator.domain.lifecycle import CampaignStatus, ProposalStatus, RunStatus, StepKind
from orchestrator.domain.records import (
    CampaignRecord,
    ExperimentRun,
    Measurement,
    Proposal,
    Provenance,
    Reading,
    Step,
)
from orchestrator.domain.restriction import Allowed, Restriction
from orchestrator.domain.review import Answer, Asked, Page, Reason, ReviewRequest, Verdict
from orchestrator.domain.values import canonical, digest
from orchestrator.ports import Store

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CAMPAIGN = "dots"
BY = "a test"


def at(seconds: float) -> Instant:
    return Instant(wall=START + timedelta(seconds=seconds), lab=seconds)


def campaign(name: str = CAMPAIGN) -> CampaignRecord:
    return CampaignRecord(name=name, snapshot={"campaign.toml": "budget = 3 # 10 µmol\n", "bench.toml": "x = 1\n"})


def proposal(number: int = 1, *, name: str = CAMPAIGN, revision: int = 1, temperature: float = 240.5) -> Proposal:
    step = Step(index=0, do="oven.set_temperature", kind=StepKind.STATE_SETTING, arguments={"temperature": temperature})
    return Proposal(
        proposal_id=f"{name}-p{number}",
        campaign=name,
        number=number,
        revision=revision,
        configuration={"T": temperature, "solvent": "ODE"},
        steps=(step,),
        provenance=Provenance(policy="sobol/1", as_of=3, seed=number),
    )


def restriction(name: str) -> Restriction:
    return Restriction(restriction_id=name, campaign=CAMPAIGN, author="Ada", columns={"T": Allowed(max=250.0)})


def approved(original: Proposal) -> Proposal:
    return original.evolve(status=ProposalStatus.APPROVED, decided_by="person Ada")


def queued(original: Proposal, *, attempt: int = 1) -> ExperimentRun:
    return ExperimentRun(
        run_key=f"{original.proposal_id}-r{original.revision}-a{attempt}",
        run_id=f"{original.proposal_id}-r{original.revision}",
        attempt=attempt,
        campaign=original.campaign,
        proposal_id=original.proposal_id,
        revision=original.revision,
    )


def reading(seq: int = 0, *, raw: bytes = b"\x02 23.4\x03", value: float | None = 23.4, **changes: Any) -> Reading:
    known: dict[str, Any] = {
        "step": 0,
        "instrument": "oven",
        "channel": "temperature",
        "unit": "degC",
        "quality": "good",
        "wall": START,
        "lab": 7.25,
        "value": value,
        "raw": raw,
        "sha256": sha256(raw).hexdigest() if raw else "",
        "seq": seq,
    }
    return Reading(**{**known, **changes})


def measurement(run: ExperimentRun, target: str = "wavelength", *, value: float = 512.5, revision: int = 1) -> Measurement:
    return Measurement(
        measurement_id=f"{run.run_key}-{target}-{revision}",
        campaign=run.campaign,
        run_key=run.run_key,
        target=target,
        revision=revision,
        value=value,
        uncertainty=0.1,
        reduction="cdse-emission/1",
    )


def elsewhere() -> tuple[ExperimentRun, tuple[Measurement, ...]]:
    """Return an experiment that was done elsewhere, and its value."""
    key = "5c146b14-3c52-8afd-938a-375d0df1fbf6"
    run = ExperimentRun(
        run_key=key,
        run_id=key,
        campaign=CAMPAIGN,
        source="imported",
        proposal_id=None,
        revision=0,
        status=RunStatus.COMPLETED,
        measured={"T": 250.0, "solvent": "ODE"},
        ingested=True,
    )
    return run, (measurement(run, value=530.0),)


@dataclass(frozen=True)
class Told:
    """What a told history left in the store."""

    proposal: Proposal
    run: ExperimentRun
    measurements: tuple[Measurement, ...] = ()
    readings: tuple[Reading, ...] = ()


def begin(store: Store, name: str = CAMPAIGN) -> CampaignRecord:
    store.create_campaign(campaign(name), by=BY, now=at(0))
    running = campaign(name).evolve(status=CampaignStatus.RUNNING)
    store.update_campaign(running, kind=EventKind.RUNNING, by=BY, now=at(1))
    return running


def tell_approval(store: Store, number: int = 1, *, name: str = CAMPAIGN) -> Told:
    asked = proposal(number, name=name)
    run = queued(asked)
    store.add_proposals([asked], by=BY, now=at(2))
    store.decide(approved(asked), [run], by="person Ada", now=at(3))
    return Told(approved(asked), run)


def tell_execution(store: Store, number: int = 1, *, name: str = CAMPAIGN) -> Told:
    told = tell_approval(store, number, name=name)
    dispatched = told.run.evolve(status=RunStatus.DISPATCHED, position="A1")
    store.update_run(dispatched, kind=EventKind.DISPATCHED, by=BY, now=at(4))
    running = dispatched.evolve(status=RunStatus.RUNNING, started_lab=4.5)
    store.update_run(running, kind=EventKind.RUNNING, by=BY, now=at(5))
    return Told(told.proposal, running)


def tell_experiment(store: Store, number: int = 1, *, name: str = CAMPAIGN) -> Told:
    told = tell_execution(store, number, name=name)
    ended = told.run.evolve(status=RunStatus.COMPLETED, ended_lab=6.0, measured={"T": 240.4}, ingested=True)
    measurements = (measurement(ended), measurement(ended, "yield", value=0.25))
    readings = (reading(0), reading(1, raw=f"spectrum {number}".encode(), value=None, array=(1.0, 2.5, 3e-9)))
    store.ingest(ended, measurements, readings, by=BY, now=at(6))
    return Told(told.proposal, ended, measurements, readings)


def request_for(asked: Proposal, number: int = 1, **changes: Any) -> tuple[ReviewRequest, Page]:
    text = canonical({"campaign": asked.campaign, "number": number})
    page = Page(sha256=digest(text), campaign=asked.campaign, text=text)
    reason = Reason(name="always", text="every proposal is reviewed", standing=True)
    entry = Asked(
        proposal_id=asked.proposal_id,
        number=asked.number,
        revision=asked.revision,
        content_hash=asked.content_hash,
        reasons=(reason,),
    )
    fields: dict[str, Any] = {"asked": (entry,), "page_sha256": page.sha256, "opened_lab": 2.0, **changes}
    return ReviewRequest(request_id=f"{asked.campaign}-q{number}", campaign=asked.campaign, number=number, **fields), page


def answer_to(request: ReviewRequest, answer_id: str = "a1", *, by: str = "Ada", **changes: Any) -> Answer:
    verdicts = tuple(Verdict(proposal_id=one.proposal_id, revision=one.revision, verdict="approve") for one in request.asked)
    fields: dict[str, Any] = {"content_hash": request.content_hash, "reviewer": by, "verdicts": verdicts, **changes}
    return Answer(answer_id=answer_id, campaign=request.campaign, request_id=request.request_id, **fields)


def tell_request(store: Store, number: int = 1) -> tuple[Proposal, ReviewRequest, Page]:
    asked = proposal(number)
    store.add_proposals([asked], by=BY, now=at(2))
    request, page = request_for(asked, number)
    store.open_request(request, page, by=BY, now=at(3))
    return asked, request, page
