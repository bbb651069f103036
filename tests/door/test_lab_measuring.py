"""What people tell of runs from Python is what the command line writes."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

import athanor
from orchestrator.domain.lifecycle import MeasurementStatus
from orchestrator.domain.run_code import run_code
from orchestrator.errors import BadInput
from tests.measuring.place import Place


def test_values_are_added_corrected_and_taken_back_from_python(tmp_path: Path) -> None:
    place = Place(tmp_path, budget=3, initial=3, in_flight=2)
    place.carry_on()
    campaign, code = athanor.open_lab(place.lab.path).campaign(), run_code(1)
    (tmp_path / "balance.csv").write_text("purity 50")
    origin = athanor.Origin("", datetime(2026, 3, 1, 14, 30, tzinfo=UTC), tmp_path / "balance.csv")
    (first,) = campaign.add_values(
        code, {"purity": 0.5 * 100}, by="Ada", uncertainties={"purity": "0.02 percent"}, origin=origin
    ).measurements
    assert (first.value, first.uncertainty, first.by, first.measured_at) == (50.0, 0.02, "Ada", origin.measured_at)
    assert first.evidence is not None
    assert (first.evidence.name, first.evidence.sha256) == ("balance.csv", sha256(b"purity 50").hexdigest())
    (better,) = campaign.correct_values(code, {"purity": "55 percent"}, by="Ada").measurements
    assert (better.value, better.revision, better.uncertainty) == (55.0, 2, 0.02)
    (gone,) = campaign.retract_values(code, "purity", by="Ada", reason="wrong vial").measurements
    assert (gone.status, gone.retracted_by) == (MeasurementStatus.RETRACTED, "Ada")
    (none,) = campaign.add_values(run_code(2), {"purity": None}, by="Ada", origin=athanor.Origin("the vial broke")).measurements
    assert (none.value, none.reason) == (None, "the vial broke")
    assert place.sound()


def test_what_the_command_line_would_refuse_is_refused_in_the_same_words(tmp_path: Path) -> None:
    place = Place(tmp_path, budget=3, initial=3, in_flight=2)
    place.carry_on()
    campaign = athanor.open_lab(place.lab.path).campaign()
    with pytest.raises(BadInput, match="there is no target 'colour'"):
        campaign.add_values(run_code(1), {"colour": 1}, by="Ada")
    with pytest.raises(BadInput, match="expected a number, or a text with a unit"):
        campaign.add_values(run_code(1), {"purity": True}, by="Ada")
    with pytest.raises(BadInput, match="--by NAME is needed"):
        campaign.add_values(run_code(1), {"purity": 1}, by=" ")
