"""`athanor twin`: how far a bench's twin is off and why, what it learns of a campaign, and whether that holds."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import console, emit
from flows.cli.options import ByOption, CampaignArgument, JsonOption, LabOption, by_option, the_lab

if TYPE_CHECKING:
    from flows.plans.lab import Lab
    from flows.studies.twins.compared import Compared
    from flows.studies.twins.drifting import Watched
    from flows.studies.twins.explained import Explained
    from simulators.twins.declaration import Constant

twin_app = typer.Typer(
    help="How far a bench's twin is off and why, what it learns of a campaign, and whether that holds.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
TwinOption = Annotated[str | None, typer.Option("--twin", help="Another twin than the campaign's, as a bench file would name it.")]


@twin_app.command()
def compare(campaign: CampaignArgument = None, lab: LabOption = None, twin: TwinOption = None, as_json: JsonOption = False) -> None:
    """Put what was measured beside what the twin says of each run, as it was carried out and in the surroundings that it had."""
    from flows.studies.twins.explained import gap
    from flows.studies.twins.failing import failing
    from flows.studies.twins.operations import compare as compared
    from flows.studies.twins.sentences import head, with_unit

    found = compared(the_lab(lab), campaign, twin=twin)
    gaps = [gap(found, one) for one in found.table.measured if found.told(one)]
    failures = failing(found)
    if as_json:
        counted = [
            {"reason": one.reason, "runs": len(one.cases), "twin_says": one.said, "said_in_vain": one.said_in_vain} for one in failures
        ]
        emit({**_head(found), "quantities": [asdict(one) for one in gaps], "failures": counted})
        return
    _print_head(found)
    table = _table("", "runs", "measured - twin, mean", "root mean square", "spread of what was measured")
    for one in gaps:
        table.add_row(one.measured, str(one.runs), *(with_unit(value, one.unit) for value in (one.bias, one.error, one.spread)))
    console.print(table)
    for failure in failures:
        console.print(head(found, failure))


@twin_app.command()
def explain(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    of: Annotated[list[str] | None, typer.Option("--of", help="A quantity; may be repeated. Else all that the twin predicts.")] = None,
    twin: TwinOption = None,
    run: Annotated[int | None, typer.Option("--run", help="Say instead what was unusual about the run of this proposal.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which features of the laboratory made the difference, what the twin lacks, why runs came to nothing, and what cannot be told."""
    from flows.studies.twins.operations import explain as explained
    from flows.studies.twins.operations import failures
    from flows.studies.twins.sentences import SCALES, failure_sentences, head, sentences, with_unit

    if run is not None:
        _print_unusual(the_lab(lab), campaign, run, twin=twin, as_json=as_json)
        return
    found, all_of = explained(the_lab(lab), campaign, of or (), twin=twin)
    told = failures(found, all_of)
    if as_json:
        shown = [{"reason": one.reason, "head": head(found, one), "sentences": failure_sentences(found, one, help_)} for one, help_ in told]
        named = [[asdict(each) for each in one.separated.named] if one.separated else None for one, _ in told]
        failed = [{**one, "named": own} for one, own in zip(shown, named, strict=True)]
        emit({**_head(found), "quantities": [_document(one) for one in all_of], "failures": failed})
        return
    _print_head(found)
    for one in all_of:
        compared_as = SCALES[one.analysis.scale]
        error = with_unit(one.gap.error, one.gap.unit)
        console.print(f"\n{one.gap.measured}: off by {error} (root mean square of {one.gap.runs} runs); compared as {compared_as}")
        for line in sentences(one):
            console.print(f"  {line}")
    for failure, help_ in told:
        console.print(f"\n{head(found, failure)}")
        for line in failure_sentences(found, failure, help_):
            console.print(f"  {line}")


@twin_app.command()
def drift(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    of: Annotated[list[str] | None, typer.Option("--of", help="A quantity; may be repeated. Else all that the twin predicts.")] = None,
    learn: Annotated[
        int | None,
        typer.Option("--learn", min=1, help="Learn from so many runs, watch the rest; else as [twin.drift] says, or half."),
    ] = None,
    every: Annotated[
        float | None,
        typer.Option("--false-alarm-every", help="Runs between two false alarms, on average; else as [twin.drift] says, or 500."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say since when the laboratory differs from the twin in another way than before: CUSUM charts of all runs but the first."""
    from flows.studies.twins.operations import watch
    from flows.studies.twins.sentences import error_line

    found, all_of, raised = watch(the_lab(lab), campaign, of or (), learn=learn, every=every)
    if as_json:
        emit({**_head(found), "quantities": [_watched_document(one) for one in all_of], "raised": [one.model_dump() for one in raised]})
        return
    _print_head(found)
    units = found.bound.measured_units
    for one in all_of:
        watched = f"{one.measured}: learned from {one.learned} runs, watched {len(one.numbers)}"
        told = [f"alarm at the run of proposal {at}, probably since that of {since}" for at, since in one.alarms]
        console.print(f"{watched}; {', '.join(told) or 'no alarm'} (one false alarm in {one.every:g} runs)")
        console.print(f"  {error_line(one, units[one.measured])}")
    for alarm in raised:
        console.print(f"raised while it ran: {alarm.answered_line}")


@twin_app.command()
def recalibrate(
    by: ByOption,
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
) -> None:
    """Let the twin learn from a campaign's runs: write its next revision beside the bench file; older ones stay."""
    from flows.studies.twins.operations import recalibrate as recalibrated
    from flows.studies.twins.sentences import with_unit

    found = recalibrated(the_lab(lab), campaign, by=by, reason=reason)
    units = found.made.bound.measured_units
    _print_left_out(found.left_out)
    table = _table("", "root mean square before", "after, on the same runs")
    for name, before in found.made.before.items():
        table.add_row(name, with_unit(before, units[name]), with_unit(found.made.after[name], units[name]))
    console.print(table)
    for old, new, calibrated in found.made.learned:
        told = "" if calibrated else "; these runs say little of it"
        console.print(
            f"{new.name}: {old.value:.4g} -> {f'{new.value:.4g} {new.unit}'.rstrip()}, +- {_deviation(new)}, was +- {_deviation(old)}{told}"
        )
    for term in found.made.terms:
        console.print(f"{term.name}: {term.sentence}")
    if not found.made.converged:
        console.print("the refit stopped before it had converged: take these figures with care")
    what = "a new revision" if found.is_new else "the revision that these runs gave before"
    console.print(f"{found.file}: {what}, from {found.runs} runs. `athanor twin verify` says whether it holds; to go by it, write")
    console.print(
        f'  [twin]\n  chemistry = "{found.name}"\ninto the bench file, without [twin.constants], and `athanor amend` a campaign under way'
    )


@twin_app.command()
def verify(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    suggest: Annotated[int, typer.Option("--suggest", min=0, help="Suggest so many experiments in which old and new differ most.")] = 0,
    by: Annotated[str | None, by_option("Who suggests them; they are reviewed like any others.")] = None,
    twin: Annotated[str | None, typer.Option("--twin", help="The revision; else the newest.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a revision holds on experiments that it has not seen, or suggest some that tell."""
    from flows.studies.twins.operations import verify as verified

    made = verified(the_lab(lab), campaign, count=suggest, by=by, twin=twin)
    found = made.found
    if as_json:
        document = {**asdict(found), "verdict": found.verdict, "waiting": made.waiting, "outdated": made.outdated}
        emit({"old": made.old, "new": made.new, "suggested": [one.number for one in made.suggested], **document})
        return
    for one in made.suggested:
        console.print(f"proposal {one.number}: {one.reason}")
    if made.outdated:
        console.print(f"{made.outdated} experiments were chosen before its file was changed: they do not count")
    if not found.values:
        console.print(f"{made.new}: no run has verified it yet; {made.waiting} wait to be carried out")
        return
    off = f"off by {found.new_error:.2g} deviations of a run, {made.old} by {found.old_error:.2g}"
    console.print(f"{made.new}: {found.verdict}. {found.values} values of {found.runs} runs that it had not seen: {off}")
    chance = f"misses as large by noise alone: {100 * found.chance:.2g} %"
    console.print(f"log Bayes factor {found.log_bayes_factor:+.1f}, {chance}; {made.waiting} more wait to be carried out")


@twin_app.command()
def report(
    campaign: CampaignArgument = None,
    lab: LabOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="The file; else one in the lab's own folder.")] = None,
) -> None:
    """Write all of it as one self-contained HTML page, with pictures, and print its path."""
    from flows.studies.twins.operations import report as reported

    console.print(str(reported(the_lab(lab), campaign, out)))


@twin_app.command()
def history(campaign: CampaignArgument = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """List the revisions of a campaign's twin."""
    from flows.studies.twins.operations import history_of

    current, found = history_of(the_lab(lab), campaign)
    if as_json:
        emit({"current": current, "revisions": [{"name": one.name, **one.content.model_dump(mode="json")} for one in found]})
        return
    console.print(f"the campaign goes by {current}")
    for one in found:
        learned = one.content.learned
        said = f", from {learned.runs} runs of {learned.campaign}, {learned.note}" if learned is not None else ""
        terms = f"; terms {', '.join(one.content.terms)}" if one.content.terms else ""
        console.print(f"{one.name}: revises {one.content.twin.base}{said}{terms}{'; the one it goes by' if one.current else ''}")
    if not found:
        console.print("no revision yet; `athanor twin recalibrate` writes one")


# ---------------------------------------------------------------------- formatting


def _table(*columns: str) -> Any:
    from rich.table import Table

    return Table(*columns)


def _deviation(constant: "Constant") -> str:
    """Return the standard deviation of a constant's prior: a share where its logarithm is spread normally."""
    from flows.studies.twins.sentences import with_unit

    return f"{100 * constant.sd:.2g} %" if constant.prior == "lognormal" else with_unit(constant.sd, constant.unit)


def _head(found: "Compared") -> dict[str, Any]:
    return {
        "campaign": found.campaign,
        "twin": found.plain.twin.label,
        "runs": len(found.rows),
        "recorded": list(found.varied),
        "left_out": found.left_out,
    }


def _print_head(found: "Compared") -> None:
    recorded = ", ".join(found.varied) or "nothing of the surroundings"
    console.print(
        f"campaign {found.campaign}: {len(found.rows)} runs beside twin {found.plain.twin.label}; recorded and varied: {recorded}"
    )
    _print_left_out(found.left_out)


def _print_unusual(lab: "Lab", campaign: str | None, number: int, *, twin: str | None, as_json: bool) -> None:
    from flows.studies.twins.failing import unusual
    from flows.studies.twins.operations import compare as compared
    from flows.studies.twins.sentences import unusual_sentences

    found = compared(lab, campaign, twin=twin)
    told = [unusual_sentences(found, one) for one in unusual(found, number)]
    if as_json:
        emit({"campaign": found.campaign, "twin": found.plain.twin.label, "proposal": number, "runs": told})
        return
    for first, *rest in told:
        console.print(first)
        for line in rest:
            console.print(f"  {line}")


def _print_left_out(lines: Sequence[str]) -> None:
    for line in lines:
        console.print(f"left out: {line}")


def _watched_document(one: "Watched") -> dict[str, Any]:
    once, rolling = one.errors
    return {
        "measured": one.measured,
        "learned": one.learned,
        "runs": one.numbers,
        "residuals": one.residuals,
        "error_once": once,
        "error_rolling": rolling,
        "alarms": [{"run": at, "since": since} for at, since in one.alarms],
    }


def _document(one: "Explained") -> dict[str, Any]:
    analysis = one.analysis
    return {
        **asdict(one.gap),
        "scale": analysis.scale,
        "findings": [asdict(each) for each in analysis.findings],
        "ranking": [asdict(each) for each in analysis.ranking],
        "taken_up": one.taken_up,
        "constants": [{**asdict(each), "calibrated": each.calibrated} for each in analysis.estimates],
        "shares": [asdict(each) for each in analysis.split.parts],
        "divergence": [asdict(each) for each in analysis.split.divergence],
        "sentences": analysis.split.sentences,
    }
