"""A stored decision page as markdown (for the Prefect artifact and the terminal) and as one HTML file.

Nothing is computed or looked up here: what the document holds is what is shown.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from markdown_it import MarkdownIt

from flows.report.quantities import chance_to_keep, percent
from flows.report.svg import markdown_image
from flows.templating import render
from orchestrator.domain.records import NORMAL_90
from orchestrator.summary import NONE_KEPT

_Document = Mapping[str, Any]
_SHOWN: Final = 5
"""Significant digits of a value that is decided on; the form and the JSON have them all."""
_EXPECTED: Final = 4
"""Significant digits of what a model expects."""
_PICTURE: Final = "data:image/svg+xml;base64,"
"""Our own drawings; every other address goes by the parser's own rule."""
_CHANCE: Final = (
    "Intervals hold 90 % of what one new measurement may bring. The chance to beat the best is the share of joint draws of a new "
    "measurement of all targets, from the surrogate's posterior with its noise, whose objective is better than the best one measured so "
    "far that counts."
)
_JOINING: Final = (
    "Intervals hold 90 % of what one new measurement may bring. The chance to join the front is the share of joint draws of a new "
    "measurement of all targets, from the surrogate's posterior with its noise, that are better than the reference point and that no "
    "measurement betters in all targets."
)


_CHANCE_KEPT: Final = " A measurement that does not keep the limits beats nothing."


def markdown(page: _Document, *, pictures: bool = True) -> str:
    """Render a page as markdown."""
    units = target_units(page)
    return "\n\n".join([*_head(page), *(part for one in page["proposals"] for part in _proposal(one, units, pictures=pictures))])


def target_units(page: _Document) -> dict[str, str]:
    """Return the unit of each target; of pages of earlier releases, which do not list them, what their predictions say."""
    found = {name: one["unit"] for proposal in page["proposals"] for name, one in proposal["expected"].items()}
    return found | {one["name"]: one["unit"] for one in page.get("targets", ())}


def html(page: _Document) -> str:
    """Render a page as one HTML file that needs nothing else."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    known = parser.validateLink
    parser.validateLink = lambda url: url.startswith(_PICTURE) or known(url)  # type: ignore[method-assign]  # its way to be told
    parser.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return render("decision.html", page=page, body=parser.render(markdown(page)))


def _head(page: _Document) -> Iterator[str]:
    yield f"# Campaign {page['campaign']}, batch {page['batch']}"
    on = {"dry": "**SIMULATED instruments**", "live": "the real bench", "recorded": "recorded data"}[page["on"]]
    evidence = page["evidence"]
    weak = " **Weak evidence: explanations below rest on few measurements and often name the wrong parameter.**" if evidence["weak"] else ""
    yield f"On {on}; {evidence['measured']} experiments measured.{weak}"
    if page["best"] is not None:
        units, best = target_units(page), page["best"]
        values = ", ".join(f"{name} {_number(value)} {units.get(name, '')}".rstrip() for name, value in best["values"].items())
        objective = "" if page.get("alone") else f", objective {_number(best['objective'])}"
        called = "an imported experiment" if best["proposal"] is None else f"proposal {best['proposal']}"
        yield f"Best so far: {called}{objective} ({values})."
    if page.get("limits_on_outcomes"):
        limits = "; ".join(f"{one['name']} {one['shown']}" for one in page["limits_on_outcomes"])
        yield f"Limits on what comes out: {limits}.{'' if page['best'] else f' {NONE_KEPT.capitalize()}.'}"
    if page.get("attained"):
        yield "\n".join([f"So far: {page['attained']}.", *(["", *(f"- {line}" for line in page["front"])] if page.get("front") else [])])
    if page.get("advice"):
        yield f"What is left to find: {page['advice']}."
    yield "\n".join(["Since the last batch:", "", *(f"- {line}" for line in page["since"])])
    if page.get("values"):
        yield "\n".join(["Values that people told or changed:", "", *(f"- {line}" for line in page["values"])])
    yield _model(page["model"])
    if page.get("twin"):
        yield _twin(page["twin"], target_units(page))
    if page.get("restrictions"):
        yield "\n".join(["The search keeps to:", "", *(f"- {line}" for line in page["restrictions"])])
    if page["bench"]:
        yield "Bench: " + ", ".join(f"{name} {value}" for name, value in page["bench"].items()) + "."
    yield from _overview(page)
    if any(_chance(one) for one in page["proposals"]):
        yield _CHANCE + (_CHANCE_KEPT if page.get("limits_on_outcomes") else "")
    if any(_joining(one) for one in page["proposals"]):
        yield _JOINING


def _model(model: _Document) -> str:
    said = [f"Proposed by {model['policy']}"]
    if model["surrogate"]:
        said.append(f"surrogate {model['surrogate']}")
    if model["why"]:
        said.append(model["why"])
    if model["prior"]:
        said.append(f"prior {model['prior'].get('name', '')}, from {model['prior'].get('origin', 'unknown')} tasks")
    trusted = [f"{target}: {_weights(weights)}" for target, weights in model["trust"].items()]
    return "; ".join(said) + "." + (f" Weights of the guard: {'; '.join(trusted)}." if trusted else "")


def _weights(weights: _Document) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())


def _overview(page: _Document) -> Iterator[str]:
    proposals = page["proposals"]
    yield from _compared([(str(one["number"]), one) for one in proposals], proposals[0], target_units(page), "proposal")


def _compared(rows: Sequence[tuple[str, _Document]], described: _Document, units: Mapping[str, str], label: str) -> Iterator[str]:
    """Lay out configurations beneath each other, and beneath them what is expected of each: one table of both is too wide to read.

    Args:
        rows: Name and configuration with what is expected of it.
        described: A proposal, which knows the columns.
        units: Of the targets.
        label: What the rows are.
    """
    columns = described["columns"]
    values = [[name, *(_number(one["configuration"].get(column)) for column in columns)] for name, one in rows]
    yield _table([label, *(_headed(described, column) for column in columns)], values)
    targets = {f"expected {name}": _teller(name, units.get(name, "")) for _, one in rows for name in one["expected"]}
    told = {head: say for head, say in {**targets, **_OUTLOOK}.items() if any(say(one) for _, one in rows)}
    if told:
        yield _table([label, *told], [[name, *(say(one) or "-" for say in told.values())] for name, one in rows])


def _teller(target: str, unit: str) -> Callable[[_Document], str]:
    return lambda one: _interval(one["expected"][target], unit) if target in one["expected"] else ""


def _objective(one: _Document) -> str:
    """Write what is expected of the objective; empty where nobody knows, as on pages of earlier releases, or a target says it."""
    found = one.get("objective")
    return "" if found is None or "mean" not in found else _spread(found["mean"], found["low"], found["high"])


def _chance(one: _Document) -> str:
    return _chance_of(one, "better")


def _joining(one: _Document) -> str:
    return _chance_of(one, "joins")


def _chance_of(one: _Document, what: str) -> str:
    found = (one.get("objective") or {}).get(what)
    return "" if found is None else percent(found)


def _kept(one: _Document) -> str:
    found = (one.get("objective") or {}).get("kept")
    return "" if found is None else chance_to_keep(found)


def _unit(proposal: _Document, column: str) -> str:
    return next((str(one["unit"]) for one in proposal["parameters"] if one["name"] == column), "")


def _headed(proposal: _Document, column: str) -> str:
    return _with_unit(column, _unit(proposal, column))


def _with_unit(name: str, unit: str) -> str:
    return f"{name} / {unit}" if unit else name


def _expected(proposal: _Document, name: str) -> str:
    one = proposal["expected"].get(name)
    return "-" if one is None else _interval(one, one["unit"])


def _interval(one: _Document, unit: str) -> str:
    """Write a mean with its 90 % interval; of alternatives, pages of earlier releases have the standard deviation alone."""
    low, high = (one.get(end, one["mean"] + side * NORMAL_90 * one["sd"]) for end, side in (("low", -1), ("high", 1)))
    return f"{_spread(one['mean'], low, high)} {unit}".rstrip()


def _spread(mean: float | None, low: float | None, high: float | None) -> str:
    return f"{_number(mean, _EXPECTED)} ({_number(low, _EXPECTED)} to {_number(high, _EXPECTED)})"


def _proposal(one: _Document, units: Mapping[str, str], *, pictures: bool) -> Iterator[str]:
    revision = f" revision {one['revision']}" if one["revision"] > 1 else ""
    author = f", by {one['author']}" if one["author"] else ""
    yield f"## Proposal {one['number']}{revision}{author}"
    if one.get("asked_again"):  # pages of earlier releases have no such entry
        yield f"**Asked again**: {one['asked_again']}."
    if one.get("rests_on"):
        yield "\n".join(["**It rests on what has changed since it was made**:", "", *(f"- {line}" for line in one["rests_on"])])
    for hazard in one["hazards"]:
        yield f"**Hazard** {hazard}"
    yield _table(
        ["parameter", "value", "legal"],
        [[column, _there(one["configuration"][column], _unit(one, column)), _legal(one, column)] for column in one["columns"]],
    )
    if told := [f"{name} {_expected(one, name)}" for name in one["expected"]]:
        told += [f"objective {objective}"] if (objective := _objective(one)) else []
        chance = f" Chance to beat the best so far: {found}." if (found := _chance(one)) else ""
        chance += f" Chance to join the front: {found}." if (found := _joining(one)) else ""
        chance += f" Chance to keep the limits: {found}." if (found := _kept(one)) else ""
        yield f"Expected, with 90 % intervals of a new measurement: {'; '.join(told)}.{chance}"
    if one.get("twin"):
        yield from _by_twin(one["twin"], one["expected"])
    if one.get("feasible"):
        yield _feasible(one["feasible"])
    if one.get("cost"):
        yield _cost(one["cost"])
    yield from _practical(one)
    yield from _neighbours(one, units)
    if one["explanation"] is not None:
        yield from _explanation(one, units, pictures=pictures)


def _legal(one: _Document, column: str) -> str:
    name = column.partition(".")[0]
    return next((f"{each['legal']} {each['unit']}".strip() for each in one["parameters"] if each["name"] in (column, name)), "")


def _feasible(found: _Document) -> str:
    """Write how likely there will be something to measure, and what stands against it, the likeliest first."""
    against = sorted(found["spared"].items(), key=lambda cause: (cause[1], cause[0]))
    told = ", ".join(f"{reason or 'without a reason'} {percent(1.0 - chance)}" for reason, chance in against)
    return f"Chance to give something to measure: {percent(found['probability'])}. Chances of what was met before: {told}."


def _cost(found: _Document) -> str:
    """Write what cost took off the acquisition value, or added to it."""
    beside = f"{_number(found['amount'])} {found['unit']} where {_number(found['typical'])} {found['unit']} is typical"
    if not found["share"]:
        return f"Its cost, {beside}, was left out, as it is every fifth time and where the budget is spent."
    left = f"{100 * found['share']:.0f} % of the budget was left"
    return f"Its cost, {beside}, counts {-found['subtracted']:+.2g} in the acquisition (log): {left}."


def _twin(twin: _Document, units: Mapping[str, str]) -> str:
    """Write which twin is asked, in what surroundings, and how far it was off."""
    if "failed" in twin:
        return f"Twin {twin['twin']} could not be asked: {twin['failed']}."
    around = [
        f"{one['name']} {_there(one['value'], one['unit'])} ({'over the last day' if one['recorded'] else 'its reference'})"
        for one in twin["surroundings"]
    ]
    off = [
        f"{name} {one['mean']:+.3g} on average, {_there(one['rms'], units.get(name, ''), 3)} root mean square ({one['runs']} runs)"
        for name, one in twin["off"].items()
    ]
    said = f"Twin {twin['twin']}{' at ' * bool(around)}{', '.join(around)}."
    return f"{said} Measured less what it said so far: {'; '.join(off)}." if off else f"{said} Nothing that it predicts was measured yet."


def _by_twin(twin: _Document, expected: _Document) -> Iterator[str]:
    """Lay out what the twin expects of a proposal beside how far it was off nearby."""
    if "reason" in twin:
        yield f"**The twin expects nothing to measure**: {twin['reason']}."
        return
    rows = [
        [
            _with_unit(name, one["unit"]),
            _number(one["mean"], _EXPECTED),
            _number(one["sd"], 2),
            ", ".join(f"{gap:+.3g}" for gap in one["near"]) or "-",
        ]
        for name, one in twin["expected"].items()
    ]
    yield "The twin expects, and at the nearest measured experiments the result was above it by so much, the nearest first:"
    yield _table(["quantity", "twin", "sd from its constants", "measured less twin nearby"], rows)
    apart = [name for name, one in twin["expected"].items() if not _holds(expected.get(name), one["mean"])]
    if apart:
        yield f"Of {', '.join(apart)} the twin says something outside of the model's 90 % interval."


def _holds(expected: _Document | None, value: float) -> bool:
    """Say whether a value lies in the interval that a model gives; where there is no model, nothing stands against it."""
    return expected is None or expected["low"] <= value <= expected["high"]


def _practical(one: _Document) -> Iterator[str]:
    said = []
    if one["lab_seconds"] is not None:
        said.append(_time(one))
    if one["reagents"] is not None:
        said += [f"{volume:.3g} mL of {stock}" for stock, volume in one["reagents"]["mL"].items()]
        if one["reagents"]["cost"] is not None:
            said.append(f"{one['reagents']['cost']:.2f} {one['reagents']['currency'] or ''}".strip())
    if one["neighbours"]:
        said.append(f"{100 * one['quantities']['novelty']:.0f} % of the ranges away from the nearest measurement")
    if said:
        yield f"Takes {', '.join(said)}."
    if one.get("more_seconds") is None and one.get("more_from"):
        yield f"Time: {one['more_from']}."
    if one["limits"]:
        rows = [
            [each["name"], f"{_number(each['value'])} {each['unit']}", f"{_number(each['limit'])} {each['unit']}", _share(each["share"])]
            for each in one["limits"]
        ]
        yield "Distance to every limit:"
        yield _table(["limit", "nearest value", "limit at", "share of the range"], rows)


def _time(one: _Document) -> str:
    """Write the lab time; pages of earlier releases know of waits and holds alone."""
    least = round(one["lab_seconds"] / 60)
    if one.get("more_seconds") is None:
        return f"{least} min of lab time for waits and holds"
    more = round(one["more_seconds"] / 60)
    return f"about {least + more} min of lab time (estimate: {least} min of waits and holds, {more} min of {one['more_from']})"


def _share(value: float | None) -> str:
    return "open" if value is None else f"{100 * value:.0f} %"


def _neighbours(one: _Document, units: Mapping[str, str]) -> Iterator[str]:
    if not one["neighbours"]:
        return
    columns, targets = one["columns"], list(one["neighbours"][0]["values"])
    rows = [
        [
            f"{each['distance']:.3f}",
            *(_number(each["configuration"].get(column)) for column in columns),
            *(_number(each["values"].get(name)) for name in targets),
        ]
        for each in one["neighbours"]
    ]
    yield "Nearest measured experiments (distance: mean over the parameters' differences, each over its range):"
    yield _table(
        ["distance", *(_headed(one, column) for column in columns), *(_with_unit(name, units.get(name, "")) for name in targets)], rows
    )


def _explanation(one: _Document, units: Mapping[str, str], *, pictures: bool) -> Iterator[str]:
    explanation = one["explanation"]
    if explanation["exploit"] is not None:
        share = 100 * explanation["exploit"]
        yield f"{share:.0f} % exploitation, {100 - share:.0f} % exploration of the expected improvement."
    if pictures and one["effects_svg"]:
        yield markdown_image(one["effects_svg"], alt=f"what drives proposal {one['number']}")
    else:
        names = list(explanation["effects"])
        rows = [
            [player, *(f"{explanation['effects'][name][index]:+.3g}" for name in names)]
            for index, player in enumerate(explanation["players"])
        ]
        yield "What drives it (Shapley values):"
        yield _table(["parameter", *(_with_unit(name, _effect_unit(name, units)) for name in names)], rows)
    if explanation["alternatives"]:
        yield "The best alternatives:"
        yield from _compared([(str(index), each) for index, each in enumerate(explanation["alternatives"], 1)], one, units, "alternative")


def _effect_unit(name: str, units: Mapping[str, str]) -> str:
    return units.get(name.partition(" ")[2], "") if " " in name else "log"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _there(value: float | str | None, unit: str, digits: int = _SHOWN) -> str:
    """Write a value with its unit; what a configuration does not have has none."""
    return _number(value) if value is None else f"{_number(value, digits)} {unit}".rstrip()


def _number(value: float | str | None, digits: int = _SHOWN) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.{digits}g}"


def _acquisition(one: _Document) -> str:
    return "" if "acquisition" not in one else _number(one["acquisition"])


_OUTLOOK: Final[Mapping[str, Callable[[_Document], str]]] = {
    "expected objective": _objective,
    "chance to beat the best": _chance,
    "chance to keep the limits": _kept,
    "chance to join the front": _joining,
    "acquisition (log)": _acquisition,
}
"""What is told of a configuration beside its targets, by head."""
