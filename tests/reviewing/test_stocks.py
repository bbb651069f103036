"""A run whose stock does not suffice is not begun; what was handed over counts whole unless a dose was never sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from flows.plans.stocks import StockBook, dosed, needed, stock_entries
from flows.running.recording import never_sent
from instruments.bench.file import BenchFile, load_bench, parse_bench
from instruments.bench.procedure import Procedure
from instruments.bench.reagents import reagents_of
from instruments.bench.spec import StockSpec
from orchestrator.domain.events import EventKind
from orchestrator.domain.identity import uuid7
from orchestrator.domain.lifecycle import AnswerStatus, CampaignStatus, EvidenceKey, ProposalStatus, RunStatus, StepKind, StepStatus
from orchestrator.domain.records import CampaignRecord, ExperimentRun, Proposal, Provenance, RunReport, Step, StepReport
from orchestrator.domain.values import Configuration
from orchestrator.errors import BadInput
from tests.flow.test_steps import NOW, SPACE, Box
from tests.reviewing.scripted import Desk, Limited, answer, approve, in_turn

SCALE: Final = 4.0
"""mL of stock that x = 1 takes."""


def stock(lot: str, volume: str) -> dict[str, str]:
    return stock_entries({"precursor": StockSpec(species={"P": "1 mol/L"}, lot=lot, volume=volume, delivered_by="pump")})


class Dosing(Limited):
    """A dose in proportion to x, after the measurement that the box makes of it."""

    def __init__(self, lot: str = "A12", volume: str = "5 mL", each: float | None = 2.0) -> None:
        super().__init__()
        self.binding = stock(lot, volume)
        self.each = each

    @override
    def expand(self, configuration: Configuration) -> tuple[Step, ...]:
        volume = SCALE * float(configuration["x"]) if self.each is None else self.each
        dose = Step(index=1, do="pump.dose", kind=StepKind.DOSING, arguments={"volume": volume}, units={"volume": "mL"})
        return (*super().expand(configuration), dose)


def test_a_run_whose_stock_does_not_suffice_pauses_the_campaign_and_a_new_lot_lets_it_go_on() -> None:
    desk = Desk(in_turn(answer), general={"budget": 4, "batch": 4}, recipe=Dosing())
    assert desk.run().status is CampaignStatus.PAUSED
    assert desk.history.campaign.reason == "stock precursor: 1 mL left of lot A12, run needs 2 mL; refill, then `athanor amend`"
    assert len(desk.box.requests) == 2
    assert sorted(run.status for run in desk.history.runs.values()) == ["completed"] * 2 + ["queued"] * 2
    desk.store.update_campaign(
        desk.history.campaign.evolve(status=CampaignStatus.RUNNING, reason=None), kind=EventKind.RESUMED, by="t", now=NOW
    )
    again = Desk(in_turn(answer), general={"budget": 4, "batch": 4}, recipe=Dosing(lot="A13"), store=desk.store)
    assert again.run().status is CampaignStatus.FINISHED
    assert len(again.box.requests) == 2
    assert [one.revision for one in again.history.newest()] == [1, 1, 2, 2]
    assert again.store.verify() == ()


BY_HAND: Final = """
[bench]
name = "by-hand"
reduction = "identity/1"
[instruments.chemist]
driver = "{driver}"
[instruments.chemist.calls.dilute]
{does}
arguments = {arguments}
returns = {{ mass = "g" }}
[stocks.acid]
species = {{ acid = "1 mol/L" }}
lot = "A"
volume = "1 L"
price = "2 EUR/mL"
delivered_by = "chemist"
[procedure]
steps = [{{ do = "chemist.dilute", with = {given} }}]
"""


def by_hand(arguments: Mapping[str, str], given: str = "{}", driver: str = "person") -> BenchFile:
    words = json.dumps(["true", *(f"{{{name}}}" for name in arguments)])
    does = {"person": 'instructions = "Dilute."', "python": 'function = "m:f"', "command": f"command = {words}"}[driver]
    declared = "{" + ", ".join(f'{name} = "{unit}"' for name, unit in arguments.items()) + "}"
    return parse_bench(BY_HAND.format(driver=driver, does=does, arguments=declared, given=given), Path("bench.toml"))


def read_from_disk(folder: Path, bench: BenchFile) -> BenchFile:
    (folder / "bench.toml").write_text(bench.text)
    return load_bench(folder / "bench.toml")


@pytest.mark.parametrize("driver", ["person", "python", "command"])
def test_what_a_person_or_a_function_is_handed_counts_as_taken(driver: str) -> None:
    bench = by_hand({"water": "uL", "share": ""}, '{ water = "2 mL", share = "x" }', driver)
    steps = Procedure(bench, SPACE).expand({"x": 0.5})
    assert reagents_of(bench, steps).volumes == {"acid": pytest.approx(2.0)}
    assert reagents_of(bench, steps).cost == pytest.approx(4.0)
    assert needed(steps, stock_entries(bench.spec.stocks)) == {("acid", "A"): pytest.approx(2.0)}


@pytest.mark.parametrize("driver", ["person", "python", "command"])
def test_a_stock_of_which_nothing_could_be_counted_is_refused_when_the_file_is_read_and_taken_where_it_was_stored(
    driver: str, tmp_path: Path
) -> None:
    for arguments, complaint in (
        ({"rest": "h"}, r"stock acid: delivered_by 'chemist': none of its commands has a volume .* \(dilute\)"),
        (
            {"water": "mL", "rinse": "mL"},
            "stock acid: delivered_by 'chemist': dilute has 2 volumes, water, rinse; expected one, or one",
        ),
    ):
        stored = by_hand(arguments, driver=driver)
        with pytest.raises(BadInput, match=complaint):
            read_from_disk(tmp_path, stored)
    assert read_from_disk(tmp_path, by_hand({"volume": "mL", "rinse": "mL"}, driver=driver)).spec.stocks


def test_a_larger_volume_of_the_same_lot_counts_what_was_dosed_before() -> None:
    desk = Desk(in_turn(answer), general={"budget": 4, "batch": 4}, recipe=Dosing())
    desk.run()
    for volume, left, status in (("7.9 mL", "1.9", CampaignStatus.PAUSED), ("8 mL", "", CampaignStatus.FINISHED)):
        desk.store.update_campaign(
            desk.history.campaign.evolve(status=CampaignStatus.RUNNING, reason=None), kind=EventKind.RESUMED, by="t", now=NOW
        )
        again = Desk(in_turn(answer), general={"budget": 4, "batch": 4}, recipe=Dosing(volume=volume), store=desk.store)
        assert again.run().status is status
        assert left in (again.history.campaign.reason or "")


def test_an_edit_that_the_stock_does_not_allow_is_refused_with_the_reason() -> None:
    desk = Desk(in_turn(lambda request: answer(request, approve(request, 0, x=1.0)), answer), general={"budget": 1, "batch": 1})
    desk.recipe = Dosing(volume="3.9 mL", each=None)
    assert desk.run().status is CampaignStatus.FINISHED
    refused = desk.history.answers[desk.answers[0].answer_id]
    assert refused.status is AnswerStatus.REFUSED
    assert "stock precursor: 3.9 mL left of lot A12" in (refused.reason or "")
    assert "run needs 4 mL" in (desk.asked[1].complaint or "")


def proposal(lot: str = "A12", campaign: str = "c", number: int = 1) -> Proposal:
    recipe = Dosing(lot=lot)
    return Proposal(
        proposal_id=uuid7(),
        campaign=campaign,
        number=number,
        configuration={"x": 0.5},
        steps=recipe.expand({"x": 0.5}),
        binding=dict(recipe.binding),
        provenance=Provenance(policy="x/1", as_of=0, seed=0),
    )


def run_of(made: Proposal, **changes: object) -> ExperimentRun:
    run = ExperimentRun(run_key=uuid7(), run_id="r", campaign=made.campaign, proposal_id=made.proposal_id, revision=1)
    return run.evolve(**changes)


@pytest.mark.parametrize("status", [one for one in RunStatus if one not in (RunStatus.QUEUED, RunStatus.SUPERSEDED)])
def test_a_run_counts_whole_from_the_moment_it_was_handed_over(status: RunStatus) -> None:
    made = proposal()
    assert dosed(run_of(made, status=status, fence=1), made) == {("precursor", "A12"): 2.0}
    assert dosed(run_of(made, status=status, fence=1, evidence={EvidenceKey.NEVER_SENT: [1]}), made) == {}


def test_what_was_never_handed_over_takes_nothing() -> None:
    made = proposal()
    assert dosed(run_of(made), made) == {}
    assert dosed(run_of(made, status=RunStatus.SUPERSEDED, fence=1), made) == {}
    assert dosed(run_of(made, status=RunStatus.ABORTED), made) == {}


@pytest.mark.parametrize("touched", [one for one in StepStatus if one not in (StepStatus.PLANNED, StepStatus.SKIPPED)])
def test_only_a_step_that_stayed_planned_to_the_end_was_never_sent(touched: StepStatus) -> None:
    steps = (StepReport(0, "a.b", touched), StepReport(1, "pump.dose", StepStatus.SKIPPED), StepReport(2, "pump.dose", StepStatus.PLANNED))
    assert never_sent(RunReport("k", 1, RunStatus.FAILED, steps=steps)) == {EvidenceKey.NEVER_SENT: [1, 2]}
    assert never_sent(RunReport("k", 1, RunStatus.UNKNOWN, steps=steps)) == {}


class Early(Box):
    """Ends the first run before its dose was sent."""

    @override
    def _report(self, run_key: str) -> RunReport:
        report = super()._report(run_key)
        if list(self.requests).index(run_key) > 0:
            return report
        steps = (*report.steps, StepReport(1, "pump.dose", StepStatus.SKIPPED))
        return RunReport(run_key, 1, RunStatus.FAILED, "oven cold", steps)


def test_a_run_that_failed_before_its_dose_leaves_the_stock_to_others() -> None:
    desk = Desk(in_turn(answer), general={"budget": 3, "batch": 1}, recipe=Dosing(volume="4 mL"), box=Early())
    assert desk.run().status is CampaignStatus.FINISHED
    assert sorted(run.status for run in desk.history.runs.values()) == ["completed", "completed", "failed"]


def test_runs_of_other_campaigns_count_on_the_same_lot_alone() -> None:
    desk = Desk(in_turn(answer), recipe=Dosing(volume="10 mL"))
    desk.prepare()
    desk.store.create_campaign(CampaignRecord(name="other"), by="test", now=NOW)
    for number, lot in enumerate(("A12", "A11"), start=1):
        made = proposal(lot, "other", number)
        desk.store.add_proposals([made], by="test", now=NOW)
        run = run_of(made)
        desk.store.decide(made.evolve(status=ProposalStatus.APPROVED, decided_by="rule x"), [run], by="test", now=NOW)
        assert StockBook(desk.store, "c").left(desk.history, desk.recipe.binding, waiting=True)["precursor"][1] == 8.0
        desk.store.update_run(run.evolve(status=RunStatus.DISPATCHED, fence=1), kind=EventKind.DISPATCHED, by="test", now=NOW)
    book = StockBook(desk.store, "c")
    assert book.left(desk.history, desk.recipe.binding, waiting=False)["precursor"][1] == 8.0
    assert book.lines(desk.history, desk.recipe.binding) == {"stock precursor": "8 of 10 mL left of lot A12"}
