"""The report of a campaign: one HTML file that needs nothing else, not even a network."""

from collections.abc import Iterator
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from plotly.offline import get_plotlyjs

from flows.report import figures, tables, trust
from flows.report.data import ReportData
from flows.report.quantities import MISSING, axis_label, duration, number, objective_label, sign, with_uncertainty, with_unit
from flows.report.slices import quantities, slices
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.domain.objective import Target

CONFIG: Final = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
SECTIONS: Final = (
    ("best", "Best so far"),
    ("targets", "Targets"),
    ("slices", "Parameters"),
    ("calibration", "Predicted and measured"),
    ("prior", "What the prior brought"),
    ("spectra", "Spectra"),
    ("runs", "Experiments"),
    ("failures", "What went wrong"),
    ("time", "Time"),
)
SHARE_COLOURS: Final = (figures.ACCENT, figures.AMBER, "#c3ccd5")


def render_report(data: ReportData) -> str:
    """Render a campaign's report as one self-contained HTML document."""
    template = Template((files("flows.report") / "template.html").read_text(encoding="utf-8"))
    title = escape(f"{data.campaign.name}{' (SIMULATED)' if data.circumstances.simulated else ''}")
    return template.substitute(title=f"{title} · campaign report", plotly=get_plotlyjs(), body="\n".join(_body(data)))


def _body(data: ReportData) -> Iterator[str]:
    if data.circumstances.simulated:
        yield (
            '<div class="banner" role="note"><strong>SIMULATED</strong>This was a dry run: devices and clock were simulated. '
            "Nothing here was measured in a laboratory.</div>"
        )
    yield "<header>" + _head(data) + "</header><main>"
    content = (
        *(_best(data), _targets(data), _slices(data), _calibration(data), _prior(data)),
        *(_spectra(data), _runs(data), _failures(data), _time(data)),
    )
    for (anchor, title), section in zip(SECTIONS, content, strict=True):
        yield f'<section id="{anchor}"><h2>{title}</h2>{section}</section>'
    yield f"<footer>{_footer(data)}</footer></main>"


def _plot(name: str, figure: Any) -> str:
    """Embed a figure; plotly escapes `<` and `/` in its JSON."""
    height = f"{figure.layout.height}px"
    html = figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"plot-{name}", config=CONFIG, default_height=height)
    return f'<div class="plot">{html}</div>'


def _empty(text: str) -> str:
    return f'<p class="empty">{escape(text)}</p>'


def _head(data: ReportData) -> str:
    status = tables.state(data.campaign.status)
    reason = f": {escape(data.campaign.reason)}" if data.campaign.reason else ""
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title in SECTIONS)
    return f"<h1>{escape(data.campaign.name)}</h1><div>{status}{reason}</div><nav>{links}</nav>{_cards(data)}{_facts(data)}"


def _cards(data: ReportData) -> str:
    best = data.best
    found = MISSING if best is None else number(sign(data.objective) * (best.score or 0.0))
    used = len(data.ended)
    budget = data.circumstances.budget
    measured = len(data.scored)
    cards = (
        (found, f"best {objective_label(data.objective)}" + (f", experiment {best.index}" if best else "")),
        (f"{used}" if budget is None else f"{used} of {budget}", "experiments ended"),
        (f"{measured}", "measured in full"),
        (f"{len(data.with_status(RunStatus.INFEASIBLE))}", "infeasible (the recipe's fault)"),
        (f"{len(data.with_status(RunStatus.FAILED, RunStatus.ABORTED, RunStatus.UNKNOWN))}", "failed, aborted or unknown"),
        (duration(data.circumstances.process.seconds), "wall time"),
    )
    body = "".join(f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in cards)
    return f'<div class="cards">{body}</div>'


def _facts(data: ReportData) -> str:
    context = data.circumstances
    sequence, digest = context.head
    left = [
        ("bench", escape(context.bench)),
        ("begun", _moment(context.process.started)),
        ("last event", _moment(context.process.ended)),
        ("lab clock", "real time" if context.process.rate == 1 else f"{number(context.process.rate)} lab seconds per second"),
        ("ledger head", f'event {sequence}<br><span class="key">{escape(digest)}</span>'),
        *((escape(label), escape(text)) for label, text in context.notes.items()),
    ]
    right = [(escape(target.name), escape(_aim(target, alone=len(data.objective.targets) == 1))) for target in data.objective.targets]
    return f'<div class="columns"><div><h3>Campaign</h3>{tables.facts(left)}</div><div><h3>Objective</h3>{tables.facts(right)}</div></div>'


def _aim(target: Target, *, alone: bool) -> str:
    """Put a target's goal into words."""
    weight = "" if alone else f", weight {number(target.weight)}"
    if target.value is not None and target.tolerance is not None:
        return f"match {number(target.value)} ± {with_unit(target.tolerance, target.unit)}{weight}"
    scale = f", scale {number(target.low)} to {with_unit(target.high, target.unit)}" if target.scaled else ""
    return f"{target.goal}{scale}{weight}"


def _moment(when: datetime | None) -> str:
    return MISSING if when is None else f"{when:%Y-%m-%d %H:%M} {escape(when.tzname() or '')}".strip()


def _best(data: ReportData) -> str:
    if not data.experiments:
        return _empty("No experiment has been begun yet.")
    return _plot("best", figures.progress(data)) + _best_facts(data)


def _best_facts(data: ReportData) -> str:
    best = data.best
    if best is None:
        return _empty("No experiment has a value of every target yet.")
    units = data.space.units
    left = [(escape(column), escape(with_unit(value, units.get(column, "")))) for column, value in best.configuration.items()]
    right = [(escape(target.name), escape(_result(data, target))) for target in data.objective.targets if target.name in best.results]
    where = f"Experiment {best.index}, at the configuration that was measured where it was read back"
    note = f'<p class="note">{where}; ± is the half width of a 90 % interval.</p>'
    return note + f'<div class="columns">{tables.facts(left)}{tables.facts(right)}</div>'


def _result(data: ReportData, target: Target) -> str:
    assert data.best is not None
    result = data.best.results[target.name]
    text = with_uncertainty(result.value, result.half_width)
    unit = with_unit(result.value, target.unit).partition(" ")[2]
    within = {True: ", within tolerance", False: ", outside tolerance", None: ""}[target.within(result.value)]
    return f"{text} {unit}".strip() + within


def _targets(data: ReportData) -> str:
    if not any(one.results for one in data.experiments):
        return _empty("No target has been measured yet.")
    note = '<p class="note">Bars are 90 % intervals of the stated uncertainty; green bands are the tolerance of a match.</p>'
    note += "".join(f'<p class="note">{escape(line)}</p>' for line in data.constant)
    return note + _plot("targets", figures.targets(data))


def _slices(data: ReportData) -> str:
    drawn = [
        f"<h3>{escape(quantity.label)}</h3>" + _plot(f"slice-{position}", slices(data, quantity))
        for position, quantity in enumerate(quantities(data))
        if any(quantity.value(one) is not None for one in data.experiments)
    ]
    if not drawn:
        return _empty("No target has been measured yet.")
    return '<p class="note">Each point is an experiment at its measured configuration; dark points are late ones.</p>' + "".join(drawn)


def _calibration(data: ReportData) -> str:
    shown = [target for target in data.objective.targets if data.comparisons(target.name)]
    if not shown:
        return _empty("No measured experiment had a prediction.")
    rows = ((escape(axis_label(target.name, target.unit)), figures.coverage(data, target.name)) for target in shown)
    note = f'<p class="note">{figures.INTERVAL_NOTE} Results outside are red diamonds.</p>'
    return note + tables.table(("target", "90 % interval"), rows) + _plot("calibration", figures.calibration(data))


def _prior(data: ReportData) -> str:
    story = data.prior
    if story is None:
        return _empty("No prior took part: the model began from nothing.")
    parts = [trust.facts(data, story)]
    if any(one.trust for one in story.adapted):
        note = "1: the prior alone speaks; 0: a model that knows no history."
        parts += [f'<p class="note">{note}</p>', _plot("trust", trust.trust(data, story))]
    if story.pairs:
        note = (
            "Both predicted each experiment from what had been measured when it was proposed; the model without the prior is its guard, "
            "which knows no history. Bars are 90 % intervals."
        )
        parts += [f'<p class="note">{note}</p>', trust.comparison(data, story), _plot("prior", trust.predictions(data, story))]
    if story.alone:
        why = "an older release proposed it, a person chose its values, or the guard was off"
        parts.append(_empty(f"{story.alone} predicted experiments are not compared: no guard's prediction is in the ledger ({why})."))
    return "".join(parts)


def _spectra(data: ReportData) -> str:
    if not data.spectra:
        return _empty("The best experiments have no spectra among their readings.")
    note = "The best experiments. Dotted lines mark where the smoothed curve is highest; the reduction that made the results may differ."
    return f'<p class="note">{note}</p>' + _plot("spectra", figures.spectra(data))


def _runs(data: ReportData) -> str:
    if not data.experiments:
        return _empty("No experiment has been begun yet.")
    note = (
        '<p class="note">Parameters as measured, else as approved; results ± the half width of their 90 % interval. '
        "Open an experiment for its four layers of values; click a heading to sort.</p>"
    )
    search = '<input type="search" id="runs-search" placeholder="Search experiments" aria-label="Search experiments">'
    return note + search + tables.runs_table(data)


def _failures(data: ReportData) -> str:
    rows = tables.unsuccessful(data)
    if not rows:
        return _empty("Nothing failed, was rejected or was put in doubt.")
    return tables.table(("what", "state", "reason"), rows)


def _time(data: ReportData) -> str:
    shares = tables.time_shares(data)
    whole = sum(seconds for _, seconds in shares)
    if whole <= 0:
        return _empty("No durations have been recorded yet.")
    bar = "".join(
        f'<i style="width:{100 * seconds / whole:.3f}%;background:{colour}"></i>'
        for (_, seconds), colour in zip(shares, SHARE_COLOURS, strict=False)
        if seconds > 0
    )
    rows = (
        (f'<span class="swatch" style="background:{colour}"></span>{escape(label)}', duration(seconds), f"{100 * seconds / whole:.1f} %")
        for (label, seconds), colour in zip(shares, SHARE_COLOURS, strict=False)
    )
    where = f'<h3>Where wall time went</h3><div class="bar">{bar}</div>{tables.table(("", "wall time", "share"), rows)}'
    return where + _durations(data)


def _durations(data: ReportData) -> str:
    if not any(one.lab_seconds is not None for one in data.experiments):
        return ""
    details = f"<details><summary>All durations</summary>{tables.durations_table(data)}</details>"
    return "<h3>Duration of each experiment</h3>" + _plot("durations", figures.durations(data)) + details


def _footer(data: ReportData) -> str:
    sequence, digest = data.circumstances.head
    made = _moment(data.circumstances.made)
    return f'Made {made} from ledger event {sequence}, head <span class="key">{escape(digest)}</span>.'
