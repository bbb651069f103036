"""A fluorescence spectrometer: what its detector really sends, with dark level, noise, saturation and drift.

Sample and reference dye are measured alike, so that the relative quantum yield
Phi = Phi_ref (I / I_ref) (1 - 10^-A_ref) / (1 - 10^-A) (same solvent, same excitation) can be reduced from the counts.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulators.chemistry.family import Product
from simulators.chemistry.growth import Array

WAVELENGTHS: Array = np.arange(400.0, 751.0)
"""nm."""

FULL_SCALE = 65_535.0
"""Counts at which the 16-bit converter saturates."""

BRIGHTNESS = 6.7e7
"""Counts nm / s of a perfect emitter that absorbs everything: a usual sample gives half of full scale in 0.1 s."""

_FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
_SECONDS_PER_DAY = 86_400.0
WALK_STEP = 3600.0
"""Lab s between the steps of a random walk."""


@dataclass(frozen=True, slots=True)
class Dye:
    """The reference, rhodamine 6G like."""

    quantum_yield: float = 0.95
    absorbance: float = 0.10
    peak_nm: float = 555.0
    fwhm_nm: float = 40.0


@dataclass(frozen=True, slots=True)
class SpectrometerTraits:
    """How good an instrument is; zero everywhere gives an ideal one with shot noise."""

    dark_level: float = 1200.0
    """Counts without light, at no integration time."""

    dark_current: float = 400.0
    """Counts / s."""

    read_noise: float = 8.0
    """Counts, standard deviation."""

    counts_per_electron: float = 1.0
    """Shot noise variance per count."""

    gain_spread: float = 0.03
    """Relative standard deviation of the sensitivity between instruments."""

    dark_drift: float = 5.0
    """Counts per lab day."""

    wavelength_drift: float = 0.02
    """nm per lab day."""

    walk: float = 0.2
    """Random walk, in units of the drift per square root of a lab day."""

    absorbance_noise: float = 0.001
    conversion_noise: float = 0.01
    outliers: float = 0.02
    """Share of samples with a bubble in the cell, which takes away light."""

    dilution: float = 0.10
    """Absorbance to which the sampler dilutes a stronger sample."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What one measurement sends."""

    dark: Array
    """(351,) counts."""

    sample: Array
    reference: Array
    sample_absorbance: float
    reference_absorbance: float
    conversion: float

    @property
    def saturated(self) -> bool:
        """Tell whether the sample's spectrum touches full scale."""
        return bool(np.max(self.sample) >= FULL_SCALE)


class Spectrometer:
    """One instrument with its own sensitivity and drifts, all from one seed."""

    def __init__(self, seed: int, traits: SpectrometerTraits, dye: Dye) -> None:
        self.traits = traits
        self.dye = dye
        self._seed = seed
        self._gain = 1.0 + traits.gain_spread * float(np.random.default_rng([seed, 0]).standard_normal())

    def record(self, product: Product, integration_time: float, lab: float, number: int) -> Recording:
        """Measure dark, sample and reference.

        Args:
            product: what is in the vial.
            integration_time: s.
            lab: lab seconds, for the drifts.
            number: of the measurement; the same number repeats the same noise.
        """
        rng = np.random.default_rng([self._seed, 1, number])
        absorbance = min(product.absorbance, self.traits.dilution)
        light = self._emission(absorbance, product.quantum_yield, product.emission_nm, product.fwhm_nm, lab)
        light *= rng.uniform(0.3, 0.8) if rng.random() < self.traits.outliers else 1.0
        dye = self.dye
        reference = self._emission(dye.absorbance, dye.quantum_yield, dye.peak_nm, dye.fwhm_nm, lab)
        spectra = (self._detect(part, integration_time, lab, rng) for part in (np.zeros_like(light), light, reference))
        dark, sample, dye_counts = spectra
        sample_absorbance, reference_absorbance = np.array([absorbance, dye.absorbance]) + rng.normal(0.0, self.traits.absorbance_noise, 2)
        conversion = product.conversion + float(rng.normal(0.0, self.traits.conversion_noise))
        return Recording(
            dark,
            sample,
            dye_counts,
            float(max(sample_absorbance, 0.0)),
            float(reference_absorbance),
            min(max(conversion, 0.0), 1.0),
        )

    def wavelength_error(self, lab: float) -> float:
        """Get the drift of the wavelength axis (nm) at a lab time (s)."""
        return self.traits.wavelength_drift * self._drift(lab, 2)

    def dark_error(self, lab: float) -> float:
        """Get the drift of the dark level (counts) at a lab time (s)."""
        return self.traits.dark_drift * self._drift(lab, 3)

    def _drift(self, lab: float, stream: int) -> float:
        """Compute days + random walk at a lab time; the walk's steps are fixed by the seed."""
        days = lab / _SECONDS_PER_DAY
        steps = np.random.default_rng([self._seed, stream]).standard_normal(int(lab // WALK_STEP))
        return days + self.traits.walk * math.sqrt(WALK_STEP / _SECONDS_PER_DAY) * float(steps.sum())

    def _emission(self, absorbance: float, quantum_yield: float, peak: float, fwhm: float, lab: float) -> Array:
        """Compute the light per nm (counts / s / nm) of a Gaussian line."""
        if quantum_yield <= 0.0 or fwhm <= 0.0:
            return np.zeros_like(WAVELENGTHS)
        sigma = fwhm / _FWHM_PER_SIGMA
        shape = np.exp(-((WAVELENGTHS - peak - self.wavelength_error(lab)) ** 2) / (2.0 * sigma**2))
        absorbed = 1.0 - 10.0**-absorbance
        line: Array = self._gain * BRIGHTNESS * absorbed * quantum_yield * shape / (sigma * math.sqrt(2.0 * math.pi))
        return line

    def _detect(self, light: Array, integration_time: float, lab: float, rng: np.random.Generator) -> Array:
        """Turn light into whole counts, with noise, clipped to the converter's range."""
        signal = (light + self.traits.dark_current) * integration_time
        shot = rng.normal(0.0, 1.0, signal.shape) * np.sqrt(self.traits.counts_per_electron * signal)
        read = rng.normal(0.0, self.traits.read_noise, signal.shape)
        counts: Array = np.clip(np.round(signal + self.traits.dark_level + self.dark_error(lab) + shot + read), 0.0, FULL_SCALE)
        return counts
