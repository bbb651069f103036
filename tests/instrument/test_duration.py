"""How long a run takes: waits and holds for certain, heating at declared rates."""

from pathlib import Path

import pytest

from flows.plans.plan import load_plan
from instruments.bench.procedure import Procedure
from orchestrator.errors import BadInput
from tests.crash.campaigns import quick_campaign

UNTIL = 'timeout = "60 min" }'


def procedure(folder: Path, rate: str = "") -> Procedure:
    file = quick_campaign(folder, budget=4)
    bench = folder / "bench.toml"
    bench.write_text(bench.read_text().replace(UNTIL, f'timeout = "60 min"{rate} }}'))
    found = load_plan(file).procedure
    assert found is not None
    return found


def test_heating_is_counted_from_the_run_before_at_the_declared_rate(tmp_path: Path) -> None:
    declared = procedure(tmp_path / "a", ', rate = "10 delta_degC/min"')
    hot, cool = ({"T": T, "tau": 30.0, "c_se": 0.01, "ratio": 2.0} for T in (240.0, 235.0))
    least = 60.0 + 4 * 30.0  # the hold, and four residence times
    first, later, same = (
        declared.duration(declared.expand(hot)),
        declared.duration(declared.expand(cool), declared.expand(hot)),
        declared.duration(declared.expand(hot), declared.expand(hot)),
    )
    assert [one.least for one in (first, later, same)] == pytest.approx([least] * 3)
    assert first.reaching == pytest.approx((240 - 20 - 1) / 10 * 60)  # from the lower limit, 20 degC, to within 1 degC
    assert later.reaching == pytest.approx((5 - 1) / 10 * 60)
    assert same.reaching == 0
    assert declared.lab_seconds(declared.expand(hot)) == pytest.approx(least)


def test_without_a_rate_nothing_is_made_up(tmp_path: Path) -> None:
    bare = procedure(tmp_path / "a")
    assert bare.duration(bare.expand({"T": 240.0, "tau": 30.0, "c_se": 0.01, "ratio": 2.0})).reaching is None


@pytest.mark.parametrize(
    ("rate", "said"), [("10 degC/mL", "'10 degC/mL' has the wrong unit"), ("0 delta_degC/min", "expected one above 0"), ("fast", "'fast'")]
)
def test_a_rate_that_is_none_is_refused_by_check(tmp_path: Path, rate: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        procedure(tmp_path / "a", f', rate = "{rate}"')
    assert "oven.set_temperature" in str(caught.value)
