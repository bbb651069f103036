"""The race of lipids: what counts as found, and what is told of failures."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from typing_extensions import override

from benchmarks.lnp import BEST, POOL, LipidPool, LipidRace, run, table
from orchestrator.domain.values import Configuration
from orchestrator.ports import Knowledge, Policy
from orchestrator.suggestions import Suggestion

RACE = LipidRace(LipidPool(3))


@dataclass
class Listed(Policy):
    """Proposes the candidates of a list."""

    places: Sequence[int]
    known: list[Knowledge] = field(default_factory=list)

    @property
    @override
    def name(self) -> str:
        return "listed/1"

    @property
    @override
    def settings(self) -> dict[str, object]:
        return {}

    @override
    def propose(self, knowledge: Knowledge, *, count: int, seed: int) -> tuple[Suggestion, ...]:
        self.known.append(knowledge)
        row: Configuration = RACE.pool.configurations[self.places[(len(self.known) - 1) % len(self.places)]]
        return (Suggestion(dict(row), self.name),)


def ranked() -> list[int]:
    return sorted(range(POOL), key=lambda place: RACE.scores[place])


def test_the_first_of_the_best_candidates_ends_a_race() -> None:
    order = ranked()
    assert run(RACE, Listed([*order[100:104], order[-1]]), seed=0) == 5
    assert run(RACE, Listed([order[-BEST]]), seed=0) == 1


def test_a_race_without_them_is_censored_and_all_that_was_tried_is_told() -> None:
    policy = Listed(ranked()[-BEST - 6 : -BEST])
    assert run(RACE, policy, seed=1, most=6) is None
    last = policy.known[-1]
    assert len(last.observations) + len(last.infeasible) == 5 == len(last.excluded)
    assert set(last.observations[0].values) == {"size", "pdi", "encapsulation"}


def test_a_race_is_the_same_under_its_seed() -> None:
    first, again, other = (Listed(ranked()[-20:-10]) for _ in range(3))
    for policy, seed in ((first, 0), (again, 0), (other, 1)):
        run(RACE, policy, seed=seed, most=4)
    assert first.known == again.known
    assert first.known[3].observations != other.known[3].observations


def test_the_table_compares_restricted_means() -> None:
    rows = [
        {"surrogate": arm, "task": task, "seed": 0, "experiments": count}
        for task in (0, 1)
        for arm, count in (("prior", 6), ("fresh-gp", None if task else 18))
    ]
    written = table(rows)
    assert "| fresh-gp | 2 | 24.0 | 1 |" in written
    assert "over 2 lipids: 0.25 [" in written
    assert pytest.approx(0.25) == 12 / 48
