"""A process that carries a campaign on sees what a command writes, on its next turn."""

from pathlib import Path
from uuid import NAMESPACE_DNS

from flows.running import measuring
from flows.running.run_loop import _ask
from flows.running.typed_values import typed_values
from orchestrator.domain.identity import uuid8
from orchestrator.domain.run_code import run_code
from orchestrator.history import knowledge
from orchestrator.loop import Adapt, Wait
from orchestrator.results import Said
from orchestrator.store.sql import SqlStore
from tests.measuring.place import Place


def test_a_living_loop_learns_a_value_and_its_correction_on_its_next_turn(tmp_path: Path) -> None:
    place = Place(tmp_path, budget=2, in_flight=2)
    place.carry_on()
    with SqlStore.open(place.lab.ledger) as store:
        steps = place.steps(store)
        assert isinstance(_ask(steps)[0], Wait)
        measuring.add(place.lab, None, run_code(1), typed_values(["purity=50"]), Said("Ada"))
        (adapt,) = _ask(steps)
        assert isinstance(adapt, Adapt)
        steps.adapt(adapt)
        assert isinstance(_ask(steps)[0], Wait)
        measuring.correct(place.lab, None, run_code(1), typed_values(["purity=55"]), Said("Ada", "typo"))
        (adapt,) = _ask(steps)
        assert isinstance(adapt, Adapt)
        assert [one.values.get("purity") for one in knowledge(steps.history).observations] == [55.0, None]
    assert place.sound()


def test_a_name_gives_the_uuid_that_the_standard_gives() -> None:
    """RFC 9562, appendix B.2: the example of a name-based UUID of version 8 with SHA-256."""
    assert uuid8(NAMESPACE_DNS, "www.example.com") == "5c146b14-3c52-8afd-938a-375d0df1fbf6"
