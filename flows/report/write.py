"""The report of a stored campaign; what it was comes from the ledger's snapshot of its files."""

from datetime import UTC, datetime
from pathlib import Path

from flows.plans.lab import Lab
from flows.plans.snapshots import files_of
from flows.report.data import Circumstances, assemble, process_of
from flows.report.experiments import Experiment
from flows.report.export import write_atomically
from flows.report.page import render_report
from flows.report.prior import PriorStory, label, prior_story
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.history import History, observations
from orchestrator.ports import Observation
from orchestrator.store.sql import SqlStore


def write_report_of(store: SqlStore, record: CampaignRecord, lab: Lab, out: Path | None = None) -> Path:
    """Write a stored campaign's report and return its path.

    Args:
        store: The ledger.
        record: The campaign.
        lab: Where it was carried out.
        out: The file; None for the lab's own folder.

    Raises:
        BadInput: The file cannot be written.
    """
    space, objective = files_of(record)
    prior = record.snapshot.get("prior")
    circumstances = Circumstances(
        bench=record.snapshot["place"],
        simulated=lab.kind == "dry",
        head=store.head(),
        made=datetime.now(UTC),
        budget=record.snapshot["budget"],
        process=process_of(store.events(record.name), rate=record.snapshot["rate"]),
        notes={} if prior is None else {"prior": label(prior, simulated_lab=lab.kind == "dry")},
    )

    def tell(experiments: tuple[Experiment, ...]) -> PriorStory | None:
        return prior_story(prior, store.events(record.name), experiments, space, objective, lambda seq: _known(store, record.name, seq))

    data = assemble(store.changes(record.name), space, objective, store.readings, circumstances, tell=tell)
    path = out or lab.report(record.name)
    try:
        write_atomically(path, render_report(data))
    except BadInput as error:
        raise BadInput(f"report {error}{'' if out else '; another place: --out FILE'}") from error
    return path


def _known(store: SqlStore, campaign: str, seq: int) -> tuple[Observation, ...]:
    """Return what had been measured at a sequence number of the ledger."""
    return observations(History.of(store.changes_until(campaign, seq)))
