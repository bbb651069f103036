"""What people ask of a campaign's twin: how far it is off and why, what it learns, and whether that holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.plans.lab import Lab, clock_of
from flows.plans.ledger import open_campaign
from flows.plans.plan import Plan, stored_plan
from flows.plans.twins.bound import BoundTwin, bound_twin
from flows.plans.twins.files import FOLDER, Learned, RevisionFile, read_twin_file, revision_name, revisions
from flows.plans.twins.table import KEPT
from flows.report.files import write_atomically
from flows.review.by_hand import Editor, editor_of, proposal_by_hand
from flows.studies.twins.compared import Compared, compared
from flows.studies.twins.drifting import Watched, drift
from flows.studies.twins.explained import Explained, explained, quantities
from flows.studies.twins.failing import Failing, failing
from flows.studies.twins.helping import Help, helping
from flows.studies.twins.page import Told, page
from flows.studies.twins.recalibrated import Recalibrated, recalibrated, write
from flows.studies.twins.verification import (
    CANDIDATES,
    SURROUNDINGS,
    Verified,
    deviations,
    reason_for,
    said_around,
    telling,
    verified,
    verifying_of,
    waiting,
)
from instruments.bench.file import BenchFile
from instruments.bench.twin_spec import TwinSpec
from models.inputs.encoding import Encoding
from models.threads import use_threads
from models.twin.drift import FALSE_ALARM_EVERY
from models.twin.pairs import LEAST_ROWS
from orchestrator.domain.drift import DriftAlarm
from orchestrator.domain.events import Actor
from orchestrator.domain.records import Proposal
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from orchestrator.history import History, Knowledge, knowledge
from policies.initial import SobolPolicy


def compare(lab: Lab, campaign: str | None, *, twin: str | None = None) -> Compared:
    """Put a campaign's runs beside its twin, or another one.

    Raises:
        BadInput: The campaign has no twin, or nothing that it predicts was measured.
    """
    with open_campaign(lab, campaign, read_only=True) as (_, history):
        return _compared(lab, history, stored_plan(history.campaign), twin)


def explain(lab: Lab, campaign: str | None, wanted: Sequence[str], *, twin: str | None = None) -> tuple[Compared, tuple[Explained, ...]]:
    """Say why they differ, of the quantities that are asked for or of all.

    Raises:
        BadInput: As `compare`; or the twin does not predict what is asked for, or too few runs have it.
    """
    use_threads(1)  # the same figures on every machine
    found, names = quantities(compare(lab, campaign, twin=twin), wanted)
    return found, tuple(explained(found, one) for one in names)


def failures(found: Compared, all_of: Sequence[Explained] = ()) -> tuple[tuple[Failing, Help], ...]:
    """Say why runs came to nothing, and what would help, reason by reason.

    Args:
        found: The runs beside the twin.
        all_of: What is known of quantities: terms that the twin has taken up.

    Raises:
        BadInput: What the twin gives is not what it declares.
    """
    use_threads(1)
    return tuple((one, helping(found, one, all_of)) for one in failing(found))


def watch(
    lab: Lab, campaign: str | None, wanted: Sequence[str], *, learn: int | None = None, every: float | None = None
) -> tuple[Compared, tuple[Watched, ...], tuple[DriftAlarm, ...]]:
    """Say since when they differ in another way than before, and which alarms were raised while the campaign ran.

    Args:
        lab: Where.
        campaign: Which.
        wanted: Quantities; empty for all that the twin predicts.
        learn: Runs that are learned from; None as the bench file says it, else half of them.
        every: Runs between two false alarms, on average; None as the bench file says it.

    Raises:
        BadInput: As `compare`; or too few runs to learn from, or none to watch.
    """
    use_threads(1)
    with open_campaign(lab, campaign, read_only=True) as (_, history):
        plan = stored_plan(history.campaign)
        found, names = quantities(_compared(lab, history, plan, None), wanted)
    return found, tuple(_drift(plan, found, one, learn=learn, every=every) for one in names), history.campaign.drifts


@dataclass(frozen=True)
class Written:
    """A new revision."""

    made: Recalibrated
    name: str
    """As a bench file would name it."""
    file: Path
    runs: int
    left_out: tuple[str, ...]
    """What it has not learned from, and why; a line each."""
    is_new: bool = True
    """Whether it was not there before, with the same content from the same runs."""


def recalibrate(lab: Lab, campaign: str | None, *, by: str, reason: str, since: float | None = None) -> Written:
    """Let a campaign's twin learn from its runs, and write it as a new revision beside the bench file.

    Where the campaign goes by a revision that has learned from its runs already, what learns is the twin before it: no run counts twice.

    Args:
        lab: Where.
        campaign: Which.
        by: Who lets it learn.
        reason: Why.
        since: Lab seconds from which on runs are learned from; None for all of them.

    Raises:
        BadInput: As `explain`; or there is nothing to calibrate.
    """
    with open_campaign(lab, campaign, read_only=True) as (store, history):
        plan, head = stored_plan(history.campaign), store.head()
    bench, base = _bench(plan), _untaught(plan)
    use_threads(1)
    whole = compare(lab, campaign, twin=base)
    found, names = quantities(whole if since is None else whole.since(since))
    all_of = tuple(explained(found, one) for one in names)
    made = recalibrated(found, all_of)
    note = f"by {by}{f': {reason}' if reason else ''}"
    learned = Learned(campaign=found.campaign, head=head[1], runs=len(found.rows), note=note)
    before = {path for _, path in revisions(bench.folder, made.bound.twin.name)}
    name = write(made, bench.folder, base=base, learned=learned)
    return Written(made, name, bench.folder / name, len(found.rows), found.left_out, bench.folder / name not in before)


@dataclass(frozen=True)
class Verification:
    """A revision, and what fresh runs say of it."""

    old: str
    new: str
    suggested: tuple[Proposal, ...]
    waiting: int
    """Proposals that verify it and have not been measured yet."""
    outdated: int
    """Proposals that were chosen for what its file said before somebody changed it: they do not count."""
    found: Verified


def verify(lab: Lab, campaign: str | None, *, count: int = 0, by: str | None = None, twin: str | None = None) -> Verification:
    """Suggest experiments that tell a revision from the twin before it, and judge it by those that were carried out.

    Args:
        lab: Where.
        campaign: Which.
        count: How many new experiments are suggested.
        by: Who suggests them.
        twin: The revision; None for the newest one.

    Raises:
        BadInput: There is no revision, or nobody is named who suggests.
    """
    if count and by is None:
        raise BadInput("nobody is named who suggests the experiments; expected --by NAME")
    with open_campaign(lab, campaign, read_only=not count) as (store, history):
        plan = stored_plan(history.campaign)
        name = _newest(plan) if twin is None else revision_name(twin)
        base = _revision(plan, name).twin.base
        old, new = _named(plan, base), _named(plan, name)
        verifying, outdated = verifying_of(history.newest(), name, new.found.files)
        asked = {one.proposal_id for one in verifying}
        found = _compared(lab, history, plan, None)
        fresh = np.array([history.proposals[row.run.approval].proposal_id in asked for row in found.rows])
        measured, said = found.values(tuple(new.outputs)), (found.says(old), found.says(new))
        noise = deviations(measured[~fresh] - said[1][~fresh], name)
        judged = verified(measured[fresh], said[0][fresh], said[1][fresh], noise)
        suggested: tuple[Proposal, ...] = ()
        if count and by is not None:
            history.campaign.refuse_ended()
            editor = editor_of(history, store)
            telling_rows = _telling(found, editor, (old, new), noise, knowledge(history).excluded, count)
            for place, (row, why) in enumerate(telling_rows):
                made = proposal_by_hand(editor, dict(row), author=by, reason=reason_for(name, new.found.files, why))
                suggested = (*suggested, made.evolve(number=made.number + place))
            store.add_proposals(suggested, by=Actor.person(by), now=clock_of(lab, store).now())
        return Verification(base, name, suggested, waiting(history, verifying) + len(suggested), len(outdated), judged)


@dataclass(frozen=True)
class Revision:
    """One revision of a campaign's twin, as its file says."""

    name: str
    """As a bench file would name it."""
    content: RevisionFile
    current: bool
    """Whether the campaign goes by it."""


def history_of(lab: Lab, campaign: str | None) -> tuple[str, tuple[Revision, ...]]:
    """Return the twin that a campaign goes by, and all revisions beside its bench file, the oldest first.

    Raises:
        BadInput: The campaign has no twin, or a revision's file cannot be read.
    """
    with open_campaign(lab, campaign, read_only=True) as (_, history):
        plan = stored_plan(history.campaign)
    bench, bound = _bench(plan), _twin(plan)
    chemistry = _spec(bench).chemistry
    names = [f"./{path.relative_to(bench.folder).as_posix()}" for _, path in revisions(bench.folder, bound.twin.name)]
    return chemistry, tuple(Revision(name, _revision(plan, name), _same(name, chemistry)) for name in names)


def report(lab: Lab, campaign: str | None, out: Path | None) -> Path:
    """Write a campaign beside its twin as one self-contained HTML page; return its path.

    Raises:
        BadInput: As `explain`; or the file cannot be written.
    """
    found, all_of = explain(lab, campaign, ())
    _, known = history_of(lab, campaign)
    with open_campaign(lab, campaign, read_only=True) as (_, history):
        plan = stored_plan(history.campaign)
    revised = _revised(found, plan, known)
    told = [_told(lab, campaign, one) for one in known]
    watched = [_watched(plan, found, one.gap.measured) for one in all_of]
    path = out or lab.report(f"{found.campaign}-twin")
    shown = (failures(found, all_of), history.campaign.drifts)
    write_atomically(path, page(found, all_of, watched, told, revised, *shown, simulated=lab.kind == "dry"))
    return path


def _revised(found: Compared, plan: Plan, known: Sequence[Revision]) -> tuple[str, NDArray[np.float64]] | None:
    """Return the newest revision that can still be asked, and what it says of all rows."""
    for one in reversed(known):
        try:
            return one.name, found.says(_named(plan, one.name))
        except BadInput:
            continue
    return None


def _told(lab: Lab, campaign: str | None, one: Revision) -> Told:
    learned = one.content.learned
    said = "" if learned is None else f"{learned.runs} runs of {learned.campaign}, {learned.note}"
    try:
        found = verify(lab, campaign, twin=one.name).found
        verdict = f"{found.verdict} ({found.runs} runs)" if found.values else "none"
    except BadInput as error:  # a file that somebody took away must not hide all the others
        verdict = f"cannot be judged: {error}"
    return Told(one.name, one.content.twin.base, said, ", ".join(one.content.terms), verdict)


def _watched(plan: Plan, found: Compared, measured: str) -> Watched | None:
    said = _spec(_bench(plan)).drift
    if len(found.told(measured)) <= (2 * LEAST_ROWS if said is None else said.learn):
        return None
    return _drift(plan, found, measured)


def _drift(plan: Plan, found: Compared, measured: str, *, learn: int | None = None, every: float | None = None) -> Watched:
    """Watch a quantity as the bench file says it, where nothing else is said."""
    said = _spec(_bench(plan)).drift
    learned = learn if learn is not None or said is None else said.learn
    rate = every if every is not None else FALSE_ALARM_EVERY if said is None else said.false_alarm
    return drift(found, measured, learn=learned, every=rate)


# ---------------------------------------------------------------------- of one campaign


def _compared(lab: Lab, history: History, plan: Plan, twin: str | None) -> Compared:
    bound = _twin(plan) if twin is None else _named(plan, twin)
    return compared(history, bound, folder=lab.path / KEPT)


def _bench(plan: Plan) -> BenchFile:
    if plan.bench is None or plan.bench.spec.twin is None:
        raise BadInput(f"campaign {plan.file.name} has no twin; its bench file names one with [twin] chemistry")
    return plan.bench


def _spec(bench: BenchFile) -> TwinSpec:
    assert bench.spec.twin is not None, "a bench without a twin was refused"
    return bench.spec.twin


def _twin(plan: Plan) -> BoundTwin:
    _bench(plan)
    assert plan.twin is not None, "its bench names one"
    return plan.twin


def _same(name: str, other: str) -> bool:
    return name.removeprefix("./") == other.removeprefix("./")


def _named(plan: Plan, name: str) -> BoundTwin:
    """Return the campaign's twin, or another one in its place; what the bench file says of constants is of its own twin alone."""
    bench = _bench(plan)
    spec = _spec(bench)
    if _same(name, spec.chemistry):
        return _twin(plan)
    other = spec.model_copy(update={"chemistry": name, "constants": {}})
    found = bound_twin(replace(bench, spec=bench.spec.model_copy(update={"twin": other})), plan.space, plan.objective.measured)
    assert found is not None, "it names one"
    return found


def _newest(plan: Plan) -> str:
    bench = _bench(plan)
    found = revisions(bench.folder, _twin(plan).twin.name)
    if not found:
        raise BadInput(f"twin {_twin(plan).twin.label} has no revision in {bench.folder / FOLDER}; `athanor twin recalibrate` writes one")
    return f"./{found[-1][1].relative_to(bench.folder).as_posix()}"


def _revision(plan: Plan, name: str) -> RevisionFile:
    content = read_twin_file(name, _bench(plan).folder).content
    if not isinstance(content, RevisionFile):
        raise BadInput(f"twin {name} is a table; expected a revision, whose file names its base")
    return content


def _untaught(plan: Plan) -> str:
    """Return the campaign's twin, or the one that it revises where it has learned from the campaign itself."""
    bench = _bench(plan)
    name = _spec(bench).chemistry
    while name.endswith(".toml") and isinstance(content := read_twin_file(name, bench.folder).content, RevisionFile):
        if content.learned is None or content.learned.campaign != plan.file.name:
            break
        name = content.twin.base
    return name


def _may_be_made(editor: Editor, row: Configuration) -> bool:
    try:
        editor.check(row, times=editor.plan.file.spec.campaign.replicates)
    except BadInput:
        return False
    return True


def _telling(
    found: Compared,
    editor: Editor,
    twins: tuple[BoundTwin, BoundTwin],
    noise: Sequence[float],
    excluded: Sequence[Configuration],
    count: int,
) -> Iterator[tuple[Configuration, str]]:
    """Yield configurations that nobody has tried and in which two twins differ most, and what each says there on average."""
    space = editor.space
    tried = {space.key(row) for row in excluded}
    drawn = SobolPolicy(space).propose(Knowledge(), count=CANDIDATES, seed=0)
    rows = [one.configuration for one in drawn if space.key(one.configuration) not in tried and _may_be_made(editor, one.configuration)]
    old, new = (said_around(one, rows, found.surroundings(one, SURROUNDINGS)) for one in twins)
    chosen = telling(old, new, Encoding(space).encode(rows).numpy(), noise, count=count)
    if not chosen:
        raise BadInput(f"twins {' and '.join(one.twin.label for one in twins)} say the same everywhere; no experiment tells them apart")
    units = twins[1].measured_units
    for place, _ in chosen:
        said = zip(units, old[:, place].mean(axis=0), new[:, place].mean(axis=0), strict=True)
        yield (
            rows[place],
            "; ".join(f"{name} {before:.4g} before, {now:.4g} {units[name]} now".replace("  ", " ") for name, before, now in said),
        )
