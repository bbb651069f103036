"""`athanor status`: how a campaign stands, on the terminal or as a document."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flows.cli.console import console, emit
from flows.cli.options import CampaignArgument, JsonOption, LabOption, commands, the_lab
from orchestrator.commandline import typed

if TYPE_CHECKING:
    from flows.running.operations import Standing

app = commands()


@app.command()
def status(campaign: CampaignArgument = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Show a campaign's state, counts and processes."""
    from flows.running.operations import standing

    found = standing(the_lab(lab), campaign)
    document = {**_document(found), "waiting": _waiting(found)}
    if as_json:
        emit(document)
        return
    for line in _lines(found, document):
        console.print(line)


def _document(found: "Standing") -> dict[str, Any]:
    from flows.plans.ledger import unknown_runs
    from orchestrator.history import counts
    from orchestrator.summary import values_by_status

    history, record = found.history, found.history.campaign
    return {
        "campaign": record.name,
        "state": record.status,
        "reason": record.reason,
        "counts": counts(history),
        "values": values_by_status(history),
        "awaited": found.awaited,
        "overdue": {run.run_key: missing for run in history.attempts() if (missing := [*history.missing(run)])},
        "outdated": found.outdated,
        "unknown": [run.run_key for run in unknown_runs(history)],
        "stocks": found.stocks,
        "used": found.account,
        "restrictions": found.restrictions,
        "requests": [one.number for one in history.open_requests],
        "constant": found.constant,
        **({"limits": limits} if (limits := found.limits) else {}),
        "attained": found.attained,
        "advice": None if record.advice is None else record.advice.model_dump(),
        **({"drifts": [one.model_dump() for one in record.drifts]} if record.drifts else {}),
        "prior": record.snapshot.get("prior"),
        "trust": found.adapted[-1].trust if found.adapted else None,
        "lab": str(found.lab.path),
        "ledger": str(found.lab.ledger),
        "kind": found.lab.kind,
        "stand_ins": record.snapshot.get("stand_ins", {}),
        "processes": found.processes,
    }


def _lines(found: "Standing", document: Mapping[str, Any]) -> Iterator[str]:
    from flows.plans.allowance import told
    from orchestrator.results import run_name
    from orchestrator.store.place import ServerLedger
    from orchestrator.summary import quarantined

    lab, history, record = found.lab, found.history, found.history.campaign
    yield f"campaign {record.name} ({lab.kind} lab {lab.path}): {record.status}{f' ({record.reason})' if record.reason else ''}"
    if isinstance(lab.ledger, ServerLedger):
        yield f"  ledger: {lab.ledger}"
    for name, number in document["counts"].items():
        yield f"  {name.replace('_', ' ')}: {number}"
    if (line := quarantined(history)) is not None:
        yield f"  {line}"
    yield from (f"  {line}" for line in document["attained"])
    if document["prior"]:
        yield f"  {_trust_line(found, document['prior'])}"
    if record.advice is not None:
        yield f"  {record.advice.line}"
    yield from (f"  {one.answered_line}" for one in record.drifts)
    for line in (*document["constant"], *document.get("limits", ()), *document["restrictions"]):
        yield f"  {line}"
    for one in document["awaited"]:
        yield "  run {run} awaits {target}: {until}".format(**one)
    for run_key, targets in document["overdue"].items():
        yield f"  run {run_name(history, history.runs[run_key])} counts as without {', '.join(targets)}: overdue"
    for number, lines in document["outdated"].items():
        yield f"  proposal {number}, not carried out yet, rests on what has changed since: {'; '.join(lines)}"
    for name, line in document["stand_ins"].items():
        yield f"  {name}: {line}"
    for name, line in document["stocks"].items():
        yield f"  {name}: {line}"
    for name, one in document["used"].items():
        yield f"  {name.replace('_', ' ')}: {told(one)}"
    for name, process in document["processes"].items():
        yield f"  {name}: {'-' if process is None else 'pid {pid}, since {started}'.format(**process)}"
    for request in history.open_requests:
        yield f"  request {request.number} waits for people: {request.extent}; `{typed('review', '--lab', lab.path)}`"
    for line in document["waiting"]:
        yield f"  {line}; `{typed('work', '--lab', lab.path)}`"
    for run_key in document["unknown"]:
        yield f"  unknown: {typed('resolve', run_key, '--lab', lab.path)} --done | --not-done | --discard --reason TEXT --by NAME"


def _trust_line(found: "Standing", prior: Mapping[str, str]) -> str:
    """Say in a line how far the prior is trusted."""
    known = f"prior {prior['name']} ({prior['origin']}, {prior['sha256'][:12]})"
    if not found.adapted:
        return f"{known}: not adapted yet"
    shown = ", ".join(f"{target} {trust:.2f}" for target, trust in found.adapted[-1].trust.items())
    return f"{known}: trust {shown or '-'} after {found.adapted[-1].experiments} experiments"


def _waiting(found: "Standing") -> list[str]:
    """Say in a line each which steps wait for people; the bench is asked only where people take part."""
    from orchestrator.domain.lifecycle import RunStatus, StepKind
    from orchestrator.errors import HostError

    history = found.history
    in_hand = [run for run in history.attempts() if run.status in (RunStatus.DISPATCHED, RunStatus.RUNNING)]
    steps = [step for run in in_hand for step in history.proposals[run.approval].steps]
    if not any(step.kind is StepKind.PERSON for step in steps):
        return []
    from flows.cli.work_commands import line_of
    from flows.running.work_operations import waiting_work

    try:
        work = waiting_work(found.lab, history.campaign.name)
    except HostError as error:
        return [f"what waits for people cannot be asked: {error}"]
    return [line_of(work, one) for one in work.steps]
