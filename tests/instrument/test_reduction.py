"""Spectra to wavelength, width and yield: right on synthetic spectra, honest about the uncertainty, and doubtful when due."""

import hashlib
import math
from datetime import UTC, datetime
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from instruments.reductions.emission import FWHM_PER_SIGMA
from instruments.reductions.reduced import Reduced, in_unit
from instruments.reductions.registry import REDUCTIONS, reduce
from orchestrator.domain.records import Reading
from orchestrator.errors import BadInput

WAVELENGTH = np.arange(400.0, 751.0)
DARK = 1240.0
READ_NOISE = 10.0
AMPLITUDE_SD = 0.0015
REPEATS = 200


def _reading(channel: str, value: float | NDArray[np.float64], quality: Literal["good", "uncertain", "bad"] = "good") -> Reading:
    array = tuple(float(item) for item in value) if isinstance(value, np.ndarray) else None
    raw = repr((channel, value)).encode()
    return Reading(
        step=0,
        instrument="platform",
        channel=channel,
        unit="",
        quality=quality,
        wall=datetime(2026, 1, 1, tzinfo=UTC),
        lab=0.0,
        value=None if isinstance(value, np.ndarray) else value,
        array=array,
        raw=raw,
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def _line(height: float, centre: float, fwhm: float) -> NDArray[np.float64]:
    return np.asarray(height * np.exp(-0.5 * ((WAVELENGTH - centre) / (fwhm / FWHM_PER_SIGMA)) ** 2))


def _counts(light: NDArray[np.float64], rng: np.random.Generator | None) -> NDArray[np.float64]:
    if rng is None:
        return light + DARK
    return np.asarray(np.round(rng.poisson(light) + rng.normal(DARK, READ_NOISE, light.size)))


def spectra(
    *, height: float = 15000.0, centre: float = 570.0, fwhm: float = 45.0, quantum_yield: float = 0.5, seed: int | None = None
) -> dict[str, Reading]:
    """Make the readings of one run; without a seed they are free of noise."""
    rng = None if seed is None else np.random.default_rng(seed)
    sample, absorbance, of_reference = _line(height, centre, fwhm), 0.1, 0.95
    shape = _line(1.0, 555.0, 35.0)
    reference = shape * min(sample.sum() / shape.sum() * of_reference / quantum_yield, 50000.0)
    absorbed_ratio = sample.sum() / reference.sum() * of_reference / quantum_yield
    reference_absorbance = -math.log10(1.0 - (1.0 - 10.0**-absorbance) / absorbed_ratio)
    scatter = rng.normal(0.0, AMPLITUDE_SD, 2) if rng is not None else np.zeros(2)
    return {
        "Wavelength": _reading("Wavelength", WAVELENGTH),
        "Dark": _reading("Dark", _counts(np.zeros_like(WAVELENGTH), rng)),
        "Sample": _reading("Sample", _counts(sample, rng)),
        "Reference": _reading("Reference", _counts(reference, rng)),
        "SampleAbsorbance": _reading("SampleAbsorbance", absorbance + scatter[0]),
        "ReferenceAbsorbance": _reading("ReferenceAbsorbance", reference_absorbance + scatter[1]),
        "ReferenceQuantumYield": _reading("ReferenceQuantumYield", of_reference),
    }


def _reduced(readings: dict[str, Reading]) -> dict[str, tuple[float | None, float | None, str | None]]:
    return {one.target: (one.value, one.uncertainty, one.reason) for one in reduce("cdse-emission/1", tuple(readings.values()))}


@given(st.floats(480.0, 660.0), st.floats(22.0, 70.0), st.floats(0.05, 0.9))
def test_a_spectrum_without_noise_gives_back_what_it_was_made_of(centre: float, fwhm: float, quantum_yield: float) -> None:
    reduced = _reduced(spectra(centre=centre, fwhm=fwhm, quantum_yield=quantum_yield, height=12000.0))
    assert reduced["wavelength"][0] == pytest.approx(centre, abs=1e-3)
    assert reduced["fwhm"][0] == pytest.approx(fwhm, rel=1e-3)
    assert reduced["quantum_yield"][0] == pytest.approx(quantum_yield, rel=5e-3)
    assert [reason for _, _, reason in reduced.values()] == [None] * 3


@pytest.mark.parametrize(("height", "fwhm"), [(15000.0, 45.0), (1500.0, 30.0), (400.0, 60.0)])
@pytest.mark.long
def test_the_stated_uncertainty_covers_the_truth_as_often_as_it_should(height: float, fwhm: float) -> None:
    truth = {"wavelength": 570.0, "fwhm": fwhm, "quantum_yield": 0.5}
    scores: dict[str, list[float]] = {target: [] for target in truth}
    for seed in range(REPEATS):
        for target, (value, uncertainty, reason) in _reduced(spectra(height=height, fwhm=fwhm, seed=seed)).items():
            assert reason is None
            assert value is not None
            assert uncertainty is not None
            scores[target].append((value - truth[target]) / uncertainty)
    for target in ("fwhm", "quantum_yield"):
        z = np.array(scores[target])
        assert 0.85 < np.std(z) < 1.15, target
        assert abs(np.mean(z)) < 0.35, target
        assert 0.90 < np.mean(np.abs(z) < 2.0) < 0.99, target
    assert np.mean(np.abs(scores["wavelength"]) < np.full(REPEATS, 2.0)) > 0.93  # includes the scale's repeatability


def test_a_saturated_sample_is_quarantined_and_a_saturated_reference_only_spoils_the_yield() -> None:
    readings = spectra()
    full = np.minimum(np.array(readings["Sample"].array) * 6.0, 65535.0)
    reduced = _reduced(readings | {"Sample": _reading("Sample", full)})
    assert all(reason is not None and "sample spectrum saturated" in reason for _, _, reason in reduced.values())
    full = np.minimum(np.array(readings["Reference"].array) * 4.0, 65535.0)
    reduced = _reduced(readings | {"Reference": _reading("Reference", full)})
    assert [reason is None for _, _, reason in reduced.values()] == [True, True, False]


@pytest.mark.parametrize("channel", ["Dark", "Sample", "Reference"])
def test_a_variable_of_bad_quality_is_named_in_the_reason(channel: str) -> None:
    readings = spectra(seed=1)
    bad = _reading(channel, np.array(readings[channel].array), "bad")
    reasons = [reason for _, _, reason in _reduced(readings | {channel: bad}).values() if reason is not None]
    assert reasons
    assert all(f"{channel} is of bad quality" in reason for reason in reasons)


def test_a_spectrum_without_a_peak_is_quarantined() -> None:
    reduced = _reduced(spectra(height=0.0001, seed=3, quantum_yield=1e-8))
    assert all(reason is not None for _, _, reason in reduced.values())
    assert all(value is None or math.isfinite(value) for value, _, _ in reduced.values())


def test_two_lines_are_no_single_peak() -> None:
    readings = spectra()
    double = _line(15000.0, 560.0, 20.0) + _line(14000.0, 585.0, 20.0) + DARK
    reason = _reduced(readings | {"Sample": _reading("Sample", double)})["wavelength"][2]
    assert reason is not None
    assert "not a single line" in reason


@pytest.mark.parametrize("missing", ["Wavelength", "Dark", "Sample", "Reference", "SampleAbsorbance"])
def test_what_is_missing_is_named_and_nothing_is_invented(missing: str) -> None:
    readings = {name: reading for name, reading in spectra().items() if name != missing}
    value, uncertainty, reason = _reduced(readings)["quantum_yield"]
    assert (value, uncertainty) == (None, None)
    assert reason is not None
    assert missing in reason


def test_spectra_of_different_lengths_are_refused() -> None:
    readings = spectra() | {"Sample": _reading("Sample", np.ones(17))}
    reason = _reduced(readings)["wavelength"][2]
    assert reason is not None
    assert "lengths" in reason


def test_a_yield_that_cannot_be_is_quarantined() -> None:
    reason = _reduced(spectra(quantum_yield=2.5))["quantum_yield"][2]
    assert reason is not None
    assert "outside 0 to 1.2" in reason


def test_each_value_names_the_raw_readings_it_stands_on() -> None:
    readings = spectra()
    by_target = {one.target: one for one in reduce("cdse-emission/1", tuple(readings.values()))}
    assert by_target["fwhm"].raw_sha256 == tuple(readings[name].sha256 for name in ("Wavelength", "Dark", "Sample"))
    assert len(by_target["quantum_yield"].raw_sha256) == 7


def test_a_recorded_result_is_taken_as_it_is() -> None:
    (one,) = reduce("identity/1", (_reading("overpotential", 0.41),))
    assert (one.target, one.value, one.uncertainty, one.reason) == ("overpotential", 0.41, None, None)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("channel", ["ReferenceQuantumYield", "SampleAbsorbance", "ReferenceAbsorbance"])
def test_a_number_that_is_none_gives_no_value_and_says_so(channel: str, wrong: float) -> None:
    reduced = _reduced(spectra() | {channel: _reading(channel, wrong)})
    assert reduced["wavelength"][2] is None
    value, uncertainty, reason = reduced["quantum_yield"]
    assert all(number is None or math.isfinite(number) for number in (value, uncertainty))
    assert reason is not None
    (recorded,) = reduce("identity/1", (_reading("overpotential", wrong),))
    assert (recorded.value, recorded.reason) == (None, f"overpotential: its value is {wrong}; a finite number was expected")


def test_a_measured_zero_is_a_value() -> None:
    (one,) = reduce("identity/1", (_reading("overpotential", 0.0),))
    assert (one.value, one.reason) == (0.0, None)


def test_an_unknown_reduction_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"unknown reduction 'magic/1'; known: cdse-emission/1, identity/1, recorded/1"):
        reduce("magic/1", ())
    assert REDUCTIONS["recorded/1"].targets is None


@pytest.mark.parametrize(
    ("came", "wanted", "value", "uncertainty", "reason"),
    [
        ("mV", "V", 0.3, 0.002, None),
        ("degC", "K", 573.15, 2.0, None),  # a difference has no zero
        ("", "percent", 30000.0, 200.0, None),
        ("V", "V", 300.0, 2.0, None),
        ("mL", "V", None, None, "y came in mL; expected a unit that converts to V"),
        ("", "V", None, None, "y came in 1; expected a unit that converts to V"),
    ],
)
def test_a_value_is_converted_to_the_unit_of_its_target_or_is_none(
    came: str, wanted: str, value: float | None, uncertainty: float | None, reason: str | None
) -> None:
    found = in_unit(Reduced("y", 300.0, came, 2.0, None, ("a",)), wanted)
    assert found.value == pytest.approx(value)
    assert found.uncertainty == pytest.approx(uncertainty)
    assert (found.unit, found.reason, found.raw_sha256) == (wanted, reason, ("a",))


def test_a_logarithm_is_converted_with_its_slope_and_gives_no_number_that_is_not_finite() -> None:
    """10 dBm are 10 mW, 10.5 and 9.5 dBm 10^1.05 and 10^0.95."""
    found = in_unit(Reduced("y", 10.0, "dBm", 0.5, None, ("a",)), "mW")
    assert found.value == pytest.approx(10.0)
    assert found.uncertainty == pytest.approx((10**1.05 - 10**0.95) / 2)
    for value, came, wanted, said in ((0.0, "mW", "dBm", "-inf"), (9.9e37, "dBm", "mW", "inf"), (1e308, "km", "mm", "inf")):
        none = in_unit(Reduced("y", value, came, None, None, ("a",)), wanted)
        assert (none.value, none.reason) == (None, f"y: its value is {said}; a finite number was expected")
