"""The report of a stored campaign; what it was comes from the ledger's snapshot of its files."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flows.plans.lab import Lab
from flows.plans.snapshots import files_of
from flows.report.adaptations import advices
from flows.report.data import Circumstances, assemble, process_of
from flows.report.files import write_atomically
from flows.report.page import render_report
from flows.report.prior import label, prior_story
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput
from orchestrator.ports import ReadStore


def write_report_of(store: ReadStore, record: CampaignRecord, lab: Lab, out: Path | None = None) -> Path:
    """Write a stored campaign's report and return its path.

    Args:
        store: The ledger.
        record: The campaign.
        lab: Where it was carried out.
        out: The file; None for the lab's own folder.

    Raises:
        BadInput: The file cannot be written.
    """
    path = out or lab.report(record.name)
    try:
        write_atomically(path, report_of(store, record, simulated=lab.kind == "dry"))
    except BadInput as error:
        raise BadInput(f"report {error}{'' if out else '; another place: --out FILE'}") from error
    return path


def report_of(store: ReadStore, record: CampaignRecord, *, simulated: bool) -> str:
    """Return a stored campaign's report: one self-contained HTML page."""
    space, objective = files_of(record)
    prior, events = record.snapshot.get("prior"), tuple(store.events(record.name))
    circumstances = Circumstances(
        bench=record.snapshot["place"],
        simulated=simulated,
        head=store.head(),
        made=datetime.now(UTC),
        budget=record.snapshot["budget"],
        process=process_of(events, rate=record.snapshot["rate"]),
        notes={**({} if prior is None else {"prior": label(prior, simulated_lab=simulated)}), **record.snapshot.get("stand_ins", {})},
    )
    data = assemble(store.changes(record.name), space, objective, store.readings, circumstances)
    data = replace(data, prior=prior_story(prior, events, data.experiments, objective), advices=advices(events))
    return render_report(data)
