"""What people tell of values changes the next proposal exactly as if it had been known from the first, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from flows.plans.proposing import batch_seed
from flows.running import measuring
from flows.running.typed_values import typed_values
from orchestrator.domain.entered import Entered, Entry
from orchestrator.domain.run_code import run_code
from orchestrator.domain.values import Configuration
from orchestrator.history import History, Knowledge, Observation, knowledge
from orchestrator.ports import Store
from orchestrator.results import Said
from orchestrator.store.sql import SqlStore
from orchestrator.suggestions import Suggestion
from tests.measuring.place import Place

ADA = Said("Ada", "as measured")
PURITIES = ("12 percent", "48 percent", "95 percent", "88 percent")
"""Told of the four runs of the design, in their order."""


@dataclass
class Known:
    """What a policy should know, put together by hand: a row per run."""

    rows: dict[str, tuple[float, dict[str, float], dict[str, float]]]
    """By run key: x, values, uncertainties."""
    pending: list[Configuration] = field(default_factory=list)
    excluded: tuple[Configuration, ...] = ()
    partial: int = 0

    def knowledge(self, as_of: int) -> Knowledge:
        rows = (self.rows[key] for key in sorted(self.rows))
        observations = tuple(Observation({"x": x}, values, uncertainties) for x, values, uncertainties in rows)
        known = Knowledge(observations, tuple(self.pending), excluded=self.excluded, as_of=as_of, partial=self.partial)
        return replace(known, carried=self.excluded)  # all was carried out as proposed, and once


def told(place: Place, *purities: str) -> Known:
    """Carry the design out, tell purities of its first runs, and say what is known then."""
    assert place.carry_on() is None
    runs = place.runs()
    for run, purity in zip(runs, purities, strict=False):
        measuring.add(place.lab, None, run.run_key, typed_values([f"purity={purity}"]), ADA)
    rows = {}
    for index, run in enumerate(runs):
        x = float(run.measured["x"])
        values = {"y": x, **({"purity": float(purities[index].split()[0])} if index < len(purities) else {})}
        rows[run.run_key] = (x, values, dict[str, float]())
    waiting = [{"x": run.measured["x"]} for run in runs[len(purities) :]]
    excluded = tuple({"x": run.measured["x"]} for run in runs)
    return Known(rows, [*waiting], excluded, len(waiting))


def late(place: Place, known: Known) -> None:
    run = place.runs()[3]
    measuring.add(place.lab, None, run.run_key[:18], typed_values(["purity=88", "percent"], ["purity=2 percent"]), ADA)
    x, values, _ = known.rows[run.run_key]
    known.rows[run.run_key] = (x, {**values, "purity": 88.0}, {"purity": 2.0})
    known.pending, known.partial = [], 0


def partial(place: Place, known: Known) -> None:
    """Nothing of the fourth run's purity: its other value teaches, and it stays pending."""


def corrected(place: Place, known: Known) -> None:
    run = place.runs()[1]
    measuring.correct(place.lab, None, run_code(2), typed_values(["y=0.6"]), ADA)
    x, values, spread = known.rows[run.run_key]
    known.rows[run.run_key] = (x, {**values, "y": 0.6}, spread)


def corrected_twice(place: Place, known: Known) -> None:
    measuring.correct(place.lab, None, run_code(2), typed_values(["y=0.9"]), ADA)
    corrected(place, known)


def retracted(place: Place, known: Known) -> None:
    run = place.runs()[0]
    measuring.retract(place.lab, None, run.run_key, ["y"], ADA)
    x, values, spread = known.rows[run.run_key]
    known.rows[run.run_key] = (x, {"purity": values["purity"]}, spread)


def replicated(place: Place, known: Known) -> None:
    """A second and a third value, of which not each has an uncertainty, then all."""
    run = place.runs()[2]
    measuring.add(place.lab, None, run.run_key, typed_values(["purity=80", "percent"]), ADA)
    x, values, spread = known.rows[run.run_key]
    known.rows[run.run_key] = (x, {**values, "purity": (95.0 + 80.0) / 2}, spread)


def imported(place: Place, known: Known) -> None:
    entries = [Entry("old.csv, line 2", {"y": Entered(0.7, 0.01), "purity": Entered(55.0)}, configuration={"x": 0.71})]
    brought = measuring.bring(place.lab, None, entries, by="Ada")
    assert brought.added == 1
    (run,) = brought.history.imported
    known.rows[run.run_key] = (0.71, {"y": 0.7, "purity": 55.0}, {"y": 0.01})


def by_hand(place: Place, known: Known, as_of: int) -> Mapping[str, float | str]:
    """What a policy that has learnt nothing before proposes as the fifth experiment."""
    one: Suggestion
    (one,) = place.policy().propose(known.knowledge(as_of), count=1, seed=batch_seed(7, 5))
    return one.configuration


@pytest.mark.parametrize("change", [late, partial, corrected, corrected_twice, retracted, replicated, imported])
def test_the_next_proposal_is_what_it_would_be_from_scratch(tmp_path: Path, change: Callable[[Place, Known], None]) -> None:
    place = Place(tmp_path)
    known = told(place, *(PURITIES[:3] if change in (late, partial) else PURITIES))
    before, was = place.history(), by_hand(place, known, 0)
    change(place, known)
    assert knowledge(place.history()) == known.knowledge(place.history().seq)
    place.carry_on()
    after = place.history()
    fifth = after.newest()[4]
    assert fifth.configuration == by_hand(place, known, 0)
    assert (fifth.configuration == was) is (change is partial)
    untouched(before, after)
    with SqlStore.open(place.lab.ledger, read_only=True) as store:
        replayed(place, store, after)
    assert place.sound()


def untouched(before: History, after: History) -> None:
    """Nothing of what was proposed, approved, carried out and measured before is another."""
    assert all(after.proposals[key] == one for key, one in before.proposals.items())
    assert all(after.runs[key] == run for key, run in before.runs.items())
    changed = [key for key, one in before.revisions.items() if after.revisions[key] != one]
    assert all(after.revisions[key].status == "retracted" for key in changed)
    values = [(before.revisions[key].value, after.revisions[key].value) for key in before.revisions]
    assert all(old == new for old, new in values)


def replayed(place: Place, store: Store, history: History) -> None:
    """Every proposal, of before and since, comes out again from what was known when it was made."""
    for one in history.newest():
        then = History.of(store.changes_until("c", one.provenance.as_of))
        again = place.policy().propose(knowledge(then), count=one.provenance.count, seed=one.provenance.seed)
        assert again[one.provenance.position].configuration == one.configuration


def test_a_correction_is_learnt_at_once_also_where_as_many_runs_were_seen_before(tmp_path: Path) -> None:
    place = Place(tmp_path, budget=6)
    told(place, *PURITIES)
    place.carry_on()
    learnt = place.history().learnt_seq
    assert place.history().lessons_seq <= learnt
    corrected(place, told_again(place))
    assert place.history().lessons_seq > learnt
    place.carry_on()
    assert place.history().learnt_seq >= place.history().lessons_seq


def told_again(place: Place) -> Known:
    return Known({run.run_key: (0.0, {}, {}) for run in place.runs()})
