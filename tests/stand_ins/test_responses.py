"""What stand-ins measure: deterministic in the seed, smooth, or what a table or a function of the laboratory's own says."""

import math
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import pytest

from flows.plans.sampled_priors import sampled_priors
from flows.plans.simulated import SimulatedBench
from instruments.bench.stand_ins import StandIns
from orchestrator.errors import BadInput
from simulators.interpolation import SampledFunction
from simulators.responses import ResponseSection, Room
from simulators.setting import Setting

SETTINGS: Final = {"bath.set.T": Setting(10.0, 60.0), "pump.dose.V": Setting(0.0, 8.0), "arm.go.to": Setting(values=("a", "b", "c"))}
CHANNEL: Final = "scale.weight"


def room(seed: int = 1, folder: Path = Path(), **section: Any) -> Room:
    return Room(seed, SETTINGS, folder, {CHANNEL: ResponseSection(**section)} if section else {})


def at(where: Room, temperature: float, volume: float = 4.0, *, lab_s: float = 0.0, unit: str = "g") -> float:
    where.set("bath.set.T", temperature)
    where.set("pump.dose.V", volume)
    return where.answer(CHANNEL, unit, lab_s)


def test_the_same_seed_and_settings_give_the_same_values_in_whatever_order_they_are_asked() -> None:
    points = [(15.0, 1.0), (40.0, 6.0), (40.0, 6.0), (25.0, 2.0)]
    one, other = room(7), room(7)
    first = [at(one, *point) for point in points]
    other.answer("scale.other", "g", 5.0)
    second = [at(other, *point) for point in reversed(points)]
    assert sorted(first) == sorted(second)
    assert first[1] != first[2]  # a replicate has noise of its own
    assert [at(room(8), *point) for point in points] != first


def test_what_is_drawn_is_smooth_fills_its_range_and_depends_on_each_setting() -> None:
    still = room(3, noise=0.0, between=(2.0, 4.0))
    curve = np.array([at(still, t) for t in np.linspace(10.0, 60.0, 201)])
    assert np.abs(np.diff(curve)).max() < 0.05
    assert np.ptp(curve) > 0.2
    values = np.array([at(room(seed, noise=0.0, between=(2.0, 4.0)), 30.0) for seed in range(300)])
    assert 2.0 < values.min() < 2.1
    assert 3.9 < values.max() < 4.0
    assert abs(values.mean() - 3.0) < 0.12  # its share of the range is uniform: 4.5 standard errors of 300 draws
    assert abs(values.std() - 2.0 / math.sqrt(12.0)) < 0.08
    still.set("arm.go.to", "a")
    before = at(still, 30.0)
    still.set("arm.go.to", "c")
    assert abs(at(still, 30.0) - before) > 1e-3
    assert abs(at(still, 30.0, 1.0) - at(still, 30.0, 7.0)) > 1e-3


def test_its_kernel_is_a_squared_exponential() -> None:
    """Over many seeds the covariance of the drawn normal variable at two points is that of the kernel (unit ranges, 0.5 long)."""
    pairs = []
    for seed in range(600):
        one = room(seed, noise=0.0)
        pairs.append([_normal(at(one, 25.0)), _normal(at(one, 40.0))])
    found = np.corrcoef(np.array(pairs).T)[0, 1]
    assert found == pytest.approx(math.exp(-0.5 * (15.0 / 50.0 / 0.5) ** 2), abs=0.05)


def _normal(share: float) -> float:
    return NormalDist().inv_cdf(share)


def test_noise_is_as_large_as_declared_and_drift_grows_with_the_days() -> None:
    still = at(room(2, noise=0.0), 30.0)
    noisy = room(2, noise=0.03, relative_noise=0.04 / still)
    values = np.array([at(noisy, 30.0) for _ in range(2000)])
    assert values.mean() == pytest.approx(still, abs=0.005)
    assert values.std() == pytest.approx(0.05, rel=0.06)  # 0.03 and 0.04, in quadrature
    assert at(room(2, noise=0.0, drift_per_day=0.5), 30.0, lab_s=2 * 86400.0) == pytest.approx(still + 1.0)


def test_a_table_answers_with_its_nearest_row_or_between_its_rows(tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text("T,V,yield\n20,4,10\n40,4,30\n40,8,50\n")
    table = {"kind": "table", "table": "past.csv", "column": "yield", "inputs": {"bath.set.T": "T", "pump.dose.V": "V"}}
    nearest = room(1, tmp_path, **table)
    assert [at(nearest, t, v) for t, v in ((22.0, 4.0), (37.0, 4.5), (40.0, 7.5))] == [10.0, 30.0, 50.0]
    between = room(1, tmp_path, **table, between_rows="interpolated")
    assert at(between, 40.0, 4.0) == 30.0
    assert 10.0 < at(between, 30.0, 4.0) < 30.0


def test_a_function_gets_all_that_is_set_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def weight(made):\n    return 2.0 * made['bath.set.T'] + made['pump.dose.V']\n")
    assert at(room(1, tmp_path, kind="function", function="./model.py:weight"), 30.0, 4.0) == 64.0
    assert at(room(1, kind="function", function="builtins:len"), 30.0, 4.0) == 2.0


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_function_that_gives_no_finite_number_is_told_as_one_that_fails(value: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(f"def weight(made):\n    return float({value!r})\n")
    with pytest.raises(BadInput, match=rf"model\.py:weight gave {value} at .*expected a finite number"):
        at(room(1, tmp_path, kind="function", function="./model.py:weight"), 30.0, 4.0)


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"kind": "table", "table": "none.csv", "column": "y", "inputs": {"bath.set.T": "T"}}, r"response scale.weight: table .*none.csv"),
        ({"kind": "table", "table": "past.csv", "column": "z", "inputs": {"bath.set.T": "T"}}, r"line 2: no column 'z'; it has T, y"),
        (
            {"kind": "table", "table": "past.csv", "column": "y", "inputs": {"bath.T": "T"}},
            r"inputs name 'bath.T'; what can be set: arm.go.to",
        ),
        ({"kind": "table", "table": "bad.csv", "column": "y", "inputs": {"bath.set.T": "T"}}, r"line 3: y = 'many'; expected a number"),
        ({"kind": "function", "function": "./model.py:nothing"}, r"it has no 'nothing'"),
        ({"kind": "function", "function": "no_such_module:f"}, r"function 'no_such_module:f' cannot be loaded"),
    ],
)
def test_what_is_wrong_with_a_response_is_one_line(section: dict[str, Any], line: str, tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text("T,y\n20,1\n")
    (tmp_path / "bad.csv").write_text("T,y\n20,1\n30,many\n")
    (tmp_path / "model.py").write_text("def weight(made):\n    return 1.0\n")
    with pytest.raises(BadInput, match=line):
        room(1, tmp_path, **section).prepare(CHANNEL, "g")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"kind": "function"}, "names it: function"),
        ({"kind": "table", "table": "a.csv"}, "needs table, column and inputs"),
        ({"between": (2.0, 1.0)}, "expected the least value first"),
    ],
)
def test_a_response_that_lacks_what_its_kind_needs_is_refused(section: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ResponseSection(**section)


# ---------------------------------------------------------------------- a prior


GOLDEN: Final = Path(__file__).parents[1] / "golden" / "2026-11-29" / "prior" / "priors" / "cdse.pt"


def drawn(folder: Path, seed: int, **changes: Any) -> dict[str, Any]:
    """Draw what a response says from the prior of the golden ledger."""
    section = ResponseSection(kind="prior", prior=str(GOLDEN), inputs={"oven.set.T": "T", "pump.set.tau": "tau"}, **changes)
    return sampled_priors(SimulatedBench(folder / "plant.toml", StandIns({}, {}), priors={"x.y": section}), seed)["x.y"]


def test_a_prior_gives_the_function_of_one_task_by_the_seed_smooth_and_through_the_drawn_points(tmp_path: Path) -> None:
    first = drawn(tmp_path, 3)
    assert first == drawn(tmp_path, 3)
    assert first["values"] != drawn(tmp_path, 4)["values"]
    values = np.array(first["values"])
    assert values.std() > 0.01
    names = list(first["rows"][0])
    inputs = {f"it.{name}.to": name for name in names}
    section = ResponseSection(kind="prior", prior="p.pt", inputs=inputs, noise=0.0)

    def said(count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        known = SampledFunction(rows=first["rows"][:count], values=first["values"][:count])
        one = Room(0, dict.fromkeys(inputs, Setting()), declared={"x.y": section}, sampled={"x.y": known})
        made = [{setting: row[name] for setting, name in inputs.items()} for row in first["rows"]]
        return np.array([one.at(settings).answer("x.y", "", 0.0) for settings in made])

    assert said(len(values)) == pytest.approx(values, abs=1e-3 * values.std())
    left_out = said(300)[300:] - values[300:]
    assert np.sqrt(np.square(left_out).mean()) < 0.35 * values.std()  # what was not drawn lies between what was


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"target": "colour"}, r"response x.y: prior .* knows no target 'colour'; it knows quantum_yield"),
        ({"prior": "none.pt"}, r"response x.y: .*none.pt"),
        ({"inputs": {"a.b.c": "mass"}}, r"inputs name parameter 'mass'; prior .* has T, tau, c_se, ratio"),
    ],
)
def test_a_prior_that_cannot_answer_is_told_in_one_line(changes: dict[str, Any], line: str, tmp_path: Path) -> None:
    section = ResponseSection.model_validate({"kind": "prior", "prior": str(GOLDEN), "inputs": {"a.b.c": "T"}, **changes})
    made = SimulatedBench(tmp_path / "plant.toml", StandIns({}, {}), priors={"x.y": section})
    with pytest.raises(BadInput, match=line):
        sampled_priors(made, 0)


def test_what_is_declared_legal_holds_for_smooth_values_with_their_noise_and_for_words() -> None:
    narrow, one = Setting(2.0, 2.5), room(5, noise=5.0)
    values = np.array([one.answer(CHANNEL, "", 0.0, narrow) for _ in range(200)])
    assert values.min() == 2.0
    assert values.max() == 2.5
    assert {one.at({"bath.set.T": t}).word("x.y", Setting(values=("a", "b"))) for t in np.linspace(10.0, 60.0, 60)} == {"a", "b"}
    with pytest.raises(BadInput, match=r"between = \[2.0, 4.0\]; the bench file takes 2 to 2.5"):
        room(5, between=(2.0, 4.0)).prepare(CHANNEL, "", narrow)
