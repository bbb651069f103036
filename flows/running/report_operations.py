"""What people take away of a campaign: its report, and its tables."""

from pathlib import Path

from flows.plans.lab import Lab
from flows.plans.ledger import open_campaign
from flows.plans.snapshots import files_of
from flows.report.export.campaign import ExportOptions, export_campaign
from flows.report.export.source import Source
from flows.report.write import report_of, write_report_of
from orchestrator.domain.records import CampaignRecord
from orchestrator.ports import ReadStore


def report(lab: Lab, campaign: str | None, out: Path | None = None) -> Path:
    """Write a campaign's report, one self-contained HTML page, into the lab or to a file or folder; return its path.

    Raises:
        BadInput: The file cannot be written.
    """
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        path = out / f"{history.campaign.name}.html" if out is not None and out.is_dir() else out
        return write_report_of(store, history.campaign, lab, path)


def export(lab: Lab, campaign: str | None, out: Path, options: ExportOptions | None = None) -> tuple[Path, ...]:
    """Write a campaign's tables, and what else is asked for, into a folder; return the files' paths.

    Raises:
        BadInput: A library is missing, or a file there is not from an export of this campaign.
    """
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        source = source_of(lab, store, history.campaign)
        report = report_of(store, history.campaign, simulated=source.simulated) if options is not None and options.crate else ""
        return export_campaign(source, out, options, report=report)


def source_of(lab: Lab, store: ReadStore, record: CampaignRecord) -> Source:
    """Read all that an export of a campaign is made from; raw readings are read when they are asked for, from the same store."""
    space, objective = files_of(record)
    return Source(
        changes=store.changes(record.name),
        space=space,
        objective=objective,
        events=tuple(store.events(record.name)),
        head=store.head(),
        readings=store.readings,
        simulated=lab.kind == "dry",
    )
