"""What people take away of a campaign: its report, and its tables."""

from pathlib import Path

from flows.plans.lab import Lab
from flows.plans.ledger import open_campaign
from flows.plans.snapshots import files_of
from flows.report.export import export_campaign
from flows.report.write import write_report_of


def report(lab: Lab, campaign: str | None, out: Path | None = None) -> Path:
    """Write a campaign's report, one self-contained HTML page, into the lab or to a file or folder; return its path.

    Raises:
        BadInput: The file cannot be written.
    """
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        path = out / f"{history.campaign.name}.html" if out is not None and out.is_dir() else out
        return write_report_of(store, history.campaign, lab, path)


def export(lab: Lab, campaign: str | None, out: Path) -> tuple[Path, ...]:
    """Write a campaign's CSV files into a folder; return their paths."""
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        name = history.campaign.name
        return export_campaign(store.changes(name), *files_of(history.campaign), store.head(), out)
