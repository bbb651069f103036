"""The chemistry of mixing: published trends, conservation, limiting cases, and a second integration of the same equations."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from lipid_mixing.mixing import (
    AGGREGATED,
    AVOGADRO,
    COMPLETED,
    NOTHING,
    PRESSURE,
    PRIMARY_RADIUS,
    SHELL,
    Lipid,
    Mixture,
    coalescence,
    condensing,
    coverage_of,
    encapsulation,
    grow,
    insoluble,
    limit_diameter,
    mix,
    mixing_quality,
    radius_of,
    viscosity,
)
from scipy.integrate import solve_ivp

LIPID = Lipid()
ENDLESS = replace(LIPID, efficiency=1e12)
BASE: dict[str, Any] = {"flow": 6.0, "ratio": 3.0, "lipid": 10.0, "np_ratio": 6.0, "peg": 1.5}


def diameters(**changed: float | np.ndarray) -> np.ndarray:
    return mix(Mixture.of(**{**BASE, **changed}), LIPID).diameter


def falls(values: np.ndarray) -> bool:
    return bool((np.diff(values) < 0.0).all())


@pytest.mark.parametrize(("peg", "published"), [(1.0, 131.0), (1.5, 89.3), (3.0, 47.7), (5.0, 31.0)])
def test_coalescence_without_end_comes_exactly_to_the_size_that_peg_covers(peg: float, published: float) -> None:
    made = grow(Mixture.of(**{**BASE, "peg": peg}), ENDLESS)
    assert 1e9 * (2.0 * made.radius[0] + SHELL) == pytest.approx(float(limit_diameter(peg, LIPID)), rel=1e-9)
    assert float(limit_diameter(peg, LIPID)) == pytest.approx(published, abs=0.05)
    assert made.coverage[0] == pytest.approx(1.0, rel=1e-9)


def test_without_coalescence_and_capture_aggregates_stay_as_they_precipitate() -> None:
    still = Mixture.of(**BASE)
    made = grow(still, replace(LIPID, efficiency=0.0))
    assert made.radius[0] >= PRIMARY_RADIUS
    captured = condensing(still, LIPID, np.array([0.0]), np.array([0.0]))
    assert captured[0] == 0.0  # what precipitates first has nothing to go to


def test_particles_are_smaller_when_mixing_is_faster() -> None:
    sizes = diameters(flow=np.array([0.5, 1.0, 2.0, 4.0, 8.0, 14.0]))
    assert falls(sizes)
    assert sizes[0] - sizes[-1] == pytest.approx(5.0, abs=3.0)  # 71 to 66 nm


def test_particles_are_smaller_the_more_water_meets_the_ethanol() -> None:
    sizes = diameters(ratio=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 9.0]))
    assert falls(sizes)
    assert sizes[[0, -1]] == pytest.approx([89.0, 35.0], abs=3.0)


def test_particles_are_smaller_with_more_peg() -> None:
    sizes = diameters(peg=np.array([0.5, 1.0, 1.5, 2.0, 3.0, 5.0]))
    assert falls(sizes)
    assert sizes[[0, -1]] == pytest.approx([88.0, 31.0], abs=3.0)


def test_particles_are_larger_with_more_lipid() -> None:
    sizes = diameters(lipid=np.array([2.0, 5.0, 10.0, 15.0, 25.0]))
    assert falls(-sizes)
    assert sizes[[0, -1]] == pytest.approx([49.0, 76.0], abs=3.0)


def test_encapsulation_rises_with_nitrogen_per_phosphate_and_falls_above_the_pka() -> None:
    ratios = Mixture.of(**{**BASE, "np_ratio": np.linspace(1.0, 10.0, 19)})
    found = encapsulation(ratios, LIPID)
    assert falls(-found)
    assert found[[0, -1]] == pytest.approx([0.41, 0.92], abs=0.03)
    acid = encapsulation(Mixture.of(**BASE, ph=np.array([3.5, 5.5, LIPID.pka, 7.0])), LIPID)
    assert falls(acid)
    assert acid[2] < acid[0] - 0.05


def test_lipid_is_conserved() -> None:
    rng = np.random.default_rng(0)
    varied = Mixture.of(
        rng.uniform(0.5, 20.0, 200), rng.uniform(1.0, 9.0, 200), rng.uniform(1.0, 25.0, 200), 6.0, rng.uniform(0.5, 5.0, 200)
    )
    made = grow(varied, LIPID)
    there = varied.lipid * varied.final_ethanol
    assert np.abs((made.precipitated + made.dissolved) / there - 1.0).max() < 1.5e-14
    volume = made.number * 4.0 / 3.0 * np.pi * made.radius**3
    assert volume / (LIPID.molecule * AVOGADRO) == pytest.approx(made.precipitated, rel=1e-12)


def test_no_particle_outgrows_its_peg() -> None:
    rng = np.random.default_rng(1)
    varied = Mixture.of(rng.uniform(0.5, 15.0, 200), rng.uniform(1.0, 9.0, 200), 12.5, 6.0, rng.uniform(0.5, 5.0, 200))
    for lipid in (LIPID, ENDLESS):
        assert grow(varied, lipid).coverage.max() <= 1.0 + 1e-9


@pytest.mark.parametrize("changed", [{}, {"ratio": 1.0}, {"ratio": 6.0}, {"peg": 0.5}, {"flow": 1.0, "peg": 3.0}, {"lipid": 2.0}])
def test_an_adaptive_integration_of_the_same_equations_gives_the_same_size(changed: dict[str, float]) -> None:
    """The witness is SciPy's Radau on d(number)/dt, with what precipitates as its rate; it shares no stepping with `grow`."""
    one = Mixture.of(**{**BASE, **changed})
    ends = float(14.0 * one.mixing_time[0])
    grain = LIPID.molecule * AVOGADRO / (4.0 / 3.0 * np.pi * PRIMARY_RADIUS**3)

    def rate(t: float, number: np.ndarray) -> list[float]:
        there = insoluble(one, LIPID, t)
        step = 1e-7 * ends
        new = float((insoluble(one, LIPID, t + step) - there)[0]) / step
        count = np.maximum(number, 1e-30)
        radius = radius_of(there * LIPID.molecule * AVOGADRO, count)
        share = float(condensing(one, LIPID, count, radius)[0])
        bare = max(1.0 - float(coverage_of(one, LIPID, radius)[0]), 0.0)
        return [(1.0 - share) * new * grain - 0.5 * float(coalescence(one, LIPID, t)[0]) * bare**1.5 * float(count[0]) ** 2]

    times = np.linspace(0.0, ends, 100_001)
    begun = float(times[np.argmax(insoluble(one, LIPID, times) > 0.0)])
    first = float(insoluble(one, LIPID, begun)[0]) * grain
    found = solve_ivp(rate, (begun, ends + 1.0), [first], method="Radau", rtol=1e-5, atol=1e12)
    radius = radius_of(insoluble(one, LIPID, ends + 1.0) * LIPID.molecule * AVOGADRO, found.y[:, -1])
    assert 1e9 * (2.0 * float(radius[0]) + SHELL) == pytest.approx(float(mix(one, LIPID).diameter[0]), abs=0.3)


def test_viscosity_agrees_with_tables() -> None:
    assert viscosity(np.array([293.15, 298.15, 310.15])) * 1e3 == pytest.approx([1.002, 0.890, 0.692], rel=0.01)


def test_mixing_slowly_is_worse() -> None:
    assert falls(-mixing_quality(Mixture.of(**{**BASE, "flow": np.array([0.5, 2.0, 8.0, 20.0])})))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({}, COMPLETED), ({"peg": 0.5, "ratio": 6.0}, AGGREGATED), ({"lipid": 1.0, "ratio": 1.0}, NOTHING), ({"flow": 20.0}, PRESSURE)],
)
def test_what_fails_says_why(changed: dict[str, float], reason: str) -> None:
    lipid = replace(LIPID, log_solubility=-1.0) if reason == NOTHING else LIPID
    made = mix(Mixture.of(**{**BASE, **changed}), lipid)
    assert made.reason == (reason,)
    assert (made.diameter[0] > 0.0) == (reason in (COMPLETED, AGGREGATED))


def test_a_mixture_does_not_depend_on_those_beside_it() -> None:
    many = mix(Mixture.of(**{**BASE, "ratio": np.linspace(1.0, 9.0, 9)}), LIPID)
    assert mix(Mixture.of(**{**BASE, "ratio": 5.0}), LIPID).diameter[0] == many.diameter[4]
