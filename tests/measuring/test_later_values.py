"""Targets whose values come after their runs: pending till then, and not waited for beyond what the file says."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import app
from flows.running import measuring
from flows.running.typed_values import typed_values
from orchestrator.domain.campaign import parse_campaign
from orchestrator.domain.lifecycle import CampaignStatus, RunStatus
from orchestrator.domain.run_code import run_code
from orchestrator.errors import BadInput
from orchestrator.history import failures, knowledge
from orchestrator.loop import GiveUp, Propose, Stop, Wait
from orchestrator.results import Said
from tests.measuring.place import FILE, Place

ADA = Said("Ada")
HOURS = 3600.0


def tell(place: Place, number: int, value: str) -> None:
    said = Said("Ada", "the vial broke") if value == "none" else ADA
    measuring.add(place.lab, None, run_code(number), typed_values([f"purity={value}"], reason=said.reason), said)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two experiments, of which two may be open at once; both have run and await their purity."""
    place = Place(tmp_path, budget=3, initial=3, in_flight=2)
    assert place.carry_on() is None
    return place


def test_the_bench_is_free_and_the_configuration_stays_pending(place: Place) -> None:
    history = place.history()
    runs = place.runs()
    assert [run.status for run in runs] == [RunStatus.COMPLETED] * 2
    assert [dict(history.awaited[run.run_key]) for run in runs] == [{"purity": run.ended_lab + 72 * HOURS} for run in runs if run.ended_lab]
    assert knowledge(history).pending == tuple(run.measured for run in runs)
    assert [set(one.values) for one in knowledge(history).observations] == [{"y"}, {"y"}]
    assert isinstance(place.next()[0], Wait)


def test_a_value_ends_the_waiting_and_the_next_begins(place: Place) -> None:
    tell(place, 1, "50 percent")
    history = place.history()
    assert [*history.awaited] == [place.runs()[1].run_key]
    assert place.carry_on() is None
    assert [one.number for one in place.history().newest()] == [1, 2, 3]
    tell(place, 2, "60")
    assert place.carry_on() is None
    tell(place, 3, "70")
    ended = place.carry_on()
    assert ended is not None
    assert ended.status is CampaignStatus.FINISHED
    assert "budget spent" in ended.reason
    assert place.sound()


def test_a_value_that_is_overdue_is_given_up_once_and_taken_all_the_same_when_it_comes(place: Place) -> None:
    tell(place, 1, "50")
    place.carry_on()
    place.clock.seconds += 72 * HOURS + 2.0
    first = place.next()[0]
    assert isinstance(first, GiveUp)
    assert first.targets == ("purity",)
    ended = place.carry_on()
    assert ended is not None
    history = place.history()
    assert [run.overdue for run in history.attempts()] == [(), ("purity",), ("purity",)]
    assert not history.awaited
    said = CliRunner().invoke(app, ["status", "--lab", str(place.lab.path), "--json"])
    assert list(json.loads(said.stdout)["overdue"].values()) == [["purity"], ["purity"]]
    tell(place, 2, "60")
    assert place.history().accepted[place.runs()[1].run_key]["purity"] == 60.0
    assert place.sound()


def test_who_says_that_there_is_no_value_ends_the_waiting(place: Place) -> None:
    tell(place, 1, "none")
    history = place.history()
    (one,) = [one for one in history.measurements.values() if one.target == "purity"]
    assert (one.value, one.status, one.reason, one.by) == (None, "quarantined", "the vial broke", "Ada")
    assert place.runs()[0].run_key not in history.awaited


def test_a_value_that_was_told_of_the_wrong_run_is_taken_back_and_waited_for_again(place: Place) -> None:
    tell(place, 1, "50")
    measuring.retract(place.lab, None, run_code(1), ["purity"], Said("Ada", "it was vial 2"))
    history = place.history()
    assert len(history.awaited) == 2
    assert not failures(history)
    tell(place, 1, "40")
    (result,) = [found["purity"] for key, found in place.history().results.items() if key == place.runs()[0].run_key]
    assert (result.value, result.replicates) == (40.0, 1)


def test_without_in_flight_each_waits_for_the_value_of_the_one_before(tmp_path: Path) -> None:
    place = Place(tmp_path, budget=3, in_flight=1)
    place.carry_on()
    assert len(place.runs()) == 1
    tell(place, 1, "50")
    assert not any(isinstance(action, Propose) for action in place.next())  # what came is learnt first
    place.carry_on()
    assert len(place.runs()) == 2


def test_a_goal_that_is_reached_waits_for_what_is_still_to_come(place: Place) -> None:
    tell(place, 1, "100")
    spec = place.file.spec.campaign.evolve(goal=0.01)
    place.file = type(place.file)(place.file.path, place.file.text, place.file.spec.model_copy(update={"campaign": spec}), None)
    place.carry_on()
    assert len(place.runs()) == 2
    assert isinstance(place.next()[0], Wait)
    tell(place, 2, "1")
    ended = place.carry_on()
    assert ended is not None
    assert "goal reached" in ended.reason
    assert isinstance(place.next()[0], Stop)


@pytest.mark.parametrize(
    ("later", "said"),
    [
        ('due = "72 h"', 'target purity: due belongs to from = "later"'),
        ('from = "later"\ndue = "-3 h"', "greater than 0"),
        ('from = "later"\ndue = "3 kg"', "has the wrong unit"),
        ('from = "never"', "targets.1.from = 'never'"),
        ('comes = "later"', "unknown key targets.1.comes"),
    ],
)
def test_a_file_that_says_it_wrongly_is_refused_in_one_line(later: str, said: str) -> None:
    text = FILE.format(budget=3, initial=3, in_flight=1, later=later).partition("[candidates]")[0]
    with pytest.raises(BadInput) as refusal:
        parse_campaign(text, Path("campaign.toml"))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_recorded_table_has_nothing_that_comes_later() -> None:
    text = FILE.format(budget=3, initial=3, in_flight=1, later='from = "later"').partition("[candidates]")[0]
    text = text.replace('bench = "bench.toml"\n', "") + '[recorded]\ntable = "some"\n'
    with pytest.raises(BadInput, match='from = "later" belongs to a bench'):
        parse_campaign(text, Path("campaign.toml")).refuse_unhonoured()
