"""Emission spectra to peak wavelength, width and quantum yield (reduction `cdse-emission/1`).

Quantum yield by the relative method: Y = Y_ref (I / I_ref) (a_ref / a), I the integrated emission and a = 1 - 10^-A the
share of the excitation that is absorbed [Wurth2013, Nat. Protoc. 8, 1535, eq. 3]; sample and reference are in the same
solvent, so that the refractive indices cancel. Holds for A < 0.15 or so, where reabsorption is small.

The uncertainties are those of counting, of the dark level and of the photometer: what differs between two runs. What all
runs of a campaign share (the reference's own yield, the spectrometer's response) is left out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, curve_fit

from instruments.reductions.reduced import Reduced
from orchestrator.domain.records import Reading

_Array = NDArray[np.float64]

SATURATION: Final = 65535.0
"""Counts at which the converter is full."""
FWHM_PER_SIGMA: Final = 2.0 * math.sqrt(2.0 * math.log(2.0))
EMISSION_TARGETS: Final = frozenset({"wavelength", "fwhm", "quantum_yield"})

_WINDOW: Final = 1.5
"""Half width of the fitted range in standard deviations of the peak: inside it a real line is close to a Gaussian."""
_WINGS: Final = 4.5
"""Standard deviations from the peak beyond which nothing is emitted: there the dark level is checked."""
_FEWEST_WINGS: Final = 20
_FEWEST_POINTS: Final = 8
_LEAST_SIGNAL: Final = 10.0
"""Peak height over the noise of one pixel, below which a peak is not reduced."""
_WORST_FIT: Final = 10.0
"""Residual variance over the expected one, above which the line is no single peak."""
_WAVELENGTH_SCALE: Final = 0.05
"""nm; repeatability of an array spectrometer's wavelength scale (typical data sheet)."""
_ABSORBANCE: Final = 0.0015
"""Standard uncertainty of one absorbance (photometric repeatability of a typical array spectrometer)."""
_HIGHEST_YIELD: Final = 1.2
"""Above it a quantum yield is an artefact, whatever its uncertainty."""
_SPECTRA: Final = ("Wavelength", "Dark", "Sample")
_RELATIVE: Final = ("Reference", "SampleAbsorbance", "ReferenceAbsorbance", "ReferenceQuantumYield")
_REPEATS: Final = 3
"""Fits, each weighted by the variance that the one before predicts; the third changes nothing any more."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A Gaussian line."""

    height: float
    """Counts."""
    centre: float
    """nm."""
    sigma: float
    """nm."""
    centre_sd: float
    sigma_sd: float
    misfit: float
    """Residual variance over the expected one."""


@dataclass(frozen=True, slots=True)
class Net:
    """A spectrum without its dark level."""

    wavelength: _Array
    """nm, shape (n,)."""
    counts: _Array
    """Shape (n,)."""
    noise: float
    """Standard deviation of a pixel that sees no light, dark spectrum's own noise included."""
    level_sd: float
    """Standard uncertainty of the level that was taken off the whole spectrum."""
    emitting: NDArray[np.bool_]
    """Where the line is: everything but the wings, from which the level comes; shape (n,)."""


def reduce_emission(readings: Sequence[Reading]) -> tuple[Reduced, ...]:
    """Reduce one run's spectra to `wavelength` (nm), `fwhm` (nm) and `quantum_yield` (1)."""
    by_channel = {reading.channel: reading for reading in readings}
    complaint = _complaint(by_channel, _SPECTRA)
    if complaint is not None:
        return tuple(_nothing(target, complaint, by_channel) for target in ("wavelength", "fwhm", "quantum_yield"))
    wavelength, dark, sample = (np.array(by_channel[name].array, dtype=np.float64) for name in _SPECTRA)
    net = _net(wavelength, sample, dark)
    peak = fit_peak(net)
    if peak is None:
        return tuple(_nothing(target, "no peak", by_channel) for target in ("wavelength", "fwhm", "quantum_yield"))
    reason = _doubt(by_channel, _SPECTRA) or _unfit("sample", sample, peak, net)
    hashes = _hashes(by_channel, _SPECTRA)
    centre_sd = math.hypot(peak.centre_sd, _WAVELENGTH_SCALE)
    return (
        Reduced("wavelength", peak.centre, "nm", centre_sd, reason, hashes),
        Reduced("fwhm", FWHM_PER_SIGMA * peak.sigma, "nm", FWHM_PER_SIGMA * peak.sigma_sd, reason, hashes),
        _quantum_yield(by_channel, net, dark, reason),
    )


def fit_peak(net: Net) -> Peak | None:
    """Fit a Gaussian to the strongest line of a spectrum, weighted by counting statistics; None where there is none."""
    guess = _first_guess(net)
    for repeat in range(_REPEATS):
        if guess is None:
            return None
        guess = _fit(net, guess, weighted=repeat > 0)
    return guess


def integral(net: Net) -> tuple[float, float]:
    """Integrate a spectrum's line; return the area in counts nm and its standard uncertainty."""
    step = np.gradient(net.wavelength)[net.emitting]
    counts = net.counts[net.emitting]
    variance = net.noise**2 + np.maximum(counts, 0.0)
    counting = math.sqrt(float(np.sum(variance * step**2)))
    return float(np.sum(counts * step)), math.hypot(counting, net.level_sd * float(np.sum(step)))


def _net(wavelength: _Array, light: _Array, dark: _Array) -> Net:
    """Take the dark spectrum off, and what is left of its level where nothing is emitted."""
    counts = light - dark
    raw = Net(wavelength, counts, _difference_noise(counts), 0.0, np.ones_like(counts, dtype=bool))
    peak = _first_guess(raw)
    wings = np.abs(wavelength - peak.centre) > _WINGS * peak.sigma if peak is not None else np.ones_like(counts, dtype=bool)
    if np.count_nonzero(wings) < _FEWEST_WINGS:
        return raw
    quiet = counts[wings]
    noise = 1.4826 * float(np.median(np.abs(quiet - np.median(quiet))))
    level = float(np.mean(np.clip(quiet, np.median(quiet) - 5.0 * noise, np.median(quiet) + 5.0 * noise)))
    return Net(wavelength, counts - level, max(noise, 1.0), noise / math.sqrt(quiet.size), ~wings)


def _difference_noise(counts: _Array) -> float:
    """Estimate a pixel's noise from second differences of the quieter half of a spectrum."""
    second = np.abs(np.diff(counts, 2)) / math.sqrt(6.0)
    return max(1.4826 * float(np.median(np.sort(second)[: second.size // 2 + 1])), 1.0)


def _first_guess(net: Net) -> Peak | None:
    """Guess the strongest line by its highest smoothed point and its half height."""
    smooth = np.convolve(net.counts, np.ones(5) / 5.0, mode="same")
    top = int(np.argmax(smooth))
    height = float(smooth[top])
    if height <= 0.0:
        return None
    below = np.flatnonzero(smooth < height / 2.0)
    left = below[below < top].max(initial=0)
    right = below[below > top].min(initial=smooth.size - 1)
    width = float(net.wavelength[right] - net.wavelength[left])
    return Peak(height, float(net.wavelength[top]), max(width / FWHM_PER_SIGMA, 1.0), 0.0, 0.0, 0.0)


def _fit(net: Net, guess: Peak, *, weighted: bool) -> Peak | None:
    near = np.abs(net.wavelength - guess.centre) <= _WINDOW * guess.sigma
    if np.count_nonzero(near) < _FEWEST_POINTS:
        return None
    x, y = net.wavelength[near], net.counts[near]
    start = (guess.height, guess.centre, guess.sigma)
    variance = net.noise**2 + (np.maximum(_gaussian(x, *start), 0.0) if weighted else 0.0 * x)
    try:
        best, covariance = curve_fit(_gaussian, x, y, p0=start, sigma=np.sqrt(variance), absolute_sigma=True)
    except (RuntimeError, OptimizeWarning):
        return None
    residual = (y - _gaussian(x, *best)) / np.sqrt(variance)
    misfit = float(np.sum(residual**2)) / max(x.size - 3, 1)
    spread = np.sqrt(np.diag(covariance) * max(1.0, misfit))
    height, centre, sigma = (float(value) for value in best)
    sane = np.all(np.isfinite(spread)) and height > 0.0 and net.wavelength[0] <= centre <= net.wavelength[-1]
    return Peak(height, centre, abs(sigma), float(spread[1]), float(spread[2]), misfit) if sane else None


def _gaussian(x: _Array, height: float, centre: float, sigma: float) -> _Array:
    return np.asarray(height * np.exp(-0.5 * ((x - centre) / sigma) ** 2))


def _quantum_yield(by_channel: Mapping[str, Reading], net: Net, dark: _Array, reason: str | None) -> Reduced:
    complaint = _complaint(by_channel, _RELATIVE)
    if complaint is not None:
        return _nothing("quantum_yield", complaint, by_channel)
    reference = np.array(by_channel["Reference"].array, dtype=np.float64)
    absorbances = [by_channel[name].value or 0.0 for name in ("SampleAbsorbance", "ReferenceAbsorbance")]
    of_reference = by_channel["ReferenceQuantumYield"].value or 0.0
    area, area_sd = integral(net)
    reference_area, reference_sd = integral(_net(net.wavelength, reference, dark))
    if reference_area <= 0.0 or min(absorbances) <= 0.0:
        message = f"reference area {reference_area:g} counts nm, absorbances {absorbances}; expected all above 0"
        return _nothing("quantum_yield", message, by_channel)
    absorbed = [1.0 - math.pow(10.0, -absorbance) for absorbance in absorbances]
    factor = of_reference / reference_area * absorbed[1] / absorbed[0]
    value = factor * area
    relative = math.hypot(reference_sd / reference_area, *(_absorbed_sd(absorbance) for absorbance in absorbances))
    doubt = reason or _doubt(by_channel, _RELATIVE) or _saturated("reference", reference) or _implausible(value)
    return Reduced(
        "quantum_yield", value, "", math.hypot(factor * area_sd, value * relative), doubt, _hashes(by_channel, (*_SPECTRA, *_RELATIVE))
    )


def _absorbed_sd(absorbance: float) -> float:
    """Return the relative uncertainty of the absorbed share."""
    passed = math.pow(10.0, -absorbance)
    return math.log(10.0) * passed / (1.0 - passed) * _ABSORBANCE


def _complaint(by_channel: Mapping[str, Reading], names: Sequence[str]) -> str | None:
    """Say what is missing or of the wrong shape."""
    missing = [name for name in names if name not in by_channel]
    if missing:
        return f"{', '.join(missing)} missing among the readings"
    empty = [name for name in names if by_channel[name].array is None and by_channel[name].value is None]
    if empty:
        return f"{', '.join(empty)} without a value"
    wrong = [f"{name} is {value}" for name in names if (value := by_channel[name].value) is not None and not math.isfinite(value)]
    if wrong:
        return f"{', '.join(wrong)}; finite numbers were expected"
    lengths = {name: len(by_channel[name].array or ()) for name in names if name in (*_SPECTRA, "Reference")}
    expected = len(by_channel["Wavelength"].array or ())
    if set(lengths.values()) != {expected} or expected < _FEWEST_WINGS:
        return f"spectra of lengths {lengths}; expected {max(expected, _FEWEST_WINGS)} each"
    finite = all(math.isfinite(count) for name in lengths for count in by_channel[name].array or ())
    return None if finite else "a spectrum holds values that are not finite"


def _doubt(by_channel: Mapping[str, Reading], names: Sequence[str]) -> str | None:
    poor = [f"{name} is of {by_channel[name].quality} quality" for name in names if by_channel[name].quality != "good"]
    return "; ".join(poor) or None


def _unfit(what: str, counts: _Array, peak: Peak, net: Net) -> str | None:
    if (saturated := _saturated(what, counts)) is not None:
        return saturated
    if peak.height < _LEAST_SIGNAL * net.noise:
        return f"peak of {peak.height:.0f} counts; expected at least {_LEAST_SIGNAL * net.noise:.0f}, ten times the noise"
    if peak.misfit > _WORST_FIT:
        return f"not a single line: residual variance is {peak.misfit:.1f} times the expected one"
    return None


def _saturated(what: str, counts: _Array) -> str | None:
    full = int(np.count_nonzero(counts >= SATURATION))
    return f"{what} spectrum saturated at {full} wavelengths" if full else None


def _implausible(value: float) -> str | None:
    return None if 0.0 <= value <= _HIGHEST_YIELD else f"quantum yield {value:.3g} is outside 0 to {_HIGHEST_YIELD:g}"


def _nothing(target: str, reason: str, by_channel: Mapping[str, Reading]) -> Reduced:
    unit = "" if target == "quantum_yield" else "nm"
    return Reduced(target, None, unit, None, reason, _hashes(by_channel, (*_SPECTRA, *_RELATIVE)))


def _hashes(by_channel: Mapping[str, Reading], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(by_channel[name].sha256 for name in names if name in by_channel)
