"""A stored decision page as markdown (for the Prefect artifact and the terminal) and as one HTML file.

Nothing is computed or looked up here: what the document holds is what is shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from markdown_it import MarkdownIt

from flows.plots import markdown_image

Document = Mapping[str, Any]
SHOWN: Final = 5
"""Significant digits of a value that is decided on; the form and the JSON have them all."""
_PICTURE: Final = "data:image/svg+xml;base64,"
"""Our own drawings; every other address goes by the parser's own rule."""
_STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1f2933}"
    "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #cbd2d9;padding:.25em .6em;text-align:left}"
    "img{max-width:100%}"
)


def markdown(page: Document, *, pictures: bool = True) -> str:
    """Render a page as markdown."""
    return "\n\n".join([*_head(page), *(part for one in page["proposals"] for part in _proposal(one, pictures=pictures))])


def html(page: Document) -> str:
    """Render a page as one HTML file that needs nothing else."""
    title = escape(f"Decision page, campaign {page['campaign']}, batch {page.get('batch', '')}")
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    known = parser.validateLink
    parser.validateLink = lambda url: url.startswith(_PICTURE) or known(url)  # type: ignore[method-assign]  # its way to be told
    body = parser.render(markdown(page))
    return f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>{body}</html>\n'


def _head(page: Document) -> Iterator[str]:
    yield f"# Campaign {page['campaign']}, batch {page['batch']}"
    on = {"dry": "**SIMULATED instruments**", "live": "the real bench", "recorded": "recorded data"}[page["on"]]
    evidence = page["evidence"]
    weak = " **Weak evidence: explanations below rest on few measurements and often name the wrong parameter.**" if evidence["weak"] else ""
    yield f"On {on}; {evidence['measured']} experiments measured.{weak}"
    if page["best"] is not None:
        values = ", ".join(f"{name} {_number(value)}" for name, value in page["best"]["values"].items())
        yield f"Best so far: proposal {page['best']['proposal']}, objective {_number(page['best']['objective'])} ({values})."
    yield "\n".join(["Since the last batch:", "", *(f"- {line}" for line in page["since"])])
    yield _model(page["model"])
    if page.get("restrictions"):
        yield "\n".join(["The search keeps to:", "", *(f"- {line}" for line in page["restrictions"])])
    if page["bench"]:
        yield "Bench: " + ", ".join(f"{name} {value}" for name, value in page["bench"].items()) + "."
    yield _overview(page)


def _model(model: Document) -> str:
    said = [f"Proposed by {model['policy']}"]
    if model["surrogate"]:
        said.append(f"surrogate {model['surrogate']}")
    if model["why"]:
        said.append(model["why"])
    if model["prior"]:
        said.append(f"prior {model['prior'].get('name', '')}, from {model['prior'].get('origin', 'unknown')} tasks")
    trusted = [f"{target}: {_weights(weights)}" for target, weights in model["trust"].items()]
    return "; ".join(said) + "." + (f" Weights of the guard: {'; '.join(trusted)}." if trusted else "")


def _weights(weights: Document) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in weights.items())


def _overview(page: Document) -> str:
    proposals = page["proposals"]
    columns, targets = proposals[0]["columns"], list(proposals[0]["expected"])
    heads = ["proposal", *(_headed(proposals[0], column) for column in columns), *(f"expected {name}" for name in targets)]
    rows = [
        [str(one["number"]), *(_number(one["configuration"][column]) for column in columns), *(_expected(one, name) for name in targets)]
        for one in proposals
    ]
    return _table(heads, rows)


def _headed(proposal: Document, column: str) -> str:
    unit = next((one["unit"] for one in proposal["parameters"] if one["name"] == column), "")
    return f"{column} / {unit}" if unit else column


def _expected(proposal: Document, name: str) -> str:
    one = proposal["expected"].get(name)
    return "-" if one is None else f"{_number(one['mean'])} ({_number(one['low'])} to {_number(one['high'])}) {one['unit']}".rstrip()


def _proposal(one: Document, *, pictures: bool) -> Iterator[str]:
    revision = f" revision {one['revision']}" if one["revision"] > 1 else ""
    author = f", by {one['author']}" if one["author"] else ""
    yield f"## Proposal {one['number']}{revision}{author}"
    if one.get("asked_again"):  # pages of earlier releases have no such entry
        yield f"**Asked again**: {one['asked_again']}."
    for hazard in one["hazards"]:
        yield f"**Hazard** {hazard}"
    yield _table(
        ["parameter", "value", "legal"],
        [[column, _number(one["configuration"][column]), _legal(one, column)] for column in one["columns"]],
    )
    if told := [f"{name} {_expected(one, name)}" for name in one["expected"]]:
        yield f"Expected, with 90 % intervals of a new measurement: {'; '.join(told)}."
    yield from _practical(one)
    yield from _neighbours(one)
    if one["explanation"] is not None:
        yield from _explanation(one, pictures=pictures)


def _legal(one: Document, column: str) -> str:
    name = column.partition(".")[0]
    return next((f"{each['legal']} {each['unit']}".strip() for each in one["parameters"] if each["name"] in (column, name)), "")


def _practical(one: Document) -> Iterator[str]:
    said = []
    if one["lab_seconds"] is not None:
        said.append(f"{one['lab_seconds'] / 60:.0f} min of lab time")
    if one["reagents"] is not None:
        said += [f"{volume:.3g} mL of {stock}" for stock, volume in one["reagents"]["mL"].items()]
        if one["reagents"]["cost"] is not None:
            said.append(f"{one['reagents']['cost']:.2f} {one['reagents']['currency'] or ''}".strip())
    if one["neighbours"]:
        said.append(f"{100 * one['quantities']['novelty']:.0f} % of the ranges away from the nearest measurement")
    if said:
        yield f"Takes {', '.join(said)}."
    if one["limits"]:
        rows = [
            [each["name"], f"{_number(each['value'])} {each['unit']}", f"{_number(each['limit'])} {each['unit']}", _share(each["share"])]
            for each in one["limits"]
        ]
        yield "Distance to every limit:"
        yield _table(["limit", "nearest value", "limit at", "share of the range"], rows)


def _share(value: float | None) -> str:
    return "open" if value is None else f"{100 * value:.0f} %"


def _neighbours(one: Document) -> Iterator[str]:
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
    yield "Nearest measured experiments:"
    yield _table(["distance", *columns, *targets], rows)


def _explanation(one: Document, *, pictures: bool) -> Iterator[str]:
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
        yield _table(["parameter", *names], rows)
    if explanation["alternatives"]:
        yield "The best alternatives:"
        columns, targets = one["columns"], list(explanation["alternatives"][0]["expected"])
        yield _table(
            [*columns, *(f"expected {name}" for name in targets), "acquisition (log)"],
            [_alternative(each, columns, targets) for each in explanation["alternatives"]],
        )


def _alternative(each: Document, columns: Sequence[str], targets: Sequence[str]) -> list[str]:
    told = [f"{_number(each['expected'][name]['mean'])} ± {_number(each['expected'][name]['sd'])}" for name in targets]
    return [*(_number(each["configuration"].get(column)) for column in columns), *told, _number(each["acquisition"])]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _number(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.{SHOWN}g}"
