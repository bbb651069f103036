"""MoS2 growth against rate theory's limiting cases, conservation of the metal, and published trends."""

import numpy as np
import pytest

from simulators.chemistry.mos2 import (
    BOLTZMANN_EV,
    ETCHED,
    MULTILAYER,
    NO_FILM,
    SITES,
    Growth,
    MoS2Constants,
    deposit,
    grow_film,
)

SULFUR_RICH = 1e6


def anywhere(count: int, seed: int = 0) -> Growth:
    rng = np.random.default_rng(seed)
    flux = 10.0 ** rng.uniform(np.log10(5e-4), np.log10(5e-2), count)
    sulfur = 10.0 ** rng.uniform(np.log10(2.0), np.log10(200.0), count)
    return Growth.of(rng.uniform(880.0, 1150.0, count), flux, sulfur, rng.uniform(60.0, 1800.0, count), rng.uniform(0.0, 1.0, count))


@pytest.mark.parametrize("size", [1.0, 2.0, 3.0])
def test_with_complete_condensation_islands_go_with_the_flux_to_i_over_i_plus_2(size: float) -> None:
    # Venables, Surf. Sci. 299/300, 798 (1994): two-dimensional islands, at one dose
    flux = np.array([1e-3, 1e-2])
    constants = MoS2Constants(adsorption_energy=8.0, etch_energy=9.0, critical_size=size)
    film = grow_film(Growth.of(900.0, flux, SULFUR_RICH, 0.15 / flux), constants)
    exponent = np.diff(np.log(film.islands)) / np.diff(np.log(flux))
    assert exponent == pytest.approx([size / (size + 2.0)], abs=0.01)


def test_where_adatoms_desorb_islands_go_with_the_flux_to_i_plus_1() -> None:
    flux = np.array([1e-4, 1e-3])
    film = grow_film(Growth.of(1150.0, flux, SULFUR_RICH, 60.0), MoS2Constants())
    assert np.diff(np.log(film.islands)) / np.diff(np.log(flux)) == pytest.approx([3.0], abs=0.01)


def test_where_adatoms_desorb_islands_have_the_activation_energy_of_rate_theory() -> None:
    kelvin, constants = np.array([1100.0, 1150.0]), MoS2Constants()
    film = grow_film(Growth.of(kelvin, 1e-3, SULFUR_RICH, 60.0), constants)
    slope = np.diff(np.log(film.islands)) / np.diff(1.0 / (BOLTZMANN_EV * kelvin))
    expected = 3.0 * constants.adsorption_energy - constants.diffusion_energy + constants.bond_energy
    assert slope == pytest.approx([expected], abs=0.05)


def test_metal_that_arrives_is_attached_desorbed_or_still_there_and_coverage_is_a_share() -> None:
    film = grow_film(anywhere(200), MoS2Constants())
    lost = film.arrived - film.attached - film.desorbed - film.adatoms / SITES
    assert np.abs(lost / film.arrived).max() < 1e-12
    assert film.coverage.min() >= 0.0
    assert film.coverage.max() <= 1.0


def test_shorter_steps_change_hardly_anything() -> None:
    growth = anywhere(200)
    coarse, fine = (grow_film(growth, MoS2Constants(), steps) for steps in (800, 1600))
    assert np.abs(coarse.coverage - fine.coverage).max() < 0.005
    assert np.abs(coarse.islands / fine.islands - 1.0).max() < 0.01


def test_cold_growth_closes_small_grains_and_hot_growth_desorbs() -> None:
    made = deposit(Growth.of([900.0, 1000.0, 1150.0], 1e-2, 50.0, 600.0), MoS2Constants())
    assert made.coverage[0] > 0.99
    assert made.grain[0] < made.grain[1]
    assert made.coverage[2] < made.coverage[1]


def test_each_failure_has_its_reason() -> None:
    growth = Growth.of([1150.0, 1150.0, 880.0], [5e-4, 5e-3, 5e-2], [2.0, 200.0, 200.0], [60.0, 1800.0, 1800.0], [0.0, 1.0, 0.0])
    slow = MoS2Constants(etch_energy=2.2)
    assert deposit(growth, MoS2Constants()).reason[0] == NO_FILM
    assert deposit(growth, MoS2Constants()).reason[2] == MULTILAYER
    assert ETCHED in deposit(Growth.of(1050.0, 5e-3, 20.0, 1800.0, 1.0), slow).reason


def test_rows_do_not_touch_each_other() -> None:
    growth = anywhere(20)
    alone = [deposit(Growth.of(*(getattr(growth, name)[row] for name in Growth.__annotations__)), MoS2Constants()) for row in range(20)]
    together = deposit(growth, MoS2Constants())
    assert [float(one.grain[0]) for one in alone] == together.grain.tolist()
