"""Commands that only read: status, report, export, verify."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from flows.console import console, emit
from flows.plans.lab import Lab, find_lab
from flows.plans.snapshots import files_of
from flows.plans.stocks import StockBook, stock_entries_of
from flows.report.adaptations import Adaptation, adaptations
from instruments.lab_processes.processes import process_table
from orchestrator.commandline import typed
from orchestrator.domain.records import CampaignRecord
from orchestrator.errors import BadInput, StoreError
from orchestrator.loop import History, accepted, counts
from orchestrator.store.sql import SqlStore
from orchestrator.summary import quarantined, values_by_status


def the_campaign(store: SqlStore, lab: Lab, name: str | None) -> CampaignRecord:
    """Return the named campaign, or the only one of the lab.

    Raises:
        BadInput: None of that name, or several to choose from.
    """
    records = {record.name: record for record in store.campaigns()}
    if name is None and len(records) == 1:
        return next(iter(records.values()))
    if not records:
        raise BadInput(f"lab {lab.path} has no campaign yet; `run` or `dry-run` begins one")
    if name is None:
        raise BadInput(f"lab {lab.path} has {len(records)} campaigns; name one of: {', '.join(records)}")
    if name not in records:
        raise BadInput(f"lab {lab.path} has no campaign {name!r}; it has {', '.join(records)}")
    return records[name]


def show_status(campaign: str | None, *, lab: Path | None, as_json: bool) -> None:
    """Print state, counts and processes."""
    found = find_lab(lab, here=Path.cwd())
    processes = process_table(found.path)
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        record = the_campaign(store, found, campaign)
        history = History.of(store.changes(record.name))
        adapted = adaptations(store.events(record.name))
        stocks = StockBook(store, record.name).lines(history, stock_entries_of(record.snapshot.get("files", {}).get("bench", "")))
    document = {
        "campaign": record.name,
        "state": record.status,
        "reason": record.reason,
        "counts": counts(history),
        "values": values_by_status(history),
        "unknown": [run.run_key for run in history.runs.values() if run.status == "unknown"],
        "stocks": stocks,
        "restrictions": _restrictions(history),
        "requests": [one.number for one in history.open_requests],
        "constant": _constant(history),
        "prior": record.snapshot.get("prior"),
        "trust": adapted[-1].trust if adapted else None,
        "lab": str(found.path),
        "kind": found.kind,
        "processes": processes,
    }
    if as_json:
        emit(document)
        return
    for line in _status_lines(found, history, document, adapted):
        console.print(line)


def _status_lines(lab: Lab, history: History, document: Mapping[str, Any], adapted: Sequence[Adaptation]) -> Iterator[str]:
    record = history.campaign
    yield f"campaign {record.name} ({lab.kind} lab {lab.path}): {record.status}{f' ({record.reason})' if record.reason else ''}"
    for name, number in document["counts"].items():
        yield f"  {name.replace('_', ' ')}: {number}"
    if (line := quarantined(history)) is not None:
        yield f"  {line}"
    if record.snapshot.get("prior"):
        yield f"  {_trust_line(record.snapshot['prior'], adapted)}"
    for line in (*document["constant"], *document["restrictions"]):
        yield f"  {line}"
    for name, line in document["stocks"].items():
        yield f"  {name}: {line}"
    for name, process in document["processes"].items():
        yield f"  {name}: {'-' if process is None else 'pid {pid}, since {started}'.format(**process)}"
    for request in history.open_requests:
        yield f"  request {request.number} waits for people: {request.extent}; athanor review"
    for run_key in document["unknown"]:
        yield f"  unknown: {typed('resolve', run_key)} --done | --not-done | --discard --reason TEXT --by NAME"


def _constant(history: History) -> tuple[str, ...]:
    """Say which targets have not varied yet."""
    measured = accepted(history).values()
    return files_of(history.campaign)[1].constant(measured) if len(measured) > 1 else ()


def _restrictions(history: History) -> list[str]:
    """Say what the next batch must keep to."""
    found = history.restricted(history.last_batch + 1)
    units = files_of(history.campaign)[0].units if found else {}
    return [f"restriction {one.number}: {one.shown(units)}" for one in found]


def _trust_line(prior: Mapping[str, str], adapted: Sequence[Adaptation]) -> str:
    """Say in a line how far the prior is trusted."""
    known = f"prior {prior['name']} ({prior['origin']}, {prior['sha256'][:12]})"
    if not adapted:
        return f"{known}: not adapted yet"
    shown = ", ".join(f"{target} {trust:.2f}" for target, trust in adapted[-1].trust.items())
    return f"{known}: trust {shown or '-'} after {adapted[-1].experiments} experiments"


def write_report(campaign: str | None, *, lab: Path | None, out: Path | None = None) -> None:
    """Write a campaign's report, into the lab or where it is wanted, and print its path."""
    from flows.report.write import write_report_of  # loads plotly, which `status` and `verify` need not wait for

    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        record = the_campaign(store, found, campaign)
        path = out / f"{record.name}.html" if out is not None and out.is_dir() else out
        console.print(str(write_report_of(store, record, found, path)), markup=False)


def export_tables(campaign: str | None, out: Path, *, lab: Path | None) -> None:
    """Write a campaign's CSV files."""
    from flows.plans.snapshots import files_of
    from flows.report.export import export_campaign

    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        record = the_campaign(store, found, campaign)
        space, objective = files_of(record)
        paths = export_campaign(store.changes(record.name), space, objective, store.head(), out)
    for path in paths:
        console.print(str(path))


def verify_ledger(*, lab: Path | None, as_json: bool) -> None:
    """Check the ledger's chain and tables.

    Raises:
        StoreError: Something disagrees; every complaint is printed before.
    """
    found = find_lab(lab, here=Path.cwd())
    with closing(SqlStore.open(found.ledger, read_only=True)) as store:
        complaints, (seq, head) = store.verify(), store.head()
    if as_json:
        emit({"ledger": str(found.ledger), "events": seq, "head": head, "complaints": complaints})
    else:
        for complaint in complaints:
            console.print(complaint)
    if complaints:
        raise StoreError(f"ledger {found.ledger} is damaged: {len(complaints)} complaints, the first: {complaints[0]}")
    if not as_json:
        console.print(f"ledger {found.ledger} is sound: {seq} events, head {head}")
