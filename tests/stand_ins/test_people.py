"""In a dry run stand-ins answer in people's place: under a name of their own, in the range that is asked for, after their time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest
from typer.main import get_command

from athanor.lab import CampaignHandle
from flows.cli.main import app
from flows.plans.lab import Lab
from flows.plans.ledger import open_store
from flows.plans.simulated import PeopleSections, SimulatedBench, simulated
from flows.running.actions import Steps
from flows.running.measuring import add
from flows.running.stand_in_people import StandInPeople
from flows.running.work_operations import StepReply, answer_step, chosen, waiting_work
from instruments.bench.stand_ins import StandIns
from instruments.host.unattended import unattended
from orchestrator.domain.entered import Entered
from orchestrator.domain.events import Actor, EventKind
from orchestrator.domain.lifecycle import CampaignStatus
from orchestrator.domain.review import Person, draw_codes
from orchestrator.domain.work import WorkAnswer
from orchestrator.errors import BadInput
from orchestrator.history import History
from orchestrator.results import Said
from orchestrator.work import check_person
from simulators.responses import Room
from simulators.setting import Setting
from tests.flow.test_steps import NOW, Box, carry, steps_over
from tests.people.bench import order
from tests.people.lab import answers_in, waiting_lab
from tests.reviewing.scripted import HandClock
from tests.stand_ins.benches import bench_of

PERSON = """
[simulation]
plant = "plant.toml"

[instruments.chemist]
driver = "person"

[instruments.chemist.calls.weigh]
instructions = "Weigh {mass} of salt."
arguments = { mass = "mg" }
returns = { weight = { unit = "mg", min = "0 mg", max = "500 mg" } }

[[procedure.steps]]
do = "chemist.weigh"
with = { mass = "m" }
"""


def answered(lab: Lab, *, seconds: float, seed: int = 0, **sections: Mapping[str, Any]) -> bool:
    """Let stand-ins look at a lab whose runs wait, so many lab s after they were asked; return whether anything was recorded."""
    clock, made = HandClock(), SimulatedBench(None, StandIns({}, {}, {"chemist": ("weight", "colour")}), (), PeopleSections(**sections))
    room = Room(seed, {"chemist.weigh.mass": Setting(0.0, 20.0)}, lab.path, made.sections.responses)
    with open_store(lab) as store, unattended(lab.path) as bench:
        history = History.of(store.changes("c"))
        asked = [one.started_lab for run in history.attempts() for one in bench.report(run.run_key).steps]  # type: ignore[union-attr]
        clock.seconds = min(one for one in asked if one is not None) + seconds
        return StandInPeople(made, {}, room, store, bench, clock).act(history)


def test_a_stand_in_answers_after_its_time_once_and_under_a_name_that_is_no_persons(tmp_path: Path) -> None:
    lab = waiting_lab(tmp_path, 1)
    assert not answered(lab, seconds=599.0)
    assert answered(lab, seconds=600.0)
    assert not answered(lab, seconds=700.0)
    (kept,) = answers_in(lab)
    assert (kept.person, kept.via, kept.outcome) == ("stand-in for chemist", "dry-run", "done")
    assert 0.0 <= float(kept.values["weight"].removesuffix(" mg")) <= 500.0
    assert kept.values["colour"]
    with open_store(lab, read_only=True) as store:
        (event,) = [one for one in store.events("c") if one.kind.startswith("work-")]
    assert event.by == "stand-in for chemist"
    assert Actor(event.by).name == "stand-in for chemist"


def test_the_same_seed_gives_the_same_answer_and_another_one_another(tmp_path: Path) -> None:
    said = []
    for number, seed in enumerate((3, 3, 4)):
        lab = waiting_lab(tmp_path / str(number), 1)
        assert answered(lab, seconds=30.0, seed=seed, stand_ins={"chemist": {"dose_s": 30}})
        said.append(answers_in(lab)[0].values)
    assert said[0] == said[1] != said[2]


def test_what_goes_wrong_in_a_stand_ins_hands_fails_the_run_and_says_so(tmp_path: Path) -> None:
    lab = waiting_lab(tmp_path / "a", 1)
    assert answered(lab, seconds=1e4, stand_ins={"chemist": {"failures": 1, "reason": "spilt"}})
    assert [(one.outcome, one.reason) for one in answers_in(lab)] == [("went-wrong", "spilt")]
    other = waiting_lab(tmp_path / "b", 1)
    (other.path / "heavy.csv").write_text("mass,weight\n1,900\n20,900\n")
    table = {"kind": "table", "table": "heavy.csv", "column": "weight", "inputs": {"chemist.weigh.mass": "mass"}}
    assert answered(other, seconds=1e4, responses={"chemist.weight": table})
    (kept,) = answers_in(other)
    assert kept.outcome == "went-wrong"
    assert "weight = 900 mg is out of range; expected 0 to 500 mg" in str(kept.reason)


def test_a_stand_in_answers_for_whoever_is_named_and_no_person_takes_its_name(tmp_path: Path) -> None:
    asked = waiting_lab(tmp_path, 1)
    named = chosen(waiting_work(asked), None).order.evolve(**order(person="Ada"))
    check_person(named, "stand-in for Ada")
    with pytest.raises(BadInput, match="Ben cannot answer it"):
        check_person(named, "Ben")
    values = {"weight": "12 mg", "colour": "white"}
    with pytest.raises(BadInput, match="is no person's name"):
        answer_step(asked, chosen(waiting_work(asked), None), StepReply("stand-in for Ada", values))
    with pytest.raises(BadInput, match="is no person's name"):
        add(asked, None, "1a-D", lambda _: {"y": Entered(1.0)}, Said("stand-in for y"))
    assert answers_in(asked) == ()


@pytest.mark.parametrize("status", [CampaignStatus.ABORTED, CampaignStatus.FINISHED])
def test_nobody_answers_once_a_campaign_is_over(status: CampaignStatus) -> None:
    steps = steps_over(Box())
    over = History.of(steps.setup.store.changes("c")).campaign.evolve(status=status, reason="enough")
    steps.setup.store.update_campaign(over, kind=EventKind(status), by="test", now=NOW)
    people = create_autospec(StandInPeople, instance=True)
    assert carry(Steps(replace(steps.setup, stand_ins=people))).status is status
    people.act.assert_not_called()


def leaves(command: Any) -> Iterator[Any]:
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from leaves(one)


def test_no_command_takes_a_stand_ins_name_for_a_persons() -> None:
    asking = [(one, option) for one in leaves(get_command(app)) for option in one.params if "--by" in option.opts]
    assert {"pause", "suggest", "work", "amend"} < {one.name for one, _ in asking}
    for one, option in asking:
        with pytest.raises(BadInput, match="is no person's name"):
            option.process_value(one.context_class(one), "Stand-in for chemist")


def test_no_other_door_takes_a_stand_ins_name_for_a_persons(tmp_path: Path) -> None:
    lab, name = waiting_lab(tmp_path, 1), "stand-in for chemist"
    campaign = CampaignHandle(lab, "c")
    for does in (campaign.pause, campaign.resume, campaign.abort, campaign.stop):
        with pytest.raises(BadInput, match="is no person's name"):
            does(by=name, reason="of my own")
    with pytest.raises(BadInput, match="is no person's name"):
        Actor.person("Ada", name)
    with open_store(lab) as store:
        run = next(iter(History.of(store.changes("c")).runs))
        said = WorkAnswer(answer_id="w", campaign="c", run_key=run, step=0, person="Ada", outcome="not-done", reason="no", via="dry-run")
        store.keep(Person(name="Ada").with_codes(draw_codes(1)), kind=EventKind.PERSON_ADDED, by="test", now=NOW)
        assert "must give a one-time code" in str(store.answer_work(said, code=None, now=NOW).refusal), "whatever way it claims"


@pytest.mark.parametrize(
    ("plant", "line"),
    [
        ("[responses.purity]\nnoise = 1", "responses.purity: no such target that comes later; they are yield"),
        ("[stand_ins.chemist]\ndose_s = -1", "stand_ins.chemist.dose_s"),
        ('[responses."chemist.weight"]\nkind = "magic"', "responses.chemist.weight.kind"),
    ],
)
def test_what_a_plant_file_gets_wrong_of_people_is_told_by_check(plant: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text(plant)
    with pytest.raises(BadInput, match=re.escape(line)):
        simulated(bench_of(tmp_path, PERSON), ["yield"])


def test_people_and_what_comes_later_are_named_among_the_stand_ins(tmp_path: Path) -> None:
    (tmp_path / "plant.toml").write_text("[responses.yield]\nafter_s = 60\n[stand_ins.chemist]\ndose_s = 60\n")
    made = simulated(bench_of(tmp_path, PERSON), ["yield"])
    assert made.told.keys() == {"chemist", "yield"}
    assert all(one.startswith("stand-in for ") for one in made.told.values())
    assert made.stand_ins.document["people"] == {"chemist": ["weight"]}
    assert replace(made, later=()).told.keys() == {"chemist"}
