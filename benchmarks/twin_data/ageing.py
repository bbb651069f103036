"""Perovskite films aged in five rounds, beside calculated mixing energies.

Sun et al., Matter 4, 1305 (2021), 10.1016/j.matt.2021.01.008: the colour change of films of Cs, FA and MA lead iodide, beside the free
energy of mixing by density functional theory, here summed over the binaries. The twin is linear in that energy and in the share of MA
(fitted to what it may learn from), and predicts the logarithm (base 10) of the instability index. A round is a batch.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.twin_data.cases import Case, linear, numbers
from benchmarks.twin_data.judging import Split
from benchmarks.twin_data.reading import rows
from models.twin.analysis import supposed
from models.twin.drift import watched
from models.twin.model import Problem
from models.twin.sequential import innovations

FILE: Final = "perovskite_aging/aging_samples.csv"
LEARNED: Final = 2
"""Rounds that are learned from before the others are watched."""


def aged(data: Path | None = None) -> Case:
    """Return all films, in the order of rounds and slots."""
    found = sorted(rows(FILE, data), key=lambda row: (int(row["round"]), int(row["slot"])))
    shares = {name: numbers(found, name) for name in ("Cs", "FA", "MA")}
    rounds = tuple(row["round"] for row in found)
    observed = numbers(found, "instability_index").log10()
    what = tuple("/".join(row[name] for name in shares) for row in found)
    binary = tuple("+".join(name for name in shares if float(row[name]) > 0) for row in found)
    twin = {"energy": numbers(found, "dG_mix_model_eV")}
    channels = {"slot": numbers(found, "slot")}
    return Case(
        "ageing", shares, channels, linear(twin, observed), observed, rounds, binary, batches=rounds, repeats=what, unit="log10 index"
    )


def rolling(case: Case) -> Iterator[Split]:
    """Predict each round from all before it."""
    for number in range(1, len(set(case.groups))):
        earlier = [row for row, one in enumerate(case.groups) if int(one) < number]
        yield earlier, [row for row, one in enumerate(case.groups) if int(one) == number]


def watched_rounds(case: Case, *, batches: bool) -> dict[str, Any]:
    """Watch the later rounds with a twin that has learned from the first ones, told that a round is a batch, or not."""
    learned, rest = ([row for row, one in enumerate(case.groups) if (int(one) < LEARNED) is first] for first in (True, False))
    predicted = case.predicted(learned)
    pairs = case.pairs(learned, predicted)
    fitted = supposed(Problem.of(pairs if batches else replace(pairs, batches=()), "additive"))
    z = innovations(fitted, case.conditions(rest, predicted), case.observed[rest])
    found, rounds = watched(z), [case.groups[row] for row in rest]
    means = {one: round(float(z[[other == one for other in rounds]].mean()), 2) for one in sorted(set(rounds))}
    alarms = [[rounds[at], rounds[since]] for at, since in zip(found.alarms, found.began, strict=True)]
    return {"batches": batches, "learned": len(learned), "watched": len(rest), "alarms in and since": alarms, "mean z": means}
