"""The spectrometer sends what a real one sends, and the quantum yield can be found in it again."""

from dataclasses import replace

import numpy as np
import pytest

from simulators.chemistry.family import Product, nothing
from simulators.spectra import FULL_SCALE, WAVELENGTHS, Dye, Recording, Spectrometer, SpectrometerTraits

PRODUCT = Product("completed", 0.9, 590.0, 40.0, 0.55, 2.0)
QUIET = SpectrometerTraits(gain_spread=0.0, dark_drift=0.0, wavelength_drift=0.0, outliers=0.0)
DAY = 86_400.0


def record(traits: SpectrometerTraits = QUIET, *, time: float = 0.1, lab: float = 0.0, number: int = 1, seed: int = 3) -> Recording:
    return Spectrometer(seed, traits, Dye()).record(PRODUCT, time, lab, number)


def reduced_quantum_yield(recording: Recording) -> float:
    light = (recording.sample - recording.dark).sum() / (recording.reference - recording.dark).sum()
    absorbed = (1.0 - 10.0**-recording.sample_absorbance) / (1.0 - 10.0**-recording.reference_absorbance)
    return float(Dye().quantum_yield * light / absorbed)


@pytest.mark.parametrize("seed", range(5))
def test_the_relative_method_finds_the_quantum_yield_whatever_the_instrument(seed: int) -> None:
    recording = record(replace(SpectrometerTraits(), outliers=0.0), seed=seed)
    assert reduced_quantum_yield(recording) == pytest.approx(0.55, rel=0.06)


def test_the_line_has_the_products_position_and_width() -> None:
    line = record().sample - record().dark
    mean = float(np.average(WAVELENGTHS, weights=np.maximum(line, 0.0) ** 2))
    above = WAVELENGTHS[line > 0.5 * line.max()]
    assert mean == pytest.approx(590.0, abs=1.0)
    assert above[-1] - above[0] == pytest.approx(40.0, abs=3.0)


def test_counts_are_whole_and_inside_the_converters_range() -> None:
    recording = record(time=5.0)
    for spectrum in (recording.dark, recording.sample, recording.reference):
        assert spectrum.min() >= 0.0
        assert spectrum.max() <= FULL_SCALE
        assert np.array_equal(spectrum, np.round(spectrum))


def test_a_long_integration_saturates_and_a_short_one_does_not() -> None:
    assert record(time=2.0).saturated
    assert not record(time=0.1).saturated


def test_noise_grows_with_the_root_of_the_signal() -> None:
    peak = int(np.argmax(record().reference))
    values = [record(number=number).reference[peak] for number in range(300)]
    assert np.std(values) == pytest.approx(np.sqrt(np.mean(values) - QUIET.dark_level), rel=0.2)


def test_the_same_number_repeats_the_same_noise_and_another_does_not() -> None:
    assert np.array_equal(record(number=4).sample, record(number=4).sample)
    assert not np.array_equal(record(number=4).sample, record(number=5).sample)


def test_dark_level_and_wavelength_axis_drift_with_the_lab_days() -> None:
    traits = replace(SpectrometerTraits(), walk=0.0)
    instrument = Spectrometer(1, traits, Dye())
    assert instrument.dark_error(0.0) == 0.0
    assert instrument.dark_error(10.0 * DAY) == pytest.approx(10.0 * traits.dark_drift)
    assert instrument.wavelength_error(10.0 * DAY) == pytest.approx(10.0 * traits.wavelength_drift)


def test_the_random_walk_spreads_with_the_root_of_time() -> None:
    traits = replace(SpectrometerTraits(), dark_drift=1.0, walk=1.0)
    ends = [Spectrometer(seed, traits, Dye()).dark_error(9.0 * DAY) - 9.0 for seed in range(300)]
    assert np.std(ends) == pytest.approx(3.0, rel=0.15)


def test_an_empty_vial_shows_the_dark_level_alone() -> None:
    recording = Spectrometer(3, QUIET, Dye()).record(nothing("no-particles"), 0.1, 0.0, 1)
    assert float(recording.sample.mean()) == pytest.approx(float(recording.dark.mean()), abs=3.0)


def test_a_bubble_takes_light_away() -> None:
    bubble = record(replace(QUIET, outliers=1.0))
    assert reduced_quantum_yield(bubble) < 0.9 * 0.55
