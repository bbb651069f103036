"""The model card: what a prior was made from, how it does on tasks it has not seen, and where it hurt."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, Final

from models.meta_learning.checkpoint import PriorFile

SCRATCH: Final = "scratch"
"""The baseline that knows no history."""
HURT: Final = 1.05
"""Error over the scratch baseline's from which a prior is said to have hurt: below it is within the draw of the rows."""
COMPARED: Final = (3, 5, 10)
"""Numbers of measurements over which the leave-one-out record is averaged: with none there is no scratch, later little is left."""
_ABSENT: Final = "–"


def record(judged: Sequence[Mapping[str, Any]], learner: str) -> dict[str, float | int | None]:
    """Return how a learner did on tasks it was trained without, as ratios and differences to scratch.

    Returns:
        `tasks` judged; `error`: geometric mean of the ratios of errors (below 1 it helped); `score`: mean gain in log
        score; `worst`: the largest task's mean ratio. None where nothing was judged.
    """
    pairs = _pairs(judged, learner)
    ratios = [one["rmse"] / other["rmse"] for one, other in pairs if one["rmse"] and other["rmse"]]
    gains = [one["log_score"] - other["log_score"] for one, other in pairs if None not in (one["log_score"], other["log_score"])]
    tasks = {one["task"] for one, _ in pairs}
    return {
        "tasks": len(tasks),
        "error": _rounded(_geometric(ratios)),
        "score": _rounded(fmean(gains)) if gains else None,
        "worst": _rounded(max((value for task in tasks if (value := _task_ratio(pairs, task)) is not None), default=None)),
    }


def _pairs(judged: Sequence[Mapping[str, Any]], learner: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    scratch = {(row["task"], row["shots"]): row for row in judged if row["learner"] == SCRATCH}
    keys = ((row, (row["task"], row["shots"])) for row in judged if row["learner"] == learner and row["shots"] in COMPARED)
    return [(row, scratch[key]) for row, key in keys if key in scratch]


def _task_ratio(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], task: str) -> float | None:
    return _geometric([one["rmse"] / other["rmse"] for one, other in pairs if one["task"] == task and one["rmse"] and other["rmse"]])


def _geometric(values: Sequence[float]) -> float | None:
    return math.exp(fmean(math.log(value) for value in values)) if values else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")


def hurt(judged: Sequence[Mapping[str, Any]], learner: str) -> list[dict[str, Any]]:
    """Return the tasks on which the prior's error was above scratch's, the worst first."""
    pairs = _pairs(judged, learner)
    ratios = [(one["task"], one["shots"], one["rmse"] / other["rmse"]) for one, other in pairs if one["rmse"] and other["rmse"]]
    found = [{"task": task, "shots": shots, "ratio": _rounded(ratio)} for task, shots, ratio in ratios if ratio > HURT]
    return sorted(found, key=lambda row: -row["ratio"])


def summary(prior: PriorFile) -> dict[str, Any]:
    """Return the card as a JSON document."""
    targets = {
        name: {
            **{key: value for key, value in facts.items() if key != "judged"},
            "shots": _shots(facts["judged"]),
            "record": {learner: record(facts["judged"], learner) for learner in prior.learners},
            "hurt": {learner: hurt(facts["judged"], learner) for learner in prior.learners},
        }
        for name, facts in prior.card["targets"].items()
    }
    return {
        "name": prior.name,
        "sha256": prior.sha256,
        "origin": prior.origin,
        "learners": [*prior.learners],
        "seed": prior.seed,
        "versions": dict(prior.versions),
        "parameters": [one.model_dump(mode="json", exclude_none=True) for one in prior.space.parameters],
        "described": {name: len(next(iter(table.values()))) for name, table in prior.descriptors.items()},
        "task_descriptors": [column.name for column in prior.task_columns],
        "notes": [*prior.card["notes"]],
        "targets": targets,
    }


def _shots(judged: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Average the judged tasks' figures per learner and number of measurements."""
    keys = dict.fromkeys((row["learner"], row["shots"]) for row in judged)
    rows = []
    for learner, shots in sorted(keys, key=lambda key: key[1]):
        those = [row for row in judged if (row["learner"], row["shots"]) == (learner, shots)]
        figures = {name: _mean([row[name] for row in those]) for name in ("rmse", "log_score", "coverage", "sd")}
        rows.append({"learner": learner, "shots": shots, "tasks": len(those), **figures})
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else _rounded(fmean(value for value in values if value is not None))


def card_markdown(prior: PriorFile) -> str:
    """Write the card for people."""
    card = summary(prior)
    lines = [
        f"# Prior {card['name']}",
        "",
        f"Origin: **{card['origin']}**. Learners: {', '.join(card['learners'])}. Content sha256: `{card['sha256'] or 'not saved yet'}`.",
        f"Made with {', '.join(f'{name} {number}' for name, number in card['versions'].items())}; seed {card['seed']}.",
        "",
        "**This file contains the sources' rows** (configurations and values): share it only where they may be shared.",
        "",
        "| parameter | kind | range |",
        "|---|---|---|",
        *(_row(one.name, one.kind, one.legal_values) for one in prior.space.parameters),
        "",
        *(f"- {name}: compared by {count} properties, not by name." for name, count in card["described"].items()),
        *(f"- Task descriptor: {name}." for name in card["task_descriptors"]),
        *(f"- Note: {note}" for note in card["notes"]),
    ]
    for name, facts in card["targets"].items():
        lines += ["", *_target(name, facts)]
    return "\n".join(lines) + "\n"


def _row(*cells: object) -> str:
    texts = (_ABSENT if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)
    return f"| {' | '.join(text.replace('|', '/') for text in texts)} |"


def _target(name: str, facts: Mapping[str, Any]) -> list[str]:
    return [
        f"## Target {name}",
        "",
        f"Level {facts['level']:.4g}, spread {facts['spread']:.4g} {facts['unit']}".rstrip() + " over all source tasks.",
        "",
        "### Source tasks",
        "",
        "| task | group | rows | fidelity | mean |",
        "|---|---|---|---|---|",
        *(_row(one["name"], one["group"], one["rows"], one["fidelity"], one["mean"]) for one in facts["tasks"]),
        "",
        *_audit(facts),
        "",
        *_error(facts),
    ]


def _audit(facts: Mapping[str, Any]) -> list[str]:
    unknown = sum(one["group"] is None for one in facts["tasks"])
    lines = ["### Audit", "", f"{unknown} of {len(facts['tasks'])} tasks have no declared group."]
    copies = [one for one in facts["overlaps"] if one["copy"]]
    shared = [one for one in facts["overlaps"] if one["near"]]
    lines.append(
        f"{len(shared)} pairs of tasks share measurements, {len(facts['overlaps'])} share configurations; {len(copies)} pairs are copies."
    )
    if copies:
        lines += ["", "| task | also in | same | near | of |", "|---|---|---|---|---|"]
        lines += [_row(one["task"], one["source"], one["same"], one["near"], one["of"]) for one in copies]
    return lines


def _error(facts: Mapping[str, Any]) -> list[str]:
    if not facts["shots"]:
        return ["### Error against measurements", "", "Not judged: a single task, or made with --no-card."]
    return [
        "### Error against measurements",
        "",
        f"Tasks left out with their {facts['left_out']}, {facts['folds_judged']} of {facts['folds']} folds; random support; "
        f"root-mean-square error and spread in the target's unit, mean log score, share within the nominal 90 % interval.",
        "",
        "| measurements | surrogate | tasks | error | log score | within 90 % | predicted sd |",
        "|---|---|---|---|---|---|---|",
        *(_row(*(one[key] for key in ("shots", "learner", "tasks", "rmse", "log_score", "coverage", "sd"))) for one in facts["shots"]),
        "",
        f"### Leave-one-out record (mean over {', '.join(map(str, COMPARED))} measurements, against scratch)",
        "",
        "| learner | tasks | error ratio | worst task | log score gain |",
        "|---|---|---|---|---|",
        *(_row(name, *(one[key] for key in ("tasks", "error", "worst", "score"))) for name, one in facts["record"].items()),
        "",
        "### Where it hurt",
        "",
        *_hurt(facts),
    ]


def _hurt(facts: Mapping[str, Any]) -> list[str]:
    rows = [
        f"- {learner}: {one['task']} at {one['shots']} measurements, error {one['ratio']:.3g} x scratch"
        for learner, found in facts["hurt"].items()
        for one in found
    ]
    return rows or [f"Nowhere: no judged task had an error above {HURT:g} x scratch."]
