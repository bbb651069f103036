import base64
import hashlib
import json

import pytest

from tests.host.harness import until
from tests.people.bench import DOSE, FLOW, HEAT, READ, VALUES, WEIGH, PeopleBench, answer_path, hand_over, procedure, said, wait

pytestmark = pytest.mark.slow


def test_a_batch_of_eight_waits_side_by_side_and_is_answered_in_any_order(bench: PeopleBench) -> None:
    bench.start()
    keys = [hand_over(bench, procedure(WEIGH)) for _ in range(8)]
    for key in keys:
        bench.await_person(key)
    assert bench.answers("/alive")["run"] is None
    for number, key in enumerate(reversed(keys)):
        bench.answer(key, values={**VALUES, "weight": f"{number} mg"})
    for key in keys:
        bench.ended(key)
    weights = [one["value"] for key in reversed(keys) for one in bench.readings(key) if one["channel"] == "weight"]
    assert weights == [float(number) for number in range(8)]


def test_what_a_person_says_is_kept_as_readings_whose_raw_bytes_are_the_very_answer(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(WEIGH))
    bench.await_person(key)
    bench.answer(key, values={"weight": "0.0123 g", "colour": " white "})
    report = bench.ended(key)
    weight, colour = bench.readings(key)
    assert (weight["instrument"], weight["channel"], weight["value"], weight["unit"]) == ("chemist", "weight", pytest.approx(12.3), "mg")
    assert (colour["text"], colour["value"]) == ("white", None)
    raw = base64.b64decode(weight["raw"])
    assert hashlib.sha256(raw).hexdigest() == weight["sha256"]
    assert (json.loads(raw)["person"], json.loads(raw)["values"]["weight"]) == ("Ada", "0.0123 g")
    assert report["steps"][0]["sent"] == {"mass": 12.0}


def test_the_run_goes_on_with_its_next_step_when_the_answer_is_there(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(FLOW, WEIGH, DOSE))
    bench.await_person(key, 1)
    assert bench.executions(key) == (0, 0, 0)
    bench.answer(key, 1)
    bench.ended(key)
    assert bench.executions(key) == (0, 1, 0)


def test_a_dose_has_ended_before_a_person_is_asked(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(FLOW, DOSE, WEIGH))
    bench.await_person(key, 2)
    assert bench.answers(f"/runs/{key}")["steps"][1]["status"] == "done"


def test_the_same_answer_again_changes_nothing_and_another_one_is_refused(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(WEIGH, WEIGH))
    bench.await_person(key)
    first = said()
    for _ in range(3):
        bench.ask("POST", answer_path(key), first)
    status, line = bench.refused("POST", answer_path(key), said(by="Ben"))
    assert (status, line) == (409, f"step 0 chemist.weigh of run {key} was answered by Ada; the first answer counts")
    assert bench.refused("POST", answer_path(key), {**first, "values": {**VALUES, "weight": "13 mg"}})[0] == 409
    bench.await_person(key, 1)
    bench.answer(key, 1)
    bench.ended(key)
    assert [one["value"] for one in bench.readings(key) if one["channel"] == "weight"] == [12.3, 12.3]


def test_an_answer_that_cannot_be_taken_is_refused_in_a_line_and_the_step_waits_on(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(WEIGH))
    bench.await_person(key)
    cases: list[tuple[dict[str, object], str]] = [
        ({"values": {**VALUES, "weight": "501 mg"}}, "chemist.weigh: weight = 501 mg is out of range; expected 0 to 500 mg"),
        ({"values": {"weight": "1 mg"}}, "chemist.weigh: colour is missing; expected a text"),
        ({"values": {}, "outcome": "not-done"}, "an answer that says not-done needs a reason"),
        ({"by": ""}, "expected a text"),
    ]
    for body, words in cases:
        status, line = bench.refused("POST", answer_path(key), said(**body))
        assert (status, words in line) == (400, True), line
    bench.answer(key)
    bench.ended(key)


def test_a_step_that_is_one_persons_is_answered_by_nobody_else(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure({**WEIGH, "work": {**WEIGH["work"], "person": "Ben"}}))
    bench.await_person(key)
    assert bench.refused("POST", answer_path(key), said())[1] == "this step is Ben's; Ada cannot answer it"
    bench.answer(key, by="Ben")
    bench.ended(key)


@pytest.mark.parametrize(("outcome", "words"), [("not-done", "not done"), ("went-wrong", "it went wrong")])
def test_what_was_not_done_or_went_wrong_ends_this_run_alone(bench: PeopleBench, outcome: str, words: str) -> None:
    bench.start()
    key, other = (hand_over(bench, procedure(WEIGH, HEAT)) for _ in range(2))
    bench.await_person(key)
    bench.answer(key, outcome=outcome, values={}, reason="the vial broke")
    report = bench.ended(key, "failed")
    assert report["reason"] == f"step 0 chemist.weigh: {words}, says Ada: the vial broke"
    assert "not_executed" not in report["evidence"]  # nobody is asked again without anybody saying so
    assert bench.world.state().get("oven", {}).get("safe", 0) == 0
    bench.await_person(other)


def test_an_answer_to_a_step_that_does_not_wait_is_refused(bench: PeopleBench) -> None:
    bench.start()
    key = hand_over(bench, procedure(WEIGH, WEIGH, READ))
    bench.await_person(key)
    assert "is planned; nobody waits for an answer" in bench.refused("POST", answer_path(key, 1), said())[1]
    assert "asks nobody anything" in bench.refused("POST", answer_path(key, 2), said())[1]
    assert "has no step 7" in bench.refused("POST", answer_path(key, 7), said())[1]
    assert bench.refused("POST", answer_path("nobody"), said())[0] == 404


# ---------------------------------------------------------------------- whose instruments are whose


def test_a_run_that_waits_keeps_what_it_has_set_from_runs_that_would_change_it(bench: PeopleBench) -> None:
    bench.start()
    first = hand_over(bench, procedure(HEAT, WEIGH, READ))
    bench.await_person(first, 1)
    colder = {**HEAT, "arguments": {"temperature": 40.0}}
    second, beside = hand_over(bench, procedure(colder)), hand_over(bench, procedure(FLOW, DOSE))
    bench.ended(beside)  # arrived later, and needs nothing of the first one's
    assert bench.answers(f"/runs/{second}")["status"] == "dispatched"
    assert bench.world.state()["oven"]["heat"]["to"] == 100.0
    bench.answer(first, 1)
    bench.ended(first)
    bench.ended(second)
    assert bench.world.state()["oven"]["heat"]["to"] == 40.0


def test_a_reading_after_the_answer_keeps_the_instrument_too(bench: PeopleBench) -> None:
    bench.start()
    first = hand_over(bench, procedure(READ, WEIGH, READ))
    bench.await_person(first, 1)
    second = hand_over(bench, procedure(READ))
    until(lambda: bench.answers("/alive")["run"] is None, "nothing is in hand")
    bench.wait_lab(200.0)
    assert bench.answers(f"/runs/{second}")["status"] == "dispatched"
    bench.answer(first, 1)
    bench.ended(first)
    bench.ended(second)


def test_runs_that_begin_with_people_wait_together_and_use_the_instrument_by_turns(bench: PeopleBench) -> None:
    bench.start()
    keys = [hand_over(bench, procedure(WEIGH, HEAT, wait(40.0), WEIGH, READ)) for _ in range(2)]
    for key in keys:
        bench.await_person(key)
    for key in reversed(keys):
        bench.answer(key)
    until(lambda: any(_has_begun(bench, key) for key in keys), "one of them has the oven")
    ahead, behind = sorted(keys, key=lambda key: not _has_begun(bench, key))
    bench.await_person(ahead, 3)
    assert not _has_begun(bench, behind)  # it was answered too, and waits for the oven
    bench.answer(ahead, 3)
    bench.ended(ahead)
    bench.await_person(behind, 3)
    bench.answer(behind, 3)
    bench.ended(behind)


def _has_begun(bench: PeopleBench, key: str) -> bool:
    return bool(bench.answers(f"/runs/{key}")["steps"][1]["status"] != "planned")


# ---------------------------------------------------------------------- ends that come from outside


def test_a_run_that_waits_is_aborted_at_once_and_the_bench_of_others_is_left_alone(bench: PeopleBench) -> None:
    bench.start()
    holding, waiting = hand_over(bench, procedure(HEAT, WEIGH)), hand_over(bench, procedure(WEIGH))
    bench.await_person(waiting)
    bench.ask("POST", f"/runs/{waiting}/abort", {"reason": "enough"})
    assert bench.ended(waiting, "aborted")["reason"] == "enough"
    assert bench.world.state()["oven"]["heat"]["to"] == 100.0
    assert bench.refused("POST", answer_path(waiting), said())[0] == 409
    bench.answer(holding, 1)
    bench.ended(holding)


def test_a_stop_ends_the_runs_that_wait(bench: PeopleBench) -> None:
    bench.start()
    keys = [hand_over(bench, procedure(HEAT, WEIGH)), hand_over(bench, procedure(WEIGH))]
    bench.await_person(keys[0], 1)
    bench.await_person(keys[1])
    bench.ask("POST", "/stop", {"reason": "fire drill", "by": "Ada"})
    for key in keys:
        assert bench.ended(key, "aborted")["reason"] == "bench latched by Ada: fire drill"
    assert bench.world.state()["oven"]["heat"]["to"] == 20.0
