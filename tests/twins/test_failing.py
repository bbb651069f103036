"""Runs that came to nothing, beside their twin: counted, separated from others, and what by the twin would help."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from markupsafe import escape

from flows.plans.plan import Plan
from flows.plans.twins.table import predicted
from flows.studies.twins.compared import Compared, compared
from flows.studies.twins.explained import Explained, explained
from flows.studies.twins.failing import failing, unusual
from flows.studies.twins.helping import Help, _informed, _spread, helping
from flows.studies.twins.operations import failures
from flows.studies.twins.page import page
from flows.studies.twins.sentences import failure_sentences, head, unusual_sentences
from models.twin.groups import LOT
from orchestrator.domain.environment import EnvironmentChannel, RunEnvironment, over_run
from orchestrator.domain.lifecycle import RunStatus
from orchestrator.errors import BadInput
from simulators.twins.terms import ELAPSED
from tests.twins.films import HUMIDITY, history_of_films, plan_of, recorded
from tests.twins.test_bench import FILM

RULES = """
[infeasible]
rules = [{ code = "cracked", reason = "the film cracked" }, { code = "boiled", reason = "the solvent boiled" }]
"""
DRY_FILM = FILM.replace("environment=(Surrounding", "environment=() and (Surrounding").replace('* asked.environment["humidity"]', "* 40.0")
"""A twin that knows no humidity."""
RUNS = 60
CRACKS = 52.0
"""% of humidity above which films crack."""


def weather(seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    shocks = generator.standard_normal(RUNS)
    found = [float(shocks[0])]
    for shock in shocks[1:]:
        found.append(0.8 * found[-1] + 0.6 * float(shock))
    return [45.0 + 8.0 * one for one in found]


@dataclass(frozen=True)
class Campaign:
    found: Compared
    humidity: list[float]
    told: list[str | None]

    @property
    def all_of(self) -> list[Explained]:
        return [explained(self.found, "conductivity")]


def campaign(
    folder: Path, *, cracks: float = CRACKS, effect: float = 0.01, seed: int = 2, hottest: float = 84.0, lots: Sequence[str] = ()
) -> Campaign:
    """Carry out 60 films on paper: humid air makes them worse and, above a threshold, cracks them; above 85 degC the solvent boils."""
    plan = plan_of(folder, RULES, DRY_FILM)
    generator = np.random.default_rng(seed)
    humidity = weather(seed)
    asked = [{"T": float(generator.uniform(40.0, hottest)), "speed": float(generator.uniform(600.0, 5900.0))} for _ in range(RUNS)]
    told: list[str | None] = [
        "the solvent boiled" if row["T"] > 85.0 else "the film cracked" if damp > cracks else None
        for row, damp in zip(asked, humidity, strict=True)
    ]
    made = [
        4.8e2 * float(np.exp(-(((row["T"] - 63.0) / 18.0) ** 2)) * (1.0 - effect * (damp - 40.0)))
        for row, damp in zip(asked, humidity, strict=True)
    ]
    noisy = [one * (1.0 + 0.03 * float(generator.standard_normal())) for one in made]
    assert plan.twin is not None
    history = history_of_films(
        plan,
        [{} if why else {"conductivity": value} for why, value in zip(told, noisy, strict=True)],
        [[recorded(one), *(lot(name) for name in lots[place : place + 1])] for place, one in enumerate(humidity)],
        statuses=[RunStatus.INFEASIBLE if one else RunStatus.COMPLETED for one in told],
        configurations=asked,
        told=told,
    )
    return Campaign(compared(history, plan.twin), humidity, told)


def lot(name: str) -> RunEnvironment:
    return over_run(EnvironmentChannel(name="resin", channel="stocks.resin", unit="", reference=0.0, every=30.0, lot=name), [], 0.0, 10.0)


def test_a_planted_threshold_is_named_with_its_figures_and_advice(tmp_path: Path) -> None:
    made = campaign(tmp_path)
    (one,) = failing(made.found)
    cracked = made.told.count("the film cracked")
    assert (one.reason, len(one.cases), one.said) == ("cracked", cracked, {"": cracked})
    assert one.separated is not None
    (named,) = one.separated.named
    assert (named.factor, named.spared.failed, named.failing.failed) == ("humidity", 0, named.failing.runs)
    assert named.interval is not None
    assert named.interval[0] <= CRACKS <= named.interval[1]
    lines = failure_sentences(made.found, one, helping(made.found, one, made.all_of))
    assert head(made.found, one) == f"cracked: {cracked} of {RUNS} runs; by the twin {cracked} work"
    assert lines[0].startswith("humidity: up to 5")
    assert f"none of {RUNS - cracked} failed, above {cracked} of {cracked} (threshold in [" in lines[0]
    assert lines[1].startswith("keep humidity below 5")
    assert "by film/1 with conductivity-" in lines[2]
    assert "T from " in lines[2], "a temperature nearer to the best one brings back what humid air takes"
    assert lines[2].endswith("whether that spares them cracked the twin cannot say, for it works by it there")


def test_the_page_tells_it_with_a_picture_of_what_was_named(tmp_path: Path) -> None:
    made = campaign(tmp_path)
    all_of = made.all_of
    told = failures(made.found, all_of)
    text = page(made.found, all_of, [None], [], None, told, simulated=False)
    assert "<h2>What came to nothing</h2>" in text
    assert all(str(escape(line)) in text for line in failure_sentences(made.found, *told[0]))
    assert 'draw("plot-failed-1"' in text
    assert 'id="failures"' not in page(made.found, all_of, [None], [], None, (), simulated=False)


def test_an_effect_is_that_over_the_near_end_of_the_threshold(tmp_path: Path) -> None:
    made = campaign(tmp_path)
    (one,) = failing(made.found)
    assert one.separated is not None
    (named,) = one.separated.named
    ((_, (effect,)),) = helping(made.found, one, made.all_of).effects
    assert named.interval is not None
    bound, _ = _informed(made.found, "conductivity", "humidity", made.all_of)
    runs = _spread(one.tried)
    near, far = (
        np.median(
            predicted(bound, [each.configuration for each in runs], [each.environment or {} for each in runs])
            / predicted(bound, [each.configuration for each in runs], [{**(each.environment or {}), "humidity": end} for each in runs])
        )
        for end in named.interval
    )
    assert effect.ratio == pytest.approx(near)
    assert near < far, "the far end is nearer to what the runs had"
    assert all(change.helps > 0 and change.of == len(runs) for change in effect.changes)
    assert {change.what for change in effect.changes} <= {"T", "speed", "best"}, "a term's strength is no property of a material"


def test_of_what_the_twin_knows_nothing_it_says_so(tmp_path: Path) -> None:
    made = campaign(tmp_path, effect=0.0)
    (one,) = failing(made.found)
    lines = failure_sentences(made.found, one, helping(made.found, one, ()))
    assert lines[-1] == "the twin knows no effect of humidity: what else would help it cannot say"


def test_what_the_twin_gives_up_too_needs_no_explanation_and_it_says_what_would_help(tmp_path: Path) -> None:
    made = campaign(tmp_path, cracks=1e3, hottest=90.0)
    (one,) = failing(made.found)
    assert (one.reason, one.tried, one.separated) == ("boiled", (), None)
    assert set(one.said) == {"boiled"}
    found = helping(made.found, one, ())
    (change,) = [each for each in found.works if not each.is_constant]
    assert (change.what, change.helps, change.of) == ("T", min(len(one.cases), 6), min(len(one.cases), 6))
    assert change.after <= 85.0 < change.before
    assert failure_sentences(made.found, one, found)[0].startswith("by the twin they work after T from 8")


def test_where_nothing_separates_them_it_is_not_settled(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RULES, DRY_FILM)
    told = ["the film cracked" if place in (3, 14, 22, 37, 41, 55) else None for place in range(RUNS)]
    found = history(plan, told, weather(4))
    (one,) = failing(found)
    (line,) = failure_sentences(found, one, Help((), ()))
    assert line.startswith("not settled: nothing that was set or recorded separates 6 runs from 54 that were spared it (least p ")


def history(plan: Plan, told: Sequence[str | None], humidity: Sequence[float], **more: object) -> Compared:
    assert plan.twin is not None
    generator = np.random.default_rng(9)
    made = history_of_films(
        plan,
        [{} if one else {"conductivity": 300.0 + float(generator.normal())} for one in told],
        [[recorded(one)] for one in humidity],
        statuses=[RunStatus.INFEASIBLE if one else RunStatus.COMPLETED for one in told],
        configurations=[{"T": float(generator.uniform(40, 84)), "speed": float(generator.uniform(600, 5900))} for _ in told],
        told=told,
        **more,  # type: ignore[arg-type]  # for tests
    )
    return compared(made, plan.twin)


def test_too_few_are_counted_and_not_explained(tmp_path: Path) -> None:
    found = history(plan_of(tmp_path, RULES, DRY_FILM), ["the film cracked" if place < 3 else None for place in range(RUNS)], weather(4))
    (one,) = failing(found)
    (line,) = failure_sentences(found, one, Help((), ()))
    assert line == "3 that the twin does not expect and 57 that were spared: too few to look for what separates them (4 of either)"


def test_failed_and_quarantined_runs_are_counted_by_what_they_have_in_common(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RULES, DRY_FILM)
    assert plan.twin is not None
    told = [f"step 3 oven.heat: not there after {place} min" if place in (1, 2) else None for place in range(12)]
    doubts = [f"signal {place}.5 below 20" if place in (4, 5, 6) else None for place in range(12)]
    made = history_of_films(
        plan,
        [{} if one else {"conductivity": 400.0 - 7.0 * place} for place, one in enumerate(told)],
        [[recorded(30.0 + place)] for place in range(12)],
        statuses=[RunStatus.FAILED if one else RunStatus.COMPLETED for one in told],
        told=told,
        doubts=doubts,
    )
    found = failing(compared(made, plan.twin))
    assert [(one.reason, len(one.cases)) for one in found] == [
        ("quarantined: signal N below N", 3),
        ("failed: step N oven.heat: not there after N min", 2),
    ]
    assert [len(one.spared) for one in found] == [7, 10], "what failed was spared no doubt, what is doubted was carried out"


def test_a_run_that_the_twin_gives_up_and_that_gave_something_is_told(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RULES, DRY_FILM)
    assert plan.twin is not None
    asked = [{"T": 40.0 + place * 4.0, "speed": 900.0} for place in range(13)]
    told = ["the solvent boiled" if place == 12 else None for place in range(13)]
    made = history_of_films(
        plan,
        [{} if one else {"conductivity": 400.0 - 7.0 * place} for place, one in enumerate(told)],
        [[recorded(30.0 + place)] for place in range(13)],
        statuses=[RunStatus.INFEASIBLE if one else RunStatus.COMPLETED for one in told],
        configurations=asked,
        told=told,
    )
    found = compared(made, plan.twin)
    (one,) = failing(found)
    assert head(found, one) == "boiled: 1 of 13 runs; by the twin 1 are boiled too"
    in_vain = tuple(replace(each, said="boiled") if each.number == 2 else each for each in found.ended)
    (other,) = failing(replace(found, ends=lambda: in_vain))
    assert other.said_in_vain == 1


def test_one_run_is_unusual_in_what_no_other_had(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RULES, DRY_FILM)
    humidity = [40.0 + place % 7 for place in range(RUNS)]
    humidity[20] = 71.0
    found = history(plan, ["the film cracked" if place == 20 else None for place in range(RUNS)], humidity)
    (one,) = unusual(found, 21)
    lines = unusual_sentences(found, one)
    assert lines[0] == "proposal 21 ended with the film cracked; by the twin it works"
    assert "humidity 71: more than in all 59 runs that gave something (40 to 46 %)" in lines
    assert lines[-1] == f"of these runs {one.as_unusual} are themselves beyond all others in something: one run proves nothing"
    with pytest.raises(BadInput, match="proposal 99 has no run that has ended"):
        unusual(found, 99)


# ---------------------------------------------------------------------- lots, days since a service


def test_a_bad_lot_that_cracks_films_is_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RULES, DRY_FILM)
    assert plan.twin is not None
    lots = [f"R{place // 5 % 4}" for place in range(RUNS)]
    told = ["the film cracked" if name == "R2" and place % 5 else None for place, name in enumerate(lots)]
    generator = np.random.default_rng(9)
    made = history_of_films(
        plan,
        [{} if one else {"conductivity": 300.0 + float(generator.normal())} for one in told],
        [[recorded(one), lot(name)] for one, name in zip(weather(7), lots, strict=True)],
        statuses=[RunStatus.INFEASIBLE if one else RunStatus.COMPLETED for one in told],
        told=told,
        configurations=[{"T": float(generator.uniform(40, 84)), "speed": float(generator.uniform(600, 5900))} for _ in told],
    )
    found = compared(made, plan.twin)
    assert found.varied == ("humidity", ELAPSED, "lot of resin")
    (one,) = failing(found)
    lines = failure_sentences(found, one, helping(found, one, ()))
    assert lines[0].startswith("resin: of R2 12 of 15 failed, of all others none of 45 (p 0.0")
    assert lines[1] == "take another resin than R2"


def test_a_lot_that_made_a_difference_is_named_among_the_factors(tmp_path: Path) -> None:
    names = [f"R{place // 3 % 4}" for place in range(RUNS)]
    made = campaign(tmp_path, cracks=1e3, effect=0.0, lots=names)
    shift = {"R0": 0.8, "R1": 1.0, "R2": 1.15, "R3": 0.9}
    rows = [replace(row, values={"conductivity": (row.values["conductivity"][0] * shift[row.lots["resin"]],)}) for row in made.found.rows]
    found = explained(replace(made.found, rows=tuple(rows)), "conductivity")
    assert [one.factor for one in found.named] == [LOT]


def test_days_since_the_only_service_are_the_time_and_said_to_be(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "", DRY_FILM)
    assert plan.twin is not None
    age = EnvironmentChannel(name="age", channel="logger.serviced", unit="day", reference=0.0, every=30.0, since=-1e6)
    later = age.evolve(since=450.0)
    measured = [{"conductivity": 400.0 - 7.0 * place} for place in range(12)]
    for service, channels in ((99, (ELAPSED,)), (5, ("age", ELAPSED))):
        beside = [[over_run(age if place < service else later, [], 100.0 * place, 100.0 * place + 10.0)] for place in range(12)]
        found = compared(history_of_films(plan, measured, beside), plan.twin)
        assert tuple(one.name for one in found.channels) == channels
        assert any("age: it went with the time" in line for line in found.left_out) is (service == 99)


def test_replicates_are_readings_of_one_sample_or_repeats_of_one_setting(tmp_path: Path) -> None:
    made = campaign(tmp_path, cracks=1e3)
    twice = [
        replace(row, values={"conductivity": (*row.values["conductivity"], row.values["conductivity"][0] + 1.0)}) for row in made.found.rows
    ]
    assert replace(made.found, rows=tuple(twice)).pairs("conductivity").read_twice
    again = [replace(row, what="the same" if place < 2 else row.what) for place, row in enumerate(made.found.rows)]
    assert replace(made.found, rows=tuple(again)).pairs("conductivity").repeated
    assert HUMIDITY.lot is None
